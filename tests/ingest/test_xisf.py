"""XISF: keywords and properties of its XML header, and headers that are meant to do damage."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from astropy.time import Time

from ingest.unpacking import Unreadable
from tests.ingest.frames import TAN, description, reasons

NAMESPACE = 'xmlns="http://www.pixinsight.com/xisf" version="1.0"'
LIGHT = {
    "IMAGETYP": "'Light Frame'", "OBJECT": "'M31'", "EXPTIME": "30.", "FILTER": "'V'", "XBINNING": "2",
    "DATE-OBS": "'2022-01-01T00:00:00'", "INSTRUME": "'QHY CCD QHY268M-92149f4'", "OBSERVER": "'O''Neil'",
}  # fmt: skip


def image(content: str = "", **attributes: str) -> str:
    """Return an image element."""
    values = {"geometry": "20:15:1", "sampleFormat": "UInt16", "location": "attachment:4096:600"} | attributes
    said = " ".join(f'{name}="{value}"' for name, value in values.items())
    return f"<Image {said}>{content}</Image>"


def keywords(cards: dict[str, str]) -> str:
    """Return keyword elements."""
    return "".join(
        f'<FITSKeyword name="{name}" value="{value}" comment=""/>' for name, value in cards.items()
    )


def write(path: Path, inner: str, length: int | None = None, prolog: str = "", pixels: int = 600) -> Path:
    """Write a file; the length is what it claims for its header."""
    xml = f'<?xml version="1.0" encoding="UTF-8"?>{prolog}<xisf {NAMESPACE}>{inner}</xisf>'.encode()
    head = b"XISF0100" + struct.pack("<II", len(xml) if length is None else length, 0) + xml
    path.write_bytes(head.ljust(4096, b"\0") + bytes(pixels))
    return path


def test_keywords_are_those_of_fits(tmp_path: Path) -> None:
    wcs = {name: repr(value) for name, value in TAN.items()}
    found = description(write(tmp_path / "a.xisf", image(keywords(LIGHT | wcs))))
    metadata = found.metadata
    assert (metadata.dataproduct_type, metadata.dataproduct_subtype, metadata.calib_level) == (
        "image",
        "light",
        0,
    )
    assert (metadata.media_type, metadata.obs_id, metadata.o_ucd) == ("image/x-xisf", "run/a", "phot.count")
    assert (metadata.target_name, metadata.filter_name, metadata.binning_x) == ("M 31", "Johnson V", 2)
    assert (metadata.observer, metadata.t_exptime) == ("O'Neil", 30.0)
    assert metadata.t_min == pytest.approx(Time("2022-01-01T00:00:00").mjd)
    assert (metadata.s_xel1, metadata.s_xel2, metadata.position_source) == (20, 15, "wcs")
    assert metadata.s_ra == pytest.approx(10.0, abs=1e-3)
    assert metadata.em_min == pytest.approx(502.8e-9)
    assert metadata.obs_title == "light of M 31, filter Johnson V, 30 s"
    assert reasons(found) == {}


def test_properties_fill_what_keywords_leave_open(tmp_path: Path) -> None:
    properties = (
        '<Property id="Observation:Time:Start" type="TimePoint" value="2022-01-01T20:00:00Z"/>'
        '<Property id="Instrument:ExposureTime" type="Float32" value="60"/>'
        '<Property id="Instrument:Telescope:FocalLength" type="Float32" value="0.4"/>'
        '<Property id="Instrument:Camera:Gain" type="Float32" value="much"/>'
        '<Property id="Observation:Object:Name" type="String">NGC 6946</Property>'
    )
    metadata = description(
        write(tmp_path / "a.xisf", image(properties + keywords({"EXPTIME": "30"})))
    ).metadata
    assert (metadata.t_exptime, metadata.focal_length, metadata.egain) == (30.0, 400.0, None)
    assert metadata.target_name == "NGC 6946"
    assert metadata.t_min == pytest.approx(Time("2022-01-01T20:00:00").mjd)


@pytest.mark.parametrize(
    ("value", "comment", "exposure"),
    [
        ("2", "Observation: Exposure Minutes", 120.0),
        ("2", "Größe " + "x" * 99, 2.0),
        ("'2" + " " * 60 + "'", "s" * 99, 2.0),
    ],
)
def test_comments_count(
    tmp_path: Path, value: str, comment: str, exposure: float, recwarn: pytest.WarningsRecorder
) -> None:
    element = f'<FITSKeyword name="EXPOSURE" value="{value}" comment="{comment}"/>'
    assert description(write(tmp_path / "a.xisf", image(element))).metadata.t_exptime == exposure
    assert list(recwarn) == []


def test_what_was_reduced_is_calibrated(tmp_path: Path) -> None:
    found = description(
        write(tmp_path / "a.xisf", image(keywords({"NCOMBINE": "12"}), sampleFormat="Float32"))
    )
    assert (found.metadata.calib_level, found.metadata.o_ucd) == (2, None)


def test_header_is_kept_as_text(tmp_path: Path) -> None:
    ((_, text),) = description(write(tmp_path / "a.xisf", image(keywords({"OBJECT": "'M31'"})))).headers
    assert text.startswith("<?xml")
    assert 'name="OBJECT" value="\'M31\'"' in text


def test_several_images(tmp_path: Path) -> None:
    found = description(write(tmp_path / "a.xisf", image() + image(geometry="9:9:1")))
    assert (found.metadata.s_xel1, reasons(found)["Image"][:9]) == (20, "2 images:")


def test_keywords_of_structure_and_odd_names_are_left_out(tmp_path: Path) -> None:
    odd = {
        "NAXIS1": "99",
        "BITPIX": "17",
        "": "1",
        "too long a name": "1",
        "HISTORY": "x",
        "HIERARCH": "x",
        "EXPTIME": "nan",
    }
    metadata = description(write(tmp_path / "a.xisf", image(keywords(odd)))).metadata
    assert (metadata.s_xel1, metadata.t_exptime) == (20, None)


def test_more_keywords_than_any_program_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.xisf"
    many = image(keywords({"A": "1"}) * 5001, location="embedded")
    xml = f"<xisf {NAMESPACE}>{many}</xisf>"
    path.write_bytes(b"XISF0100" + struct.pack("<II", len(xml), 0) + xml.encode())
    assert reasons(description(path))["FITSKeyword"].startswith("More than 5000 keywords")


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ("", "No data: the XISF header names no image."),
        ("<Image", "The XISF header is no well-formed XML"),
        (image(geometry="20:15"), "The image's geometry '20:15' is not 'width:height:channels'."),
        (image(geometry="20:-15:1"), "The image's geometry"),
        (image(geometry="0:15:1"), "The image's geometry"),
        (image(geometry="9" * 30 + ":1:1"), "The image's geometry"),
        (
            image(location="attachment:4096:601"),
            "Truncated: the pixels reach to byte 4697, the file has 4696.",
        ),
    ],
)
def test_header_that_cannot_be_true(tmp_path: Path, inner: str, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        description(write(tmp_path / "a.xisf", inner))
    assert caught.value.detail.startswith(reason)


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (0, "The XISF header is no well-formed XML"),
        (1 << 20, "Truncated: the XISF header"),
        (1 << 30, "The XISF header has"),
    ],
)
def test_length_that_lies(tmp_path: Path, length: int, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        description(write(tmp_path / "a.xisf", image(), length))
    assert caught.value.detail.startswith(reason)


def test_entities_are_refused(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "' + f"&l{n - 1};" * 10 + '">' for n in range(1, 9))
    bomb = f'<!DOCTYPE xisf [<!ENTITY l0 "ha">{laughs}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    name = '<Property id="Observation:Object:Name" type="String">&l8;&f;</Property>'
    path = write(tmp_path / "a.xisf", image(name), prolog=bomb)
    with pytest.raises(Unreadable, match="entity amplification"):
        description(path)
    write(
        path, image(name), prolog='<!DOCTYPE xisf [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY l8 "">]>'
    )
    with pytest.raises(Unreadable, match="has a document type"):
        description(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xisf"
    for content, reason in (
        (b"", "The file is empty."),
        (b"SIMPLE", "Not an XISF file"),
        (b"XISF0100", "Trunc"),
    ):
        path.write_bytes(content)
        with pytest.raises(Unreadable, match=reason):
            description(path)
