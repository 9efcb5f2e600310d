"""How pages write numbers: times, sizes, durations and places."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from astropy import units
from astropy.coordinates import Angle

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_UNITS = ("B", "kB", "MB", "GB", "TB")
NOTHING = "–"


def moment(mjd: float | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time [MJD, UTC] as a date and a time of day."""
    if mjd is None:
        return NOTHING
    return (_MJD_EPOCH + timedelta(days=mjd) + timedelta(milliseconds=1)).strftime(form)


def size(value: int | None) -> str:
    """Return a number of bytes in units of 1000."""
    if value is None:
        return NOTHING
    number = float(value)
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError(value)


def duration(seconds: float | None) -> str:
    """Return a time in seconds, minutes or hours."""
    if seconds is None:
        return NOTHING
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def right_ascension(degrees: float | None) -> str:
    """Return a right ascension [deg] in hours."""
    if degrees is None:
        return NOTHING
    return str(Angle(degrees, units.deg).to_string(units.hourangle, sep=":", precision=1, pad=True))


def declination(degrees: float | None) -> str:
    """Return a declination [deg] in degrees, minutes and seconds."""
    if degrees is None:
        return NOTHING
    return str(
        Angle(degrees, units.deg).to_string(units.deg, sep=":", precision=0, pad=True, alwayssign=True)
    )


def plain(value: Any) -> str:
    """Return any value of a table."""
    if value is None or value == "":
        return NOTHING
    return f"{value:.10g}" if isinstance(value, float) else str(value)


FILTERS: dict[str, Callable[..., str]] = {
    "moment": moment,
    "size": size,
    "duration": duration,
    "ra": right_ascension,
    "dec": declination,
    "plain": plain,
}
