"""Celery workers run jobs as those of the service do."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ost_vo.access.context import ANONYMOUS
from ost_vo.services.engine import Engine
from ost_vo.services.execution import directory
from ost_vo.settings import Settings
from ost_vo.tasks import dispatcher
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Phase
from tests.conftest import ScratchArchive
from tests.uws.conftest import LOST_SECONDS, LOST_SOON, Desk
from tests.uws.kinds import EXECUTORS


@pytest.fixture
def office(archive: ScratchArchive, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A desk whose jobs go to Redis, that of the deployment."""
    lost = getattr(request, "param", LOST_SECONDS)
    settings = Settings(state=tmp_path / "s", database=archive.settings.database, job_lost_seconds=lost)
    settings.sockets.mkdir(parents=True)
    (settings.sockets / "redis.sock").symlink_to(archive.settings.sockets / "redis.sock")
    desk = Desk(settings)
    engine = Engine(desk.archive, 0, dispatch=dispatcher(settings), executors=EXECUTORS)
    desk.jobs = engine.jobs
    engine.start()
    yield desk
    engine.stop()
    desk.close()


def test_a_worker_runs_fails_and_aborts_jobs(office: Desk) -> None:
    office.process("celery")
    done, failed, aborted = (
        office.create("echo", A="1"),
        office.create("crash"),
        office.create("sleep", SECONDS="600"),
    )
    office.await_phase(done, Phase.COMPLETED)
    assert (directory(office.settings, done) / "result").read_text() == "A=1"
    office.until(lambda: office.jobs.one("crash", failed, ANONYMOUS).get().phase is Phase.ERROR)
    office.until(lambda: office.sleepers() == 1)
    office.jobs.one("sleep", aborted, ANONYMOUS).control(Parameters([("PHASE", "ABORT")]))
    office.until(lambda: office.sleepers() == 0)
    assert office.jobs.one("sleep", aborted, ANONYMOUS).get().phase is Phase.ABORTED


def test_kinds_with_places_of_their_own_do_not_wait_for_others(office: Desk) -> None:
    office.process("celery", "echo")
    slow = [office.create("sleep", SECONDS="600") for _ in range(office.settings.job_slots)]
    waiting = office.create("refuse")
    office.until(lambda: office.sleepers() == len(slow))
    quick = [office.create("echo") for _ in range(3)]
    for job_id in quick:
        office.until(lambda: office.jobs.one("echo", job_id, ANONYMOUS).get().phase is Phase.COMPLETED)  # noqa: B023
    assert office.jobs.one("refuse", waiting, ANONYMOUS).get().phase is Phase.QUEUED
    office.jobs.one("sleep", slow[0], ANONYMOUS).abort()
    # Its message has come while there was no place: whoever leaves the place has looked for it.
    office.until(lambda: office.jobs.one("refuse", waiting, ANONYMOUS).get().phase is Phase.ERROR)


@pytest.mark.parametrize("office", [LOST_SOON], indirect=True)
def test_another_worker_finishes_the_job_of_a_killed_one(office: Desk) -> None:
    first = office.process("celery")
    job_id = office.create("sleep", SECONDS="600")
    office.until(lambda: office.sleepers() == 1)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    office.execute('UPDATE archive.jobs SET parameters = \'[["SECONDS", "0"]]\'')
    office.process("celery")
    office.await_phase(job_id, Phase.COMPLETED)


def test_a_stopped_worker_gives_its_job_back(office: Desk) -> None:
    worker = office.process("celery")
    job_id = office.create("sleep", SECONDS="600")
    office.until(lambda: office.sleepers() == 1)
    worker.send_signal(signal.SIGQUIT)
    office.await_phase(job_id, Phase.QUEUED)
    worker.wait()
    assert office.execute("SELECT attempts FROM archive.jobs") == [(0,)]
    # The server notices in a moment that nobody waits for the query any more.
    office.until(lambda: office.sleepers() == 0)


def test_jobs_wait_while_redis_is_away(office: Desk) -> None:
    (office.settings.sockets / "redis.sock").unlink()
    job_id = office.create("echo")
    assert office.jobs.one("echo", job_id, ANONYMOUS).get().phase is Phase.QUEUED
