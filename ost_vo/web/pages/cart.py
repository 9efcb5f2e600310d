"""Downloads in the browser: what was chosen on the pages, and the jobs that make archives of it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ost_vo.faults import Fault, UsageFault
from ost_vo.services import downloads
from ost_vo.services.archive import Archive
from ost_vo.services.jobs import Jobs
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import ACTIVE, Job, Phase
from ost_vo.web import errors
from ost_vo.web.addresses import counted_address, networks
from ost_vo.web.pages import layout
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url

# What a form may say of a download; the API takes more.
_PARAMETERS = ("ID", "RUN", "EXPOSURE_TYPE", "RESPONSEFORMAT", "SEMANTICS")
_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far a job has come: files and bytes, done and in all; None where that is not known yet."""

    files_done: int | None
    files_total: int | None
    bytes_done: int | None
    bytes_total: int | None


async def cart_page(request: Request) -> Response:
    """Show what was chosen, which the browser knows, and the caller's downloads."""
    return await _cart(request)


async def create(request: Request) -> Response:
    """Start a download of the files that a form names, and show it."""
    parameters = await read(request)
    given = [(name, value) for name in _PARAMETERS for value in parameters.all(name)]
    archive: Archive = request.app.state.archive
    address = counted_address(request.scope, networks(archive.settings.trusted_proxies))
    caller = await layout.context_of(request)
    try:
        if not any(name in ("ID", "RUN") for name, _ in given):
            raise UsageFault("No file was chosen.", "Choose some in a list of files.")
        job_id = await run_in_threadpool(
            _jobs(request).create, downloads.KIND, caller, Parameters([*given, ("PHASE", "RUN")]), address
        )
    except Fault as fault:
        return await _cart(request, fault)
    return RedirectResponse(f"{base_url(request)}/cart/{job_id}", 303)


async def job_page(request: Request) -> Response:
    """Show how far a download has come, and where its archive is."""
    archive: Archive = request.app.state.archive
    caller = await layout.context_of(request)
    job_id = request.path_params["job_id"]
    try:
        job = await run_in_threadpool(_jobs(request).one(downloads.KIND, job_id, caller).get)
    except Fault as fault:
        return await layout.refusal(request, fault)
    return await layout.render(
        request,
        "download.html",
        job=job,
        is_active=job.phase in ACTIVE,
        is_done=job.phase is Phase.COMPLETED,
        progress=_progress(job),
        hours=archive.settings.download_hours,
    )


async def abort(request: Request) -> Response:
    """Abort a download."""
    caller = await layout.context_of(request)
    job_id = request.path_params["job_id"]
    try:
        await run_in_threadpool(_jobs(request).one(downloads.KIND, job_id, caller).abort)
    except Fault as fault:
        return await layout.refusal(request, fault)
    return RedirectResponse(f"{base_url(request)}/cart/{job_id}", 303)


async def _cart(request: Request, fault: Fault | None = None) -> Response:
    archive: Archive = request.app.state.archive
    caller = await layout.context_of(request)
    found = await run_in_threadpool(
        _jobs(request).listing, downloads.KIND, caller, Parameters([("LAST", str(_LISTED))])
    )
    return await layout.render(
        request,
        "cart.html",
        errors.status(fault) if fault else 200,
        fault=fault,
        jobs=found,
        most=archive.settings.download_files,
    )


def _progress(job: Job) -> _Progress:
    told = job.progress or {}
    return _Progress(*(told.get(name) for name in ("files_done", "files_total", "bytes_done", "bytes_total")))


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.engine.jobs
    return jobs
