"""Intervals as DALI and SIA spell them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ost_vo.faults import UsageFault
from ost_vo.vo import intervals
from ost_vo.vo.intervals import Interval

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300 600", Interval(300, 600)),
        ("  300\t600 ", Interval(300, 600)),
        ("500e-9 550E-9", Interval(500e-9, 550e-9)),
        (".5 1.", Interval(0.5, 1)),
        ("+1 2", Interval(1, 2)),
        ("0.21", Interval(0.21, 0.21)),
        ("300 +Inf", Interval(300, math.inf)),
        ("300 inf", Interval(300, math.inf)),
        ("-Inf 600", Interval(-math.inf, 600)),
        ("-Infinity Infinity", Interval(-math.inf, math.inf)),
    ],
)
def test_spellings(text: str, expected: Interval) -> None:
    assert intervals.parse("BAND", text) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("600 300", "ends below its beginning"),
        ("1 2 3", "3 numbers"),
        ("abc", "'abc' is not a number"),
        ("NaN 1", "'NaN' is not a number"),
        ("1_000 2_000", "'1_000' is not a number"),
        ("0x10", "'0x10' is not a number"),
        ("1,2", "'1,2' is not a number"),
        ("1e999", "too large"),
        ("+Inf", "holds no number"),
        ("-2 5", "goes below 0"),
        ("-2", "goes below 0"),
    ],
)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageFault, match="BAND=") as caught:
        intervals.parse("BAND", text, minimum=0)
    assert told in str(caught.value)


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(UsageFault) as caught:
        intervals.parse("BAND", "x" * 10_000)
    assert len(str(caught.value)) < 400


@given(finite, finite)
def test_every_pair_of_numbers_comes_back(one: float, other: float) -> None:
    lower, upper = sorted((one, other))
    assert intervals.parse("TIME", f"{lower!r} {upper!r}") == Interval(lower, upper)


@given(st.lists(finite, min_size=4, max_size=4), finite)
def test_overlap_means_a_common_number(ends: list[float], number: float) -> None:
    one, other = Interval(*sorted(ends[:2])), Interval(*sorted(ends[2:]))
    if number in one and number in other:
        assert one.overlaps(other)
    assert one.overlaps(other) == (max(one.lower, other.lower) <= min(one.upper, other.upper))
