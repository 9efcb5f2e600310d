"""Data sets that cutouts are made of, open: FITS files and SER videos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

import structlog

from ost_vo.faults import FatalFault, UsageFault
from ost_vo.services import cutouts, pictures
from ost_vo.services.cut_kinds import kind_of
from ost_vo.services.cut_pieces import Cutout, Limits
from ost_vo.services.files import Download
from ost_vo.services.videos import Video
from ost_vo.store.observations import Product
from ost_vo.vo import fitscards, soda
from ost_vo.vo.soda import MEDIA_TYPES, PNG, Extent, Selection

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A cutout as it is sent.

    Attributes:
        media_type: image/fits, image/png or video/x-ser.
        name: for a file with it.
        parts: its bytes, in order.
    """

    media_type: str
    name: str
    parts: list[memoryview]

    @property
    def size(self) -> int:
        """Its length [byte]."""
        return sum(len(part) for part in self.parts)


class Source(Protocol):
    """A data set that is open for any number of cutouts."""

    def cut(self, selection: Selection, extent: Extent, history: list[str], media_type: str) -> Made | None:
        """Return a cutout, None where the selection and the data have nothing in common.

        Args:
            selection: what to cut out.
            extent: what the archive knows of the data's coverage.
            history: lines to add to headers.
            media_type: image/fits or image/png.

        Raises:
            UsageFault: too large, or it cannot be made of such data.
            TransientFault: out of time.
            FatalFault: the file cannot be understood.
        """


@contextmanager
def opened(download: Download, limits: Limits) -> Iterator[Source]:
    """Open a data set for cutouts; the download stays the caller's.

    Raises:
        UsageFault: no cutouts can be made of such data.
        TransientFault: out of time.
        FatalFault: the file cannot be understood.
    """
    product = download.product
    kind = kind_of(product)
    if kind is None:
        raise UsageFault(
            f"Of {product.path!r} no cutouts can be made: it is no image, cube or spectrum in FITS, and no"
            " SER video.",
            "Get the whole file.",
        )
    with os.fdopen(os.dup(download.descriptor), "rb") as file:
        try:
            if kind == "video":
                yield _VideoSource(product, file, limits)
            else:
                with cutouts.opened(file, limits) as source:
                    yield _FitsSource(product, source)
        except FatalFault as fault:
            log.warning("nothing to cut out", path=product.path, reason=fault.detail)
            raise


class _FitsSource:
    """The images and spectra of a FITS file."""

    def __init__(self, product: Product, source: cutouts.Source) -> None:
        self._stem = PurePosixPath(product.path).name.split(".")[0]
        self._source = source

    def cut(self, selection: Selection, extent: Extent, history: list[str], media_type: str) -> Made | None:
        """Return a cutout as :class:`Source` has it."""
        if selection.frames is not None:
            raise UsageFault("Only videos have frames.", "Leave FRAMES out.")
        found = self._source.cut(selection, extent, history)
        if found is None:
            return None
        if media_type == PNG:
            return Made(PNG, f"{self._stem}_cutout.png", [memoryview(_picture(found))])
        return Made(soda.FITS, f"{self._stem}_cutout.fits", list(_parts(found)))


class _VideoSource:
    """The frames of a SER video."""

    def __init__(self, product: Product, file: BinaryIO, limits: Limits) -> None:
        self._stem = PurePosixPath(product.path).name.split(".")[0]
        self._video = Video(file, limits)

    def cut(self, selection: Selection, extent: Extent, history: list[str], media_type: str) -> Made | None:
        """Return a cutout as :class:`Source` has it; a SER video has no place for a history."""
        del history
        if media_type == PNG:
            raise UsageFault("Of a video there are no pictures.", "Leave RESPONSEFORMAT out.")
        found = self._video.cut(selection, extent)
        if found is None:
            return None
        return Made(MEDIA_TYPES["video"], f"{self._stem}_cutout.ser", [memoryview(found)])


def _picture(found: Cutout) -> bytes:
    piece = found.pieces[0]
    if piece.pixels.ndim < 2:
        raise UsageFault("Of a spectrum there are no pictures.", "Leave RESPONSEFORMAT out.")
    return pictures.png(piece)


def _parts(found: Cutout) -> Iterator[memoryview]:
    """Yield the bytes of a FITS file; the pixels are not copied."""
    if found.primary is not None:
        yield memoryview(fitscards.encoded(found.primary))
    for piece in found.pieces:
        yield memoryview(fitscards.encoded(piece.cards))
        pixels = piece.pixels.reshape(-1).view("u1").data
        yield pixels
        yield memoryview(fitscards.padding(len(pixels)))
