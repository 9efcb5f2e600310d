"""The names of equipment and people in products that are in the archive already."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

# Which column has the name, and which one what the header says.
_COLUMNS = {
    "telescope": ("telescope_name", "header_telescope"),
    "observer": ("observer", "header_observer"),
    "instrument": ("instrument_name", "header_instrument"),
    "filter": ("filter_name", "header_filter"),
}

_HEADERS = "SELECT DISTINCT {header} FROM archive.products WHERE {header} IS NOT NULL ORDER BY 1"
_RENAME = """
UPDATE archive.products SET {name} = %(name)s WHERE {header} = %(header)s AND {name} IS DISTINCT FROM %(name)s
"""

# A band is the filter's where the light is not that of a spectrum. A title follows where it names the filter.
_FILTER = """
WITH shown AS (
    SELECT product_id, em_min AS old_min, em_max AS old_max, filter_name AS old_name, obs_title AS old_title,
        dataproduct_type IN ('image', 'cube') AND em_xel IS NULL
            AND coalesce(exposure_type NOT IN ('bias', 'dark'), true) AS has_band
    FROM archive.products WHERE header_filter = %(header)s),
changed AS (
    UPDATE archive.products p SET
        filter_name = %(name)s,
        em_min = CASE WHEN has_band THEN %(em_min)s ELSE old_min END,
        em_max = CASE WHEN has_band THEN %(em_max)s ELSE old_max END,
        obs_title = coalesce(
            replace(old_title, ', filter ' || old_name, ', filter ' || %(name)s), old_title)
    FROM shown s
    WHERE p.product_id = s.product_id AND (old_name, old_min, old_max) IS DISTINCT FROM (
        %(name)s,
        CASE WHEN has_band THEN %(em_min)s ELSE old_min END,
        CASE WHEN has_band THEN %(em_max)s ELSE old_max END)
    RETURNING p.product_id),
forgotten AS (
    DELETE FROM archive.discrepancies d USING changed c
    WHERE d.product_id = c.product_id AND d.keyword = 'FILTER' AND d.reason IS DISTINCT FROM %(remark)s),
noted AS (
    INSERT INTO archive.discrepancies (product_id, keyword, reason)
    SELECT c.product_id, 'FILTER', %(remark)s FROM changed c JOIN shown s USING (product_id)
    WHERE has_band AND %(remark)s IS NOT NULL ON CONFLICT DO NOTHING)
SELECT count(*) FROM changed
"""


@dataclass(frozen=True, slots=True)
class NamedBand:
    """A filter's name, its edges [m] where it has a band, and what is doubtful about it."""

    name: str
    em_min: float | None
    em_max: float | None
    remark: str | None


def headers(cursor: Cursor, kind: str) -> list[str]:
    """Return what headers write for telescope, observer, instrument or filter."""
    cursor.execute(_HEADERS.format(header=_COLUMNS[kind][1]))
    return [row[0] for row in cursor.fetchall()]


def rename(cursor: Cursor, kind: str, header: str, name: str) -> int:
    """Give a name to the products whose header writes something; return how many had another."""
    column, header_column = _COLUMNS[kind]
    cursor.execute(_RENAME.format(name=column, header=header_column), {"header": header, "name": name})
    return int(cursor.rowcount)


def rename_filter(cursor: Cursor, header: str, band: NamedBand) -> int:
    """Give a filter's name and band to the products whose header writes something; return how many."""
    values = {"name": band.name, "em_min": band.em_min, "em_max": band.em_max, "remark": band.remark}
    cursor.execute(_FILTER, values | {"header": header})
    row = cursor.fetchone()
    return int(row[0]) if row else 0
