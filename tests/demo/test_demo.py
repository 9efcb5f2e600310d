"""The demo night: the same bytes every time, valid FITS, true to the sky."""

from __future__ import annotations

import filecmp
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_sun
from astropy.io import fits
from astropy.time import Time
from astropy.utils import iers
from astropy.wcs import WCS

from ingest.demo import write_demo
from ingest.demo_night.sky import julian_year
from ingest.demo_night.stars import Stars, stars_around

POTSDAM = EarthLocation.from_geodetic(12.973185 * u.deg, 52.409184 * u.deg, 39 * u.m)
SOLVED = {
    "20260214/CDK20/LIGHT/2026-02-14_19-40-12_1.00s_0001.fits",
    "20260214/M44-001V.fit",
    "20260214/M45-002V.fit",
    "20260214/M45-003R.fit",
    "20260214/Mel111/01_31_09_00001.fits.gz",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the demo night, only to be read."""
    directory = tmp_path_factory.mktemp("demo")
    write_demo(directory)
    return directory


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Another data root with the demo night, and the files as they were written."""
    directory = tmp_path_factory.mktemp("second")
    return directory, write_demo(directory)


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    with warnings.catch_warnings(), iers.conf.set_temp("auto_download", False):
        warnings.simplefilter("error")
        yield


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _frame(path: Path) -> tuple[fits.Header, np.ndarray]:
    """Return header and values of the unit that has data."""
    with fits.open(path) as units:
        unit = next(unit for unit in units if unit.data is not None)
        return unit.header.copy(), np.array(unit.data)


def test_two_nights_are_the_same_bytes(root: Path, second: tuple[Path, list[Path]]) -> None:
    other, written = second

    names = [str(path.relative_to(root)) for path in _files(root)]
    assert sorted(str(path.relative_to(other)) for path in written) == names
    assert filecmp.cmpfiles(root, other, names, shallow=False) == (names, [], [])


def test_night_is_small(root: Path) -> None:
    assert 20e6 < sum(path.stat().st_size for path in _files(root)) < 60e6


def test_whole_files_stay_and_others_are_mended(second: tuple[Path, list[Path]]) -> None:
    directory, files = second
    kept, packed, broken, gone = files[0], files[3], files[5], files[-1]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:1000])
    gone.unlink()
    before = [path.stat().st_ino for path in (kept, packed)]
    seen: list[str] = []

    assert write_demo(directory, seen.append) == files

    assert [path.stat().st_ino for path in (kept, packed)] == before
    assert broken.read_bytes() == whole
    assert gone.exists()
    assert seen == [str(path.relative_to(directory)) for path in files]
    assert not list(directory.rglob("*.filepart"))


def test_files_are_valid(root: Path) -> None:
    for path in _files(root):
        with fits.open(path, checksum=True) as units:
            units.verify("exception")
            assert any(unit.data is not None for unit in units), path


def test_kinds_of_frames(root: Path) -> None:
    types = Counter(str(_frame(path)[0].get("IMAGETYP")) for path in _files(root))

    assert types == {
        "Bias Frame": 3,
        "Dark Frame": 2,
        "Flat Field": 4,
        "Light Frame": 7,
        "BIAS": 1,
        "DARK": 1,
        "FLAT": 1,
        "LIGHT": 2,
        # SharpCap does not say, nor do spectrum and cube.
        "None": 4,
    }


def test_programs_and_filters(root: Path) -> None:
    headers = [_frame(path)[0] for path in _files(root)]

    programs = {str(header["SWCREATE"]).split()[0] for header in headers if "SWCREATE" in header}
    assert programs == {"MaxIm", "N.I.N.A.", "SharpCap"}
    assert {header["FILTER"] for header in headers if "FILTER" in header} == {"B", "V", "R", "L", "Ha"}


def test_header_of_maxim_dl(root: Path) -> None:
    path = root / "20260214/M45-001B.fit"
    header = _frame(path)[0]

    assert header["OBJCTRA"] == "03 47 00"
    assert header["OBJCTDEC"] == "+24 07 01"
    assert header["DATE-OBS"] == "2026-02-14T18:41:07"
    assert (header["SITELAT"], header["SITELONG"]) == ("52 24 33", "12 58 23")
    assert (header["XPIXSZ"], header["XBINNING"], header["FOCALLEN"]) == (16.2, 3, 400.0)
    assert {"AOCAMBT", "AOCDEW", "AOCBAROM", "AOCHUM", "AOCWIND", "AOCWINDD"} <= set(header)
    assert b"EXPTIME =   60.000000000000000 /Exposure time in seconds" in path.read_bytes()
    assert _frame(root / "20260214/Bias-001.fit")[0]["EXPTIME"] == 0


def test_header_of_nina(root: Path) -> None:
    path = next(path for path in _files(root) if "CDK20/LIGHT/2026-02-14_19-40" in str(path))
    header = _frame(path)[0]

    assert (header["DATE-OBS"], header["DATE-LOC"]) == (
        "2026-02-14T19:40:12.0000000",
        "2026-02-14T20:40:12.0000000",
    )
    assert (header["GAIN"], header["OFFSET"], header["EGAIN"]) == (26, 30, 0.78)
    assert header["READOUTM"] == "Photographic DSO 16BIT"
    assert b"IMAGETYP= 'LIGHT'              / Type of exposure" in path.read_bytes()


def test_darks_are_brighter_than_biases_and_flats_vignetted(root: Path) -> None:
    bias = _frame(root / "20260214/Bias-001.fit")[1].astype(float)
    dark = _frame(root / "20260214/Dark-001.fit")[1].astype(float)
    flat = _frame(root / "20260214/Flat-002V.fit")[1].astype(float)

    assert np.median(dark) > np.median(bias) + 10
    assert flat[400:434, 537:571].mean() > 1.05 * flat[:34, :34].mean()


def test_only_solved_frames_have_world_coordinates(root: Path) -> None:
    found = {
        str(path.relative_to(root))
        for path in _files(root)
        if (header := _frame(path)[0])["NAXIS"] == 2 and "CTYPE1" in header
    }

    assert found == SOLVED


@pytest.mark.parametrize("name", sorted(SOLVED))
def test_stars_stand_where_the_catalogue_has_them(root: Path, name: str) -> None:
    header, pixels = _frame(root / name)
    wcs = WCS(header)
    stars = _measurable(wcs, header, pixels)

    x, y = wcs.all_world2pix(stars.ra, stars.dec, 0)
    offsets = [np.hypot(*_offset(pixels, *place)) for place in zip(x, y, strict=True)]
    assert len(offsets) >= 7
    assert max(offsets) < 1
    assert np.median(offsets) < 0.25


def _measurable(wcs: WCS, header: fits.Header, pixels: np.ndarray) -> Stars:
    """Return stars inside the frame that are not saturated and have no neighbour."""
    rows, columns = pixels.shape
    ra, dec = wcs.all_pix2world(columns / 2, rows / 2, 0)
    corner = SkyCoord(*wcs.all_pix2world(0, 0, 0), unit="deg")
    radius = corner.separation(SkyCoord(ra, dec, unit="deg")).deg * 1.1
    stars = stars_around(float(ra), float(dec), radius, julian_year(Time(header["DATE-OBS"]).datetime))
    x, y = wcs.all_world2pix(stars.ra, stars.dec, 0)
    inside = (x > 12) & (y > 12) & (x < columns - 12) & (y < rows - 12)
    distance = np.hypot(x[:, None] - x, y[:, None] - y) + 1e3 * np.eye(len(x))
    good = inside & (distance.min(axis=1) > 25)
    for i in np.flatnonzero(good):
        row, column = round(y[i]), round(x[i])
        good[i] = pixels[row - 4 : row + 5, column - 4 : column + 5].max() < 60000
    return Stars(stars.ra[good], stars.dec[good], stars.magnitude[good])


def _offset(pixels: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """Return how far a star's centroid is from a place [pixel]."""
    column, row = round(x), round(y)
    stamp = pixels[row - 5 : row + 6, column - 5 : column + 6].astype(float)
    light = np.clip(
        stamp - np.median(stamp) - 3 * 1.4826 * np.median(np.abs(stamp - np.median(stamp))), 0, None
    )
    dy, dx = np.indices(light.shape) - 5
    return (light * dx).sum() / light.sum() + column - x, (light * dy).sum() / light.sum() + row - y


def test_targets_are_up_in_a_dark_sky(root: Path) -> None:
    lights = [h for h in (_frame(path)[0] for path in _files(root)) if h.get("OBJCTRA") and h.get("AIRMASS")]
    assert len(lights) >= 9

    for header in lights:
        time = Time(header["DATE-OBS"], scale="utc")
        frame = AltAz(obstime=time, location=POTSDAM)
        target = SkyCoord(header["OBJCTRA"], header["OBJCTDEC"], unit=("hourangle", "deg")).transform_to(
            frame
        )
        assert header["AIRMASS"] == pytest.approx(float(target.secz), rel=0.01)
        assert get_sun(time).transform_to(frame).alt.deg < -15


def test_spectrum_of_vega_has_balmer_lines(root: Path) -> None:
    header, counts = _frame(root / "2026-02-15_spectra/Vega_1d.fits")
    wave = WCS(header).all_pix2world(np.arange(counts.size), 0)[0] * 1e10

    for line in (6562.8, 4861.3, 4340.5, 4101.7):
        near = np.abs(wave - line) < 60
        assert wave[near][counts[near].argmin()] == pytest.approx(line, abs=10)


def test_cube_has_h_alpha_at_the_orion_nebula(root: Path) -> None:
    header, values = _frame(root / "2026-02-15_spectra/M42_cube.fits")
    wcs = WCS(header)
    brightest = int(values.mean(axis=(1, 2)).argmax())
    ra, dec, wave = wcs.all_pix2world(values.shape[2] / 2, values.shape[1] / 2, brightest, 0)

    assert values.shape == (72, 32, 44)
    assert wave * 1e10 == pytest.approx(6562.8, abs=1.5)
    assert (float(ra), float(dec)) == pytest.approx((83.82, -5.39), abs=0.01)
