"""The coverage of the sky over HTTP: a MOC of what the caller may see."""

from __future__ import annotations

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ost_vo.services.archive import Archive
from ost_vo.services.coverage import Footprints, form_of, order_of
from ost_vo.vo.moc import FITS, MEDIA_TYPES
from ost_vo.web.authentication import context_of
from ost_vo.web.parameters import read


async def coverage(request: Request) -> Response:
    """Return the MOC, computed anew only where what the caller may see can be something else than before."""
    archive: Archive = request.app.state.archive
    footprints: Footprints = request.app.state.footprints
    parameters = await read(request)
    form, order = form_of(parameters), order_of(parameters)
    context = await context_of(request, parameters)
    footprint = await run_in_threadpool(footprints.known, archive, context)
    if footprint is None:
        # Who waits here takes no thread from others.
        limiter = request.app.state.moc_limiter
        footprint = await anyio.to_thread.run_sync(footprints.computed, archive, context, limiter=limiter)
    tag = f'"{footprint.tag}-{form}-{order}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if form == FITS:
        headers["Content-Disposition"] = 'inline; filename="moc.fits"'
    document = await run_in_threadpool(footprint.document, form, order)
    return Response(document, headers=headers, media_type=MEDIA_TYPES[form])


routes = [Route("/moc", coverage, methods=["GET", "POST"])]
