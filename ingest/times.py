"""When an exposure began and ended.

Times are Modified Julian Dates in UTC (days); exposures are seconds.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from datetime import date

from astropy.time import Time

from ingest.keywords import Keywords, sexagesimal

SECONDS_PER_DAY = 86_400.0
MJD_OF_JD = 2_400_000.5
_UNIX_EPOCH_MJD = 40_587.0
_ORDINAL_OF_MJD_0 = date(1858, 11, 17).toordinal()
_EARLIEST_MJD = 0.0  # 1858: before it nobody photographed the sky
_TOLERATED_SECONDS = 60.0  # between two keywords for the start
_ISO = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?)?\s*(Z|UTC?|[+-]\d{2}:?\d{2})?$"
)
_OLD = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2})$")  # FITS before 1999: DD/MM/YY, the century is the 20th
_MIDAS_NO_DATE = "01/01/00"
_UTC_NAMES = ("UTC", "UT", "UT1", "GMT", "Z")
_ATOMIC_SCALES = {"TAI": "tai", "TT": "tt", "TDT": "tt", "ET": "tt", "TDB": "tdb", "TCB": "tcb", "TCG": "tcg"}
_HJD = ("HJD", "HJD-OBS", "JD-HELIO", "JD_HELIO")
_BJD = ("BJD", "BJD-OBS", "BJD_TDB", "BJD-TDB")
_TIME_OF_DAY = ("UT", "UTC", "TIME-OBS", "UTSTART", "UT-START")


@dataclass(frozen=True, slots=True)
class Times:
    """The time axis of an exposure.

    Attributes:
        t_min, t_max: start and end [d, MJD UTC].
        t_exptime: exposure [s].
        hjd, bjd: heliocentric and barycentric Julian dates as the header gives them [d].
    """

    t_min: float | None
    t_max: float | None
    t_exptime: float | None
    hjd: float | None
    bjd: float | None


def times(keywords: Keywords) -> Times:
    """Work out the times of an exposure from its headers; unknown is None."""
    exposure = _exposure(keywords)
    hjd = keywords.number(*_HJD, low=2_300_000, high=2_600_000)
    bjd = keywords.number(*_BJD, low=2_300_000, high=2_600_000)
    whole_day = False
    start = _start(keywords)
    if start is None and (day := _day(keywords)) is not None:
        start, whole_day = day, True
        keywords.doubt("DATE-OBS", "Has no time of day, and no other keyword has: the whole day is taken.")
    if start is None:
        start = _from_corrected(keywords, hjd, bjd, exposure or 0.0)
    elif not whole_day:
        _compare_with_mjd(keywords, start)
    if start is None or not _is_plausible(keywords, start):
        return Times(None, None, exposure, hjd, bjd)
    end = start + 1.0 if whole_day else _end(keywords, start, exposure or 0.0)
    return Times(start, end, exposure, hjd, bjd)


def mjd(text: str) -> tuple[float, bool] | None:
    """Return (MJD, whether it has a time of day) of an ISO 8601 or DD/MM/YY date, or None."""
    if match := _ISO.match(text):
        day = _mjd_of_day(int(match[1]), int(match[2]), int(match[3]))
        seconds = int(match[4] or 0) * 3600 + int(match[5] or 0) * 60 + float(match[6] or 0)
        if day is None or seconds >= SECONDS_PER_DAY + 1:
            return None
        return day + (seconds - _offset(match[7])) / SECONDS_PER_DAY, match[4] is not None
    if match := _OLD.match(text):
        day = _mjd_of_day(1900 + int(match[3]), int(match[2]), int(match[1]))
        return None if day is None else (day, False)
    return None


def _exposure(keywords: Keywords) -> float | None:
    value, keyword = keywords.number_from(("EXPTIME", "EXPOSURE", "EXPOSUR"), low=0.0, high=1e8)
    if value is None:
        return None
    comment = keywords.comment(keyword).lower()
    if "minute" in comment:
        return value * 60.0
    return value / 1000.0 if "millisec" in comment or "[ms]" in comment else value


def _start(keywords: Keywords) -> float | None:
    """Return the start, from the first keyword that knows it to better than a day."""
    candidates = (
        lambda: _number_mjd(keywords, "MJD"),
        lambda: _date_and_time(keywords),
        lambda: _fractional_mjd(keywords),
        lambda: _date_with_time_apart(keywords),
        lambda: _julian_date(keywords),
    )
    return next((start for candidate in candidates if (start := candidate()) is not None), None)


def _number_mjd(keywords: Keywords, keyword: str) -> float | None:
    value = keywords.number(keyword, low=_EARLIEST_MJD, high=200_000)
    return None if value is None else _to_utc(keywords, keyword, value)


def _fractional_mjd(keywords: Keywords) -> float | None:
    """MJD-OBS, unless it is a date only: some programs round it down."""
    value = _number_mjd(keywords, "MJD-OBS")
    return value if value is not None and value % 1 else None


def _compare_with_mjd(keywords: Keywords, start: float) -> None:
    other = _fractional_mjd(keywords)
    if other is not None and abs(other - start) * SECONDS_PER_DAY > _TOLERATED_SECONDS:
        apart = abs(other - start) * SECONDS_PER_DAY
        keywords.doubt("MJD-OBS", f"Is {apart:.0f} s from the start that was taken, MJD {start:.5f}.")


def _julian_date(keywords: Keywords) -> float | None:
    value = keywords.number("JD", low=MJD_OF_JD, high=2_600_000)
    return None if value is None else _to_utc(keywords, "JD", value - MJD_OF_JD)


def _date(keywords: Keywords, keyword: str) -> tuple[float, bool] | None:
    text = keywords.text(keyword)
    if text is None or _is_midas_default(keywords, keyword, text):
        return None
    found = mjd(text)
    if found is None:
        keywords.doubt(keyword, f"{text!r} is not a date.")
    return found


def _is_midas_default(keywords: Keywords, keyword: str, text: str) -> bool:
    return text == _MIDAS_NO_DATE and keywords.comment(keyword).startswith("MIDAS desc.")


def _date_and_time(keywords: Keywords) -> float | None:
    found = _date(keywords, "DATE-OBS")
    return _to_utc(keywords, "DATE-OBS", found[0]) if found and found[1] else None


def _date_with_time_apart(keywords: Keywords) -> float | None:
    found = _date(keywords, "DATE-OBS")
    seconds = _time_of_day(keywords)
    if found is None or seconds is None:
        return None
    return _to_utc(keywords, "DATE-OBS", found[0] + seconds / SECONDS_PER_DAY)


def _day(keywords: Keywords) -> float | None:
    """Return the date that DATE-OBS gives, where it gives no time of day."""
    found = _date(keywords, "DATE-OBS")
    return _to_utc(keywords, "DATE-OBS", found[0]) if found and not found[1] else None


def _time_of_day(keywords: Keywords) -> float | None:
    """Return seconds since midnight from a keyword of its own, as 'hh:mm:ss'."""
    for keyword in _TIME_OF_DAY:
        text = keywords.value(keyword)
        if isinstance(text, str):
            hours = sexagesimal(text) if ":" in text or " " in text else None
            if hours is not None and 0 <= hours < 24:
                return hours * 3600.0
            keywords.doubt(keyword, f"{text!r} is not a time of day as hh:mm:ss.")
    return None


def _end(keywords: Keywords, start: float, exposure: float) -> float:
    """The end: after the exposure, or at DATE-END, if later (as for the stack of a night)."""
    end = start + exposure / SECONDS_PER_DAY
    found = _date(keywords, "DATE-END")
    if found is None or not found[1]:
        return end
    stated = _to_utc(keywords, "DATE-END", found[0])
    return end if stated is None else max(end, stated)


def _from_corrected(
    keywords: Keywords, hjd: float | None, bjd: float | None, exposure: float
) -> float | None:
    """Return a start from a date for the Sun or the barycentre: at mid-exposure, up to 8.4 minutes off."""
    corrected = hjd if hjd is not None else bjd
    if corrected is None:
        return None
    keywords.doubt("HJD" if hjd is not None else "BJD", "The only time: the start is right to 8.4 minutes.")
    return corrected - MJD_OF_JD - exposure / 2 / SECONDS_PER_DAY


def _to_utc(keywords: Keywords, keyword: str, value: float) -> float | None:
    """Return a date of the header's time scale (TIMESYS) in UTC; None for a scale that is not known."""
    scale = (keywords.text("TIMESYS") or "UTC").upper()
    if "local" in keywords.comment(keyword).lower():
        keywords.doubt(keyword, "Is local time by its comment, of an unknown zone: not used.")
        return None
    if scale in _UTC_NAMES:
        return value
    if scale not in _ATOMIC_SCALES:
        keywords.doubt("TIMESYS", f"{scale!r} is no time scale of FITS: the times are not used.")
        return None
    return float(Time(value, format="mjd", scale=_ATOMIC_SCALES[scale]).utc.mjd)


def _is_plausible(keywords: Keywords, start: float) -> bool:
    tomorrow = _UNIX_EPOCH_MJD + time.time() / SECONDS_PER_DAY + 1
    if _EARLIEST_MJD < start < tomorrow:
        return True
    keywords.doubt("DATE-OBS", f"The exposure would begin at MJD {start:.5f}, which cannot be: not used.")
    return False


def _mjd_of_day(year: int, month: int, day: int) -> float | None:
    try:
        return float(date(year, month, day).toordinal() - _ORDINAL_OF_MJD_0)
    except ValueError:
        return None


def _offset(zone: str | None) -> float:
    """Return what a zone is ahead of UTC in seconds."""
    if not zone or zone[0] not in "+-":
        return 0.0
    seconds = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return math.copysign(seconds, -1 if zone[0] == "-" else 1)
