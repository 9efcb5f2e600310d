"""Frames of spectrographs, told from their pixels where the header says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.demo_night import spectroscopy
from ingest.demo_night.exposures import SLIT, Kind
from ingest.load import ingest
from ingest.reconcile import reconcile
from ost_vo.access.actor import OPERATOR
from ost_vo.access.context import ANONYMOUS
from ost_vo.services import overrides
from ost_vo.services.analysis import Analyst
from ost_vo.services.archive import Archive
from ost_vo.services.looks import Task
from ost_vo.settings import Settings
from pixels.image import Image, reduced
from pixels.looking import seen
from pixels.ridges import ridges
from tests.previews.conftest import query, write_image

Frame = NDArray[Any]

SHAPE = (420, 560)
ROWS, COLUMNS = np.arange(SHAPE[0])[:, None], np.arange(SHAPE[1])
SHARED = Path(__file__).parents[3] / "shared" / "data"


def sky(noise: float = 12.0, shape: tuple[int, int] = SHAPE) -> Frame:
    return np.random.default_rng(1).normal(500, noise, shape)


def stars(count: int) -> Frame:
    """Return a field of stars of all brightnesses, 3 pixels wide."""
    random, frame = np.random.default_rng(2), sky()
    places = random.uniform(10, 400, (count, 2))
    for (row, column), height in zip(places, 10 ** random.uniform(2, 4.5, count), strict=True):
        frame += height * np.exp(-((ROWS - row) ** 2 + (COLUMNS - column * 1.3) ** 2) / 3.2)
    return frame


def ridge(centre: Frame | float, height: Frame | float, width: float = 1.7) -> Frame:
    return height * np.exp(-((ROWS - centre) ** 2) / 2 / width**2)


CONTINUUM = 400 * np.exp(-(((COLUMNS - 300) / 200) ** 2))


def slit(slope: float = 0.01) -> Frame:
    return sky() + ridge(200 + slope * COLUMNS, CONTINUUM)


def lines(sign: int = 1, height: float = 600.0) -> Frame:
    """Return lines along the columns, through the middle of the frame."""
    places = np.random.default_rng(3).uniform(40, 520, 14)
    light = sum(np.exp(-((COLUMNS - place - 0.01 * ROWS) ** 2) / 6) for place in places)
    return sky() + 1000 + sign * height * light * (abs(ROWS - 210) < 150)


def echelle() -> Frame:
    orders = (40 + 17 * n + 0.03 * COLUMNS + 12 * ((COLUMNS - 280) / 560) ** 2 for n in range(20))
    return sky() + sum(ridge(order, CONTINUUM) for order in orders)


def defect(width: int) -> Frame:
    frame = stars(0)
    frame[:, 200 : 200 + width] += 3000
    return frame


def overscan() -> Frame:
    frame = sky()
    frame[:, :20] -= 300
    return frame


def vignetted() -> Frame:
    light = 30_000 * (1 - ((ROWS - 210) ** 2 + (COLUMNS - 280) ** 2) / 4e5)
    return np.random.default_rng(4).normal(light, np.sqrt(light))


def disk() -> Frame:
    return sky() + 9000 * np.sqrt(np.clip(1 - ((ROWS - 210) ** 2 + (COLUMNS - 280) ** 2) / 180**2, 0, 1))


def smear() -> Frame:
    """Return a bright star whose charge was drawn over its column."""
    return sky() + ridge(200, 200) + 4e4 * np.exp(-((ROWS - 200) ** 2 + (COLUMNS - 280) ** 2) / 50)


SPECTRA = {
    "slit": (slit(), "rows", 1),
    "slit upright": (slit().T, "columns", 1),
    "lamp": (lines(), "columns", None),
    "Sun": (lines(-1), "columns", None),
    "echelle": (echelle(), "rows", None),
}
OTHERS = {
    "bias": sky(),
    "patterned bias": sky(3) + np.random.default_rng(5).normal(0, 30, SHAPE[1]),
    "flat": vignetted(),
    "twilight": sky() + 3 * COLUMNS,
    "amplifiers": sky() + 200 * (COLUMNS > 280),
    "overscan": overscan(),
    "stars": stars(150),
    "few stars": stars(4),
    "trail": stars(60) + ridge(150 + 0.01 * COLUMNS, 300),
    "slanting trail": sky() + ridge(100 + 0.1 * COLUMNS, CONTINUUM),
    "lone trail": sky() + ridge(150 + 0.01 * COLUMNS, 300),
    "hot column": defect(1),
    "hot columns": defect(3),
    "smear": smear(),
    "planet": disk(),
    "nothing": np.full(SHAPE, 7.0),
    "no values": np.full(SHAPE, np.nan),
    "small": sky(shape=(40, 60)),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_dispersed_light_is_told(name: str) -> None:
    frame, along, count = SPECTRA[name]
    found = ridges(frame.astype("float32"))
    assert found is not None
    assert found.along == along
    assert found.count == count or (count is None and found.count > 5)
    assert found.contrast > 8


@pytest.mark.parametrize("name", OTHERS)
def test_other_frames_are_no_spectra(name: str) -> None:
    assert ridges(OTHERS[name].astype("float32")) is None


@pytest.mark.parametrize(
    "exposure", [e for e in SLIT if e.kind in (Kind.LIGHT, Kind.LAMP)], ids=lambda e: e.path
)
def test_frames_of_the_demo_are_told(exposure: Any) -> None:
    light = spectroscopy.slit_light(exposure)
    assert ridges((light + np.random.default_rng(6).normal(0, 5, light.shape)).astype("float32"))


# What everybody says of a frame, and whether the pixels decide then.
FRAMES: dict[str, tuple[Frame, dict[str, Any], str, str | None]] = {
    "silent": (slit(), {}, "spectrum", "SPECTROG"),
    "light": (slit(), {"IMAGETYP": "Light", "FILTER": "V"}, "spectrum", "SPECTROG"),
    "lamp": (lines(), {"IMAGETYP": "Arc"}, "spectrum", "SPECTROG"),
    "flat": (lines(), {"IMAGETYP": "Flat"}, "image", None),
    "dark": (slit(), {"IMAGETYP": "Dark"}, "image", "IMAGETYP"),
    "DADOS": (slit(), {"INSTRUME": "DADOS"}, "spectrum", None),
    "stars": (stars(60), {"IMAGETYP": "Light"}, "image", None),
    "placed": (
        slit(),
        {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 41.0, "CRPIX1": 280.0,
            "CRPIX2": 210.0, "CDELT1": -0.001, "CDELT2": 0.001,
        },
        "image",
        "CTYPE1",
    ),
}  # fmt: skip

_TYPES = "SELECT path, dataproduct_type, em_min FROM archive.products"


def types(settings: Settings) -> dict[str, tuple[str, float | None]]:
    return {Path(path).stem: tuple(rest) for path, *rest in query(settings, _TYPES)}


def test_the_pixels_decide_where_the_header_is_silent(settings: Settings, analyst: Analyst) -> None:
    for name, (pixels, cards, _, _) in FRAMES.items():
        write_image(settings.data / f"20260214/{name}.fits", pixels.clip(0, 65535).astype("uint16"), **cards)
    ingest([settings.data], settings)
    analyst.work()
    assert {name: kind for name, (kind, _) in types(settings).items()} == {
        name: kind for name, (_, _, kind, _) in FRAMES.items()
    }
    # The band of the filter is none of a spectrum.
    assert types(settings)["light"][1] is None
    said = query(
        settings,
        "SELECT path, keyword, reason FROM archive.discrepancies JOIN archive.products USING (product_id)"
        " WHERE position('along the' in reason) > 0",
    )
    assert {Path(path).stem: keyword for path, keyword, _ in said} == {
        name: keyword for name, (_, _, _, keyword) in FRAMES.items() if keyword
    }
    assert all(reason.startswith("By its pixels: ") for _, _, reason in said)


def test_what_was_told_stays_with_the_bytes_and_yields_to_people(
    settings: Settings, analyst: Analyst
) -> None:
    write_image(settings.data / "20260214/silent.fits", slit().astype("uint16"))
    ingest([settings.data], settings)
    analyst.work()
    data = settings.data / "20260214"
    (data / "silent.fits").rename(data / "moved.fits")
    reconcile(settings)
    assert types(settings)["moved"][0] == "spectrum"

    ((identifier,),) = query(
        settings, "SELECT obs_publisher_did FROM archive.products WHERE path = '20260214/moved.fits'"
    )
    archive = Archive.open(settings)
    try:
        overrides.put(archive, ANONYMOUS, OPERATOR, [identifier], "spectrograph", "none")
        assert types(settings)["moved"][0] == "image"
        query(settings, "DELETE FROM archive.analyses")
        analyst.work()
        (data / "moved.fits").rename(data / "again.fits")
        reconcile(settings)
        assert types(settings)["again"][0] == "image"
        overrides.clear(archive.accounts_database, OPERATOR, [identifier])
        assert types(settings)["again"][0] == "spectrum"
    finally:
        archive.close()

    write_image(data / "again.fits", sky().astype("uint16"))
    ingest([settings.data], settings)
    analyst.work()
    assert types(settings)["again"][0] == "image"


@pytest.mark.skipif(not SHARED.exists(), reason="the files of other projects are not there")
@pytest.mark.parametrize(
    "name",
    [
        # A galaxy with a column that a star spilled over, an infrared frame with a striped detector, stars, a
        # nebula, and a frame named after a lamp whose light does not show in it.
        "fits-raw/midas__ccd.fits",
        "fits-raw/midas__timmi2.fits",
        "fits-raw/ccdproc__a8280271.fits",
        "fits-raw/astropy-data__M13_blue_0001.fits",
        "fits-raw/panoptes-utils__unsolved.fits",
        "fits-raw/msumastro__neon-on-dome-10-sec-high-res-though-scope.fit",
        "fits-wcs/astropy__m13_rice.fits",
        "fits-wcs/astropy-data__HorseHead.fits",
        "fits-wcs/reproject__aia_171_level1.fits",
    ],
)
def test_no_real_frame_of_the_sky_is_taken_for_a_spectrum(name: str, tmp_path: Path) -> None:
    task = Task(str(SHARED / name), "image", str(tmp_path), 60, 512 << 20)
    with open(task.path, "rb", buffering=0) as file, seen(file, task) as sight:
        assert isinstance(sight, Image)
        assert ridges(reduced(sight, 2047).values) is None
