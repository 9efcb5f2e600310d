"""Jobs in the database: phases change as they may, and each change happens once."""

from __future__ import annotations

import itertools
import threading

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ost_vo.store.jobs import Claim, JobStore
from ost_vo.vo.uws import Failure, Phase, Result, may_follow
from tests.uws.conftest import Desk

FAILURE = Failure("FatalFault", "it failed", transient=False)
_numbers = itertools.count()
OPERATIONS = ("queue", "abort", "claim", "release", "fail", "complete", "lose")


def operate(store: JobStore, name: str, claim: Claim) -> None:
    """Do what a caller or a worker might do to a job at any time."""
    match name:
        case "queue":
            store.queue(claim.job.id)
        case "abort":
            store.abort(claim.job.id)
        case "claim":
            store.claim([claim.job.kind], claim.token)
        case "release":
            store.release(claim.job.id, claim.token)
        case "fail":
            store.fail(claim, Phase.ERROR, FAILURE)
        case "complete":
            with store.completing(claim, [Result("result", "text/plain")]):
                pass
        case "lose":
            store.requeue_lost(-1, 3, FAILURE)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(OPERATIONS), max_size=12))
def test_whatever_is_done_phases_follow_legally(desk: Desk, operations: list[str]) -> None:
    store = JobStore(desk.archive.jobs_database)
    # Of a kind of its own: there are those of other examples.
    job_id = desk.create(f"echo {next(_numbers)}", run=False)
    job = store.get(job_id)
    assert job is not None
    claim = Claim(job, {}, "worker")
    for name in operations:
        before = store.get(job_id).phase
        operate(store, name, claim)
        after = store.get(job_id).phase
        assert after == before or may_follow(after, before), (name, before, after)


def test_of_many_workers_one_gets_the_job(desk: Desk) -> None:
    store = JobStore(desk.archive.jobs_database)
    job_id = desk.create("echo")
    claims: list[Claim | None] = []
    threads = [
        threading.Thread(target=lambda number=number: claims.append(store.claim(["echo"], f"w{number}")))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [claim for claim in claims if claim]
    assert [claim.job.id for claim in won] == [job_id]


def test_jobs_are_taken_in_the_order_in_which_they_were_queued(desk: Desk) -> None:
    store = JobStore(desk.archive.jobs_database)
    waiting = desk.create("echo", run=False)
    first = desk.create("echo")
    store.queue(waiting)
    assert [store.claim(["echo"], token).job.id for token in ("a", "b")] == [first, waiting]
    assert store.claim(["echo"], "c") is None


def test_an_attempt_that_lost_its_job_cannot_end_it(desk: Desk) -> None:
    store = JobStore(desk.archive.jobs_database)
    job_id = desk.create("echo")
    lost = store.claim(["echo"], "first")
    assert store.requeue_lost(-1, 3, FAILURE) == [(job_id, Phase.QUEUED)]
    assert store.claim(["echo"], "second") is not None
    assert store.beat(["first", "second"]) == {"second"}
    assert not store.fail(lost, Phase.ERROR, FAILURE)
    with store.completing(lost, []) as won:
        assert not won
    assert store.get(job_id).phase is Phase.EXECUTING
