"""Regions on the sky, as the parameter POS spells them, in degrees of ICRS.

Source: SIA 2.0 section 2.1.1 (POS), whose values SODA 1.0 has too; DALI 1.1 sections 3.3.5 to 3.3.7.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ost_vo.faults import UsageFault
from ost_vo.vo.intervals import parse_numbers, shown

# Checking a polygon costs the square of its vertices, here and in the database.
MAX_VERTICES = 500
# Twice what pgSphere takes for the same place, about 0.4 milliarcseconds [rad].
TOLERANCE = 2e-9

_SHAPES = (
    "Shapes: CIRCLE lon lat radius, RANGE lon1 lon2 lat1 lat2, POLYGON lon1 lat1 lon2 lat2 lon3 lat3 ..."
)


@dataclass(frozen=True, slots=True)
class Circle:
    """The points within ``radius`` (0 to 180 deg) of a centre."""

    longitude: float
    latitude: float
    radius: float


@dataclass(frozen=True, slots=True)
class Range:
    """The points between two meridians and two parallels [deg].

    Attributes:
        west, east: longitudes 0 to 360; the range runs eastward, across 0 where west is above east.
        south, north: latitudes in ascending order.
    """

    west: float
    east: float
    south: float
    north: float

    @property
    def width(self) -> float:
        """Extent in longitude, 0 to 360 [deg]."""
        return self.east - self.west + (360 if self.west > self.east else 0)


@dataclass(frozen=True, slots=True)
class Polygon:
    """The smaller of the two parts into which arcs of great circles divide the sky.

    Attributes:
        vertices: pairs (longitude, latitude) [deg] in either direction; the last joins the first.
    """

    vertices: tuple[tuple[float, float], ...]


Region = Circle | Range | Polygon


def parse(text: str, name: str = "POS") -> Region:
    """Return the region that a value of POS spells.

    Args:
        text: ``CIRCLE``, ``RANGE`` or ``POLYGON``, and the numbers.
        name: the parameter, for the messages.

    Raises:
        UsageFault: the shape is unknown, a number is wrong or out of its limits, or the polygon encloses no
            region that is smaller than a hemisphere.
    """
    shape, _, rest = " ".join(text.split()).partition(" ")
    readers: dict[str, Callable[[str, tuple[float, ...]], Region]] = {
        "CIRCLE": _circle,
        "RANGE": _range,
        "POLYGON": _polygon,
    }
    reader = readers.get(shape.upper())
    if reader is None:
        raise UsageFault(f"{name}={shown(text)} does not begin with a known shape.", _SHAPES)
    return reader(f"{name}={shown(text)}", parse_numbers(name, rest))


def unit_vectors(places: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Return unit vectors, shape (n, 3), of n pairs (longitude, latitude) [deg]."""
    longitude, latitude = np.radians(np.asarray(places, float).reshape(-1, 2)).T
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=1)


def _circle(given: str, numbers: tuple[float, ...]) -> Circle:
    if len(numbers) != 3:
        raise UsageFault(f"{given}: a circle takes 3 numbers, not {len(numbers)}.", _SHAPES)
    longitude, latitude, radius = numbers
    _check_place(given, longitude, latitude)
    if not 0 <= radius <= 180:
        raise UsageFault(f"{given}: the radius {radius:g} is outside 0 to 180 degrees.")
    return Circle(longitude, latitude, radius)


def _range(given: str, numbers: tuple[float, ...]) -> Range:
    if len(numbers) != 4:
        raise UsageFault(f"{given}: a range takes 4 numbers, not {len(numbers)}.", _SHAPES)
    # Open ends are those of the sphere.
    west, east = (min(max(number, 0.0), 360.0) if math.isinf(number) else number for number in numbers[:2])
    south, north = (min(max(number, -90.0), 90.0) if math.isinf(number) else number for number in numbers[2:])
    _check_place(given, west, south)
    _check_place(given, east, north)
    if south > north:
        raise UsageFault(
            f"{given}: the latitude {south:g} is above {north:g}.", "Give the southern limit first."
        )
    return Range(west, east, south, north)


def _polygon(given: str, numbers: tuple[float, ...]) -> Polygon:
    if len(numbers) < 6 or len(numbers) % 2:
        raise UsageFault(
            f"{given}: a polygon takes at least 3 pairs of numbers, not {len(numbers)} numbers.", _SHAPES
        )
    vertices = list(zip(numbers[::2], numbers[1::2], strict=True))
    for longitude, latitude in vertices:
        _check_place(given, longitude, latitude)
    if len(vertices) > MAX_VERTICES:
        raise UsageFault(f"{given}: more than {MAX_VERTICES} vertices.", "Simplify the polygon.")
    vertices = _distinct(vertices)
    if len(vertices) < 3:
        raise UsageFault(f"{given}: fewer than 3 of the vertices differ.", "A point is a CIRCLE of radius 0.")
    _check_outline(given, unit_vectors(vertices))
    return Polygon(tuple(vertices))


def _check_place(given: str, longitude: float, latitude: float) -> None:
    if not 0 <= longitude <= 360:
        raise UsageFault(f"{given}: the longitude {longitude:g} is outside 0 to 360 degrees.")
    if not -90 <= latitude <= 90:
        raise UsageFault(
            f"{given}: the latitude {latitude:g} is outside -90 to 90 degrees.", "The longitude comes first."
        )


def _distinct(vertices: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out each vertex that repeats the one before it, also the first one repeated to close the ring."""
    vectors = unit_vectors(vertices)
    apart = np.linalg.norm(vectors - np.roll(vectors, 1, axis=0), axis=1) > TOLERANCE
    return [vertex for vertex, differs in zip(vertices, apart, strict=True) if differs]


def _check_outline(given: str, vectors: NDArray[np.float64]) -> None:
    """Refuse what pgSphere could not take for a polygon (``spherepoly_check`` there)."""
    following = np.roll(vectors, -1, axis=0)
    if np.any(np.linalg.norm(vectors + following, axis=1) < 1e-6):
        raise UsageFault(
            f"{given}: an edge is 180 degrees long, so that its course is open.", "Add a vertex between."
        )
    centre = (vectors.min(axis=0) + vectors.max(axis=0)) / 2
    length = np.linalg.norm(centre)
    if length < 1e-6 or np.any(vectors @ (centre / length) < 1e-6):
        raise UsageFault(
            f"{given}: the polygon is too large.", "Split it into parts smaller than a hemisphere."
        )
    if _crosses_itself(vectors, following):
        raise UsageFault(
            f"{given}: the outline meets or crosses itself.", "List the vertices along the outline."
        )


def _crosses_itself(begin: NDArray[np.float64], end: NDArray[np.float64]) -> bool:
    """Say whether edges (from begin to end, arrays of n unit vectors) meet elsewhere than at common ends."""
    normals = np.cross(begin, end)
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    # Side of edge i's great circle on which edge j begins and ends [rad, near zero].
    first, last = normals @ begin.T, normals @ end.T
    straddles = (np.minimum(first, last) < TOLERANCE) & (np.maximum(first, last) > -TOLERANCE)
    meets = straddles & straddles.T & _near(begin, end)
    count = len(begin)
    joined = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) % (count - 1) <= 1
    return bool(np.any(meets & ~joined)) or _turns_back(begin, end)


def _near(begin: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say of each pair of edges whether circles around them meet: decides for edges on one great circle."""
    middle = begin + end
    half = np.arccos(np.clip(np.linalg.norm(middle, axis=1) / 2, -1, 1))
    middle /= np.linalg.norm(middle, axis=1)[:, None]
    apart = np.arccos(np.clip(middle @ middle.T, -1, 1))
    return apart <= half[:, None] + half[None, :] + TOLERANCE


def _turns_back(begin: NDArray[np.float64], end: NDArray[np.float64]) -> bool:
    """Say whether an edge runs back along the one before it."""
    before = np.roll(begin, 1, axis=0)
    normal = np.cross(before - begin, end - begin)
    size = np.linalg.norm(before - begin, axis=1) * np.linalg.norm(end - begin, axis=1)
    flat = np.linalg.norm(normal, axis=1) <= TOLERANCE * size
    forward = np.einsum("ij,ij->i", before - begin, end - begin) > 0
    return bool(np.any(flat & forward))
