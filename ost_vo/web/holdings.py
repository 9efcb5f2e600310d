"""How much there is, for the API and the pages alike."""

from __future__ import annotations

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ost_vo.access.context import Context
from ost_vo.services.archive import Archive
from ost_vo.services.holdings import Holdings, Numbers


async def numbers(request: Request, context: Context) -> Numbers:
    """Return the numbers of what a context covers.

    Raises:
        TransientFault: out of time; the database does not answer.
    """
    archive: Archive = request.app.state.archive
    holdings: Holdings = request.app.state.holdings
    known = await run_in_threadpool(holdings.known_numbers, archive, context)
    if known is not None:
        return known
    # One at a time: it takes a core for a second or two. Who waits here takes no thread from others.
    limiter = request.app.state.holdings_limiter
    return await anyio.to_thread.run_sync(holdings.numbers, archive, context, limiter=limiter)


async def cells(request: Request, context: Context) -> list[tuple[int, int]]:
    """Return the cells of the sky of what a context covers; faults are those of :func:`numbers`."""
    archive: Archive = request.app.state.archive
    holdings: Holdings = request.app.state.holdings
    known = await run_in_threadpool(holdings.known_cells, archive, context)
    if known is not None:
        return known
    limiter = request.app.state.holdings_limiter
    return await anyio.to_thread.run_sync(holdings.cells, archive, context, limiter=limiter)
