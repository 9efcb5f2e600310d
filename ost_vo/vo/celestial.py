"""Positions on the sky as unit vectors, and their rotation between celestial frames and ICRS.

Angles are degrees and positions ICRS unless a name says otherwise. What needs astropy's coordinates imports
them itself: that takes a second, and most files are ingested without.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import erfa
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

Vectors = NDArray[np.float64]

# From FK5 at J2000 to ICRS, as the Hipparcos catalogue has it (IAU SOFA, iauFk5hip).
FK5_TO_ICRS: Vectors = erfa.fk5hip()[0]


def vectors(longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> Vectors:
    """Return unit vectors (n, 3) of n positions [deg]."""
    lon, lat = np.radians(longitude), np.radians(latitude)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def degrees(vector: Vectors) -> tuple[float, float]:
    """Return (longitude in [0, 360), latitude) of a vector [deg]."""
    x, y, z = (float(part) for part in vector)
    longitude = math.degrees(math.atan2(y, x)) % 360.0
    # A tiny negative angle modulo 360 rounds to 360 itself.
    return (0.0 if longitude >= 360.0 else longitude), math.degrees(math.atan2(z, math.hypot(x, y)))


def separations(one: Vectors, many: Vectors) -> NDArray[np.float64]:
    """Return the angles [deg] between one unit vector and many (n, 3)."""
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(one, many), axis=-1), many @ one))


def to_icrs(positions: Vectors, frame: BaseCoordinateFrame) -> Vectors:
    """Return unit vectors (n, 3) of a celestial frame in ICRS."""
    from astropy.coordinates import FK5, ICRS, Galactic

    if isinstance(frame, ICRS):
        return positions
    if isinstance(frame, FK5):
        return positions @ _rotation(FK5, float(frame.equinox.jyear)).T
    if isinstance(frame, Galactic):
        return positions @ _rotation(Galactic, 0.0).T
    return _transformed(positions, frame, ICRS())


def from_icrs(positions: Vectors, frame: BaseCoordinateFrame) -> Vectors:
    """Return unit vectors (n, 3) of ICRS in a celestial frame."""
    from astropy.coordinates import FK5, ICRS, Galactic

    if isinstance(frame, ICRS):
        return positions
    if isinstance(frame, FK5):
        return positions @ _rotation(FK5, float(frame.equinox.jyear))
    if isinstance(frame, Galactic):
        return positions @ _rotation(Galactic, 0.0)
    return _transformed(positions, ICRS(), frame)


@lru_cache(maxsize=64)
def _rotation(frame: type[BaseCoordinateFrame], equinox: float) -> Vectors:
    """Return the matrix from a frame, which is ICRS but rotated, to ICRS: once, as astropy takes long."""
    from astropy.coordinates import ICRS

    rotated = frame(equinox=f"J{equinox}") if equinox else frame()
    return _transformed(np.eye(3), rotated, ICRS()).T


def _transformed(positions: Vectors, given: BaseCoordinateFrame, wanted: BaseCoordinateFrame) -> Vectors:
    from astropy import units
    from astropy.coordinates import UnitSphericalRepresentation

    longitude = np.arctan2(positions[:, 1], positions[:, 0]) * units.rad
    latitude = np.arctan2(positions[:, 2], np.hypot(positions[:, 0], positions[:, 1])) * units.rad
    here = given.realize_frame(UnitSphericalRepresentation(longitude, latitude))
    there = here.transform_to(wanted).represent_as(UnitSphericalRepresentation)
    return vectors(there.lon.deg, there.lat.deg)
