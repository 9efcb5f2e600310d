"""A resolved expression: its SQL, its type, and what is known about it for the result's metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from ost_vo.vo.adql import types
from ost_vo.vo.columns import Column

if TYPE_CHECKING:
    from ost_vo.vo.adql.scopes import Field, Relation

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(slots=True, eq=False)
class Value:
    """An expression in PostgreSQL's language.

    Attributes:
        sql: the expression, in parentheses unless it is a name, a literal or a call.
        type: one of the types of types.py.
        position: where it stands in the query.
        column: the catalogue's description, while the value is still that column's.
        unit: unit in VOUnits syntax; None where none or unknown.
        name: what to call the result column when the user gives no name.
        literal: the number or string of a constant.
        fields: the columns that it reads outside of aggregate functions.
        aggregates: whether an aggregate function is in it.
        datatype: ``unicodeChar`` for text that may hold more than ASCII, None otherwise.
        source: the column of a table in FROM, while the value is nothing else.
        geometry: longitude and latitude of a point, point and radius of a circle; the two points between
            which a distance is taken.
        scale: the constant by which such a distance is multiplied.
        frame: the coordinate system that a constructor named.
        stored: the table whose stored, indexed geometry the value is.
        links: containments that a condition implies, which link a stored geometry to other tables: the table
            that stores it, and the containment.
        equalities: what the two sides of each equality read that a condition implies.
        condition: for a function that is 1 where a condition holds and 0 elsewhere, that condition.
    """

    sql: str
    type: str
    position: int
    column: Column | None = None
    unit: str | None = None
    name: str | None = None
    literal: float | int | str | None = None
    fields: tuple[Field, ...] = ()
    aggregates: bool = False
    datatype: str | None = None
    source: Field | None = None
    geometry: tuple[Value, ...] = field(default=())
    scale: float = 1.0
    frame: str | None = None
    condition: str | None = None
    stored: Relation | None = None
    links: tuple[tuple[Relation, str], ...] = ()
    equalities: tuple[tuple[tuple[Field, ...], tuple[Field, ...]], ...] = ()


def combined(sql: str, kind: str, position: int, parts: list[Value], **known: object) -> Value:
    """Return a value computed from others: it reads what they read, and aggregates when one does."""
    fields: tuple[Field, ...] = ()
    aggregates = False
    for part in parts:
        fields += part.fields
        aggregates = aggregates or part.aggregates
    return Value(sql, kind, position, fields=fields, aggregates=aggregates, **known)  # type: ignore[arg-type]


def select(columns: str, source: str, rest: str = "") -> str:
    """Return a SELECT of columns from a source, with the clauses behind FROM."""
    return " ".join(("SELECT", columns, "FROM", source)) + rest


@lru_cache(maxsize=10_000)
def quoted_name(name: str) -> str:
    """Return an identifier for PostgreSQL, quoted where it is not plain lower case."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """Return a string literal for PostgreSQL, whatever its setting of standard_conforming_strings."""
    escaped = text.replace("'", "''")
    if "\\" in text:
        return "E'" + escaped.replace("\\", "\\\\") + "'"
    return f"'{escaped}'"


def number(value: float, position: int) -> Value:
    """Return a constant of type double precision."""
    return Value(f"{value!r}::float8", types.DOUBLE, position, literal=value)


def typed(value: Value, kind: str) -> str:
    """Return the SQL of a value as one of the types that its own converts to."""
    return value.sql if value.type == kind else f"{value.sql}::{kind}"


def as_double(value: Value) -> str:
    """Return the SQL of a number as double precision."""
    return value.sql if value.type == types.DOUBLE else f"{value.sql}::float8"
