"""How pages write numbers: times, sizes, durations and places."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_UNITS = ("B", "kB", "MB", "GB", "TB")
NOTHING = "–"


def now() -> float:
    """Return the time [MJD, UTC]."""
    return (datetime.now(UTC) - _MJD_EPOCH) / timedelta(days=1)


def moment(mjd: float | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time [MJD, UTC] as a date and a time of day."""
    if mjd is None:
        return NOTHING
    return (_MJD_EPOCH + timedelta(days=mjd) + timedelta(milliseconds=1)).strftime(form)


def count(value: int) -> str:
    """Return a number of things, with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


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
    return (
        f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:,.1f} h".replace(",", "\N{NARROW NO-BREAK SPACE}")
    )


def right_ascension(degrees: float | None) -> str:
    """Return a right ascension [deg] in hours."""
    if degrees is None:
        return NOTHING
    tenths = round(degrees % 360 * 2400) % (24 * 36_000)
    minutes, seconds = divmod(tenths, 600)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds / 10:04.1f}"


def declination(degrees: float | None) -> str:
    """Return a declination [deg] in degrees, minutes and seconds."""
    if degrees is None:
        return NOTHING
    minutes, seconds = divmod(round(abs(degrees) * 3600), 60)
    return f"{'-' if degrees < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def plain(value: Any) -> str:
    """Return any value of a table."""
    if value is None or value == "":
        return NOTHING
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def python(text: str) -> str:
    """Return a text as a literal of Python, over several lines where it has them."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{escaped}"""' if "\n" in text else f'"{escaped}"'


FILTERS: dict[str, Callable[..., str]] = {
    "moment": moment,
    "count": count,
    "size": size,
    "duration": duration,
    "ra": right_ascension,
    "dec": declination,
    "plain": plain,
    "python": python,
}
