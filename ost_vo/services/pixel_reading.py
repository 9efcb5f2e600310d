"""Reading the pixels in a box of a FITS image as they are stored: only what is wanted, and what is around it.

Source: FITS 4.0 sections 3.3.2 (order of the pixels), 10 (tiled images).
"""

from __future__ import annotations

import math
import os
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# By BITPIX.
TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}

# Whole rows of so many bytes are read at once sooner than parts of them one by one.
_STRIP_BYTES = 1 << 20

Box = list[tuple[int, int]]


def section(file: BinaryIO, begin: int, shape: list[int], bitpix: int, box: Box) -> NDArray[Any]:
    """Read the pixels in a box.

    Args:
        file: not packed.
        begin: where the pixels of the image begin in it [byte].
        shape: lengths of the axes of the image, NAXIS1 first.
        bitpix: its BITPIX.
        box: for each axis, NAXIS1 first, the first pixel, counted from 0, and the end (exclusive).

    Returns:
        The pixels, big-endian and not scaled, the first axis last.

    Raises:
        EOFError: the file is too short.
    """
    kind = np.dtype(TYPES[bitpix])
    padded, lengths = [*box, (0, 1)][: max(2, len(box))], [*shape, 1][: max(2, len(shape))]
    (first, end), (top, bottom) = padded[0], padded[1]
    data = np.empty([end - start for start, end in reversed(padded)], kind)
    strides = [math.prod(lengths[:axis]) for axis in range(len(lengths))]
    outer = np.ndindex(*(end - start for start, end in reversed(padded[2:])))
    for plane, index in zip(data.reshape(-1, bottom - top, end - first), outer, strict=True):
        offsets = zip(reversed(index), padded[2:], strides[2:], strict=True)
        at = top * lengths[0] + sum((number + start) * stride for number, (start, _), stride in offsets)
        _fill_plane(file, plane, begin + at * kind.itemsize, lengths[0], first)
    return data.reshape([end - start for start, end in reversed(box)])


def _fill_plane(file: BinaryIO, plane: NDArray[Any], offset: int, length: int, first: int) -> None:
    """Read rows of so many pixels from an offset [byte], and keep those from the first one wanted on."""
    rows, columns = plane.shape
    if columns == length:
        _fill(file, plane, offset)
    elif rows * length * plane.itemsize <= _STRIP_BYTES:
        strip = np.empty((rows * length - first - (length - first - columns), 1), plane.dtype)
        _fill(file, strip, offset + first * plane.itemsize)
        whole = np.lib.stride_tricks.as_strided(
            strip, (rows, columns), (length * plane.itemsize, plane.itemsize), writeable=False
        )
        plane[:] = whole
    else:
        for number in range(rows):
            _fill(file, plane[number], offset + (number * length + first) * plane.itemsize)


def tiles(hdu: Any, box: Box) -> NDArray[Any]:
    """Read the pixels in a box of a tile-compressed image, whole tiles at a time."""
    found = hdu.section[tuple(slice(*part) for part in reversed(box))]
    return np.ascontiguousarray(found, dtype=TYPES[int(hdu.header["BITPIX"])])


def tiled_lengths(hdu: Any, box: Box) -> list[int]:
    """Return the lengths of the box of whole tiles that have to be read for a box."""
    return [
        (-(-end // tile) - start // tile) * tile
        for (start, end), tile in zip(box, reversed(hdu.tile_shape), strict=True)
    ]


def _fill(file: BinaryIO, pixels: NDArray[Any], offset: int) -> None:
    view, done = pixels.reshape(-1).view(np.uint8).data, 0
    while done < len(view):
        count = os.preadv(file.fileno(), [view[done:]], offset + done)
        if not count:
            raise EOFError("it ends before its last pixel")
        done += count
