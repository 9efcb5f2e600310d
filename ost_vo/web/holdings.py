"""How much there is, for the API and the pages alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ost_vo.access.context import Context
from ost_vo.services.archive import Archive
from ost_vo.services.holdings import Holdings, Numbers

T = TypeVar("T")


async def numbers(request: Request, context: Context) -> Numbers:
    """Return the numbers of what a context covers.

    Raises:
        TransientFault: out of time; the database does not answer.
    """
    counts: Holdings = request.app.state.holdings
    return await _counted(request, context, counts.known_numbers, counts.numbers)


async def cells(request: Request, context: Context) -> list[tuple[int, int]]:
    """Return the cells of the sky of what a context covers; faults are those of :func:`numbers`."""
    counts: Holdings = request.app.state.holdings
    return await _counted(request, context, counts.known_cells, counts.cells)


async def _counted(
    request: Request,
    context: Context,
    known: Callable[[Archive, Context], T | None],
    count: Callable[[Archive, Context], T],
) -> T:
    archive: Archive = request.app.state.archive
    found = await run_in_threadpool(known, archive, context)
    if found is not None:
        return found
    # One at a time: it takes a core for a second or two. Who waits here takes no thread from others.
    limiter = request.app.state.holdings_limiter
    return await anyio.to_thread.run_sync(count, archive, context, limiter=limiter)
