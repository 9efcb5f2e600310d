"""Bands of spectra and frames of videos over HTTP."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.io import fits
from astropy.io.votable import parse

from tests.conftest import Service, execute
from tests.soda.conftest import ingested
from tests.soda.test_cutouts import ask, opened

RUN = "spectra"
WAVES = 4000.0 + 2.0 * np.arange(500)
FRAMES, WIDTH, HEIGHT = 20, 8, 6
TICK, START = 10_000_000, 639_100_000_000_000_000
CARDS = {"OBJECT": "a star", "EXPTIME": 10.0, "DATE-OBS": "2026-02-14T20:00:00", "INSTRUME": "slit"}


def _columns(shape: tuple[int, ...]) -> list[fits.Column]:
    form = "D" if len(shape) == 1 else f"{shape[1]}D"
    waves = WAVES.reshape(shape)
    return [
        fits.Column("WAVE", form, unit="Angstrom", array=waves),
        fits.Column("FLUX", form, array=waves / 10),
        fits.Column("NAME", "4A", array=["star"] * shape[0]),
    ]


def _variable(count: int) -> fits.HDUList:
    """Return spectra in arrays of variable length, one a row; before them is what no spectrum refers to."""

    def arrays(*values: np.ndarray) -> np.ndarray:
        made = np.empty(count, object)
        made[:] = values[:count]
        return made

    columns = [
        fits.Column("WAVE", "PD()", unit="Angstrom", array=arrays(WAVES, WAVES[:9])),
        fits.Column("FLUX", "QE()", array=arrays((WAVES / 10).astype("f4"), WAVES[:9].astype("f4"))),
        fits.Column("MASK", "PL()", array=arrays(WAVES > 4150, np.ones(9, bool))),
        fits.Column("PAIR", "2J", array=[[1, 2]] * count),
        fits.Column("NOTE", "PA()", array=arrays(np.array(list("noted")), np.array(list("none")))),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    return fits.HDUList([fits.PrimaryHDU(header=fits.Header(CARDS)), table])


def _ragged() -> fits.HDUList:
    """Return a spectrum in rows, each of which has an array of another length besides."""
    found = np.empty(len(WAVES), object)
    found[:] = [np.full(number % 4, number, "i4") for number in range(len(WAVES))]
    columns = [
        fits.Column("WAVE", "D", unit="Angstrom", array=WAVES),
        fits.Column("FLUX", "D", array=WAVES / 10),
        fits.Column("LINES", "PJ()", array=found),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    return fits.HDUList([fits.PrimaryHDU(header=fits.Header(CARDS)), table])


def _video() -> bytes:
    header = struct.pack(
        "<14s7i40s40s40s2q", b"LUCAM-RECORDER", 0, 0, 0, WIDTH, HEIGHT, 16, FRAMES,
        b"me", b"camera", b"tube", START + 36_000_000_000, START,
    )  # fmt: skip
    frames = np.arange(FRAMES * WIDTH * HEIGHT, dtype="<u2").tobytes()
    return header + frames + (START + TICK * np.arange(FRAMES, dtype="<i8")).tobytes()


def _write(root: Path) -> None:
    root.mkdir()
    primary = fits.PrimaryHDU(header=fits.Header(CARDS))
    for name, shape in (("rows", (500,)), ("arrays", (1, 500))):
        table = fits.BinTableHDU.from_columns(_columns(shape), name="SPECTRUM")
        table.add_checksum()
        fits.HDUList([primary, table]).writeto(root / f"{name}.fits")
    for name, count in (("heap", 1), ("several", 2)):
        _variable(count).writeto(root / f"{name}.fits")
    _ragged().writeto(root / "ragged.fits")
    axis = {"CTYPE1": "WAVE", "CUNIT1": "Angstrom", "CRVAL1": WAVES[0], "CDELT1": 2.0, "CRPIX1": 1.0}
    line = fits.PrimaryHDU((WAVES / 10).astype("f4"), fits.Header(CARDS | axis))
    line.writeto(root / "line.fits")
    (root / "moon.ser").write_bytes(_video())


@pytest.fixture(scope="module")
def spectra(service: Service) -> Iterator[dict[str, str]]:
    """The identifiers of the files, by their names."""
    with ingested(service, RUN, _write) as found:
        yield found


@pytest.mark.parametrize("name", ["rows", "arrays"])
def test_a_band_of_a_table(service: Service, spectra: dict[str, str], name: str) -> None:
    primary, table = opened(ask(service, spectra[f"{name}.fits"], BAND="4100e-10 4199.9e-10"))
    assert primary.header["OBJECT"] == "a star"
    expected = WAVES[(WAVES >= 4100) & (WAVES <= 4199.9)]
    np.testing.assert_array_equal(np.ravel(table.data["WAVE"]), expected)
    np.testing.assert_array_equal(np.ravel(table.data["FLUX"]), expected / 10)
    assert set(table.data["NAME"]) == {"star"}
    assert "CHECKSUM" not in table.header
    assert spectra[f"{name}.fits"] in "".join(table.header["HISTORY"]).replace(" ", "")


def test_a_band_of_arrays_of_variable_length(service: Service, spectra: dict[str, str]) -> None:
    _, table = opened(ask(service, spectra["heap.fits"], BAND="4100e-10 4199.9e-10"))
    expected = WAVES[(WAVES >= 4100) & (WAVES <= 4199.9)]
    np.testing.assert_array_equal(table.data["WAVE"][0], expected)
    np.testing.assert_array_equal(table.data["FLUX"][0], (expected / 10).astype("f4"))
    np.testing.assert_array_equal(table.data["PAIR"], [[1, 2]])
    assert "".join(table.data["NOTE"][0]) == "noted"
    np.testing.assert_array_equal(table.data["MASK"][0], expected > 4150)
    # What was cut away is not in the heap any more: 13 bytes for each wavelength, and the note.
    assert table.header["PCOUNT"] == 13 * len(expected) + 5


def test_a_band_of_rows_with_arrays_of_variable_length(service: Service, spectra: dict[str, str]) -> None:
    _, table = opened(ask(service, spectra["ragged.fits"], BAND="4100e-10 4108.1e-10"))
    np.testing.assert_array_equal(table.data["WAVE"], [4100, 4102, 4104, 4106, 4108])
    for number, lines in zip(range(50, 55), table.data["LINES"], strict=True):
        np.testing.assert_array_equal(lines, [number] * (number % 4))


def test_several_spectra_in_a_table_are_refused(service: Service, spectra: dict[str, str]) -> None:
    answer = ask(service, spectra["several.fits"], BAND="4100e-10 4199.9e-10")
    assert answer.status_code == 400
    assert "several spectra: the column WAVE" in answer.text


def test_a_band_of_an_image_with_one_axis(service: Service, spectra: dict[str, str]) -> None:
    (line,) = opened(ask(service, spectra["line.fits"], BAND="4100.5e-10 4199.5e-10"))
    first = line.header["CRVAL1"] + (1 - line.header["CRPIX1"]) * line.header["CDELT1"]
    assert first == 4100
    np.testing.assert_allclose(line.data, (first + 2 * np.arange(len(line.data))) / 10, rtol=1e-6)
    assert 50 <= len(line.data) <= 51


@pytest.mark.parametrize("name", ["rows.fits", "arrays.fits", "line.fits"])
def test_bands_beyond_a_spectrum(service: Service, spectra: dict[str, str], name: str) -> None:
    assert ask(service, spectra[name], BAND="1e-6 2e-6").status_code == 204


def test_a_spectrum_is_no_picture_and_has_no_frames(service: Service, spectra: dict[str, str]) -> None:
    for parameters in ({"RESPONSEFORMAT": "png"}, {"FRAMES": "1 2"}, {"CIRCLE": "1 2 3"}):
        answer = ask(service, spectra["rows.fits"], **parameters)
        assert (answer.status_code, answer.text.split(":")[0]) == (400, "UsageError")


def _frames(content: bytes) -> tuple[list[int], list[int], tuple[int, int]]:
    """Return the numbers of the frames in a video, their times [ticks], and those of its header."""
    fields = struct.unpack_from("<14s7i40s40s40s2q", content)
    count, size = fields[7], WIDTH * HEIGHT
    pixels = np.frombuffer(content, "<u2", count * size, 178).reshape(count, size)
    times = np.frombuffer(content, "<i8", count, 178 + 2 * count * size)
    assert len(content) == 178 + 2 * count * size + 8 * count
    np.testing.assert_array_equal(pixels - pixels[:, :1], np.arange(size) * np.ones((count, 1)))
    return (pixels[:, 0] // size).tolist(), times.tolist(), fields[11:]


def test_frames_of_a_video(service: Service, spectra: dict[str, str]) -> None:
    answer = ask(service, spectra["moon.ser"], FRAMES="4 7")
    assert answer.headers["Content-Type"] == "video/x-ser"
    assert answer.headers["Content-Disposition"].endswith('cutout.ser"')
    numbers, times, (local, utc) = _frames(answer.content)
    assert numbers == [3, 4, 5, 6]
    assert times == [START + TICK * number for number in numbers]
    assert (local, utc) == (times[0] + 36_000_000_000, times[0])


def test_a_video_by_time(service: Service, spectra: dict[str, str]) -> None:
    query = "SELECT t_min FROM archive.products WHERE path = 'spectra/moon.ser'"
    ((begin,),) = execute(service.settings.dsn("ost_owner"), query)
    day = 86_400
    answer = ask(service, spectra["moon.ser"], TIME=f"{begin + 4.5 / day!r} {begin + 8.5 / day!r}")
    assert _frames(answer.content)[0] == [5, 6, 7, 8]
    assert ask(service, spectra["moon.ser"], TIME=f"{begin + 1} {begin + 2}").status_code == 204


@pytest.mark.parametrize(("frames", "status"), [("21 30", 204), ("18 99", 200), ("0 3", 400), ("7 3", 400)])
def test_frames_that_a_video_has_not(
    service: Service, spectra: dict[str, str], frames: str, status: int
) -> None:
    answer = ask(service, spectra["moon.ser"], FRAMES=frames)
    assert answer.status_code == status
    if status == 200:
        assert _frames(answer.content)[0] == [17, 18, 19]


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("rows.fits", {"ID", "BAND", "RESPONSEFORMAT"}),
        ("line.fits", {"ID", "BAND", "RESPONSEFORMAT"}),
        ("moon.ser", {"ID", "FRAMES", "TIME"}),
    ],
)
def test_links_describe_what_can_be_cut(
    service: Service, spectra: dict[str, str], name: str, inputs: set[str]
) -> None:
    answer = requests.get(f"{service.url}/datalink/links", params={"ID": spectra[name]}, timeout=60)
    document = parse(io.BytesIO(answer.content), verify="exception")
    (row,) = (row for row in document.get_first_table().array if row["semantics"] == "#cutout")
    (described,) = (resource for resource in document.resources if row["service_def"] == resource.ID)
    assert {param.name for param in described.groups[0].entries} == inputs
