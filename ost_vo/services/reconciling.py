"""Comparing the archive with the disk from afar: beginning it, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from ost_vo.access.actor import Actor
from ost_vo.access.context import Context
from ost_vo.faults import NotFoundFault
from ost_vo.services.jobs import Jobs
from ost_vo.services.reconcile_jobs import KIND, REHEARSAL, REPORT, is_rehearsal
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Job

RECONCILE, ORPHANS = "maintenance_reconcile", "maintenance_orphans"
MAX_REPORT = 1_000_000  # characters of a report that are shown


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison: its job, whether it is a rehearsal, and its report; None before it has ended."""

    job: Job
    is_rehearsal: bool
    report: str | None


def begin(jobs: Jobs, actor: Actor, *, rehearse: bool) -> str:
    """Have archive and disk compared, and made to agree where it is no rehearsal; return the job's id.

    A rehearsal only says what would be done. It takes the permission maintenance_orphans or
    maintenance_reconcile, the deed the latter. No disk that looks as if it were not mounted is believed:
    only the command at the machine can be told to.

    Raises:
        AuthorizationFault: the caller has not the permission.
        TransientFault: too many jobs of the caller wait.
    """
    _require(actor, rehearses=rehearse)
    caller = Context(actor.user_id)
    job_id = jobs.create(KIND, caller, Parameters([(REHEARSAL, "1" if rehearse else "0")]))
    # As long as a job may take: it goes through all files.
    job = jobs.one(KIND, job_id, caller)
    job.set_execution_duration(Parameters([("EXECUTIONDURATION", "0")]))
    job.control(Parameters([("PHASE", "RUN")]))
    return job_id


def listing(jobs: Jobs, actor: Actor) -> list[Comparison]:
    """Return the caller's comparisons without their reports, the latest first.

    Raises:
        AuthorizationFault: the caller has neither permission.
    """
    _require(actor, rehearses=True)
    found = jobs.listing(KIND, Context(actor.user_id), Parameters([]))
    return [Comparison(job, is_rehearsal(job), None) for job in found]


def get(jobs: Jobs, actor: Actor, job_id: str) -> Comparison:
    """Return a comparison of the caller's.

    Raises:
        AuthorizationFault: the caller has neither permission, or it is somebody else's.
        NotFoundFault: there is no such job.
    """
    _require(actor, rehearses=True)
    asked = jobs.one(KIND, job_id, Context(actor.user_id))
    job = asked.get()
    report: str | None = None
    try:
        path, _ = asked.result(REPORT)
        with path.open(encoding="utf-8", errors="replace") as file:
            report = file.read(MAX_REPORT)
    except (NotFoundFault, FileNotFoundError):
        pass  # it has not ended, or not well
    return Comparison(job, is_rehearsal(job), report)


def _require(actor: Actor, *, rehearses: bool) -> None:
    if rehearses and actor.may(ORPHANS):
        actor.require(ORPHANS)
    else:
        actor.require(RECONCILE)
