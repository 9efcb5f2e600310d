"""Downloads over HTTP: the jobs, and archives that are put together while they are sent.

Source: UWS 1.1 section 2.2; RFC 9110 sections 13.1.5 (If-Range) and 14 (ranges).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ost_vo.access.context import Context
from ost_vo.services import description, downloads, outgoing
from ost_vo.services.archive import Archive
from ost_vo.services.outgoing import Assembly, Outgoing
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Failure, Result
from ost_vo.web import uws, vosi
from ost_vo.web.authentication import context_of
from ost_vo.web.files import disposition, pieces, satisfiable

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def send(request: Request, path: Path, result: Result) -> Response:
    """Send a result of the job that the URL names, or a range of it.

    Raises:
        ConflictFault: something in it may not be given out any more, or has changed.
        AuthorizationFault: the caller is an administrator who does not see all that is in it.
        NotFoundFault: it is gone.
    """
    caller = await context_of(request, Parameters([]))
    return await send_of(request, request.path_params["job_id"], path, result, caller)


async def send_of(request: Request, job_id: str, path: Path, result: Result, caller: Context) -> Response:
    """Send a result of a job; faults are those of :func:`send`."""
    archive: Archive = request.app.state.archive
    ready = await run_in_threadpool(outgoing.prepare, archive, job_id, path, result, caller)
    if ready.assembly is None:
        response = await uws.send_file(request, path, result)
        response.headers["Content-Disposition"] = disposition(ready.name)
        return response
    return _assembled(request, ready, ready.assembly, result)


def _assembled(request: Request, ready: Outgoing, assembly: Assembly, result: Result) -> Response:
    size = assembly.spans.size
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": assembly.etag,
        "Last-Modified": formatdate(ready.made, usegmt=True),
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(ready.name),
        "Content-Type": result.media_type,
    }
    wanted = _range(request, assembly.etag, size)
    if wanted is not None and wanted[0] >= size:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    start, stop = wanted or (0, size)
    headers["Content-Length"] = str(stop - start)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_chunks(assembly, start, stop), status, headers)


def _range(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    """Return the first byte of the only range that is asked for and the one behind it; None for the whole.

    Several ranges count as none: the whole answers them, too (RFC 9110 section 14.2).
    """
    given = request.headers.get("range")
    condition = request.headers.get("if-range")
    if given is None or (condition is not None and condition.strip() != etag):
        return None
    found = _ONE_RANGE.fullmatch("".join((satisfiable(given, size) or "").split()))
    if found is None:
        return None
    if not found[1]:
        return max(size - int(found[2]), 0), size
    return int(found[1]), min(int(found[2]) + 1, size) if found[2] else size


async def _chunks(assembly: Assembly, start: int, stop: int) -> AsyncIterator[bytes]:
    """Yield the bytes of an archive.

    Raises:
        ConflictFault: a file is not the one any more that was read for the plan: the client sees that the
            answer breaks off.
    """
    for piece in assembly.spans.pieces(start, stop):
        if isinstance(piece.part, bytes):
            yield piece.part[piece.offset : piece.offset + piece.length]
            continue
        download = await run_in_threadpool(assembly.open, piece.part.number)
        try:
            async for chunk in pieces(download, piece.offset, piece.offset + piece.length):
                yield chunk
        finally:
            download.close()


def _failure_as_text(failure: Failure) -> tuple[bytes, str]:
    return f"{failure.code}: {failure.message}\n".encode(), "text/plain;charset=UTF-8"


routes = [
    *vosi.routes("/downloads", description.downloads_capabilities),
    *uws.routes(downloads.KIND, _failure_as_text, send),
]
