"""Commands for jobs: queries, cutouts and downloads that somebody has left with the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ost_vo.access.context import Context
from ost_vo.commands.acting import Acting, As, Reason, Yes, acting, confirm, deferred, out, show
from ost_vo.vo.uws import Phase

if TYPE_CHECKING:
    from ost_vo.services import jobs as services
    from ost_vo.vo.uws import Job
else:
    services = deferred("ost_vo.services.jobs")

jobs = typer.Typer(help="Jobs: queries, cutouts and downloads.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id of the job; of an anonymous one the name that the list has.")]


@jobs.command("list")
def list_jobs(
    kind: Annotated[str | None, typer.Option(help="tap, soda or download.")] = None,
    phase: Annotated[Phase | None, typer.Option(help="The only phase to list.", case_sensitive=False)] = None,
    owner: Annotated[
        str | None, typer.Option(help="User whose jobs to list; empty for anonymous ones.")
    ] = None,
    limit: Annotated[int, typer.Option(help="The most jobs.", min=1)] = 50,
    user: As = None,
) -> None:
    """List jobs, the newest first: everybody's, or those of a user who may not see others'."""
    with acting(user) as hand:
        found = services.Jobs(hand.archive).page(
            hand.actor,
            everybody=hand.actor.may("jobs_view_all"),
            kind=kind,
            phase=phase,
            owner=owner,
            limit=limit,
        )
    rows = [
        (
            job.shown_id,
            job.kind,
            job.phase,
            job.owner,
            f"{job.created:%Y-%m-%d %H:%M}",
            f"{job.destruction:%Y-%m-%d %H:%M}",
            _progress(job),
        )
        for job in found
    ]
    show(("job", "kind", "phase", "owner", "created", "goes", "progress"), rows, "There are no jobs.")


@jobs.command("show")
def show_job(job_id: Id, user: As = None) -> None:
    """Show a job with its parameters, results and what went wrong."""
    with acting(user) as hand:
        job = _one(hand, job_id).get()
    rows: list[tuple[str, object]] = [
        ("job", job.shown_id),
        *((name, getattr(job, name)) for name in ("kind", "phase", "owner", "run_id", "created", "started")),
        *((name, getattr(job, name)) for name in ("ended", "destruction", "execution_duration")),
        ("progress", _progress(job)),
        *((f"parameter {name}", value) for name, value in job.parameters),
        *((f"result {result.id}", f"{result.media_type}, {result.size} bytes") for result in job.results),
    ]
    if job.failure is not None:
        rows.append((job.failure.code, job.failure.message))
    show(("what", "value"), rows, "")


@jobs.command("cancel")
def cancel_job(job_id: Id, reason: Reason = "", yes: Yes = False, user: As = None) -> None:
    """Abort a job; one that has ended stays as it is."""
    with acting(user) as hand:
        asked = _one(hand, job_id)
        job = asked.get()
        confirm(
            f"Abort the {job.kind} job of {job.owner or 'somebody anonymous'}, which is {job.phase}?", yes
        )
        job = asked.abort(reason)
    out.print(f"{job.shown_id} is {job.phase}.", markup=False)


def _one(hand: Acting, job_id: str) -> services.OneJob:
    """Return a job as somebody asks for it, whose projects do not matter."""
    context = Context(user_id=hand.actor.user_id)
    return services.Jobs(hand.archive).one(None, job_id, context, hand.actor)


def _progress(job: Job) -> str:
    return ", ".join(f"{name} {count}" for name, count in (job.progress or {}).items())
