"""SIA over HTTP."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ost_vo.services import sia
from ost_vo.services.archive import Archive
from ost_vo.web import results
from ost_vo.web.authentication import context_of
from ost_vo.web.parameters import read


async def query(request: Request) -> Response:
    """Search for images and cubes, and stream what is found."""
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    context = await context_of(request, parameters)
    stream, media_type = await sia.query(archive, parameters, context)
    return await results.response(stream, media_type)


routes = [Route("/sia/query", query, methods=["GET", "POST"])]
