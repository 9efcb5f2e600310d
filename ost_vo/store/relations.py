"""What belongs to products: their lineage, the calibration frames that fit, and their headers.

What the caller may see is decided by the views of the schema ``ost``; nothing here repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from ost_vo.store.observations import PRODUCT_COLUMNS, Product, product, transaction

# A calibration frame of another month was made with another camera as often as not [d].
CALIBRATION_DAYS = 30.0
# The two temperatures between which a dark frame changes by less than its noise [K].
CALIBRATION_KELVIN = 2.0
# Frames of one kind that are named for one product, the nearest in time first.
MAX_CALIBRATIONS = 10
# Which kinds of frame a kind of frame is calibrated with.
CALIBRATED_WITH = {
    "bias": ("light", "wave", "flat", "dark"),
    "dark": ("light", "wave", "flat"),
    "flat": ("light", "wave"),
}

_CALIBRATIONS = """
SELECT l.obs_publisher_did, {columns} FROM ost.products l CROSS JOIN LATERAL (
    SELECT * FROM ost.products c
    WHERE c.exposure_type = '{kind}' AND c.instrument_name = l.instrument_name
        AND c.t_min BETWEEN l.t_min - %(days)s AND l.t_min + %(days)s
        AND c.s_xel1 = l.s_xel1 AND c.s_xel2 = l.s_xel2
        AND (c.binning_x, c.binning_y, c.gain, c.black_level, c.readout_mode)
            IS NOT DISTINCT FROM (l.binning_x, l.binning_y, l.gain, l.black_level, l.readout_mode)
        AND c.is_valid = 1 AND c.missing_since IS NULL AND {fits}
    ORDER BY abs(c.t_min - l.t_min), c.obs_publisher_did LIMIT %(most)s) c
WHERE l.obs_publisher_did = ANY (%(identifiers)s) AND l.exposure_type = ANY (%(frames)s)
ORDER BY l.obs_publisher_did, abs(c.t_min - l.t_min), c.obs_publisher_did
"""
_SAME_TEMPERATURE = (
    "(abs(c.ccd_temperature - l.ccd_temperature) <= %(kelvin)s"
    " OR (c.ccd_temperature IS NULL AND l.ccd_temperature IS NULL))"
)
# What must be alike beyond the camera and its setting.
_FITS = {
    "bias": _SAME_TEMPERATURE,
    # A header has the exposure time to a few digits.
    "dark": f"{_SAME_TEMPERATURE} AND abs(c.t_exptime - l.t_exptime) <= 0.001 * l.t_exptime",
    "flat": "c.filter_name IS NOT DISTINCT FROM l.filter_name"
    " AND c.telescope_name IS NOT DISTINCT FROM l.telescope_name",
}

_LINEAGE = """
SELECT l.{given}, {columns} FROM ost.lineage l JOIN ost.products c ON c.obs_publisher_did = l.{other}
WHERE l.{given} = ANY (%(identifiers)s) ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Relation:
    """That one product belongs to another.

    Attributes:
        identifier: of the product asked for.
        semantics: what the other is to it: progenitor, derivation, bias, dark or flat.
        other: the other product.
    """

    identifier: str
    semantics: str
    other: Product


def relations(
    connection: Connection, settings: Mapping[str, str], identifiers: Sequence[str]
) -> list[Relation]:
    """Return what belongs to products, lineage first, then calibration frames, the nearest in time first.

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
    columns = ", ".join(f"c.{name}" for name in PRODUCT_COLUMNS)
    found = []
    values: dict[str, object] = {
        "identifiers": list(identifiers),
        "days": CALIBRATION_DAYS,
        "kelvin": CALIBRATION_KELVIN,
        "most": MAX_CALIBRATIONS,
    }
    with transaction(connection, settings) as cursor:
        for semantics, given, other in (
            ("progenitor", "obs_publisher_did", "progenitor_did"),
            ("derivation", "progenitor_did", "obs_publisher_did"),
        ):
            cursor.execute(_LINEAGE.format(given=given, other=other, columns=columns), values)
            found += [Relation(row[0], semantics, product(row[1:])) for row in cursor.fetchall()]
        for kind, frames in CALIBRATED_WITH.items():
            statement = _CALIBRATIONS.format(kind=kind, fits=_FITS[kind], columns=columns)
            cursor.execute(statement, {**values, "frames": list(frames)})
            found += [Relation(row[0], kind, product(row[1:])) for row in cursor.fetchall()]
    return found


def headers(connection: Connection, settings: Mapping[str, str], identifier: str) -> list[tuple[int, str]]:
    """Return the headers of a product: (number of the header unit, its cards one a line).

    Arguments and faults are those of :func:`relations`.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(
            "SELECT hdu, header FROM ost.headers WHERE obs_publisher_did = %s ORDER BY hdu", (identifier,)
        )
        return cursor.fetchall()
