"""Which products a download is about, as the caller may see them.

What the caller may see is decided by the view ``ost.products``, from the settings of the transaction; nothing
here repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg2
from psycopg2.extensions import connection as Connection

from ost_vo.store import uploads
from ost_vo.store.database_faults import fault_of
from ost_vo.store.observations import transaction
from ost_vo.store.transactions import apply

_KEY = "obs_publisher_did"
# The name of a filter to its condition, in which %(NAME)s is its value.
CONDITIONS = {
    "RUN": "run_name = ANY (%(RUN)s)",
    "FILE_TYPE": "path ~* ANY (%(FILE_TYPE)s)",
    "MAIN_TARGET": "(strpos(lower(target_name), lower(%(MAIN_TARGET)s)) > 0"
    " OR strpos(lower(header_target), lower(%(MAIN_TARGET)s)) > 0)",
    "EXPOSURE_TYPE": "coalesce(exposure_type, 'unknown') = ANY (%(EXPOSURE_TYPE)s)",
    "SPECTROSCOPY": "(dataproduct_type IS NOT DISTINCT FROM 'spectrum') = %(SPECTROSCOPY)s",
    "EXPTIME_MIN": "t_exptime >= %(EXPTIME_MIN)s",
    "EXPTIME_MAX": "t_exptime <= %(EXPTIME_MAX)s",
    "FILE_NAME": "strpos(lower(path), lower(%(FILE_NAME)s)) > 0",
    "INSTRUMENT": "strpos(lower(instrument_name), lower(%(INSTRUMENT)s)) > 0",
    "OBS_DATE_CONTAINS": "strpos(to_char(timestamp '1858-11-17' + t_min * interval '1 day',"
    " 'YYYY-MM-DD HH24:MI:SS'), %(OBS_DATE_CONTAINS)s) > 0",
    "PLATE_SOLVED": "(coalesce(position_source, 'header') <> 'header') = %(PLATE_SOLVED)s",
    "PIXEL_COUNT_MIN": "s_xel1 * s_xel2 >= %(PIXEL_COUNT_MIN)s",
    "PIXEL_COUNT_MAX": "s_xel1 * s_xel2 <= %(PIXEL_COUNT_MAX)s",
}


def matching(
    connection: Connection,
    settings: Mapping[str, str],
    filters: Mapping[str, object],
    among: Sequence[str] | None,
    limit: int,
) -> list[str]:
    """Return the identifiers of products that filters let through.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.
        filters: names of CONDITIONS to values.
        among: identifiers to choose from; None for all valid products.
        limit: the most to return.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    conditions = [CONDITIONS[name] for name in filters]
    conditions.append("is_valid = 1" if among is None else f"{_KEY} = ANY (%(among)s)")
    statement = f"SELECT {_KEY} FROM ost.products WHERE {' AND '.join(conditions)} LIMIT %(limit)s"  # noqa: S608
    with transaction(connection, settings) as cursor:
        cursor.execute(statement, {**filters, "among": list(among or ()), "limit": limit})
        return [row[0] for row in cursor.fetchall()]


def listed(
    connection: Connection, settings: Mapping[str, str], query: str, table: uploads.Upload, limit: int
) -> list[str]:
    """Return the identifiers in a table that is not in the database.

    Args:
        connection: of the role ost_web, not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.
        query: SQL that was generated, with one column obs_publisher_did, over the table as the first upload.
        table: the table.
        limit: the most to return.

    Raises:
        UsageFault: the table is damaged.
        TransientFault: out of time; the database is going down.
    """
    try:
        with connection, connection.cursor() as cursor:
            uploads.load(cursor, [table], {})
            apply(cursor, settings)
            cursor.execute(
                f"SELECT DISTINCT {_KEY} FROM ({query}) AS listed WHERE {_KEY} IS NOT NULL"  # noqa: S608
                f" ORDER BY 1 LIMIT {int(limit)}"
            )
            return [row[0] for row in cursor.fetchall()]
    except psycopg2.Error as error:
        raise fault_of(error) from error
