"""Stars that have names of their own: those of the package ephem (PyEphem by Brandon Rhodes, MIT)."""

from __future__ import annotations

import math
from functools import cache

import ephem.stars

from ost_vo.catalogues.entries import STAR, Entry

CATALOGUE = "PyEphem"
# It has some stars under two names; the IAU's come first.
_SECOND = frozenset({"Adara", "Agena", "Albereo", "Alcaid", "Etamin", "Formalhaut", "Sirrah"})


@cache
def entries() -> tuple[Entry, ...]:
    """Return all entries, with their positions at J2000."""
    names: dict[tuple[float, float], list[str]] = {}
    for name, star in ephem.stars.stars.items():
        names.setdefault((float(star._ra), float(star._dec)), []).append(name)
    found = []
    for (ra, dec), given in names.items():
        first, *others = sorted(given, key=lambda name: (name in _SECOND, name))
        found.append(
            Entry(
                first,
                STAR,
                CATALOGUE,
                s_ra=math.degrees(ra) % 360.0,
                s_dec=math.degrees(dec),
                is_prominent=True,
                aliases=tuple(others),
            )
        )
    return tuple(found)
