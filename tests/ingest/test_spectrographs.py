"""Spectrographs without wavelengths, cubes along other axes, detectors with several amplifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.ingest.frames import TAN, Cards, described, description, reasons, write_frame

LIGHT = {"IMAGETYP": "Light Frame"}


@pytest.mark.parametrize(
    ("cards", "name", "low", "high"),
    [
        ({"INSTRUME": "DADOS"}, "a.fit", 380, 750),
        ({"NOTES": "DADOS, 200 l/mm"}, "a.fit", 380, 750),
        ({"SPECTROG": "baches"}, "a.fit", 390, 750),
        ({"INSTRUME": "Einstein Tower"}, "a.fit", 390, 700),
        ({"SPECTROG": "EINSTEIN_TOWER"}, "a.fit", 390, 700),
        ({}, "vega_BACHES-001.fit", 390, 750),
    ],
)
def test_band_of_a_spectrograph(tmp_path: Path, cards: Cards, name: str, low: float, high: float) -> None:
    metadata, doubts = described(write_frame(tmp_path / name, LIGHT | cards))
    assert metadata.dataproduct_type == "spectrum"
    assert (metadata.em_min, metadata.em_max) == pytest.approx((low * 1e-9, high * 1e-9))
    assert metadata.calib_level == 1
    assert any("nominal for" in doubt.reason for doubt in doubts)


@pytest.mark.parametrize(
    "cards",
    [
        {"INSTRUME": "DADOS", "IMAGETYP": "Dark Frame"},
        {"INSTRUME": "DADOS", "IMAGETYP": "Bias Frame"},
        {"INSTRUME": "DADOS"} | TAN,
        {"NOTES": "no DADOSX"},
    ],
)
def test_frame_without_a_spectrum(tmp_path: Path, cards: Cards) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fit", LIGHT | cards))
    assert (metadata.dataproduct_type, metadata.em_min) == ("image", None)


def test_wavelengths_of_the_header_come_first(tmp_path: Path) -> None:
    axis = {"CTYPE1": "WAVE", "CUNIT1": "nm", "CRVAL1": 500.0, "CRPIX1": 0.5, "CDELT1": 1.0}
    metadata, doubts = described(write_frame(tmp_path / "a.fit", {"INSTRUME": "DADOS"} | axis))
    assert (metadata.em_min, metadata.em_max) == pytest.approx((500e-9, 520e-9))
    assert doubts == []


def test_table_that_is_no_spectrum(tmp_path: Path) -> None:
    path = tmp_path / "DADOS-log.fits"
    rows = fits.BinTableHDU.from_columns([fits.Column("TEMP", "D", array=[1.0])])
    fits.HDUList([fits.PrimaryHDU(), rows]).writeto(path)
    metadata = description(path).metadata
    assert (metadata.dataproduct_type, metadata.em_min) == ("measurements", None)


@pytest.mark.parametrize(
    ("shape", "cards", "kind"),
    [
        ((3, 15, 20), {}, "image"),
        ((4, 15, 20), {}, "image"),
        ((1, 15, 20), {}, "image"),
        ((5, 15, 20), {}, "cube"),
        ((4, 15, 20), {"CTYPE3": "STOKES"}, "cube"),
        ((2, 15, 20), {"CTYPE3": "TIME"}, "cube"),
        (
            (2, 15, 20),
            {"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRVAL3": 1e9, "CDELT3": 1e6, "CRPIX3": 1.0},
            "cube",
        ),
    ],
)
def test_planes(tmp_path: Path, shape: tuple[int, ...], cards: Cards, kind: str) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fit", TAN | cards, shape))
    assert (metadata.dataproduct_type, metadata.s_xel1, metadata.s_xel2) == (kind, 20, 15)
    assert metadata.t_xel == (2 if cards.get("CTYPE3") == "TIME" else None)


def amplifiers(path: Path, **cards: object) -> Path:
    """Write a detector of 40 x 15 pixels, each half read by an amplifier of its own."""
    units: list[fits.PrimaryHDU | fits.ImageHDU] = [fits.PrimaryHDU()]
    for number in (0, 1):
        unit = fits.ImageHDU(np.zeros((15, 20), "int16"), name=f"IM{number + 1}")
        unit.header["DETSIZE"] = "[1:40,1:15]"
        unit.header["DETSEC"] = f"[{number * 20 + 1}:{number * 20 + 20},1:15]"
        unit.header.update(cards)
        units.append(unit)
    fits.HDUList(units).writeto(path)
    return path


def test_detector_of_two_amplifiers(tmp_path: Path) -> None:
    found = description(amplifiers(tmp_path / "a.fits"))
    assert (found.metadata.dataproduct_type, found.metadata.o_ucd) == ("image", "phot.count")
    assert (found.metadata.s_xel1, found.metadata.s_xel2) == (40, 15)
    assert reasons(found)["DETSIZE"].startswith("2 parts of a detector")
    assert [hdu for hdu, _ in found.headers] == [0, 1, 2]


def test_binned_detector_of_two_amplifiers(tmp_path: Path) -> None:
    metadata = description(amplifiers(tmp_path / "a.fits", CCDSUM="2 1")).metadata
    assert (metadata.s_xel1, metadata.s_xel2) == (20, 15)


def test_tile_compressed_image_is_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.fz"
    unit = fits.CompImageHDU(np.zeros((15, 20), "int16"), fits.Header(TAN))
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
    metadata = description(path).metadata
    assert (metadata.dataproduct_type, metadata.media_type, metadata.o_ucd) == (
        "image",
        "image/fits",
        "phot.count",
    )
    assert (metadata.s_xel1, metadata.s_xel2) == (20, 15)
    assert metadata.s_ra == pytest.approx(10.0, abs=1e-3)
