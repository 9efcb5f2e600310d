"""Looking at runs, in the caller's context."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ost_vo.access.context import Context
from ost_vo.faults import NotFoundFault, UsageFault
from ost_vo.services.archive import Archive
from ost_vo.store import runs
from ost_vo.store.runs import Run

# Runs of one page, and files of a run that are shown at a time.
MAX_PAGE = 200
MAX_FILES = 5000
# What files of a run may be narrowed by: columns of ost.products.
FILTERS = ("exposure_type", "target_name", "filter_name", "instrument_name", "dataproduct_type")
# What is shown of each file.
COLUMNS = (
    "obs_publisher_did",
    "path",
    "dataproduct_type",
    "exposure_type",
    "target_name",
    "filter_name",
    "instrument_name",
    "t_min",
    "t_exptime",
    "file_size",
    "airmass",
    "ambient_temperature",
    "humidity",
    "pressure",
    "wind_speed",
    "ccd_temperature",
    "s_ra",
    "s_dec",
    "s_fov",
    "s_region",
    "privileges",
    "is_valid",
    "missing_since",
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some runs.

    Attributes:
        runs: the latest night first.
        cursor: where the next page begins; None where there is none.
    """

    runs: list[Run]
    cursor: str | None


def page(
    archive: Archive,
    context: Context,
    text: str,
    cursor: str | None,
    limit: int,
    *,
    tag: str | None = None,
    reduction_status: str | None = None,
) -> Page:
    """Return a page of the runs of which the context covers a file.

    Args:
        archive: the open archive.
        context: who asks, in which scope.
        text: part of the name or of the night; '' for all.
        cursor: of the page before; None for the first.
        limit: runs on the page.
        tag, reduction_status: that they have; None for any.

    Raises:
        UsageFault: the limit is none of 1 to 200; the cursor is none.
        TransientFault: out of time or connections.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise UsageFault(f"A page cannot have {limit} runs.", f"Ask for 1 to {MAX_PAGE}.")
    after = None
    if cursor is not None:
        night, _, name = cursor.partition(" ")
        after = (night, name)
    with archive.database.connection() as connection:
        found = runs.page(
            connection,
            archive.listing_settings(context),
            text=text,
            tag=tag,
            reduction_status=reduction_status,
            after=after,
            limit=limit + 1,
        )
    last = found[limit - 1] if len(found) > limit else None
    return Page(found[:limit], f"{last.night or ''} {last.name}" if last else None)


def get(archive: Archive, context: Context, name: str) -> Run:
    """Return a run.

    Raises:
        NotFoundFault: there is none of that name of which the context covers a file.
        TransientFault: out of time or connections.
    """
    with archive.database.connection() as connection:
        found = runs.one(connection, archive.listing_settings(context), name)
    if found is None:
        raise NotFoundFault(f"There is no run {name}.", "Look at the list of runs.")
    return found


def files(
    archive: Archive,
    context: Context,
    run: str,
    narrowed: Mapping[str, str],
    limit: int = MAX_FILES,
    cursor: str | None = None,
) -> list[dict[str, Any]]:
    """Return the files of a run in the order of their times, in the columns of COLUMNS.

    Args:
        archive: the open archive.
        context: who asks, in which scope.
        run: its name.
        narrowed: a column of FILTERS to the value that it must have.
        limit: the most to return.
        cursor: of :func:`cursor_behind` the last file of the page before; None for the first page.

    Raises:
        UsageFault: there is no such filter, or the cursor is none.
        TransientFault: out of time or connections.
    """
    for name in narrowed:
        if name not in FILTERS:
            raise UsageFault(f"Files cannot be narrowed by {name}.", f"Take one of {', '.join(FILTERS)}.")
    with archive.database.connection() as connection:
        settings = archive.transaction_settings(context)
        return runs.files(connection, settings, COLUMNS, {"run_name": run, **narrowed}, limit, _place(cursor))


def cursor_behind(file: Mapping[str, Any]) -> str:
    """Return the cursor of the page that follows on a file."""
    return f"{'' if file['t_min'] is None else repr(file['t_min'])} {file['path']}"


def _place(cursor: str | None) -> tuple[float, str] | None:
    """Return the time [MJD], infinite for none, and the path that a cursor stands for."""
    if cursor is None:
        return None
    time, _, path = cursor.partition(" ")
    try:
        return (float(time) if time else math.inf), path
    except ValueError as error:
        raise UsageFault(f"{cursor[:80]!r} is no cursor.", "Take `next` of the page before.") from error
