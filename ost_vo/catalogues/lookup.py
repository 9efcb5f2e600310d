"""Looking things up in all catalogues: by name, and by position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ost_vo.catalogues import openngc, solar_system, stars
from ost_vo.catalogues.entries import Entry
from ost_vo.catalogues.names import key

CATALOGUES = (solar_system.CATALOGUE, stars.CATALOGUE, openngc.CATALOGUE)
# Of a field full of galaxies, the nearest to its middle.
MAX_IN_FIELD = 20
# More than a cosine of small angles loses [deg].
_MARGIN = 1e-4
# Beyond, the theories of the planets say nothing, and headers are wrong: 1900 to 2100 [MJD].
_FIRST, _LAST = 15_020.0, 88_069.0


@dataclass(frozen=True, slots=True)
class Field:
    """What a frame shows of the sky.

    Attributes:
        s_ra, s_dec: its centre, ICRS [deg].
        radius: of a circle around it [deg].
        moment: the middle of the exposure, MJD in UTC; None where unknown.
    """

    s_ra: float
    s_dec: float
    radius: float
    moment: float | None


@dataclass(frozen=True, slots=True)
class InField:
    """An entry, and how far it is from the centre of a field [deg]."""

    entry: Entry
    separation: float

    @property
    def least(self) -> float:
        """How far it is at the least [deg]: bodies of the solar system may be seen nearer than computed."""
        return max(0.0, self.separation - (solar_system.slack(self.entry.body) if self.entry.body else 0.0))


def named(name: str) -> Entry | None:
    """Return what catalogues call by a name in any spelling; None where they know none."""
    wanted = key(name)
    return _bodies().get(wanted) or stars.named(wanted) or _objects().get(wanted)


def load() -> None:
    """Read all catalogues, which takes half a second, before somebody waits for an answer."""
    _bodies(), _objects(), _prominent()


def around(fields: Sequence[Field], bodies: Sequence[Sequence[InField]]) -> list[list[InField]]:
    """Return the prominent objects in each field, the nearest to its centre first.

    Args:
        fields: to look into.
        bodies: what `bodies_around` returns for them.

    Returns:
        Of fixed objects, `MAX_IN_FIELD` at the most; of bodies, those that were there at that moment.
    """
    if not fields:
        return []
    centres = _centres(fields)
    prominent, places = _prominent()
    # One product of matrices says which are near; how near, the chord says, since the arc cosine is coarse.
    near = centres @ places.T
    limits = np.cos(np.radians([min(field.radius, 180.0) + _MARGIN for field in fields]))
    found = []
    for number, field in enumerate(fields):
        inside = np.flatnonzero(near[number] >= limits[number])
        chords = np.linalg.norm(places[inside] - centres[number], axis=1)
        nearest = np.argsort(chords, kind="stable")[:MAX_IN_FIELD]
        fixed = [InField(prominent[inside[n]], _angle(float(chords[n]))) for n in nearest]
        fixed = [one for one in fixed if one.separation <= field.radius]
        there = [body for body in bodies[number] if body.least <= field.radius]
        found.append(sorted([*fixed, *there], key=lambda one: one.least))
    return found


def bodies_around(fields: Sequence[Field]) -> list[list[InField]]:
    """Return all bodies of the solar system for each field, and how far they are from it at its moment."""
    dated = [n for n, f in enumerate(fields) if f.moment is not None and _FIRST <= f.moment <= _LAST]
    found: list[list[InField]] = [[] for _ in fields]
    if not dated:
        return found
    places = solar_system.positions([fields[n].moment or 0.0 for n in dated])
    chords = np.linalg.norm(_centres([fields[n] for n in dated])[:, None, :] - places, axis=2)
    for n, of_field in zip(dated, chords, strict=True):
        found[n] = [InField(e, _angle(float(c))) for e, c in zip(solar_system.ENTRIES, of_field, strict=True)]
    return found


@cache
def _bodies() -> dict[str, Entry]:
    return _by_key(solar_system.ENTRIES)


@cache
def _objects() -> dict[str, Entry]:
    return _by_key(openngc.entries())


def _by_key(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Return entries by every key of every name; an object's own name comes before aliases of others."""
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(key(entry.name), entry)
    for entry in entries:
        for alias in entry.aliases:
            found.setdefault(key(alias), entry)
    return found


@cache
def _prominent() -> tuple[list[Entry], NDArray[np.float64]]:
    fixed = [entry for entry in (*stars.prominent(), *openngc.entries()) if entry.is_prominent]
    return fixed, _directions([(entry.s_ra, entry.s_dec) for entry in fixed])


def _centres(fields: Sequence[Field]) -> NDArray[np.float64]:
    return _directions([(field.s_ra, field.s_dec) for field in fields])


def _directions(positions: Sequence[tuple[float | None, float | None]]) -> NDArray[np.float64]:
    """Return unit vectors of positions [deg]; without astropy, which takes commands a second to load."""
    longitude, latitude = np.radians(np.array(positions, dtype=np.float64)).T
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=1)


def _angle(chord: float) -> float:
    return math.degrees(2.0 * math.asin(min(chord / 2.0, 1.0)))
