"""What data products cover on the sky, of the spectrum, and of time, as the caller may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extensions import connection as Connection

from ost_vo.store.observations import transaction
from ost_vo.vo.soda import Extent

_EXTENTS = """
SELECT obs_publisher_did, s_ra, s_dec, s_fov, s_region, em_min, em_max, t_min, t_max
FROM ost.products WHERE obs_publisher_did = ANY (%s)
"""


def extents(
    connection: Connection, settings: Mapping[str, str], identifiers: Sequence[str]
) -> dict[str, Extent]:
    """Return the coverage of products by their identifiers; those not visible are left out.

    Arguments and faults are those of :func:`ost_vo.store.observations.by_identifier`.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(_EXTENTS, (list(identifiers),))
        return {row[0]: _extent(*row[1:]) for row in cursor.fetchall()}


def _extent(ra: Any, dec: Any, fov: Any, region: Any, *ranges: Any) -> Extent:
    is_placed = None not in (ra, dec, fov) and region is not None
    return Extent(
        (ra, dec, fov / 2) if is_placed else None,
        _vertices(region) if is_placed else (),
        *ranges,
    )


def _vertices(region: str) -> tuple[float, ...]:
    """Return the numbers of an outline in STC-S, which ingest writes as a polygon."""
    words = region.split()
    return tuple(map(float, words[2:])) if words[:2] == ["Polygon", "ICRS"] else ()
