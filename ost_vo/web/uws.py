"""Jobs over HTTP: the resources of UWS 1.1 below the URL of a job list.

Source: UWS 1.1 section 2.2 (REST binding).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ost_vo.faults import NotFoundFault, UsageFault
from ost_vo.services import downloads, soda_jobs, tap_jobs
from ost_vo.services.archive import Archive
from ost_vo.services.engine import Engine
from ost_vo.services.jobs import Jobs, OneJob
from ost_vo.vo import uws, votable
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import ACTIVE, Failure, Job, Result
from ost_vo.web import compression
from ost_vo.web.addresses import counted_address, networks
from ost_vo.web.authentication import actor_of, context_of
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url

# How long a request with WAIT is held at most: below the timeouts of clients and proxies [s].
WAIT_SECONDS = 50
# How often a request that waits looks at its job though nothing was heard of it [s].
LOOK_SECONDS = 10.0
# Of a result that is sent: a thread reads each [byte].
_CHUNK_BYTES = 1 << 20
# How many jobs the list shows to which a DELETE redirects (UWS 1.1 section 2.2.2.1).
SHORT_LIST = 100

# Kind of job to the path of the list of its jobs.
LISTS = {tap_jobs.KIND: "/tap/async", soda_jobs.KIND: "/soda/async", downloads.KIND: "/downloads"}

Handler = Callable[[Request], Awaitable[Response]]
Change = Callable[[OneJob, Parameters], None]
# The document and its media type.
FailureDocument = Callable[[Failure], tuple[bytes, str]]
# Sends a result of the job that the URL names, given its file and what it is.
SendResult = Callable[[Request, Path, Result], Awaitable[Response]]


def failure_as_votable(failure: Failure) -> tuple[bytes, str]:
    """Return the document of a failure as DALI clients read it."""
    return votable.error_document(failure.message), votable.CONTENT_TYPE


async def send_file(request: Request, path: Path, result: Result) -> Response:
    """Send the file of a result, or a range of it.

    Raises:
        NotFoundFault: it is gone.
    """
    if not path.is_file():
        raise NotFoundFault(f"The result {result.id!r} is not there any more.", "Run the job again.")
    # As a header, because Starlette adds a charset to a media type.
    response = FileResponse(path, headers={"Content-Type": result.media_type}, stat_result=path.stat())
    response.chunk_size = _CHUNK_BYTES
    compression.negotiate(request.headers, response.headers)
    return response


def routes(
    kind: str,
    failure_document: FailureDocument = failure_as_votable,
    send_result: SendResult = send_file,
) -> list[Route]:
    """Return the routes of a job list and of all that is below it.

    Args:
        kind: of its jobs; LISTS says where the list is.
        failure_document: makes what ``/error`` answers.
        send_result: makes what ``/results/...`` answers.
    """
    return _Endpoint(LISTS[kind], kind, failure_document, send_result).routes()


class _Endpoint:
    """The resources of one kind of job."""

    def __init__(
        self, prefix: str, kind: str, failure_document: FailureDocument, send_result: SendResult
    ) -> None:
        self._prefix = prefix
        self._kind = kind
        self._failure_document = failure_document
        self._send_result = send_result

    def routes(self) -> list[Route]:
        """Return a route for each resource and method."""
        job = f"{self._prefix}/{{job_id}}"
        return [
            Route(self._prefix, self.listing),
            Route(self._prefix, self.create, methods=["POST"]),
            Route(job, self.job),
            Route(job, self.act, methods=["POST"]),
            Route(job, self.delete, methods=["DELETE"]),
            Route(f"{job}/phase", self._text(lambda job: job.phase)),
            Route(f"{job}/phase", self._changing(OneJob.control), methods=["POST"]),
            Route(f"{job}/executionduration", self._text(lambda job: str(job.execution_duration))),
            Route(
                f"{job}/executionduration",
                self._changing(OneJob.set_execution_duration),
                methods=["POST"],
            ),
            Route(f"{job}/destruction", self._text(lambda job: uws.timestamp(job.destruction))),
            Route(f"{job}/destruction", self._changing(OneJob.set_destruction), methods=["POST"]),
            Route(f"{job}/quote", self._text(_quote)),
            Route(f"{job}/owner", self._text(lambda job: job.owner or "")),
            Route(f"{job}/parameters", self.parameters),
            Route(f"{job}/parameters", self._changing(OneJob.set_parameters), methods=["POST"]),
            Route(f"{job}/error", self.failure),
            Route(f"{job}/results", self.results),
            Route(f"{job}/results/{{result_id}}", self.result),
        ]

    async def listing(self, request: Request) -> Response:
        """List the caller's jobs, by PHASE, AFTER and LAST (section 2.2.2.1)."""
        filters = await read(request)
        caller = await context_of(request, filters)
        jobs = await run_in_threadpool(_jobs(request).listing, self._kind, caller, filters)
        return _document(uws.job_list(jobs, self._url(request)))

    async def create(self, request: Request) -> Response:
        """Create a job (section 2.2.3.1)."""
        parameters = await read(request)
        caller = await context_of(request, parameters)
        archive: Archive = request.app.state.archive
        address = counted_address(request.scope, networks(archive.settings.trusted_proxies))
        job_id = await run_in_threadpool(_jobs(request).create, self._kind, caller, parameters, address)
        return _see(f"{self._url(request)}/{job_id}")

    async def job(self, request: Request) -> Response:
        """Show a job; with WAIT, when its phase changes (section 2.2.1.2)."""
        parameters = await read(request)
        seconds, phase = _wait(parameters.one("WAIT")), parameters.one("PHASE")
        found = await self._get(request)
        if seconds and (phase is None or uws.phase(phase) == found.phase):
            found = await self._changed(request, found, seconds)
        return _document(uws.job(found, self._job_url(request)))

    async def act(self, request: Request) -> Response:
        """Do what a POST to the job itself asks for: ACTION=DELETE (section 2.2.3.2)."""
        action = (await read(request)).one("ACTION")
        if action is None or action.upper() != "DELETE":
            raise UsageFault(
                "A POST to a job takes ACTION=DELETE and nothing else.",
                "Post PHASE to its child phase, and parameters to its child parameters.",
            )
        return await self.delete(request)

    async def delete(self, request: Request) -> Response:
        """Destroy a job (section 2.2.3.2)."""
        job = await self._asked(request)
        await run_in_threadpool(job.delete)
        return _see(f"{self._url(request)}?LAST={SHORT_LIST}")

    async def parameters(self, request: Request) -> Response:
        """Show the parameters of a job."""
        return _document(uws.parameters(await self._get(request)))

    async def results(self, request: Request) -> Response:
        """List the results of a job."""
        return _document(uws.results(await self._get(request), self._job_url(request)))

    async def result(self, request: Request) -> Response:
        """Send a result."""
        job = await self._asked(request)
        path, result = await run_in_threadpool(job.result, request.path_params["result_id"])
        return await self._send_result(request, path, result)

    async def failure(self, request: Request) -> Response:
        """Tell why a job failed; there is nothing here where it has not."""
        job = await self._get(request)
        if job.failure is None:
            raise NotFoundFault(f"The job {job.id} has not failed; its phase is {job.phase}.")
        document, media_type = self._failure_document(job.failure)
        return Response(document, headers={"Content-Type": media_type})

    def _text(self, show: Callable[[Job], str]) -> Handler:
        async def answer(request: Request) -> Response:
            return PlainTextResponse(show(await self._get(request)))

        return answer

    def _changing(self, change: Change) -> Handler:
        async def answer(request: Request) -> Response:
            parameters = await read(request)
            await run_in_threadpool(change, await self._asked(request, parameters), parameters)
            return _see(self._job_url(request))

        return answer

    async def _get(self, request: Request) -> Job:
        job = await self._asked(request)
        return await run_in_threadpool(job.get)

    async def _asked(self, request: Request, parameters: Parameters | None = None) -> OneJob:
        """Return the job of the URL; most requests for one have no parameters of their own."""
        caller = await context_of(request, parameters or Parameters([]))
        return _jobs(request).one(self._kind, request.path_params["job_id"], caller, actor_of(request))

    async def _changed(self, request: Request, job: Job, seconds: float) -> Job:
        """Return the job when it is in another phase than here, or after so many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        waiting = _engine(request).waiting
        assert waiting is not None
        found = job
        with waiting.on(job.id) as changed:
            while found.phase == job.phase and found.phase in ACTIVE:
                # Once more before the first wait: it may have changed before anybody listened.
                changed.clear()
                found = await self._get(request)
                left = deadline - loop.time()
                if found.phase != job.phase or left <= 0:
                    break
                await _happened(changed, min(left, LOOK_SECONDS))
        return found

    def _url(self, request: Request) -> str:
        return f"{base_url(request)}{self._prefix}"

    def _job_url(self, request: Request) -> str:
        return f"{self._url(request)}/{request.path_params['job_id']}"


async def _happened(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; say whether it came in time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _wait(text: str | None) -> int:
    """Return for how long a request wants to wait [s], by its WAIT (UWS 1.1 section 2.2.1.2)."""
    if text is None:
        return 0
    try:
        seconds = int(text)
    except ValueError:
        raise UsageFault(f"WAIT={text!r} is not a number of seconds.", "Give 0 or more, or -1.") from None
    return WAIT_SECONDS if seconds < 0 else min(seconds, WAIT_SECONDS)


def _quote(job: Job) -> str:
    """Return what is known of when a job will have completed: nothing."""
    del job
    return ""


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _jobs(request: Request) -> Jobs:
    return _engine(request).jobs


def _document(content: bytes) -> Response:
    return Response(content, media_type=uws.CONTENT_TYPE)


def _see(url: str) -> Response:
    return RedirectResponse(url, 303)
