"""What is done with files after they are ingested: each once, whatever comes of it."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ingest.load import ingest
from ost_vo.cli import app
from ost_vo.services import picture_store
from ost_vo.services.analysis import Analyst, Tools
from ost_vo.services.looks import RETRY, Findings, Task
from ost_vo.services.picture_store import Kind
from ost_vo.settings import Settings
from pixels.placing import solution
from tests.previews.conftest import query, write_image

FRAME = np.arange(600, dtype="uint16").reshape(20, 30)


class Seeing:
    """Looks at nothing, and says of every file what it was told to say."""

    def __init__(self, answer: Findings) -> None:
        self.answer = answer
        self.paths: list[str] = []
        self.seen = threading.Condition()

    def look(self, task: Task) -> Findings:
        for kind in Kind:
            (Path(task.scratch) / kind.file_name).write_bytes(b"picture")
        with self.seen:
            self.paths.append(Path(task.path).name)
            self.seen.notify_all()
        return self.answer

    def await_paths(self, count: int) -> list[str]:
        """Wait until so many files were looked at (the test's time limit ends a vain wait)."""
        with self.seen:
            self.seen.wait_for(lambda: len(self.paths) >= count)
            return list(self.paths)


def pictures(settings: Settings) -> list[Path]:
    return sorted((settings.state / "previews").rglob("*.png"))


def digest(settings: Settings, path: str) -> str:
    return query(settings, "SELECT encode(sha256, 'hex') FROM archive.products WHERE path = %s", path)[0][0]


def states(settings: Settings) -> dict[tuple[str, str], str]:
    rows = query(
        settings, "SELECT path, kind, state FROM archive.analyses JOIN archive.products USING (product_id)"
    )
    return {(path, kind): state for path, kind, state in rows}


def test_a_file_gets_its_pictures_once(settings: Settings, analyst: Analyst) -> None:
    write_image(settings.data / "run/a.fits", FRAME)
    ingest([settings.data], settings)
    assert analyst.work() == 1
    made = pictures(settings)
    assert {path.name for path in made} == {
        picture_store.path(settings, digest(settings, "run/a.fits"), kind).name for kind in Kind
    }
    assert states(settings) == {("run/a.fits", "preview"): "done", ("run/a.fits", "statistics"): "done"}
    assert query(settings, "SELECT median, minimum, maximum FROM archive.pixel_statistics") == [
        (299.5, 0, 599)
    ]
    before = [path.stat().st_mtime_ns for path in made]
    assert analyst.work() == 0
    assert [path.stat().st_mtime_ns for path in made] == before
    assert list((settings.state / "analysis").iterdir()) == []


def test_pictures_follow_the_bytes(settings: Settings, analyst: Analyst) -> None:
    """Of a file that changes, the old ones go; of one that moves, they stay; with its last copy, they go."""
    frame = write_image(settings.data / "run/a.fits", FRAME)
    ingest([settings.data], settings)
    analyst.work()
    old = pictures(settings)
    write_image(frame, FRAME + 1)
    write_image(settings.data / "run/copy.fits", FRAME + 1)
    ingest([settings.data], settings)
    analyst.work()
    new = pictures(settings)
    assert len(new) == 2
    assert not set(new) & set(old)
    query(settings, "DELETE FROM archive.products WHERE path = 'run/a.fits'")
    analyst.work()
    assert pictures(settings) == new
    query(settings, "UPDATE archive.products SET path = 'run/moved.fits'")
    (settings.data / "run/copy.fits").rename(settings.data / "run/moved.fits")
    analyst.work()
    assert pictures(settings) == new
    query(settings, "DELETE FROM archive.products")
    analyst.work()
    assert pictures(settings) == []


def test_what_fails_is_said_and_not_tried_again(
    settings: Settings, analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tile-compressed data that are cut short are whole by their header.
    frame = write_image(settings.data / "run/a.fits", FRAME)
    ingest([settings.data], settings)
    broken = Analyst(settings, Tools(Seeing(Findings("failed", "It is odd.")), solution))
    assert (broken.work(), broken.work()) == (1, 0)
    assert pictures(settings) == []
    for name in ("state", "database"):
        monkeypatch.setenv(f"OST_VO_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("OST_VO_DATA_ROOT", str(settings.data))
    listed = CliRunner().invoke(app, ["analyse", "--failed"], env={"COLUMNS": "200"}).output
    assert "run/a.fits" in listed
    assert "It is odd." in listed
    assert analyst.work() == 0
    again = CliRunner().invoke(app, ["analyse", "--again", str(frame.parent)])
    assert again.exit_code == 0, again.output
    assert len(pictures(settings)) == 2
    assert "Nothing has failed." in CliRunner().invoke(app, ["analyse", "--failed"]).output


def test_paths_go_with_again_alone() -> None:
    result = CliRunner().invoke(app, ["analyse", "somewhere"])
    assert "--again" in str(result.exception)


def test_a_file_that_is_not_there_is_seen_to_when_it_is(settings: Settings, analyst: Analyst) -> None:
    frame = write_image(settings.data / "run/a.fits", FRAME)
    ingest([settings.data], settings)
    away = frame.rename(settings.data / "elsewhere")
    analyst.work()
    assert set(states(settings).values()) == {"absent"}
    query(settings, "UPDATE archive.products SET missing_since = now()")
    away.rename(frame)
    query(settings, "UPDATE archive.products SET missing_since = NULL")
    analyst.work()
    assert set(states(settings).values()) == {"done"}


def test_a_file_that_leads_out_of_the_data_root_is_left_alone(
    settings: Settings, analyst: Analyst, tmp_path: Path
) -> None:
    frame = write_image(settings.data / "run/a.fits", FRAME)
    ingest([settings.data], settings)
    outside = frame.rename(tmp_path / "outside.fits")
    frame.symlink_to(outside)
    analyst.work()
    assert set(states(settings).values()) == {"absent"}


def test_a_file_that_changes_meanwhile_waits_for_ingest(settings: Settings) -> None:
    frame = write_image(settings.data / "run/a.fits", FRAME)
    ingest([settings.data], settings)
    seeing = Seeing(Findings("done"))
    original = seeing.look

    def look(task: Task) -> Findings:
        found = original(task)
        write_image(frame, FRAME + 1)
        ingest([settings.data], settings)
        seeing.look = original  # type: ignore[method-assign]
        return found

    seeing.look = look  # type: ignore[method-assign]
    Analyst(settings, Tools(seeing, solution)).work()
    assert seeing.paths == ["a.fits", "a.fits"]
    wanted = {picture_store.path(settings, digest(settings, "run/a.fits"), kind) for kind in Kind}
    assert set(pictures(settings)) == wanted


def test_a_full_disk_is_no_fault_of_the_file(settings: Settings) -> None:
    write_image(settings.data / "run/a.fits", FRAME)
    ingest([settings.data], settings)
    from ost_vo.faults import TransientFault

    with pytest.raises(TransientFault, match="No space left"):
        Analyst(settings, Tools(Seeing(Findings(RETRY, "No space left on device")), solution)).work()
    assert states(settings) == {}
    assert query(settings, "SELECT attempts FROM archive.analysis_queue") == [(0,)]


def test_a_file_that_ends_its_worker_is_given_up(settings: Settings) -> None:
    write_image(settings.data / "run/a.fits", FRAME)
    ingest([settings.data], settings)
    query(settings, "UPDATE archive.analysis_queue SET attempts = 3")
    seeing = Seeing(Findings("done"))
    Analyst(settings, Tools(seeing, solution)).work()
    assert seeing.paths == []
    assert set(states(settings).values()) == {"failed"}


def test_several_workers_share_the_queue_newest_first(settings: Settings) -> None:
    names = [f"{number:02}.fits" for number in range(12)]
    for number, name in enumerate(names):
        write_image(settings.data / "run" / name, FRAME + number)
        if number in (5, 11):
            ingest([settings.data], settings)
    seeing = Seeing(Findings("done"))
    workers = [Analyst(settings, Tools(seeing, solution)) for _ in range(3)]
    threads = [threading.Thread(target=worker.work) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seeing.paths) == names
    assert set(seeing.paths[:4]) <= set(names[6:])


def test_what_lands_is_seen_to_at_once(settings: Settings) -> None:
    seeing = Seeing(Findings("none", "Nothing to see."))
    analyst = Analyst(settings, Tools(seeing, solution))
    thread = threading.Thread(target=analyst.follow)
    thread.start()
    try:
        for number in range(2):
            write_image(settings.data / f"run/{number}.fits", FRAME + number)
            ingest([settings.data], settings)
            assert seeing.await_paths(number + 1)[-1] == f"{number}.fits"
    finally:
        analyst.stop()
        thread.join()
