"""Coverage of the sky as a MOC, and of time and spectrum as intervals.

Source: MOC 2.0; VODataService 1.2 section 3.2 (coverage). The sky is ICRS.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mocpy import MOC

# Cells of 3.4 arcminutes: a tenth of the archive's usual fields.
ORDER = 10
# A larger MOC loses orders until it fits: 16 bytes a range in FITS.
MAX_RANGES = 500_000
# As many MOCs are united at a time: the union of all before is among them, and may be large.
_PARTS = 64
# What an observation without a size covers [deg].
POINT = 1 / 3600

FITS, JSON, ASCII = "fits", "json", "ascii"
MEDIA_TYPES = {FITS: "application/fits", JSON: "application/json", ASCII: "text/plain"}

Outline = tuple[float, ...]
Circle = tuple[float, float, float]
Interval = tuple[float, float]


class Sky:
    """The union of outlines and circles.

    mocpy takes two seconds to import, so that happens when the first one is made, not before.

    Args:
        order: of the smallest cells.
    """

    def __init__(self, order: int = ORDER) -> None:
        from mocpy import MOC

        self._kind = MOC
        self._order = order
        self._parts = [MOC.new_empty(order)]

    def add_polygons(self, polygons: Sequence[Outline]) -> None:
        """Add what is inside of polygons.

        Args:
            polygons: longitude and latitude of each vertex in turn [deg]; edges are great circles, and the
                smaller of the two parts of the sky is the inside.
        """
        by_size: dict[int, list[Outline]] = {}
        for polygon in polygons:
            by_size.setdefault(len(polygon), []).append(polygon)
        for alike in by_size.values():
            vertices = np.asarray(alike, dtype=np.float64)
            longitudes, latitudes = np.mod(vertices[:, 0::2], 360.0), vertices[:, 1::2]
            rows = np.stack([longitudes, latitudes], axis=1).reshape(-1, vertices.shape[1] // 2)
            found = self._kind.from_polygons(rows, max_depth=self._order, n_threads=1)
            self._add(found[0].union(*found[1:]) if len(found) > 1 else found[0])

    def add_circles(self, circles: Sequence[Circle]) -> None:
        """Add circles: longitude and latitude of the centre, and radius [deg]."""
        from astropy import units

        if not circles:
            return
        longitudes, latitudes, radii = (
            np.ascontiguousarray(column) * units.deg for column in np.asarray(circles, dtype=np.float64).T
        )
        found = self._kind.from_cones(
            longitudes,
            latitudes,
            radius=radii,
            max_depth=self._order,
            # Without an outline, a circle is only a guess: a cell more or less does not matter.
            delta_depth=0,
            union_strategy="large_cones",
            n_threads=1,
        )
        self._add(found)

    def moc(self) -> MOC:
        """Return the union, in coarser cells where it has more ranges of them than :data:`MAX_RANGES`."""
        self._unite()
        union, order = self._parts[0], self._order
        while len(union.to_depth29_ranges) > MAX_RANGES:
            order -= 1
            union = union.degrade_to_order(order)
        return union

    def _add(self, part: MOC) -> None:
        self._parts.append(part)
        if len(self._parts) > _PARTS:
            self._unite()

    def _unite(self) -> None:
        first, *rest = self._parts
        self._parts = [first.union(*rest)] if rest else [first]


def parse(text: str) -> MOC:
    """Return the MOC that :func:`write` has written in ASCII."""
    from mocpy import MOC

    return MOC.from_string(text, "ascii")


def coarser(moc: MOC, order: int) -> MOC:
    """Return a MOC whose smallest cells are of an order or larger, and cover at least what its own do."""
    return moc.degrade_to_order(order) if order < moc.max_order else moc


def write(moc: MOC, form: str) -> bytes:
    """Return the document of a MOC in FITS (binary table), JSON or ASCII (MOC 2.0 section 4)."""
    if form == FITS:
        document = io.BytesIO()
        moc.serialize("fits").writeto(document)
        return document.getvalue()
    if form == JSON:
        return moc.to_string("json").encode()
    return f"{moc.to_string('ascii').strip()}\n".encode()


def shortened(moc: MOC, size: int, lowest: int = 6) -> str:
    """Return a MOC in ASCII, of as high an order as fits a size, but for :data:`lowest` whatever the size.

    Args:
        moc: of the order :data:`ORDER` or less.
        size: of the text [bytes].
        lowest: the order that registries want at least (VODataService 1.2 section 3.2).
    """
    order = moc.max_order
    text = str(moc.to_string("ascii")).strip()
    while len(text) > size and order > lowest:
        order -= 1
        text = str(moc.degrade_to_order(order).to_string("ascii")).strip()
    return text


def merged(intervals: Iterable[Interval], most: int) -> list[Interval]:
    """Return the union of intervals, with the smallest gaps closed until there are no more than so many."""
    union: list[list[float]] = []
    for first, last in sorted(intervals):
        if union and first <= union[-1][1]:
            union[-1][1] = max(union[-1][1], last)
        else:
            union.append([first, last])
    gaps = sorted(after[0] - before[1] for before, after in pairwise(union))
    closed = gaps[len(union) - most - 1] if len(union) > most else -math.inf
    kept: list[list[float]] = []
    for interval in union:
        if kept and interval[0] - kept[-1][1] <= closed:
            kept[-1][1] = interval[1]
        else:
            kept.append(interval)
    return [(first, last) for first, last in kept]
