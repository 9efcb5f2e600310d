"""The middle frame of a SER video."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ingest.ser import HEADER_BYTES, SerHeader, parse
from pixels.image import Image, Values

_RGB, _BGR = 100, 101
_MOSAICS = range(8, 20)


def middle_frame(file: BinaryIO) -> Image:
    """Return the frame in the middle of a video.

    Raises:
        Unreadable: no SER video.
        EOFError: it ends before that frame does.
    """
    header = parse(os.pread(file.fileno(), HEADER_BYTES, 0))
    start = HEADER_BYTES + header.frames // 2 * header.frame_bytes
    raw = os.pread(file.fileno(), header.frame_bytes, start)
    if len(raw) < header.frame_bytes:
        raise EOFError("it ends before its middle frame does")
    pixels = _pixels(raw, header)

    def read(plane: int, first: int, end: int) -> Values:
        return pixels[first:end, :, plane].astype(np.float32)

    colours = pixels.shape[2]
    return Image(
        colours,
        header.height,
        header.width,
        read,
        is_colour=colours > 1,
        is_mosaic=header.colour_id in _MOSAICS,
        is_bottom_up=False,
        is_measured=False,
    )


def _pixels(raw: bytes, header: SerHeader) -> NDArray[Any]:
    """Return (rows, columns, colours)."""
    colours = 3 if header.colour_id in (_RGB, _BGR) else 1
    flat = np.frombuffer(raw, "u1" if header.depth <= 8 else "<u2")
    pixels = flat.reshape(header.height, header.width, colours)
    if header.depth > 8 and _is_swapped(pixels):
        pixels = pixels.view(">u2")
    return pixels[..., ::-1] if header.colour_id == _BGR else pixels


def _is_swapped(pixels: NDArray[Any]) -> bool:
    """Whether the values are big-endian: the field for that is used in both senses; pictures are smooth."""
    rough = [np.abs(np.diff(view.astype(np.int32), axis=1)).mean() for view in (pixels, pixels.view(">u2"))]
    return bool(rough[1] < rough[0])
