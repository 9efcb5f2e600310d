"""Start, end and exposure from every keyword that gives a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy import units
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from ingest.load import ingest
from ost_vo.settings import Settings
from tests.ingest.frames import Cards, described, rows, write_frame
from tests.ingest.photographs import SHOT, jpeg

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
    ({"DATE-OBS": "2021-03-02T20:19:00", "TIMESYS": "TT(TAI)"}, "2021-03-02T20:17:50.816"),
    ({"DATE-OBS": "2021-03-02T20:19:00", "TIMESYS": "TAI"}, "2021-03-02T20:18:23"),
    ({"DATE-OBS": "2021-03-02T20:19:00", "TIMESYS": "UTC"}, "2021-03-02T20:19:00"),
    ({"DATE-OBS": "2021-03-02T20:19:00", "TIMESYS": "MARS"}, None),
    ({"DATE-OBS": ("2021-03-02T20:19:00", "local time of the camera")}, "2021-03-02T19:19:00"),
    ({"DATE-OBS": ("2021-03-02T20:19:00", "UTC, not local")}, "2021-03-02T20:19:00"),
    ({"DATE-OBS": "2021-07-02T20:19:00", "TIMESYS": "LOCAL"}, "2021-07-02T18:19:00"),
    ({"DATE-OBS": "2021-07-02T20:19:00", "TIMESYS": "CET"}, "2021-07-02T19:19:00"),
    ({"DATE-OBS": "2021-07-02T20:19:00", "TIMESYS": "UTC(NTP)"}, "2021-07-02T20:19:00"),
    ({"DATE-BEG": "2021-03-02T20:19:00"}, "2021-03-02T20:19:00"),
    ({"MJD-BEG": 59275.25}, "2021-03-02T06:00:00"),
    ({"DATE-AVG": "2021-03-02T06:00:43.2"}, "2021-03-02T06:00:00"),
    ({"MJD-AVG": 59275.2505}, "2021-03-02T06:00:00"),
    ({"JD_UTC": 2459275.7505}, "2021-03-02T06:00:00"),
    ({"JD": (2459275.7505, "Julian Date of midtime of observation")}, "2021-03-02T06:00:00"),
    ({"MJD-OBS": (59275.2505, "MJD of mid-exposure")}, "2021-03-02T06:00:00"),
    ({"DATE-LOC": "2021-03-02T21:19:00.455"}, DATE),
    ({"DATE-OBS": DATE, "DATE-LOC": "2021-03-02T21:19:00.455"}, DATE),
    ({"DATE-OBS": "2021-03-02", "TIME-LOC": "21:19:00"}, "2021-03-02T20:19:00"),
    ({"DATE-OBS": "2021-03-02", "LOCTIME": "21:19:00"}, "2021-03-02T20:19:00"),
    ({"DATE-OBS": "2021-03-02", "UT": "20:19:00", "LT": "21:19:00"}, "2021-03-02T20:19:00"),
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
    metadata, remarks = described(write_frame(tmp_path / "a.fits", {"HJD": 2459275.75, "EXPTIME": 172.8}))
    assert (metadata.hjd, metadata.hjd_source, metadata.bjd) == (2459275.75, "header", None)
    assert metadata.t_min == pytest.approx(59275.25 - 0.001)
    assert ("HJD", "The only time: the start is right to 8.4 minutes.") in remarks
    metadata, _ = described(write_frame(tmp_path / "a.fits", {"BJD": 2459275.75, "DATE-OBS": DATE}))
    assert (metadata.bjd, metadata.bjd_source) == (2459275.75, "header")
    assert metadata.t_min == pytest.approx(Time(DATE).mjd)


@pytest.mark.parametrize(
    ("date", "utc", "reason"),
    [
        ("2021-03-28T01:30:00", "2021-03-28T00:30:00", None),
        ("2021-03-28T02:30:00", "2021-03-28T01:30:00", "was left out that night"),
        ("2021-03-28T03:30:00", "2021-03-28T01:30:00", None),
        ("2021-10-31T01:30:00", "2021-10-30T23:30:00", None),
        ("2021-10-31T02:30:00", "2021-10-31T00:30:00", "was twice that night"),
        ("2021-10-31T03:30:00", "2021-10-31T02:30:00", None),
    ],
)
def test_local_time_as_the_clocks_change(tmp_path: Path, date: str, utc: str, reason: str | None) -> None:
    metadata, remarks = described(write_frame(tmp_path / "a.fits", {"DATE-LOC": date}))
    assert metadata.t_min == pytest.approx(Time(utc).mjd, abs=1e-9)
    assert remarks[0] == ("DATE-LOC", "Is local time by its name: taken as that of Europe/Berlin.")
    assert [reason in r.reason for r in remarks[1:] if reason] == ([True] if reason else [])


@pytest.mark.parametrize(
    ("local", "ahead"),
    [
        ("2021-03-02T21:19:00", None),
        ("2021-03-02T20:19:00", "+0.00 h"),
        ("2021-03-02T22:19:00", "+2.00 h"),
        ("2021-03-02T19:19:00", "-1.00 h"),
    ],
)
def test_local_time_and_utc_are_held_against_each_other(
    tmp_path: Path, local: str, ahead: str | None
) -> None:
    cards = {"DATE-OBS": "2021-03-02T20:19:00", "DATE-LOC": local}
    metadata, remarks = described(write_frame(tmp_path / "a.fits", cards))
    assert metadata.t_min == pytest.approx(Time(cards["DATE-OBS"]).mjd, abs=1e-9)
    assert [(r.keyword, ahead in r.reason) for r in remarks if ahead] == (
        [("DATE-LOC", True)] if ahead else []
    )
    assert bool(remarks) == (ahead is not None)


LIGHT = {"IMAGETYP": "Light", "OBJCTRA": "10 20 30", "OBJCTDEC": "+41 16 09", "EXPTIME": 600.0}
ELSEWHERE = {"SITELAT": "-29 15 39", "SITELONG": "-70 43 54", "SITEELEV": 2400.0}


def reference(middle: Time, site: EarthLocation) -> tuple[float, float]:
    """Return the dates that astropy computes, heliocentric in UTC and barycentric in TDB [d]."""
    star = SkyCoord(155.125 * units.deg, (41 + 16 / 60 + 9 / 3600) * units.deg)
    # The Earth's rotation is not needed to better than the tables that come with astropy have it.
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
        at_sun = middle.light_travel_time(star, "heliocentric", site, ephemeris="builtin")
        at_barycentre = middle.light_travel_time(star, "barycentric", site, ephemeris="builtin")
    return (middle + at_sun).jd, (middle.tdb + at_barycentre).jd


@pytest.mark.parametrize("site", [{}, ELSEWHERE], ids=["observatory", "header"])
@pytest.mark.parametrize("date", ["1994-01-15T03:00:00", "2021-03-02T20:19:00.455", "2025-12-31T23:59:00"])
def test_dates_at_the_sun_and_the_barycentre_are_those_of_astropy(
    tmp_path: Path, date: str, site: Cards
) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", LIGHT | site | {"DATE-OBS": date}))
    place = (-70.731667, -29.260833, 2400.0) if site else (12.973185, 52.409184, 39.0)
    location = EarthLocation(lon=place[0], lat=place[1], height=place[2])
    hjd, bjd = reference(Time(date) + 300 * units.s, location)
    assert (metadata.hjd_source, metadata.bjd_source) == ("computed", "computed")
    assert metadata.hjd == pytest.approx(hjd, rel=0, abs=0.2e-3 / 86_400)
    assert metadata.bjd == pytest.approx(bjd, rel=0, abs=0.2e-3 / 86_400)


def test_header_s_dates_win_and_the_others_are_computed(tmp_path: Path) -> None:
    cards = LIGHT | {"DATE-OBS": DATE, "HJD": 2459276.3}
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards))
    assert (metadata.hjd, metadata.hjd_source, metadata.bjd_source) == (2459276.3, "header", "computed")


@pytest.mark.parametrize(("keyword", "index"), [("HJD", 0), ("BJD", 1)])
def test_corrected_date_alone_gives_the_start_where_the_position_is_known(
    tmp_path: Path, keyword: str, index: int
) -> None:
    site = EarthLocation(lon=12.973185, lat=52.409184, height=39.0)
    dates = reference(Time(DATE) + 300 * units.s, site)
    metadata, remarks = described(write_frame(tmp_path / "a.fits", LIGHT | {keyword: dates[index]}))
    assert metadata.t_min == pytest.approx(Time(DATE).mjd, rel=0, abs=0.2e-3 / 86_400)
    assert (metadata.hjd, metadata.bjd) == pytest.approx(dates, rel=0, abs=0.2e-3 / 86_400)
    assert remarks == []


@pytest.mark.parametrize(
    "cards",
    [
        {"DATE-OBS": "2021-03-02"},
        {"DATE-OBS": "1950-03-02T00:00:00"},
        {"DATE-OBS": DATE, "OBJCTRA": ""},
        {"DATE-OBS": DATE, "IMAGETYP": "Dark"},
        {},
    ],
    ids=["day", "before-utc", "no-position", "dark", "no-time"],
)
def test_no_dates_are_made_up(tmp_path: Path, cards: Cards) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", LIGHT | cards))
    assert (metadata.hjd, metadata.hjd_source, metadata.bjd, metadata.bjd_source) == (None,) * 4


def test_end_of_a_stack(tmp_path: Path) -> None:
    cards = {"DATE-OBS": "2021-03-02T00:00:00", "EXPTIME": 10.0, "DATE-END": "2021-03-02T12:00:00"}
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards))
    assert (metadata.t_min, metadata.t_max, metadata.t_exptime) == (59275.0, 59275.5, 10.0)


def test_stack_of_theli(tmp_path: Path) -> None:
    cards = {
        "EXPTIME": (1.0, "Exposure time is normalized to 1s"),
        "TEXPTIME": (1800.0, "Total exposure time [s]"),
        "MJDSTART": (59275.0, "Begin of the first observation (MJD-OBS)"),
        "MJDMED": 59275.2,
        "MJDEND": (59275.5, "End of the last observation (MJD-OBS + EXPTIME)"),
        "THELIPRO": 1,
    }
    metadata, remarks = described(write_frame(tmp_path / "coadd.fits", cards))
    assert (metadata.t_min, metadata.t_max, metadata.t_exptime) == (59275.0, 59275.5, 1800.0)
    assert (metadata.calib_level, remarks) == (2, [])


def test_two_starts_that_disagree_are_reported(tmp_path: Path) -> None:
    cards = {"DATE-OBS": "2001-01-20T04:24:40", "MJD-OBS": 51929.2319212952}
    _, remarks = described(write_frame(tmp_path / "a.fits", cards))
    assert [(r.keyword, r.reason[:9]) for r in remarks] == [("MJD-OBS", "Is 4158 s")]


def test_clocks_are_those_of_the_observatory(settings: Settings) -> None:
    write_frame(settings.data / "run" / "a.fits", {"DATE-LOC": "2021-03-02T12:00:00"})
    (settings.data / "run" / "b.jpg").write_bytes(jpeg(SHOT))
    ingest([settings.data], settings.model_copy(update={"time_zone": "America/Santiago"}))
    assert rows(settings, "SELECT t_min FROM archive.products ORDER BY path") == [
        (pytest.approx(Time("2021-03-02T15:00:00").mjd, abs=1e-9),),
        (pytest.approx(Time("2022-07-02T03:30:00").mjd, abs=1e-9),),
    ]


@pytest.mark.parametrize("name", ["", "Potsdam", "../../etc/passwd", "Europe"])
def test_zones_that_there_are_not_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="time_zone"):
        Settings(time_zone=name)
