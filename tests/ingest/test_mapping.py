"""Every keyword row: which card fills which column, on headers as camera programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from tests.ingest.frames import TAN, Cards, described, write_frame

LIGHT = {"IMAGETYP": "Light Frame"}
REFERENCE_POINT = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 7.0, "CRVAL2": 8.0, "CRPIX2": 8}

COLUMNS: list[tuple[Cards, str, Any]] = [
    ({"EXPTIME": 0.0}, "t_exptime", 0.0),
    ({"EXPOSURE": 5.5}, "t_exptime", 5.5),
    ({"EXPOSUR": 7}, "t_exptime", 7.0),
    ({"EXPTIME": 1.0, "EXPOSURE": 2.0}, "t_exptime", 1.0),
    ({"EXPTIME": "12.5"}, "t_exptime", 12.5),
    ({"EXPTIME": -1.0, "EXPOSURE": 2.0}, "t_exptime", 2.0),
    ({"EXPOSURE": (65.0, "Observation: Exposure Minutes")}, "t_exptime", 3900.0),
    ({"EXPTIME": (0.0, "MIDAS desc.: O_TIME(7)"), "EXPOSURE": 3.0}, "t_exptime", 3.0),
    ({"INSTRUME": "QHY CCD QHY600M-3eda8b4"}, "header_instrument", "QHY CCD QHY600M-3eda8b4"),
    ({"INSTRUME": "QHYCCD-Cameras-Capture"}, "instrument_name", None),
    ({"INSTRUME": "ASI Camera (1)"}, "instrument_name", None),
    ({"INSTRUME": "QHY CCD QHY600M-3eda8b4"}, "pixel_size", 3.76),
    ({"INSTRUME": "QHY CCD QHY600M-3eda8b4", "XBINNING": 2}, "pixel_size", 7.52),
    ({"TELESCOP": "Planewave CDK20"}, "telescope_name", "Planewave CDK20"),
    ({"FOCALLEN": 3454.0}, "focal_length", 3454.0),
    ({"FOCALLEN": 0.0}, "focal_length", None),
    ({"FOCALLEN": 0.0, "FOCAL": 1000}, "focal_length", 1000.0),
    ({"FOCLEN": 500}, "focal_length", 500.0),
    ({"XPIXSZ": 3.76}, "pixel_size", 3.76),
    ({"XPIXSIZE": 9.0}, "pixel_size", 9.0),
    ({"PIXSIZE": 9000.0}, "pixel_size", 9.0),
    ({"PIXSZ": 5.4}, "pixel_size", 5.4),
    ({"XBINNING": 2, "YBINNING": 3}, "binning_y", 3),
    ({"XBIN": 2}, "binning_x", 2),
    ({"BINX": 4}, "binning_x", 4),
    ({"BINNING": "2x3"}, "binning_y", 3),
    ({"BINNING": "2x3"}, "binning_x", 2),
    ({"BINNING": "2"}, "binning_y", 2),
    ({"CCD-TEMP": 0.0, "SET-TEMP": -5.0}, "ccd_temperature", 0.0),
    ({"SET-TEMP": -5.0}, "ccd_temperature", -5.0),
    ({"CCDTEMP": -6.0}, "ccd_temperature", -6.0),
    ({"TEMPERAT": -7.0}, "ccd_temperature", -7.0),
    ({"CCD-TEMP": 180.2}, "ccd_temperature", None),
    ({"GAIN": 0}, "gain", 0.0),
    ({"ISO": 100}, "gain", 100.0),
    ({"EGAIN": 1.74}, "egain", 1.74),
    ({"PEDESTAL": -100}, "pedestal", -100.0),
    ({"OFFSET": 30}, "black_level", 30.0),
    ({"BLKLEVEL": 0}, "black_level", 0.0),
    ({"HIERARCH BRIGHTNESS": 3}, "black_level", 3.0),
    ({"READOUTM": "Monochrome"}, "readout_mode", "Monochrome"),
    ({"READMODE": "Fast"}, "readout_mode", "Fast"),
    ({"RDMODE": "Slow"}, "readout_mode", "Slow"),
    ({"AIRMASS": 1.25}, "airmass", 1.25),
    ({"AIRMASS": -1.85}, "airmass", None),
    ({"AOCAMBT": 0.0}, "ambient_temperature", 0.0),
    ({"AOCDEW": -2.5}, "dew_point", -2.5),
    ({"AOCBAROM": 1013.2}, "pressure", 1013.2),
    ({"AOCHUM": 55.0}, "humidity", 55.0),
    ({"AOCWIND": 3.5}, "wind_speed", 3.5),
    ({"AOCWINDD": 270.0}, "wind_direction", 270.0),
    ({"SITELAT": "52 24 33.06"}, "site_latitude", 52.409183),
    ({"SITELONG": "12 58 23.5"}, "site_longitude", 12.973194),
    ({"SITELONG": "-96 27 12"}, "site_longitude", -96.453333),
    ({"OBS-LAT": 52.409184}, "site_latitude", 52.409184),
    ({"OBS-LONG": 12.973185}, "site_longitude", 12.973185),
    ({"LATITUDE": "+51:03:00.0"}, "site_latitude", 51.05),
    ({"LONGITUD": "-00 30 00"}, "site_longitude", -0.5),
    ({"SITEELEV": 0}, "site_elevation", 0.0),
    ({"OBS-ELEV": 39}, "site_elevation", 39.0),
    ({"ALTITUDE": 39}, "site_elevation", 39.0),
    ({"OBSERVER": "A. Student"}, "observer", "A. Student"),
    ({"SWCREATE": "N.I.N.A. 3.1"}, "software", "N.I.N.A. 3.1"),
    ({"FILTER": "V"}, "em_min", 5.028e-7),
    ({"FILTER": "V"}, "em_max", 5.868e-7),
    ({"FILTER": "V"}, "filter_name", "Johnson V"),
    ({"FILTER": "no such glass"}, "em_min", None),
    ({"FILTER": "V", "IMAGETYP": "Dark Frame"}, "em_min", None),
    ({"FILTER": "V", "IMAGETYP": "Flat Field"}, "em_min", 5.028e-7),
    ({"OBJECT": "  m31 "}, "target_name", "M 31"),
    ({"OBJECT": "  m31 "}, "header_target", "m31"),
    ({"OBJECT": "m31", "IMAGETYP": "Dark Frame"}, "target_name", None),
    ({"OBJECT": "m31", "IMAGETYP": "Dark Frame"}, "header_target", "m31"),
    ({"OBJECT": "unknown"}, "target_name", None),
    ({"OBSERVAT": "SAAO"}, "facility_name", "SAAO"),
    ({}, "facility_name", "OST"),
    ({}, "calib_level", 1),
    ({"CALSTAT": "BDF"}, "calib_level", 2),
    ({"BUNIT": "erg/cm2/s/A"}, "calib_level", 2),
    ({"NCOMBINE": 5}, "calib_level", 2),
    ({"NCOMBINE": 1}, "calib_level", 1),
    ({"FLATCOR": "PERFORM"}, "calib_level", 1),
    ({"FLATCOR": "Jul  2 12:17 Flat field image is Flat.fits"}, "calib_level", 2),
    ({}, "o_ucd", "phot.count"),
    ({"BUNIT": "adu"}, "o_ucd", "phot.count"),
    ({"BUNIT": "Jy/beam"}, "o_ucd", "phot.flux.density"),
    ({"BUNIT": "relative"}, "o_ucd", None),
    ({}, "dataproduct_type", "image"),
    ({}, "s_xel1", 20),
    ({}, "s_xel2", 15),
]


@pytest.mark.parametrize(("cards", "column", "value"), COLUMNS)
def test_keyword_fills_column(tmp_path: Path, cards: Cards, column: str, value: Any) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", LIGHT | cards))
    found = getattr(metadata, column)
    assert found == (pytest.approx(value, abs=1e-6, rel=1e-6) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("imagetyp", "kind"),
    [
        ("Bias Frame", "bias"),
        ("Dark Frame", "dark"),
        ("Flat Field", "flat"),
        ("Light Frame", "light"),
        ("BIAS", "bias"),
        ("dark", "dark"),
        ("Flat", "flat"),
        ("SkyFlat", "flat"),
        ("Sky Flat", "flat"),
        ("Master Dark", "dark"),
        ("LIGHT", "light"),
        ("object", "light"),
        ("Zero", "bias"),
        ("comp", "wave"),
        ("Arc", "wave"),
    ],
)
def test_exposure_type(tmp_path: Path, imagetyp: str, kind: str) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", {"IMAGETYP": imagetyp}))
    assert (metadata.exposure_type, metadata.dataproduct_subtype) == (kind, kind)


def test_unknown_exposure_type_is_reported(tmp_path: Path) -> None:
    metadata, remarks = described(write_frame(tmp_path / "a.fits", {"IMAGETYP": "Snapshot"}))
    assert metadata.exposure_type is None
    assert ("IMAGETYP", "'Snapshot' is no exposure type that is known here.") in remarks


@pytest.mark.parametrize(
    ("cards", "position"),
    [
        ({"OBJCTRA": "12 30 00", "OBJCTDEC": "-10 30 00"}, (187.5, -10.5)),
        ({"OBJCTRA": "12:30:00.0", "OBJCTDEC": "+10:30:00.0"}, (187.5, 10.5)),
        ({"OBJCTRA": 187.5, "OBJCTDEC": -10.5}, (187.5, -10.5)),
        ({"OBJCTRA": "187.5", "OBJCTDEC": "-10.5"}, (187.5, -10.5)),
        ({"OBJCTRA": "00 10 00", "OBJCTDEC": "-00 30 00"}, (2.5, -0.5)),
        ({"OBJCTRA": "00 00 00", "OBJCTDEC": "+00 00 00"}, None),
        ({"OBJCTRA": "00 00 00", "OBJCTDEC": "+00 00 00", "RA": 5.0, "DEC": 6.0}, (5.0, 6.0)),
        ({"OBJCTRA": "01 00 00", "OBJCTDEC": "+02 00 00", "RA": 5.0, "DEC": 6.0}, (15.0, 2.0)),
        ({"RA": 0.0, "DEC": 0.0}, None),
        ({"RA": 0.0, "DEC": 5.0}, (0.0, 5.0)),
        ({"RA": " 22:04:08", "DEC": "-00:55:31"}, (331.033333, -0.925278)),
        ({"RA": 1117.786, "DEC": 513.4501}, None),
        ({"RA": (0.05126, "RA in radians"), "DEC": -0.568}, None),
        ({"RA": "25:00:00", "DEC": "10:00:00"}, None),
        # The north galactic pole, which the IAU defined in B1950.
        ({"RA": "12 49 00", "DEC": "+27 24 00", "EQUINOX": 1950.0}, (192.85948, 27.12825)),
        (REFERENCE_POINT | {"CRPIX1": 10}, (7.0, 8.0)),
        (REFERENCE_POINT | {"CRPIX1": 900}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_position_without_wcs(tmp_path: Path, cards: Cards, position: tuple[float, float] | None) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", LIGHT | cards))
    if position is None:
        assert (metadata.s_ra, metadata.s_dec, metadata.position_source) == (None, None, None)
    else:
        assert (metadata.s_ra, metadata.s_dec) == pytest.approx(position, abs=1e-4)
        assert metadata.position_source == "header"
    assert metadata.s_region is None


@pytest.mark.parametrize("kind", ["Bias Frame", "Dark Frame", "Flat Field", "Arc"])
def test_calibration_frames_have_no_position(tmp_path: Path, kind: str) -> None:
    cards = TAN | {"IMAGETYP": kind, "OBJCTRA": "12 30 00", "OBJCTDEC": "-10 30 00"}
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards))
    assert (metadata.s_ra, metadata.s_fov, metadata.s_region, metadata.target_name) == (
        None,
        None,
        None,
        None,
    )


def test_field_of_the_camera(tmp_path: Path) -> None:
    cards = LIGHT | {"XPIXSZ": 9.0, "FOCALLEN": 1000.0, "OBJCTRA": "12 30 00", "OBJCTDEC": "-10 30 00"}
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards, (800, 600)))
    # 9 um at 1 m are 1.8564 arcsec; the diagonal is 1000 pixels.
    assert metadata.s_pixel_scale == pytest.approx(1.85638, abs=1e-4)
    assert metadata.s_fov == pytest.approx(1000 * 1.85638 / 3600, rel=1e-4)


@pytest.mark.parametrize(
    ("cards", "shape", "camera"),
    [
        ({"XPIXSZ": 9.0}, (510, 765), "SBIG ST-7"),
        ({"XPIXSZ": 9.0}, (765, 510), "SBIG ST-7"),
        ({"XPIXSZ": 18.0, "XBINNING": 2, "YBINNING": 2}, (255, 382), "SBIG ST-7"),
        ({"XPIXSZ": 8.0}, (510, 765), "SBIG ST-7"),
        ({"XPIXSZ": 9.0}, (540, 765), None),
        ({"XPIXSZ": 12.0}, (510, 765), None),
        ({"XPIXSZ": 9.0, "INSTRUME": "unknown"}, (510, 765), "SBIG ST-7"),
        ({"XPIXSZ": 9.0, "INSTRUME": "STE3 CCD"}, (510, 765), "STE3 CCD"),
    ],
)
def test_camera_by_its_pixels(
    tmp_path: Path, cards: Cards, shape: tuple[int, int], camera: str | None
) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards, shape, "uint8"))
    assert metadata.instrument_name == camera


def test_ambiguous_camera_is_reported_not_guessed(tmp_path: Path) -> None:
    metadata, remarks = described(write_frame(tmp_path / "a.fits", {"XPIXSZ": 3.76}, (4176, 6250), "uint8"))
    assert metadata.instrument_name is None
    assert [r.reason for r in remarks if r.keyword == "INSTRUME"] == [
        "Names no camera; pixels and size fit QHY268M or ZWO ASI2600MC Pro: left open."
    ]


def test_card_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    path = write_frame(tmp_path / "a.fits", LIGHT | {"AIRMASS": 1.25, "GAIN": 3})
    path.write_bytes(path.read_bytes().replace(b"                1.25", b"             1.25.75"))
    metadata, remarks = described(path)
    assert (metadata.airmass, metadata.gain) == (None, 3.0)
    assert "AIRMASS" in [remark.keyword for remark in remarks]


def test_cube(tmp_path: Path) -> None:
    cards = TAN | {"CTYPE3": "WAVE", "CUNIT3": "nm", "CRVAL3": 500.0, "CRPIX3": 1.0, "CDELT3": 2.0}
    cards = {k: v for k, v in cards.items() if not k.startswith("CD")} | {
        "CDELT1": -0.001, "CDELT2": 0.001, "CDELT3": 2.0,
    }  # fmt: skip
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards, (5, 15, 20)))
    assert metadata.dataproduct_type == "cube"
    assert (metadata.s_xel1, metadata.s_xel2, metadata.em_xel) == (20, 15, 5)
    assert (metadata.em_min, metadata.em_max) == pytest.approx((499e-9, 509e-9))
    assert metadata.s_ra == pytest.approx(10.0, abs=1e-3)


def test_colour_image_with_distortions_is_an_image(tmp_path: Path) -> None:
    cards = TAN | {
        "CTYPE1": "RA---TAN-SIP",
        "CTYPE2": "DEC--TAN-SIP",
        "A_ORDER": 2,
        "B_ORDER": 2,
        "A_2_0": 1e-6,
    }
    metadata, remarks = described(write_frame(tmp_path / "a.fits", cards, (3, 15, 20)))
    assert metadata.dataproduct_type == "image"
    assert metadata.position_source == "wcs"
    assert remarks == []


@pytest.mark.parametrize(
    ("cards", "edges"),
    [
        ({"CTYPE1": "WAVE", "CUNIT1": "Angstrom", "CRVAL1": 4000, "CDELT1": 2, "CRPIX1": 1},
         (399.9e-9, 419.9e-9)),
        ({"CTYPE1": "LINEAR", "WAT1_001": "wtype=linear label=Wavelength units=angstroms",
          "CRVAL1": 4000, "CD1_1": 2.0, "CRPIX1": 1}, (399.9e-9, 419.9e-9)),
        ({"CTYPE1": "WAVELENGTH [A]", "CRVAL1": 4000, "CDELT1": 2, "CRPIX1": 1}, (399.9e-9, 419.9e-9)),
        ({"CTYPE1": "FREQ", "CRVAL1": 1.42e9, "CDELT1": 1e6, "CRPIX1": 50.5}, (0.2039404, 0.2188266)),
        ({"CTYPE1": "VRAD", "CUNIT1": "km/s", "RESTFRQ": 1.4204e9, "CRVAL1": 0, "CDELT1": 10, "CRPIX1": 50.5},
         (0.2107106, 0.2114146)),
        # 500 nm in air are 500.1394 nm in vacuum.
        ({"CTYPE1": "AWAV", "CUNIT1": "nm", "CRVAL1": 500.0, "CDELT1": 1e-6, "CRPIX1": 0.5},
         (500.1394e-9, 500.1395e-9)),
        ({"CTYPE1": "VRAD", "CUNIT1": "km/s", "CRVAL1": 0, "CDELT1": 10, "CRPIX1": 50.5}, (None, None)),
    ],
)  # fmt: skip
def test_spectrum(tmp_path: Path, cards: Cards, edges: tuple[float | None, float | None]) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards, (100,), "float32"))
    assert metadata.dataproduct_type == "spectrum"
    assert metadata.em_xel == 100
    found = (metadata.em_min, metadata.em_max)
    assert found == (edges if edges[0] is None else pytest.approx(edges, rel=1e-5))


def test_spectrum_in_a_table(tmp_path: Path) -> None:
    wave = fits.Column("WAVELENGTH", "E", unit="Angstrom", array=np.array([4000.0, 5000.0, np.nan]))
    flux = fits.Column("FLUX", "E", unit="Jy", array=np.zeros(3))
    table = fits.BinTableHDU.from_columns([wave, flux])
    table.header["OBJECT"] = "Vega"
    table.writeto(tmp_path / "a.fits")
    metadata, _ = described(tmp_path / "a.fits")
    assert (metadata.dataproduct_type, metadata.em_xel, metadata.target_name) == ("spectrum", 2, "Vega")
    assert (metadata.em_min, metadata.em_max) == pytest.approx((4e-7, 5e-7))
    assert metadata.media_type == "application/fits"


def test_other_table_holds_measurements(tmp_path: Path) -> None:
    fits.BinTableHDU.from_columns([fits.Column("MAG", "E", array=np.zeros(3))]).writeto(tmp_path / "a.fits")
    assert described(tmp_path / "a.fits")[0].dataproduct_type == "measurements"


def test_observation_is_named_after_its_path(tmp_path: Path) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.b.fits.gz", {}))
    assert metadata.obs_id == "run/a.b"
    assert metadata.media_type == "application/gzip"


def test_title(tmp_path: Path) -> None:
    cards = LIGHT | {"OBJECT": "NGC7000", "FILTER": "B", "EXPTIME": 90.0}
    metadata = described(write_frame(tmp_path / "a.fits", cards))[0]
    assert metadata.obs_title == "light of NGC 7000, filter Johnson B, 90 s"


def test_cards_that_say_nothing_new_change_nothing(tmp_path: Path) -> None:
    cards = (
        LIGHT | TAN | {"OBJECT": "a name that needs a second card " * 4, "DATE-OBS": "2022-01-01T00:00:00"}
    )
    path = write_frame(tmp_path / "a.fits", cards)
    plain = described(path)
    content = path.read_bytes()
    end = content.index(b"END".ljust(80))
    filler = [*(f"SAME    = {n}" for n in range(500)), *["NOTHING here"] * 500, *["CRVAL1 x"] * 500]
    header = content[:400] + "".join(card.ljust(80) for card in filler).encode() + content[400 : end + 80]
    padded = header.ljust(-(-len(header) // 2880) * 2880)
    path.write_bytes(padded + content[-(-(end + 80) // 2880) * 2880 :])
    assert described(path) == plain
    assert plain[0].header_target == cards["OBJECT"].strip()
