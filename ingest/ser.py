"""SER videos: planets, the Moon and the Sun, a header of 178 bytes, frames, and the times of the frames.

Source: "SER format description", version 3 (2014): little-endian header, times in ticks of 100 ns since the
beginning of the year 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ingest import translation
from ingest.datafile import DataFile, Describe, Description, stored
from ingest.daylight import from_local_time
from ingest.headers import Remark
from ingest.stream import CHUNK_BYTES, Unreadable

HEADER_BYTES = 178
_LAYOUT = struct.Struct("<14s7i40s40s40s2q")
_MAGIC = b"LUCAM-RECORDER"
_YEAR_1 = datetime(1, 1, 1)
_TICKS_PER_SECOND = 10_000_000
# Ticks of 1900 and 2100: what lies outside is no time of a video.
_EARLIEST, _LATEST = 599_266_080_000_000_000, 662_380_416_000_000_000
_TICK_BYTES = 8
_COLOURS = {
    0: "mono", 8: "Bayer RGGB", 9: "Bayer GRBG", 10: "Bayer GBRG", 11: "Bayer BGGR", 16: "Bayer CYYM",
    17: "Bayer YCMY", 18: "Bayer YMCY", 19: "Bayer MYYC", 100: "RGB", 101: "BGR",
}  # fmt: skip
_PLANES = {100: 3, 101: 3}
_MAX_DEPTH = 16
_SAME_CLOCK_TICKS = 60 * _TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class SerHeader:
    """The header of a SER video.

    Attributes:
        lu_id: number of the camera series (0 for all but Lumenera's).
        colour_id: how colours are laid out; 100 and 101 have three values a pixel.
        little_endian: the field of that name. It is of no use: the first programs wrote 0 for little-endian
            data, against the description, and others followed either.
        width, height: of a frame [pixels].
        depth: bits of a value.
        frames: their number.
        observer, instrument, telescope: as typed into the capture program.
        local, utc: start of the capture, in local time and in UTC [ticks]; 0 for unknown.
    """

    lu_id: int
    colour_id: int
    little_endian: int
    width: int
    height: int
    depth: int
    frames: int
    observer: str
    instrument: str
    telescope: str
    local: int
    utc: int

    @property
    def frame_bytes(self) -> int:
        """Size of a frame."""
        return self.width * self.height * _PLANES.get(self.colour_id, 1) * (1 if self.depth <= 8 else 2)


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """The times of a video's frames [ticks].

    Attributes:
        first, last: the earliest and the latest.
        count: frames with a time that can be true.
        is_ordered: whether they never go back.
    """

    first: int
    last: int
    count: int
    is_ordered: bool


def read(file: DataFile) -> Describe:
    """Read the header and the times of the frames, passing over the frames.

    Raises:
        Unreadable: no SER video, a header that cannot be true, or a file cut off.
    """
    header = parse(file.stream.read(HEADER_BYTES))
    needed = header.frames * header.frame_bytes
    if HEADER_BYTES + needed > file.size:
        raise Unreadable(
            f"Truncated: {header.frames} frames need {needed} bytes, {file.size - HEADER_BYTES} are there."
        )
    file.stream.skip(needed)
    trailer = file.size - HEADER_BYTES - needed
    remarks = []
    frame_times = None
    if trailer >= header.frames * _TICK_BYTES:
        frame_times = _frame_times(_ticks(file, header.frames))
    if trailer not in (0, header.frames * _TICK_BYTES):
        reason = f"{trailer} bytes follow the frames; the times of {header.frames} frames are 8 bytes each."
        remarks.append(Remark("FrameCount", reason))
    return partial(_describe, file, header, frame_times, remarks)


def parse(raw: bytes) -> SerHeader:
    """Return a header's fields.

    Raises:
        Unreadable: no SER header, or one that cannot be true.
    """
    if not raw:
        raise Unreadable("The file is empty.")
    if not raw.startswith(_MAGIC):
        raise Unreadable("Not a SER video: it does not begin with LUCAM-RECORDER.")
    if len(raw) < HEADER_BYTES:
        raise Unreadable(f"Truncated: a SER header has {HEADER_BYTES} bytes, {len(raw)} are there.")
    fields = _LAYOUT.unpack(raw)
    names = [_text(name) for name in fields[8:11]]
    header = SerHeader(*fields[1:8], *names, *fields[11:])
    if header.width <= 0 or header.height <= 0:
        raise Unreadable(f"The SER header gives frames of {header.width} x {header.height} pixels.")
    if header.frames <= 0:
        raise Unreadable(f"The SER header gives {header.frames} frames: the capture was not ended properly.")
    if not 1 <= header.depth <= _MAX_DEPTH:
        raise Unreadable(f"The SER header gives {header.depth} bits a value; there are 1 to {_MAX_DEPTH}.")
    if header.colour_id not in _COLOURS:
        raise Unreadable(
            f"The SER header gives colours laid out as {header.colour_id}, which SER does not have."
        )
    return header


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def _ticks(file: DataFile, frames: int) -> Iterator[NDArray[np.int64]]:
    """Yield the times of the frames, some thousands at a time."""
    left = frames * _TICK_BYTES
    while left and (chunk := file.stream.read(min(left, CHUNK_BYTES))):
        left -= len(chunk)
        yield np.frombuffer(chunk[: len(chunk) // _TICK_BYTES * _TICK_BYTES], "<i8")


def _frame_times(chunks: Iterator[NDArray[np.int64]]) -> FrameTimes | None:
    """Return what is to be known of the times; None where none can be true."""
    first, last, count, previous, is_ordered = _LATEST, _EARLIEST, 0, _EARLIEST, True
    for ticks in chunks:
        good = ticks[(ticks > _EARLIEST) & (ticks < _LATEST)]
        if good.size:
            is_ordered &= previous <= int(good[0]) and bool((good[1:] >= good[:-1]).all())
            previous = int(good[-1])
            first, last, count = min(first, int(good.min())), max(last, int(good.max())), count + good.size
    return FrameTimes(first, last, count, is_ordered) if count else None


def _describe(
    file: DataFile, header: SerHeader, frame_times: FrameTimes | None, remarks: list[Remark]
) -> Description:
    begin, end, doubts = _span(header, frame_times, file.observatory.zone_of(file.path))
    cards: dict[str, translation.Value | None] = {
        "DATE-OBS": translation.iso(begin) if begin else None,
        "DATE-END": translation.iso(end) if end else None,
        "EXPTIME": (end - begin).total_seconds() if begin and end else None,
        "INSTRUME": header.instrument,
        "TELESCOP": header.telescope,
    }
    # ObsCore 1.1, section 3.3.1: three image axes make a cube, here with time as the third.
    shape = (header.width, header.height, header.frames)
    content = translation.Content(
        "cube", "video", "phot.count", shape, 8 if header.depth <= 8 else 16, header.frames
    )
    metadata, others = translation.described(file, content, cards)
    metadata = translation.observed_by(metadata, header.observer, file)
    text, cut = stored(_listing(header, frame_times))
    return Description(metadata, text, [*remarks, *doubts, *others, *_doubts(header), *cut])


def _span(
    header: SerHeader, times: FrameTimes | None, clocks: ZoneInfo
) -> tuple[datetime | None, datetime | None, list[Remark]]:
    """Return when the capture began and ended (UTC), and what is doubtful about it."""
    if times is None:
        begin, doubts = _begin(header, clocks)
        reason = "The frames have no times: the end of the video and its exposure are left open."
        return begin, None, [*doubts, Remark("TimeStamps", reason)]
    interval = (times.last - times.first) / (times.count - 1) if times.count > 1 else 0
    begin, end = _moment(times.first), _moment(times.last + round(interval))
    reason = "SER has no exposure of a frame: t_exptime is the video's length, with the gaps between frames."
    doubts = [Remark("ExposureTime", reason)]
    if times.count < header.frames:
        doubts.append(Remark("TimeStamps", f"Only {times.count} of {header.frames} frames have a time."))
    if not times.is_ordered:
        doubts.append(Remark("TimeStamps", "The times of the frames go back: the clock was set meanwhile."))
    if _is_known(header.utc) and abs(times.first - header.utc) > _SAME_CLOCK_TICKS:
        shift, note = _correction(header, times)
        begin, end = begin + shift, end + shift
        doubts.append(Remark("TimeStamps", note))
    return begin, end, doubts


def _correction(header: SerHeader, times: FrameTimes) -> tuple[timedelta, str]:
    """Return what to add to frame times that differ from the header's UTC, and why."""
    if _is_known(header.local) and abs(times.first - header.local) <= _SAME_CLOCK_TICKS:
        shift = timedelta(microseconds=(header.utc - header.local) // 10)
        return shift, "Are local time, as the header's start shows: changed to UTC."
    apart = (times.first - header.utc) / _TICKS_PER_SECOND
    return timedelta(0), f"Begin {apart:.0f} s from the start in the header; the frames' times are taken."


def _begin(header: SerHeader, clocks: ZoneInfo) -> tuple[datetime | None, list[Remark]]:
    if _is_known(header.utc):
        return _moment(header.utc), []
    if not _is_known(header.local):
        return None, [Remark("DateTime_UTC", "The header has no time of the capture.")]
    moment, remark = from_local_time(_moment(header.local), clocks, "DateTime")
    reason = "The header has the time of the capture in local time only: taken as that of the observatory."
    return moment, [Remark("DateTime_UTC", reason), *([remark] if remark else [])]


def _is_known(ticks: int) -> bool:
    return _EARLIEST < ticks < _LATEST


def _moment(ticks: int) -> datetime:
    return _YEAR_1 + timedelta(microseconds=ticks // 10)


def _doubts(header: SerHeader) -> list[Remark]:
    if header.depth <= 8:
        return []
    reason = (
        f"Is {header.little_endian}; programs disagree on what that means: judge by the frames themselves."
    )
    return [Remark("LittleEndian", reason)]


def _listing(header: SerHeader, times: FrameTimes | None) -> str:
    def shown(ticks: int) -> str:
        return f"{ticks} ({translation.iso(_moment(ticks))})" if _is_known(ticks) else str(ticks)

    fields = {
        "FileID": _MAGIC.decode(),
        "LuID": header.lu_id,
        "ColorID": f"{header.colour_id} ({_COLOURS[header.colour_id]})",
        "LittleEndian": header.little_endian,
        "ImageWidth": header.width,
        "ImageHeight": header.height,
        "PixelDepthPerPlane": header.depth,
        "FrameCount": header.frames,
        "Observer": header.observer,
        "Instrument": header.instrument,
        "Telescope": header.telescope,
        "DateTime": shown(header.local),
        "DateTime_UTC": shown(header.utc),
    }
    if times is not None:
        fields |= {"FirstTimeStamp": shown(times.first), "LastTimeStamp": shown(times.last)}
    return translation.listing(fields)
