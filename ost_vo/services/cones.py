"""Places on the sky as people type them into the search box."""

from __future__ import annotations

import re
from dataclasses import dataclass

from astropy import units
from astropy.coordinates import SkyCoord

from ost_vo.faults import UsageFault

DEFAULT_RADIUS = 0.5  # deg
MAX_RADIUS = 90.0  # deg
_CIRCLE = 360.0  # deg
_DEGREES_OF = {
    "": 1.0,
    "deg": 1.0,
    "d": 1.0,
    "'": 1 / 60,
    "arcmin": 1 / 60,
    '"': 1 / 3600,
    "arcsec": 1 / 3600,
}
_ANGLE = r"(\d+(?:\.\d*)?|\.\d+)\s*(deg|d|'|arcmin|\"|arcsec)?"
_RADIUS = re.compile(rf"(?:^|[\s,;])r(?:adius)?\s*=\s*{_ANGLE}\s*$", re.I)
_LAST = re.compile(rf"\s{_ANGLE}$", re.I)
# Two numbers or six stand before the radius of a cone.
_WORDS_WITH_RADIUS = (3, 7)
# The Cone Nebula is no cone: a number or a sign follows.
_CONE = re.compile(r"(?:cone|circle)\b[\s:(]*(?=[-+.\d])(.*?)[\s)]*", re.I)
_SEXAGESIMAL = re.compile(r"[:hm]|^\s*[+-]?\d+(?:\.\d*)?(?:[\s,]+[+-]?\d+(?:\.\d*)?){5}\s*$", re.I)
# Two numbers at least, with a blank or a sign between them; a night has signs alone, and no decimals.
_PLACE = re.compile(r"[\d:.+hmsd°'\"-]+\s[\s\d:.+hmsd°'\"-]+|\d+\.\d*[+-]\d+(?:\.\d*)?", re.I)
_SIGN = re.compile(r"(?<=[\d.])([+-])")


@dataclass(frozen=True, slots=True)
class Cone:
    """A place to look at: centre and radius [deg, ICRS]."""

    ra: float
    dec: float
    radius: float


def cone(text: str) -> Cone | None:
    """Return the place that a text names in numbers, None where it does not.

    '10.68 41.27' are degrees; with colons, letters or six numbers, right ascension is in hours. 'r=0.2' or
    "r=10'" after it is the radius, and so is a third or seventh number after 'cone' or 'circle' before it.

    Raises:
        UsageFault: it looks like a place and is none on the sky.
    """
    match = _CONE.fullmatch(text.strip())
    found = _read(match[1] if match else text.strip(), is_cone=match is not None)
    if match and found is None:
        raise UsageFault(
            f"{text.strip()} is no place on the sky.",
            "Write right ascension, declination and radius, as in: cone 10.68 41.27 0.5, or "
            "cone 00:42:44 +41:16:09 10'.",
        )
    return found


def _read(text: str, *, is_cone: bool) -> Cone | None:
    radius = DEFAULT_RADIUS
    parts = text.replace(",", " ")
    given = _RADIUS.search(parts)
    if given is None and is_cone and len(parts.split()) in _WORDS_WITH_RADIUS:
        given = _LAST.search(parts)
    if given:
        radius = float(given[1]) * _DEGREES_OF[(given[2] or "").lower()]
        parts = parts[: given.start()].strip()
    if not _PLACE.fullmatch(parts):
        return None
    is_sexagesimal = _SEXAGESIMAL.search(parts)
    unit = (units.hourangle, units.deg) if is_sexagesimal else units.deg
    try:
        if not is_sexagesimal and float(re.split(r"[\s+-]", parts.strip("+- "))[0]) > _CIRCLE:
            return None
        place = SkyCoord(_SIGN.sub(r" \1", parts), unit=unit)
    except ValueError:
        # The number of a star, or the name of a run.
        return None
    if not 0 < radius <= MAX_RADIUS:
        raise UsageFault(
            f"A radius of {radius:g} deg is not searched.", f"Take one up to {MAX_RADIUS:g} deg."
        )
    return Cone(float(place.ra.deg), float(place.dec.deg), radius)
