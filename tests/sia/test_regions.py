"""Regions as POS spells them."""

from __future__ import annotations

import pytest

from ost_vo.faults import UsageFault
from ost_vo.vo import regions
from ost_vo.vo.regions import Circle, Polygon, Range

SQUARE = ((10.0, 10.0), (12.0, 10.0), (12.0, 12.0), (10.0, 12.0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CIRCLE 12.0 34.0 0.5", Circle(12, 34, 0.5)),
        ("circle\t12 34  0", Circle(12, 34, 0)),
        ("CIRCLE 0 0 180", Circle(0, 0, 180)),
        ("RANGE 12.0 12.5 34.0 36.0", Range(12, 12.5, 34, 36)),
        ("RANGE 0 360.0 89.0 +Inf", Range(0, 360, 89, 90)),
        ("RANGE -Inf +Inf -Inf +Inf", Range(0, 360, -90, 90)),
        ("POLYGON 10 10 12 10 12 12 10 12", Polygon(SQUARE)),
        ("POLYGON 10 10 12 10 12 10 12 12 10 12", Polygon(SQUARE)),
    ],
)
def test_spellings(text: str, expected: regions.Region) -> None:
    assert regions.parse(text) == expected


def test_a_closed_ring_is_the_same_polygon() -> None:
    region = regions.parse("POLYGON 10 10 12 10 12 12 10 12 10 10")
    assert isinstance(region, Polygon)
    assert sorted(region.vertices) == sorted(SQUARE)


@pytest.mark.parametrize(
    ("text", "width"), [("RANGE 359 1 -1 1", 2), ("RANGE 10 10 0 1", 0), ("RANGE 0 360 0 1", 360)]
)
def test_ranges_run_eastward(text: str, width: float) -> None:
    region = regions.parse(text)
    assert isinstance(region, Range)
    assert region.width == width


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "does not begin with a known shape"),
        ("BOX 1 2 3 4", "does not begin with a known shape"),
        ("CIRCLE", "takes 3 numbers, not 0"),
        ("CIRCLE 1 2", "takes 3 numbers, not 2"),
        ("CIRCLE 1 2 x", "'x' is not a number"),
        ("CIRCLE 400 2 1", "longitude 400 is outside 0 to 360"),
        ("CIRCLE -1 2 1", "longitude -1 is outside"),
        ("CIRCLE 1 91 1", "latitude 91 is outside -90 to 90"),
        ("CIRCLE 1 2 -1", "radius -1 is outside 0 to 180"),
        ("CIRCLE 1 2 181", "radius 181 is outside"),
        ("CIRCLE Inf 2 1", "longitude inf is outside"),
        ("CIRCLE NaN 2 1", "'NaN' is not a number"),
        ("RANGE 1 2 3", "takes 4 numbers, not 3"),
        ("RANGE 1 2 4 3", "latitude 4 is above 3"),
        ("RANGE 1 361 3 4", "longitude 361 is outside"),
        ("POLYGON 1 2 3 4", "at least 3 pairs"),
        ("POLYGON 1 2 3 4 5 6 7", "at least 3 pairs"),
        ("POLYGON 1 2 1 2 3 4", "fewer than 3 of the vertices differ"),
        ("POLYGON 0 0 2 2 2 0 0 2", "meets or crosses itself"),
        ("POLYGON 0 0 10 0 5 0 5 5", "meets or crosses itself"),
        ("POLYGON 0 0 180 0 90 45", "180 degrees long"),
        ("POLYGON 0 -10 120 -10 240 -10", "too large"),
        ("POLYGON " + "1 2 " * 501, "more than 500 vertices"),
    ],
)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageFault, match="POS=") as caught:
        regions.parse(text)
    assert told in str(caught.value)


def test_edges_in_line_do_not_cross() -> None:
    comb = "POLYGON 0 0 1 0 1 1 2 1 2 0 3 0 3 3 0 3"
    assert len(regions.parse(comb).vertices) == 8  # type: ignore[union-attr]
