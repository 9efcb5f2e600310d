"""SODA over HTTP.

Source: SODA 1.0 sections 2.2 (sync), 5.1 (204 without overlap), 5.2 (errors as text).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ost_vo import faults
from ost_vo.services import soda
from ost_vo.services.archive import Archive
from ost_vo.services.soda import Answer
from ost_vo.vo.soda import MultipleValuesFault
from ost_vo.web import errors
from ost_vo.web.authentication import context_of
from ost_vo.web.files import disposition
from ost_vo.web.parameters import read

_CHUNK_BYTES = 256 * 1024

# Section 5.2, the most particular first; everything else is just an error.
_CODES = (
    (MultipleValuesFault, MultipleValuesFault.code),
    (faults.UsageFault, "UsageError"),
    (faults.AuthenticationFault, "AuthenticationError"),
    (faults.AuthorizationFault, "AuthorizationError"),
    (faults.TransientFault, "ServiceUnavailable"),
)


async def sync(request: Request) -> Response:
    """Cut out a part of a data set."""
    archive: Archive = request.app.state.archive
    try:
        parameters = await read(request)
        context = await context_of(request, parameters)
        # Further ones wait without a thread.
        limiter: anyio.CapacityLimiter = request.app.state.cutout_limiter
        answer = await run_sync(soda.cutout, archive, parameters, context, limiter=limiter)
    except faults.Fault as fault:
        return _refusal(fault)
    return Response(status_code=204) if answer is None else _response(answer)


def _refusal(fault: faults.Fault) -> Response:
    code = next((code for kind, code in _CODES if isinstance(fault, kind)), "Error")
    return PlainTextResponse(f"{code}: {fault}\n", errors.status(fault), errors.headers(fault))


def _response(answer: Answer) -> Response:
    headers = {
        "Content-Length": str(answer.size),
        "Content-Type": answer.media_type,
        "Content-Disposition": disposition(answer.name),
        "Cache-Control": "no-cache" if answer.is_public else "private, no-cache",
    }
    return StreamingResponse(_chunks(answer), headers=headers)


async def _chunks(answer: Answer) -> AsyncIterator[memoryview]:
    for part in answer.parts:
        for start in range(0, len(part), _CHUNK_BYTES):
            yield part[start : start + _CHUNK_BYTES]


routes = [Route("/soda/sync", sync, methods=["GET", "POST"])]
