"""Jobs of all kinds: the caller's own, and for administrators everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ost_vo.access.actor import Actor
from ost_vo.access.context import Context
from ost_vo.services import jobs as services
from ost_vo.services.jobs import Jobs, OneJob
from ost_vo.vo.uws import Job, Phase
from ost_vo.web.api.callers import User
from ost_vo.web.api.fields import Body, Moment, Name, Reason, ReasonQuery, Text
from ost_vo.web.api.problems import refusals
from ost_vo.web.prefix import base_url
from ost_vo.web.uws import LISTS

router = APIRouter(prefix="/jobs", tags=["jobs"])

MAX_PAGE = 1000


class JobQuery(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(extra="forbid")

    everybody: bool = Field(False, description="Those of others, too; with the permission jobs_view_all.")
    kind: Text | None = Field(None, description="`tap`, `soda` or `download`.")
    phase: Phase | None = Field(None, description="The only phase to list.")
    owner: Text | None = Field(None, description="Name of their owner; empty for anonymous jobs.")
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Jobs on a page.")
    cursor: Text | None = Field(None, description="`next` of the page before.")


class JobResult(BaseModel):
    """A result of a job."""

    id: str = Field(description="Its name below `results` of the job.")
    media_type: str
    size: int | None = Field(description="Of the file [byte]; null where it is not known.")


class JobFailure(BaseModel):
    """Why a job failed."""

    code: str = Field(description="Kind of the fault, by its name in the protocols of the VO.")
    message: str
    transient: bool = Field(description="Whether the same job may succeed later.")


class ListedJob(BaseModel):
    """A job, and how far it has come."""

    job_id: str = Field(description="Of an anonymous job a public name, from which its id cannot be found.")
    kind: str = Field(description="`tap`: a query; `soda`: cutouts; `download`: an archive of files.")
    phase: Phase
    owner: str | None = Field(description="Name of the user who created it; null for an anonymous one.")
    run_id: str | None = Field(description="The creator's own mark.")
    created: datetime
    started: datetime | None
    ended: datetime | None
    destruction: datetime = Field(description="When it goes, with its results.")
    execution_duration: int = Field(description="How long it may run [s].")
    progress: dict[str, int] | None = Field(
        description="How far it has come; null where its kind does not tell."
    )
    results: list[JobResult]
    failure: JobFailure | None
    url: str | None = Field(description="The job by UWS, with its results; null for an anonymous one.")


class WholeJob(ListedJob):
    """A job with its parameters."""

    parameters: list[list[str]] = Field(description="Names and values, in order.")


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    jobs: list[ListedJob]
    next: str | None = Field(description="`cursor` of the next page; null on the last.")


class Cancellation(Body):
    """Why a job is aborted."""

    reason: Reason = ""


class NewDestruction(Body):
    """When a job is to be destroyed."""

    destruction: Moment = Field(description="A moment beyond the limit of the archive becomes that limit.")
    reason: Reason = ""


@router.get("", responses=refusals(400, 401, 403))
def list_jobs(request: Request, actor: User, wanted: Annotated[JobQuery, Query()]) -> JobPage:
    """List the caller's jobs of all kinds; with the permission jobs_view_all, everybody's."""
    found = _jobs(request).page(
        actor,
        everybody=wanted.everybody,
        kind=wanted.kind,
        phase=wanted.phase,
        owner=wanted.owner,
        before=wanted.cursor,
        limit=wanted.limit,
    )
    is_full = len(found) == wanted.limit
    return JobPage(
        jobs=[ListedJob(**_told(request, job)) for job in found],
        next=services.place(found[-1]) if is_full else None,
    )


@router.get("/{job_id}", responses=refusals(400, 401, 403, 404))
def get_job(request: Request, actor: User, job_id: Name) -> WholeJob:
    """Return a job: one's own, or with the permission jobs_view_all anybody's."""
    return _whole(request, _one(request, actor, job_id).get())


@router.post("/{job_id}/cancel", responses=refusals(400, 401, 403, 404))
def cancel_job(request: Request, actor: User, job_id: Name, wanted: Cancellation) -> WholeJob:
    """Abort a job: one's own, or with jobs_cancel_any anybody's; one that has ended stays as it is."""
    return _whole(request, _one(request, actor, job_id).abort(wanted.reason))


@router.put("/{job_id}/destruction", responses=refusals(400, 401, 403, 404))
def set_destruction(request: Request, actor: User, job_id: Name, wanted: NewDestruction) -> WholeJob:
    """Say when a job is destroyed: one's own, or with the permission jobs_ttl_modify anybody's."""
    job = _one(request, actor, job_id).keep_until(wanted.destruction, wanted.reason)
    return _whole(request, job)


@router.delete("/{job_id}", status_code=204, response_class=Response, responses=refusals(400, 401, 403, 404))
def delete_job(request: Request, actor: User, job_id: Name, reason: ReasonQuery = "") -> None:
    """Destroy a job with its results: one's own, or with jobs_cancel_any and jobs_ttl_modify anybody's."""
    _one(request, actor, job_id).delete(reason)


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.engine.jobs
    return jobs


def _one(request: Request, actor: Actor, job_id: str) -> OneJob:
    """Return a job as somebody asks for it, whose projects do not matter."""
    return _jobs(request).one(None, job_id, Context(user_id=actor.user_id), actor)


def _whole(request: Request, job: Job) -> WholeJob:
    return WholeJob(**_told(request, job), parameters=[list(pair) for pair in job.parameters])


def _told(request: Request, job: Job) -> Mapping[str, object]:
    names = ("kind", "phase", "owner", "run_id", "created", "started", "ended", "destruction")
    about: dict[str, object] = {
        name: getattr(job, name) for name in (*names, "execution_duration", "progress")
    }
    results = [
        JobResult(id=result.id, media_type=result.media_type, size=result.size) for result in job.results
    ]
    failure = job.failure and JobFailure(
        code=job.failure.code, message=job.failure.message, transient=job.failure.transient
    )
    path = LISTS.get(job.kind) if job.owner_id is not None else None
    url = f"{base_url(request)}{path}/{job.id}" if path else None
    return {**about, "job_id": job.shown_id, "results": results, "failure": failure, "url": url}
