"""Photographs: what EXIF says, when they were taken, and files that are damaged or meant to do damage."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from astropy.time import Time

from ingest.unpacking import Unreadable
from tests.ingest.frames import description, reasons
from tests.ingest.photographs import (
    BITS,
    CAMERA,
    DATE,
    DIGITIZED,
    EXIF,
    EXIF_HEIGHT,
    EXIF_WIDTH,
    EXPOSURE,
    FORMAT,
    FRACTION,
    HEIGHT,
    ISO,
    ISO_INDEX,
    MAKE,
    MODEL,
    SHOT,
    STRIP_SIZES,
    STRIPS,
    SUB,
    TAKEN,
    WIDTH,
    ZONE,
    Tiff,
    Value,
    canon_boxes,
    jpeg,
    minolta,
    segment,
    tiff,
)

WRITERS: dict[str, Callable[[dict[int, Value]], bytes]] = {
    "a.tif": tiff,
    "a.TIFF": lambda exif: tiff(exif, order=">"),
    "a.cr2": tiff,
    "a.nef": lambda exif: tiff(exif, order=">"),
    "a.dng": tiff,
    "a.orf": lambda exif: tiff(exif, magic=0x4F52),
    "a.jpg": jpeg,
    "a.JPEG": jpeg,
    "a.mrw": minolta,
    "a.cr3": canon_boxes,
}


def write(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_exif(tmp_path: Path, name: str) -> None:
    found = description(write(tmp_path / name, WRITERS[name](SHOT)))
    metadata = found.metadata
    assert (metadata.dataproduct_type, metadata.calib_level, metadata.obs_id) == ("image", 0, "run/a")
    assert (metadata.s_xel1, metadata.s_xel2) == (6, 4)
    assert (metadata.instrument_name, metadata.software) == ("Canon EOS 60D", "1.1.1")
    assert (metadata.observer, metadata.gain, metadata.focal_length) == ("Jürgen", 800.0, 400.0)
    assert metadata.t_exptime == 30.0
    assert metadata.t_min == pytest.approx(Time("2022-07-01T21:30:00").mjd, abs=1e-9)
    assert metadata.t_max == pytest.approx(Time("2022-07-01T21:30:30").mjd, abs=1e-9)
    assert reasons(found) == {}


@pytest.mark.parametrize(
    ("name", "media_type", "subtype", "ucd"),
    [
        ("a.jpg", "image/jpeg", "photograph", "phot"),
        ("a.tif", "image/tiff", "photograph", "phot"),
        ("a.cr2", "image/x-canon-cr2", "raw photograph", "phot.count"),
        ("a.nef", "image/x-nikon-nef", "raw photograph", "phot.count"),
        ("a.dng", "image/x-adobe-dng", "raw photograph", "phot.count"),
    ],
)
def test_kind(tmp_path: Path, name: str, media_type: str, subtype: str, ucd: str) -> None:
    metadata = description(write(tmp_path / name, WRITERS[name](SHOT))).metadata
    assert (metadata.media_type, metadata.dataproduct_subtype, metadata.o_ucd) == (media_type, subtype, ucd)
    assert metadata.obs_title == f"{subtype}, 30 s"


def test_tags_are_kept_as_text(tmp_path: Path) -> None:
    ((_, text),) = description(write(tmp_path / "a.tif", tiff(SHOT | {0x927C: b"\0" * 50}))).headers
    lines = text.split("\n")
    assert lines[0] == "Size = 6 x 4"
    assert "Image 0 Model = Canon EOS 60D" in lines
    assert "Exif ExposureTime = 30" in lines
    assert "Exif 0x927c = 50 bytes" in lines


@pytest.mark.parametrize(
    ("exif", "start"),
    [
        ({TAKEN: "2022:01:15 22:00:00"}, "2022-01-15T21:00:00"),
        ({TAKEN: "2022:07:15 22:00:00"}, "2022-07-15T20:00:00"),
        ({TAKEN: "2022:03:27 01:59:59"}, "2022-03-27T00:59:59"),
        ({TAKEN: "2022:03:27 03:00:00"}, "2022-03-27T01:00:00"),
        ({TAKEN: "2022:10:30 01:59:59"}, "2022-10-29T23:59:59"),
        ({TAKEN: "2022:10:30 03:00:00"}, "2022-10-30T02:00:00"),
        ({TAKEN: "2022:07:15 22:00:00", ZONE: "+00:00"}, "2022-07-15T22:00:00"),
        ({TAKEN: "2022:07:15 22:00:00", ZONE: "-03:30"}, "2022-07-16T01:30:00"),
        ({TAKEN: "2022:10:30 02:30:00", ZONE: "+01:00"}, "2022-10-30T01:30:00"),
        ({TAKEN: "2022:07:15 22:00:00", FRACTION: "25"}, "2022-07-15T20:00:00.25"),
        ({TAKEN: "0000:00:00 00:00:00", DIGITIZED: "2022:07:15 22:00:00"}, "2022-07-15T20:00:00"),
    ],
)
def test_time_of_the_observatory_s_clocks_becomes_utc(
    tmp_path: Path, exif: dict[int, Value], start: str
) -> None:
    found = description(write(tmp_path / "a.jpg", jpeg(exif)))
    assert found.metadata.t_min == pytest.approx(Time(start).mjd, abs=1e-9)
    assert reasons(found) == {}


@pytest.mark.parametrize(
    ("exif", "start", "keyword", "reason"),
    [
        ({TAKEN: "2022:10:30 02:30:00"}, "2022-10-30T00:30:00", "DateTimeOriginal", "was twice that night"),
        (
            {TAKEN: "2022:03:27 02:30:00"},
            "2022-03-27T01:30:00",
            "DateTimeOriginal",
            "was left out that night",
        ),
        ({TAKEN: "yesterday"}, None, "DateTimeOriginal", "'yesterday' is not a date and time."),
        ({TAKEN: "2022:13:45 02:30:00"}, None, "DateTimeOriginal", "is not a date and time."),
        ({TAKEN: "0001:01:01 00:00:00"}, None, "DATE-OBS", "which cannot be"),
        ({}, None, "DateTimeOriginal", "does not say when it was taken"),
    ],
)
def test_time_that_is_not_certain(
    tmp_path: Path, exif: dict[int, Value], start: str | None, keyword: str, reason: str
) -> None:
    found = description(write(tmp_path / "a.jpg", jpeg(exif)))
    assert found.metadata.t_min == (pytest.approx(Time(start).mjd, abs=1e-9) if start else None)
    assert reason in reasons(found)[keyword]


def test_time_of_editing_is_not_that_of_the_exposure(tmp_path: Path) -> None:
    found = description(write(tmp_path / "a.tif", tiff(main={DATE: "2023:01:01 12:00:00"})))
    assert found.metadata.t_min is None
    assert "'2023:01:01 12:00:00', when the file was changed last" in reasons(found)["DateTimeOriginal"]


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("SONY", "ILCE-7S", "SONY ILCE-7S"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("", "EOS 60D", "EOS 60D"),
        ("Canon", "", "Canon"),
    ],
)
def test_camera_is_named_with_its_maker(tmp_path: Path, make: str, model: str, name: str) -> None:
    content = jpeg(SHOT, {MAKE: make, MODEL: model})
    assert description(write(tmp_path / "a.jpg", content)).metadata.instrument_name == name


@pytest.mark.parametrize(
    ("exif", "gain"),
    [({ISO: 0}, None), ({ISO: 65535, ISO_INDEX: 102400}, 102400.0), ({ISO: 65535}, 65535.0), ({}, None)],
)
def test_sensitivity(tmp_path: Path, exif: dict[int, Value], gain: float | None) -> None:
    assert description(write(tmp_path / "a.jpg", jpeg(exif))).metadata.gain == gain


def test_raw_photograph_is_as_large_as_its_largest_picture(tmp_path: Path) -> None:
    main: dict[int, Value] = {WIDTH: 160, HEIGHT: 120}
    below = tiff(SHOT, main, sub={WIDTH: 5496, HEIGHT: 3670})
    exif = tiff(SHOT | {EXIF_WIDTH: 5184, EXIF_HEIGHT: 3456}, main)
    for content, size in ((below, (5496, 3670)), (exif, (5184, 3456))):
        metadata = description(write(tmp_path / "a.cr2", content)).metadata
        assert (metadata.s_xel1, metadata.s_xel2) == size
    assert description(write(tmp_path / "a.tif", below)).metadata.s_xel1 == 160


def test_format_is_told_by_the_content(tmp_path: Path) -> None:
    assert description(write(tmp_path / "a.tif", jpeg(SHOT))).metadata.t_exptime == 30.0


def test_sixteen_bits_and_floating_point_are_photographs_as_well(tmp_path: Path) -> None:
    for main in ({BITS: 16}, {BITS: 32, FORMAT: 3}):
        assert (
            description(write(tmp_path / "a.tif", tiff(main=dict(main)))).metadata.dataproduct_type == "image"
        )


def test_exif_that_is_damaged_is_a_discrepancy(tmp_path: Path) -> None:
    content = jpeg().replace(b"\xff\xc0", segment(0xE1, b"Exif\0\0nothing") + b"\xff\xc0")
    found = description(write(tmp_path / "a.jpg", content))
    assert reasons(found)["EXIF"].startswith("Cannot be read. Not TIFF")
    assert found.metadata.s_xel1 == 6


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The file is empty."),
        (b"nothing at all", "Neither JPEG nor TIFF nor a raw photograph"),
        (b"II\x2a\0", "Truncated: the TIFF header is not complete."),
        (b"II\x2a\0\x08\0\0\0", "Truncated: the first TIFF directory lies beyond the end of the file."),
        (Tiff().write({MAKE: "x"}), "No image: no directory gives its width and height."),
        (
            Tiff().write({WIDTH: 6, HEIGHT: 4, STRIPS: 500, STRIP_SIZES: 24}),
            "Truncated: the pixels of Image 0",
        ),
        (b"\xff\xd8", "Truncated or damaged: the JPEG data have no frame header"),
        (jpeg(SHOT)[:-2], "Truncated: the JPEG data have no end marker."),
        (b"\0MRM\0\0\0\0", "Truncated or damaged: the raw photograph of Minolta"),
        (canon_boxes(SHOT)[:-50], "Truncated or damaged: the box 'mdat'"),
        (canon_boxes(SHOT).replace(b"CMT", b"XXX"), "Damaged: the raw photograph of Canon has no EXIF data."),
    ],
)
def test_file_that_cannot_be_read(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        description(write(tmp_path / "a.cr2", content))
    assert caught.value.detail.startswith(reason)


def test_directories_in_a_circle_end(tmp_path: Path) -> None:
    content = Tiff().write({WIDTH: 6, HEIGHT: 4, EXIF: 8, SUB: 8})
    assert description(write(tmp_path / "a.tif", content)).metadata.s_xel1 == 6


def test_endless_chain_of_directories_ends(tmp_path: Path) -> None:
    first = struct.pack("<HHHIIHHIII", 2, WIDTH, 4, 1, 6, HEIGHT, 4, 1, 4, 38)
    chain = b"".join(struct.pack("<HI", 0, 38 + 6 * number) for number in range(1, 500))
    found = description(write(tmp_path / "a.tif", b"II\x2a\0\x08\0\0\0" + first + chain))
    assert reasons(found)["TIFF"] == "More than 64 directories: the rest is not read."


@pytest.mark.parametrize("count", [1, 255, 65_535, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", [0, 1, 2, 5, 12, 16, 255])
def test_values_that_claim_any_size(tmp_path: Path, kind: int, count: int) -> None:
    entry = struct.pack("<HHII", 0x9999, kind, count, 8)
    content = Tiff().write({WIDTH: 6, HEIGHT: 4})
    content = content[:8] + struct.pack("<H", 3) + content[10:34] + entry + bytes(4)
    assert description(write(tmp_path / "a.tif", content)).metadata.s_xel1 == 6


def test_division_by_zero_is_no_exposure(tmp_path: Path) -> None:
    found = description(write(tmp_path / "a.jpg", jpeg({EXPOSURE: (1, 0), TAKEN: "2022:07:15 22:00:00"})))
    assert found.metadata.t_exptime is None
    assert found.metadata.t_min == pytest.approx(Time(datetime(2022, 7, 15, 20)).mjd)


def test_names_are_bounded(tmp_path: Path) -> None:
    content = tiff(SHOT, CAMERA | {MODEL: "Canon " + "x" * 5000})
    name = description(write(tmp_path / "a.tif", content)).metadata.instrument_name
    assert name is not None
    assert len(name) == 200
