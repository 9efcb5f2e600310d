"""Clocks that show the observatory's time, which changes twice a year, as cameras do that know no UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ingest.headers import Remark


def from_local_time(local: datetime, zone: ZoneInfo, keyword: str) -> tuple[datetime, Remark | None]:
    """Return a time of clocks of a zone in UTC, and a remark where it is not one certain time.

    In the hour that comes twice in autumn it is the first, of summer time; in the hour that spring leaves out
    the clock is taken to have stayed at winter time.

    Args:
        local: without a zone.
        zone: that it is taken to be of.
        keyword: where it stands, for the remark.

    Returns:
        The time in UTC, without a zone.
    """
    first, second = (_offset(local, zone, fold) for fold in (0, 1))
    if first > second:
        reason = (
            f"{local} was twice that night, as summer time ended: the first is taken, 1 h may be missing."
        )
    elif first < second:
        reason = f"{local} was left out that night, as summer time began: winter time is taken."
    else:
        return local - first, None
    return local - first, Remark(keyword, reason)


def _offset(local: datetime, zone: ZoneInfo, fold: int) -> timedelta:
    """Return what a zone's clocks are ahead of UTC; nothing at the ends of the calendar."""
    try:
        offset = local.replace(tzinfo=zone, fold=fold).utcoffset()
        (local - (offset or timedelta(0))).replace(tzinfo=UTC)
    except OverflowError:
        return timedelta(0)
    return offset or timedelta(0)
