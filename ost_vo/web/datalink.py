"""DataLink over HTTP, and the stable link to the file of a data product."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ost_vo.faults import UsageFault
from ost_vo.services import datalink, files, headers
from ost_vo.services.archive import Archive
from ost_vo.vo.parameters import Parameters
from ost_vo.web.authentication import context_of
from ost_vo.web.files import in_form, respond
from ost_vo.web.parameters import read


async def links(request: Request) -> Response:
    """List the links of data sets."""
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    context = await context_of(request, parameters)
    document, media_type = await run_in_threadpool(datalink.links, archive, parameters, context)
    # Not as media_type: clients compare the text, and Starlette would add a charset to text/xml.
    return Response(document, headers={"Content-Type": media_type})


async def file(request: Request) -> Response:
    """Send the file of the data set with the given ID."""
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    identifier = _identifier(parameters)
    context = await context_of(request, parameters)
    download = await run_in_threadpool(files.open_identifier, archive, identifier, context)
    return respond(request, await in_form(request, download, parameters))


async def header(request: Request) -> Response:
    """Send the header of the data set with the given ID, as text or JSON."""
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    identifier = _identifier(parameters)
    context = await context_of(request, parameters)
    text, media_type = await run_in_threadpool(
        headers.header, archive, identifier, context, parameters.one("RESPONSEFORMAT")
    )
    return Response(text, media_type=media_type)


def _identifier(parameters: Parameters) -> str:
    identifier = parameters.one("ID")
    if identifier is None:
        raise UsageFault("The parameter ID is missing.", "Give the obs_publisher_did of a data set.")
    return identifier


routes = [
    Route("/datalink/links", links, methods=["GET", "POST"]),
    Route("/datalink/file", file, methods=["GET"]),
    Route("/datalink/header", header, methods=["GET"]),
]
