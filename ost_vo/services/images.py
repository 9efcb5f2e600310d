"""The images of an open FITS file: which of their pixels a selection meets. All is looked up only once.

Source: FITS 4.0 sections 4 (headers), 7.1 (image extensions), 8 (WCS).
"""

from __future__ import annotations

import math
import os
from functools import cached_property, partial
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from ost_vo.faults import UsageFault
from ost_vo.services import pixel_reading
from ost_vo.services.pixel_reading import Box
from ost_vo.vo import channels, fitscards, timeaxis, wcscards
from ost_vo.vo.celestial import Vectors, from_icrs, to_icrs, vectors
from ost_vo.vo.outlines import Field
from ost_vo.vo.regions import Region
from ost_vo.vo.soda import Selection
from ost_vo.vo.zenithal import Zenithal, zenithal

# Beyond the image by this part of its size, distortions are extrapolations that may turn back.
_MARGIN = 0.25

Pixels = NDArray[np.float64]


class Image:
    """One image of a FITS file.

    Args:
        hdu: astropy's, of an image that has pixels.
        file: not packed, in which it is.
    """

    def __init__(self, hdu: Any, file: BinaryIO) -> None:
        self.hdu = hdu
        self.shape = shape_of(hdu)
        self.is_tiled = isinstance(hdu, fits.CompImageHDU)
        self._file = file
        self._header = hdu.header
        self._bitpix = int(hdu.header["BITPIX"])

    @cached_property
    def is_on_sky(self) -> bool:
        """Whether it says where it is on the sky."""
        return len(self._celestial_axes) == 2

    @property
    def was_primary(self) -> bool:
        """Whether it was the primary unit before it was tile-compressed."""
        return self.is_tiled and self.cards[0].startswith(b"SIMPLE")

    @cached_property
    def cards(self) -> list[bytes]:
        """Its header; of an image that is not tile-compressed, as it is in the file."""
        if self.is_tiled:
            return fitscards.cards_of(self._header.tostring(padding=False).encode("ascii", "replace"))
        return cards_in_file(self.hdu, self._file)

    @cached_property
    def whole_header(self) -> fitscards.WholeHeader:
        """Its header, to make those of parts from."""
        return fitscards.WholeHeader(self.cards)

    def box(self, selection: Selection) -> Box | None:
        """Return the pixels of a selection along each axis, NAXIS1 first; None for nothing.

        Raises:
            UsageFault: its distortions are in tables.
        """
        box = [(0, length) for length in self.shape]
        for axis, found in self._ranges(selection).items():
            if found is None:
                return None
            box[axis - 1] = found
        return box

    def size(self, box: Box) -> int:
        """Return the size of the pixels in a box [byte]."""
        return self._bytes([end - start for start, end in box])

    def read_size(self, box: Box) -> int:
        """Return the size of the pixels that have to be unpacked at a time for a box [byte]."""
        return self._bytes(pixel_reading.tiled_lengths(self.hdu, box)) if self.is_tiled else self.size(box)

    def pixels(self, box: Box) -> NDArray[Any]:
        """Read the pixels in a box, as FITS stores them, the first axis last."""
        if self.is_tiled:
            return pixel_reading.tiles(self.hdu, box)
        return pixel_reading.section(self._file, self._begin, self.shape, self._bitpix, box)

    @cached_property
    def _begin(self) -> int:
        return int(self.hdu.fileinfo()["datLoc"])

    def _bytes(self, lengths: list[int]) -> int:
        return math.prod(lengths) * abs(self._bitpix) // 8

    def _ranges(self, selection: Selection) -> dict[int, tuple[int, int] | None]:
        header, shape = self._header, self.shape
        found: dict[int, tuple[int, int] | None] = {}
        if selection.band is not None and (axis := self._spectral) is not None:
            found[axis] = channels.in_band(header, shape, axis, selection.band)
        if selection.states and (axis := self._polar) is not None:
            found[axis] = channels.in_states(header, shape, axis, selection.states)
        if selection.time is not None and (axis := self._temporal) is not None:
            found[axis] = timeaxis.in_time(header, shape, axis, selection.time)
        if selection.region is not None:
            found |= self._celestial(selection.region)
        return found

    def _celestial(self, region: Region) -> dict[int, tuple[int, int] | None]:
        axes, field = self._celestial_axes, self._field
        if field is None:
            return {1: None}
        box = field.box(region)
        return {axes[0]: box[:2], axes[1]: box[2:]} if box else {axes[0]: None}

    @cached_property
    def _spectral(self) -> int | None:
        return channels.spectral_axis(self._header, self.shape)

    @cached_property
    def _polar(self) -> int | None:
        return channels.polarization_axis(self._header, self.shape)

    @cached_property
    def _temporal(self) -> int | None:
        return timeaxis.time_axis(self._header, self.shape)

    @cached_property
    def _celestial_axes(self) -> list[int]:
        return wcscards.celestial_axes(self._header)

    @cached_property
    def _field(self) -> Field | None:
        """What it covers of the sky, None for an image that has no place there."""
        axes = self._celestial_axes
        if len(axes) != 2 or max(axes) > len(self.shape):
            return None
        if wcscards.needs_lookup(self._header):
            raise UsageFault(
                "The distortion of this image is in tables, which a cutout could not keep.",
                "Get the whole file.",
            )
        size = (self.shape[axes[0] - 1], self.shape[axes[1] - 1])
        plain = zenithal(wcscards.sound_values(self._header)) if len(self.shape) == 2 else None
        if plain is not None:
            return Field(size, partial(_pixels, plain, size), plain.directions)
        projection = _Projection(wcscards.celestial_wcs(self._header, self.shape), size)
        return Field(size, projection.to_pixel, projection.to_sky)


def shape_of(hdu: Any) -> list[int]:
    """Return the lengths of an image's axes, NAXIS1 first; nothing for one without pixels."""
    shape = [int(length) for length in reversed(hdu.shape)]
    return shape if shape and min(shape) > 0 else []


def cards_in_file(hdu: Any, file: BinaryIO) -> list[bytes]:
    """Return the cards of a header as they are in the file."""
    where = hdu.fileinfo()
    return fitscards.cards_of(os.pread(file.fileno(), where["datLoc"] - where["hdrLoc"], where["hdrLoc"]))


def _pixels(plain: Zenithal, size: tuple[int, int], points: Vectors) -> Pixels:
    """Return the pixels of unit vectors of ICRS, counted from 0."""
    pixels = plain.pixels(points)
    if plain.distortion is not None:
        near = _are_near(pixels, size)
        exact = plain.distorted(pixels[near])
        pixels[near] = np.where(np.isfinite(exact), exact, pixels[near])
    return pixels


def _are_near(pixels: Pixels, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Say which pixels are in the image, or not far from it."""
    sides = np.array(size, float)
    margin = _MARGIN * sides
    return np.asarray(((pixels >= -margin) & (pixels <= sides + margin)).all(axis=1))


class _Projection:
    """The transformations between pixels of an image, counted from 0, and unit vectors of ICRS."""

    def __init__(self, wcs: WCS, size: tuple[int, int]) -> None:
        self._wcs = wcs
        self._size = size
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
            near = _are_near(pixels, self._size)
            if near.any():
                exact = self._wcs.all_world2pix(world[near], 0, quiet=True)
                pixels[near] = np.where(np.isfinite(exact), exact, pixels[near])
        return pixels

    def _in_order(self, pairs: Pixels) -> Pixels:
        """Turn pairs of longitude and latitude into those of the axes in the file, and back."""
        return pairs[:, ::-1] if self._is_swapped else pairs
