"""Positions on the sky that somebody asks about, of a query or an uploaded table, and the images around them.

What the caller may see is decided by the views, from the settings of the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg2
from psycopg2.extensions import connection as Connection

from ost_vo.store.database_faults import fault_of
from ost_vo.store.observations import transaction
from ost_vo.store.reader import Before
from ost_vo.store.transactions import apply

# A row: identifier or None, longitude, latitude and radius [deg] or None, name or None.
Row = tuple[str | None, float | None, float | None, float | None, str | None]

_IMAGES = """
SELECT p.number, c.obs_publisher_did
FROM unnest(%(numbers)s::int[], %(longitudes)s::float8[], %(latitudes)s::float8[])
        AS p (number, longitude, latitude)
    CROSS JOIN LATERAL (
        SELECT obs_publisher_did, t_min FROM ost.products
        WHERE footprint @> spoint(radians(p.longitude), radians(p.latitude))
            AND dataproduct_type IN ('image', 'cube') AND is_valid = 1 AND missing_since IS NULL) c
ORDER BY p.number, c.t_min, c.obs_publisher_did LIMIT %(limit)s
"""


def rows(
    connection: Connection,
    settings: Mapping[str, str],
    query: str,
    expressions: Sequence[str],
    width: int,
    limit: int,
    before: Before | None = None,
) -> list[Row]:
    """Return the first rows of a query, as identifier, longitude, latitude, radius and name.

    Args:
        connection: of the role ost_web, not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.
        query: SQL that was generated from ADQL.
        expressions: SQL for these five, in which c1, c2, ... are the columns of the query.
        width: how many columns it has.
        limit: the most rows to return.
        before: what is done in the transaction before it gets its settings, such as loading uploads.

    Raises:
        UsageFault: an upload is damaged, or the query computes what cannot be.
        TransientFault: out of time; the database is going down.
    """
    names = ", ".join(f"c{number}" for number in range(1, width + 1))
    statement = f"SELECT {', '.join(expressions)} FROM ({query}) AS given ({names}) LIMIT {int(limit)}"  # noqa: S608
    try:
        with connection, connection.cursor() as cursor:
            if before:
                before(cursor)
            apply(cursor, settings)
            cursor.execute(statement)
            return cursor.fetchall()
    except psycopg2.Error as error:
        raise fault_of(error) from error


def images(
    connection: Connection,
    settings: Mapping[str, str],
    places: Sequence[tuple[int, float, float]],
    limit: int,
) -> list[tuple[int, str]]:
    """Return images and cubes that hold positions, the earliest first: (number of the position, identifier).

    Args:
        connection: not in autocommit mode.
        settings: of the transaction.
        places: numbers, longitudes and latitudes of the positions [deg].
        limit: the most to return.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    numbers, longitudes, latitudes = zip(*places, strict=True) if places else ((), (), ())
    values = {
        "numbers": list(numbers),
        "longitudes": list(longitudes),
        "latitudes": list(latitudes),
        "limit": limit,
    }
    with transaction(connection, settings) as cursor:
        cursor.execute(_IMAGES, values)
        return cursor.fetchall()
