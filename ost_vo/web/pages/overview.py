"""How much the archive has of what a caller may see, as numbers and plots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ost_vo.services import runs
from ost_vo.services.archive import Archive
from ost_vo.services.holdings import Count, Numbers
from ost_vo.web import holdings
from ost_vo.web.pages import layout, plots

_LATEST = 8
# Rows of a table of shares; what is left is one more.
_MOST = 10
_HOUR = 3600.0
# Groups in the order of the page, and their titles.
_GROUPS = {
    "kind": "Kind",
    "instrument": "Instrument",
    "filter": "Filter",
    "format": "Format",
    "calib_level": "Reduction",
    "position": "Positions of light frames",
}
_LEVELS = {0: "raw, format of its own", 1: "raw", 2: "calibrated", 3: "derived"}
_EXPOSURE = "Exposure of light frames by month [h]"
_POSITIONS = {"wcs": "solved", "header": "from the header", "none": "none"}


@dataclass(frozen=True, slots=True)
class Share:
    """A row of a table.

    Attributes:
        name: what its files have in common; '' for unknown.
        others: how many further values are in this one row, 0 where it is one value's.
        files: how many.
        part: of all files, 0 to 1.
        size: of its files [byte].
        light_seconds: exposure of the light frames among them [s].
    """

    name: str
    others: int
    files: int
    part: float
    size: int
    light_seconds: float


async def overview_page(request: Request) -> Response:
    """Show numbers, the latest nights, exposure by month, and what files have in common."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    numbers, is_current = await holdings.latest_numbers(request, context)
    latest = await run_in_threadpool(runs.page, archive, context, "", None, _LATEST)
    months = [(count.value, count) for count in numbers.groups["month"] if isinstance(count.value, date)]
    drawn = (
        plots.by_month(_EXPOSURE, [(month, count.light_seconds / _HOUR) for month, count in months]),
        plots.by_month("Files by month", [(month, float(count.files)) for month, count in months]),
    )
    return await layout.render(
        request,
        "overview.html",
        numbers=numbers,
        is_current=is_current,
        latest=latest.runs,
        shares={title: _shares(name, numbers) for name, title in _GROUPS.items() if numbers.groups[name]},
        plots=[plot for plot in drawn if plot is not None],
        months=list(reversed(months)),
    )


def _shares(group: str, numbers: Numbers) -> list[Share]:
    counts = numbers.groups[group]
    if group == "position":  # of light frames; the others have none
        counts = [count for count in counts if count.value is not None]
    every = sum(count.files for count in counts) or 1
    first, rest = (counts, []) if len(counts) <= _MOST + 1 else (counts[:_MOST], counts[_MOST:])
    shares = [
        Share(_name(group, count), 0, count.files, count.files / every, count.size, count.light_seconds)
        for count in first
    ]
    if rest:
        files = sum(count.files for count in rest)
        size = sum(count.size for count in rest)
        seconds = sum(count.light_seconds for count in rest)
        shares.append(Share("", len(rest), files, files / every, size, seconds))
    return shares


def _name(group: str, count: Count) -> str:
    if group == "calib_level":
        return _LEVELS.get(count.value, str(count.value))
    if group == "position":
        return _POSITIONS.get(count.value, str(count.value))
    return str(count.value or "")
