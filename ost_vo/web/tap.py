"""TAP over HTTP."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ost_vo.services import description, tap, tap_jobs
from ost_vo.services.archive import Archive
from ost_vo.web import pages, results, uws, vosi
from ost_vo.web.authentication import context_of
from ost_vo.web.disconnection import while_connected
from ost_vo.web.parameters import read


async def sync(request: Request) -> Response:
    """Run a query and stream its result."""
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    context = await context_of(request, parameters)
    stream, media_type = await while_connected(request, tap.query(archive, parameters, context))
    return await results.response(stream, media_type)


routes = [
    Route("/tap/sync", sync, methods=["GET", "POST"]),
    *uws.routes(tap_jobs.KIND),
    *vosi.routes("/tap", description.tap_capabilities),
    Route("/tap/examples", pages.examples),
    Route("/tap/tables", vosi.tables),
    Route("/tap/tables/{name:path}", vosi.table),
]
