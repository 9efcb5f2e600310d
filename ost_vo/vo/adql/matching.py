"""Joins of an uploaded table with another one by position.

The rows of the other table that lie within a radius of an uploaded position come from its index of positions
where the upload is small. Each look-up costs some 40 microseconds in pgSphere's GiST index, and a scan of a
million rows half a second; so larger uploads are matched by equality of cells, which PostgreSQL hashes: the
other table is read once. A cell is an interval of x times one of z, of points on the unit sphere: so there
are neither poles nor a seam, and of the points at +y and -y that share a cell the join's condition chooses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ost_vo.vo.adql.scopes import Relation
from ost_vo.vo.adql.values import Value, quoted_name, select
from ost_vo.vo.uploads import UploadedTable

# Rows of an upload from which on a scan of the other table pays.
MANY_ROWS = 10_000
# Wider circles reach into too many cells [rad].
WIDEST = math.radians(0.1)
# Cells along an axis of length 1, and what separates the numbers of the intervals of x in a key.
_FINEST = 2000
_STRIDE = 100_000
# pgSphere's containment is fuzzy at the edge; what is looked up must not be narrower [rad].
_MARGIN = 1e-8

_COLUMN = r't\d+\.(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")'
# A link between two stored points, as ``geometry`` writes it: one lies in a circle around the other.
_LINK = re.compile(rf"\(?({_COLUMN}) <@ scircle\(({_COLUMN}), ([0-9][0-9.e-]*)\)\)?")


@dataclass(slots=True, eq=False)
class UploadedRelation(Relation):
    """An uploaded table in FROM.

    Attributes:
        table: the upload.
        alias: the SQL's name of it.
    """

    table: UploadedTable | None = None
    alias: str = ""


def uploaded(relation: Relation, table: UploadedTable, alias: str) -> UploadedRelation:
    """Return the relation of an uploaded table, with the fields of the one given."""
    found = UploadedRelation(
        relation.name, relation.schema, relation.exact, relation.fields, relation.point, {}, table, alias
    )
    for item in found.fields:
        item.relation = found
    return found


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two stored points that a condition brings together: of the table to look up, and of another one."""

    own: Relation
    other: Relation
    radius: float


def lookup(relation: Relation, sql: str, alias: str, condition: Value) -> str | None:
    """Return a subquery that finds the rows of a table near the row of another one.

    Args:
        relation: the table to look up.
        sql: it, as FROM names it, alias included.
        alias: the SQL's name of it.
        condition: of the join; it stays in the query and decides, the subquery may yield a few rows more.

    Returns:
        The subquery for LATERAL, or None where the condition brings no two points together.
    """
    for pair in _pairs(relation, condition):
        table = _large_upload(pair)
        if table is not None and pair.radius <= WIDEST:
            return _by_cells(pair, sql, alias, table)
        if relation.point is not None and pair.other.point is not None:
            if isinstance(relation, UploadedRelation):
                require_index(relation)
            radius = min(pair.radius + _MARGIN, math.pi / 2)
            near = f"{relation.point[2]} <@ scircle({pair.other.point[2]}, {radius!r})"
            # OFFSET keeps PostgreSQL from undoing the subquery.
            return select("*", sql, f" WHERE {near} OFFSET 0")
    return None


def require_index(relation: Relation) -> None:
    """Have the positions of an upload indexed before the query runs; does nothing for another table."""
    if isinstance(relation, UploadedRelation) and relation.table is not None:
        relation.table.needs.index = True


def _pairs(relation: Relation, condition: Value) -> Iterator[_Pair]:
    points = {owner.point[2]: owner for owner in _relations(condition) if owner.point is not None}
    for _, link in condition.links:
        found = _LINK.fullmatch(link)
        if found is None:
            continue
        one, other = points.get(found[1]), points.get(found[2])
        if relation is other:
            one, other = other, one
        if relation is one and other is not None:
            yield _Pair(relation, other, float(found[3]))


def _relations(condition: Value) -> Iterator[Relation]:
    return (item.relation for item in condition.fields if item.relation is not None)


def _large_upload(pair: _Pair) -> UploadedRelation | None:
    large = [
        each
        for each in (pair.other, pair.own)
        if isinstance(each, UploadedRelation) and each.table is not None and each.table.rows >= MANY_ROWS
    ]
    return large[0] if large else None


def _by_cells(pair: _Pair, sql: str, alias: str, upload: UploadedRelation) -> str:
    chord = 2 * math.sin(pair.radius / 2) + _MARGIN
    per_unit = min(_FINEST, int(1 / (4 * chord)))
    table = upload.table
    assert table is not None
    row = f"{upload.alias}.{quoted_name(table.row)}"
    if upload is pair.own:
        joined = f"{_keys(table, chord, per_unit)} AS k JOIN {sql} ON k.place = {row}"
        link = f"k.key = {_key(pair.other, per_unit)}"
    else:
        joined = f"{_keys(table, chord, per_unit)} AS k JOIN {sql} ON k.key = {_key(pair.own, per_unit)}"
        link = f"k.place = {row}"
    return select(f"{alias}.*", joined, f" WHERE {link}")


def _key(relation: Relation, per_unit: int) -> str:
    """Return SQL for the cell of the position of a row."""
    longitude, latitude = (f"radians({_coordinate(relation, place)})" for place in (0, 1))
    x, z = f"cos({latitude}) * cos({longitude})", f"sin({latitude})"
    return f"floor({x} * {per_unit}) * {_STRIDE} + floor({z} * {per_unit})"


def _coordinate(relation: Relation, place: int) -> str:
    assert relation.point is not None
    name = relation.point[place]
    return next(item.sql for item in relation.fields if item.column.name.lower() == name)


def _keys(table: UploadedTable, chord: float, per_unit: int) -> str:
    """Return a subquery of the cells, up to four, that are near to each row of an upload: place and key."""
    assert table.point is not None
    point = quoted_name(table.point[2])
    names = f"{quoted_name(table.row)} AS place, x({point}) AS x, z({point}) AS z"
    # OFFSET keeps the points from being computed once for each place where they are used.
    points = select(names, f"{table.sql_name} AS p", " OFFSET 0")
    ends = [
        f"floor(({axis} {sign} {chord!r}) * {per_unit}) AS {axis}{end}"
        for axis in "xz"
        for end, sign in (("0", "-"), ("1", "+"))
    ]
    cells = select(f"place, {', '.join(ends)}", f"({points}) AS p")
    corners = [("x0", "z0", ""), ("x1", "z0", " WHERE x1 > x0"), ("x0", "z1", " WHERE z1 > z0")]
    corners.append(("x1", "z1", " WHERE x1 > x0 AND z1 > z0"))
    listed = [select(f"place, {x} * {_STRIDE} + {z} AS key", "p", differ) for x, z, differ in corners]
    return f"(WITH p AS MATERIALIZED ({cells}) {' UNION ALL '.join(listed)})"
