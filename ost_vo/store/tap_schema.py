"""TAP_SCHEMA as DaCHS fills it from the descriptors: the one list of what clients may query.

Source: TAP 1.1 section 4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.vo.columns import Catalogue, Column, Table

# Columns of the views that TAP_SCHEMA does not list: stored geometries for the translator to use.
POINT_COLUMN = "pos"
REGION_COLUMN = "footprint"

_TABLES = """
SELECT t.schema_name, t.table_name, t.description, t.utype, c.oid
FROM tap_schema.tables t JOIN pg_class c ON c.oid = to_regclass(t.table_name)
ORDER BY t.schema_name, t.table_index, t.table_name
"""
_COLUMNS = """
SELECT table_name, column_name, datatype, arraysize, xtype, unit, ucd, utype, description,
    principal, indexed, std
FROM tap_schema.columns ORDER BY table_name, column_index, column_name
"""
_SCHEMAS = """
SELECT schema_name, description, utype FROM tap_schema.schemas ORDER BY schema_index, schema_name
"""
_STORED = """
SELECT attrelid, attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = ANY (%s) AND attnum > 0 AND NOT attisdropped
"""
_KEYS = """
SELECT k.key_id, k.from_table, k.target_table, k.description, k.utype, c.from_column, c.target_column
FROM tap_schema.keys k JOIN tap_schema.key_columns c USING (key_id)
ORDER BY k.from_table, k.key_id, c.from_column
"""


@dataclass(frozen=True, slots=True)
class Schema:
    """A row of TAP_SCHEMA.schemas."""

    name: str
    description: str | None
    utype: str | None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A row of TAP_SCHEMA.keys with its columns, as pairs (from, target)."""

    from_table: str
    target_table: str
    description: str | None
    utype: str | None
    columns: tuple[tuple[str, str], ...]


def load(connection: Connection) -> Catalogue:
    """Read the tables that clients may query, with the types of the stored columns."""
    with _reading(connection) as cursor:
        cursor.execute(_TABLES)
        tables = cursor.fetchall()
        cursor.execute(_STORED, ([row[4] for row in tables],))
        stored: dict[int, dict[str, str]] = defaultdict(dict)
        for relation, name, type_name in cursor.fetchall():
            stored[relation][name] = type_name
        cursor.execute(_COLUMNS)
        columns = defaultdict(list)
        for row in cursor.fetchall():
            columns[row[0]].append(row[1:])
    return Catalogue(
        _table(schema, name, description, utype, columns[name], stored[relation])
        for schema, name, description, utype, relation in tables
    )


def schemas(connection: Connection) -> list[Schema]:
    """Read TAP_SCHEMA.schemas."""
    with _reading(connection) as cursor:
        cursor.execute(_SCHEMAS)
        return [Schema(*row) for row in cursor.fetchall()]


def foreign_keys(connection: Connection) -> list[ForeignKey]:
    """Read TAP_SCHEMA.keys and TAP_SCHEMA.key_columns."""
    pairs: dict[tuple[str, str, str, str | None, str | None], list[tuple[str, str]]] = defaultdict(list)
    with _reading(connection) as cursor:
        cursor.execute(_KEYS)
        for *key, source, target in cursor.fetchall():
            pairs[tuple(key)].append((source, target))
    return [ForeignKey(*key[1:], tuple(columns)) for key, columns in pairs.items()]


@contextmanager
def _reading(connection: Connection) -> Iterator[Cursor]:
    """Read as the role that queries have, which sees what is published."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE adql")
        yield cursor


def _table(
    schema: str,
    name: str,
    description: str | None,
    utype: str | None,
    rows: list[tuple[object, ...]],
    stored: dict[str, str],
) -> Table:
    columns = tuple(column for row in rows if (column := _column(row, stored)))
    listed = {column.name for column in columns}
    has_point = stored.get(POINT_COLUMN) == "spoint" and {"s_ra", "s_dec"} <= listed
    has_region = stored.get(REGION_COLUMN) == "spoly" and "s_region" in listed
    return Table(
        schema=schema,
        name=name.split(".", 1)[-1],
        columns=columns,
        description=description,
        utype=utype,
        sql_name=name,
        point=("s_ra", "s_dec", POINT_COLUMN) if has_point else None,
        regions={"s_region": REGION_COLUMN} if has_region else {},
    )


def _column(row: tuple[object, ...], stored: dict[str, str]) -> Column | None:
    """Return a column that the table really has; TAP_SCHEMA delimits reserved words."""
    listed, datatype, arraysize, xtype, unit, ucd, utype, description, principal, indexed, std = row
    name = str(listed).strip('"')
    name = name if name in stored else name.lower()
    if name not in stored:
        return None
    texts = {"arraysize": arraysize, "xtype": xtype, "unit": unit, "ucd": ucd, "utype": utype}
    return Column(
        name=name,
        datatype=str(datatype),
        description=str(description) if description else None,
        sql_type=stored[name],
        principal=bool(principal),
        indexed=bool(indexed),
        std=bool(std),
        **{key: str(value) if value else None for key, value in texts.items()},
    )
