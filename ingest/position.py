"""What headers say about where the telescope pointed, apart from a WCS.

Angles are degrees and positions ICRS unless a name says otherwise.
"""

from __future__ import annotations

import numpy as np

from ingest.keywords import Keywords, is_sexagesimal, sexagesimal
from ost_vo.vo.celestial import degrees, to_icrs, vectors

_PAIRS = (("OBJCTRA", "OBJCTDEC"), ("RA", "DEC"), ("RA_TARG", "DEC_TARG"))
_FK4_UNTIL = 1984.0  # equinoxes before are Besselian and FK4 (FITS 4.0, section 8.3)


def header_position(keywords: Keywords) -> tuple[float, float] | None:
    """Return the (longitude, latitude) that the headers give apart from a WCS, or None.

    OBJCTRA is hours where it is sexagesimal and degrees where it is a number; so is RA. A position of exactly
    0, 0 is what programs write that know none.
    """
    for ra, dec in (*_PAIRS, ("CRVAL1", "CRVAL2")):
        if ra == "CRVAL1" and not _is_reference_point_inside(keywords):
            continue
        longitude, latitude = _right_ascension(keywords, ra), keywords.angle(dec, low=-90.0, high=90.0)
        if longitude is None or latitude is None or (longitude == 0 and latitude == 0):
            continue
        return _in_icrs(keywords, longitude, latitude)
    return None


def _is_reference_point_inside(keywords: Keywords) -> bool:
    """Whether CRVAL is an equatorial position, and that of a point inside the image."""
    for axis, ctype in ((1, "RA--"), (2, "DEC-")):
        pixel = keywords.value(f"CRPIX{axis}")
        length = keywords.value(f"NAXIS{axis}")
        if not str(keywords.value(f"CTYPE{axis}")).startswith(ctype):
            return False
        if (
            not isinstance(pixel, int | float)
            or not isinstance(length, int)
            or not 0.5 <= pixel <= length + 0.5
        ):
            return False
    return True


def _right_ascension(keywords: Keywords, keyword: str) -> float | None:
    value = keywords.value(keyword)
    if value is None or isinstance(value, bool):
        return None
    if "radian" in keywords.comment(keyword).lower():
        keywords.doubt(keyword, "Is in radians by its comment: not used.")
        return None
    angle = sexagesimal(value) if isinstance(value, str) else float(value)
    if angle is not None and isinstance(value, str) and is_sexagesimal(value):
        angle *= 15.0
    if angle is not None and 0.0 <= angle <= 360.0:
        return angle % 360.0
    keywords.doubt(keyword, f"{value!r} is no right ascension.")
    return None


def _in_icrs(keywords: Keywords, longitude: float, latitude: float) -> tuple[float, float]:
    equinox = keywords.number("EQUINOX", "EPOCH", low=1800.0, high=2100.0)
    if equinox is None or equinox == 2000.0:
        return longitude, latitude
    # Imported here: it takes a second, and few headers need it.
    from astropy.coordinates import FK5, BaseCoordinateFrame, SkyCoord

    if equinox < _FK4_UNTIL:
        frame: BaseCoordinateFrame = SkyCoord(0, 0, unit="deg", frame="fk4", equinox=f"B{equinox}").frame
    else:
        frame = FK5(equinox=f"J{equinox}")
    position = vectors(np.array([longitude]), np.array([latitude]))
    return degrees(to_icrs(position, frame)[0])
