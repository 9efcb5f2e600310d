"""How much the archive has, as the caller may see it: by format, camera, filter, kind, month and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import connection as Connection

from ost_vo.store.observations import transaction

# What files are counted by, in the order of the bits of `grouping`, the last one first.
GROUPS = ("format", "instrument", "filter", "kind", "calib_level", "position", "month")

# One pass over the products, and another over what they have in common in a night: a tenth of them at the
# most, where there are many. A night counts for the month in which it began.
_COUNTS = f"""
WITH alike AS (
    SELECT access_format AS format, instrument_name AS instrument, filter_name AS filter,
        coalesce(exposure_type, dataproduct_type) AS kind, calib_level,
        CASE WHEN exposure_type = 'light' THEN coalesce(position_source, 'none') END AS position,
        floor(t_min - 0.5) AS night, count(*) AS files, sum(file_size) AS size,
        sum(t_exptime) FILTER (WHERE exposure_type = 'light') AS light
    FROM ost.products GROUP BY 1, 2, 3, 4, 5, 6, 7),
seen AS (
    SELECT alike.*, date_trunc('month', timestamp '1858-11-17' + night * interval '1 day')::date AS month
    FROM alike)
SELECT grouping({", ".join(GROUPS)}), format, instrument, filter, kind, calib_level, position, month,
    coalesce(sum(files), 0)::bigint, coalesce(sum(size), 0)::bigint, coalesce(sum(light), 0)
FROM seen GROUP BY GROUPING SETS ((), {", ".join(f"({name})" for name in GROUPS)})
"""  # noqa: S608 - names of our own
_RUNS_AND_TARGETS = "SELECT (SELECT count(*) FROM ost.runs), (SELECT count(*) FROM ost.targets)"
_CELLS = """
SELECT healpix_nest(%s, pos) AS cell, count(*) FROM ost.products
WHERE pos IS NOT NULL GROUP BY cell ORDER BY cell
"""

# A value, None where it is unknown; files; their size [byte]; exposure of the light frames among them [s].
Count = tuple[Any, int, int, float]


def counts(
    connection: Connection, settings: Mapping[str, str]
) -> tuple[Count, dict[str, list[Count]], int, int]:
    """Return the count of all files, the counts by each of GROUPS, and how many runs and targets there are.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    whole: Count = (None, 0, 0, 0.0)
    groups: dict[str, list[Count]] = {name: [] for name in GROUPS}
    with transaction(connection, settings) as cursor:
        cursor.execute(_COUNTS)
        for grouped, *values, files, size, light in cursor.fetchall():
            # The bit of a column that is grouped by is 0.
            found = [k for k in range(len(GROUPS)) if not grouped & 1 << len(GROUPS) - 1 - k]
            if found:
                groups[GROUPS[found[0]]].append((values[found[0]], files, size, light))
            else:
                whole = (None, files, size, light)
        cursor.execute(_RUNS_AND_TARGETS)
        runs, targets = cursor.fetchone() or (0, 0)
    return whole, groups, runs, targets


def cells(connection: Connection, settings: Mapping[str, str], order: int) -> list[tuple[int, int]]:
    """Return the cells of HEALPix (nested) of an order in which files have their centres, and how many.

    Arguments and faults are those of :func:`counts`.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(_CELLS, (order,))
        return cursor.fetchall()
