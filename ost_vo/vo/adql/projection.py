"""How values leave the database: the SQL types and texts of result columns, and their metadata."""

from __future__ import annotations

from ost_vo.vo.adql import polygons, types
from ost_vo.vo.adql.polygons import degrees_text
from ost_vo.vo.adql.values import Value
from ost_vo.vo.columns import Column, sql_type


def point_text(point: str) -> str:
    """Return SQL for the STC-S text of an spoint."""
    return f"('Position ICRS ' || {degrees_text(f'long({point})')} || ' ' || {degrees_text(f'lat({point})')})"


def circle_text(circle: str) -> str:
    """Return SQL for the STC-S text of an scircle."""
    centre = f"center({circle})"
    coordinates = f"{degrees_text(f'long({centre})')} || ' ' || {degrees_text(f'lat({centre})')}"
    return f"('Circle ICRS ' || {coordinates} || ' ' || {degrees_text(f'radius({circle})')})"


def timestamp_text(moment: str) -> str:
    """Return SQL for a moment as DALI 1.1 section 3.1.2 writes it, in UTC, without empty fractions."""
    written = f"to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"
    return f"replace({written}, '.000', '')"


_TEXTS = {
    types.POINT: (point_text, "adql:POINT"),
    types.CIRCLE: (circle_text, "adql:REGION"),
    types.POLYGON: (polygons.text, "adql:REGION"),
    types.TIMESTAMP: (timestamp_text, "timestamp"),
}


def result(name: str, value: Value) -> tuple[str, Column]:
    """Return the SQL of a result column, cast to the type in which it leaves, and its description."""
    if value.type in _TEXTS:
        text, xtype = _TEXTS[value.type]
        return text(value.sql), _described(name, value, "char", "*", xtype, types.TEXT)
    declared = value.column
    if declared is not None and _keeps(value.type, declared):
        kind = sql_type(declared.datatype, declared.arraysize)
        sql = value.sql if value.type == kind else f"{value.sql}::{kind}"
        datatype = value.datatype if value.type == types.TEXT and value.datatype else declared.datatype
        return sql, _described(name, value, datatype, declared.arraysize, declared.xtype, kind)
    return _computed(name, value)


def _keeps(kind: str, declared: Column) -> bool:
    """Tell whether a value of that type still fits the datatype that the catalogue declares."""
    wanted = sql_type(declared.datatype, declared.arraysize)
    if kind.endswith("[]"):
        return wanted.endswith("[]")
    return kind == wanted or (kind in types.NUMBERS and wanted in types.NUMBERS)


def _computed(name: str, value: Value) -> tuple[str, Column]:
    """Return SQL and description of a value whose type alone decides."""
    kind = value.type
    if (
        kind.endswith("[]")
        and (element := types.stored(Column("", "char", sql_type=kind[:-2]))[0]) != types.TEXT
    ):
        datatype = types.DATATYPES[element]
        sql = value.sql if kind == f"{element}[]" else f"{value.sql}::{element}[]"
        return sql, _described(name, value, datatype, "*", None, f"{element}[]")
    if kind in types.DATATYPES:
        return value.sql, _described(name, value, types.DATATYPES[kind], None, None, kind)
    sql = value.sql if kind == types.TEXT else f"{value.sql}::text"
    return sql, _described(name, value, value.datatype or "char", "*", None, types.TEXT)


def _described(
    name: str, value: Value, datatype: str, arraysize: str | None, xtype: str | None, sql_type: str
) -> Column:
    """Return the description of a result column, with what the catalogue says about its origin."""
    origin = value.column
    if origin is None:
        return Column(name, datatype, arraysize, xtype, value.unit, sql_type=sql_type)
    return Column(
        name,
        datatype,
        "*" if arraysize is None and sql_type == types.TEXT else arraysize,
        xtype,
        value.unit,
        origin.ucd,
        origin.utype,
        origin.description,
        sql_type,
        origin.principal,
        origin.indexed,
        origin.std,
    )
