"""One box for everything: what a text may mean, and what the archive has of it.

Every search is a query in ADQL in the caller's context, as anybody could write it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ost_vo.access.context import Context
from ost_vo.faults import NotFoundFault, UsageFault
from ost_vo.services.archive import Archive
from ost_vo.services.cones import Cone, cone
from ost_vo.store import listings, runs
from ost_vo.vo import adql

# Rows of each kind that are shown; of files among other things fewer, since a browser lays out a table as a
# whole before it paints any of it.
MAX_FOUND = 200
MAX_FILES = 100
_MAX_TEXT = 200
# To look for a text within the names of all files, a third of a second with a million [s].
_WITHIN_SECONDS = 3

_COLUMNS = (
    "obs_publisher_did",
    "path",
    "run_name",
    "target_name",
    "dataproduct_type",
    "exposure_type",
    "filter_name",
    "instrument_name",
    "t_min",
    "t_exptime",
    "file_size",
    "s_ra",
    "s_dec",
    "s_fov",
    "s_region",
    "privileges",
    "is_valid",
)
_SELECTED = ", ".join(f'"{name}"' for name in _COLUMNS)
_TARGET = "target_id, target_name, target_class, s_ra, s_dec, tags, note"
CALIBRATION_KINDS = ("dark", "bias", "flat")
_NAMED = ("instrument_name", "filter_name", "readout_mode")
CALIBRATION_VALUES = (
    *_NAMED,
    "t_exptime",
    "ccd_temperature",
    "s_xel1",
    "s_xel2",
    "binning_x",
    "binning_y",
    "gain",
    "black_level",
)
# A header has the exposure to a few digits; a dark frame changes by less than its noise within 2 K.
_EXPOSURE_MARGIN, _KELVIN = 0.001, 2.0
_FILE = re.compile(r"\.\w+$")


@dataclass(frozen=True, slots=True)
class Found:
    """What the archive has for a text.

    Attributes:
        cone: the place, where the text is one.
        targets: rows of ost.targets.
        runs: names of runs.
        products: rows of ost.products.
        is_cut: whether there is more of one kind than is shown.
        is_unfinished: whether files have been looked for by the beginnings of their names alone: to look
            within them took too long.
    """

    cone: Cone | None
    targets: list[dict[str, Any]]
    runs: list[str]
    products: list[dict[str, Any]]
    is_cut: bool
    is_unfinished: bool = False


def query_of_files(equal: Mapping[str, str]) -> str:
    """Return the query in ADQL for the products that have some values, column to value, at least one."""
    conditions = " AND ".join(_is(column, value) for column, value in equal.items())
    return f"SELECT * FROM ost.products WHERE {conditions} ORDER BY t_min"  # noqa: S608 - it is ADQL


def query_of_place(place: Cone) -> str:
    """Return the query in ADQL for the products whose centres lie in a cone."""
    return f"SELECT * FROM ost.products WHERE {_inside(place)} ORDER BY t_min"  # noqa: S608 - it is ADQL


def query_of(found: Found) -> str:
    """Return the query in ADQL for all files that a search found; '' where it found them by their names."""
    if found.cone:
        return query_of_place(found.cone)
    if len(found.targets) == 1:
        return query_of_files({"target_name": found.targets[0]["target_name"]})
    return ""


def query_of_targets(text: str) -> str:
    """Return the query in ADQL for the targets with a text in their names, all for ''."""
    where = f" WHERE {_named_like(text)}" if text else ""
    return f"SELECT * FROM ost.targets{where} ORDER BY target_name"  # noqa: S608 - it is ADQL


def query_of_calibrations(wanted: Mapping[str, str]) -> str:
    """Return the query in ADQL for calibration frames; faults are those of :func:`calibrations`."""
    names, ranges = _calibrating(wanted)
    conditions = ["is_valid = 1", "missing_since IS NULL"]
    for column, text in names.items():
        # As the archive calls it, or as a header does.
        also = f" OR {_is('header_instrument', text)}" if column == "instrument_name" else ""
        conditions.append(f"({_is(column, text)}{also})" if also else _is(column, text))
    conditions += [f"{column} BETWEEN {low!r} AND {high!r}" for column, (low, high) in ranges.items()]
    where = " AND ".join(conditions)
    return f"SELECT * FROM ost.products WHERE {where} ORDER BY t_min DESC"  # noqa: S608 - it is ADQL


def search(archive: Archive, context: Context, text: str) -> Found:
    """Return what the archive has for a text that a person typed.

    Args:
        archive: the open archive.
        context: who asks, in which scope.
        text: an identifier, a place, a night, or a part of the name of a target, a run or a file. Files are
            looked for where it has a suffix, or is of no target and run: by the beginnings of their names and
            paths, and where none begins so within all of them, for a few seconds.

    Raises:
        UsageFault: the text is longer than 200 characters, or a place that is none.
        TransientFault: out of time or connections.
    """
    text = " ".join(text.split())
    if len(text) > _MAX_TEXT:
        raise UsageFault(f"A search of more than {_MAX_TEXT} characters.", "Shorten it.")
    if text.startswith("ivo://"):
        return _found(
            None, [], [], _rows(archive, context, _SELECTED, "ost.products", _is("obs_publisher_did", text))
        )
    place = cone(text)
    if place is not None:
        return _in_cone(archive, context, place)
    found_targets = targets(archive, context, text)
    found_runs = _runs(archive, context, text)
    products: list[dict[str, Any]] | None = []
    if len(found_targets) == 1:
        products = _of_target(archive, context, found_targets[0]["target_name"], MAX_FILES + 1)
    elif _FILE.search(text) or not (found_targets or found_runs):
        products = _of_name(archive, context, text)
    found = _found(None, found_targets, found_runs, products or [])
    return replace(found, is_unfinished=products is None)


def targets(archive: Archive, context: Context, text: str) -> list[dict[str, Any]]:
    """Return the targets with a text in their names, all for '': at most MAX_FOUND and one, by name.

    Raises:
        TransientFault: out of time or connections.
    """
    return _rows(archive, context, _TARGET, "ost.targets", _named_like(text), "target_name")


def places(archive: Archive, context: Context, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the targets of some names, as :func:`targets` does; those that are not visible are left out."""
    if not names:
        return []
    condition = f"target_name IN ({', '.join(map(_quoted, names))})"
    return _rows(archive, context, _TARGET, "ost.targets", condition, "target_name")


def target(archive: Archive, context: Context, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a target, and its products in the order of their times: at most MAX_FOUND and one.

    Raises:
        NotFoundFault: there is none of that name that the context covers a product of.
        TransientFault: out of time or connections.
    """
    found = _rows(archive, context, _TARGET, "ost.targets", _is("target_name", name))
    if not found:
        raise NotFoundFault(f"There is no target {name}.", "Look at the list of targets.")
    return found[0], _of_target(archive, context, name, MAX_FOUND + 1)


def in_field(archive: Archive, context: Context, identifier: str) -> list[dict[str, Any]]:
    """Return the targets in the field of a product, its own one first, with their positions."""
    condition = f"{_is('obs_publisher_did', identifier)} AND t.s_ra IS NOT NULL"
    table = "ost.product_targets AS l JOIN ost.targets AS t ON t.target_id = l.target_id"
    columns = "t.target_name, t.s_ra, t.s_dec, l.is_main"
    return _rows(archive, context, columns, table, condition, "is_main DESC, target_name")


def calibrations(archive: Archive, context: Context, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return calibration frames that fit what somebody asks for: the dark finder.

    Args:
        archive: the open archive.
        context: who asks, in which scope.
        wanted: exposure_type (bias, dark or flat) and any of CALIBRATION_VALUES to a text: names must be
            equal; exposure [s] within 0.1 %, temperature [deg C] within 2 K, other numbers equal.

    Returns:
        The latest first, at most MAX_FOUND and one.

    Raises:
        UsageFault: what should be a number is none, or the kind is no calibration.
        TransientFault: out of time or connections.
    """
    names, ranges = _calibrating(wanted)
    with archive.database.connection() as connection:
        settings = archive.listing_settings(context)
        return listings.calibrations(connection, settings, _COLUMNS, names, ranges, MAX_FOUND + 1)


def _calibrating(wanted: Mapping[str, str]) -> tuple[dict[str, str], dict[str, tuple[float, float]]]:
    """Return what calibration frames must have: columns to texts, and columns to least and greatest."""
    kind = wanted.get("exposure_type", "dark")
    if kind not in CALIBRATION_KINDS:
        raise UsageFault(f"{kind!r} is no kind of calibration frame.", "Take bias, dark or flat.")
    given = {column: text for column in CALIBRATION_VALUES if (text := wanted.get(column, "").strip())}
    names = {column: text for column, text in given.items() if column in _NAMED}
    ranges = {column: _range(column, text) for column, text in given.items() if column not in _NAMED}
    return {"exposure_type": kind, **names}, ranges


def _range(column: str, text: str) -> tuple[float, float]:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageFault(f"{column} is {text!r}, which is no number.", "Write it as in -10.5.")
    margin = {"t_exptime": abs(number) * _EXPOSURE_MARGIN, "ccd_temperature": _KELVIN}.get(column, 0.0)
    return number - margin, number + margin


def _of_target(archive: Archive, context: Context, name: str, limit: int) -> list[dict[str, Any]]:
    with archive.database.connection() as connection:
        settings = archive.listing_settings(context)
        return listings.of_target(connection, settings, _COLUMNS, name, limit)


def _of_name(archive: Archive, context: Context, text: str) -> list[dict[str, Any]] | None:
    """Return the products whose files' names begin with a text, or else have it; None when out of time."""
    settings = archive.listing_settings(context)
    with archive.database.connection() as connection:
        found = listings.named(connection, settings, _COLUMNS, text, MAX_FILES + 1)
        if found:
            return found
        limited = {**settings, "statement_timeout": f"{_WITHIN_SECONDS}s"}
        return listings.containing(connection, limited, _COLUMNS, text, MAX_FILES + 1)


def _runs(archive: Archive, context: Context, text: str) -> list[str]:
    with archive.database.connection() as connection:
        return runs.names(connection, archive.listing_settings(context), text, MAX_FOUND + 1)


def _in_cone(archive: Archive, context: Context, place: Cone) -> Found:
    inside = _inside(place)
    products = _rows(archive, context, _SELECTED, "ost.products", inside)
    return _found(place, _rows(archive, context, _TARGET, "ost.targets", inside), [], products)


def _inside(place: Cone) -> str:
    return f"1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE({place.ra!r}, {place.dec!r}, {place.radius!r}))"


def _named_like(text: str) -> str:
    return f"LOWER(target_name) LIKE {_pattern(text)}"


def _found(
    place: Cone | None, targets: list[dict[str, Any]], runs: list[str], products: list[dict[str, Any]]
) -> Found:
    is_cut = max(len(targets), len(runs)) > MAX_FOUND or len(products) > MAX_FILES
    return Found(place, targets[:MAX_FOUND], runs[:MAX_FOUND], products[:MAX_FILES], is_cut)


def _rows(
    archive: Archive, context: Context, columns: str, table: str, condition: str, order: str = ""
) -> list[dict[str, Any]]:
    query = f"SELECT TOP {MAX_FOUND + 1} {columns} FROM {table} WHERE {condition}"  # noqa: S608 - it is ADQL
    translation = adql.translate(f"{query} ORDER BY {order}" if order else query, archive.published.catalogue)
    with archive.database.connection() as connection:
        settings = archive.transaction_settings(context)
        return listings.rows(connection, settings, translation.sql, [c.name for c in translation.columns])


def _pattern(text: str) -> str:
    return _quoted(f"%{text.lower().replace('%', '')}%")


def _is(column: str, value: str) -> str:
    return f"{column} = {_quoted(value)}"


def _quoted(text: str) -> str:
    """Return a text as a literal of ADQL."""
    return "'" + text.replace("'", "''") + "'"
