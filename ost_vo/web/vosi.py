"""VOSI over HTTP: capabilities, availability, tables."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ost_vo.faults import UsageFault
from ost_vo.services import description
from ost_vo.services.archive import Archive
from ost_vo.vo.vosi import CONTENT_TYPE
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url


def routes(prefix: str, capabilities: Callable[[Archive, str], bytes]) -> list[Route]:
    """Return the routes by which a service describes itself."""

    async def answer(request: Request) -> Response:
        return await _document(request, lambda archive: capabilities(archive, base_url(request)))

    return [Route(f"{prefix}/capabilities", answer), Route(f"{prefix}/availability", availability)]


async def availability(request: Request) -> Response:
    """Say whether the archive can answer."""
    return await _document(request, description.availability)


async def tables(request: Request) -> Response:
    """List the tables, with their columns unless detail=min (VOSI 1.1 section 2.4)."""
    detail = (await read(request)).one("DETAIL") or "max"
    if detail not in ("min", "max"):
        raise UsageFault(f"detail={detail!r} is unknown.", "Give min or max.")
    return await _document(request, lambda archive: description.tables(archive, detail))


async def table(request: Request) -> Response:
    """Describe one table."""
    name = request.path_params["name"]
    return await _document(request, lambda archive: description.table(archive, name))


async def _document(request: Request, make: Callable[[Archive], bytes]) -> Response:
    document = await run_in_threadpool(make, request.app.state.archive)
    return Response(document, media_type=CONTENT_TYPE)
