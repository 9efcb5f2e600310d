"""Regions as text and as numbers: STC-S (TAP 1.0 section 6), DALI 1.1 section 3.3.5, boxes and polygons."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ost_vo.vo.adql import frames
from ost_vo.vo.adql.flaws import Flaw

_COUNTS = {"POSITION": 2, "CIRCLE": 3, "BOX": 4}
# Words between the frame and the numbers that change nothing here.
_REFERENCES = frozenset(
    [
        "BARYCENTER",
        "GEOCENTER",
        "HELIOCENTER",
        "LSR",
        "TOPOCENTER",
        "RELOCATABLE",
        "UNKNOWNREFPOS",
        "SPHERICAL2",
        "FILLFACTOR",
    ]
)
_WORD = re.compile(r"[^\s(),]+|[(),]")
# Pairs of edges compared when a polygon is checked here; larger ones are left to pgSphere.
_MAX_EDGES = 60


@dataclass(frozen=True, slots=True)
class Shape:
    """A simple region: kind (POSITION, CIRCLE, BOX, POLYGON), frame, and its numbers in degrees."""

    kind: str
    frame: str
    numbers: tuple[float, ...]


def parse(text: str, position: int) -> Shape:
    """Return the region that an STC-S text describes.

    Raises:
        Flaw: the text is not STC-S, or a compound (Union, Intersection, Not), which is not supported.
    """
    words = _WORD.findall(text)
    kind = words[0].upper() if words else ""
    if kind in ("UNION", "INTERSECTION", "NOT", "DIFFERENCE"):
        raise Flaw(
            position, f"Compound regions ({kind}) are not supported.", "Combine conditions with AND, OR, NOT."
        )
    if kind not in (*_COUNTS, "POLYGON"):
        raise Flaw(
            position,
            f"'{text[:40]}' does not begin with Position, Circle, Box or Polygon.",
            "Write a region as in REGION('Circle ICRS 10 20 1').",
        )
    frame = "ICRS"
    rest = words[1:]
    while rest and not _is_number(rest[0]):
        word = rest.pop(0).upper()
        if word in _REFERENCES:
            continue
        named = frames.canonical(word)
        if named is None:
            raise Flaw(
                position,
                f"'{word}' in the region is not a known frame.",
                f"Known are {', '.join(frames.NAMES)}.",
            )
        frame = named
    return Shape(kind, frame, _numbers(kind, rest, position))


def parse_dali(text: str, kind: str, position: int) -> str:
    """Return the STC-S text of a DALI point ('lon lat'), circle ('lon lat radius') or polygon."""
    words = text.split()
    name = "POSITION" if kind == "POINT" else kind
    _numbers(name, words, position)
    return f"{name} ICRS {' '.join(words)}"


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _numbers(kind: str, words: list[str], position: int) -> tuple[float, ...]:
    """Return the numbers of a region, checked for count and range."""
    for word in words:
        if not _is_number(word):
            raise Flaw(
                position,
                f"'{word[:40]}' in the region is not a number.",
                "Give degrees, separated by blanks.",
            )
    wanted = _COUNTS.get(kind)
    if (wanted is not None and len(words) != wanted) or (
        wanted is None and (len(words) < 6 or len(words) % 2)
    ):
        count = f"{wanted} numbers" if wanted else "pairs of numbers, three or more"
        raise Flaw(position, f"A {kind.capitalize()} takes {count}, not {len(words)} numbers.")
    return tuple(float(word) for word in words)


# East and north of the corners of a box, counter-clockwise seen from inside the sphere, from the south-west.
BOX_SIGNS = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def box_corners(longitude: float, latitude: float, width: float, height: float) -> list[tuple[float, float]]:
    """Return the corners of a BOX in degrees, in the order of BOX_SIGNS.

    In the tangent plane at the centre the sides of the box are straight lines parallel to the arms.
    """
    a, d = math.radians(longitude), math.radians(latitude)
    corners = []
    for east, north in BOX_SIGNS:
        y = east * math.tan(math.radians(width) / 2)
        z = north * math.tan(math.radians(height) / 2)
        x = math.cos(d) - z * math.sin(d)
        up = math.sin(d) + z * math.cos(d)
        corner = a + math.atan2(y, x), math.atan2(up, math.hypot(x, y))
        corners.append((math.degrees(corner[0]) % 360, math.degrees(corner[1])))
    return corners


_Vector = tuple[float, float, float]


def _cross(a: _Vector, b: _Vector) -> _Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _dot(a: _Vector, b: _Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def polygon_flaw(corners: list[tuple[float, float]]) -> str | None:
    """Return what pgSphere would reject in a polygon (degrees), as the end of a sentence, or None."""
    for longitude, latitude in corners:
        if abs(latitude) > 90:
            return f"has a vertex at ({longitude:g}, {latitude:g}), outside -90 to 90 degrees of latitude"
    vectors = [frames.unit_vector(*corner) for corner in corners]
    if len(vectors) < 3:
        return "needs three different vertices"
    if len(set(vectors)) < len(vectors):
        return "has the same vertex twice"
    mean = tuple(sum(parts) for parts in zip(*vectors, strict=True))
    if len(vectors) <= _MAX_EDGES and _crossing(vectors):
        return "crosses itself"
    if any(_dot(mean, vector) <= 0 for vector in vectors):
        return "spans more than a hemisphere"
    return None


def _crossing(vectors: list[_Vector]) -> bool:
    """Tell whether two edges that do not follow each other cross."""
    count = len(vectors)
    edges = [(vectors[i], vectors[(i + 1) % count]) for i in range(count)]
    normals = [_cross(a, b) for a, b in edges]
    for i in range(count):
        for j in range(i + 2, count):
            if (i, j) != (0, count - 1) and _cross_each_other(edges[i], normals[i], edges[j], normals[j]):
                return True
    return False


def _cross_each_other(
    one: tuple[_Vector, _Vector], n: _Vector, other: tuple[_Vector, _Vector], m: _Vector
) -> bool:
    """Tell whether two arcs shorter than 180 degrees cross, given the normals of their great circles."""
    a, b = _dot(n, other[0]), _dot(n, other[1])
    c, d = _dot(m, one[0]), _dot(m, one[1])
    # Each arc has its ends on both sides of the other's great circle, and they meet on the same hemisphere.
    return a * b < 0 and c * d < 0 and a * d > 0
