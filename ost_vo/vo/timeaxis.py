"""Which planes along the time axis of a cube a selection meets.

Source: FITS 4.0 sections 9.2.1 (time scales), 9.2.2 (reference time), 9.2.3 (time axes), 9.3 (units).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.time import Time

from ost_vo.vo.channels import Values, planes, world
from ost_vo.vo.intervals import Interval
from ost_vo.vo.wcscards import text_of, value_of

# Those between which the times of leap seconds and constants alone lie.
_SCALES = ("UTC", "TAI", "TT", "TDB", "TCB", "TCG", "TDT", "ET", "IAT")
_SAME = {"TDT": "tt", "ET": "tt", "IAT": "tai"}
_JD_OF_MJD = 2400000.5


def time_axis(header: fits.Header, shape: Sequence[int]) -> int | None:
    """Return the number of the time axis of an image with axes of such lengths.

    None without one, or where it is not known when its times are.
    """
    numbers = (n for n in range(1, len(shape) + 1) if _scale(header, n) is not None)
    return next(numbers, None) if _reference(header) is not None else None


def in_time(header: fits.Header, shape: Sequence[int], axis: int, time: Interval) -> tuple[int, int] | None:
    """Return the planes that overlap a time: the first and the end (exclusive), None without any.

    Args:
        header: of the image.
        shape: lengths of its axes, NAXIS1 first.
        axis: number of that of time.
        time: MJD in UTC.

    Raises:
        WcsError, ValueError, KeyError, TypeError: the axis cannot be given in times.
    """
    edges: Values = np.arange(shape[axis - 1] + 1, dtype=float) - 0.5
    unit = units.Unit(text_of(header, f"CUNIT{axis}") or "s")
    days = float(unit.to(units.day)) * world(header, shape, axis, edges)
    reference, scale = _reference(header) or 0.0, _scale(header, axis) or "utc"
    # In two parts, so that seconds are not rounded beside a century.
    found = np.asarray(Time(reference, days, format="mjd", scale=scale).utc.mjd)
    low, high = np.minimum(found[:-1], found[1:]), np.maximum(found[:-1], found[1:])
    return planes((low <= time.upper) & (high >= time.lower))


def _scale(header: fits.Header, number: int) -> str | None:
    """Return the time scale of an axis as astropy has it; None for an axis of something else."""
    name = text_of(header, f"CTYPE{number}").upper()
    if name == "TIME":
        name = text_of(header, "TIMESYS").upper() or "UTC"
    return _SAME.get(name, name.lower()) if name in _SCALES else None


def _reference(header: fits.Header) -> float | None:
    """Return from when on times count [MJD], None where the header does not tell."""
    for prefix, offset in (("MJDREF", 0.0), ("JDREF", -_JD_OF_MJD)):
        whole, day, part = (value_of(header, f"{prefix}{suffix}") for suffix in ("", "I", "F"))
        if isinstance(day, int | float):
            return day + (part if isinstance(part, int | float) else 0.0) + offset
        if isinstance(whole, int | float):
            return whole + offset
    date = text_of(header, "DATEREF")
    return float(Time(date, format="fits", scale="utc").mjd) if date else None
