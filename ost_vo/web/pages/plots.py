"""Plots as SVG, drawn here so that a page needs no script for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 160  # pixels of the drawing
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 10, 24
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where it is [pixel], and its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Points in the pixels of a drawing, with marks along both axes.

    Attributes:
        title: what is plotted, with its unit.
        points: (x, y) [pixel].
        across, up: the marks.
        bottom: of the area of the points [pixel].
    """

    title: str
    points: list[tuple[float, float]]
    across: list[Tick]
    up: list[Tick]
    bottom: int = HEIGHT - _BOTTOM
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    width: int = WIDTH
    height: int = HEIGHT


def over_time(title: str, times: Sequence[float | None], values: Sequence[float | None]) -> Plot | None:
    """Return a plot of values over times [MJD, UTC], marked with times of day; None without two points."""
    pairs = [(t, v) for t, v in zip(times, values, strict=True) if t is not None and v is not None]
    if len(pairs) < 2:
        return None
    first, last = min(t for t, _ in pairs), max(t for t, _ in pairs)
    low, high = min(v for _, v in pairs), max(v for _, v in pairs)
    if first == last:
        return None
    if low == high:
        low, high = low - 1, high + 1
    across = (WIDTH - _LEFT - _RIGHT) / (last - first)
    up = (HEIGHT - _TOP - _BOTTOM) / (high - low)
    points = [(_LEFT + (t - first) * across, HEIGHT - _BOTTOM - (v - low) * up) for t, v in pairs]
    hours = [Tick(_LEFT + (h / 24 - first) * across, f"{h % 24:02d}h") for h in _hours(first, last)]
    marks = [Tick(HEIGHT - _BOTTOM - (v - low) * up, f"{v:g}") for v in _round_values(low, high)]
    return Plot(title, [(round(x, 1), round(y, 1)) for x, y in points], hours, marks)


def _hours(first: float, last: float) -> range:
    """Return full hours since MJD 0 between two times, about six of them."""
    step = max(1, math.ceil((last - first) * 24 / 6))
    return range(math.ceil(first * 24), math.floor(last * 24) + 1, step)


def _round_values(low: float, high: float) -> list[float]:
    span = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(span))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= span)
    start = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(start, math.floor(high / step + 1e-9) + 1)]
