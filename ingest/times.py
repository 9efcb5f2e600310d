"""When an exposure began and ended.

Times are Modified Julian Dates in UTC (days); exposures are seconds. Dates for the Sun and for the barycentre
are Julian dates of the middle of an exposure.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from ingest.daylight import from_local_time
from ingest.keywords import Keywords, sexagesimal
from ost_vo.vo import lighttime
from ost_vo.vo.lighttime import Site

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
_LOCAL_NAMES = ("LOCAL", "LT", "LOC")
# The observatory's clocks, by the names that stand for one difference from UTC whatever the season [h].
_ZONES = {"CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2}
_ATOMIC_SCALES = {"TAI": "tai", "TT": "tt", "TDT": "tt", "ET": "tt", "TDB": "tdb", "TCB": "tcb", "TCG": "tcg"}
_SCALE = re.compile(r"[A-Z0-9]+")
_HJD = ("HJD", "HJD-OBS", "JD-HELIO", "JD_HELIO", "HJD_UTC")
_BJD = ("BJD", "BJD-OBS", "BJD_TDB", "BJD-TDB")
_TIME_OF_DAY = ("UT", "UTC", "TIME-OBS", "UTSTART", "UT-START")
_LOCAL_DATES = ("DATE-LOC", "DATE-LT", "DATELOC", "LOCDATE")
_LOCAL_TIMES_OF_DAY = ("TIME-LOC", "LOCTIME", "LOCALTIM", "TIMELOC", "LT", "LT-OBS", "ZT")
_EARLIEST_JD, _LATEST_JD = 2_300_000, 2_600_000
_AT_MIDDLE = re.compile(r"\bmid(dle|-?time|-?point|-?exp|\b)", re.IGNORECASE)
_SAYS_LOCAL = re.compile(r"\blocal\b|\bCES?T\b|\bMES?Z\b", re.IGNORECASE)
_SAYS_UTC = re.compile(r"\b(UTC?|GMT|universal)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Times:
    """The time axis of an exposure.

    Attributes:
        t_min, t_max: start and end [d, MJD UTC].
        t_exptime: exposure [s].
        hjd, bjd: heliocentric and barycentric Julian dates as the header gives them [d].
        rests_on: the one of these that is the only time there is, so that the start is right to 8.4 minutes.
        is_exact: whether the start is known as well as the header can say, and no guess from other dates.
    """

    t_min: float | None
    t_max: float | None
    t_exptime: float | None
    hjd: float | None
    bjd: float | None
    rests_on: Literal["HJD", "BJD"] | None = None
    is_exact: bool = False

    @property
    def middle(self) -> float | None:
        """The middle of the exposure [d, MJD UTC]."""
        return None if self.t_min is None or self.t_max is None else (self.t_min + self.t_max) / 2


def times(keywords: Keywords) -> Times:
    """Work out the times of an exposure from its headers; unknown is None."""
    exposure = _exposure(keywords)
    hjd = keywords.number(*_HJD, low=_EARLIEST_JD, high=_LATEST_JD)
    bjd = keywords.number(*_BJD, low=_EARLIEST_JD, high=_LATEST_JD)
    unknown = Times(None, None, exposure, hjd, bjd)
    start = _start(keywords, exposure or 0.0)
    if start is not None:
        if not _is_plausible(keywords, start):
            return unknown
        _compare_with_others(keywords, start, exposure or 0.0)
        end = _end(keywords, start, exposure or 0.0)
        return Times(start, end, exposure, hjd, bjd, is_exact=True)
    if (day := _day(keywords)) is not None and _is_plausible(keywords, day):
        keywords.doubt("DATE-OBS", "Has no time of day, and no other keyword has: the whole day is taken.")
        return Times(day, day + 1.0, exposure, hjd, bjd)
    corrected = hjd if hjd is not None else bjd
    if day is not None or corrected is None:
        return unknown
    start = corrected - MJD_OF_JD - (exposure or 0.0) / 2 / SECONDS_PER_DAY
    if not _is_plausible(keywords, start):
        return unknown
    end = start + (exposure or 0.0) / SECONDS_PER_DAY
    return Times(start, end, exposure, hjd, bjd, rests_on="HJD" if hjd is not None else "BJD")


def with_light_time(
    found: Times, keywords: Keywords, position: tuple[float, float] | None, site: Site
) -> dict[str, float | str | None]:
    """Return the columns of time, those for the Sun and the barycentre computed where the header has none.

    Args:
        found: the times by the header.
        keywords: the header, for remarks.
        position: of the field [deg, ICRS], None where unknown.
        site: of the telescope.
    """
    if found.rests_on:
        found = _as_observed(found, keywords, position, site)
    columns: dict[str, float | str | None] = {
        "t_min": found.t_min,
        "t_max": found.t_max,
        "hjd": found.hjd,
        "hjd_source": None if found.hjd is None else "header",
        "bjd": found.bjd,
        "bjd_source": None if found.bjd is None else "header",
    }
    if position is None or not found.is_exact or found.middle is None:
        return columns
    arrival = lighttime.arrival(found.middle, *position, site)
    if arrival is not None and found.hjd is None:
        columns |= {"hjd": arrival.hjd, "hjd_source": "computed"}
    if arrival is not None and found.bjd is None:
        columns |= {"bjd": arrival.bjd, "bjd_source": "computed"}
    return columns


def _as_observed(found: Times, keywords: Keywords, position: tuple[float, float] | None, site: Site) -> Times:
    """Return the times of an exposure that has but a date for the Sun or the barycentre."""
    at_sun = found.rests_on == "HJD"
    corrected = found.hjd if at_sun else found.bjd
    middle = None
    if position is not None and corrected is not None:
        middle = lighttime.observed(corrected, *position, site, at_sun=at_sun)
    if middle is None:
        keywords.doubt(str(found.rests_on), "The only time: the start is right to 8.4 minutes.")
        return found
    half = (found.t_exptime or 0.0) / 2 / SECONDS_PER_DAY
    return replace(found, t_min=middle - half, t_max=middle + half, is_exact=True)


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
    # Stacks of THELI have EXPTIME for their unit.
    total = ["TEXPTIME"] if "normalized" in keywords.comment("EXPTIME").lower() else []
    value, keyword = keywords.number_from([*total, "EXPTIME", "EXPOSURE", "EXPOSUR"], low=0.0, high=1e8)
    if value is None:
        return None
    comment = keywords.comment(keyword).lower()
    if "minute" in comment:
        return value * 60.0
    return value / 1000.0 if "millisec" in comment or "[ms]" in comment else value


def _start(keywords: Keywords, exposure: float) -> float | None:
    """Return the start, from the first keyword that knows it to better than a day."""
    candidates = (
        lambda: _number_mjd(keywords, "MJD", exposure),
        lambda: _date_and_time(keywords, "DATE-OBS"),
        lambda: _date_and_time(keywords, "DATE-BEG"),
        lambda: _fractional_mjd(keywords, exposure),
        lambda: _date_with_time_apart(keywords),
        lambda: _number_mjd(keywords, "MJD-BEG", exposure),
        lambda: _number_mjd(keywords, "MJDSTART", 0.0),
        lambda: _julian_date(keywords, exposure),
        lambda: _from_middle(keywords, exposure),
        lambda: _local_date_and_time(keywords),
    )
    return next((start for candidate in candidates if (start := candidate()) is not None), None)


def _number_mjd(keywords: Keywords, keyword: str, exposure: float) -> float | None:
    value = keywords.number(keyword, low=_EARLIEST_MJD, high=200_000)
    return None if value is None else _to_utc(keywords, keyword, value - _half(keywords, keyword, exposure))


def _half(keywords: Keywords, keyword: str, exposure: float) -> float:
    """Return half the exposure [d] for a date that is of its middle by its comment."""
    is_of_middle = _AT_MIDDLE.search(keywords.comment(keyword)) is not None
    return exposure / 2 / SECONDS_PER_DAY if is_of_middle else 0.0


def _fractional_mjd(keywords: Keywords, exposure: float) -> float | None:
    """MJD-OBS, unless it is a date only: some programs round it down."""
    stated = keywords.number("MJD-OBS", low=_EARLIEST_MJD, high=200_000)
    return _number_mjd(keywords, "MJD-OBS", exposure) if stated is not None and stated % 1 else None


def _compare_with_others(keywords: Keywords, start: float, exposure: float) -> None:
    """Note where MJD-OBS or the local time contradict the start that was taken."""
    other = _fractional_mjd(keywords, exposure)
    if other is not None and abs(other - start) * SECONDS_PER_DAY > _TOLERATED_SECONDS:
        apart = abs(other - start) * SECONDS_PER_DAY
        keywords.doubt("MJD-OBS", f"Is {apart:.0f} s from the start that was taken, MJD {start:.5f}.")
    local = _date(keywords, "DATE-LOC")
    is_used = any(remark.keyword == "DATE-LOC" for remark in keywords.remarks)
    if local is None or not local[1] or is_used or (moment := _moment(start)) is None:
        return
    ahead = (local[0] - start) * SECONDS_PER_DAY
    offset = moment.replace(tzinfo=UTC).astimezone(keywords.zone).utcoffset() or timedelta(0)
    if abs(ahead - offset.total_seconds()) > _TOLERATED_SECONDS:
        keywords.doubt(
            "DATE-LOC",
            f"Is {ahead / 3600:+.2f} h from the start that was taken; the observatory's clocks were "
            f"{offset.total_seconds() / 3600:+.2f} h from UTC: one of the two times is in another zone.",
        )


def _julian_date(keywords: Keywords, exposure: float) -> float | None:
    for keyword in ("JD", "JD-OBS", "JD_SOBS"):
        value = keywords.number(keyword, low=MJD_OF_JD, high=_LATEST_JD)
        if value is not None:
            return _to_utc(keywords, keyword, value - MJD_OF_JD - _half(keywords, keyword, exposure))
    return None


def _from_middle(keywords: Keywords, exposure: float) -> float | None:
    """Return the start from keywords that are of the middle by their names (FITS 4.0, section 9.5)."""
    half = exposure / 2 / SECONDS_PER_DAY
    found = _date(keywords, "DATE-AVG")
    if found and found[1]:
        return _to_utc(keywords, "DATE-AVG", found[0] - half)
    value = keywords.number("MJD-AVG", "MJD-MID", low=_EARLIEST_MJD, high=200_000)
    if value is not None:
        return _to_utc(keywords, "MJD-AVG", value - half)
    value = keywords.number("JD_UTC", low=MJD_OF_JD, high=_LATEST_JD)
    return None if value is None else value - MJD_OF_JD - half


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


def _date_and_time(keywords: Keywords, keyword: str) -> float | None:
    found = _date(keywords, keyword)
    return _to_utc(keywords, keyword, found[0]) if found and found[1] else None


def _date_with_time_apart(keywords: Keywords) -> float | None:
    found = _date(keywords, "DATE-OBS")
    seconds = _time_of_day(keywords, _TIME_OF_DAY)
    if found is None or seconds is None:
        return None
    return _to_utc(keywords, "DATE-OBS", found[0] + seconds / SECONDS_PER_DAY)


def _day(keywords: Keywords) -> float | None:
    """Return the date that DATE-OBS gives, where it gives no time of day."""
    found = _date(keywords, "DATE-OBS")
    return _to_utc(keywords, "DATE-OBS", found[0]) if found and not found[1] else None


def _time_of_day(keywords: Keywords, names: tuple[str, ...]) -> float | None:
    """Return seconds since midnight from a keyword of its own, as 'hh:mm:ss'."""
    for keyword in names:
        text = keywords.value(keyword)
        if isinstance(text, str):
            hours = sexagesimal(text) if ":" in text or " " in text else None
            if hours is not None and 0 <= hours < 24:
                return hours * 3600.0
            keywords.doubt(keyword, f"{text!r} is not a time of day as hh:mm:ss.")
    return None


def _end(keywords: Keywords, start: float, exposure: float) -> float:
    """The end: after the exposure, or at DATE-END or MJDEND, if later (as for the stack of a night)."""
    end = max(start + exposure / SECONDS_PER_DAY, _number_mjd(keywords, "MJDEND", 0.0) or 0.0)
    found = _date(keywords, "DATE-END")
    if found is None or not found[1]:
        return end
    stated = _to_utc(keywords, "DATE-END", found[0])
    return end if stated is None else max(end, stated)


def _local_date_and_time(keywords: Keywords) -> float | None:
    """Return the start from a keyword that is in local time by its name, alone or beside a date."""
    for keyword in _LOCAL_DATES:
        found = _date(keywords, keyword)
        if found and found[1]:
            return _from_local(keywords, keyword, found[0], "by its name")
    seconds = _time_of_day(keywords, _LOCAL_TIMES_OF_DAY)
    found = next((f for k in ("DATE-OBS", *_LOCAL_DATES) if (f := _date(keywords, k))), None)
    if found is None or seconds is None:
        return None
    return _from_local(keywords, "DATE-OBS", found[0] + seconds / SECONDS_PER_DAY, "by the time beside it")


def _from_local(keywords: Keywords, keyword: str, local: float, why: str) -> float | None:
    """Return a date of the observatory's clocks in UTC, with a remark."""
    moment = _moment(local)
    if moment is None:
        return None
    found, remark = from_local_time(moment, keywords.zone, keyword)
    keywords.doubt(keyword, f"Is local time {why}: taken as that of {keywords.zone.key}.")
    if remark is not None:
        keywords.doubt(*remark)
    # The difference, so that the fractions of the date stay as they are.
    return local + (found - moment).total_seconds() / SECONDS_PER_DAY


def _moment(mjd_: float) -> datetime | None:
    try:
        return datetime(1858, 11, 17) + timedelta(days=mjd_)
    except OverflowError:
        return None


def _to_utc(keywords: Keywords, keyword: str, value: float) -> float | None:
    """Return a date of the header's time scale (TIMESYS) in UTC; None for a scale that is not known."""
    comment = keywords.comment(keyword)
    if _SAYS_LOCAL.search(comment) and not _SAYS_UTC.search(comment):
        return _from_local(keywords, keyword, value, "by its comment")
    # FITS 4.0, section 9.2.1: a realisation may follow, as in "TT(TAI)".
    stated = (keywords.text("TIMESYS") or "UTC").upper()
    match = _SCALE.match(stated)
    scale = match[0] if match else stated
    if scale in _UTC_NAMES:
        return value
    if scale in _LOCAL_NAMES:
        return _from_local(keywords, keyword, value, "by TIMESYS")
    if scale in _ZONES:
        return value - _ZONES[scale] / 24
    if scale not in _ATOMIC_SCALES:
        keywords.doubt("TIMESYS", f"{stated!r} is no time scale of FITS: the times are not used.")
        return None
    # Imported here: it takes a second, and few headers need it.
    from astropy.time import Time

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
