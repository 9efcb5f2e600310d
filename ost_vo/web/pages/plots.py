"""Plots as SVG, drawn here so that a page needs no script for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ost_vo.catalogues.visibility import Night

WIDTH, HEIGHT = 560, 160  # pixels of the drawing
TALL = 240  # of one with several curves
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 10, 24
_TICKS = 4
# Up to so many months each has its name; the years of more are marked, this many at the most.
_FEW_BARS, _YEARS = 8, 12
# Altitudes of the Sun at which a night gets darker [deg].
_TWILIGHTS = (0.0, -6.0, -12.0, -18.0)
# Colours that curves take in turn.
_STYLES = 6


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
        points: as one path of SVG, of lines without length: hundreds of circles would take time to draw.
        across, up: the marks.
        bottom: of the area of the points [pixel].
    """

    title: str
    points: str
    across: list[Tick]
    up: list[Tick]
    bottom: int = HEIGHT - _BOTTOM
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class _Upward:
    """The axis that goes up a drawing: its ends, and the height of the drawing [pixel]."""

    low: float
    high: float
    height: int = HEIGHT

    def at(self, value: float) -> float:
        """Return where a value is [pixel]."""
        room = self.height - _TOP - _BOTTOM
        return self.height - _BOTTOM - (value - self.low) * room / (self.high - self.low)

    def marks(self) -> list[Tick]:
        """Return marks at round values."""
        return [Tick(self.at(value), f"{value:g}") for value in _round_values(self.low, self.high)]


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
    across, up = (WIDTH - _LEFT - _RIGHT) / (last - first), _Upward(low, high)
    points = "".join(f"M{_LEFT + (t - first) * across:.1f} {up.at(v):.1f}h0" for t, v in pairs)
    return Plot(title, points, _hours(first, last), up.marks())


def _hours(first: float, last: float) -> list[Tick]:
    """Return marks at full hours between two times [MJD], about six of them."""
    step = max(1, math.ceil((last - first) * 24 / 6))
    hours = range(math.ceil(first * 24), math.floor(last * 24) + 1, step)
    across = (WIDTH - _LEFT - _RIGHT) / (last - first)
    return [Tick(_LEFT + (hour / 24 - first) * across, f"{hour % 24:02d}h") for hour in hours]


def _round_values(low: float, high: float) -> list[float]:
    span = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(span))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= span)
    start = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(start, math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a drawing [pixel], and what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars side by side in a drawing, with marks along both axes.

    Attributes:
        title: what is plotted, with its unit.
        bars: from left to right.
        across, up: the marks.
    """

    title: str
    bars: list[Bar]
    across: list[Tick]
    up: list[Tick]
    bottom: int = HEIGHT - _BOTTOM
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    width: int = WIDTH
    height: int = HEIGHT


def by_month(title: str, amounts: Sequence[tuple[date, float]]) -> Bars | None:
    """Return a bar for each month from the first to the last; None where there is nothing to show.

    Args:
        title: what is plotted, with its unit.
        amounts: first day of a month, and its amount; months that are left out have none.
    """
    given = {(day.year, day.month): amount for day, amount in amounts}
    if not given or max(given.values()) <= 0:
        return None
    (year, month), last = min(given), max(given)
    months = []
    while (year, month) <= last:
        months.append((year, month))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    pitch = (WIDTH - _LEFT - _RIGHT) / max(len(months), _FEW_BARS)
    up = _Upward(0.0, max(given.values()))
    bars, across = [], []
    every = math.ceil(len(months) / 12 / _YEARS)
    for k, (y, m) in enumerate(months):
        amount, x = given.get((y, m), 0.0), _LEFT + k * pitch
        text = f"{y}-{m:02d}: {amount:.4g}"
        top = round(up.at(amount), 1)
        bars.append(Bar(round(x, 1), top, round(pitch * 0.85, 1), round(up.at(0.0) - top, 1), text))
        if len(months) <= _FEW_BARS:
            across.append(Tick(x + pitch / 2, f"{y}-{m:02d}"))
        elif m == 1 and y % every == 0:
            across.append(Tick(x + pitch / 2, str(y)))
    return Bars(title, bars, across, up.marks())


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve: whose it is, its class of style, its points as SVG has them, and where its name goes."""

    name: str
    style: str
    points: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Sky:
    """Altitudes during a night.

    Attributes:
        curves: of the targets and the Moon.
        bands: x and width of where the Sun is below 0, 6, 12 and 18 degrees: each lies within the one before.
        observed: x and width of the exposures.
        across, up: the marks.
    """

    curves: list[Curve]
    bands: list[tuple[float, float]]
    observed: list[tuple[float, float]]
    across: list[Tick]
    up: list[Tick]
    bottom: int = TALL - _BOTTOM
    top: int = _TOP
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    width: int = WIDTH
    height: int = TALL


def altitudes(night: Night, moon: str, observed: Sequence[tuple[float, float]] = ()) -> Sky:
    """Return the altitudes of a night's targets and of the Moon, above the horizon.

    Args:
        night: with its tracks.
        moon: what the Moon is called.
        observed: begin and end of exposures [MJD, UTC].
    """
    first, last = night.times[0], night.times[-1]
    across, up = (WIDTH - _LEFT - _RIGHT) / (last - first), _Upward(0.0, 90.0, TALL)

    def at(time: float) -> float:
        return round(_LEFT + (min(max(time, first), last) - first) * across, 1)

    curves = [_curve(moon, "moon", [at(t) for t in night.times], night.moon, up)]
    for k, track in enumerate(night.tracks):
        curves.append(
            _curve(track.name, f"c{k % _STYLES}", [at(t) for t in night.times], track.altitudes, up)
        )
    bands = []
    for limit in _TWILIGHTS:
        dark = [time for time, altitude in zip(night.times, night.sun, strict=True) if altitude < limit]
        if dark:
            bands.append((at(dark[0]), round(at(dark[-1]) - at(dark[0]), 1)))
    taken = [(at(a), round(max(at(b) - at(a), 1.0), 1)) for a, b in observed if b >= first and a <= last]
    marks = [Tick(up.at(angle), f"{angle}°") for angle in (0, 30, 60, 90)]
    return Sky([curve for curve in curves if curve.points], bands, taken, _hours(first, last), marks)


def _curve(name: str, style: str, xs: Sequence[float], heights: Sequence[float], up: _Upward) -> Curve:
    placed = [(x, round(up.at(height), 1)) for x, height in zip(xs, heights, strict=True) if height >= 0]
    points = " ".join(f"{x},{y}" for x, y in placed)
    x, y = min(placed, key=lambda point: point[1]) if placed else (0.0, 0.0)
    return Curve(name, style, points, x, y)
