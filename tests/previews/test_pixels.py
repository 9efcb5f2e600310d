"""What is seen in files of every kind, drawn small, and what their pixels measure."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from PIL import Image

from ost_vo.services.looks import Findings, Task
from pixels.apart import Looker
from tests.ingest.photographs import STRIP_SIZES, STRIPS, Tiff
from tests.previews.conftest import write_image

# What a look may take: on a busy machine, too.
SECONDS = 300
Pixels = NDArray[Any]
Show = Callable[..., tuple[Findings, Pixels]]


@pytest.fixture
def show(looker: Looker, tmp_path: Path) -> Show:
    """Looks at a file; returns what came of it, and the preview, (rows, columns) or with colours."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def look(path: Path, product_type: str | None = "image") -> tuple[Findings, Pixels]:
        found = looker.look(Task(str(path), product_type, str(scratch), SECONDS, 512 << 20))
        if found.state != "done":
            return found, np.empty(0)
        with Image.open(scratch / "thumbnail.png") as small:
            assert max(small.size) <= 192
        with Image.open(scratch / "preview.png") as large:
            assert large.format == "PNG"
            assert max(large.size) <= 1024
            return found, np.asarray(large)

    return look


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(1).normal(1000, 10, shape)


def test_small_images_stay_as_they_are_with_the_first_row_at_the_bottom(tmp_path: Path, show: Show) -> None:
    pixels = noise(40, 60)
    pixels[2:5, 5:8] = 5000
    found, preview = show(write_image(tmp_path / "a.fits", pixels.astype("float32")))
    assert found.state == "done"
    assert preview.shape == (40, 60)
    assert preview[35:38, 5:8].min() > 250
    assert preview.mean() < 200


def test_large_images_become_small(tmp_path: Path, show: Show) -> None:
    _, preview = show(write_image(tmp_path / "a.fits", noise(1500, 3000).astype("int16")))
    assert preview.shape == (512, 1024)


@pytest.mark.parametrize("packing", ["plain", "gzip", "tiles", "large tiles"])
def test_packings_do_not_show(tmp_path: Path, show: Show, packing: str) -> None:
    pixels = noise(300, 200).astype("int16")
    pixels[100:130, 50:60] = 3000
    expected = show(write_image(tmp_path / "plain.fits", pixels, BZERO=32768))
    if packing == "plain":
        path = write_image(tmp_path / "a.fits", pixels, BZERO=32768)
    elif packing == "gzip":
        path = write_image(tmp_path / "a.fits.gz", pixels, BZERO=32768)
    else:
        tile = (1, 200) if packing == "tiles" else (70, 90)
        path = tmp_path / "a.fits.fz"
        unit = fits.CompImageHDU(pixels, fits.Header({"BZERO": 32768}), tile_shape=tile)
        fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
    found, preview = show(path)
    assert found == expected[0]
    assert (preview == expected[1]).all()


def test_pixels_without_a_value_are_black_and_do_not_count(tmp_path: Path, show: Show) -> None:
    pixels = noise(100, 100).astype("float32")
    pixels[:50] = np.nan
    found, preview = show(write_image(tmp_path / "a.fits", pixels))
    assert not preview[50:].any()
    assert preview[:50].mean() > 50
    assert found.statistics is not None
    assert found.statistics.pixels == 5000


def test_blank_integers_have_no_value(tmp_path: Path, show: Show) -> None:
    pixels = noise(100, 100).astype("int16")
    pixels[:, :30] = -5
    found, _ = show(write_image(tmp_path / "a.fits", pixels, BLANK=-5))
    assert found.statistics is not None
    assert found.statistics.minimum > 900


def test_an_image_without_any_value_is_not_shown(tmp_path: Path, show: Show) -> None:
    found, _ = show(write_image(tmp_path / "a.fits", np.full((10, 10), np.nan)))
    assert (found.state, found.reason) == ("none", "No pixel of the image has a value.")


def test_one_column_of_dead_pixels_does_not_decide_over_the_rest(tmp_path: Path, show: Show) -> None:
    pixels = noise(200, 200)
    pixels[:, 100:102] = 60_000
    pixels[50:60, 50:60] += 100
    _, preview = show(write_image(tmp_path / "a.fits", pixels.astype("float32")))
    assert preview[140:150, 50:60].mean() > preview[:100].mean() + 30


def test_three_planes_are_colours(tmp_path: Path, show: Show) -> None:
    pixels = np.stack([noise(50, 50), noise(50, 50), noise(50, 50)])
    pixels[0, 10:20, 10:20] += 500
    _, preview = show(write_image(tmp_path / "a.fits", pixels.astype("int16")))
    red, green, _ = preview[30:40, 10:20].reshape(-1, 3).mean(axis=0)
    assert preview.shape == (50, 50, 3)
    assert red > green + 100


def test_a_bayer_frame_is_grey_and_halved(tmp_path: Path, show: Show) -> None:
    pixels = noise(80, 100)
    pixels[::2, ::2] *= 2
    _, preview = show(write_image(tmp_path / "a.fits", pixels.astype("uint16"), BAYERPAT="RGGB"))
    assert preview.shape == (40, 50)
    assert preview[:, ::2].mean() == pytest.approx(preview[:, 1::2].mean(), rel=0.1)


def test_a_cube_is_collapsed(tmp_path: Path, show: Show) -> None:
    pixels = np.zeros((20, 30, 40), "float32")
    for channel in range(20):
        pixels[channel, channel, channel] = 100
    _, preview = show(write_image(tmp_path / "a.fits", pixels, CTYPE3="FREQ"), "cube")
    lit = preview[::-1] > 0
    assert lit.sum() == 20
    assert lit.diagonal()[:20].all()


def test_the_largest_image_of_a_file_is_shown(tmp_path: Path, show: Show) -> None:
    path = tmp_path / "a.fits"
    units = [fits.PrimaryHDU(), fits.ImageHDU(noise(10, 10)), fits.ImageHDU(noise(60, 50))]
    fits.HDUList([*units, fits.ImageHDU(noise(90, 90), name="DQ")]).writeto(path)
    assert show(path)[1].shape == (60, 50)


def test_a_spectrum_is_plotted(tmp_path: Path, show: Show) -> None:
    cards = {"CTYPE1": "WAVE", "CUNIT1": "Angstrom", "CRVAL1": 4000.0, "CDELT1": 0.5, "BUNIT": "$erg"}
    _, preview = show(write_image(tmp_path / "a.fits", noise(20_000).astype("float32"), **cards), "spectrum")
    assert preview.shape[:2] == (576, 1024)
    assert (preview[..., :3].min(axis=2) < 128).sum() > 1000


@pytest.mark.parametrize("rows", [1, 500])
def test_a_spectrum_in_a_table_is_plotted(tmp_path: Path, show: Show, rows: int) -> None:
    wave, flux = np.linspace(400, 700, 500), noise(500)
    form = "500D" if rows == 1 else "D"
    columns = [
        fits.Column("WAVE", form, unit="nm", array=wave.reshape(rows, -1) if rows == 1 else wave),
        fits.Column("FLUX", form, unit="Jy", array=flux.reshape(rows, -1) if rows == 1 else flux),
    ]
    path = tmp_path / "a.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    assert show(path, "spectrum")[1].shape[:2] == (576, 1024)


def test_a_table_of_other_things_is_not_shown(tmp_path: Path, show: Show) -> None:
    path = tmp_path / "a.fits"
    fits.BinTableHDU.from_columns([fits.Column("ID", "J", array=np.arange(5))]).writeto(path)
    found, _ = show(path, "measurements")
    assert (found.state, found.statistics) == ("none", None)


@pytest.mark.parametrize(("colour", "depth"), [(0, 8), (0, 16), (8, 8), (100, 8)])
def test_the_middle_frame_of_a_video_is_shown(tmp_path: Path, show: Show, colour: int, depth: int) -> None:
    planes = 3 if colour == 100 else 1
    frames = np.zeros((5, 40, 60, planes), "u1" if depth == 8 else "<u2")
    frames[2] = np.arange(60)[None, :, None]
    frames[2, :10] += 100
    names = [b" " * 40] * 3
    header = struct.pack("<14s7i40s40s40s2q", b"LUCAM-RECORDER", 0, colour, 0, 60, 40, depth, 5, *names, 0, 0)
    path = tmp_path / "a.ser"
    path.write_bytes(header + frames.tobytes())
    found, preview = show(path, "cube")
    step = 2 if colour == 8 else 1
    assert preview.shape == (40 // step, 60 // step, *([3] if planes == 3 else []))
    assert preview[: 9 // step].mean() > preview[20 // step :].mean()
    assert found.statistics is None


def jpeg(width: int, height: int) -> bytes:
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(picture, "JPEG")
    return picture.getvalue()


def test_a_photograph_is_shown_as_it_is(tmp_path: Path, show: Show) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(3000, 2000))
    found, preview = show(path)
    assert preview.shape == (683, 1024, 3)
    assert preview[0].mean() < 10
    assert preview[-1].mean() > 240
    assert found.statistics is None


def test_a_deep_tiff_is_stretched(tmp_path: Path, show: Show) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(noise(100, 120).astype("uint16")).save(path)
    assert show(path)[1].std() > 20


def test_of_a_raw_photograph_the_cameras_own_picture_is_shown(tmp_path: Path, show: Show) -> None:
    picture = jpeg(1500, 1000)
    tags = {0x100: 6000, 0x101: 4000, 0x103: 6, STRIPS: 0, STRIP_SIZES: len(picture)}
    size = len(Tiff().write(tags))
    path = tmp_path / "a.cr2"
    path.write_bytes(Tiff().write(tags | {STRIPS: size}, pixels=picture))
    assert show(path)[1].shape == (683, 1024, 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.cr2", Tiff().write({0x100: 6000, 0x101: 4000})), ("a.avi", b"RIFF"), ("a.mrw", b"\0MRM")],
)
def test_files_without_a_picture_say_so(tmp_path: Path, show: Show, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found, _ = show(path)
    assert found.state == "none"
    assert found.reason


def xisf(pixels: Pixels, **attributes: str) -> bytes:
    image = {
        "geometry": f"{pixels.shape[2]}:{pixels.shape[1]}:{pixels.shape[0]}",
        "sampleFormat": "UInt16",
        "colorSpace": "RGB" if len(pixels) == 3 else "Gray",
        **attributes,
    }
    written = " ".join(f'{name}="{value}"' for name, value in image.items())
    header = f'<xisf xmlns="http://www.pixinsight.com/xisf" version="1.0"><Image {written}/></xisf>'.encode()
    return b"XISF0100" + struct.pack("<II", len(header), 0) + header


@pytest.mark.parametrize("packing", ["none", "zlib", "zlib+sh"])
def test_xisf(tmp_path: Path, show: Show, packing: str) -> None:
    import zlib

    pixels = np.stack([noise(30, 40).astype("<u2")] * 3)
    pixels[0, :5] += 800
    raw = pixels.tobytes()
    if packing == "zlib+sh":
        raw = pixels.reshape(-1).view("u1").reshape(-1, 2).T.tobytes()
    data = raw if packing == "none" else zlib.compress(raw)
    size = f"{packing}:{len(raw)}" + (":2" if packing.endswith("sh") else "")
    more = {} if packing == "none" else {"compression": size}
    path = tmp_path / "a.xisf"
    path.write_bytes(xisf(pixels, location=f"attachment:1000:{len(data)}", **more).ljust(1000, b"\0") + data)
    found, preview = show(path)
    assert preview.shape == (30, 40, 3)
    assert preview[:5, :, 0].mean() > preview[:5, :, 1].mean() + 50
    assert found.statistics is not None


def test_statistics_are_those_of_the_values(tmp_path: Path, show: Show) -> None:
    pixels = noise(200, 300).round()
    pixels[:30] = 65535
    pixels[50, :9] = 3000
    found, _ = show(write_image(tmp_path / "a.fits", pixels.astype("uint16")))
    statistics = found.statistics
    assert statistics is not None
    assert statistics.median == np.median(pixels)
    assert statistics.mean == pytest.approx(pixels.mean())
    assert statistics.std == pytest.approx(pixels.std())
    assert statistics.mad == np.median(np.abs(pixels - np.median(pixels)))
    assert (statistics.minimum, statistics.maximum) == (pixels.min(), 65535)
    assert statistics.saturated == pytest.approx(0.15)
    assert statistics.bright == pytest.approx(0.15 + 9 / 60_000)
    assert statistics.full_scale == 65535


def test_a_file_that_is_cut_off_fails_and_says_why(tmp_path: Path, show: Show) -> None:
    path = write_image(tmp_path / "a.fits", noise(100, 100))
    os.truncate(path, 20_000)
    found, _ = show(path)
    assert found.state == "failed"
    assert "ends before its last pixel" in str(found.reason)


def test_a_large_frame_needs_little_memory(tmp_path: Path, looker: Looker) -> None:
    """122 MB, as of the largest camera: of which a few strips are held at a time."""
    path = tmp_path / "a.fits"
    header = fits.PrimaryHDU(np.zeros((1, 1), "int16")).header
    header["NAXIS1"], header["NAXIS2"] = 9576, 6388
    path.write_bytes(header.tostring().encode())
    os.truncate(path, path.stat().st_size + 9576 * 6388 * 2)
    found = looker.look(Task(str(path), "image", str(tmp_path), SECONDS, 120 << 20))
    assert (found.state, found.reason) == ("done", None)


def test_what_needs_too_much_memory_fails_alone(tmp_path: Path, looker: Looker) -> None:
    path = tmp_path / "a.fits.fz"
    unit = fits.CompImageHDU(np.zeros((6000, 6000), "int32"), tile_shape=(6000, 6000))
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
    found = looker.look(Task(str(path), "image", str(tmp_path), SECONDS, 64 << 20))
    assert (found.state, found.reason) == ("failed", "It needs more than 64 MiB of memory.")


def test_what_takes_too_long_fails_alone(tmp_path: Path, looker: Looker) -> None:
    # Nobody ever writes into this pipe.
    os.mkfifo(tmp_path / "a.fits")
    found = looker.look(Task(str(tmp_path / "a.fits"), "image", str(tmp_path), 1, 64 << 20))
    assert (found.state, found.reason) == ("failed", "It took longer than 1 s.")
    fine = write_image(tmp_path / "b.fits", noise(10, 10))
    assert looker.look(Task(str(fine), "image", str(tmp_path), SECONDS, 64 << 20)).state == "done"
