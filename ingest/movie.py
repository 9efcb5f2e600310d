"""QuickTime and MPEG-4 movies: size, length and number of frames, and when the movie was created.

Source: ISO 14496-12, sections 8.2.2 (mvhd), 8.3.2 (tkhd), 8.7.3 (stsz); Apple's QuickTime File Format.
"""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from functools import partial

from ingest.boxes import Box, boxes, first
from ingest.datafile import DataFile, Describe, Description
from ingest.stream import Unreadable
from ingest.tiff import read_at
from ingest.videos import Video, description

_EPOCH = datetime(1904, 1, 1)
_EARLIEST = datetime(1970, 1, 1)  # before it nobody made digital movies: 0 is unknown
_FIXED = 1 << 16  # widths and heights are 16.16 numbers
_SAMPLES = ("mdia", "minf", "stbl", "stsz")
_KINDS = ("ftyp", "moov", "mdat", "wide", "free", "skip", "pnot")


def read(file: DataFile) -> Describe:
    """The index of a movie is often at its end, so nothing is taken off the stream."""
    return partial(_describe, file)


def _describe(file: DataFile) -> Description:
    beginning = read_at(file.raw, 0, 8)
    if not beginning:
        raise Unreadable("The file is empty.")
    if beginning[4:].decode("latin-1") not in _KINDS:
        raise Unreadable(
            "Not a QuickTime or MPEG-4 movie: its first box is of no kind that movies begin with."
        )
    movie = next((box for box in list(boxes(file.raw, 0, file.size)) if box.kind == "moov"), None)
    if movie is None:
        raise Unreadable("The movie has no index (moov): the recording was not ended properly.")
    return description(file, _video(file, movie))


def _video(file: DataFile, movie: Box) -> Video:
    created, seconds = _header(file, movie)
    for track in (box for box in boxes(file.raw, movie.start, movie.end) if box.kind == "trak"):
        if (size := _size(file, track)) is not None:
            frames = _frames(file, track)
            fields = {
                "Width": size[0], "Height": size[1], "Frames": frames, "Seconds": f"{seconds:g}",
                "CreationTime": created.isoformat() if created else "unknown",
            }  # fmt: skip
            return Video(size, frames, seconds, created, fields)
    raise Unreadable("No data: the movie has no track with pictures.")


def _header(file: DataFile, movie: Box) -> tuple[datetime | None, float]:
    """Return when the movie was created and its length [s], from its header."""
    box = first(file.raw, movie, "mvhd")
    raw = read_at(file.raw, box.start, min(box.end - box.start, 32)) if box else b""
    layout = struct.Struct(">QQIQ" if raw[:1] == b"\1" else ">4I")
    if len(raw) < 4 + layout.size:
        raise Unreadable("Damaged: the movie has no header (mvhd).")
    created, _, scale, length = layout.unpack_from(raw, 4)
    return _moment(created), length / scale if scale else 0.0


def _moment(seconds: int) -> datetime | None:
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return moment if moment > _EARLIEST else None


def _size(file: DataFile, track: Box) -> tuple[int, int] | None:
    """Return (width, height) of a track, None for sound."""
    box = first(file.raw, track, "tkhd")
    raw = read_at(file.raw, max(box.end - 8, box.start), 8) if box else b""
    if len(raw) < 8:
        return None
    width, height = (length // _FIXED for length in struct.unpack(">2I", raw))
    return (width, height) if width and height else None


def _frames(file: DataFile, track: Box) -> int:
    box = first(file.raw, track, *_SAMPLES)
    raw = read_at(file.raw, box.start + 8, 4) if box and box.end - box.start >= 12 else b""
    return int.from_bytes(raw, "big")
