"""Files that come, grow, move and go while the data root is watched."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from ingest import events
from ingest.load import ingest
from ingest.settle import Settling
from ost_vo.deployment import cluster
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


def test_waits_may_differ_and_none_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.fit"
    path.write_bytes(b"1")
    settling = Settling(2.0)
    settling.note(path, 100.0, 20.0)
    settling.note(path, 101.0, 5.0)
    assert settling.next_deadline() == 120.0
    path.write_bytes(b"12")
    assert settling.due(120.0) == []
    assert settling.due(121.9) == []
    assert settling.due(122.0) == [path]


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

    def __init__(self, settings: Settings, **more: str) -> None:
        self.root = settings.data
        code = "from ingest.watch import watch; from ost_vo.settings import Settings; watch(Settings())"
        variables = {
            "OST_VO_STATE": str(settings.state),
            "OST_VO_DATA_ROOT": str(settings.data),
            "OST_VO_DATABASE": settings.database,
            "OST_VO_WATCH_DELAY": str(DELAY),
            "OST_VO_WATCH_DEBOUNCE": "0.2",
            "OST_VO_WATCH_STABILITY": "0.2",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", code],
            env=os.environ | variables | more | {"NO_COLOR": "1"},
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

    def await_all(self, word: str, names: list[str]) -> None:
        """Read the log until a word has been said of every name, in whatever order."""
        missing = set(names)
        while missing:
            line = self.await_line(word)
            missing = {name for name in missing if name not in line}

    def end(self) -> int:
        """Send SIGTERM and return the exit status."""
        self._process.send_signal(signal.SIGTERM)
        self._log.read()
        return self._process.wait()


@contextmanager
def watched(settings: Settings, **more: str) -> Iterator[Watch]:
    """Watch the data root, which gets one old file, for the time of a block."""
    old = write_frame(settings.data / "20220101" / "old.fit", TAN)
    os.utime(old, (1.5e9, 1.5e9))
    watch = Watch(settings, **more)
    watch.await_line("compared with the disk")
    yield watch
    assert watch.end() == 0


@pytest.fixture
def watching(archive: Any) -> Iterator[Watch]:
    """A watch over the data root, which holds one old file, through inotify."""
    with watched(archive.settings) as watch:
        yield watch


@pytest.fixture(params=["inotify", "polling"])
def either(archive: Any, request: pytest.FixtureRequest) -> Iterator[Watch]:
    """The same, by inotify and by polling."""
    more = {"OST_VO_WATCH_POLLING": "true", "OST_VO_WATCH_POLLING_INTERVAL": "0.2"}
    with watched(archive.settings, **(more if request.param == "polling" else {})) as watch:
        yield watch


def frame(path: Path, number: float) -> Path:
    """Write a frame like no other."""
    return write_frame(path, TAN | {"EXPTIME": number})


def paths(archive: Any) -> list[str]:
    """Return the paths of the products that are there."""
    query = "SELECT path FROM archive.products WHERE missing_since IS NULL ORDER BY path"
    return [path for (path,) in rows(archive.settings, query)]


def await_paths(archive: Any, expected: list[str]) -> None:
    """Return when these are the paths of the products that are there (the test's time limit ends it)."""
    query = "SELECT path FROM archive.products WHERE missing_since IS NULL ORDER BY path"
    await_rows(archive, query, [(path,) for path in expected])


def await_rows(archive: Any, query: str, expected: list[tuple[Any, ...]]) -> None:
    """Return when a query gives these rows."""
    pause = threading.Event()
    while rows(archive.settings, query) != expected:
        pause.wait(0.05)


def test_file_that_comes_is_ingested(archive: Any, either: Watch) -> None:
    frame(either.root / "20220102" / "deep" / "a.fit", 1)
    either.await_line("ingested", "a.fit")
    assert paths(archive) == ["20220101/old.fit", "20220102/deep/a.fit"]


def test_temporary_names_are_left_alone_until_renamed(archive: Any, either: Watch) -> None:
    suffixes = ("filepart", "part", "tmp", "bck", "swp")
    names = [*(f"a.fit.{suffix}" for suffix in suffixes), "a.fit~", ".a.fit.Xy12Zw", ".~tmp~/a.fit"]
    run = either.root / "20220101"
    for number, name in enumerate(names):
        frame(run / name, number)
    frame(run / "b.fit", len(names))
    either.await_line("ingested", "b.fit")
    assert paths(archive) == ["20220101/b.fit", "20220101/old.fit"]
    for number, name in enumerate(names):
        (run / name).rename(run / f"{number}.fit")
    renamed = [f"20220101/{number}.fit" for number in range(len(names))]
    await_paths(archive, [*renamed, "20220101/b.fit", "20220101/old.fit"])


def test_directory_moved_in_is_ingested(archive: Any, watching: Watch, tmp_path: Path) -> None:
    frame(tmp_path / "20220103" / "a.fit", 1)
    (tmp_path / "20220103").rename(watching.root / "20220103")
    watching.await_line("ingested", "20220103/a.fit")
    assert "20220103/a.fit" in paths(archive)


def test_damaged_file_is_quarantined_and_mended(archive: Any, watching: Watch) -> None:
    path = watching.root / "20220101" / "a.fit"
    path.write_bytes(b"nothing")
    watching.await_line("in quarantine", "20220101/a.fit")
    frame(path, 1)
    watching.await_line("ingested", "a.fit")
    assert rows(archive.settings, "SELECT path FROM archive.quarantine") == []


def test_changed_file_is_read_again(archive: Any, watching: Watch) -> None:
    frame(watching.root / "20220101" / "old.fit", 77)
    watching.await_line("updated", "old.fit")
    assert rows(archive.settings, "SELECT product_id, t_exptime FROM archive.products") == [(1, 77.0)]


def test_file_that_goes_is_noted_as_missing_and_comes_back(archive: Any, either: Watch) -> None:
    path = frame(either.root / "20220102" / "a.fit", 1)
    either.await_line("ingested", "a.fit")
    content = path.read_bytes()
    path.unlink()
    either.await_line("files are gone", "20220102/a.fit")
    assert paths(archive) == ["20220101/old.fit"]
    path.write_bytes(content)
    await_paths(archive, ["20220101/old.fit", "20220102/a.fit"])
    assert rows(archive.settings, "SELECT count(*) FROM archive.products") == [(2,)]


def test_directory_that_goes(archive: Any, watching: Watch) -> None:
    for number in range(3):
        frame(watching.root / "20220102" / "deep" / f"{number}.fit", number)
    watching.await_all("ingested", [f"{number}.fit" for number in range(3)])
    shutil.rmtree(watching.root / "20220102")
    watching.await_line("files are gone", "20220102/deep")
    frame(watching.root / "20220101" / "b.fit", 9)
    watching.await_line("ingested", "b.fit")
    await_paths(archive, ["20220101/b.fit", "20220101/old.fit"])


def test_file_that_moves_within_and_between_runs_stays_itself(archive: Any, either: Watch) -> None:
    (either.root / "20220101" / "old.fit").rename(either.root / "20220101" / "new.fit")
    either.await_line("moved", "new.fit")
    (either.root / "20220102").mkdir()
    (either.root / "20220101" / "new.fit").rename(either.root / "20220102" / "newer.fit")
    query = (
        "SELECT product_id, path, name, missing_since FROM archive.products JOIN archive.runs USING (run_id)"
    )
    await_rows(archive, query, [(1, "20220102/newer.fit", "20220102", None)])


def test_run_that_is_renamed_stays_itself(archive: Any, either: Watch) -> None:
    frame(either.root / "20220101" / "deep" / "a.fit", 1)
    either.await_line("ingested", "a.fit")
    (either.root / "20220101").rename(either.root / "20220101_M31")
    either.await_line("moved", "20220101_M31")
    frame(either.root / "20220101_M31" / "deep" / "b.fit", 2)
    either.await_line("ingested", "b.fit")
    query = "SELECT product_id, path, missing_since FROM archive.products ORDER BY product_id"
    moved = [
        (1, "20220101_M31/old.fit", None),
        (2, "20220101_M31/deep/a.fit", None),
        (3, "20220101_M31/deep/b.fit", None),
    ]
    await_rows(archive, query, moved)
    assert rows(archive.settings, "SELECT run_id, name FROM archive.runs") == [(1, "20220101_M31")]


def test_files_that_are_numbered_anew_while_watched(archive: Any, watching: Watch) -> None:
    run = watching.root / "20220101"
    for number in (1, 2):
        frame(run / f"{number}.fit", number)
        watching.await_line("ingested", f"{number}.fit")
    (run / "2.fit").rename(run / "3.fit")
    (run / "1.fit").rename(run / "2.fit")
    query = "SELECT product_id, path FROM archive.products WHERE product_id > 1 ORDER BY path"
    await_rows(archive, query, [(2, "20220101/2.fit"), (3, "20220101/3.fit")])


def test_file_that_keeps_growing_holds_up_no_other(archive: Any) -> None:
    # Much longer than a busy machine keeps the file from growing.
    patient = {"OST_VO_WATCH_DEBOUNCE": "3", "OST_VO_WATCH_STABILITY": "3"}
    with watched(archive.settings, **patient) as watching:
        grow_beside_others(archive, watching)


def grow_beside_others(archive: Any, watching: Watch) -> None:
    ended = threading.Event()
    growing = watching.root / "20220101" / "growing.fit"
    content = frame(growing, 1).read_bytes()

    def grow() -> None:
        with growing.open("ab") as file:
            while not ended.wait(0.02):
                file.write(b"\0" * 100)
                file.flush()
        growing.write_bytes(content)

    thread = threading.Thread(target=grow)
    thread.start()
    for number in range(3):
        frame(watching.root / "20220101" / f"{number}.fit", 10 + number)
    watching.await_all("ingested", [f"{number}.fit" for number in range(3)])
    assert "20220101/growing.fit" not in paths(archive)
    ended.set()
    thread.join()
    watching.await_line("ingested", "growing.fit")


def test_many_files_at_once(archive: Any, watching: Watch) -> None:
    content = frame(watching.root / "20220102" / "first.fit", 0).read_bytes()
    for number in range(300):
        (watching.root / "20220102" / f"{number:04d}.fit").write_bytes(content + b" " * number)
    (watching.root / "20220103").mkdir()
    frame(watching.root / "20220103" / "last.fit", 1)
    await_rows(archive, "SELECT count(*) FROM archive.products WHERE missing_since IS NULL", [(303,)])


def test_data_root_that_goes_away_changes_nothing(archive: Any, watching: Watch, tmp_path: Path) -> None:
    watching.root.rename(tmp_path / "elsewhere")
    watching.await_line("the data root is gone")
    ((subject, problem),) = rows(archive.settings, "SELECT subject, problem FROM archive.alarms")
    assert (subject, "cannot be listed" in problem) == ("data root", True)
    watching.root.mkdir()
    watching.await_line("the data root is gone", "is empty")
    assert paths(archive) == ["20220101/old.fit"]
    watching.root.rmdir()
    frame(tmp_path / "elsewhere" / "20220101" / "new.fit", 1)
    (tmp_path / "elsewhere").rename(watching.root)
    watching.await_line("ingested", "new.fit")
    assert paths(archive) == ["20220101/new.fit", "20220101/old.fit"]
    await_rows(archive, "SELECT subject FROM archive.alarms", [])


def test_much_that_goes_at_once_is_not_believed(archive: Any, tmp_path: Path) -> None:
    for number in range(30):
        frame(archive.settings.data / "20220102" / f"{number}.fit", number)
    ingest([archive.settings.data], archive.settings)
    with watched(archive.settings) as watch:
        (watch.root / "20220102").rename(tmp_path / "20220102")
        watch.await_line("not noted as missing", "30 of 31 files are gone")
        assert len(paths(archive)) == 31


def test_database_that_goes_away_for_a_while(archive: Any, watching: Watch) -> None:
    name = parse_dsn(archive.settings.database)["dbname"]
    connection = psycopg2.connect(cluster.superuser_dsn(archive.settings, "postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        (watching.root / "20220101" / "old.fit").rename(watching.root / "20220101" / "new.fit")
        frame(watching.root / "20220102" / "a.fit", 1)
        watching.await_line("the database fails", "seconds=1.0")
        cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    connection.close()
    await_paths(archive, ["20220101/new.fit", "20220102/a.fit"])
    assert rows(archive.settings, "SELECT product_id FROM archive.products WHERE path LIKE '%%new.fit'") == [
        (1,)
    ]


BERLIN = ZoneInfo("Europe/Berlin")


def test_reconcile_comes_round(archive: Any) -> None:
    # However long the watcher takes to start, one of these follows soon.
    now = datetime.now(BERLIN)
    times = ",".join(f"{now + timedelta(seconds=seconds):%H:%M:%S}" for seconds in range(0, 250, 3))
    with watched(archive.settings, OST_VO_WATCH_RECONCILE_AT=times) as watch:
        watch.await_line("compared with the disk")


def test_inotify_at_its_limit_gives_way_to_polling(
    archive: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "limit").write_text("1")
    (archive.settings.data / "20220101").mkdir()
    monkeypatch.setattr(events, "_MAX_WATCHES", tmp_path / "limit")
    settings = archive.settings.model_copy(update={"watch_polling_interval": 0.1})
    happened: events.Events = queue.SimpleQueue()
    with events.observed(settings, happened):
        assert "fs.inotify.max_user_watches" in "".join(capsys.readouterr())
        path = settings.data / "20220101" / "a.fit"
        path.touch()
        event = happened.get(timeout=60)
        assert event is not None
        assert (event.kind, event.path) == (events.Kind.CREATED, path)


def test_thread_of_the_observer_that_dies_is_told(archive: Any) -> None:
    happened: events.Events = queue.SimpleQueue()

    def fail() -> None:
        raise RuntimeError("broken")

    with events.observed(archive.settings, happened):
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        event = happened.get(timeout=60)
        assert event is not None
        assert event.kind is events.Kind.BROKEN


def test_data_root_that_is_not_there(archive: Any) -> None:
    from ingest.watch import watch

    lost = Settings(database=archive.settings.database, data_root=archive.settings.data / "lost")
    with pytest.raises(UsageFault, match="no directory"):
        watch(lost)
