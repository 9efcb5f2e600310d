"""Downloads and cutouts whose worker is killed, is stopped, or hears of them through Redis."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ost_vo.access.context import ANONYMOUS
from ost_vo.services import worker
from ost_vo.services.archive import Archive
from ost_vo.services.engine import Engine
from ost_vo.services.execution import directory
from ost_vo.settings import Settings
from ost_vo.tasks import dispatcher
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import FINAL, Job, Phase
from tests.conftest import execute
from tests.downloads.conftest import MODIFIED, Night
from tests.downloads.workers import CUTOUTS, EXECUTORS, KIND
from tests.uws.conftest import LOST_SECONDS, LOST_SOON

# A file without blocks on disk takes many seconds to read, and no room.
LARGE_BYTES = 40 * 2**30
LARGE = "light 1.fits"
ROUNDS = 4800
# Cutouts of one job.
PLACES = 800


class Office:
    """Workers of their own on the archive's database, and a state directory of their own.

    Attributes:
        settings: with the state directory.
        jobs: the use cases.
        engine: what sweeps here.
    """

    def __init__(self, night: Night, state: Path, lost_seconds: float) -> None:
        service = night.service.settings
        self.settings = Settings(
            state=state,
            data_root=service.data,
            database=f"host='{service.sockets}' port=5432 dbname=ost_vo",
            job_lost_seconds=lost_seconds,
            job_slots=1,
            download_bytes=2 * LARGE_BYTES,
            authority=service.authority,
        )
        self.settings.sockets.mkdir(parents=True)
        self.redis = self.settings.sockets / "redis.sock"
        self.redis_target = service.sockets / "redis.sock"
        self.redis.symlink_to(self.redis_target)
        self.archive = Archive.open(self.settings)
        self.engine = Engine(self.archive, 0, dispatch=dispatcher(self.settings), executors=EXECUTORS)
        self.jobs = self.engine.jobs
        self._processes: list[subprocess.Popen[bytes]] = []
        self._here: Engine | None = None

    def process(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a worker in a process of its own."""
        names = (
            "state", "data_root", "database", "job_lost_seconds", "job_slots", "download_bytes", "authority"
        )  # fmt: skip
        values = {f"OST_VO_{name.upper()}": str(getattr(self.settings, name)) for name in names}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.downloads.workers", *arguments],
            env={**os.environ, **values},
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def start_here(self) -> None:
        """Start a worker in this process."""
        self._here = Engine(self.archive, 1, executors=EXECUTORS)
        self._here.start()

    def create(self, identifier: str, form: str = "zip") -> str:
        """Create an anonymous job for a file."""
        wanted = [("ID", identifier), ("RESPONSEFORMAT", form), ("PHASE", "RUN")]
        return self.jobs.create(KIND, ANONYMOUS, Parameters(wanted))

    def create_cutouts(self) -> str:
        """Create an anonymous job for many cutouts of one image."""
        ((identifier, longitude, latitude),) = execute(
            self.settings.dsn("ost_owner"),
            "SELECT obs_publisher_did, s_ra, s_dec FROM archive.products WHERE s_region IS NOT NULL"
            " AND dataproduct_type = 'image' AND path LIKE '%%.fits' ORDER BY path LIMIT 1",
        )
        places = [f"{longitude} {latitude} {1e-3 * (1 + number / PLACES)}" for number in range(PLACES)]
        wanted = [("ID", identifier), *(("CIRCLE", place) for place in places), ("PHASE", "RUN")]
        return self.jobs.create(CUTOUTS, ANONYMOUS, Parameters(wanted))

    def is_writing(self, job_id: str) -> bool:
        """Say whether some of a result has been written."""
        return any(path.stat().st_size for path in directory(self.settings, job_id).glob("*.part"))

    def job(self, job_id: str) -> Job:
        """Return a job."""
        return self.jobs.one(None, job_id, ANONYMOUS).get()

    def ended(self, job_id: str) -> Phase | None:
        """Return the last phase of a job, None while it has not ended; a failure of it is one of the test."""
        job = self.job(job_id)
        assert job.failure is None, job.failure
        return job.phase if job.phase in FINAL else None

    def until(self, condition: Callable[[], object]) -> None:
        """Return when a condition holds."""
        for _ in range(ROUNDS):
            if condition():
                return
            execute(self.settings.dsn("ost_owner"), "SELECT pg_sleep(0.05)")
        raise AssertionError("it did not come true")

    def until_in_the_middle(self, job_id: str) -> None:
        """Return when some of the bytes are done."""
        self.until(lambda: (self.job(job_id).progress or {}).get("bytes_done"))

    def close(self) -> None:
        """End what was started."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._here:
            self._here.stop()
        self.archive.close()


@pytest.fixture
def office(night: Night, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Office]:
    office = Office(night, tmp_path / "s", getattr(request, "param", LOST_SECONDS))
    yield office
    office.close()
    night.execute("DELETE FROM archive.jobs WHERE kind = ANY (%s)", [KIND, CUTOUTS])


@pytest.fixture
def large(night: Night) -> Iterator[Callable[[], None]]:
    """A product whose file is large until the function is called that this fixture gives."""
    path, content = night.path(LARGE), night.contents[LARGE]

    def shrink() -> None:
        path.write_bytes(content)
        os.utime(path, (MODIFIED, MODIFIED))

    os.truncate(path, LARGE_BYTES)
    yield shrink
    shrink()


@pytest.mark.parametrize("office", [LOST_SOON], indirect=True)
def test_another_worker_finishes_the_download_of_a_killed_one(
    office: Office, night: Night, large: Callable[[], None]
) -> None:
    first = office.process()
    job_id = office.create(night.did(LARGE), "tar.zst")
    office.until_in_the_middle(job_id)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    large()
    office.start_here()
    office.until(lambda: office.ended(job_id) is Phase.COMPLETED)
    kept = {path.name for path in directory(office.settings, job_id).iterdir()}
    assert kept == {"archive", "plan", "manifest", "manifest.csv", "checksums", "script"}


@pytest.mark.parametrize("office", [LOST_SOON], indirect=True)
def test_another_worker_finishes_the_cutouts_of_a_killed_one(office: Office) -> None:
    first = office.process()
    job_id = office.create_cutouts()
    office.until(lambda: office.is_writing(job_id))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    office.start_here()
    office.until(lambda: office.ended(job_id) is Phase.COMPLETED)
    where = directory(office.settings, job_id)
    assert {path.name for path in where.iterdir()} == {"cutouts.tar", "manifest.csv"}
    with (where / "manifest.csv").open() as manifest:
        assert [row["status"] for row in csv.DictReader(manifest)] == ["ok"] * PLACES
    with tarfile.open(where / "cutouts.tar") as tar:
        assert len(tar.getnames()) == PLACES + 1


def test_cutouts_are_cancelled_in_the_middle(office: Office) -> None:
    office.start_here()
    job_id = office.create_cutouts()
    office.until(lambda: office.is_writing(job_id))
    office.jobs.one(CUTOUTS, job_id, ANONYMOUS).abort()
    office.until(lambda: not directory(office.settings, job_id).exists())
    assert office.job(job_id).phase is Phase.ABORTED


def test_a_download_whose_workers_all_die_says_so(office: Office, night: Night) -> None:
    job_id = office.create(night.did(LARGE))
    night.execute(
        "UPDATE archive.jobs SET phase = 'EXECUTING', worker = 'dead', attempts = %s,"
        " heartbeat = now() - interval '1 hour' WHERE job_id = %s",
        worker.ATTEMPTS,
        job_id,
    )
    office.engine.worker.sweep()
    job = office.job(job_id)
    assert job.phase is Phase.ERROR
    assert job.failure is not None
    assert "stopped 3 times" in job.failure.message


def test_a_download_is_cancelled_in_the_middle(office: Office, night: Night, large: object) -> None:
    assert large
    office.start_here()
    aborted, deleted = (office.create(night.did(LARGE), form) for form in ("zip-deflated", "zip"))
    office.until_in_the_middle(aborted)
    office.jobs.one(KIND, aborted, ANONYMOUS).control(Parameters([("PHASE", "ABORT")]))
    office.until_in_the_middle(deleted)
    office.jobs.one(KIND, deleted, ANONYMOUS).delete()
    for job_id in (aborted, deleted):
        where = directory(office.settings, job_id)
        office.until(lambda where=where: not where.exists())
    assert office.job(aborted).phase is Phase.ABORTED


def test_jobs_go_through_redis_and_wait_while_it_is_away(
    office: Office, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.redis.unlink()
    waiting = [office.create(night.did(LARGE)), office.create_cutouts()]
    assert {office.job(job_id).phase for job_id in waiting} == {Phase.QUEUED}
    office.redis.symlink_to(office.redis_target)
    office.process("celery", KIND, CUTOUTS)
    # The reminder that otherwise comes after a minute.
    monkeypatch.setattr(worker, "REMIND_SECONDS", 0)
    office.engine.worker.sweep()
    for job_id in waiting:
        office.until(lambda job_id=job_id: office.ended(job_id) is Phase.COMPLETED)
    told = office.create(night.did(LARGE), "tar.zst")
    office.until(lambda: office.ended(told) is Phase.COMPLETED)
