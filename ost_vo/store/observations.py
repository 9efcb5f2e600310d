"""Finding observations and their files for SIA, DataLink and the file endpoint, as the caller may see them.

What the caller may see is decided by the views ``ivoa.obscore`` and ``ost.products``, from the settings of
the transaction; nothing here repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.store.database_faults import fault_of
from ost_vo.store.prepared import Prepared
from ost_vo.store.reader import Attempt
from ost_vo.store.transactions import apply
from ost_vo.vo.adql.values import quoted_text
from ost_vo.vo.columns import SQL_TYPES, Column

# Columns of ost.products that a product is made of, in the order of its attributes.
PRODUCT_COLUMNS = (
    "obs_publisher_did",
    "path",
    "access_format",
    "file_size",
    "sha256",
    "file_modified",
    "missing_since",
    "data_rights",
    "dataproduct_type",
    "exposure_type",
    "target_name",
    "filter_name",
    "is_valid",
)
# Rows up to which a search is worth a plan of its own: beyond, finding them takes longer than planning.
FEW = 100
_PRODUCTS = f"SELECT {', '.join(PRODUCT_COLUMNS)} FROM ost.products "  # noqa: S608


@dataclass(frozen=True, slots=True)
class Product:
    """A data product that the caller may see.

    Attributes:
        identifier: the publisher's dataset identifier, an IVOID.
        path: of its file, below the data root.
        media_type, file_size, sha256: of the file [byte, hexadecimal], as ingested.
        file_modified: when the file was last changed before that, cut to the second.
        missing_since: since when the file has not been found, None while it is there.
        data_rights: ``public`` or ``proprietary``.
        product_type, exposure_type, target, filter: what it shows, None where unknown.
        is_valid: False for a product that was invalidated.
    """

    identifier: str
    path: str
    media_type: str
    file_size: int
    sha256: str
    file_modified: datetime
    missing_since: datetime | None
    data_rights: str
    product_type: str | None
    exposure_type: str | None
    target: str | None
    filter: str | None
    is_valid: bool


def search(values: Sequence[str], table: str, conditions: Sequence[str], limit: int) -> str:
    """Return the statement of a search; it yields one row more than the limit, which tells an overflow.

    Args:
        values: SQL of the columns of the result.
        table: the view, as SQL names it.
        conditions: SQL conditions, made of checked numbers and quoted texts; all must hold.
        limit: the most rows to return; with 0 there is none at all.
    """
    rows = limit + 1 if limit else 0
    return f"SELECT {', '.join(values)} FROM {table} WHERE {' AND '.join(conditions)} LIMIT {rows}"  # noqa: S608


def planned_search(
    columns: Sequence[Column],
    values: Sequence[str],
    table: str,
    conditions: Sequence[str],
    limit: int,
    numbers: Sequence[float],
) -> Attempt:
    """Return a search that is planned once for a connection, for as many rows as a client mostly finds.

    Args:
        columns: of the result.
        values, table, limit: as for :func:`search`.
        conditions: as for :func:`search`, with $1, $2, ... for numbers.
        numbers: what these stand for.
    """
    statement = search(values, table, conditions, FEW)
    fields = ", ".join(f"c{number} {SQL_TYPES[column.datatype]}" for number, column in enumerate(columns))
    arguments = ", ".join(f"'{number!r}'" for number in numbers)
    return Attempt(
        f"SELECT * FROM context.planned({quoted_text(statement)}, {arguments})"  # noqa: S608 - made above
        f" AS planned ({fields}) LIMIT {limit + 1}",
        FEW,
    )


def by_identifier(
    connection: Connection, settings: Mapping[str, str], identifiers: Sequence[str]
) -> dict[str, Product]:
    """Return the products with the given identifiers, in one statement; those not visible are left out.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    with prepared(connection, settings) as statements:
        rows = statements.rows(
            _PRODUCTS + "WHERE obs_publisher_did = ANY ($1)", ["text[]"], list(identifiers)
        )
        return {row[0]: product(row) for row in rows}


def by_path(connection: Connection, settings: Mapping[str, str], path: str) -> Product | None:
    """Return the product with a path below the data root, None where there is none or it is not visible.

    Arguments and faults are those of :func:`by_identifier`.
    """
    with prepared(connection, settings) as statements:
        rows = statements.rows(_PRODUCTS + "WHERE path = $1", ["text"], path)
    return product(rows[0]) if rows else None


@contextmanager
def transaction(connection: Connection, settings: Mapping[str, str]) -> Iterator[Cursor]:
    """Run a block in one transaction with settings that end with it; database errors become faults."""
    try:
        with connection, connection.cursor() as cursor:
            apply(cursor, settings)
            yield cursor
    except psycopg2.Error as error:
        raise fault_of(error) from error


@contextmanager
def prepared(connection: Connection, settings: Mapping[str, str]) -> Iterator[Prepared]:
    """Do the same as :func:`transaction` for statements that are planned once for a connection."""
    try:
        with connection, connection.cursor() as cursor:
            yield Prepared(cursor, settings)
    except psycopg2.Error as error:
        raise fault_of(error) from error


def product(row: tuple[Any, ...]) -> Product:
    """Return the product of a row that has the product's columns."""
    # The views hold times as UTC without saying so.
    moments = (moment.replace(tzinfo=UTC) if moment else None for moment in row[5:7])
    return Product(*(*row[:5], *moments, *row[7:12], bool(row[12])))
