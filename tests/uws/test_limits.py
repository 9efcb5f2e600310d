"""How many jobs may wait, how long a list gets, how large a result."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ost_vo.access.context import ANONYMOUS, Context
from ost_vo.faults import TransientFault, UsageFault
from ost_vo.services import tap_jobs
from ost_vo.services.archive import Archive
from ost_vo.services.execution import Execution
from ost_vo.services.jobs import LISTED, Jobs
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Job, Phase
from tests.conftest import Service
from tests.uws.conftest import Desk

RUN = Parameters([("PHASE", "RUN")])


def user(desk: Desk, name: str) -> Context:
    ((number,),) = desk.execute("INSERT INTO archive.users (name) VALUES (%s) RETURNING user_id", name)
    return Context(user_id=number)


def small_queue(desk: Desk) -> Jobs:
    """Return the use cases with room for two jobs of a caller in the queue, which nobody takes out."""
    return Jobs(replace(desk.archive, settings=desk.settings.model_copy(update={"job_queue": 2})))


def test_a_caller_has_room_for_so_many_jobs_in_the_queue(desk: Desk) -> None:
    jobs, ann = small_queue(desk), user(desk, "ann")
    first, _ = (jobs.create("echo", ann, RUN) for _ in range(2))
    with pytest.raises(TransientFault, match=r"You have 2 jobs in the queue.*abort those"):
        jobs.create("echo", ann, RUN)
    assert len(jobs.listing("echo", ann, Parameters([]))) == 2
    waiting = jobs.create("echo", ann, Parameters([]))
    with pytest.raises(TransientFault, match="2 jobs in the queue"):
        jobs.one("echo", waiting, ann).control(RUN)
    assert jobs.one("echo", waiting, ann).get().phase == Phase.PENDING
    # Starting once more what waits already changes nothing, as ever.
    jobs.one("echo", first, ann).control(RUN)
    jobs.one("echo", first, ann).control(Parameters([("PHASE", "ABORT")]))
    jobs.one("echo", waiting, ann).control(RUN)
    assert jobs.one("echo", waiting, ann).get().phase == Phase.QUEUED


def test_the_jobs_of_others_take_nobody_elses_room(desk: Desk) -> None:
    jobs = small_queue(desk)
    for caller in (user(desk, "ann"), user(desk, "bob"), ANONYMOUS):
        for _ in range(2):
            jobs.create("echo", caller, RUN)
    with pytest.raises(TransientFault, match="not logged in have 2 jobs"):
        jobs.create("echo", ANONYMOUS, RUN)


def test_a_list_shows_the_newest_jobs_only(desk: Desk) -> None:
    ann = user(desk, "ann")
    desk.execute(
        "INSERT INTO archive.jobs (job_id, kind, phase, owner_id, context, parameters, execution_duration,"
        " created, destruction) SELECT lpad(to_hex(n), 32, '0'), 'echo', 'COMPLETED', %s, '{}', '[]', 60,"
        " now() + n * interval '1 s', now() + interval '1 day' FROM generate_series(1, %s) AS n",
        ann.user_id,
        LISTED + 5,
    )
    listed = desk.jobs.listing("echo", ann, Parameters([]))
    assert [job.id for job in (listed[0], listed[-1])] == [f"{LISTED + 5:032x}", f"{6:032x}"]
    assert len(desk.jobs.listing("echo", ann, Parameters([("LAST", str(LISTED + 3))]))) == LISTED + 3
    assert len(desk.jobs.listing("echo", ann, Parameters([("PHASE", "COMPLETED")]))) == LISTED + 5


def test_a_result_that_gets_too_large_ends_its_job(service: Service, tmp_path: Path) -> None:
    archive = Archive.open(service.settings.model_copy(update={"job_result_bytes": 1000}))
    now = datetime.now(UTC)
    query = (("LANG", "ADQL"), ("QUERY", "SELECT * FROM ivoa.obscore"))
    job = Job("a", "tap", Phase.EXECUTING, None, None, None, now, now, None, 60, now, query)
    execution = Execution(job, ANONYMOUS, tmp_path)
    try:
        with pytest.raises(UsageFault, match=r"larger than 0.001 MB.*Ask for fewer"):
            tap_jobs.execute(archive, execution)
        execution.discard()
        assert not list(tmp_path.glob("*"))
    finally:
        archive.close()
