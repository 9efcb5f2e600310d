"""Many files: batches in the database, and several processes that read."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading
from pathlib import Path

import psycopg2
import pytest

from ingest import crew, load
from ingest.load import Outcome, Report, ingest
from ingest.observatory import Observatory
from ingest.reading import Failure, Reading, Task, read
from ost_vo.settings import Settings
from ost_vo.store import ingesting
from tests.ingest.frames import TAN, rows, write_frame

STORED = "SELECT path, sha256, t_exptime FROM archive.products ORDER BY path"


@pytest.fixture
def frames(settings: Settings) -> list[Path]:
    """Frames of three runs, one of them bad."""
    paths = [settings.data / f"2022010{n % 3}" / f"{n:03d}.fit" for n in range(120)]
    for number, path in enumerate(paths):
        write_frame(path, TAN | {"EXPTIME": float(number), "OBJECT": f"NGC {number % 7}"}, (2, 2))
    paths[50].write_bytes(b"nothing")
    return paths


def stored(settings: Settings) -> list[tuple[str, bytes]]:
    """Return paths and hashes of all products, in the order of their paths."""
    return [(path, bytes(digest)) for path, digest, _ in rows(settings, STORED)]


def on_disk(settings: Settings, frames: list[Path]) -> list[tuple[str, bytes]]:
    """Return the same of the good frames."""
    return sorted(
        (str(path.relative_to(settings.data)), hashlib.sha256(path.read_bytes()).digest())
        for path in frames
        if path != frames[50]
    )


def test_a_batch_costs_few_statements(
    settings: Settings, frames: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = []

    class Counting(psycopg2.extensions.cursor):
        def execute(self, query: object, values: object = None) -> None:
            statements.append(query)
            super().execute(query, values)

    connect = psycopg2.connect
    monkeypatch.setattr(
        ingesting.psycopg2, "connect", lambda dsn: connect(dsn, cursor_factory=Counting), raising=True
    )
    # However busy the machine is, batches are full.
    monkeypatch.setattr(load, "_PATIENCE", 60.0)
    monkeypatch.setattr(load, "_MOST_PATIENCE", 60.0)
    report = ingest([settings.data], settings)
    monkeypatch.undo()
    assert report.counts[Outcome.INGESTED] == len(frames) - 1
    assert len(statements) < len(frames)
    assert stored(settings) == on_disk(settings, frames)


def in_processes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Ingest everything with two processes, which start after the first file."""
    monkeypatch.setattr(crew, "_ALONE_SECONDS", 0.0)
    return ingest([settings.data], settings.model_copy(update={"ingest_processes": 2}))


@pytest.fixture
def read_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """See that the other processes have started before half of the files are read; list what is read here."""
    here: list[str] = []
    started, pause = tmp_path / "started", threading.Event()

    def read_slowly(task: Task, observatory: Observatory) -> Reading | Failure:
        here.append(task.path)
        while len(here) > 1 and not started.exists():
            pause.wait(0.02)
        pause.wait(0.2)
        return read(task, observatory)

    monkeypatch.setattr(crew, "_SERVE", crew._SERVE.replace("serve(", f"open({str(started)!r}, 'w'); serve("))
    monkeypatch.setattr(crew, "read", read_slowly)
    return here


def test_several_processes_do_what_one_does(
    settings: Settings, frames: list[Path], monkeypatch: pytest.MonkeyPatch, read_elsewhere: list[str]
) -> None:
    report = in_processes(settings, monkeypatch)
    assert len(read_elsewhere) < len(frames) / 2
    assert report.counts[Outcome.INGESTED] == len(frames) - 1
    assert [path for path, _ in report.quarantined] == ["20220102/050.fit"]
    assert stored(settings) == on_disk(settings, frames)
    order = rows(settings, "SELECT path FROM archive.products ORDER BY product_id")
    assert order == sorted(order)


@pytest.mark.usefixtures("read_elsewhere")
def test_a_process_that_ends_over_a_file_takes_no_other_with_it(
    settings: Settings, frames: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = "import os; from ingest import reading_process as there; read = there.read; "
    deadly += "there.read = lambda task, observatory: "
    deadly += "os.kill(os.getpid(), 9) if task.path.endswith('/113.fit') else read(task, observatory); "
    monkeypatch.setattr(crew, "_SERVE", deadly + crew._SERVE)
    report = in_processes(settings, monkeypatch)
    assert [path for path, _ in report.quarantined] == ["20220102/050.fit", "20220102/113.fit"]
    assert "ended over it (-9)" in report.quarantined[1][1]
    assert report.counts[Outcome.INGESTED] == len(frames) - 2


def test_processes_that_do_not_start_are_done_without(
    settings: Settings, frames: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "_SERVE", "raise SystemExit(3)")
    report = in_processes(settings, monkeypatch)
    assert report.counts[Outcome.INGESTED] == len(frames) - 1


def test_two_ingests_at_once_take_each_file_once(settings: Settings, frames: list[Path]) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=ingest, args=([settings.data], settings)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert stored(settings) == on_disk(settings, frames)
