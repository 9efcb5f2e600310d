"""What lies over the picture of a solved frame: a grid, north and east, a scale, and the targets in it.

The projection is the gnomonic one (TAN; Calabretta and Greisen 2002, section 5.1.3), from the centre, scale,
orientation and parity that the archive has of a frame; distortions are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Steps of a grid in declination and in right ascension [deg].
_DEC_STEPS = (10, 5, 2, 1, 0.5, 1 / 3, 1 / 6, 1 / 12, 1 / 30, 1 / 60, 1 / 120, 1 / 360)
_RA_STEPS = (15, 7.5, 5, 2.5, 1.25, 0.5, 0.25, 0.125, 1 / 24, 1 / 48, 1 / 240)
# Lines of a grid along the longer side of a frame, at least.
_LINES = 3
_POINTS = 24  # of a line
_SCALES = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000)  # arcsec
_SCALE_PART = 0.3  # of the width that a scale takes at the most
_ARROW_PART = 0.08
# A grid around a pole would be a spider's web.
_MAX_DEC = 85.0
_POLE_COSINE = 0.05


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place of the picture [pixel]."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """Drawings in the pixels of a frame, with the first row at the bottom, as pictures have it.

    Attributes:
        width, height: of the frame [pixel].
        unit: size of a small letter [pixel].
        lines: of the grid, as points of SVG.
        labels: of the grid.
        north, east: ends of the arrows from `origin`.
        origin: where these begin.
        scale: length of the scale [pixel], and what it stands for.
        targets: names and places.
    """

    width: int
    height: int
    unit: float
    lines: list[str]
    labels: list[Label]
    origin: tuple[float, float]
    north: tuple[float, float]
    east: tuple[float, float]
    scale: tuple[float, str]
    targets: list[Label]


@dataclass(frozen=True, slots=True)
class Plane:
    """The tangent plane of a frame.

    Attributes:
        ra, dec: of its centre, ICRS [deg].
        pixel: angle that one covers [deg].
        orientation: position angle of the second axis, from north through east [deg].
        parity: 1 as seen on the sky, -1 mirrored.
        width, height: of the frame [pixel].
    """

    ra: float
    dec: float
    pixel: float
    orientation: float
    parity: int
    width: int
    height: int

    def place(self, ra: float, dec: float) -> tuple[float, float] | None:
        """Return where a direction [deg] is [pixel, from the upper left]; None behind the plane."""
        a, d, d0 = math.radians(ra - self.ra), math.radians(dec), math.radians(self.dec)
        depth = math.sin(d0) * math.sin(d) + math.cos(d0) * math.cos(d) * math.cos(a)
        if depth < _POLE_COSINE:
            return None
        east = math.degrees(math.cos(d) * math.sin(a) / depth)
        north = math.degrees((math.cos(d0) * math.sin(d) - math.sin(d0) * math.cos(d) * math.cos(a)) / depth)
        x, y = self._turned(east, north)
        return self.width / 2 + x / self.pixel, self.height / 2 - y / self.pixel

    def direction(self, x: float, y: float) -> tuple[float, float]:
        """Return right ascension and declination [deg] of a place in the picture [pixel]."""
        across, up = (x - self.width / 2) * self.pixel, (self.height / 2 - y) * self.pixel
        t = math.radians(self.orientation)
        east = math.radians(-self.parity * math.cos(t) * across + math.sin(t) * up)
        north = math.radians(self.parity * math.sin(t) * across + math.cos(t) * up)
        d0 = math.radians(self.dec)
        depth = math.cos(d0) - north * math.sin(d0)
        ra = self.ra + math.degrees(math.atan2(east, depth))
        dec = math.degrees(math.atan2(math.sin(d0) + north * math.cos(d0), math.hypot(east, depth)))
        return ra, dec

    def arrow(self, angle: float, length: float) -> tuple[float, float]:
        """Return where something of a length [pixel] at a position angle [deg] leads, from its beginning."""
        t = math.radians(angle)
        x, y = self._turned(math.sin(t), math.cos(t))
        return x * length, -y * length

    def holds(self, x: float, y: float) -> bool:
        """Say whether a place is within the frame."""
        return 0 <= x <= self.width and 0 <= y <= self.height

    def _turned(self, east: float, north: float) -> tuple[float, float]:
        """Return an offset on the sky along the axes of the frame."""
        t = math.radians(self.orientation)
        x = self.parity * (-east * math.cos(t) + north * math.sin(t))
        return x, east * math.sin(t) + north * math.cos(t)


def plane(row: Mapping[str, Any]) -> Plane | None:
    """Return the plane of a row of ost.products, None where it is no solved image."""
    names = ("s_ra", "s_dec", "s_pixel_scale", "s_orientation", "s_parity", "s_xel1", "s_xel2")
    if row["position_source"] != "wcs" or any(not row[name] and row[name] != 0 for name in names):
        return None
    if min(row["s_xel1"], row["s_xel2"], row["s_pixel_scale"]) <= 0:
        return None
    ra, dec, scale, *rest = (row[name] for name in names)
    return Plane(ra, dec, scale / 3600, *rest)


def overlay(frame: Plane, targets: Sequence[Mapping[str, Any]]) -> Overlay:
    """Return what lies over a frame: rows of targets have target_name, s_ra and s_dec."""
    side = max(frame.width, frame.height)
    lines, labels = _grid(frame) if abs(frame.dec) < _MAX_DEC else ([], [])
    marks = []
    for target in targets:
        found = frame.place(target["s_ra"], target["s_dec"]) if target["s_ra"] is not None else None
        if found is not None and frame.holds(*found):
            marks.append(Label(*_rounded(found), target["target_name"]))
    origin = (frame.width - side * _ARROW_PART * 1.6, side * _ARROW_PART * 1.6)
    north, east = (
        _rounded((origin[0] + dx, origin[1] + dy))
        for dx, dy in (frame.arrow(angle, side * _ARROW_PART) for angle in (0.0, 90.0))
    )
    return Overlay(
        width=frame.width,
        height=frame.height,
        unit=side / 70,
        lines=lines,
        labels=labels,
        origin=_rounded(origin),
        north=north,
        east=east,
        scale=_scale(frame),
        targets=marks,
    )


def _scale(frame: Plane) -> tuple[float, str]:
    most = frame.width * frame.pixel * 3600 * _SCALE_PART
    angle = max((step for step in _SCALES if step <= most), default=_SCALES[0])
    text = f"{angle}″" if angle < 60 else f"{angle // 60}′" if angle < 3600 else f"{angle // 3600}°"
    return round(angle / 3600 / frame.pixel, 1), text


def _grid(frame: Plane) -> tuple[list[str], list[Label]]:
    edge = [
        frame.direction(frame.width * i / 8, frame.height * j / 8)
        for i in range(9)
        for j in range(9)
        if i in (0, 8) or j in (0, 8)
    ]
    ras, decs = [ra for ra, _ in edge], [dec for _, dec in edge]
    wanted = max(frame.width, frame.height) * frame.pixel / _LINES
    dec_step = next((step for step in _DEC_STEPS if step <= wanted), _DEC_STEPS[-1])
    stretched = wanted / max(_POLE_COSINE, math.cos(math.radians(frame.dec)))
    ra_step = next((step for step in _RA_STEPS if step <= stretched), _RA_STEPS[-1])
    lines: list[str] = []
    labels: list[Label] = []
    for ra in _multiples(min(ras), max(ras), ra_step):
        _add(frame, [(ra, dec) for dec in _even(min(decs), max(decs))], _hours(ra), lines, labels)
    for dec in _multiples(min(decs), max(decs), dec_step):
        _add(frame, [(ra, dec) for ra in _even(min(ras), max(ras))], _degrees(dec), lines, labels)
    return lines, labels


def _add(
    frame: Plane, points: list[tuple[float, float]], text: str, lines: list[str], labels: list[Label]
) -> None:
    placed = [found for point in points if (found := frame.place(*point)) is not None]
    inside = [found for found in placed if frame.holds(*found)]
    if len(inside) > 1:
        lines.append(" ".join(f"{x:.0f},{y:.0f}" for x, y in placed))
        labels.append(Label(*_rounded(inside[len(inside) // 6]), text))


def _multiples(low: float, high: float, step: float) -> Iterator[float]:
    for k in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield k * step


def _even(low: float, high: float) -> list[float]:
    return [low + (high - low) * k / _POINTS for k in range(_POINTS + 1)]


def _rounded(point: tuple[float, float]) -> tuple[float, float]:
    return round(point[0], 1), round(point[1], 1)


def _hours(ra: float) -> str:
    seconds = round(ra % 360 * 240)
    text = f"{seconds // 3600 % 24}h{seconds // 60 % 60:02d}m"
    return f"{text}{seconds % 60:02d}s" if seconds % 60 else text


def _degrees(dec: float) -> str:
    seconds = round(abs(dec) * 3600)
    text = f"{'-' if dec < 0 else '+'}{seconds // 3600}°{seconds // 60 % 60:02d}′"
    return f"{text}{seconds % 60:02d}″" if seconds % 60 else text
