"""Previews and thumbnails over HTTP."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ost_vo.faults import UsageFault
from ost_vo.services import previews
from ost_vo.services.archive import Archive
from ost_vo.services.picture_store import MEDIA_TYPE, Kind
from ost_vo.web.authentication import context_of
from ost_vo.web.parameters import read

# Only the caller's own cache may keep it, and only as long as somebody looks through a list of them.
_CACHE = "private, max-age=300"


async def preview(request: Request) -> Response:
    """Send the preview of the data set with the given ID."""
    return await _respond(request, Kind.PREVIEW)


async def thumbnail(request: Request) -> Response:
    """Send the thumbnail of the data set with the given ID."""
    return await _respond(request, Kind.THUMBNAIL)


async def _respond(request: Request, kind: Kind) -> Response:
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    identifier = parameters.one("ID")
    if identifier is None:
        raise UsageFault("The parameter ID is missing.", "Give the obs_publisher_did of a data set.")
    context = await context_of(request, parameters)
    picture = await run_in_threadpool(previews.picture, archive, identifier, kind, context)
    headers = {"ETag": picture.etag, "Cache-Control": _CACHE, "Vary": "Authorization, Cookie"}
    known = request.headers.get("if-none-match", "")
    if picture.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(picture.content, media_type=MEDIA_TYPE, headers=headers)


routes = [
    Route("/previews", preview, methods=["GET"]),
    Route("/thumbnails", thumbnail, methods=["GET"]),
]
