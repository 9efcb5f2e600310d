"""What data products cover on the sky, of the spectrum, and of time, as the caller may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extensions import connection as Connection

from ost_vo.store.observations import PRODUCT_COLUMNS, Product, prepared, product
from ost_vo.vo.soda import Extent

# Columns of ost.products that an extent is made of.
EXTENT_COLUMNS = ("s_ra", "s_dec", "s_fov", "s_region", "em_min", "em_max", "t_min", "t_max")
_EXTENTS = (
    f"SELECT obs_publisher_did, {', '.join(EXTENT_COLUMNS)} "  # noqa: S608 - names of our own
    "FROM ost.products WHERE obs_publisher_did = ANY ($1)"
)
_PRODUCT = (
    f"SELECT {', '.join((*PRODUCT_COLUMNS, *EXTENT_COLUMNS))} "  # noqa: S608 - names of our own
    "FROM ost.products WHERE obs_publisher_did = $1"
)


def extents(
    connection: Connection, settings: Mapping[str, str], identifiers: Sequence[str]
) -> dict[str, Extent]:
    """Return the coverage of products by their identifiers; those not visible are left out.

    Arguments and faults are those of :func:`ost_vo.store.observations.by_identifier`.
    """
    with prepared(connection, settings) as statements:
        rows = statements.rows(_EXTENTS, ["text[]"], list(identifiers))
        return {row[0]: extent(*row[1:]) for row in rows}


def product_and_extent(
    connection: Connection, settings: Mapping[str, str], identifier: str
) -> tuple[Product, Extent] | None:
    """Return a product and what it covers, None where there is none or it is not visible.

    Arguments and faults are those of :func:`ost_vo.store.observations.by_identifier`.
    """
    with prepared(connection, settings) as statements:
        rows = statements.rows(_PRODUCT, ["text"], identifier)
    width = len(PRODUCT_COLUMNS)
    return (product(rows[0][:width]), extent(*rows[0][width:])) if rows else None


def extent(ra: Any, dec: Any, fov: Any, region: Any, *ranges: Any) -> Extent:
    """Return the extent of a row that has EXTENT_COLUMNS."""
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
