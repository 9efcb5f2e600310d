"""Celestial frames and the rotations between them, for constructors and ivo_geom_transform.

Rotations only: good to about 0.1 arcsecond for FK5, some arcseconds for FK4 (no E-terms, no proper motion),
as the IVOA catalogue of user defined functions (version 1.2, section 2.2.2) asks.
"""

from __future__ import annotations

import math
from functools import cache

NAMES = ("ICRS", "FK5", "FK4", "GALACTIC", "ECLIPTIC")
_SYNONYMS = {
    "": "ICRS",
    "J2000": "FK5",
    "FK5_J2000": "FK5",
    "B1950": "FK4",
    "GALACTIC_II": "GALACTIC",
    "UNKNOWNFRAME": "ICRS",
    "EQUATORIAL": "ICRS",
    "ECL": "ECLIPTIC",
    "GAL": "GALACTIC",
}

Matrix = tuple[tuple[float, ...], ...]


def canonical(name: str) -> str | None:
    """Return the frame that a name means (case does not matter, an empty name is ICRS), or None."""
    words = name.upper().split()
    name = words[0] if words else ""
    return name if name in NAMES else _SYNONYMS.get(name)


def unit_vector(longitude: float, latitude: float) -> tuple[float, float, float]:
    """Return the direction of a point given in degrees."""
    a, d = math.radians(longitude), math.radians(latitude)
    return math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)


def _about(axis: str, degrees: float) -> Matrix:
    """Return the matrix that turns the coordinate axes by an angle about x, y or z."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    if axis == "x":
        return (1, 0, 0), (0, c, s), (0, -s, c)
    if axis == "y":
        return (c, 0, -s), (0, 1, 0), (s, 0, c)
    return (c, s, 0), (-s, c, 0), (0, 0, 1)


def _product(*matrices: Matrix) -> Matrix:
    result = matrices[0]
    for matrix in matrices[1:]:
        columns = tuple(zip(*matrix, strict=True))
        result = tuple(
            tuple(sum(a * b for a, b in zip(row, column, strict=True)) for column in columns)
            for row in result
        )
    return result


@cache
def _from_fk5(frame: str) -> Matrix:
    """Return the matrix that takes FK5 J2000 vectors to a frame."""
    identity: Matrix = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    if frame in ("ICRS", "FK5"):
        return identity
    if frame == "ECLIPTIC":
        # Mean obliquity of J2000 (IAU 1976).
        return _about("x", 84381.448 / 3600)
    if frame == "GALACTIC":
        # Pole and ascending node in ICRS (Hipparcos catalogue, volume 1, section 1.5.3).
        return _product(_about("z", -32.93192), _about("x", 90 - 27.12825), _about("z", 192.85948 + 90))
    # Precession from B1950.0 to J2000.0 (Lieske 1979): the angles zeta, theta and z in arcseconds.
    zeta, theta, z = 1152.8425 / 3600, 1002.2611 / 3600, 1153.0407 / 3600
    return _product(_about("z", zeta), _about("y", -theta), _about("z", z))


def matrix(source: str, target: str) -> Matrix:
    """Return the rotation that takes vectors from one frame to another."""
    return _product(_from_fk5(target), tuple(zip(*_from_fk5(source), strict=True)))


def rotated(geometry: str, source: str, target: str) -> str:
    """Return SQL for a pgSphere geometry turned from one frame into another."""
    turn = matrix(source, target)
    if turn == matrix("ICRS", "FK5"):
        return geometry
    return f"({geometry} + {_euler(turn)})"


def _euler(turn: Matrix) -> str:
    """Return the pgSphere transformation of a rotation matrix, as Euler angles about z, x, z (radians)."""
    theta = math.atan2(math.hypot(turn[0][2], turn[1][2]), turn[2][2])
    first = math.atan2(turn[2][0], -turn[2][1])
    last = math.atan2(turn[0][2], turn[1][2])
    return f"strans({-first!r}, {-theta!r}, {-last!r}, 'ZXZ')"
