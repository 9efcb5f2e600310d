"""Files that come, grow, move and go while the data root is watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from ingest.settle import Settling
from ost_vo.faults import UsageFault
from ost_vo.settings import Settings
from tests.ingest.frames import TAN, rows, write_frame

DELAY = 0.5


def test_file_is_due_once_it_rests(tmp_path: Path) -> None:
    path = tmp_path / "a.fit"
    path.write_bytes(b"1")
    settling = Settling(20.0)
    settling.note(path, 100.0)
    assert settling.next_deadline() == 120.0
    assert settling.due(119.0) == []
    assert settling.due(120.0) == [path]
    assert (settling.due(200.0), settling.next_deadline(), len(settling)) == ([], None, 0)


def test_file_that_grows_unseen_waits_again(tmp_path: Path) -> None:
    path = tmp_path / "a.fit"
    path.write_bytes(b"1")
    settling = Settling(20.0)
    settling.note(path, 100.0)
    path.write_bytes(b"12")
    assert settling.due(120.0) == []
    assert settling.due(140.0) == [path]


def test_new_event_postpones(tmp_path: Path) -> None:
    path = tmp_path / "a.fit"
    path.write_bytes(b"1")
    settling = Settling(20.0)
    settling.note(path, 100.0)
    settling.note(path, 110.0)
    assert settling.due(120.0) == []
    assert settling.next_deadline() == 130.0
    assert settling.due(130.0) == [path]


def test_files_settle_at_the_same_time(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:04d}.fit" for number in range(1000)]
    settling = Settling(20.0)
    for path in paths:
        path.touch()
        settling.note(path, 100.0)
    assert settling.due(120.0) == paths


def test_file_that_goes_is_forgotten(tmp_path: Path) -> None:
    one, other = tmp_path / "a.fit", tmp_path / "b.fit"
    settling = Settling(20.0)
    for path in (one, other):
        path.touch()
        settling.note(path, 100.0)
    one.unlink()
    settling.forget(other)
    settling.note(one, 110.0)
    assert settling.due(200.0) == []


class Watch:
    """`watch` in a process of its own; its log tells what it has done."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.data
        code = "from ingest.watch import watch; from ost_vo.settings import Settings; watch(Settings())"
        variables = {
            "OST_VO_STATE": str(settings.state),
            "OST_VO_DATA_ROOT": str(settings.data),
            "OST_VO_DATABASE": settings.database,
            "OST_VO_WATCH_DELAY": str(DELAY),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", code],
            env=os.environ | variables | {"NO_COLOR": "1"},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._log: IO[str] = self._process.stdout

    def await_line(self, *words: str) -> str:
        """Read the log until a line holds all the words (the test's time limit ends a vain wait)."""
        for line in self._log:
            if all(word in line for word in words):
                return line
        raise AssertionError(f"The watch ended without a word of {words}.")

    def end(self) -> int:
        """Send SIGTERM and return the exit status."""
        self._process.send_signal(signal.SIGTERM)
        self._log.read()
        return self._process.wait()


@pytest.fixture
def watching(archive: Any) -> Iterator[Watch]:
    """A watch over the data root, which holds one old file."""
    old = write_frame(archive.settings.data / "20220101" / "old.fit", TAN)
    os.utime(old, (1.5e9, 1.5e9))
    watch = Watch(archive.settings)
    watch.await_line("ingested", "old.fit")
    yield watch
    assert watch.end() == 0


def paths(archive: Any) -> list[str]:
    """Return the paths of the products that are there."""
    found = rows(
        archive.settings, "SELECT path FROM archive.products WHERE missing_since IS NULL ORDER BY path"
    )
    return [path for (path,) in found]


def test_file_that_comes_is_ingested(archive: Any, watching: Watch) -> None:
    write_frame(watching.root / "20220102" / "deep" / "a.fit", TAN)
    watching.await_line("ingested", "a.fit")
    assert paths(archive) == ["20220101/old.fit", "20220102/deep/a.fit"]


def test_temporary_name_is_left_alone_until_renamed(archive: Any, watching: Watch) -> None:
    part = watching.root / "20220101" / "a.fit.filepart"
    write_frame(watching.root / "20220101" / "c.fit", TAN).rename(part)
    write_frame(watching.root / "20220101" / "b.fit", TAN)
    watching.await_line("ingested", "b.fit")
    assert paths(archive) == ["20220101/b.fit", "20220101/old.fit"]
    part.rename(watching.root / "20220101" / "a.fit")
    watching.await_line("ingested", "a.fit")


def test_directory_moved_in_is_ingested(archive: Any, watching: Watch, tmp_path: Path) -> None:
    write_frame(tmp_path / "20220103" / "a.fit", TAN)
    (tmp_path / "20220103").rename(watching.root / "20220103")
    watching.await_line("ingested", "20220103/a.fit")
    assert "20220103/a.fit" in paths(archive)


def test_damaged_file_is_quarantined_and_mended(archive: Any, watching: Watch) -> None:
    path = watching.root / "20220101" / "a.fit"
    path.write_bytes(b"nothing")
    watching.await_line("in quarantine", "20220101/a.fit")
    write_frame(path, TAN)
    watching.await_line("ingested", "a.fit")
    assert rows(archive.settings, "SELECT path FROM archive.quarantine") == []


def test_file_that_goes_is_noted_as_missing_and_comes_back(archive: Any, watching: Watch) -> None:
    path = write_frame(watching.root / "20220102" / "a.fit", TAN)
    watching.await_line("ingested", "a.fit")
    content = path.read_bytes()
    path.unlink()
    watching.await_line("files are gone", "20220102/a.fit")
    assert paths(archive) == ["20220101/old.fit"]
    path.write_bytes(content)
    write_frame(watching.root / "20220102" / "b.fit", TAN)
    watching.await_line("ingested", "b.fit")
    assert paths(archive) == ["20220101/old.fit", "20220102/a.fit", "20220102/b.fit"]


def test_data_root_that_is_not_there(archive: Any) -> None:
    from ingest.watch import watch

    lost = Settings(database=archive.settings.database, data_root=archive.settings.data / "lost")
    with pytest.raises(UsageFault, match="no directory"):
        watch(lost)
