"""Start, end and exposure from every keyword that gives a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.time import Time

from tests.ingest.frames import Cards, described, write_frame

DATE = "2021-03-02T20:19:00.455"
MIDAS = "MIDAS desc.: O_TIME(1)"

STARTS: list[tuple[Cards, str | None]] = [
    ({"DATE-OBS": DATE}, DATE),
    ({"DATE-OBS": DATE + "Z"}, DATE),
    ({"DATE-OBS": "2019-04-29T20:25:29.8219583"}, "2019-04-29T20:25:29.8219583"),
    ({"DATE-OBS": "2021-03-02 20:19:00"}, "2021-03-02T20:19:00"),
    ({"DATE-OBS": "2021-03-02T21:19:00+01:00"}, "2021-03-02T20:19:00"),
    ({"DATE-OBS": "2021-03-02", "UT": "20:19:00"}, "2021-03-02T20:19:00"),
    ({"DATE-OBS": "2021-03-02", "TIME-OBS": "20:19:00.5"}, "2021-03-02T20:19:00.5"),
    ({"DATE-OBS": "11/03/76", "UT": "17:38:00.00"}, "1976-03-11T17:38:00"),
    ({"DATE-OBS": "29/11/51", "UT": "04:25:00.00"}, "1951-11-29T04:25:00"),
    ({"DATE-OBS": "2013-07-13", "UT": "00:57:33", "MJD-OBS": 56486.0}, "2013-07-13T00:57:33"),
    ({"DATE-OBS": "2001-11-11", "UT": "05:11:25.000", "MJD-OBS": 52224.25}, "2001-11-11T06:00:00"),
    ({"MJD": 59275.25}, "2021-03-02T06:00:00"),
    ({"MJD-OBS": 59275.25}, "2021-03-02T06:00:00"),
    ({"JD": 2459275.75}, "2021-03-02T06:00:00"),
    ({"DATE-OBS": DATE, "JD": 2451545.0, "HJD": 2451545.0}, DATE),
    ({"DATE-OBS": "2021-03-02T20:19:00", "TIMESYS": "TAI"}, "2021-03-02T20:18:23"),
    ({"DATE-OBS": "2021-03-02T20:19:00", "TIMESYS": "UTC"}, "2021-03-02T20:19:00"),
    ({"DATE-OBS": "2021-03-02T20:19:00", "TIMESYS": "MARS"}, None),
    ({"DATE-OBS": ("2021-03-02T20:19:00", "local time of the camera")}, None),
    ({"DATE-OBS": "nn/nn/nn"}, None),
    ({"DATE-OBS": "2021-02-30T00:00:00"}, None),
    ({"DATE-OBS": "2921-03-02T20:19:00"}, None),
    ({"DATE-OBS": ("01/01/00", MIDAS)}, None),
    ({}, None),
]


@pytest.mark.parametrize(("cards", "start"), STARTS)
def test_start_and_end(tmp_path: Path, cards: Cards, start: str | None) -> None:
    metadata, remarks = described(write_frame(tmp_path / "a.fits", cards | {"EXPTIME": 86.4}))
    assert metadata.t_exptime == 86.4
    if start is None:
        assert (metadata.t_min, metadata.t_max) == (None, None)
        assert remarks or "TIMESYS" not in cards
    else:
        expected = Time(start, scale="tai").mjd  # of the calendar alone: no leap seconds
        assert metadata.t_min == pytest.approx(expected, abs=1e-9)
        assert metadata.t_max == pytest.approx(expected + 0.001, abs=1e-9)


def test_date_without_time_covers_the_day(tmp_path: Path) -> None:
    metadata, remarks = described(write_frame(tmp_path / "a.fits", {"DATE-OBS": "2021-03-02"}))
    assert (metadata.t_min, metadata.t_max) == (59275.0, 59276.0)
    assert [remark.keyword for remark in remarks] == ["DATE-OBS"]


def test_heliocentric_date_is_kept_apart_and_used_last(tmp_path: Path) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", {"HJD": 2459275.75, "EXPTIME": 172.8}))
    assert metadata.hjd == 2459275.75
    assert metadata.t_min == pytest.approx(59275.25 - 0.001)
    metadata, _ = described(write_frame(tmp_path / "a.fits", {"BJD": 2459275.75, "DATE-OBS": DATE}))
    assert metadata.bjd == 2459275.75
    assert metadata.t_min == pytest.approx(Time(DATE).mjd)


def test_end_of_a_stack(tmp_path: Path) -> None:
    cards = {"DATE-OBS": "2021-03-02T00:00:00", "EXPTIME": 10.0, "DATE-END": "2021-03-02T12:00:00"}
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards))
    assert (metadata.t_min, metadata.t_max, metadata.t_exptime) == (59275.0, 59275.5, 10.0)


def test_two_starts_that_disagree_are_reported(tmp_path: Path) -> None:
    cards = {"DATE-OBS": "2001-01-20T04:24:40", "MJD-OBS": 51929.2319212952}
    _, remarks = described(write_frame(tmp_path / "a.fits", cards))
    assert [(r.keyword, r.reason[:9]) for r in remarks] == [("MJD-OBS", "Is 4158 s")]
