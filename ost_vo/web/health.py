"""Whether a process lives, and whether it can answer: for balancers and supervisors."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ost_vo.faults import Fault
from ost_vo.services.archive import Archive
from ost_vo.store import schema

_HEADERS = {"Cache-Control": "no-store"}


async def live(request: Request) -> Response:
    """Say that the process lives: it should be replaced when this does not come in a few seconds."""
    del request
    return PlainTextResponse("live\n", headers=_HEADERS)


async def ready(request: Request) -> Response:
    """Say whether requests should come here: the database answers, and has the tables of this version."""
    archive: Archive = request.app.state.archive
    try:
        await run_in_threadpool(_check, archive)
    except Fault as fault:
        return PlainTextResponse(f"not ready: {fault.code}\n", 503, headers=_HEADERS)
    return PlainTextResponse("ready\n", headers=_HEADERS)


def _check(archive: Archive) -> None:
    with archive.database.connection() as connection:
        schema.check(connection)


routes = [Route("/health/live", live), Route("/health/ready", ready)]
