"""What a job cuts out: combinations of parameters, or the rows of a table or of a query.

Source: SODA 1.0 sections 3.2 to 3.4 (several values in a job); TAP 1.1 section 2.5 (UPLOAD).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from astropy import units

from ost_vo.access.context import Context
from ost_vo.faults import UsageFault
from ost_vo.services import tap, uploads
from ost_vo.services.archive import Archive
from ost_vo.store import positions
from ost_vo.store.positions import Row
from ost_vo.store.reader import ConnectionSource
from ost_vo.vo import adql, soda
from ost_vo.vo.columns import Column
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.regions import Circle
from ost_vo.vo.soda import Selection
from ost_vo.vo.uploads import position_columns

_IDENTIFIERS = ("obs_publisher_did", "id", "identifier")
_RADII = ("radius", "s_radius", "sr")
_NAMES = ("name", "target_name", "target", "source_id", "label")
# Positions whose images are looked up in one statement.
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Order:
    """One cutout that is asked for.

    Attributes:
        row: of the table of positions, from 1 on; of parameters, the number of the combination.
        identifier: of the data set, as it was given; None where the caller sees no image of the position.
        selection: what to cut out.
        name: what the table calls the position.
        fault: what is wrong with the row; empty if it can be tried.
    """

    row: int
    identifier: str | None
    selection: Selection
    name: str = ""
    fault: str = ""


def is_bulk(parameters: Parameters) -> bool:
    """Whether the cutouts are those of a table of positions."""
    return bool(parameters.all("UPLOAD") or parameters.all("QUERY"))


def orders(
    archive: Archive, context: Context, parameters: Parameters, connections: ConnectionSource, seconds: float
) -> list[Order]:
    """Return the cutouts that a job's parameters ask for.

    Args:
        archive: the open archive.
        context: in which queries run.
        parameters: of the job.
        connections: for the queries.
        seconds: for which each of them may run [s].

    Raises:
        UsageFault: a parameter is wrong, there is nothing to cut out, or there is too much.
        TransientFault: out of time or connections.
    """
    most = archive.settings.cutout_job_cutouts
    if is_bulk(parameters):
        found = _of_table(_Desk(archive, context, connections, seconds, most), parameters)
    else:
        found = _of_parameters(parameters, most)
    if len(found) > most:
        raise _too_many(most)
    if not found:
        raise UsageFault("The table has no rows.", "Give at least one position.")
    return found


@dataclass(frozen=True)
class _Desk:
    """Where a table becomes orders."""

    archive: Archive
    context: Context
    connections: ConnectionSource
    seconds: float
    most: int

    @property
    def settings(self) -> dict[str, str]:
        """Of a transaction in the caller's context."""
        return {
            "statement_timeout": f"{max(1, math.ceil(self.seconds))}s",
            "client_connection_check_interval": "1s",
            **self.context.database_settings(),
        }


def _of_parameters(parameters: Parameters, most: int) -> list[Order]:
    identifiers = list(dict.fromkeys(text.strip() for text in parameters.all("ID")))
    if not identifiers:
        raise UsageFault(
            "Nothing is asked for.", "Give ID, once or several times, or UPLOAD or QUERY with positions."
        )
    chosen = soda.selections(parameters)
    if len(identifiers) * len(chosen) > most:
        raise _too_many(most)
    pairs = ((identifier, selection) for identifier in identifiers for selection in chosen)
    return [Order(number, *pair) for number, pair in enumerate(pairs, 1)]


def _of_table(desk: _Desk, parameters: Parameters) -> list[Order]:
    if soda.has_region(parameters) or parameters.all("ID"):
        raise UsageFault(
            "UPLOAD and QUERY give the positions: there cannot be an ID, CIRCLE, POLYGON or POS besides.",
            "Put identifiers and radii into the table.",
        )
    base = soda.selections(parameters)
    if len(base) > 1:
        raise UsageFault("A filter has several values.", "With UPLOAD or QUERY, give one of each.")
    radius = _radius(parameters)
    rows = _rows(desk, parameters)
    if len(rows) > desk.most:
        raise _too_many(desk.most)
    given = [_order(number, row, radius, base[0]) for number, row in enumerate(rows, 1)]
    return list(_with_images(desk, given))


def _rows(desk: _Desk, parameters: Parameters) -> list[Row]:
    with uploads.opened(desk.archive.settings, parameters) as uploaded:
        catalogue = desk.archive.published.catalogue.with_tables(uploaded.tables)
        query = parameters.one("QUERY")
        if query is None:
            if len(uploaded.tables) != 1:
                raise UsageFault("UPLOAD names several tables.", "Say by QUERY how they belong together.")
            name = uploaded.tables[0].name.replace('"', '""')
            query = f'SELECT * FROM TAP_UPLOAD."{name}"'  # noqa: S608 - ADQL, which is parsed
        translation = adql.translate(query, catalogue, maxrec=desk.most)
        expressions = _expressions(translation.columns)
        before = tap.loading(uploaded, {"statement_timeout": desk.settings["statement_timeout"]})
        with desk.connections() as connection:
            return positions.rows(
                connection,
                desk.settings,
                translation.sql,
                expressions,
                len(translation.columns),
                desk.most + 1,
                before,
            )


def _expressions(columns: Sequence[Column]) -> list[str]:
    """Return SQL for identifier, longitude, latitude, radius and name.

    Raises:
        UsageFault: there are no columns for a position.
    """
    place = position_columns(list(columns))
    if place is None:
        raise UsageFault(
            "The table has no columns for a position.",
            "Call them ra and dec [deg], or give them the UCDs pos.eq.ra;meta.main and pos.eq.dec;meta.main.",
        )
    longitude, latitude = (f"c{number + 1}::float8" for number in place)
    return [
        _text(columns, _IDENTIFIERS),
        longitude,
        latitude,
        _radius_expression(columns),
        _text(columns, _NAMES),
    ]


def _text(columns: Sequence[Column], names: Sequence[str]) -> str:
    number = _column(columns, names)
    return "NULL::text" if number is None else f"c{number + 1}::text"


def _column(columns: Sequence[Column], names: Sequence[str]) -> int | None:
    known = [column.name.lower() for column in columns]
    return next((known.index(name) for name in names if name in known), None)


def _radius_expression(columns: Sequence[Column]) -> str:
    number = _column(columns, _RADII)
    if number is None:
        return "NULL::float8"
    unit = units.Unit(columns[number].unit or "deg", parse_strict="silent")
    if not unit.is_equivalent(units.deg):
        raise UsageFault(f"The column {columns[number].name} is in {unit}.", "Give an angle, as in deg.")
    return f"c{number + 1}::float8 * {float(unit.to(units.deg))!r}"


def _radius(parameters: Parameters) -> float | None:
    """Return the radius of the rows that have none [deg]."""
    text = parameters.one("RADIUS")
    if text is None:
        return None
    try:
        radius = float(text)
    except ValueError:
        radius = math.nan
    if not 0 <= radius <= 180:
        raise UsageFault(f"RADIUS={text[:60]!r} is no radius.", "Give a number of degrees.")
    return radius


def _order(number: int, row: Row, radius: float | None, base: Selection) -> Order:
    identifier, longitude, latitude, own, name = row
    size = own if own is not None else radius
    fault = _wrong(longitude, latitude, size)
    given = (identifier or "").strip() or None
    if fault or longitude is None or latitude is None or size is None:
        return Order(number, given, base, name or "", fault)
    text = ", ".join(filter(None, [f"CIRCLE={longitude!r} {latitude!r} {size!r}", base.text]))
    circle = Circle(longitude % 360.0, latitude, size)
    return Order(number, given, replace(base, region=circle, text=text), name or "")


def _wrong(longitude: float | None, latitude: float | None, radius: float | None) -> str:
    """Return what is wrong with a position, '' for nothing."""
    if longitude is None or latitude is None or not math.isfinite(longitude) or not -90 <= latitude <= 90:
        return "The row has no position on the sky."
    if radius is None:
        return "The row has no radius, and there is no parameter RADIUS."
    return "" if 0 <= radius <= 180 else "The radius is outside 0 to 180 degrees."


def _with_images(desk: _Desk, given: list[Order]) -> Iterator[Order]:
    """Yield the orders, one for each image where a row does not name any."""
    open_rows = [order for order in given if order.identifier is None and not order.fault]
    found: dict[int, list[str]] = {}
    total = len(given) - len(open_rows)
    for start in range(0, len(open_rows), _BATCH):
        places = [
            (order.row, order.selection.region.longitude, order.selection.region.latitude)
            for order in open_rows[start : start + _BATCH]
            if isinstance(order.selection.region, Circle)
        ]
        with desk.connections() as connection:
            pairs = positions.images(connection, desk.settings, places, desk.most - total + 1)
        total += len(pairs)
        if total > desk.most:
            raise _too_many(desk.most)
        for row, identifier in pairs:
            found.setdefault(row, []).append(identifier)
    for order in given:
        if order.identifier is not None or order.fault:
            yield order
        elif order.row in found:
            yield from (replace(order, identifier=identifier) for identifier in found[order.row])
        else:
            yield order


def _too_many(most: int) -> UsageFault:
    return UsageFault(
        f"The job has more than {most} cutouts, the most that one may have.", "Split it into several."
    )
