"""How many downloads somebody may have in preparation, and how large one may be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ost_vo.access.context import ANONYMOUS, Context
from ost_vo.faults import Fault, TransientFault
from ost_vo.services import downloads
from ost_vo.services.archive import Archive
from ost_vo.services.execution import Execution
from ost_vo.services.jobs import Jobs
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Job, Phase
from tests.conftest import ScratchArchive, execute
from tests.downloads.conftest import RUN, Night

STARTED = Parameters([("PHASE", "RUN")])
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def jobs(archive: ScratchArchive, tmp_path: Path) -> Iterator[Jobs]:
    """The use cases, with room for three users' jobs and for five in all; nobody runs them."""
    limits = {"download_jobs_user": 3, "download_jobs": 5, "state": tmp_path}
    opened = Archive.open(archive.settings.model_copy(update=limits))
    yield Jobs(opened)
    opened.close()


def user(archive: ScratchArchive, name: str) -> Context:
    dsn = archive.settings.dsn("ost_owner")
    ((number,),) = execute(dsn, "INSERT INTO archive.users (name) VALUES (%s) RETURNING user_id", name)
    return Context(user_id=number)


def create(jobs: Jobs, caller: Context = ANONYMOUS, address: str = HERE) -> str:
    return jobs.create(downloads.KIND, caller, STARTED, address)


def test_users_addresses_and_all_have_room_for_so_many(archive: ScratchArchive, jobs: Jobs) -> None:
    ann = user(archive, "ann")
    own = [create(jobs, ann) for _ in range(3)]
    with pytest.raises(TransientFault, match="You have 3 downloads in preparation"):
        create(jobs, ann)
    waiting = jobs.create(downloads.KIND, ANONYMOUS, Parameters([]), HERE)
    first, _ = create(jobs), create(jobs)
    with pytest.raises(TransientFault, match="From your address, 2 downloads"):
        create(jobs)
    with pytest.raises(TransientFault, match="From your address, 2 downloads"):
        jobs.one(downloads.KIND, waiting, ANONYMOUS).control(STARTED)
    with pytest.raises(TransientFault, match="The archive has 5 downloads"):
        create(jobs, address=THERE)
    jobs.one(downloads.KIND, own[0], ann).control(Parameters([("PHASE", "ABORT")]))
    create(jobs, address=THERE)
    jobs.one(downloads.KIND, first, ANONYMOUS).delete()
    jobs.one(downloads.KIND, waiting, ANONYMOUS).control(STARTED)
    assert jobs.one(downloads.KIND, waiting, ANONYMOUS).get().phase is Phase.QUEUED


def test_requests_at_the_same_moment_do_not_slip_through(jobs: Jobs) -> None:
    refused: list[Fault] = []

    def attempt() -> None:
        try:
            create(jobs)
        except Fault as fault:
            refused.append(fault)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 6


def test_a_download_lives_for_three_days(jobs: Jobs) -> None:
    job = jobs.one(downloads.KIND, create(jobs), ANONYMOUS).get()
    assert abs(job.destruction - datetime.now(UTC) - timedelta(hours=72)) < timedelta(minutes=1)
    asked = jobs.one(downloads.KIND, job.id, ANONYMOUS)
    asked.set_destruction(Parameters([("DESTRUCTION", "2099-01-01")]))
    assert asked.get().destruction < datetime.now(UTC) + timedelta(hours=73)


def test_only_the_address_of_an_anonymous_creator_is_kept(archive: ScratchArchive, jobs: Jobs) -> None:
    create(jobs, user(archive, "ann"))
    create(jobs)
    jobs.create("tap", ANONYMOUS, STARTED, HERE)
    rows = execute(
        archive.settings.dsn("ost_owner"),
        "SELECT kind, owner_id IS NULL, address FROM archive.jobs ORDER BY 1, 2",
    )
    assert rows == [("download", False, None), ("download", True, HERE), ("tap", True, None)]


@pytest.mark.parametrize(
    ("limit", "form", "message"),
    [
        ({"download_files": 3}, "zip", "more than 3 files"),
        ({"download_bytes": 2_000_000}, "zip", "bytes in all, and a download may have 2000000"),
        ({"download_spare_bytes": 10**15}, "tar.zst", "no room on the archive's disk"),
        ({"download_spare_bytes": 10**15}, "zip-deflated", "no room on the archive's disk"),
    ],
    ids=["files", "bytes", "disk for tar.zst", "disk for ZIP"],
)
def test_a_download_may_be_so_large(
    night: Night, tmp_path: Path, limit: dict[str, int], form: str, message: str
) -> None:
    with pytest.raises(Fault, match=message):
        made(night, tmp_path, limit, form)
    assert not list(tmp_path.iterdir())


def test_an_archive_that_is_not_kept_needs_no_disk(night: Night, tmp_path: Path) -> None:
    made(night, tmp_path, {"download_spare_bytes": 10**15}, "zip")


@pytest.mark.parametrize("form", ["zip-deflated", "tar.zst"])
def test_a_disk_that_is_full_is_told_and_nothing_is_left(night: Night, tmp_path: Path, form: str) -> None:
    # The kernel's own full disk.
    (tmp_path / "archive.mark.part").symlink_to("/dev/full")
    with pytest.raises(TransientFault, match=r"no room on the archive's disk.*Ask for zip or tar"):
        made(night, tmp_path, {}, form)
    assert not list(tmp_path.iterdir())


def test_a_job_that_takes_too_long_stops(night: Night, tmp_path: Path) -> None:
    with pytest.raises(TransientFault, match="for as long as it may"):
        made(night, tmp_path, {}, "zip", seconds=0)


def made(night: Night, directory: Path, limit: dict[str, int], form: str, seconds: int = 60) -> None:
    """Run a job here, with all files of the run that everybody may see, and end it as a worker does."""
    archive = Archive.open(night.service.settings.model_copy(update=limit))
    now = datetime.now(UTC)
    wanted = (("RUN", RUN), ("RESPONSEFORMAT", form))
    job = Job("a", downloads.KIND, Phase.EXECUTING, None, None, None, now, now, None, seconds, now, wanted)
    execution = Execution(job, ANONYMOUS, directory, _mark="mark")
    try:
        assert downloads.execute(archive, execution)
    finally:
        execution.discard()
        archive.close()
        directory.mkdir(exist_ok=True)
