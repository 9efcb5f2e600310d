"""Files over HTTP, with ranges and conditional requests.

Source: RFC 9110 sections 13 (conditional requests) and 14 (ranges); RFC 6266 (names); RFC 9530 (digests).
"""

from __future__ import annotations

import errno
import os
import re
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import anyio
from anyio import to_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ost_vo.faults import ConflictFault, UsageFault
from ost_vo.services import cutouts, decompression, files
from ost_vo.services.archive import Archive
from ost_vo.services.cut_pieces import Limits
from ost_vo.services.files import Download
from ost_vo.vo.parameters import Parameters
from ost_vo.web.authentication import context_of
from ost_vo.web.parameters import read
from ost_vo.web.sendfile import handed_over

# Of files that are in memory, and of those that a thread reads.
_PIECE_BYTES, _SLOW_PIECE_BYTES = 1 << 18, 1 << 20
_RANGES = re.compile(r"bytes[ \t]*=(.*)", re.IGNORECASE)
_RANGE = re.compile(r"[ \t]*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))[ \t]*")
_ETAG = re.compile(r'(?:W/)?("[^"]*")')
# Names of the format of tile-compressed files that are unpacked.
_UNPACKED = ("fits", "image/fits", "application/fits")
# What a name in double quotes holds without being mistaken (RFC 6266 appendix D).
_NOT_PLAIN = re.compile(r"[^ !#-$&-\[\]-~]")


async def file(request: Request) -> Response:
    """Send the file with the path that the URL names."""
    archive: Archive = request.app.state.archive
    path = request.path_params.get("path", "")
    parameters = await read(request)
    context = await context_of(request, parameters)
    download = await run_in_threadpool(files.open_path, archive, path, context)
    return respond(request, await in_form(request, download, parameters))


async def in_form(request: Request, download: Download, parameters: Parameters) -> Download:
    """Return an open file as RESPONSEFORMAT wants it: as it is, or a tile-compressed one unpacked.

    Raises:
        UsageFault: there is no such format of it.
        TransientFault: it took too long.
        FatalFault: it cannot be unpacked.
    """
    try:
        wanted = parameters.one("RESPONSEFORMAT")
        if wanted is None:
            return download
        if wanted.strip().lower() not in _UNPACKED:
            raise UsageFault(f"There is no format {wanted!r} of files.", "Give fits, or nothing.")
    except UsageFault:
        download.close()
        raise
    if not decompression.is_packed(download):
        return download
    archive: Archive = request.app.state.archive
    limits = Limits(cutouts.MAX_UNPACKED_BYTES, time.monotonic() + archive.settings.sync_seconds)
    # Each takes a processor: further ones wait without a thread.
    limiter: anyio.CapacityLimiter = request.app.state.cutout_limiter
    return await to_thread.run_sync(decompression.unpacked, download, limits, limiter=limiter)


def respond(request: Request, download: Download) -> Response:
    """Return the response that sends an open file, or says that the client has it already."""
    headers = {
        "ETag": download.etag,
        "Last-Modified": formatdate(download.status.st_mtime, usegmt=True),
        "Cache-Control": "no-cache" if download.product.data_rights == "public" else "private, no-cache",
    }
    if _is_current(request.headers, download):
        download.close()
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = disposition(download.name)
    # Set here, since as a media type Starlette would add a charset to text.
    headers["Content-Type"] = download.media_type or download.product.media_type
    if download.sha256 is not None:
        headers["Repr-Digest"] = f"sha-256=:{b64encode(download.sha256).decode()}:"
    response = None if download.form else handed_over(request, download, headers)  # no web server has a form
    if response is None and request.method == "GET" and "range" not in request.headers:
        return _Whole(download, headers)
    return response or _Sending(download, headers)


class _Whole(StreamingResponse):
    """Sends all of an open file and closes it, also when the client goes away."""

    def __init__(self, download: Download, headers: dict[str, str]) -> None:
        size = os.fstat(download.descriptor).st_size
        length = {"Content-Length": str(size), "Accept-Ranges": "bytes"}
        super().__init__(pieces(download, 0, size), headers={**headers, **length})
        self._download = download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._download.close()


async def pieces(download: Download, start: int, stop: int) -> AsyncIterator[bytes]:
    """Yield the bytes of an open file.

    What the system holds in memory is read at once: a thread for each piece would take several times as long
    as the piece. What it does not is waited for in a thread.

    Args:
        download: the open file.
        start, stop: the first of the bytes, and the one behind them.

    Raises:
        ConflictFault: it has become shorter: the client sees that the answer breaks off.
    """
    done, may_hurry = start, True
    while done < stop:
        piece = b""
        if may_hurry:
            buffer = bytearray(min(_PIECE_BYTES, stop - done))
            try:
                count = os.preadv(download.descriptor, [buffer], done, os.RWF_NOWAIT)
                piece = bytes(memoryview(buffer)[:count])
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                may_hurry = False
        if not piece:
            size = min(_SLOW_PIECE_BYTES, stop - done)
            piece = await to_thread.run_sync(os.pread, download.descriptor, size, done)
        if not piece:
            raise ConflictFault(f"The file {download.name!r} got shorter while it was sent.")
        done += len(piece)
        yield piece


class _Sending(FileResponse):
    """Sends ranges or the size of an open file and closes it, also when the client goes away."""

    chunk_size = 1 << 20

    def __init__(self, download: Download, headers: dict[str, str]) -> None:
        # By its number the very file that was checked is read, whatever has come to its path since.
        status = os.fstat(download.descriptor)
        super().__init__(f"/proc/self/fd/{download.descriptor}", headers=headers, stat_result=status)
        self._download = download
        self._size = status.st_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(_with_range(scope, self._size), receive, send)
        finally:
            self._download.close()


def _is_current(headers: Headers, download: Download) -> bool:
    """Evaluate If-None-Match, or without it If-Modified-Since (RFC 9110 section 13.2.2)."""
    known = headers.get("if-none-match")
    if known is not None:
        return known.strip() == "*" or download.etag.removeprefix("W/") in _ETAG.findall(known)
    since = headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return int(download.status.st_mtime) <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):
        return False


def _with_range(scope: Scope, size: int) -> Scope:
    """Return a request's scope without the parts of its Range header that are to be ignored.

    Starlette refuses a whole header for a unit that it does not know, a range that is not valid, or one of
    several that lies beyond the end; RFC 9110 section 14.2 wants such a header or such a range ignored.
    """
    kept: list[tuple[bytes, Any]] = [pair for pair in scope["headers"] if pair[0] != b"range"]
    given = Headers(scope=scope).get("range")
    wanted = satisfiable(given, size) if given is not None else None
    return {**scope, "headers": kept + ([(b"range", wanted.encode())] if wanted else [])}


def satisfiable(given: str, size: int) -> str | None:
    """Return a Range header with what a file of that size [byte] can satisfy, None to ignore it."""
    ranges = _RANGES.fullmatch(given.strip())
    if ranges is None or not ranges[1].strip(", \t"):
        return None
    valid: list[str] = []
    for part in filter(str.strip, ranges[1].split(",")):
        match = _RANGE.fullmatch(part)
        if match is None or (match[2] and int(match[1]) > int(match[2])):
            return None
        if (match[1] and int(match[1]) < size) or (match[3] and int(match[3]) and size):
            valid.append(part.strip())
    # With none of them left the answer is 416, which a range behind the end brings about.
    return f"bytes={','.join(valid) or f'{size}-'}"


def disposition(name: str) -> str:
    """Return Content-Disposition with a file's name, in ASCII for old clients as well."""
    plain = _NOT_PLAIN.sub("_", name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


routes = [
    Route("/files/{path:path}", file, methods=["GET"]),
    # Without it, a request for the root would be redirected to itself with a slash.
    Route("/files", file, methods=["GET"]),
]
