"""The publishing registry over HTTP."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ost_vo.faults import UsageFault
from ost_vo.services import registry
from ost_vo.services.archive import Archive
from ost_vo.vo.oai import CONTENT_TYPE

# Of a form; the longest argument is a resumption token [bytes].
BODY_BYTES = 65_536


async def harvest(request: Request) -> Response:
    """Answer a harvester (OAI-PMH 2.0 section 3.1); what is wrong with its request is in the document."""
    archive: Archive = request.app.state.archive
    pairs = [*request.query_params.multi_items(), *await _form(request)]
    return Response(await run_in_threadpool(registry.answer, archive, pairs), media_type=CONTENT_TYPE)


async def _form(request: Request) -> list[tuple[str, str]]:
    """Return the arguments in the body; unlike those of other services, their names heed case."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise UsageFault(f"The request's body is larger than {BODY_BYTES} bytes.", "Send less.")
    return parse_qsl(body.decode(errors="replace"), keep_blank_values=True)


routes = [Route("/oai.xml", harvest, methods=["GET", "POST"])]
