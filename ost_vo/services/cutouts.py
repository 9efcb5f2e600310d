"""Cutting parts out of FITS files: of their images, as they are stored, only what is wanted is read.

Source: FITS 4.0 sections 4 (headers), 7.1 (image extensions), 10 (tiled images).
"""

from __future__ import annotations

import bz2
import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, WcsError
from astropy.wcs.utils import wcs_to_celestial_frame
from isal import igzip
from numpy.typing import NDArray

from ost_vo.faults import FatalFault, TransientFault, UsageFault
from ost_vo.vo import channels, fitscards, outlines, wcscards
from ost_vo.vo.celestial import Vectors, from_icrs, to_icrs, vectors
from ost_vo.vo.regions import Region
from ost_vo.vo.soda import Extent, Selection

# What unpacks to more is no camera frame; ingest has the same limit.
MAX_UNPACKED_BYTES = 2 << 30
MAX_UNITS = 1000
_CHUNK_BYTES = 1 << 20
_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# Beyond the image by this part of its size, distortions are extrapolations that may turn back.
_MARGIN = 0.25
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    WcsError,
    fits.VerifyError,
    np.linalg.LinAlgError,
)

Box = list[tuple[int, int]]
Pixels = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one cutout may take.

    Attributes:
        size: of its pixels [byte].
        deadline: when it must be done, on the monotonic clock [s].
    """

    size: int
    deadline: float

    def check_time(self) -> None:
        """Raise TransientFault when the time is up."""
        if time.monotonic() > self.deadline:
            raise TransientFault("The cutout took too long.", "Ask for a smaller region, or try again.")


@dataclass(frozen=True, slots=True)
class Piece:
    """What was cut out of one image.

    Attributes:
        cards: its header.
        pixels: as FITS stores them, big-endian and not scaled, the first axis last.
    """

    cards: list[bytes]
    pixels: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cutout:
    """What was cut out of one file.

    Attributes:
        primary: the header before the pieces, where the first of them is an extension; else None.
        pieces: at least one.
    """

    primary: list[bytes] | None
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to cut out of one unit of a file."""

    hdu: Any
    box: Box

    @property
    def size(self) -> int:
        """Bytes of the pixels."""
        return _bytes(self.hdu, [end - start for start, end in self.box])


def cut(
    file: BinaryIO, selection: Selection, extent: Extent, limits: Limits, history: list[str]
) -> Cutout | None:
    """Return what a selection and the images of a FITS file have in common, None where there is nothing.

    An axis that an image does not have is compared with what the archive knows of the file; where it knows
    nothing, that filter has no effect.

    Args:
        file: packed or not; at its start.
        selection: what to cut out.
        extent: what the archive knows of the file's coverage.
        limits: of size and time.
        history: lines to add to the headers; where the pixels come from is added to them.

    Raises:
        UsageFault: too large, or the file has no image with positions on the sky where a region is given.
        TransientFault: out of time.
        FatalFault: the file cannot be understood.
    """
    if not _may_overlap(selection, extent):
        return None
    try:
        with _unpacked(file, limits) as plain, _opened(plain) as hdus:
            plans = _plans(hdus, selection, limits)
            _check_size(sum(plan.size for plan in plans), limits)
            pieces = [_piece(plain, plan, limits, history) for plan in plans]
            return _assembled(plain, hdus, plans, pieces) if plans else None
    except _DAMAGE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FatalFault(f"Nothing can be cut out of this file: {reason}", "Get the whole file.") from error


def _may_overlap(selection: Selection, extent: Extent) -> bool:
    """Compare the filters with what is known of the whole file."""
    for wanted, low, high in (
        (selection.band, extent.em_min, extent.em_max),
        (selection.time, extent.t_min, extent.t_max),
    ):
        if wanted and low is not None and high is not None and (wanted.lower > high or wanted.upper < low):
            return False
    return True


@contextmanager
def _unpacked(file: BinaryIO, limits: Limits) -> Iterator[BinaryIO]:
    """Give a file that is not packed: the one given, or a temporary one."""
    magic = os.pread(file.fileno(), 3, 0)
    opener: Any = igzip.open if magic[:2] == b"\x1f\x8b" else bz2.open if magic == b"BZh" else None
    if opener is None:
        yield file
        return
    with tempfile.TemporaryFile() as plain, opener(file, "rb") as packed:
        while chunk := packed.read(_CHUNK_BYTES):
            limits.check_time()
            if plain.tell() + len(chunk) > MAX_UNPACKED_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
            plain.write(chunk)
        plain.seek(0)
        yield plain


def _opened(plain: BinaryIO) -> fits.HDUList:
    # Not mapped: a file that is cut short while it is read would end the process.
    # By a handle of its own, which can read alone whatever the given one can.
    handle = open(f"/proc/self/fd/{plain.fileno()}", "rb")  # noqa: SIM115 - closed with the list of units
    return fits.open(handle, mode="readonly", memmap=False, lazy_load_hdus=True, do_not_scale_image_data=True)


def _plans(hdus: fits.HDUList, selection: Selection, limits: Limits) -> list[_Plan]:
    plans, on_sky = [], False
    for hdu in _images(hdus):
        limits.check_time()
        on_sky = on_sky or len(wcscards.celestial_axes(hdu.header)) == 2
        box = _box(hdu, selection)
        if box is not None:
            plans.append(_Plan(hdu, box))
    if selection.region is not None and not on_sky:
        raise UsageFault("The images of this file have no positions on the sky.", "Leave the region out.")
    return plans


def _images(hdus: fits.HDUList) -> Iterator[Any]:
    for number in range(MAX_UNITS):
        try:
            hdu = hdus[number]
        except IndexError:
            return
        if isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) and _shape(hdu):
            yield hdu


def _shape(hdu: Any) -> list[int]:
    """Return the lengths of an image's axes, NAXIS1 first; nothing for one without pixels."""
    shape = [int(length) for length in reversed(hdu.shape)]
    return shape if shape and min(shape) > 0 else []


def _box(hdu: Any, selection: Selection) -> Box | None:
    """Return the pixels to cut out of an image along each axis, None for nothing."""
    header, shape = hdu.header, _shape(hdu)
    box = [(0, length) for length in shape]
    ranges: dict[int, tuple[int, int] | None] = {}
    spectral, polar = channels.spectral_axis(header, shape), channels.polarization_axis(header, shape)
    if selection.band is not None and spectral is not None:
        ranges[spectral] = channels.in_band(header, shape, spectral, selection.band)
    if selection.states and polar is not None:
        ranges[polar] = channels.in_states(header, shape, polar, selection.states)
    if selection.region is not None:
        ranges |= _celestial_ranges(header, shape, selection.region)
    for axis, found in ranges.items():
        if found is None:
            return None
        box[axis - 1] = found
    return box


def _celestial_ranges(
    header: fits.Header, shape: list[int], region: Region
) -> dict[int, tuple[int, int] | None]:
    axes = wcscards.celestial_axes(header)
    if len(axes) != 2 or max(axes) > len(shape):
        return {1: None}
    if wcscards.needs_lookup(header):
        raise UsageFault(
            "The distortion of this image is in tables, which a cutout could not keep.", "Get the whole file."
        )
    size = (shape[axes[0] - 1], shape[axes[1] - 1])
    projection = _Projection(wcscards.celestial_wcs(header, shape), size)
    box = outlines.pixel_box(region, size, projection.to_pixel, projection.to_sky)
    return {axes[0]: box[:2], axes[1]: box[2:]} if box else {axes[0]: None}


class _Projection:
    """The transformations between pixels of an image, counted from 0, and unit vectors of ICRS."""

    def __init__(self, wcs: WCS, size: tuple[int, int]) -> None:
        self._wcs = wcs
        self._size = np.array(size, float)
        self._frame = wcs_to_celestial_frame(wcs)
        self._is_swapped = wcs.wcs.lng == 1

    def to_sky(self, pixels: Pixels) -> Vectors:
        world = self._in_order(self._wcs.all_pix2world(pixels, 0))
        return to_icrs(vectors(world[:, 0], world[:, 1]), self._frame)

    def to_pixel(self, points: Vectors) -> Pixels:
        native = from_icrs(points, self._frame)
        longitude = np.degrees(np.arctan2(native[:, 1], native[:, 0])) % 360
        latitude = np.degrees(np.arctan2(native[:, 2], np.hypot(native[:, 0], native[:, 1])))
        world = self._in_order(np.stack([longitude, latitude], axis=1))
        pixels = np.asarray(self._wcs.wcs_world2pix(world, 0))
        if self._wcs.has_distortion:
            margin = _MARGIN * self._size
            near = ((pixels >= -margin) & (pixels <= self._size + margin)).all(axis=1)
            if near.any():
                exact = self._wcs.all_world2pix(world[near], 0, quiet=True)
                pixels[near] = np.where(np.isfinite(exact), exact, pixels[near])
        return pixels

    def _in_order(self, pairs: Pixels) -> Pixels:
        """Turn pairs of longitude and latitude into those of the axes in the file, and back."""
        return pairs[:, ::-1] if self._is_swapped else pairs


def _bytes(hdu: Any, lengths: list[int]) -> int:
    return math.prod(lengths) * abs(int(hdu.header["BITPIX"])) // 8


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.size:
        raise UsageFault(
            f"The cutout has {size} bytes, more than {limits.size}.", "Ask for less, or get the whole file."
        )


def _piece(plain: BinaryIO, plan: _Plan, limits: Limits, history: list[str]) -> Piece:
    limits.check_time()
    hdu, box = plan.hdu, plan.box
    pixels = ", ".join(f"{start + 1}:{end}" for start, end in box)
    lines = [*history, f"Pixels {pixels} of {' x '.join(map(str, _shape(hdu)))}"]
    cards = [*fitscards.cut_out(_cards(plain, hdu), box), *fitscards.history(lines)]
    data = _tiles(hdu, box, limits) if isinstance(hdu, fits.CompImageHDU) else _section(plain, hdu, box)
    return Piece(cards, data)


def _cards(plain: BinaryIO, hdu: Any) -> list[bytes]:
    """Return the cards of an image; of one that is not tile-compressed, as they are in the file."""
    if isinstance(hdu, fits.CompImageHDU):
        return fitscards.cards_of(hdu.header.tostring(padding=False).encode("ascii", "replace"))
    where = hdu.fileinfo()
    return fitscards.cards_of(os.pread(plain.fileno(), where["datLoc"] - where["hdrLoc"], where["hdrLoc"]))


def _section(plain: BinaryIO, hdu: Any, box: Box) -> NDArray[Any]:
    """Read the pixels in a box, row by row, or in longer pieces where whole rows are wanted."""
    shape, kind = _shape(hdu), np.dtype(_TYPES[int(hdu.header["BITPIX"])])
    data = np.empty([end - start for start, end in reversed(box)], kind)
    strides = [math.prod(shape[:axis]) for axis in range(len(shape))]
    whole = 1
    while whole < len(shape) and all(
        part == (0, length) for part, length in zip(box[:whole], shape, strict=False)
    ):
        whole += 1
    run = math.prod(end - start for start, end in box[:whole])
    first = sum(start * stride for (start, _), stride in zip(box[:whole], strides, strict=False))
    begin = hdu.fileinfo()["datLoc"]
    outer = np.ndindex(*(end - start for start, end in reversed(box[whole:])))
    for row, index in zip(data.reshape(-1, run), outer, strict=True):
        offsets = zip(reversed(index), box[whole:], strides[whole:], strict=True)
        at = first + sum((number + start) * stride for number, (start, _), stride in offsets)
        _fill(plain, row, begin + at * kind.itemsize)
    return data


def _fill(plain: BinaryIO, row: NDArray[Any], offset: int) -> None:
    view, done = row.view(np.uint8).data, 0
    while done < len(view):
        count = os.preadv(plain.fileno(), [view[done:]], offset + done)
        if not count:
            raise EOFError("it ends before its last pixel")
        done += count


def _tiles(hdu: Any, box: Box, limits: Limits) -> NDArray[Any]:
    """Read the pixels in a box of a tile-compressed image, whole tiles at a time."""
    tiles = list(reversed(hdu.tile_shape))
    lengths = [
        (-(-end // tile) - start // tile) * tile for (start, end), tile in zip(box, tiles, strict=True)
    ]
    # One row of wide tiles is the usual case; a tile as large as the image is not refused for that.
    _check_size(_bytes(hdu, lengths) // 4, limits)
    section = hdu.section[tuple(slice(*part) for part in reversed(box))]
    return np.ascontiguousarray(section, dtype=_TYPES[int(hdu.header["BITPIX"])])


def _assembled(plain: BinaryIO, hdus: fits.HDUList, plans: list[_Plan], pieces: list[Piece]) -> Cutout:
    first = plans[0].hdu
    if first is hdus[0]:
        return Cutout(None, pieces)
    if isinstance(first, fits.CompImageHDU) and pieces[0].cards[0].startswith(b"SIMPLE"):
        # fpack has put an empty primary unit before what was one.
        return Cutout(None, pieces)
    return Cutout(fitscards.without_data(_cards(plain, hdus[0])), pieces)
