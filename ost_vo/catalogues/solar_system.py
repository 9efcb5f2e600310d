"""Where the Sun, the Moon and the planets are, seen from the Earth's centre.

The theories are those of astropy's builtin ephemeris (IAU SOFA's plan94, moon98 and epv00, as pyerfa has
them), called directly, since frames come by the thousand. They are good to an arcminute.
"""

from __future__ import annotations

from collections.abc import Sequence

import erfa
import numpy as np
from numpy.typing import NDArray

from ost_vo.catalogues.entries import SOLAR_SYSTEM, Entry

CATALOGUE = "solar system"
# Numbers of plan94; the Earth, 3, stands for nothing that a telescope looks at.
_PLANETS = {"Mercury": 1, "Venus": 2, "Mars": 4, "Jupiter": 5, "Saturn": 6, "Uranus": 7, "Neptune": 8}
_GERMAN = {"Mercury": "Merkur", "Neptune": "Neptun", "Moon": "Mond", "Sun": "Sonne"}
_LATIN = {"Moon": "Luna", "Sun": "Sol"}
BODIES = ("Sun", "Moon", *_PLANETS)

# How far from its place, seen from the Earth's centre, a body can be seen, and its own radius [deg]: the
# Moon's parallax is up to 1.02, the Sun and the Moon have a radius of 0.27. The rest is the theories' error.
SLACK = {"Moon": 1.3, "Sun": 0.3}
_SLACK = 0.05

# TT - UTC [s] since 2017. Before, since 1972, it was up to 27 s less, in which the Moon moves 15".
_TT_MINUS_UTC = 69.184
_JD_OF_MJD = 2400000.5
_SECONDS = 86_400.0
_LIGHT_AU_PER_DAY = 173.1446326742403

ENTRIES = tuple(
    Entry(
        name,
        SOLAR_SYSTEM,
        CATALOGUE,
        is_prominent=True,
        aliases=tuple(names[name] for names in (_GERMAN, _LATIN) if name in names),
        body=name,
    )
    for name in BODIES
)


def slack(body: str) -> float:
    """Return how far from its place here a body may be on a frame that shows it [deg]."""
    return SLACK.get(body, _SLACK)


def positions(moments: Sequence[float]) -> NDArray[np.float64]:
    """Return the directions of all bodies at some moments.

    Args:
        moments: MJD, UTC, of the years 1900 to 2100.

    Returns:
        Unit vectors, ICRS, of the shape (moments, bodies, 3); light time is allowed for.
    """
    fraction = np.asarray(moments, dtype=np.float64) + _TT_MINUS_UTC / _SECONDS
    heliocentric, _ = erfa.epv00(_JD_OF_MJD, fraction)
    earth = heliocentric["p"]
    places = [-earth, erfa.moon98(_JD_OF_MJD, fraction)["p"]]
    places += [_planet(number, fraction, earth) for number in _PLANETS.values()]
    found = np.stack(places, axis=1)
    return np.asarray(found / np.linalg.norm(found, axis=2, keepdims=True))


def _planet(number: int, fraction: NDArray[np.float64], earth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a planet from the Earth [au], where it was when its light left."""
    place = erfa.plan94(_JD_OF_MJD, fraction, number)["p"] - earth
    delay = np.linalg.norm(place, axis=1) / _LIGHT_AU_PER_DAY
    return np.asarray(erfa.plan94(_JD_OF_MJD, fraction - delay, number)["p"] - earth)
