"""Plate solving: which images, how often, with what hints, and what becomes of the answer."""

from __future__ import annotations

import itertools
import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from ingest.load import ingest
from ost_vo.services.analysis import Analyst, Tools
from ost_vo.settings import Settings
from ost_vo.vo.lighttime import Site, arrival
from pixels.apart import Looker
from pixels.placing import solution
from tests.ingest.frames import TAN
from tests.previews.conftest import query, write_image

REAL = Path(__file__).parents[3] / "shared" / "data" / "fits-raw" / "panoptes-utils__unsolved.fits"
PIXELS = np.random.default_rng(2).normal(1000, 10, (300, 400)).astype("uint16")
POINTING = {"RA": 83.6, "DEC": 22.0, "FOCALLEN": 1000.0, "XPIXSZ": 9.0, "IMAGETYP": "Light"}
# What the stand-in finds: 2 arcsec a pixel of the image, north up and east to the left.
FOUND = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "EQUINOX": 2000.0,
    "LONPOLE": 180.0, "LATPOLE": 0.0, "CRVAL1": 84.0, "CRVAL2": 21.0, "CRPIX1": 200.5, "CRPIX2": 150.5,
    "CD1_1": -2 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 2 / 3600,
}  # fmt: skip


@dataclass
class StandIn:
    """A program in the place of solve-field, which finds what it is told to, or nothing.

    Attributes:
        settings: of an archive that uses it.
        tools: for working in it.
    """

    settings: Settings
    tools: Tools
    directory: Path

    def finds(self, cards: dict[str, Any] | None) -> None:
        answer = self.directory / "answer"
        answer.unlink(missing_ok=True)
        if cards is not None:
            fits.PrimaryHDU(header=fits.Header(cards)).writeto(answer)

    def calls(self) -> list[list[str]]:
        log = self.directory / "calls"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def work(self, **changes: Any) -> int:
        return Analyst(self.settings.model_copy(update=changes), self.tools).work()

    def ingest(self, name: str, pixels: Any = PIXELS, **cards: Any) -> Path:
        path = write_image(self.settings.data / "run" / name, pixels, **cards)
        ingest([self.settings.data], self.settings)
        return path

    def row(self, name: str = "a.fits") -> tuple[Any, ...]:
        return query(
            self.settings,
            "SELECT position_source, s_ra, s_dec, s_pixel_scale, s_orientation, s_parity, s_region IS NULL "
            "FROM archive.products WHERE path = %s",
            f"run/{name}",
        )[0]

    def dates(self) -> list[tuple[Any, ...]]:
        return query(
            self.settings, "SELECT path, hjd, hjd_source, bjd, bjd_source FROM archive.products ORDER BY path"
        )

    def outcomes(self) -> dict[str, tuple[str, str | None]]:
        rows = query(
            self.settings,
            "SELECT path, state, reason FROM archive.analyses JOIN archive.products USING (product_id) "
            "WHERE kind = 'solution'",
        )
        return {path.removeprefix("run/"): (state, reason) for path, state, reason in rows}


@pytest.fixture
def stand_in(settings: Settings, looker: Looker, tmp_path: Path) -> StandIn:
    directory = tmp_path / "solver"
    directory.mkdir()
    program = directory / "solve"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {directory}/calls\n'
        f"[ ! -e {directory}/answer ] || cp {directory}/answer plane.wcs\n"
    )
    program.chmod(0o755)
    chosen = settings.model_copy(update={"solve": True, "solve_command": str(program)})
    stand_in = StandIn(chosen, Tools(looker, solution), directory)
    stand_in.finds(FOUND)
    return stand_in


def test_a_solution_is_the_position_of_the_image(stand_in: StandIn) -> None:
    stand_in.ingest("a.fits")
    assert stand_in.row()[:3] == (None, None, None)
    stand_in.work()
    source, ra, dec, scale, orientation, parity, has_no_region = stand_in.row()
    assert source == "solution"
    assert (ra, dec, scale) == (pytest.approx(84), pytest.approx(21), pytest.approx(2, rel=1e-4))
    assert (math.cos(math.radians(orientation)), parity, has_no_region) == (pytest.approx(1), 1, False)
    assert stand_in.outcomes() == {"a.fits": ("done", None)}
    ((header,),) = query(stand_in.settings, "SELECT header FROM archive.solutions")
    assert fits.Header.fromstring(header, sep="\n")["CRPIX1"] == 200.5


def test_the_position_dates_the_light_at_the_sun_and_the_barycentre(stand_in: StandIn) -> None:
    taken = {"DATE-OBS": "2022-09-23T22:00:00", "EXPTIME": 60.0, "SITELAT": 10.0, "SITELONG": 20.0}
    for number, cards in enumerate((POINTING | taken, taken | {"BJD": 2_459_846.5}, {"HJD": 2_459_846.5})):
        stand_in.ingest(f"{number}.fits", PIXELS + number, **cards)
    stand_in.ingest("3.fits", PIXELS + 3, **{"DATE-OBS": "2022-09-23"})
    stand_in.work()
    light = arrival(59_845.916666667 + 30 / 86_400, 84.0, 21.0, Site(10.0, 20.0, 39.0))
    assert light is not None
    hjd, bjd = (pytest.approx(date, rel=0, abs=2e-9) for date in (light.hjd, light.bjd))
    dates = [
        ("run/0.fits", hjd, "computed", bjd, "computed"),
        ("run/1.fits", hjd, "computed", 2_459_846.5, "header"),
        # Where the start is a guess from another date, or a day, there is nothing to compute.
        ("run/2.fits", 2_459_846.5, "header", None, None),
        ("run/3.fits", None, None, None, None),
    ]
    assert stand_in.dates() == dates
    as_ingest_writes = "position_source = 'header', hjd = hjd + 1, bjd = NULL, bjd_source = NULL"
    query(stand_in.settings, f"UPDATE archive.products SET {as_ingest_writes} WHERE path = 'run/0.fits'")
    assert stand_in.dates() == dates
    # As solutions left them before they were dated.
    undated = "hjd = NULL, hjd_source = NULL, bjd = NULL, bjd_source = NULL WHERE path = 'run/0.fits'"
    query(stand_in.settings, f"UPDATE archive.products SET {undated}")
    assert stand_in.work() == 0
    assert stand_in.dates() == dates


def test_a_large_image_is_solved_from_a_smaller_copy(stand_in: StandIn) -> None:
    """The position holds for both; scale and reference pixel are those of the image."""
    stand_in.finds(FOUND | {"CRPIX1": 1000.5, "CRPIX2": 250.5})
    stand_in.ingest("a.fits", np.resize(PIXELS, (1500, 6000)))
    stand_in.work()
    position = (pytest.approx(84, abs=1e-3), pytest.approx(21, abs=1e-3))
    assert stand_in.row()[:4] == ("solution", *position, pytest.approx(2 / 3, rel=1e-4))
    assert stand_in.row()[6] is False
    ((header,),) = query(stand_in.settings, "SELECT header FROM archive.solutions")
    cards = fits.Header.fromstring(header, sep="\n")
    assert (cards["CRPIX1"], cards["CD2_2"]) == (3000.5, pytest.approx(2 / 3 / 3600))


def test_an_outline_that_the_database_does_not_take_is_left_out(stand_in: StandIn) -> None:
    stand_in.finds(FOUND | {"CRPIX1": 1000.5, "CRPIX2": 100.5})
    stand_in.ingest("a.fits", np.resize(PIXELS, (200, 2000)))
    stand_in.work()
    assert (stand_in.row()[0], stand_in.row()[6]) == ("solution", True)


def test_nothing_is_solved_unless_that_is_wanted(stand_in: StandIn) -> None:
    stand_in.ingest("a.fits")
    stand_in.work(solve=False)
    assert (stand_in.calls(), stand_in.outcomes()) == ([], {})
    assert Settings.model_fields["solve"].default is False


def test_only_images_of_the_sky_without_coordinates_are_solved(stand_in: StandIn) -> None:
    for kind in ("Bias", "Dark", "Flat", "Light"):
        stand_in.ingest(f"{kind}.fits", PIXELS + ord(kind[0]), IMAGETYP=kind)
    stand_in.ingest("wcs.fits", **TAN)
    stand_in.ingest("spectrum.fits", PIXELS[0], CTYPE1="WAVE", CUNIT1="nm", CRVAL1=400.0, CDELT1=0.1)
    stand_in.work()
    assert set(stand_in.outcomes()) == {"Light.fits"}


def test_the_header_says_where_to_look_first(stand_in: StandIn) -> None:
    stand_in.finds(None)
    stand_in.ingest("a.fits", **POINTING)
    assert stand_in.row()[0] == "header"
    stand_in.work(solve_radius=5.0)
    near, anywhere = stand_in.calls()
    given = dict(itertools.pairwise(near))
    assert (float(given["--ra"]), float(given["--dec"])) == (pytest.approx(83.6), pytest.approx(22.0))
    assert given["--radius"] == "5"
    scale = 9.0 / 1e6 / 1.0 * 206264.806
    assert float(given["--scale-low"]) < scale < float(given["--scale-high"])
    assert not {"--ra", "--dec", "--scale-low"} & set(anywhere)


def test_what_fails_is_kept_and_tried_again_with_other_settings_alone(stand_in: StandIn) -> None:
    stand_in.finds(None)
    stand_in.ingest("a.fits")
    for _ in range(3):
        stand_in.work()
    assert len(stand_in.calls()) == 1
    state, reason = stand_in.outcomes()["a.fits"]
    assert state == "failed"
    assert "No solution within 60 s" in str(reason)
    stand_in.finds(FOUND)
    stand_in.work(solve_seconds=120)
    assert len(stand_in.calls()) == 2
    assert stand_in.row()[0] == "solution"


def test_the_header_of_the_same_bytes_does_not_undo_a_solution(stand_in: StandIn) -> None:
    path = stand_in.ingest("a.fits", **POINTING)
    stand_in.work()
    solved = stand_in.row()
    # What ingest does with a file that it takes in once more.
    query(
        stand_in.settings,
        "UPDATE archive.products SET sha256 = sha256, position_source = 'header', s_ra = 1, s_dec = 1,"
        " s_region = NULL, region = NULL, s_pixel_scale = NULL",
    )
    assert stand_in.row() == solved
    write_image(path, PIXELS + 1, **POINTING)
    stand_in.finds(FOUND | {"CRVAL1": 90.0})
    ingest([stand_in.settings.data], stand_in.settings)
    assert stand_in.row()[:2] == ("header", pytest.approx(83.6))
    stand_in.work()
    assert stand_in.row()[:2] == ("solution", pytest.approx(90))
    stand_in.ingest("a.fits", PIXELS + 2, **TAN)
    assert stand_in.row()[:2] == ("wcs", pytest.approx(10, abs=1))


def test_no_more_than_so_many_an_hour(stand_in: StandIn) -> None:
    for number in range(3):
        stand_in.ingest(f"{number}.fits", PIXELS + number)
    stand_in.work(solve_per_hour=2)
    stand_in.work(solve_per_hour=2)
    assert len(stand_in.calls()) == 2
    waiting = query(
        stand_in.settings,
        "SELECT due BETWEEN now() + interval '50 min' AND now() + interval '1 h' FROM archive.analysis_queue",
    )
    assert waiting == [(True,)]
    # Its preview did not wait.
    counted = query(stand_in.settings, "SELECT count(*) FROM archive.analyses WHERE kind = 'preview'")
    assert counted == [(3,)]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"CTYPE1": "RA---TAN"}, "have no CTYPE2"),
        (FOUND | {"CD1_1": 0.0, "CD2_2": 0.0}, "no size"),
        (None, "No solution"),
    ],
)
def test_a_strange_answer_is_a_failure(stand_in: StandIn, answer: dict[str, Any] | None, said: str) -> None:
    stand_in.finds(answer)
    stand_in.ingest("a.fits")
    stand_in.work()
    state, reason = stand_in.outcomes()["a.fits"]
    assert state == "failed"
    assert said in str(reason)
    assert stand_in.row()[0] is None


@pytest.mark.parametrize("command", ["/nowhere/solve-field", sys.executable])
def test_a_program_that_is_none_is_a_failure(stand_in: StandIn, command: str) -> None:
    stand_in.ingest("a.fits")
    stand_in.work(solve_command=command)
    state, reason = stand_in.outcomes()["a.fits"]
    assert state == "failed"
    assert str(reason).startswith("The solver failed:")


# The real program, on a real frame that lies beside a checkout and is not part of it.
@pytest.mark.parametrize("path", [path for path in (REAL,) if path.exists()], ids=lambda path: path.name)
def test_a_real_frame_is_solved_by_the_real_program(settings: Settings, looker: Looker, path: Path) -> None:
    (settings.data / "run").mkdir()
    shutil.copyfile(path, settings.data / "run/a.fits")
    chosen = settings.model_copy(update={"solve": True, "solve_seconds": 300})
    ingest([settings.data], chosen)
    before = {entry: entry.stat().st_mtime_ns for entry in settings.data.rglob("*")}
    Analyst(chosen, Tools(looker, solution)).work()
    found = query(
        chosen,
        "SELECT position_source, s_ra, s_dec, s_pixel_scale, s_orientation, s_parity, s_fov,"
        " area(region) * degrees(1) * degrees(1) FROM archive.products",
    )[0]
    # As solved and published with the frame: CRVAL and CD of its solved twin.
    assert found[0] == "solution"
    assert found[1:3] == (pytest.approx(303.2079, abs=0.003), pytest.approx(46.0193, abs=0.003))
    assert found[3:6] == (pytest.approx(10.29, abs=0.02), pytest.approx(89.3, abs=0.5), 1)
    assert found[6:] == (pytest.approx(2.83, abs=0.02), pytest.approx(4.0, abs=0.05))
    assert {entry: entry.stat().st_mtime_ns for entry in settings.data.rglob("*")} == before
