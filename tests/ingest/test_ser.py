"""SER videos: the header, the times of the frames, and headers that lie."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from astropy.time import Time

from ingest.unpacking import Unreadable
from tests.ingest.frames import description, reasons

START = datetime(2022, 7, 1, 22, 0, 0)
SECOND = 10_000_000
FIELDS: dict[str, Any] = {
    "magic": b"LUCAM-RECORDER", "lu_id": 0, "colour": 0, "little_endian": 0, "width": 6, "height": 4,
    "depth": 8, "frames": 3, "observer": b"Ada", "instrument": b"ZWO ASI174MM", "telescope": b"meade lx200",
}  # fmt: skip


def ticks(moment: datetime) -> int:
    """Return a time in units of 100 ns since the year 1."""
    return (moment - datetime(1, 1, 1)) // timedelta(microseconds=1) * 10


def write_video(
    path: Path, times: list[int] | None = None, local: int = 0, utc: int | None = None, **changes: Any
) -> Path:
    """Write a video of zeros; times are those of the frames [ticks]."""
    fields = FIELDS | changes
    dates = (local, ticks(START) if utc is None else utc)
    header = struct.pack("<14s7i40s40s40s2q", *fields.values(), *dates)
    planes = 3 if fields["colour"] >= 100 else 1
    frame = max(fields["width"], 0) * max(fields["height"], 0) * planes * (1 if fields["depth"] <= 8 else 2)
    trailer = struct.pack(f"<{len(times or [])}q", *(times or []))
    path.write_bytes(header + bytes(min(frame * max(fields["frames"], 0), 10_000)) + trailer)
    return path


def every_second(count: int = 3, since: datetime = START) -> list[int]:
    """Return the times of frames, one each second."""
    return [ticks(since) + number * SECOND for number in range(count)]


def test_header_and_times(tmp_path: Path) -> None:
    found = description(write_video(tmp_path / "moon.ser", every_second()))
    metadata = found.metadata
    assert (metadata.dataproduct_type, metadata.dataproduct_subtype, metadata.calib_level) == (
        "cube",
        "video",
        0,
    )
    assert (metadata.media_type, metadata.o_ucd, metadata.obs_id) == ("video/x-ser", "phot.count", "run/moon")
    assert (metadata.s_xel1, metadata.s_xel2, metadata.t_xel) == (6, 4, 3)
    assert (metadata.observer, metadata.instrument_name, metadata.telescope_name) == (
        "Ada", "ZWO ASI174MM", "Meade LX200",
    )  # fmt: skip
    assert metadata.t_min == pytest.approx(Time(START).mjd, abs=1e-9)
    assert metadata.t_exptime == 3.0
    assert metadata.t_max == pytest.approx(Time(START + timedelta(seconds=3)).mjd, abs=1e-9)
    assert metadata.obs_title == "video, 3 s"
    assert list(reasons(found)) == ["ExposureTime"]


def test_header_is_kept_as_text(tmp_path: Path) -> None:
    ((hdu, text),) = description(write_video(tmp_path / "moon.ser", every_second(), colour=8)).headers
    lines = text.split("\n")
    assert hdu == 0
    assert "ColorID = 8 (Bayer RGGB)" in lines
    assert "FrameCount = 3" in lines
    assert any(line.startswith("LastTimeStamp = ") and "2022-07-01T22:00:02" in line for line in lines)


def test_names_with_accents_and_control_characters(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.ser", observer="Jürgen\x07".encode(), instrument="Süd".encode())
    metadata = description(video).metadata
    assert (metadata.observer, metadata.instrument_name) == ("Jürgen?", "Sud")


def test_without_frame_times_the_header_tells_the_start_only(tmp_path: Path) -> None:
    found = description(write_video(tmp_path / "a.ser"))
    assert found.metadata.t_min == pytest.approx(Time(START).mjd, abs=1e-9)
    assert (found.metadata.t_max, found.metadata.t_exptime) == (found.metadata.t_min, None)
    assert "have no times" in reasons(found)["TimeStamps"]


def test_local_time_alone_is_the_observatory_s(tmp_path: Path) -> None:
    found = description(write_video(tmp_path / "a.ser", local=ticks(START), utc=0))
    assert found.metadata.t_min == pytest.approx(Time(START - timedelta(hours=2)).mjd, abs=1e-9)
    assert "local time only" in reasons(found)["DateTime_UTC"]


def test_frame_times_in_local_time_become_utc(tmp_path: Path) -> None:
    local = START + timedelta(hours=2)
    found = description(write_video(tmp_path / "a.ser", every_second(since=local), local=ticks(local)))
    assert found.metadata.t_min == pytest.approx(Time(START).mjd, abs=1e-9)
    assert "changed to UTC" in reasons(found)["TimeStamps"]


def test_frame_times_of_another_clock_are_reported(tmp_path: Path) -> None:
    found = description(write_video(tmp_path / "a.ser", every_second(since=START + timedelta(minutes=5))))
    assert reasons(found)["TimeStamps"].startswith("Begin 300 s from the start in the header")


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ([ticks(START), 0, ticks(START) + SECOND], "Only 2 of 3 frames have a time."),
        ([ticks(START) + SECOND, ticks(START), ticks(START) + 2 * SECOND], "The times of the frames go back"),
        ([0, -1, 1 << 62], "The frames have no times"),
    ],
)
def test_frame_times_that_cannot_be_true(tmp_path: Path, times: list[int], reason: str) -> None:
    assert reasons(description(write_video(tmp_path / "a.ser", times)))["TimeStamps"].startswith(reason)


def test_bytes_that_are_no_frame_times(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.ser")
    video.write_bytes(video.read_bytes() + b"surplus")
    assert reasons(description(video))["FrameCount"].startswith("7 bytes follow the frames")


def test_byte_order_of_deep_pixels_is_left_open(tmp_path: Path) -> None:
    found = description(write_video(tmp_path / "a.ser", every_second(), depth=12, little_endian=1))
    assert reasons(found)["LittleEndian"].startswith("Is 1; programs disagree")


def test_colours_have_three_values_a_pixel(tmp_path: Path) -> None:
    found = description(write_video(tmp_path / "a.ser", every_second(), colour=100, depth=16))
    assert found.metadata.t_exptime == 3.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"magic": b"LUCAM"}, "Not a SER video"),
        ({"width": 0}, "The SER header gives frames of 0 x 4 pixels."),
        ({"height": -4}, "The SER header gives frames of 6 x -4 pixels."),
        ({"frames": 0}, "The SER header gives 0 frames: the capture was not ended properly."),
        ({"frames": -1}, "The SER header gives -1 frames"),
        ({"depth": 17}, "The SER header gives 17 bits a value"),
        ({"colour": 42}, "The SER header gives colours laid out as 42"),
        ({"frames": 2**31 - 1}, "Truncated: 2147483647 frames need 51539607528 bytes"),
        ({"width": 2**31 - 1, "height": 2**31 - 1}, "Truncated: 3 frames need"),
    ],
)
def test_header_that_lies_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        description(write_video(tmp_path / "a.ser", **changes))
    assert caught.value.detail.startswith(reason)


@pytest.mark.parametrize("size", [0, 1, 14, 177, 178, 200])
def test_truncated_video_is_refused(tmp_path: Path, size: int) -> None:
    video = write_video(tmp_path / "a.ser", every_second())
    video.write_bytes(video.read_bytes()[:size])
    with pytest.raises(Unreadable):
        description(video)
