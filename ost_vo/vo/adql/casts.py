"""CAST (ADQL 2.1 section 4.7.1)."""

from __future__ import annotations

from ost_vo.vo.adql import comparisons, geometry, polygons, projection, tree, types
from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.values import Value, combined

_NUMBERS = {
    "SMALLINT": types.SMALLINT,
    "INTEGER": types.INTEGER,
    "BIGINT": types.BIGINT,
    "REAL": types.REAL,
    "DOUBLE PRECISION": types.DOUBLE,
}


def cast(value: Value, node: tree.Cast) -> Value:
    """Return a value cast to a type of ADQL.

    Raises:
        Flaw: there is no such conversion.
    """
    target, position = node.target, node.position
    if value.type.endswith("[]") or (value.type in types.GEOMETRIES and target not in ("CHAR", "VARCHAR")):
        raise Flaw(value.position, f"{types.named(value.type).capitalize()} cannot be cast to {target}.")
    if target in _NUMBERS:
        return _number(value, target, position)
    if target in ("CHAR", "VARCHAR"):
        return _text(value, node.length, position)
    if target == "TIMESTAMP":
        return _timestamp(value, position)
    if value.type == types.NULL:
        kind = {"POINT": types.POINT, "CIRCLE": types.CIRCLE, "POLYGON": types.POLYGON}[target]
        return Value(f"NULL::{kind}", kind, position)
    return geometry.from_text(value, target)


def _number(value: Value, target: str, position: int) -> Value:
    kind = _NUMBERS[target]
    if value.type == types.TIMESTAMP:
        raise Flaw(value.position, "A timestamp cannot be cast to a number.", "ivo_to_mjd gives its date.")
    if value.type == types.BOOLEAN:
        sql = f"{value.sql}::integer::{kind}"
    elif isinstance(value.literal, str):
        sql = f"{_parsed(value, kind)}::{kind}"
    else:
        sql = f"{value.sql}::{kind}"
    return combined(f"({sql})", kind, position, [value], unit=value.unit, name=value.name)


def _parsed(value: Value, kind: str) -> str:
    """Return a string literal as the number that it spells, or raise Flaw."""
    text = str(value.literal).strip()
    try:
        number = int(text) if kind in types.INTEGERS else float(text)
    except ValueError:
        raise Flaw(value.position, f"'{text[:40]}' is not a number of type {kind}.") from None
    if kind in types.INTEGERS and abs(number) >= 2**63:
        raise Flaw(value.position, f"'{text[:40]}' is too large for type {kind}.")
    return f"'{number!r}'"


def _text(value: Value, length: int | None, position: int) -> Value:
    """Return a value as text; CHAR is VARCHAR here, as section 4.7.1 leaves it open."""
    texts = {
        types.TIMESTAMP: projection.timestamp_text,
        types.POINT: projection.point_text,
        types.CIRCLE: projection.circle_text,
        types.POLYGON: polygons.text,
    }
    text = texts[value.type](value.sql) if value.type in texts else f"{value.sql}::text"
    if length is not None:
        text = f"left({text}, {length})"
    return combined(f"({text})", types.TEXT, position, [value], datatype=value.datatype, name=value.name)


def _timestamp(value: Value, position: int) -> Value:
    if value.type == types.TIMESTAMP:
        return value
    if value.type == types.NULL:
        return Value("NULL::timestamptz", types.TIMESTAMP, position)
    if value.type != types.TEXT:
        raise Flaw(value.position, f"{types.named(value.type).capitalize()} cannot be cast to TIMESTAMP.")
    if isinstance(value.literal, str):
        return comparisons.moment(value)
    sql = f"({value.sql}::timestamp AT TIME ZONE 'UTC')"
    return combined(sql, types.TIMESTAMP, position, [value], name=value.name)
