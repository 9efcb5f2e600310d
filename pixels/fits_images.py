"""Images in FITS files, tile-compressed ones too: of the pixels only what a strip needs is read.

Source: FITS 4.0 sections 4.4.2.5 (BSCALE, BZERO, BLANK), 7.1 (image extensions), 10 (tiled images).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from pixels.cards import number, text
from pixels.image import Image, NoPicture, Values

_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_MAX_UNITS = 1000
# Extensions that describe the pixels of others.
_AUXILIARY = ("WCSDVARR", "D2IMARR", "WCSCORR", "ERR", "DQ", "STAT", "MASK")
_COLOURS = 3
# How camera programs write where their detector is full.
_SATURATION = ("SATURATE", "SATLEVEL")
_MOSAIC = ("BAYERPAT", "BAYRPAT", "COLORTYP")
_PATTERN = re.compile(r"[RGBCMYE]{4}", re.IGNORECASE)
_SPECTRAL = ("WAVE", "FREQ", "AWAV", "VELO", "VRAD", "VOPT", "ENER", "WAVN", "STOKES", "TIME", "UTC")


def units(hdus: fits.HDUList) -> Iterator[Any]:
    """Yield the header units of a file that have pixels or rows, up to the first that cannot be read."""
    for index in range(_MAX_UNITS):
        try:
            hdu = hdus[index]
        except IndexError:
            return
        name = text(hdu.header, "EXTNAME").upper()
        if name not in _AUXILIARY and (_lengths(hdu) or isinstance(hdu, fits.BinTableHDU | fits.TableHDU)):
            yield hdu


def main_image(hdus: fits.HDUList) -> Any | None:
    """Return the unit with the largest image, the first of several; None where there is none."""
    images = [hdu for hdu in units(hdus) if _lengths(hdu)]
    return max(images, key=lambda hdu: math.prod(_lengths(hdu)[-2:]), default=None)


def is_plane(hdu: Any) -> bool:
    """Whether an image has at least two axes of more than one pixel."""
    return sum(length > 1 for length in _lengths(hdu)) > 1


def image(file: BinaryIO, hdu: Any) -> Image:
    """Return an image unit of an open file.

    Raises:
        NoPicture: it has no plane to look at.
    """
    lengths = [length for length in _lengths(hdu) if length > 1]
    if len(lengths) < 2:
        raise NoPicture("The image has a single row of pixels.")
    rows, columns = lengths[-2:]
    planes = math.prod(lengths[:-2])
    return Image(
        planes,
        rows,
        columns,
        _Reader(file, hdu, rows, columns).read,
        is_colour=planes == _COLOURS and len(lengths) == 3 and not _has_further_axis(hdu.header),
        is_mosaic=planes == 1 and any(_PATTERN.match(text(hdu.header, name)) for name in _MOSAIC),
        full_scale=_full_scale(hdu.header),
    )


def _lengths(hdu: Any) -> list[int]:
    """Return the lengths of an image's axes, the first of FITS last; nothing for what has no pixels."""
    if not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) or hdu.header.get("GROUPS"):
        return []
    shape = [int(length) for length in hdu.shape]
    return shape if shape and min(shape) > 0 else []


def _has_further_axis(header: fits.Header) -> bool:
    return text(header, "CTYPE3").upper().startswith(_SPECTRAL)


def _full_scale(header: fits.Header) -> float | None:
    """Return what the header says of saturation, or the largest number of the type; None for floats."""
    for keyword in _SATURATION:
        value = number(header, keyword)
        if value is not None and value > 0:
            return value
    bits = int(header["BITPIX"])
    if bits not in (8, 16):
        return None
    scale, zero = _scaling(header)
    return (255.0 if bits == 8 else 32767.0) * scale + zero


def _scaling(header: fits.Header) -> tuple[float, float]:
    """Return the factor of the stored numbers, and what is added."""
    scale = number(header, "BSCALE")
    return 1.0 if scale is None else scale, number(header, "BZERO") or 0.0


class _Reader:
    """Reads rows of an image, and gives them their physical values."""

    def __init__(self, file: BinaryIO, hdu: Any, rows: int, columns: int) -> None:
        self._file, self._hdu = file, hdu
        self._rows, self._columns = rows, columns
        self._kind = np.dtype(_TYPES[int(hdu.header["BITPIX"])])
        self._scale, self._zero = (np.float32(value) for value in _scaling(hdu.header))
        self._blank = number(hdu.header, "BLANK") if self._kind.kind in "iu" else None
        self._is_packed = isinstance(hdu, fits.CompImageHDU)
        self._tiles = _Tiles(hdu, rows, columns) if self._is_packed else None

    def read(self, plane: int, first: int, end: int) -> Values:
        raw = self._tiles.read(plane, first, end) if self._tiles else self._stored(plane, first, end)
        values = raw.astype(np.float32)
        if self._scale != 1:
            values *= self._scale
        if self._zero:
            values += self._zero
        if self._blank is not None:
            values[raw == self._blank] = np.nan
        return values

    def _stored(self, plane: int, first: int, end: int) -> NDArray[Any]:
        start = (plane * self._rows + first) * self._columns * self._kind.itemsize
        size = (end - first) * self._columns * self._kind.itemsize
        raw = os.pread(self._file.fileno(), size, self._hdu.fileinfo()["datLoc"] + start)
        if len(raw) < size:
            raise EOFError("it ends before its last pixel")
        return np.frombuffer(raw, self._kind).reshape(end - first, self._columns)


class _Tiles:
    """Unpacks whole rows of tiles, and keeps the last ones: strips and tiles need not have the same rows."""

    def __init__(self, hdu: Any, rows: int, columns: int) -> None:
        self._hdu = hdu
        self._rows, self._columns = rows, columns
        self._height = min(rows, int(hdu.tile_shape[-2]) if len(hdu.tile_shape) > 1 else 1)
        self._held: tuple[int, int, int] | None = None
        self._block: NDArray[Any] = np.empty(0)

    def read(self, plane: int, first: int, end: int) -> NDArray[Any]:
        wanted = (plane, first // self._height * self._height, self._up(end))
        if self._held is None or self._held[0] != plane or not self._holds(first, end):
            self._block = np.empty(0)  # before the next one takes its place in memory
            self._block = self._unpacked(*wanted)
            self._held = wanted
        assert self._held is not None
        return self._block[first - self._held[1] : end - self._held[1]]

    def _up(self, row: int) -> int:
        return min(self._rows, -(-row // self._height) * self._height)

    def _holds(self, first: int, end: int) -> bool:
        return self._held is not None and self._held[1] <= first and end <= self._held[2]

    def _unpacked(self, plane: int, first: int, end: int) -> NDArray[Any]:
        lengths = [int(length) for length in self._hdu.shape]
        long = [axis for axis, length in enumerate(lengths) if length > 1]
        index: list[Any] = [0] * len(lengths)
        index[long[-2]], index[long[-1]] = slice(first, end), slice(None)
        outer = [lengths[axis] for axis in long[:-2]]
        for axis, place in zip(long[:-2], np.unravel_index(plane, outer) if outer else (), strict=True):
            index[axis] = int(place)
        return np.asarray(self._hdu.section[tuple(index)])
