"""Cutting frames out of SER videos.

Source: "SER format description", version 3 (2014): a little-endian header of 178 bytes, the frames, and their
times, in ticks of 100 ns since the beginning of the year 1.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ost_vo.faults import FatalFault, UsageFault
from ost_vo.services.cut_pieces import Limits, check_size
from ost_vo.vo.soda import Extent, Selection

_HEADER = struct.Struct("<14s7i40s40s40s2q")
_MAGIC = b"LUCAM-RECORDER"
# Where the header has the number of frames, and the local time and UTC of the first one [byte].
_FRAMES_AT, _TIMES_AT = 38, 162
_COLOURS = {100: 3, 101: 3}
_TICK_BYTES = 8
_TICKS_A_DAY = 864_000_000_000
# MJD of the first day of the year 1 [d].
_FIRST_MJD = -678_575


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are in a video: the number of frames and the size of one [byte], and the times if any."""

    frames: int
    size: int
    ticks: NDArray[np.int64] | None

    def offset(self, frame: int) -> int:
        """Return where a frame begins, the first being 0 [byte]."""
        return _HEADER.size + frame * self.size


class Video:
    """A SER video that is open for any number of cutouts.

    Args:
        file: the video.
        limits: of size and time, of each cutout.

    Raises:
        FatalFault: it is none, or it is damaged.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file.fileno()
        self._limits = limits
        self._header = os.pread(self._file, _HEADER.size, 0)
        self._layout = self._understood()

    def cut(self, selection: Selection, extent: Extent) -> bytes | None:
        """Return the video of the frames that a selection names, None where there are none.

        Args:
            selection: its frames, and its time, which is compared with the times of the frames.
            extent: when the video was taken, where its frames have no times of their own.

        Raises:
            UsageFault: too large, or a region is given.
            FatalFault: the file is too short.
        """
        if selection.region is not None:
            raise UsageFault("A video has no positions on the sky.", "Leave the region out.")
        chosen = self._chosen(selection, extent)
        if chosen is None:
            return None
        first, end = chosen
        size = (end - first) * self._layout.size
        check_size(size, self._limits)
        self._limits.check_time()
        pixels = os.pread(self._file, size, self._layout.offset(first))
        if len(pixels) < size:
            raise FatalFault("The video ends before its last frame.", "Get the whole file.")
        ticks = self._layout.ticks
        times = b"" if ticks is None else ticks[first:end].astype("<i8").tobytes()
        return self._header_of(first, end) + pixels + times

    def _chosen(self, selection: Selection, extent: Extent) -> tuple[int, int] | None:
        """Return the first of the frames and the end (exclusive), None for none."""
        wanted = selection.frames or (1, self._layout.frames)
        first, end = wanted[0] - 1, min(wanted[1], self._layout.frames)
        if selection.time is not None:
            ticks = self._layout.ticks
            if ticks is None:
                low, high = extent.t_min, extent.t_max
                if low is not None and high is not None:
                    is_met = selection.time.lower <= high and selection.time.upper >= low
                    return (first, end) if first < end and is_met else None
            else:
                mjd = ticks / _TICKS_A_DAY + _FIRST_MJD
                if extent.t_min is not None:
                    # As the archive knows it: programs write local time as well.
                    mjd += extent.t_min - mjd[0]
                met = np.flatnonzero((mjd >= selection.time.lower) & (mjd <= selection.time.upper))
                if not met.size:
                    return None
                first, end = max(first, int(met[0])), min(end, int(met[-1]) + 1)
        return (first, end) if first < end else None

    def _header_of(self, first: int, end: int) -> bytes:
        """Return the header with another number of frames, and the time of the new first one."""
        header = bytearray(self._header)
        struct.pack_into("<i", header, _FRAMES_AT, end - first)
        if self._layout.ticks is not None:
            later = int(self._layout.ticks[first] - self._layout.ticks[0])
            local, utc = struct.unpack_from("<2q", header, _TIMES_AT)
            struct.pack_into(
                "<2q", header, _TIMES_AT, local + later if local else 0, utc + later if utc else 0
            )
        return bytes(header)

    def _understood(self) -> _Layout:
        if len(self._header) < _HEADER.size or not self._header.startswith(_MAGIC):
            raise FatalFault("The file is no SER video.", "Get the whole file.")
        _, _, colours, _, width, height, depth, frames, *_ = _HEADER.unpack(self._header)
        size = width * height * _COLOURS.get(colours, 1) * (1 if depth <= 8 else 2)
        length = os.fstat(self._file).st_size
        if min(width, height, depth, frames) < 1 or depth > 16 or _HEADER.size + frames * size > length:
            raise FatalFault("The header of the video cannot be true.", "Get the whole file.")
        ticks = None
        if length - _HEADER.size - frames * size >= frames * _TICK_BYTES:
            raw = os.pread(self._file, frames * _TICK_BYTES, _HEADER.size + frames * size)
            ticks = np.frombuffer(raw, "<i8").astype(np.int64)
        return _Layout(frames, size, ticks)
