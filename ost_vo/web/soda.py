"""SODA over HTTP.

Source: SODA 1.0 sections 2.2 (sync), 5.1 (204 without overlap), 5.2 (errors as text).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ost_vo.services import soda, soda_jobs
from ost_vo.services.archive import Archive
from ost_vo.services.soda import Answer
from ost_vo.vo.uws import Failure
from ost_vo.web import errors, uws
from ost_vo.web.authentication import context_of
from ost_vo.web.files import disposition
from ost_vo.web.parameters import read

_CHUNK_BYTES = 256 * 1024


async def sync(request: Request) -> Response:
    """Cut out a part of a data set."""
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    context = await context_of(request, parameters)
    # Further ones wait without a thread.
    limiter: anyio.CapacityLimiter = request.app.state.cutout_limiter
    answer = await run_sync(soda.cutout, archive, parameters, context, limiter=limiter)
    return Response(status_code=204) if answer is None else _response(answer)


def _response(answer: Answer) -> Response:
    headers = {
        "Content-Length": str(answer.made.size),
        "Content-Type": answer.made.media_type,
        "Content-Disposition": disposition(answer.made.name),
        "Cache-Control": "no-cache" if answer.is_public else "private, no-cache",
    }
    if answer.made.size <= _CHUNK_BYTES:
        return Response(b"".join(answer.made.parts), headers=headers)
    return StreamingResponse(_chunks(answer), headers=headers)


async def _chunks(answer: Answer) -> AsyncIterator[memoryview]:
    for part in answer.made.parts:
        for start in range(0, len(part), _CHUNK_BYTES):
            yield part[start : start + _CHUNK_BYTES]


def failure_as_text(failure: Failure) -> tuple[bytes, str]:
    """Return why a job failed, as section 5.2 has it."""
    return errors.soda_text(failure.code, failure.message).encode(), "text/plain; charset=utf-8"


routes = [
    Route("/soda/sync", sync, methods=["GET", "POST"]),
    *uws.routes(soda_jobs.KIND, failure_as_text),
]
