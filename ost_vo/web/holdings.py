"""How much there is, for the API and the pages alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ost_vo.access.context import Context
from ost_vo.faults import Fault
from ost_vo.services.archive import Archive
from ost_vo.services.holdings import Holdings, Numbers
from ost_vo.services.sights import key

T = TypeVar("T")
log = structlog.get_logger()


async def numbers(request: Request, context: Context) -> Numbers:
    """Return the numbers of what a context covers.

    Raises:
        TransientFault: out of time; the database does not answer.
    """
    counts: Holdings = request.app.state.holdings
    return await _counted(request, context, counts.known_numbers, counts.numbers)


async def latest_numbers(request: Request, context: Context) -> tuple[Numbers, bool]:
    """Return the numbers as they were counted last, and whether they are current.

    If not, they are counted anew behind the answer. Where somebody sees less since then, that is waited for.

    Raises:
        TransientFault: out of time; the database does not answer.
    """
    state = request.app.state
    seen = await run_in_threadpool(state.holdings.seen_numbers, state.archive, context)
    if seen is None:
        return await numbers(request, context), True
    who, counting = key(context), state.holdings_counting
    if not seen.is_current and who not in counting:
        counting[who] = asyncio.create_task(_count_behind(request, context))
        counting[who].add_done_callback(lambda _: counting.pop(who))
    return seen.value, seen.is_current


async def cells(request: Request, context: Context) -> list[tuple[int, int]]:
    """Return the cells of the sky of what a context covers; faults are those of :func:`numbers`."""
    counts: Holdings = request.app.state.holdings
    return await _counted(request, context, counts.known_cells, counts.cells)


async def _count_behind(request: Request, context: Context) -> None:
    try:
        await numbers(request, context)
    except Fault as fault:
        # The next one who looks has them counted again.
        log.warning("not counted", detail=fault.detail)


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
