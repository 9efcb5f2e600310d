"""Jobs of all kinds in the browser: one's own, and for administrators everybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ost_vo.access.actor import Actor
from ost_vo.access.context import Context
from ost_vo.access.jobs import CANCEL_ANY, MODIFY_TTL, VIEW_ALL
from ost_vo.faults import AuthenticationFault, Fault, UsageFault
from ost_vo.services import downloads, soda_jobs, tap_jobs
from ost_vo.services import jobs as services
from ost_vo.services.jobs import Jobs, OneJob
from ost_vo.services.reconcile_jobs import KIND as COMPARISON
from ost_vo.vo import uws
from ost_vo.vo.uws import ACTIVE, FINAL, Job, Phase
from ost_vo.web import errors
from ost_vo.web.authentication import actor_of
from ost_vo.web.pages import layout
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url
from ost_vo.web.uws import LISTS

KINDS = (tap_jobs.KIND, soda_jobs.KIND, downloads.KIND, COMPARISON)
_ROWS = 50


async def jobs_page(request: Request) -> Response:
    """List jobs, the newest first."""
    actor = actor_of(request)
    if actor is None:
        return RedirectResponse(f"{base_url(request)}/login", 303)
    asked = {name: request.query_params.get(name, "") for name in ("everybody", "kind", "phase", "owner")}

    def look() -> list[Job]:
        everybody = asked["everybody"] == "1"
        return _jobs(request).page(
            actor,
            everybody=everybody,
            kind=asked["kind"] or None,
            phase=uws.phase(asked["phase"]) if asked["phase"] else None,
            owner=(asked["owner"] or None) if everybody else None,
            before=request.query_params.get("cursor"),
            limit=_ROWS + 1,
        )

    try:
        found = await run_in_threadpool(look)
    except Fault as fault:
        return await layout.refusal(request, fault)
    shown = found[:_ROWS]
    given = {name: value for name, value in asked.items() if value}
    following = services.place(shown[-1]) if len(found) > _ROWS else None
    return await layout.render(
        request,
        "jobs.html",
        jobs=shown,
        asked=asked,
        kinds=KINDS,
        phases=list(Phase),
        is_active=any(job.phase in ACTIVE for job in shown),
        sees_all=actor.may(VIEW_ALL),
        more=urlencode({**given, "cursor": following}) if following else None,
        **_about(actor),
    )


async def job_page(request: Request) -> Response:
    """Show a job: how far it has come, its parameters and results, and what may be done to it."""
    return await _page(request)


async def act(request: Request) -> Response:
    """Abort a job, or destroy it."""

    def change(job: OneJob, what: str, reason: str) -> str:
        match what:
            case "cancel":
                return f"/jobs/{job.abort(reason).shown_id}"
            case "delete":
                job.delete(reason)
                return "/jobs"
        raise UsageFault("The form says not what to do.", "Go back to the page.")

    form = await read(request)
    try:
        job = _one(request)
        where = await run_in_threadpool(change, job, form.one("DO") or "", form.one("REASON") or "")
    except Fault as fault:
        return await _page(request, fault)
    return RedirectResponse(f"{base_url(request)}{where}", 303)


async def _page(request: Request, refused: Fault | None = None) -> Response:
    actor = actor_of(request)
    try:
        job = await run_in_threadpool(_one(request).get)
        assert actor is not None
    except Fault as fault:
        told = refused or fault
        return await layout.refusal(request, told)
    return await layout.render(
        request,
        "job.html",
        errors.status(refused) if refused else 200,
        job=job,
        fault=refused,
        is_active=job.phase in ACTIVE,
        is_own=job.owner_id == actor.user_id,
        **_about(actor),
    )


def _about(actor: Actor) -> dict[str, Any]:
    """Return what templates ask of jobs."""

    def of_own(permissions: tuple[str, ...]) -> Callable[[Job], bool]:
        return lambda job: job.owner_id == actor.user_id or all(map(actor.may, permissions))

    may_cancel, may_delete = of_own((VIEW_ALL, CANCEL_ANY)), of_own((VIEW_ALL, CANCEL_ANY, MODIFY_TTL))
    return {
        "may_cancel": lambda job: job.phase not in FINAL and may_cancel(job),
        "may_delete": may_delete,
        # Of an anonymous job the address is what its owner alone has.
        "list_of": lambda job: LISTS.get(job.kind) if job.owner_id is not None else None,
        "part_of": _part,
    }


def _part(job: Job) -> tuple[int, int] | None:
    """Return how much of a job is done and how much there is, in what its kind counts; None for unknown."""
    told = job.progress or {}
    for what in ("bytes", "files", "cutouts"):
        done, total = told.get(f"{what}_done"), told.get(f"{what}_total")
        if done is not None and total:
            return done, total
    return None


def _one(request: Request) -> OneJob:
    """Return the job that the URL names, for who asks.

    Raises:
        AuthenticationFault: it is nobody who has logged in.
    """
    actor = actor_of(request)
    if actor is None:
        raise AuthenticationFault("This is for users who have logged in.", "Log in.")
    # Whose projects do not matter.
    return _jobs(request).one(None, request.path_params["job_id"], Context(user_id=actor.user_id), actor)


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.engine.jobs
    return jobs
