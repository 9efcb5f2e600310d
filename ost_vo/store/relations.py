"""Data sets and what belongs to them: lineage, the calibration frames that fit, and their headers.

What the caller may see is decided by the views of the schema ``ost``; nothing here repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg2.extensions import connection as Connection

from ost_vo.store.calibrations import FRAME_COLUMNS, Candidates, Frame
from ost_vo.store.extents import EXTENT_COLUMNS, extent
from ost_vo.store.observations import PRODUCT_COLUMNS, Product, prepared, product, transaction
from ost_vo.vo.soda import Extent

# Products from the same progenitors that are named for one.
MAX_CODERIVED = 20

_COLUMNS = ", ".join((*PRODUCT_COLUMNS, *EXTENT_COLUMNS, *FRAME_COLUMNS))
_DATA_SETS = f"SELECT {_COLUMNS} FROM ost.products WHERE obs_publisher_did = ANY ($1)"  # noqa: S608
_OTHERS = f"SELECT {', '.join(PRODUCT_COLUMNS)} FROM ost.products WHERE obs_publisher_did = ANY ($1)"  # noqa: S608

# One step each way; and what was made from exactly the same, which is sought among what was made from the
# progenitor that comes first.
_LINEAGE = f"""
WITH mine AS MATERIALIZED (
    SELECT obs_publisher_did AS did, array_agg(progenitor_did ORDER BY progenitor_did) AS sources
    FROM ost.lineage WHERE obs_publisher_did = ANY ($1) GROUP BY 1)
SELECT 'progenitor' AS semantics, did, unnest(sources) AS other FROM mine
UNION ALL
SELECT 'derivation', progenitor_did, obs_publisher_did FROM ost.lineage WHERE progenitor_did = ANY ($1)
UNION ALL
SELECT 'coderived', mine.did, twin.did FROM mine CROSS JOIN LATERAL (
    SELECT l.obs_publisher_did AS did FROM ost.lineage l
    WHERE l.progenitor_did = mine.sources[1] AND l.obs_publisher_did <> mine.did AND mine.sources = (
        SELECT array_agg(o.progenitor_did ORDER BY o.progenitor_did) FROM ost.lineage o
        WHERE o.obs_publisher_did = l.obs_publisher_did)
    ORDER BY 1 LIMIT {MAX_CODERIVED}) twin
"""  # noqa: S608 - a number of our own
_ORDER = {"progenitor": 0, "derivation": 1, "coderived": 2}


class Relation(NamedTuple):
    """What another product is to a data set.

    Attributes:
        semantics: progenitor, derivation, coderived, bias, dark or flat.
        other: the other product.
    """

    semantics: str
    other: Product


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data product that the caller may see, with all that its links are made of.

    Attributes:
        product: itself.
        extent: what it covers.
        relations: what belongs to it, lineage first, then calibration frames, the nearest in time first.
    """

    product: Product
    extent: Extent
    relations: list[Relation] = field(default_factory=list)


def data_sets(
    connection: Connection, settings: Mapping[str, str], identifiers: Sequence[str]
) -> dict[str, DataSet]:
    """Return data sets with what belongs to them, by their identifiers; those not visible are left out.

    Calibration frames are of the same camera, size, binning, gain, offset and readout mode; bias and dark
    frames of the same temperature within 2 K, darks of the same exposure, flats of the same filter and
    telescope; all from within 30 days.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.
        identifiers: of the products, as stored.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    if not identifiers:
        return {}
    wanted = list(identifiers)
    with prepared(connection, settings) as statements:
        rows = statements.rows(_DATA_SETS, ["text[]"], wanted)
        lineage = statements.rows(_LINEAGE, ["text[]"], wanted)
        others = {str(other) for _, _, other in lineage}
        found = statements.rows(_OTHERS, ["text[]"], list(others)) if others else []
        candidates = Candidates(statements, wanted)
    first, second = len(PRODUCT_COLUMNS), len(PRODUCT_COLUMNS) + len(EXTENT_COLUMNS)
    sets = {row[0]: DataSet(product(row[:first]), extent(*row[first:second])) for row in rows}
    products = {row[0]: product(row) for row in found}
    for semantics, given, other in sorted(lineage, key=lambda row: (_ORDER[row[0]], row[2])):
        if given in sets and other in products:  # something may have changed between two statements
            sets[given].relations.append(Relation(semantics, products[other]))
    for row in rows:
        fitting = candidates.fitting(Frame.of(row[second:]))
        sets[row[0]].relations.extend(Relation(kind, other) for kind, other in fitting)
    return sets


def headers(connection: Connection, settings: Mapping[str, str], identifier: str) -> list[tuple[int, str]]:
    """Return the headers of a product: (number of the header unit, its cards one a line).

    Arguments and faults are those of :func:`data_sets`.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(
            "SELECT hdu, header FROM ost.headers WHERE obs_publisher_did = %s ORDER BY hdu", (identifier,)
        )
        return cursor.fetchall()
