"""Conditions in PostgreSQL's language for the observations whose footprint meets a region.

A condition has up to two parts. The *cover* consists of overlaps and containments of constants that the
store marks as leakproof, so that an index serves it also behind a security barrier; it may let too much
through. The *exact* part then decides. Where an observation has no footprint, its position stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ost_vo.vo.regions import Circle, Polygon, Range, Region, unit_vectors

# Circles beyond this keep most of the sky: then parallels are the better cover [deg].
_MAX_COVER = 60.0
# Meridians and parallels between which a box of pgSphere still behaves [deg].
_MAX_BOX = 90.0
# Added to a cover, and the least width of a box: above what pgSphere takes for equal [deg].
_MARGIN = 1e-6
# Half a turn about the x axis: it sends each longitude and latitude to its negative.
_HALF_TURN = f"strans({math.pi:.17f}, 0, 0, 'XZX')"


@dataclass(frozen=True, slots=True)
class _Condition:
    """A cover and an exact condition; an empty one says nothing."""

    cover: str
    exact: str = ""


def meets_any(regions: Iterable[Region], footprint: str, position: str) -> list[str]:
    """Return conditions that hold together where an observation meets at least one of the regions.

    The border belongs to a region.

    Args:
        regions: one or more.
        footprint: the column of type spoly, which may be null.
        position: the column of type spoint, which may be null; an observation without either meets nothing.
    """
    found = [_meets(region, footprint, position) for region in regions]
    covers = _either(condition.cover for condition in found)
    if not any(condition.exact for condition in found):
        return [covers]
    return [covers, _either(f"{condition.cover} AND {condition.exact or 'true'}" for condition in found)]


def meets_circle(footprint: str, position: str) -> str:
    """Return the condition of a statement with placeholders for an observation that meets a circle.

    Arguments are those of :func:`meets_any`; $1, $2 and $3 stand for what :func:`numbers_of` returns.
    """
    return _overlaps("scircle(spoint($1, $2), $3)", footprint, position)


def numbers_of(circle: Circle) -> tuple[float, float, float]:
    """Return longitude, latitude and radius [rad] of a circle no larger than a hemisphere."""
    return math.radians(circle.longitude), math.radians(circle.latitude), math.radians(circle.radius)


def _meets(region: Region, footprint: str, position: str) -> _Condition:
    if isinstance(region, Circle):
        return _Condition(_meets_circle(region, footprint, position))
    if isinstance(region, Polygon):
        return _Condition(_overlaps(_polygon(region), footprint, position))
    band = _meets_band(region, footprint, position)
    if region.width == 360:
        return _Condition(band)
    circle = _bounding_circle(region)
    cover = _meets_circle(circle, footprint, position) if circle else band
    return _Condition(cover, _meets_boxes(region, footprint, position))


def _meets_circle(circle: Circle, footprint: str, position: str) -> str:
    if circle.radius <= 90:
        return _overlaps(_circle(circle), footprint, position)
    if circle.radius == 180:
        return f"({footprint} IS NOT NULL OR {position} IS NOT NULL)"
    # A circle of pgSphere ends at a hemisphere: what is not wholly in the rest of the sky meets this one.
    rest = _circle(Circle((circle.longitude + 180) % 360, -circle.latitude, 180 - circle.radius))
    return f"(NOT ({footprint} <@ {rest}) OR ({footprint} IS NULL AND NOT ({position} <@ {rest})))"


def _overlaps(shape: str, footprint: str, position: str) -> str:
    return f"({footprint} && {shape} OR ({footprint} IS NULL AND {position} <@ {shape}))"


def _meets_band(region: Range, footprint: str, position: str) -> str:
    """Return a condition for what reaches north of the southern parallel, and south of the northern one."""
    above = _meets_circle(Circle(0, 90, 90 - region.south), footprint, position)
    below = _meets_circle(Circle(0, -90, 90 + region.north), footprint, position)
    return f"({above} AND {below})"


def _meets_boxes(region: Range, footprint: str, position: str) -> str:
    """Return a condition for what is between meridians and parallels.

    pgSphere 1.1.1 finds the highest latitude of an edge wrong where the edge runs westward, and so can miss
    one that only bulges into the box. Turned upside down it runs eastward: one of the two answers is right.
    """
    boxes, turned = _boxes(region), _boxes(Range(-region.east, -region.west, -region.north, -region.south))
    tests = [f"{footprint} && {box}" for box in boxes]
    tests += [f"({footprint} + {_HALF_TURN}) && {box}" for box in turned]
    on_position = " OR ".join(f"{position} <@ {box}" for box in boxes)
    return f"({' OR '.join(tests)} OR ({footprint} IS NULL AND ({on_position})))"


def _boxes(region: Range) -> list[str]:
    """Return boxes of pgSphere that together are the range."""
    columns = max(1, math.ceil(region.width / _MAX_BOX))
    # A box without width would count as one around the whole sky.
    width = max(region.width, _MARGIN)
    meridians = [region.west + width * column / columns for column in range(columns + 1)]
    parallels = [region.south, region.north]
    if region.north - region.south > _MAX_BOX:
        parallels.insert(1, 0.0)
    return [
        f"sbox({_point(west, south)}, {_point(east, north)})"
        for south, north in pairwise(parallels)
        for west, east in pairwise(meridians)
    ]


def _bounding_circle(region: Range) -> Circle | None:
    """Return a circle that contains the range, None where it would hold most of the sky."""
    if region.width >= 180:
        return None
    middle, latitude = region.west + region.width / 2, (region.south + region.north) / 2
    centre = unit_vectors([(middle, latitude)])[0]
    # Nothing in a range narrower than half the sky is further away than the corners.
    corners = unit_vectors([(region.west, region.south), (region.west, region.north)])
    chord = float(np.linalg.norm(corners - centre, axis=1).max())
    radius = math.degrees(2 * math.asin(min(1.0, chord / 2))) + _MARGIN
    return Circle(middle % 360, latitude, radius) if radius <= _MAX_COVER else None


def _either(conditions: Iterable[str]) -> str:
    return f"({' OR '.join(conditions)})"


def _circle(circle: Circle) -> str:
    return f"scircle({_point(circle.longitude, circle.latitude)}, {_radians(circle.radius)})"


def _polygon(polygon: Polygon) -> str:
    vertices = ",".join(
        f"({_radians(longitude)},{_radians(latitude)})" for longitude, latitude in polygon.vertices
    )
    return f"spoly '{{{vertices}}}'"


def _point(longitude: float, latitude: float) -> str:
    return f"spoint({_radians(longitude)}, {_radians(latitude)})"


def _radians(degrees: float) -> str:
    """Return an angle in radians, without the exponent that pgSphere's texts take only with its sign."""
    return f"{math.radians(degrees):.17f}"
