"""Which pixels of an image a region on the sky meets.

The outline of the region is made of arcs of circles on the sphere, which are divided until they are short
against the image. The box holds what of them lies in the image, and what of the image lies in the region.

Angles are radians and positions unit vectors of ICRS; pixel coordinates are counted from 0 at the centre of
the first pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ost_vo.vo.celestial import Vectors
from ost_vo.vo.regions import Circle, Polygon, Range, Region, unit_vectors

Pixels = NDArray[np.float64]

# Points along each side of an image at which it is looked whether they are in the region.
_GRID = 9
# An outline is divided until its pieces are this fraction of the image's radius.
_FINENESS = 1 / 32
_FIRST_PIECE = math.radians(6.0)
_PARTS = 4
# Points of an outline that are followed at the most: reached by polygons of hundreds of edges alone.
_MAX_PIECES = 60_000
# What rounding leaves of a point on the outline itself [rad].
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class _Arcs:
    """Arcs of circles: ``middle + cos(angle) along + sin(angle) across``, the angle from 0 to ``sweep``."""

    middle: Vectors
    along: Vectors
    across: Vectors
    sweep: NDArray[np.float64]

    def at(self, which: NDArray[np.int64], angle: NDArray[np.float64]) -> Vectors:
        """Return the points at angles of the arcs with given numbers."""
        cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
        return self.middle[which] + cosine * self.along[which] + sine * self.across[which]


def contains(region: Region, points: Vectors) -> NDArray[np.bool_]:
    """Say of each point (n, 3) whether it is in a region; one that is not finite is not."""
    finite = np.isfinite(points).all(axis=1)
    inside = np.zeros(len(points), bool)
    inside[finite] = _contains(region, points[finite])
    return inside


class Field:
    """What an image covers of the sky, for any number of regions.

    Args:
        size: lengths of the two axes in pixels.
        to_pixel, to_sky: the transformations of points (n, 3) and pixels (n, 2); NaN where there are none.
    """

    def __init__(
        self,
        size: tuple[int, int],
        to_pixel: Callable[[Vectors], Pixels],
        to_sky: Callable[[Pixels], Vectors],
    ) -> None:
        self._size = size
        self._to_pixel = to_pixel
        self._grid = _grid(size)
        self._sky = to_sky(self._grid)
        self._centre = self._sky[len(self._sky) // 2]
        is_known = np.isfinite(self._sky).all()
        self._radius = 1.1 * float(_angles(self._centre, self._sky).max()) + _ROUNDING if is_known else None

    def box(self, region: Region) -> tuple[int, int, int, int] | None:
        """Return the smallest box of whole pixels that holds what a region and the image have in common.

        Returns:
            First pixel and end (exclusive) on the first axis, the same on the second; None without overlap.
        """
        found = [self._grid[contains(region, self._sky)]]
        for begin, end in _pieces(_outline(region), self._centre, self._radius):
            found.append(self._clipped(begin, end))
        points = np.concatenate(found)
        if not len(points):
            return None
        low = np.clip(np.floor(points.min(axis=0) + 0.5), 0, np.subtract(self._size, 1)).astype(int)
        high = np.clip(np.floor(points.max(axis=0) + 0.5) + 1, low + 1, self._size).astype(int)
        return int(low[0]), int(high[0]), int(low[1]), int(high[1])

    def _clipped(self, begin: Vectors, end: Vectors) -> Pixels:
        """Return the ends of what of short arcs lies in the image."""
        ends = self._to_pixel(np.concatenate([begin, end]))
        return _clipped(ends[: len(begin)], ends[len(begin) :], self._size)


def _contains(region: Region, points: Vectors) -> NDArray[np.bool_]:
    if isinstance(region, Circle):
        return _angles(_centre(region), points) <= math.radians(region.radius) + _ROUNDING
    if isinstance(region, Range):
        longitude = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
        latitude = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
        is_between = (latitude >= region.south) & (latitude <= region.north)
        return is_between & ((longitude - region.west) % 360 <= region.width)
    return _in_polygon(unit_vectors(region.vertices), points)


def _centre(circle: Circle) -> Vectors:
    longitude, latitude = math.radians(circle.longitude), math.radians(circle.latitude)
    across = math.cos(latitude)
    return np.array([across * math.cos(longitude), across * math.sin(longitude), math.sin(latitude)])


def _in_polygon(vertices: Vectors, points: Vectors) -> NDArray[np.bool_]:
    """Count the edges on one side, in the gnomonic projection: there, great circles are straight."""
    axis = vertices.min(axis=0) + vertices.max(axis=0)
    axis /= np.linalg.norm(axis)
    first = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    first /= np.linalg.norm(first)
    plane = np.stack([first, np.cross(axis, first)], axis=1)
    corners = (vertices @ plane) / (vertices @ axis)[:, None]
    before = np.roll(corners, 1, axis=0)
    ahead = points @ axis
    inside = np.zeros(len(points), bool)
    seen = ahead > 0
    x, y = ((points[seen] @ plane) / ahead[seen, None]).T
    odd = np.zeros(len(x), bool)
    for (x1, y1), (x2, y2) in zip(before, corners, strict=True):
        if y1 != y2:
            odd ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    inside[seen] = odd
    return inside


def _outline(region: Region) -> _Arcs:
    if isinstance(region, Circle):
        return _small_circle(_centre(region)[None], math.radians(region.radius))
    if isinstance(region, Polygon):
        vertices = unit_vectors(region.vertices)
        return _great_arcs(vertices, np.roll(vertices, -1, axis=0))
    west, east, south, north = region.west, region.east, region.south, region.north
    low = unit_vectors([(west, south), (east, south)])
    high = unit_vectors([(west, north), (east, north)])
    meridians, parallels = _great_arcs(low, high), _parallels(region)
    return _Arcs(
        *(
            np.concatenate([getattr(meridians, name), getattr(parallels, name)])
            for name in ("middle", "along", "across", "sweep")
        )
    )


def _small_circle(centre: Vectors, radius: float) -> _Arcs:
    x, y, z = centre[0].tolist()
    # Across the centre and the axis of coordinates that is farthest from it.
    if abs(x) <= min(abs(y), abs(z)):
        u, v, w = 0.0, z, -y
    elif abs(y) <= abs(z):
        u, v, w = -z, 0.0, x
    else:
        u, v, w = y, -x, 0.0
    length, sine = math.hypot(u, v, w), math.sin(radius)
    u, v, w = u / length, v / length, w / length
    across = np.array([[y * w - z * v, z * u - x * w, x * v - y * u]])
    return _Arcs(
        centre * math.cos(radius), np.array([[u, v, w]]) * sine, across * sine, np.array([2 * math.pi])
    )


def _great_arcs(begin: Vectors, end: Vectors) -> _Arcs:
    sweep = _angles(begin, end)
    across = end - begin * np.sum(begin * end, axis=1)[:, None]
    length = np.linalg.norm(across, axis=1)[:, None]
    across = np.divide(across, length, out=np.zeros_like(across), where=length > 0)
    return _Arcs(np.zeros_like(begin), begin, across, sweep)


def _parallels(region: Range) -> _Arcs:
    latitude, west = np.radians([region.south, region.north]), math.radians(region.west)
    across, height, nothing = np.cos(latitude), np.sin(latitude), np.zeros(2)
    return _Arcs(
        np.stack([nothing, nothing, height], axis=1),
        np.stack([across * math.cos(west), across * math.sin(west), nothing], axis=1),
        np.stack([-across * math.sin(west), across * math.cos(west), nothing], axis=1),
        np.full(2, math.radians(region.width)),
    )


def _pieces(arcs: _Arcs, centre: Vectors, reach: float | None) -> list[tuple[Vectors, Vectors]]:
    """Return the two ends of short pieces of arcs that are near an image.

    Args:
        arcs: the outline of a region.
        centre: of the image.
        reach: how far it extends [rad]; None where that is not known.
    """
    is_known = reach is not None
    radius = math.pi if reach is None else reach
    counts = np.maximum(1, np.ceil(arcs.sweep / _FIRST_PIECE)).astype(int)
    which = np.repeat(np.arange(len(counts)), counts)
    step = (arcs.sweep / counts)[which]
    start = step * (np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts))
    while True:
        begin, end = arcs.at(which, start), arcs.at(which, start + step)
        # The radius of the arc bounds what a piece covers, where its ends come together again.
        length = step * np.linalg.norm(arcs.along[which], axis=1)
        if is_known:
            near = np.minimum(_angles(centre, begin), _angles(centre, end)) <= radius + length
            which, start, step, begin, end, length = (
                values[near] for values in (which, start, step, begin, end, length)
            )
        if not len(which):
            return []
        fine = max(radius if is_known else math.radians(30.0), _ROUNDING) * _FINENESS
        if length.max() <= fine or len(which) * _PARTS > _MAX_PIECES:
            return [(begin, end)]
        step = np.repeat(step / _PARTS, _PARTS)
        start = np.repeat(start, _PARTS) + step * np.tile(np.arange(_PARTS), len(which))
        which = np.repeat(which, _PARTS)


def _grid(size: tuple[int, int]) -> Pixels:
    """Return points all over an image, its corners and its middle among them."""
    along, across = (np.linspace(-0.5, length - 0.5, _GRID) for length in size)
    return np.stack(np.meshgrid(along, across), axis=-1).reshape(-1, 2)


def _clipped(begin: Pixels, end: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the ends of what of straight lines lies in an image (Liang and Barsky's way)."""
    if all(((ends >= -0.5) & (ends <= np.subtract(size, 0.5))).all() for ends in (begin, end)):
        return np.concatenate([begin, end])  # all of it, as of most small regions
    finite = np.isfinite(begin).all(axis=1) & np.isfinite(end).all(axis=1)
    begin, end = begin[finite], end[finite]
    change = end - begin
    enter, leave = np.zeros(len(begin)), np.ones(len(begin))
    for axis, length in enumerate(size):
        at, by = begin[:, axis], change[:, axis]
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = np.sort(np.stack([(-0.5 - at) / by, (length - 0.5 - at) / by]), axis=0)
        stays = by == 0
        within = (at >= -0.5) & (at <= length - 0.5)
        low = np.where(stays, np.where(within, -np.inf, np.inf), low)
        high = np.where(stays, np.where(within, np.inf, -np.inf), high)
        enter, leave = np.maximum(enter, low), np.minimum(leave, high)
    meets = enter <= leave
    return np.concatenate([begin[meets] + part[meets, None] * change[meets] for part in (enter, leave)])


def _angles(one: Vectors, many: Vectors) -> NDArray[np.float64]:
    """Return the angles [rad] between unit vectors."""
    # Written out: np.cross takes ten times as long for a few vectors.
    (x1, y1, z1), (x2, y2, z2) = one.T, many.T
    across = np.sqrt((y1 * z2 - z1 * y2) ** 2 + (z1 * x2 - x1 * z2) ** 2 + (x1 * y2 - y1 * x2) ** 2)
    return np.asarray(np.arctan2(across, x1 * x2 + y1 * y2 + z1 * z2))
