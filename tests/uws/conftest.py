"""Engines on a scratch database, and a way to hear of jobs."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from ost_vo.access.context import ANONYMOUS
from ost_vo.services.archive import Archive
from ost_vo.services.engine import Engine
from ost_vo.settings import Settings
from ost_vo.store.jobs import CHANNEL
from ost_vo.store.notices import Listener
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Phase
from tests.conftest import ScratchArchive, execute
from tests.uws.kinds import EXECUTORS

# Long enough for workers to start on a machine that is busy.
HEAR_SECONDS = 240
# After which a silent worker counts as dead: longer than a busy machine holds up one that is alive, and where
# one is killed (`LOST_SOON`, a parameter of the fixture), as soon as can be.
LOST_SECONDS = 60.0
LOST_SOON = 1.5


class Desk:
    """Jobs on a scratch database.

    Attributes:
        settings: with a state directory of its own.
        archive: open, without engine.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.archive = Archive.open(settings)
        self._heard: queue.Queue[str] = queue.Queue()
        ready = queue.Queue[bool]()
        self._listener = Listener(settings.dsn("ost_web"), CHANNEL, self._heard.put, lambda: ready.put(True))
        self._listener.start()
        ready.get(timeout=HEAR_SECONDS)
        self._engines: list[Engine] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._idle = Engine(self.archive, 0, executors=EXECUTORS)
        self.jobs = self._idle.jobs

    def engine(self, slots: int = 1, *own: str) -> Engine:
        """Start an engine in this process, with a place for each kind that is to have one of its own."""
        engine = Engine(self.archive, slots, own=dict.fromkeys(own, 1), executors=EXECUTORS)
        engine.start()
        self._engines.append(engine)
        return engine

    def process(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a worker in a process of its own."""
        names = ("state", "port", "database", "job_lost_seconds", "job_slots")
        values = {f"OST_VO_{name.upper()}": str(getattr(self.settings, name)) for name in names}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.uws.kinds", *arguments],
            env={**os.environ, **values},
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def create(self, kind: str, *, run: bool = True, **parameters: str) -> str:
        """Create an anonymous job."""
        control = [("PHASE", "RUN")] if run else []
        return self.jobs.create(kind, ANONYMOUS, Parameters([*parameters.items(), *control]))

    def await_phase(self, job_id: str, phase: Phase) -> None:
        """Return when the database has told that the job came to this phase."""
        while self._heard.get(timeout=HEAR_SECONDS) != f"{job_id} {phase}":
            continue

    def execute(self, statement: str, *values: object) -> list[tuple]:
        """Run a statement as the owner of the tables."""
        return execute(self.settings.dsn("ost_owner"), statement, *values)

    def sleepers(self) -> int:
        """Return how many queries sleep in the database."""
        statement = """
            SELECT count(*) FROM pg_stat_activity
            WHERE query LIKE 'COPY (SELECT pg_sleep%' AND state = 'active' AND datname = current_database()"""
        connection = psycopg2.connect(self.settings.dsn("ost_web"))
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            count: int = cursor.fetchone()[0]
        connection.close()
        return count

    def until(self, condition: Callable[[], bool]) -> None:
        """Return when a condition holds."""
        for _ in range(HEAR_SECONDS * 20):
            if condition():
                return
            self.execute("SELECT pg_sleep(0.05)")
        raise AssertionError("it did not come true")

    def close(self) -> None:
        """End what was started."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for engine in self._engines:
            engine.stop()
        self._listener.stop()
        self.archive.close()


@pytest.fixture
def desk(archive: ScratchArchive, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Jobs on a scratch database, which nobody runs yet."""
    lost = getattr(request, "param", LOST_SECONDS)
    desk = Desk(archive.settings.model_copy(update={"state": tmp_path / "state", "job_lost_seconds": lost}))
    yield desk
    desk.close()
