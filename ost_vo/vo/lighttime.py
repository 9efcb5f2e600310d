"""When light would have come to the Sun and to the barycentre of the solar system.

The star is taken to be infinitely far away, and the Earth where ERFA's `epv00` has it, right to 15 km or
0.05 ms of light. Julian dates are double precision numbers, which step by 0.04 ms.

Sources: Eastman, Siverd & Gaudi 2010, PASP 122, 935; IAU SOFA, "SOFA Astrometry Tools" (iauApco13).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import erfa

MJD_0 = 2_400_000.5  # the Julian date of MJD 0
FIRST_MJD = 36_934.0  # 1960, with which UTC begins
_SECONDS_PER_DAY = 86_400.0
_DAYS_PER_AU = 149_597_870_700.0 / 299_792_458.0 / _SECONDS_PER_DAY
_STEPS = 3  # of the iteration backwards; each is 10,000 times nearer


@dataclass(frozen=True, slots=True)
class Site:
    """Where a telescope stands.

    Attributes:
        latitude, longitude: geodetic, east positive [deg, WGS84].
        elevation: above the ellipsoid [m].
    """

    latitude: float
    longitude: float
    elevation: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """One instant, as clocks at rest elsewhere would have dated the same light.

    Attributes:
        hjd: at the centre of the Sun [d, Julian date in UTC].
        bjd: at the barycentre of the solar system [d, Julian date in TDB].
    """

    hjd: float
    bjd: float


def arrival(mjd: float, s_ra: float, s_dec: float, site: Site) -> Arrival | None:
    """Return when light that came to a site would have come to the Sun and to the barycentre.

    Args:
        mjd: when it came to the site [d, MJD UTC].
        s_ra, s_dec: where it came from [deg, ICRS].
        site: where it came to; a site wrong by half the Earth makes 0.02 s.

    Returns:
        None before 1960, where there is no UTC.
    """
    if not mjd >= FIRST_MJD:
        return None
    to_sun, to_barycentre = _delays(mjd, s_ra, s_dec, site)
    return Arrival(MJD_0 + (mjd + to_sun), MJD_0 + (mjd + _tdb_ahead(mjd) + to_barycentre))


def observed(corrected: float, s_ra: float, s_dec: float, site: Site, *, at_sun: bool) -> float | None:
    """Return when light came to a site [d, MJD UTC]: the inverse of `arrival`.

    Args:
        corrected: Julian date at the Sun in UTC, or at the barycentre in TDB [d].
        s_ra, s_dec: where the light came from [deg, ICRS].
        site: where it came to.
        at_sun: whether the date is that at the Sun.
    """
    mjd = corrected - MJD_0
    for _ in range(_STEPS):
        found = arrival(mjd, s_ra, s_dec, site)
        if found is None:
            return None
        mjd += corrected - (found.hjd if at_sun else found.bjd)
    return mjd


def _delays(mjd: float, s_ra: float, s_dec: float, site: Site) -> tuple[float, float]:
    """Return how much later than at a site light is at the Sun and at the barycentre [d]."""
    place = (math.radians(site.longitude), math.radians(site.latitude), site.elevation)
    # No refraction, no polar motion, and UT1 is UTC: 0.9 s of the Earth's rotation are 1.4 us of light.
    # The functions below give warnings as numbers; those of the same name above them tell Python's own.
    context, _, _ = erfa.ufunc.apco13(MJD_0, mjd, 0.0, *place, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    longitude, latitude = math.radians(s_ra), math.radians(s_dec)
    star = (
        math.cos(latitude) * math.cos(longitude),
        math.cos(latitude) * math.sin(longitude),
        math.sin(latitude),
    )
    from_sun = sum(a * b for a, b in zip(context["eh"], star, strict=True)) * context["em"]
    from_barycentre = sum(a * b for a, b in zip(context["eb"], star, strict=True))
    return float(from_sun * _DAYS_PER_AU), float(from_barycentre * _DAYS_PER_AU)


def _tdb_ahead(mjd: float) -> float:
    """Return what TDB is ahead of UTC [d]."""
    tai = erfa.ufunc.utctai(MJD_0, mjd)[:2]
    tt = erfa.ufunc.taitt(*tai)[:2]
    periodic = erfa.ufunc.dtdb(*tt, mjd % 1, 0.0, 0.0, 0.0) / _SECONDS_PER_DAY
    return float((tt[0] - MJD_0) + (tt[1] - mjd) + periodic)
