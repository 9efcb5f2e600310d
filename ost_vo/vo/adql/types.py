"""The types that expressions have in PostgreSQL, and how they mix (ADQL 2.1 section 3)."""

from __future__ import annotations

import re
from dataclasses import replace

from ost_vo.vo.columns import Column, sql_type

BOOLEAN = "boolean"
SMALLINT = "smallint"
INTEGER = "integer"
BIGINT = "bigint"
REAL = "real"
DOUBLE = "double precision"
TEXT = "text"
TIMESTAMP = "timestamp with time zone"
POINT = "spoint"
CIRCLE = "scircle"
POLYGON = "spoly"
# The type of NULL, which fits everywhere.
NULL = "unknown"

INTEGERS = (SMALLINT, INTEGER, BIGINT)
# From narrow to wide.
NUMBERS = (SMALLINT, INTEGER, BIGINT, REAL, DOUBLE)
GEOMETRIES = (POINT, CIRCLE, POLYGON)
REGIONS = (CIRCLE, POLYGON)

# VOTable datatype of a result column by its type.
DATATYPES = {
    BOOLEAN: "boolean",
    SMALLINT: "short",
    INTEGER: "int",
    BIGINT: "long",
    REAL: "float",
    DOUBLE: "double",
}
_NAMES = {
    BOOLEAN: "a boolean",
    TEXT: "a string",
    TIMESTAMP: "a timestamp",
    POINT: "a point",
    CIRCLE: "a circle",
    POLYGON: "a polygon",
    NULL: "NULL",
    **dict.fromkeys(NUMBERS, "a number"),
}
# Names under which PostgreSQL knows the types, with what makes the stored value one of the types above.
_STORED: dict[str, tuple[str, str]] = {
    **{name: (name, "{}") for name in (BOOLEAN, *NUMBERS, TEXT, TIMESTAMP, *GEOMETRIES)},
    "bool": (BOOLEAN, "{}"),
    "int2": (SMALLINT, "{}"),
    "int4": (INTEGER, "{}"),
    "int": (INTEGER, "{}"),
    "int8": (BIGINT, "{}"),
    "float4": (REAL, "{}"),
    "float8": (DOUBLE, "{}"),
    "numeric": (DOUBLE, "({}::float8)"),
    "decimal": (DOUBLE, "({}::float8)"),
    "timestamptz": (TIMESTAMP, "{}"),
    "timestamp": (TIMESTAMP, "({} AT TIME ZONE 'UTC')"),
    "timestamp without time zone": (TIMESTAMP, "({} AT TIME ZONE 'UTC')"),
    "date": (TIMESTAMP, "({}::timestamp AT TIME ZONE 'UTC')"),
}
_LENGTH = re.compile(r"\s*\([0-9, ]*\)")


def stored(column: Column) -> tuple[str, str]:
    """Return the type of a column of the catalogue, and a template that makes its stored value that type.

    Types without a counterpart in ADQL (uuid, character, ...) become text, arrays keep PostgreSQL's name.
    """
    name = column.sql_type or sql_type(column.datatype, column.arraysize)
    known = _STORED.get(name)
    if known is None:
        name = _LENGTH.sub("", name.lower())
        known = _STORED.get(name)
    if known is not None:
        return known
    return (name, "{}") if name.endswith("[]") else (TEXT, "({}::text)")


def named(kind: str) -> str:
    """Return a type as messages name it, with its article."""
    return _NAMES.get(kind, "an array" if kind.endswith("[]") else kind)


def wider(left: str, right: str) -> str:
    """Return the type of arithmetic between two numbers, as PostgreSQL has it."""
    if left == right:
        return left
    if REAL in (left, right):
        return DOUBLE
    return NUMBERS[max(NUMBERS.index(left), NUMBERS.index(right))]


def redeclared(column: Column, kind: str, shared: str) -> Column:
    """Return the description of a column of one type whose values, joined by others, may be wider."""
    if shared == TEXT:
        return replace(column, arraysize="*")
    if kind == shared or shared not in DATATYPES:
        return column
    return replace(column, datatype=DATATYPES[shared], arraysize=None, xtype=None, sql_type=shared)


def common(left: str, right: str) -> str | None:
    """Return the type that holds the values of both, or None when there is none."""
    if left == right or right == NULL:
        return left
    if left == NULL:
        return right
    if left in NUMBERS and right in NUMBERS:
        return wider(left, right)
    return None
