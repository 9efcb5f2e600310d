"""The four endpoints by which clients of the observatory's former archive, OSTdata, download files of a run.

They drive the jobs of ``/downloads``, and take and give what OSTdata does; but identifiers are the archive's
own, a run goes by its name, and what is not known is refused. An anonymous job goes by a name that tells
nothing; its id in the archive is the secret token, which the creator alone is given.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ost_vo.access.context import Context
from ost_vo.faults import AuthorizationFault, Fault, NotFoundFault, UsageFault
from ost_vo.services import downloads, selection
from ost_vo.services.archive import Archive
from ost_vo.services.download_plan import ARCHIVE
from ost_vo.services.jobs import RUN, Jobs, OneJob
from ost_vo.store.downloads import CONDITIONS
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import FINAL, Job, Phase, public_name
from ost_vo.web import errors
from ost_vo.web.addresses import counted_address, networks
from ost_vo.web.authentication import actor_of, context_of
from ost_vo.web.downloads import send_of
from ost_vo.web.prefix import base_url

# Ten thousand identifiers of a hundred characters each, and room [bytes].
BODY_BYTES = 2 * 2**20
TOKEN_HEADER = "X-Download-Token"
_STATUS = {
    Phase.EXECUTING: "running",
    Phase.COMPLETED: "done",
    Phase.ERROR: "failed",
    Phase.ABORTED: "cancelled",
    Phase.ARCHIVED: "expired",
}
_WHOLE = 100

Handler = Callable[[Request], Awaitable[Response]]


def _telling(handler: Handler) -> Handler:
    """Let the faults of a handler become what OSTdata answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except (NotFoundFault, AuthorizationFault):
            return JSONResponse({"detail": "Not found"}, 404)
        except Fault as fault:
            return JSONResponse({"detail": str(fault)}, errors.status(fault), errors.headers(fault))

    return answer


async def create(request: Request) -> Response:
    """Create a job for files of a run, by ids, filters or both; without them, for all files of the run."""
    archive: Archive = request.app.state.archive
    parameters = _parameters(request.path_params["run"], await _body(request))
    context = await context_of(request, Parameters([]))
    if not await run_in_threadpool(selection.is_run, archive, context, request.path_params["run"]):
        raise NotFoundFault("There is no such run, or none that you may see.")
    try:
        await run_in_threadpool(selection.select, archive, context, parameters)
    except NotFoundFault as fault:  # of an identifier, not of the run
        raise UsageFault(fault.detail, fault.hint) from None
    address = counted_address(request.scope, networks(archive.settings.trusted_proxies))
    wanted = Parameters([*parameters, ("PHASE", RUN)])
    job_id = await run_in_threadpool(_jobs(request).create, downloads.KIND, context, wanted, address)
    if context.user_id:
        return JSONResponse({"job_id": job_id}, 201)
    return JSONResponse({"job_id": public_name(job_id), "job_token": job_id}, 201)


async def status(request: Request) -> Response:
    """Tell how far a job has come."""
    job, _ = await _found(request)
    progress = job.progress or {}
    total, done = progress.get("bytes_total", 0), progress.get("bytes_done", 0)
    is_done = job.phase is Phase.COMPLETED
    prefix = urlsplit(base_url(request)).path
    name = request.path_params["job_id"]
    return JSONResponse(
        {
            "status": _STATUS.get(job.phase, "queued"),
            "progress": _WHOLE if is_done else _WHOLE * done // total if total else 0,
            "bytes_total": total,
            "bytes_done": done,
            "url": f"{prefix}/api/runs/jobs/{name}/download" if is_done else None,
            "error": _error(job) or None,
        }
    )


async def cancel(request: Request) -> Response:
    """Abort a job; one that has ended stays as it is."""
    job, context = await _found(request)
    if job.phase not in FINAL:
        await run_in_threadpool(_one(request, job.id, context).abort)
        job, _ = await _found(request)
    return JSONResponse({"status": _STATUS.get(job.phase, "queued"), "error": _error(job)})


async def download(request: Request) -> Response:
    """Send the archive of a job."""
    job, context = await _found(request)
    if job.phase is not Phase.COMPLETED:
        raise UsageFault("Not ready")
    path, result = await run_in_threadpool(_one(request, job.id, context).result, ARCHIVE)
    return await send_of(request, job.id, path, result, context)


async def _found(request: Request) -> tuple[Job, Context]:
    """Return the job that the URL names, and who asks.

    Raises:
        NotFoundFault, AuthorizationFault: there is none that the caller may know of.
    """
    context = await context_of(request, Parameters([]))
    name, token = request.path_params["job_id"], request.headers.get(TOKEN_HEADER, "")
    is_token = hmac.compare_digest(public_name(token).encode(), name.encode())
    job_id = token if is_token else name
    job = await run_in_threadpool(_one(request, job_id, context).get)
    # The id of an anonymous job is for the header alone: URLs are kept in logs.
    if job.owner_id is None and not is_token:
        raise NotFoundFault("There is no such job.")
    return job, context


def _error(job: Job) -> str:
    if job.failure is not None:
        return job.failure.message
    return "Cancelled by user" if job.phase is Phase.ABORTED else ""


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request carries; an empty one for an empty body."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > BODY_BYTES:
            raise UsageFault(f"The request's body is larger than {BODY_BYTES} bytes.", "Send less.")
    try:
        body = json.loads(content) if content.strip() else {}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise UsageFault("The request's body is no JSON object.", 'Send {"ids": [...], "filters": {...}}.')
    return body


def _parameters(run: str, body: dict[str, Any]) -> Parameters:
    """Return the parameters of a job by OSTdata's ``ids`` and ``filters``."""
    ids, filters = body.get("ids") or [], body.get("filters") or {}
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        raise UsageFault("ids is no list of identifiers.", "They are in obs_publisher_did.")
    if not isinstance(filters, dict):
        raise UsageFault("filters is no JSON object.", "Give names and values.")
    pairs = [("RUN", run), *(("ID", item) for item in ids)]
    for given, value in filters.items():
        name = given.removesuffix("[]")  # as forms had it for several values
        if name.upper() not in CONDITIONS or name.upper() == "RUN":
            known = ", ".join(key.lower() for key in CONDITIONS if key != "RUN")
            raise UsageFault(f"There is no filter {name!r}.", f"Filters: {known}.")
        values = value if isinstance(value, list) else [value]
        pairs += [(name, str(item)) for item in values if item is not None]
    return Parameters(pairs)


def _one(request: Request, job_id: str, context: Context) -> OneJob:
    return _jobs(request).one(downloads.KIND, job_id, context, actor_of(request))


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.engine.jobs
    return jobs


routes = [
    Route("/api/runs/runs/{run}/download-jobs", _telling(create), methods=["POST"]),
    Route("/api/runs/jobs/{job_id}/status", _telling(status)),
    Route("/api/runs/jobs/{job_id}/cancel", _telling(cancel), methods=["POST"]),
    Route("/api/runs/jobs/{job_id}/download", _telling(download)),
]
