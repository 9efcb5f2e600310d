"""Centre, field, outline, scale and orientation of images, near the poles and across 0 h as well."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from ingest.load import Outcome, ingest
from ingest.stream import Unreadable
from ost_vo.store.products import Metadata
from tests.ingest.frames import TAN, Cards, described, rows, write_frame

SIP = {
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 2,
    "B_ORDER": 2,
    "A_2_0": 2e-3,
    "B_0_2": 1e-3,
}
GALACTIC = {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CRVAL1": 120.0, "CRVAL2": 30.0}
ROTATED = {"CD1_1": -0.0008, "CD1_2": 0.0006, "CD2_1": 0.0006, "CD2_2": 0.0008}
SWAPPED = {
    "CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 41.0, "CRVAL2": 10.0,
    "CD1_1": 0.0, "CD1_2": 0.001, "CD2_1": -0.001, "CD2_2": 0.0,
}  # fmt: skip

PLACES: list[Cards] = [
    {},
    {"CRVAL1": 0.0, "CRVAL2": 0.0},
    {"CRVAL1": 359.9999, "CRVAL2": -45.0},
    {"CRVAL1": 77.0, "CRVAL2": 90.0},
    {"CRVAL1": 77.0, "CRVAL2": -89.995},
    {"CD1_1": 0.001},
    {"CD1_1": -0.2, "CD2_2": 0.2},
    ROTATED,
    SIP,
    SWAPPED,
    GALACTIC,
    {"RADESYS": "FK5", "EQUINOX": 2000.0},
    {"RADESYS": "FK5", "EQUINOX": 1975.0},
    {"RADESYS": "FK4", "EQUINOX": 1950.0, "MJD-OBS": 44000.0},
]


def corners(metadata: Metadata) -> SkyCoord:
    """Return the vertices of a region."""
    words = str(metadata.s_region).split()
    assert words[:2] == ["Polygon", "ICRS"]
    numbers = np.array(words[2:], float).reshape(-1, 2)
    return SkyCoord(numbers[:, 0], numbers[:, 1], unit="deg")


@pytest.mark.parametrize("cards", PLACES)
def test_footprint_agrees_with_astropy(tmp_path: Path, cards: Cards) -> None:
    path = write_frame(tmp_path / "a.fits", TAN | cards)
    metadata, remarks = described(path)
    assert remarks == []
    assert metadata.position_source == "wcs"
    wcs = WCS(fits.getheader(path), fix=False)
    centre = wcs.pixel_to_world(9.5, 7.0).icrs
    found = SkyCoord(metadata.s_ra, metadata.s_dec, unit="deg")
    assert found.separation(centre).arcsec < 0.001
    outline = corners(metadata)
    expected = wcs.pixel_to_world([-0.5, 19.5, 19.5, -0.5], [-0.5, -0.5, 14.5, 14.5]).icrs
    for corner in expected:
        assert outline.separation(corner).arcsec.min() < 0.01
    assert metadata.s_fov == pytest.approx(2 * expected.separation(centre).deg.max(), rel=0.02)


@pytest.mark.parametrize(
    ("cards", "orientation", "parity", "scale"),
    [
        ({}, 0.0, 1, 3.6),
        ({"CD1_1": 0.001}, 0.0, -1, 3.6),
        ({"CD1_1": 0.001, "CD2_2": -0.001}, 180.0, 1, 3.6),
        # North is 36.87 deg to the right of up, so up is 36.87 deg from north through east.
        (ROTATED, 36.8699, 1, 3.6),
        ({"CD1_1": -0.001, "CD2_2": 0.004}, 0.0, 1, 7.2),
    ],
)
def test_orientation_parity_and_scale(
    tmp_path: Path, cards: Cards, orientation: float, parity: int, scale: float
) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", TAN | cards | {"CRVAL2": 0.0}))
    turned = (float(metadata.s_orientation or 0) - orientation + 180) % 360 - 180
    assert abs(turned) < 0.01
    assert metadata.s_parity == parity
    assert metadata.s_pixel_scale == pytest.approx(scale, rel=1e-5)


@pytest.mark.parametrize("cards", [{}, {"CD1_1": 0.001}, SIP, ROTATED])
def test_vertices_run_anticlockwise_on_the_sky(tmp_path: Path, cards: Cards) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", TAN | cards))
    vertices = corners(metadata)
    centre = SkyCoord(metadata.s_ra, metadata.s_dec, unit="deg")
    angles = np.unwrap(centre.position_angle(vertices).rad)
    # Position angles grow from north to east, which is to the left of north: anticlockwise.
    assert (np.diff(angles) > 0).all()


def test_wide_and_distorted_outlines_have_points_along_the_edges(tmp_path: Path) -> None:
    small, _ = described(write_frame(tmp_path / "a.fits", TAN))
    distorted, _ = described(write_frame(tmp_path / "b.fits", TAN | SIP))
    wide, _ = described(write_frame(tmp_path / "c.fits", TAN | {"CD1_1": -0.2, "CD2_2": 0.2}))
    assert [len(corners(metadata)) for metadata in (small, distorted, wide)] == [4, 32, 32]


def test_all_sky_image_has_no_region(tmp_path: Path) -> None:
    cards = {
        "CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRVAL1": 180.0, "CRVAL2": 0.0,
        "CRPIX1": 10.5, "CRPIX2": 5.5, "CDELT1": -18.0, "CDELT2": 18.0,
    }  # fmt: skip
    metadata, _ = described(write_frame(tmp_path / "a.fits", cards, (10, 20)))
    assert (metadata.s_region, metadata.region) == (None, None)
    assert (metadata.s_ra, metadata.s_dec) == pytest.approx((180.0, 0.0))


@pytest.mark.parametrize(
    "cards",
    [
        {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"},
        {"CTYPE1": "x-unit", "CTYPE2": "y-unit"},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--XYZ"},
        {"CD1_1": 0.0, "CD2_2": 0.0},
    ],
)
def test_unusable_wcs_gives_no_footprint(tmp_path: Path, cards: Cards) -> None:
    metadata, _ = described(write_frame(tmp_path / "a.fits", TAN | cards | {"CRPIX1": 500}))
    assert (metadata.s_ra, metadata.s_region, metadata.position_source) == (None, None, None)


def test_lookup_distortions_are_applied(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    header = fits.Header(TAN | {"CPDIS1": "LOOKUP", "CPDIS2": "LOOKUP"})
    header.set("DP1.EXTVER", 1.0)
    for axis in (1, 2):
        header[f"DP{axis}"] = f"EXTVER: {axis}"
        header[f"DP{axis}"] = "NAXES: 2"
        header[f"DP{axis}"] = "AXIS.1: 1"
        header[f"DP{axis}"] = "AXIS.2: 2"
    hdus = fits.HDUList([fits.PrimaryHDU(np.zeros((15, 20), "int16"), header)])
    for axis in (1, 2):
        table = fits.ImageHDU(np.full((2, 2), 3.0 * axis, "float32"), name="WCSDVARR", ver=axis)
        table.header.update(CRPIX1=1.0, CRVAL1=1.0, CDELT1=19.0, CRPIX2=1.0, CRVAL2=1.0, CDELT2=14.0)
        hdus.append(table)
    hdus.writeto(path)
    metadata, remarks = described(path)
    assert remarks == []
    with fits.open(path) as opened:
        expected = WCS(opened[0].header, opened).pixel_to_world(9.5, 7.0)
    assert SkyCoord(metadata.s_ra, metadata.s_dec, unit="deg").separation(expected).arcsec < 0.001
    undistorted, _ = described(write_frame(tmp_path / "b.fits", TAN))
    assert metadata.s_dec != pytest.approx(undistorted.s_dec, abs=1e-3)


def test_second_image_of_a_mosaic_is_named(tmp_path: Path) -> None:
    frames = [fits.ImageHDU(np.zeros((15, 20), "int16"), fits.Header(TAN), name=f"CHIP{n}") for n in (1, 2)]
    fits.HDUList([fits.PrimaryHDU(), *frames]).writeto(tmp_path / "a.fits")
    _, remarks = described(tmp_path / "a.fits")
    assert [remark.reason for remark in remarks] == ["2 images: position and region are of HDU 1."]


PLATE = {"PLTRAH": 5, "PLTSCALE": 67.2, "XPIXELSZ": 15.0, "YPIXELSZ": 15.0, "AMDX1": 67.2, "PPO3": 1.0}
CUBE = {
    "WCSAXES": 3,
    "CTYPE3": "FREQ",
    "CRVAL3": 1e9,
    "CRPIX3": 1.0,
    "CD3_3": 1e6,
    "PV1_1": 1.0,
    "PC1_1": 1.0,
}
ODD_VALUES = (b"1E400", b"-1E308", b"NaN", b"'abc'", b"0", b"9" * 20, b"T", b"", b"1e-320", b"'RA---TAB'")


@pytest.mark.filterwarnings("ignore:The following header keyword is invalid")
@pytest.mark.parametrize("seed", range(60))
def test_damaged_headers_are_described_or_refused(tmp_path: Path, seed: int) -> None:
    """Nothing else may happen: wcslib, for one, crashes over some headers when it gets to see them."""
    chance = random.Random(seed)
    path = write_frame(tmp_path / "a.fits", TAN | SIP | PLATE | CUBE, (2, 15, 20))
    content = bytearray(path.read_bytes())
    size = content.index(b"END     ")
    for _ in range(chance.choice((1, 3, 10))):
        card, other = (chance.randrange(size // 80) * 80 for _ in range(2))
        content[card + 10 : card + 30] = chance.choice(ODD_VALUES).rjust(20)
        content[other + chance.randrange(80)] = chance.randrange(256)
    path.write_bytes(content)
    try:
        metadata, _ = described(path)
    except Unreadable:
        return
    assert metadata.s_ra is None or 0 <= metadata.s_ra < 360


def test_database_finds_every_image_at_its_place(archive: Any) -> None:
    settings = archive.settings
    for number, cards in enumerate(PLACES):
        write_frame(settings.data / "20220101" / f"{number:02d}.fits", TAN | cards)
    report = ingest([settings.data], settings)
    assert report.counts[Outcome.INGESTED] == len(PLACES)
    query = (
        "SELECT count(*) FROM archive.products WHERE pos <@ region"
        " AND region && scircle(pos, radians(0.001)) AND scircle(pos, radians(s_fov / 2 + 1e-6)) ~ region"
    )
    assert rows(settings, query) == [(len(PLACES),)]
    assert rows(settings, "SELECT count(*) FROM archive.discrepancies") == [(0,)]


def test_outline_that_crosses_itself_is_left_out(archive: Any) -> None:
    settings = archive.settings
    wild = SIP | {"A_2_0": 0.5, "A_0_2": -0.4, "B_2_0": 0.4, "B_0_2": 0.5}
    write_frame(settings.data / "20220101" / "a.fits", TAN | wild)
    report = ingest([settings.data], settings)
    assert report.counts[Outcome.INGESTED] == 1
    found = rows(settings, "SELECT s_region, region::text, s_ra IS NULL FROM archive.products")
    assert found == [(None, None, False)]
    reasons = rows(settings, "SELECT reason FROM archive.discrepancies")
    assert any("The outline is left out." in reason for (reason,) in reasons)
