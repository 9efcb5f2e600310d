"""Columns and tables as TAP_SCHEMA describes them: the metadata that goes with every result.

Source: TAP 1.1 section 4 (TAP_SCHEMA), VOTable 1.4 section 2 (datatypes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# VOTable datatype (with xtype "timestamp" apart) to the PostgreSQL type in which an element of a result's
# column leaves the database; the result streams rely on it. A bit is 0 or 1. A complex number is two elements
# of an array. An array of several dimensions has one in the database; its arraysize tells the others.
SQL_TYPES = {
    "boolean": "boolean",
    "bit": "smallint",
    "unsignedByte": "smallint",
    "short": "smallint",
    "int": "integer",
    "long": "bigint",
    "float": "real",
    "double": "double precision",
    "floatComplex": "real",
    "doubleComplex": "double precision",
    "char": "text",
    "unicodeChar": "text",
}
STRINGS = ("char", "unicodeChar")
COMPLEX = ("floatComplex", "doubleComplex")


def sql_type(datatype: str, arraysize: str | None) -> str:
    """Return the PostgreSQL type of a column's values: an array for one of VOTable, and for a complex number.

    Args:
        datatype, arraysize: as in VOTable, the datatype one of SQL_TYPES.
    """
    is_array = arraysize not in (None, "", "1") or datatype in COMPLEX
    return SQL_TYPES[datatype] + "[]" * (is_array and datatype not in STRINGS)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table or of a result.

    Attributes:
        name: the name as shown to clients, without quotes.
        datatype: VOTable datatype (``char``, ``unicodeChar``, ``double``, ``int``, ...).
        arraysize: VOTable arraysize (``*``, ``3``, ``2x*``) or None for a scalar; of strings, None is ``*``
            and ``1`` a single character.
        xtype: DALI extended type (``timestamp``, ``adql:REGION``) or None.
        unit: unit in VOUnits syntax (``deg``, ``s``, ``m``, ``d``) or None.
        ucd: UCD1+ or None.
        utype: utype or None.
        description: one line of text for people, or None.
        sql_type: PostgreSQL's name of the type of the stored column (``double precision``, ``text``,
            ``timestamp with time zone``, ``spoint``, ``double precision[]``); for columns of a result,
            the type that the generated SQL yields.
        principal, indexed, std: the TAP_SCHEMA flags.
    """

    name: str
    datatype: str
    arraysize: str | None = None
    xtype: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str | None = None
    sql_type: str = ""
    principal: bool = False
    indexed: bool = False
    std: bool = False

    def __hash__(self) -> int:
        """Return a hash of the name alone: what is made for some columns is looked up by all of them."""
        return hash(self.name)


@dataclass(frozen=True, slots=True)
class Table:
    """One table that queries may name.

    Attributes:
        schema: schema name, unquoted; for uploads ``TAP_UPLOAD``.
        name: table name without its schema, unquoted.
        columns: the columns that clients may see, in order.
        description, utype: as in TAP_SCHEMA.
        sql_name: how PostgreSQL names it, quoted where needed (``ivoa.obscore``); uploads live in a
            temporary table whose name differs from the one that the query uses.
        point: for a table with a stored position, (longitude column, latitude column, spoint column), as in
            ``("s_ra", "s_dec", "pos")``; the spoint column is not among the columns.
        regions: text column of a region to its stored spoly column, as in ``{"s_region": "region"}``.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    description: str | None = None
    utype: str | None = None
    sql_name: str = ""
    point: tuple[str, str, str] | None = None
    regions: dict[str, str] = field(default_factory=dict)


class Catalogue:
    """All tables that a query may name, found without regard to case as ADQL 2.1 section 2.1.3 asks."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._tables = tuple(tables)
        self._by_name = {(t.schema.lower(), t.name.lower()): t for t in self._tables}

    def __iter__(self) -> Iterator[Table]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def find(self, name: str, schema: str | None = None) -> list[Table]:
        """Return the tables of that name, in any schema where none is given; the caller decides on ties."""
        if schema is not None:
            table = self._by_name.get((schema.lower(), name.lower()))
            return [table] if table else []
        return [t for t in self._tables if t.name.lower() == name.lower()]

    def with_tables(self, tables: Iterable[Table]) -> Catalogue:
        """Return a catalogue that holds the given tables (uploads) besides its own."""
        return Catalogue([*self._tables, *tables])
