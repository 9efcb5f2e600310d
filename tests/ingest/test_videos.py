"""AVI and QuickTime movies: size and length from the header, and hardly a time."""

from __future__ import annotations

import os
import struct
from datetime import datetime
from pathlib import Path

import pytest
from astropy.time import Time

from ingest.unpacking import Unreadable
from tests.ingest.frames import description, reasons
from tests.ingest.photographs import box

CREATED = datetime(2022, 7, 1, 22, 0, 0)
SINCE_1904 = int((CREATED - datetime(1904, 1, 1)).total_seconds())
MODIFIED = "2022-07-01T22:00:10"


def chunk(kind: bytes, content: bytes, list_kind: bytes = b"") -> bytes:
    """Return a chunk of an AVI file, or a list of chunks."""
    body = list_kind + content
    return (b"LIST" if list_kind else kind) + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def avi(
    frames: int = 100, micros: int = 50_000, size: tuple[int, int] = (640, 480), more: bytes = b""
) -> bytes:
    """Return an AVI file of empty frames."""
    main = chunk(b"avih", struct.pack("<14I", micros, 0, 0, 0, frames, 0, 1, 0, *size, 0, 0, 0, 0))
    body = b"AVI " + chunk(b"", main + more, b"hdrl") + chunk(b"", bytes(100), b"movi")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def movie(
    created: int = SINCE_1904, seconds: int = 10, size: tuple[int, int] = (1920, 1080), version: int = 0
) -> bytes:
    """Return a movie with a sound track and a picture track of 250 frames, its index at the end."""
    layout = ">B3x4I" if version == 0 else ">B3x2QIQ"
    header = box(b"mvhd", struct.pack(layout, version, created, created, 600, 600 * seconds) + bytes(80))
    sound = box(b"trak", box(b"tkhd", bytes(84)))
    samples = box(b"stsz", struct.pack(">III", 0, 0, 250))
    index = box(b"mdia", box(b"minf", box(b"stbl", samples)))
    picture = box(b"trak", box(b"tkhd", bytes(76) + struct.pack(">II", *(n << 16 for n in size))) + index)
    return box(b"ftyp", b"qt  ") + box(b"mdat", bytes(500)) + box(b"moov", header + sound + picture)


def write(path: Path, content: bytes) -> Path:
    """Write a file that was changed last at a known time."""
    path.write_bytes(content)
    os.utime(path, (Time(MODIFIED).unix,) * 2)
    return path


def test_avi_has_its_file_s_time_only(tmp_path: Path) -> None:
    found = description(write(tmp_path / "moon.avi", avi()))
    metadata = found.metadata
    assert (metadata.dataproduct_type, metadata.dataproduct_subtype, metadata.calib_level) == (
        "cube",
        "video",
        0,
    )
    assert (metadata.media_type, metadata.o_ucd, metadata.obs_id) == ("video/x-msvideo", "phot", "run/moon")
    assert (metadata.s_xel1, metadata.s_xel2, metadata.t_xel) == (640, 480, 100)
    assert metadata.t_exptime == 5.0
    assert metadata.t_max == pytest.approx(Time(MODIFIED).mjd, abs=1e-9)
    assert metadata.t_min == pytest.approx(Time("2022-07-01T22:00:05").mjd, abs=1e-9)
    assert reasons(found)["DATE-OBS"].startswith("Only the file's own time is known")
    assert "TotalFrames = 100" in found.headers[0][1]


def test_frames_of_all_parts_of_a_large_avi(tmp_path: Path) -> None:
    more = chunk(b"", chunk(b"dmlh", struct.pack("<I", 400)), b"odml")
    assert description(write(tmp_path / "a.avi", avi(more=more))).metadata.t_exptime == 20.0


@pytest.mark.parametrize(("frames", "micros"), [(0, 50_000), (2**32 - 1, 2**32 - 1)])
def test_length_that_cannot_be_true_is_left_open(tmp_path: Path, frames: int, micros: int) -> None:
    found = description(write(tmp_path / "a.avi", avi(frames, micros)))
    assert (found.metadata.t_exptime, found.metadata.t_min) == (None, found.metadata.t_max)
    assert reasons(found)["EXPTIME"] == "The header does not say how long the video is."


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(("name", "media_type"), [("a.mov", "video/quicktime"), ("a.MP4", "video/mp4")])
def test_movie_says_when_it_was_created(tmp_path: Path, name: str, media_type: str, version: int) -> None:
    found = description(write(tmp_path / name, movie(version=version)))
    metadata = found.metadata
    assert (metadata.dataproduct_type, metadata.media_type, metadata.calib_level) == ("cube", media_type, 0)
    assert (metadata.s_xel1, metadata.s_xel2, metadata.t_xel) == (1920, 1080, 250)
    assert metadata.t_exptime == 10.0
    assert metadata.t_min == pytest.approx(Time(CREATED).mjd, abs=1e-9)
    assert reasons(found)["DATE-OBS"].startswith("Is when the movie was created by its header")
    assert "Frames = 250" in found.headers[0][1]


@pytest.mark.parametrize("created", [0, 5])
def test_movie_without_a_time_has_its_file_s(tmp_path: Path, created: int) -> None:
    found = description(write(tmp_path / "a.mov", movie(created)))
    assert found.metadata.t_max == pytest.approx(Time(MODIFIED).mjd, abs=1e-9)
    assert reasons(found)["DATE-OBS"].startswith("Only the file's own time is known")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.avi", b"", "The file is empty."),
        ("a.avi", b"RIFF\0\0\0\0WAVE", "Not an AVI video"),
        ("a.avi", avi()[:-1], "Truncated: the AVI data need"),
        ("a.avi", avi().replace(b"hdrl", b"xxxx"), "Damaged: the AVI file has no header list."),
        ("a.avi", avi().replace(b"avih", b"xxxx"), "Damaged: the AVI file has no main header."),
        ("a.avi", avi(size=(0, 480)), "The AVI header gives frames of 0 x 480 pixels."),
        ("a.mov", b"", "The file is empty."),
        ("a.mov", b"RIFF\0\0\0\0WAVE", "Not a QuickTime or MPEG-4 movie"),
        ("a.mov", movie()[:300], "Truncated or damaged: the box 'mdat'"),
        ("a.mov", movie()[:-1], "Truncated or damaged: the box 'moov'"),
        ("a.mov", box(b"ftyp", b"qt  ") + box(b"mdat", b""), "The movie has no index (moov)"),
        ("a.mov", movie().replace(b"mvhd", b"xxxx"), "Damaged: the movie has no header (mvhd)."),
        ("a.mov", movie(size=(0, 0)), "No data: the movie has no track with pictures."),
    ],
)
def test_file_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        description(write(tmp_path / name, content))
    assert caught.value.detail.startswith(reason)
