"""DataLink over HTTP, and the stable link to the file of a data product."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ost_vo.access.context import ANONYMOUS
from ost_vo.faults import UsageFault
from ost_vo.services import datalink, files
from ost_vo.services.archive import Archive
from ost_vo.web.files import respond
from ost_vo.web.parameters import read


async def links(request: Request) -> Response:
    """List the links of data sets."""
    archive: Archive = request.app.state.archive
    document, media_type = await run_in_threadpool(datalink.links, archive, await read(request), ANONYMOUS)
    # Not as media_type: clients compare the text, and Starlette would add a charset to text/xml.
    return Response(document, headers={"Content-Type": media_type})


async def file(request: Request) -> Response:
    """Send the file of the data set with the given ID."""
    archive: Archive = request.app.state.archive
    identifier = (await read(request)).one("ID")
    if identifier is None:
        raise UsageFault("The parameter ID is missing.", "Give the obs_publisher_did of a data set.")
    return respond(request, await run_in_threadpool(files.open_identifier, archive, identifier, ANONYMOUS))


routes = [
    Route("/datalink/links", links, methods=["GET", "POST"]),
    Route("/datalink/file", file, methods=["GET"]),
]
