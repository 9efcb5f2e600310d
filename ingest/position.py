"""Positions on the sky as unit vectors, and what headers say about where the telescope pointed.

Angles are degrees and positions ICRS unless a name says otherwise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from astropy import units
from astropy.coordinates import (
    FK5,
    ICRS,
    BaseCoordinateFrame,
    Galactic,
    SkyCoord,
    UnitSphericalRepresentation,
)
from numpy.typing import NDArray

from ingest.keywords import Keywords, is_sexagesimal, sexagesimal

Vectors = NDArray[np.float64]

_PAIRS = (("OBJCTRA", "OBJCTDEC"), ("RA", "DEC"), ("RA_TARG", "DEC_TARG"))
_FK4_UNTIL = 1984.0  # equinoxes before are Besselian and FK4 (FITS 4.0, section 8.3)


def vectors(longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> Vectors:
    """Return unit vectors (n, 3) of n positions [deg]."""
    lon, lat = np.radians(longitude), np.radians(latitude)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def degrees(vector: Vectors) -> tuple[float, float]:
    """Return (longitude in [0, 360), latitude) of a vector [deg]."""
    x, y, z = (float(part) for part in vector)
    longitude = float(np.degrees(np.arctan2(y, x))) % 360.0
    # A tiny negative angle modulo 360 rounds to 360 itself.
    return (0.0 if longitude >= 360.0 else longitude), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def separations(one: Vectors, many: Vectors) -> NDArray[np.float64]:
    """Return the angles [deg] between one unit vector and many (n, 3)."""
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(one, many), axis=-1), many @ one))


def to_icrs(positions: Vectors, frame: BaseCoordinateFrame) -> Vectors:
    """Return unit vectors (n, 3) of a celestial frame in ICRS."""
    if isinstance(frame, ICRS):
        return positions
    if isinstance(frame, FK5):
        return positions @ _rotation(FK5, float(frame.equinox.jyear)).T
    if isinstance(frame, Galactic):
        return positions @ _rotation(Galactic, 0.0).T
    return _transformed(positions, frame)


def header_position(keywords: Keywords) -> tuple[float, float] | None:
    """Return the (longitude, latitude) that the headers give apart from a WCS, or None.

    OBJCTRA is hours where it is sexagesimal and degrees where it is a number; so is RA. A position of exactly
    0, 0 is what programs write that know none.
    """
    for ra, dec in (*_PAIRS, ("CRVAL1", "CRVAL2")):
        if ra == "CRVAL1" and not _is_reference_point_inside(keywords):
            continue
        longitude, latitude = _right_ascension(keywords, ra), keywords.angle(dec, low=-90.0, high=90.0)
        if longitude is None or latitude is None or (longitude == 0 and latitude == 0):
            continue
        return _in_icrs(keywords, longitude, latitude)
    return None


def _is_reference_point_inside(keywords: Keywords) -> bool:
    """Whether CRVAL is an equatorial position, and that of a point inside the image."""
    for axis, ctype in ((1, "RA--"), (2, "DEC-")):
        pixel = keywords.value(f"CRPIX{axis}")
        length = keywords.value(f"NAXIS{axis}")
        if not str(keywords.value(f"CTYPE{axis}")).startswith(ctype):
            return False
        if (
            not isinstance(pixel, int | float)
            or not isinstance(length, int)
            or not 0.5 <= pixel <= length + 0.5
        ):
            return False
    return True


def _right_ascension(keywords: Keywords, keyword: str) -> float | None:
    value = keywords.value(keyword)
    if value is None or isinstance(value, bool):
        return None
    if "radian" in keywords.comment(keyword).lower():
        keywords.doubt(keyword, "Is in radians by its comment: not used.")
        return None
    angle = sexagesimal(value) if isinstance(value, str) else float(value)
    if angle is not None and isinstance(value, str) and is_sexagesimal(value):
        angle *= 15.0
    if angle is not None and 0.0 <= angle <= 360.0:
        return angle % 360.0
    keywords.doubt(keyword, f"{value!r} is no right ascension.")
    return None


def _in_icrs(keywords: Keywords, longitude: float, latitude: float) -> tuple[float, float]:
    equinox = keywords.number("EQUINOX", "EPOCH", low=1800.0, high=2100.0)
    if equinox is None or equinox == 2000.0:
        return longitude, latitude
    if equinox < _FK4_UNTIL:
        frame: BaseCoordinateFrame = SkyCoord(0, 0, unit="deg", frame="fk4", equinox=f"B{equinox}").frame
    else:
        frame = FK5(equinox=f"J{equinox}")
    position = vectors(np.array([longitude]), np.array([latitude]))
    return degrees(to_icrs(position, frame)[0])


@lru_cache(maxsize=64)
def _rotation(frame: type[BaseCoordinateFrame], equinox: float) -> Vectors:
    """Return the matrix from a frame, which is ICRS but rotated, to ICRS: once, as astropy takes long."""
    rotated = frame(equinox=f"J{equinox}") if equinox else frame()
    return _transformed(np.eye(3), rotated).T


def _transformed(positions: Vectors, frame: BaseCoordinateFrame) -> Vectors:
    longitude = np.arctan2(positions[:, 1], positions[:, 0]) * units.rad
    latitude = np.arctan2(positions[:, 2], np.hypot(positions[:, 0], positions[:, 1])) * units.rad
    here = frame.realize_frame(UnitSphericalRepresentation(longitude, latitude))
    icrs = here.transform_to(ICRS())
    return vectors(icrs.ra.deg, icrs.dec.deg)
