"""The files that the archive knows of, in the order of their paths: to be laid beside the disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from psycopg2.extensions import connection as Connection

from ost_vo.store.ingesting import transaction

_BATCH = 5000

# Numbers, as the disk has them, are read faster than times.
_PRODUCTS = """
SELECT path, file_size, (extract(epoch FROM file_modified) * 1000000)::bigint, missing_since IS NOT NULL,
    EXISTS (SELECT FROM archive.quarantine q WHERE q.path = p.path)
FROM archive.products p WHERE path > %s ORDER BY path LIMIT %s"""
_DELETIONS = "SELECT path FROM archive.deletions WHERE path > %s ORDER BY path LIMIT %s"


class Recorded(NamedTuple):
    """The file of a product as it was when it was ingested.

    Attributes:
        path: relative to the data root.
        size, modified_us: bytes, and microseconds since 1970.
        is_missing: whether it is noted as missing.
        is_quarantined: whether it could not be read since.
    """

    path: str
    size: int
    modified_us: int
    is_missing: bool
    is_quarantined: bool


def products(connection: Connection) -> Iterator[list[Recorded]]:
    """Yield the files of all products by path, a few thousand at a time, each in a transaction of its own.

    Whoever changes paths meanwhile may have one come twice, or not at all.
    """
    for rows in _pages(connection, _PRODUCTS):
        yield list(map(Recorded._make, rows))


def deletions(connection: Connection) -> Iterator[list[str]]:
    """Yield the paths of deleted products, in their order, a few thousand at a time."""
    for rows in _pages(connection, _DELETIONS):
        yield [path for (path,) in rows]


def _pages(connection: Connection, statement: str) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a statement, whose first column is the path that the next page begins behind."""
    last = ""
    while True:
        with transaction(connection) as cursor:
            cursor.execute(statement, (last, _BATCH))
            rows = cursor.fetchall()
        if not rows:
            return
        yield rows
        last = rows[-1][0]
