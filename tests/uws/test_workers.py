"""Workers that run jobs, are stopped, are killed, and are followed by others."""

from __future__ import annotations

import signal

import psycopg2
import pytest

from ost_vo.access.context import ANONYMOUS, Context
from ost_vo.deployment import cluster
from ost_vo.faults import AuthorizationFault, NotFoundFault
from ost_vo.services.execution import directory
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Job, Phase
from tests.uws.conftest import LOST_SOON, Desk


def get(desk: Desk, kind: str, job_id: str) -> Job:
    return desk.jobs.one(kind, job_id, ANONYMOUS).get()


def result(desk: Desk, kind: str, job_id: str) -> str:
    path, _ = desk.jobs.one(kind, job_id, ANONYMOUS).result("result")
    return path.read_text()


def files(desk: Desk, job_id: str) -> list[str]:
    where = directory(desk.settings, job_id)
    return sorted(path.name for path in where.iterdir()) if where.exists() else []


def test_a_job_runs_and_leaves_its_result(desk: Desk) -> None:
    desk.engine()
    job_id = desk.create("echo", A="1", b="zwei")
    desk.await_phase(job_id, Phase.COMPLETED)
    job = get(desk, "echo", job_id)
    assert job.created <= job.started <= job.ended < job.destruction
    assert result(desk, "echo", job_id) == "A=1\nB=zwei"
    assert files(desk, job_id) == ["result"]


def test_a_fault_is_told_and_a_flaw_is_not(desk: Desk) -> None:
    desk.engine()
    refused, crashed = desk.create("refuse"), desk.create("crash")
    desk.await_phase(refused, Phase.ERROR)
    desk.await_phase(crashed, Phase.ERROR)
    assert get(desk, "refuse", refused).failure.message == "The parameter is wrong. Give another."
    failure = get(desk, "crash", crashed).failure
    assert failure.code == "FatalFault"
    assert "secret" not in failure.message
    desk.until(lambda: files(desk, crashed) == [])


def test_a_full_disk_is_told_and_nothing_is_left(desk: Desk) -> None:
    desk.engine()
    job_id = desk.create("overflow")
    desk.await_phase(job_id, Phase.ERROR)
    failure = get(desk, "overflow", job_id).failure
    assert "no room on the archive's disk" in failure.message
    assert failure.transient
    desk.until(lambda: not directory(desk.settings, job_id).exists())


def test_kinds_with_places_of_their_own_do_not_wait_for_others(desk: Desk) -> None:
    desk.engine(1, "echo")
    slow = desk.create("sleep", SECONDS="600")
    desk.until(lambda: desk.sleepers() == 1)
    waiting, quick = desk.create("refuse"), desk.create("echo")
    desk.await_phase(quick, Phase.COMPLETED)
    assert get(desk, "refuse", waiting).phase is Phase.QUEUED
    assert get(desk, "sleep", slow).phase is Phase.EXECUTING


@pytest.mark.parametrize("how", ["abort", "delete"])
def test_an_end_by_hand_cancels_the_query_at_once(desk: Desk, how: str) -> None:
    desk.engine()
    job_id = desk.create("sleep", SECONDS="600")
    desk.until(lambda: desk.sleepers() == 1)
    if how == "abort":
        desk.jobs.one("sleep", job_id, ANONYMOUS).control(Parameters([("PHASE", "ABORT")]))
        assert get(desk, "sleep", job_id).phase is Phase.ABORTED
    else:
        desk.jobs.one("sleep", job_id, ANONYMOUS).delete()
        with pytest.raises(NotFoundFault):
            get(desk, "sleep", job_id)
    desk.until(lambda: desk.sleepers() == 0)
    desk.until(lambda: files(desk, job_id) == [])
    after = desk.create("echo")
    desk.await_phase(after, Phase.COMPLETED)


def test_a_job_that_takes_too_long_is_aborted_with_a_reason(desk: Desk) -> None:
    job_id = desk.create("sleep", run=False, SECONDS="600")
    desk.jobs.one("sleep", job_id, ANONYMOUS).set_execution_duration(Parameters([("EXECUTIONDURATION", "1")]))
    desk.jobs.one("sleep", job_id, ANONYMOUS).control(Parameters([("PHASE", "RUN")]))
    desk.engine()
    desk.await_phase(job_id, Phase.ABORTED)
    assert "execution duration of 1 s" in get(desk, "sleep", job_id).failure.message


@pytest.mark.parametrize("desk", [LOST_SOON], indirect=True)
def test_a_killed_worker_leaves_its_job_to_another(desk: Desk) -> None:
    job_id = desk.create("sleep", SECONDS="600")
    process = desk.process()
    desk.until(lambda: desk.sleepers() == 1)
    process.kill()
    process.wait()
    desk.execute('UPDATE archive.jobs SET parameters = \'[["SECONDS", "0"]]\'')
    desk.engine()
    desk.await_phase(job_id, Phase.QUEUED)
    desk.await_phase(job_id, Phase.COMPLETED)
    assert files(desk, job_id) == ["result"]
    desk.until(lambda: desk.sleepers() == 0)


@pytest.mark.parametrize("desk", [LOST_SOON], indirect=True)
def test_a_job_that_outlives_three_workers_fails(desk: Desk) -> None:
    job_id = desk.create("sleep", SECONDS="600")
    desk.process()
    desk.until(lambda: desk.sleepers() == 1)
    desk.execute("UPDATE archive.jobs SET attempts = 3, worker = 'dead', heartbeat = now() - interval '1 h'")
    desk.engine(slots=0)
    desk.await_phase(job_id, Phase.ERROR)
    assert "3 times" in get(desk, "sleep", job_id).failure.message
    # The worker that is alive after all notices that the job is not its own any more.
    desk.until(lambda: desk.sleepers() == 0)


def test_a_stopped_worker_gives_its_job_back_at_once(desk: Desk) -> None:
    job_id = desk.create("sleep", SECONDS="600")
    process = desk.process()
    desk.until(lambda: desk.sleepers() == 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    assert get(desk, "sleep", job_id).phase is Phase.QUEUED
    assert desk.execute("SELECT attempts FROM archive.jobs") == [(0,)]
    desk.execute('UPDATE archive.jobs SET parameters = \'[["SECONDS", "0"]]\'')
    desk.engine()
    desk.await_phase(job_id, Phase.COMPLETED)


def test_queued_jobs_wait_for_a_service_to_start(desk: Desk) -> None:
    jobs = [desk.create("echo", NUMBER=str(number)) for number in range(5)]
    desk.engine()
    for number, job_id in enumerate(jobs):
        desk.await_phase(job_id, Phase.COMPLETED)
        assert result(desk, "echo", job_id) == f"NUMBER={number}"


def test_jobs_go_on_after_the_database_has_dropped_every_connection(desk: Desk) -> None:
    desk.engine()
    connection = psycopg2.connect(cluster.superuser_dsn(desk.settings, "postgres"))
    name = desk.execute("SELECT current_database()")[0][0]
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE datname = %s AND usename = 'ost_web'",
            (name,),
        )
    connection.close()
    job_id = desk.create("echo")
    desk.until(lambda: get(desk, "echo", job_id).phase is Phase.COMPLETED)


def test_destruction_takes_the_row_and_the_files(desk: Desk) -> None:
    engine = desk.engine()
    job_id, kept = desk.create("echo"), desk.create("echo")
    desk.await_phase(kept, Phase.COMPLETED)
    past = Parameters([("DESTRUCTION", "2020-01-01T00:00:00Z")])
    desk.jobs.one("echo", job_id, ANONYMOUS).set_destruction(past)
    engine.worker.sweep()
    with pytest.raises(NotFoundFault):
        get(desk, "echo", job_id)
    desk.until(lambda: not directory(desk.settings, job_id).exists())
    assert files(desk, kept) == ["result"]


def test_a_job_of_a_user_is_nobody_elses(desk: Desk) -> None:
    desk.execute("INSERT INTO archive.users (name) VALUES ('ann'), ('bob')")
    ann, bob = (
        Context(user_id=number)
        for (number,) in desk.execute("SELECT user_id FROM archive.users ORDER BY name")
    )
    job_id = desk.jobs.create("echo", ann, Parameters([]))
    assert desk.jobs.one("echo", job_id, ann).get().owner == "ann"
    for other in (bob, ANONYMOUS):
        with pytest.raises(AuthorizationFault):
            desk.jobs.one("echo", job_id, other).get()
        assert desk.jobs.listing("echo", other, Parameters([])) == []
    assert [job.id for job in desk.jobs.listing("echo", ann, Parameters([]))] == [job_id]


def test_a_job_of_another_kind_is_not_found(desk: Desk) -> None:
    job_id = desk.create("echo")
    with pytest.raises(NotFoundFault):
        get(desk, "sleep", job_id)
