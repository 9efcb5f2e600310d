"""What maps of the sky show: the fields of files, and which part of the sky is to be seen first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Fields on a map: more would hide each other, and each takes a hundred bytes of the page.
MAX_FIELDS = 300
WHOLE = 360.0  # deg
# Of the field of view to the map about it, and the least that a map shows [deg].
_ROOM, _LEAST = 5.0, 1.0
_DIGITS = 4  # of degrees: a third of an arcsecond
# Frames of one field in a row stand a little apart: those within a minute of arc are one [1/deg].
_SAME = 60.0


@dataclass(frozen=True, slots=True)
class Map:
    """A map of the sky.

    Attributes:
        view: right ascension and declination of its centre, and what it shows across [deg].
        fields: numbers of each [deg]: a centre; a centre and a diameter; or an outline's vertices in turn.
    """

    view: tuple[float, float, float]
    fields: list[tuple[float, ...]]


def whole(rows: Sequence[Mapping[str, Any]] = ()) -> Map:
    """Return a map of the whole sky with the fields of rows that have s_ra, s_dec, s_fov and s_region."""
    return Map((0.0, 0.0, WHOLE), _fields(rows))


def around(ra: float, dec: float, rows: Sequence[Mapping[str, Any]]) -> Map:
    """Return a map about a place [deg], with room around the largest field of rows as for :func:`whole`."""
    largest = max((row["s_fov"] or 0.0 for row in rows), default=0.0)
    return Map((ra, dec, min(WHOLE, max(_LEAST, _ROOM * largest))), _fields(rows))


def _fields(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, ...]]:
    found: dict[tuple[int, ...], tuple[float, ...]] = {}
    for row in rows:
        numbers = _outline(row["s_region"]) or _circle(row)
        if numbers:
            found.setdefault(tuple(round(number * _SAME) for number in numbers), numbers)
        if len(found) == MAX_FIELDS:
            break
    return list(found.values())


def _outline(region: str | None) -> tuple[float, ...]:
    """Return the vertices of an outline in STC-S, which ingest writes as a polygon."""
    words = region.split() if region else []
    if words[:2] != ["Polygon", "ICRS"] or len(words) < 8 or len(words) % 2:
        return ()
    numbers = tuple(round(float(word), _DIGITS) for word in words[2:])
    return numbers if all(map(math.isfinite, numbers)) else ()


def _circle(row: Mapping[str, Any]) -> tuple[float, ...]:
    if row["s_ra"] is None or row["s_dec"] is None:
        return ()
    size = (row["s_fov"],) if row["s_fov"] else ()
    return tuple(round(number, _DIGITS) for number in (row["s_ra"], row["s_dec"], *size))
