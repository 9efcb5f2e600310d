"""How high targets, the Sun and the Moon stand during a night, by PyEphem (Brandon Rhodes, MIT).

Without refraction, which is half a degree at the horizon and a minute of arc at 45 degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ephem
import numpy as np
from numpy.typing import NDArray

_Times = NDArray[np.float64]
# Unit vectors, one for each time or one for all.
_Directions = NDArray[np.float64]

# Ephem counts days from 1899-12-31 12:00 UT [MJD].
_EPHEM_MJD = 15019.5
_STEP = 10 / 1440  # d
_SIDEREAL = 1.00273790935  # turns of the Earth a day
_HORIZON = -0.5  # deg: of the Sun's centre when its upper limb sets


@dataclass(frozen=True, slots=True)
class Site:
    """Where a telescope stands: latitude and longitude, east positive [deg], and height above the sea [m]."""

    latitude: float
    longitude: float
    elevation: float


@dataclass(frozen=True, slots=True)
class Place:
    """A target: its name, and its position, ICRS [deg]."""

    name: str
    ra: float
    dec: float


@dataclass(frozen=True, slots=True)
class Track:
    """A target in a night.

    Attributes:
        name: of the target.
        altitudes: at the times of the night [deg].
        moon_distance: between it and the Moon when it stands highest in the dark [deg].
        best: when that is [MJD, UTC].
        highest: its altitude then [deg].
    """

    name: str
    altitudes: list[float]
    moon_distance: float
    best: float
    highest: float


@dataclass(frozen=True, slots=True)
class Night:
    """A night: from sunset to sunrise, or from noon to noon where the Sun does not set.

    Attributes:
        times: ten minutes apart [MJD, UTC].
        sun, moon: altitudes at these [deg].
        moon_phase: illuminated part of its disk in the middle of the night, 0 to 1.
        tracks: of the targets.
    """

    times: list[float]
    sun: list[float]
    moon: list[float]
    moon_phase: float
    tracks: list[Track]


def night(site: Site, moment: float, targets: Sequence[Place]) -> Night:
    """Return the night from the noon before a moment to the next [MJD, UTC; noon of the local mean time]."""
    turn = site.longitude / 360
    noon = math.floor(moment + turn - 0.5) + 0.5 - turn
    observer = _Observer(site, noon)
    times: _Times = np.asarray(noon + np.arange(round(1 / _STEP) + 1) * _STEP, dtype=np.float64)
    sun = observer.altitudes(observer.moving(ephem.Sun(), times), times)
    down = np.flatnonzero(sun < _HORIZON)
    if len(down):
        times, sun = times[down[0] : down[-1] + 1], sun[down[0] : down[-1] + 1]
    moon = observer.moving(ephem.Moon(), times)
    dark = np.flatnonzero(sun < max(-18.0, sun.min() + 1.0))
    tracks = [_track(observer, target, times, dark, moon) for target in targets]
    altitudes = observer.altitudes(moon, times)
    return Night(times.tolist(), sun.tolist(), altitudes.tolist(), observer.moon_phase(), tracks)


class _Observer:
    """Somebody at a site during the day that follows a noon [MJD, UTC]."""

    def __init__(self, site: Site, noon: float) -> None:
        self._observer = ephem.Observer()
        self._observer.lat, self._observer.lon = math.radians(site.latitude), math.radians(site.longitude)
        self._observer.elevation = site.elevation
        self._observer.pressure = 0
        self._latitude = math.radians(site.latitude)
        self._noon = noon
        self._set(noon + 0.5)
        self._sidereal = float(self._observer.sidereal_time())

    def fixed(self, target: Place) -> _Directions:
        """Return the apparent direction of a target in the middle of the night, good for all of it."""
        body = ephem.FixedBody()
        body._ra, body._dec, body._epoch = math.radians(target.ra), math.radians(target.dec), ephem.J2000
        self._set(self._noon + 0.5)
        body.compute(self._observer)
        return _vector(body)[None, :]

    def moving(self, body: ephem.Body, times: _Times) -> _Directions:
        """Return the apparent directions of the Sun or the Moon; between full hours they move evenly."""
        hours = self._noon + np.arange(25) / 24
        known = []
        for hour in hours:
            self._set(hour)
            body.compute(self._observer)
            known.append(_vector(body))
        axes = [np.interp(times, hours, axis) for axis in np.transpose(known)]
        directions = np.stack(axes, axis=1)
        return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))

    def altitudes(self, directions: _Directions, times: _Times) -> _Times:
        """Return the altitudes of directions at some times [deg]."""
        sidereal = self._sidereal + (times - self._noon - 0.5) * _SIDEREAL * 2 * math.pi
        flat = math.cos(self._latitude)
        x, y, z = flat * np.cos(sidereal), flat * np.sin(sidereal), math.sin(self._latitude)
        sine = directions[:, 0] * x + directions[:, 1] * y + directions[:, 2] * z
        return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1, 1))))

    def moon_phase(self) -> float:
        """Return the illuminated part of the Moon's disk in the middle of the night."""
        self._set(self._noon + 0.5)
        return float(ephem.Moon(self._observer).phase) / 100

    def _set(self, time: float) -> None:
        self._observer.date = time - _EPHEM_MJD


def _track(
    observer: _Observer,
    target: Place,
    times: _Times,
    dark: NDArray[np.int_],
    moon: _Directions,
) -> Track:
    direction = observer.fixed(target)
    altitudes = observer.altitudes(direction, times)
    best = dark[np.argmax(altitudes[dark])]
    distance = math.degrees(math.acos(min(1.0, max(-1.0, float(moon[best] @ direction[0])))))
    return Track(target.name, altitudes.tolist(), distance, float(times[best]), float(altitudes[best]))


def _vector(body: ephem.Body) -> NDArray[np.float64]:
    """Return the direction of a body that was computed: of date, seen from the site."""
    ra, dec = float(body.ra), float(body.dec)
    return np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])
