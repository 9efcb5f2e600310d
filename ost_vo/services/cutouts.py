"""Cutting parts out of FITS files: of their images, as they are stored, only what is wanted is read.

A file is opened once for all its cutouts.

Source: FITS 4.0 sections 4 (headers), 7.1 (image extensions).
"""

from __future__ import annotations

import bz2
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.wcs import WcsError
from isal import igzip

from ost_vo.faults import FatalFault, UsageFault
from ost_vo.services import spectrum_tables
from ost_vo.services.cut_pieces import Cutout, Limits, Piece, check_size
from ost_vo.services.images import Image, cards_in_file, shape_of
from ost_vo.services.pixel_reading import Box
from ost_vo.vo import fitscards
from ost_vo.vo.soda import Extent, Selection

# What unpacks to more is no camera frame; ingest has the same limit.
MAX_UNPACKED_BYTES = 2 << 30
MAX_UNITS = 1000
_CHUNK_BYTES = 1 << 20
# What the parts of a file that is damaged, or made with ill will, raise.
DAMAGE = (
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


class Source:
    """A FITS file that is open for any number of cutouts.

    Args:
        plain: the file, not packed.
        hdus: its units.
        limits: of size and time, of each cutout.
    """

    def __init__(self, plain: BinaryIO, hdus: fits.HDUList, limits: Limits) -> None:
        self._plain = plain
        self._hdus = hdus
        self._limits = limits
        self._known: list[Image] | None = None

    def cut(self, selection: Selection, extent: Extent, history: list[str]) -> Cutout | None:
        """Return what a selection and the images have in common, None where there is nothing.

        An axis that an image does not have is compared with what the archive knows of the file; where it
        knows nothing, that filter has no effect.

        Args:
            selection: what to cut out.
            extent: what the archive knows of the file's coverage.
            history: lines to add to the headers; where the pixels come from is added to them.

        Raises:
            UsageFault: too large, or the file has no image with positions on the sky where a region is given.
            TransientFault: out of time.
            FatalFault: the file cannot be understood.
        """
        if not may_overlap(selection, extent):
            return None
        with understood():
            plans = self._plans(selection)
            check_size(sum(image.size(box) for image, box in plans), self._limits)
            pieces = [self._piece(image, box, history) for image, box in plans]
            tables = self._tables(selection, history)
            if plans:
                return self._assembled(plans[0][0], pieces + tables)
            return Cutout(self._primary(), tables) if tables else None

    def _plans(self, selection: Selection) -> list[tuple[Image, Box]]:
        plans = []
        for image in self._images():
            self._limits.check_time()
            box = image.box(selection)
            if box is not None:
                plans.append((image, box))
        if selection.region is not None and not any(image.is_on_sky for image in self._images()):
            raise UsageFault("The images of this file have no positions on the sky.", "Leave the region out.")
        return plans

    def _tables(self, selection: Selection, history: list[str]) -> list[Piece]:
        """Return what a band has of spectra in tables; without a band, all of them if there is no image."""
        if selection.region is not None or (selection.band is None and self._images()):
            return []
        found = (
            spectrum_tables.piece(
                hdu, cards_in_file(hdu, self._plain), self._plain, selection.band, self._limits, history
            )
            for hdu in units(self._hdus)
            if spectrum_tables.spectral_column(hdu) is not None
        )
        return [piece for piece in found if piece is not None]

    def _images(self) -> list[Image]:
        if self._known is None:
            self._known = [Image(hdu, self._plain) for hdu in units(self._hdus) if is_image(hdu)]
        return self._known

    def _piece(self, image: Image, box: Box, history: list[str]) -> Piece:
        self._limits.check_time()
        pixels = ", ".join(f"{start + 1}:{end}" for start, end in box)
        lines = [*history, f"Pixels {pixels} of {' x '.join(map(str, image.shape))}"]
        cards = [*image.whole_header.part(box), *fitscards.history(lines)]
        # One row of wide tiles is the usual case; a tile as large as the image is not refused for that.
        check_size(image.read_size(box) // 4, self._limits)
        return Piece(cards, image.pixels(box))

    def _assembled(self, first: Image, pieces: list[Piece]) -> Cutout:
        if first.hdu is self._hdus[0]:
            return Cutout(None, pieces)
        if first.was_primary:
            # fpack has put an empty primary unit before what was one.
            return Cutout(None, pieces)
        return Cutout(self._primary(), pieces)

    def _primary(self) -> list[bytes]:
        return fitscards.without_data(cards_in_file(self._hdus[0], self._plain))


@contextmanager
def opened(file: BinaryIO, limits: Limits) -> Iterator[Source]:
    """Open a FITS file, packed or not, at its start.

    Raises:
        TransientFault: out of time.
        FatalFault: the file cannot be understood.
    """
    with unpacked(file, limits) as plain, units_of(plain) as hdus:
        yield Source(plain, hdus, limits)


@contextmanager
def understood() -> Iterator[None]:
    """Turn what damage of a file brings about into a FatalFault."""
    try:
        yield
    except DAMAGE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FatalFault(f"Nothing can be cut out of this file: {reason}", "Get the whole file.") from error


def may_overlap(selection: Selection, extent: Extent) -> bool:
    """Compare the filters with what is known of the whole file."""
    for wanted, low, high in (
        (selection.band, extent.em_min, extent.em_max),
        (selection.time, extent.t_min, extent.t_max),
    ):
        if wanted and low is not None and high is not None and (wanted.lower > high or wanted.upper < low):
            return False
    return True


@contextmanager
def unpacked(file: BinaryIO, limits: Limits) -> Iterator[BinaryIO]:
    """Give a file that is not packed: the one given, or a temporary one; faults as of :func:`opened`."""
    magic = os.pread(file.fileno(), 3, 0)
    opener: Any = igzip.open if magic[:2] == b"\x1f\x8b" else bz2.open if magic == b"BZh" else None
    if opener is None:
        yield file
        return
    with tempfile.TemporaryFile() as plain:
        with understood(), opener(file, "rb") as packed:
            while chunk := packed.read(_CHUNK_BYTES):
                limits.check_time()
                if plain.tell() + len(chunk) > MAX_UNPACKED_BYTES:
                    raise ValueError(f"it unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
                plain.write(chunk)
        plain.seek(0)
        yield plain


@contextmanager
def units_of(plain: BinaryIO) -> Iterator[fits.HDUList]:
    """Give the units of a FITS file that is not packed; faults are those of :func:`opened`."""
    # Not mapped: a file that is cut short while it is read would end the process.
    # By a handle of its own, which can read alone whatever the given one can.
    handle = open(f"/proc/self/fd/{plain.fileno()}", "rb")  # noqa: SIM115 - closed with the list of units
    with understood():
        hdus = fits.open(
            handle, mode="readonly", memmap=False, lazy_load_hdus=True, do_not_scale_image_data=True
        )
    with hdus:
        yield hdus


def units(hdus: fits.HDUList) -> Iterator[Any]:
    """Yield the units of a file."""
    for number in range(MAX_UNITS):
        try:
            yield hdus[number]
        except IndexError:
            return


def is_image(hdu: Any) -> bool:
    """Whether a unit is an image that has pixels."""
    return isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) and bool(shape_of(hdu))
