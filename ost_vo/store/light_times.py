"""Products whose dates at the Sun and at the barycentre are not known, though position and time are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from ost_vo.store.ingesting import transaction
from ost_vo.vo.lighttime import FIRST_MJD, MJD_0, Arrival

# A date of the whole day, and one that was taken from that at the Sun or the barycentre, are no better known.
_UNDATED = f"""
SELECT product_id, t_min, t_max, s_ra, s_dec, site_latitude, site_longitude, site_elevation
FROM archive.products
WHERE product_id > %(after)s AND (hjd IS NULL OR bjd IS NULL) AND s_ra IS NOT NULL AND s_dec IS NOT NULL
    AND t_min >= {FIRST_MJD} AND t_max IS NOT NULL AND NOT (t_min = floor(t_min) AND t_max - t_min = 1)
    AND abs({MJD_0} + (t_min + t_max) / 2 - coalesce(hjd, bjd, 0)) > 1e-8
ORDER BY product_id LIMIT %(most)s"""  # noqa: S608

_DATE = """
UPDATE archive.products p SET
    hjd = coalesce(p.hjd, v.hjd), hjd_source = coalesce(p.hjd_source, 'computed'),
    bjd = coalesce(p.bjd, v.bjd), bjd_source = coalesce(p.bjd_source, 'computed')
FROM (VALUES %s) AS v (product_id, t_min, t_max, s_ra, s_dec, hjd, bjd)
WHERE p.product_id = v.product_id
    AND (p.t_min, p.t_max, p.s_ra, p.s_dec) = (v.t_min, v.t_max, v.s_ra, v.s_dec)"""


@dataclass(frozen=True, slots=True)
class Undated:
    """A product without such dates.

    Attributes:
        product_id: which.
        t_min, t_max: start and end [d, MJD UTC].
        s_ra, s_dec: position [deg, ICRS].
        site: latitude, longitude [deg] and elevation [m] that its header has.
    """

    product_id: int
    t_min: float
    t_max: float
    s_ra: float
    s_dec: float
    site: tuple[float | None, float | None, float | None]


def undated(connection: Connection, after: int, most: int) -> list[Undated]:
    """Return the next products without dates, by their keys.

    Args:
        connection: of the role ost_ingest.
        after: the key of the last one that was looked at.
        most: how many to return.
    """
    with transaction(connection) as cursor:
        cursor.execute(_UNDATED, {"after": after, "most": most})
        return [
            Undated(product_id, t_min, t_max, s_ra, s_dec, (latitude, longitude, elevation))
            for product_id, t_min, t_max, s_ra, s_dec, latitude, longitude, elevation in cursor.fetchall()
        ]


def date(connection: Connection, found: Sequence[tuple[Undated, Arrival]]) -> int:
    """Fill the dates that products have not, in one statement; one that has changed meanwhile is left alone.

    Returns:
        How many have got dates.
    """
    rows = [(p.product_id, p.t_min, p.t_max, p.s_ra, p.s_dec, a.hjd, a.bjd) for p, a in found]
    if not rows:
        return 0
    with transaction(connection) as cursor:
        execute_values(cursor, _DATE, rows, page_size=len(rows))
        return int(cursor.rowcount)
