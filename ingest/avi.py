"""AVI videos: the size and rate of their frames, which is all that they say.

Source: Microsoft, "AVI RIFF File Reference" (structure AVIMAINHEADER); OpenDML AVI 1.02 (dmlh).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from ingest.datafile import DataFile, Describe, Description
from ingest.stream import Unreadable
from ingest.tiff import read_at
from ingest.videos import Video, description

_MAIN = struct.Struct(
    "<10I"
)  # micros a frame, bytes/s, padding, flags, frames, initial, streams, buffer, width, height
_MICROSECONDS = 1e6
_MAX_CHUNKS = 1000


def read(file: DataFile) -> Describe:
    """The header is read from the file itself, so nothing is taken off the stream."""
    return partial(_describe, file)


def _describe(file: DataFile) -> Description:
    beginning = read_at(file.raw, 0, 12)
    if not beginning:
        raise Unreadable("The file is empty.")
    if beginning[:4] != b"RIFF" or beginning[8:] != b"AVI ":
        raise Unreadable("Not an AVI video: it does not begin with RIFF and AVI.")
    end = 8 + struct.unpack_from("<I", beginning, 4)[0]
    if end > file.size:
        raise Unreadable(f"Truncated: the AVI data need {end} bytes, the file has {file.size}.")
    return description(file, _video(file, end))


def _video(file: DataFile, end: int) -> Video:
    header = next((c for c in _chunks(file, 12, end) if c[0] == b"LIST" and c[1] == b"hdrl"), None)
    if header is None:
        raise Unreadable("Damaged: the AVI file has no header list.")
    main, frames = None, 0
    for kind, list_kind, start, stop in _chunks(file, header[2] + 4, header[3]):
        if kind == b"avih":
            main = read_at(file.raw, start, min(_MAIN.size, stop - start))
        elif list_kind == b"odml":
            frames = _all_frames(file, start + 4, stop)
    if main is None or len(main) < _MAIN.size:
        raise Unreadable("Damaged: the AVI file has no main header.")
    micros, _, _, _, count, _, streams, _, width, height = _MAIN.unpack(main)
    if not width or not height:
        raise Unreadable(f"The AVI header gives frames of {width} x {height} pixels.")
    frames = frames or count
    seconds = frames * micros / _MICROSECONDS
    fields = {
        "Width": width,
        "Height": height,
        "MicroSecPerFrame": micros,
        "TotalFrames": frames,
        "Streams": streams,
    }
    return Video((width, height), frames, seconds, None, fields)


def _all_frames(file: DataFile, start: int, end: int) -> int:
    """Return the frames of all parts of a file above 1 GB; the main header counts those of the first part."""
    for kind, _, at, stop in _chunks(file, start, end):
        if kind == b"dmlh" and stop - at >= 4:
            return int.from_bytes(read_at(file.raw, at, 4), "little")
    return 0


def _chunks(file: DataFile, start: int, end: int) -> Iterator[tuple[bytes, bytes, int, int]]:
    """Yield (kind, kind of a list or b'', start of the content, end) of the chunks in a part of the file."""
    for _ in range(_MAX_CHUNKS):
        head = read_at(file.raw, start, 12)
        if start + 8 > end or len(head) < 8:
            return
        kind, size = struct.unpack_from("<4sI", head)
        yield kind, head[8:12] if kind == b"LIST" else b"", start + 8, min(start + 8 + size, end)
        start += 8 + size + size % 2
