"""SODA: cutouts of data sets.

Source: SODA 1.0 sections 3 (parameters) and 5 (responses).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

import structlog

from ost_vo.access.context import Context
from ost_vo.faults import FatalFault, UsageFault
from ost_vo.services import cutouts, datalink, files, pictures
from ost_vo.services.archive import Archive
from ost_vo.services.cutouts import Cutout, Limits
from ost_vo.services.files import Download
from ost_vo.store.extents import extents
from ost_vo.store.observations import Product
from ost_vo.vo import fitscards, soda
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.soda import PNG, Extent, Request

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A cutout as it is sent.

    Attributes:
        media_type: image/fits or image/png.
        name: for a file with it.
        is_public: whether everybody may see it.
        parts: its bytes, in order.
    """

    media_type: str
    name: str
    is_public: bool
    parts: list[memoryview]

    @property
    def size(self) -> int:
        """Its length [byte]."""
        return sum(len(part) for part in self.parts)


def cutout(archive: Archive, parameters: Parameters, context: Context) -> Answer | None:
    """Return the part of a data set that parameters ask for, None where they and the data do not overlap.

    Raises:
        MultipleValuesFault: several values where one is answered at a time.
        UsageFault: a value is wrong; the cutout would be too large; no cutouts can be made of these data.
        NotFoundFault: there is no such data set, the caller may not see it, or its file is missing.
        TransientFault: out of time or connections.
        FatalFault: the file cannot be read.
    """
    deadline = time.monotonic() + archive.settings.sync_seconds
    request = soda.request(parameters)
    download = files.open_identifier(archive, request.identifier, context)
    try:
        if not datalink.is_cut(download.product):
            raise UsageFault(
                f"Of {download.product.path!r} no cutouts can be made: it is no image or cube in FITS.",
                "Get the whole file.",
            )
        extent = _extent(archive, download.product, context)
        found = _cut(download, request, extent, Limits(archive.settings.cutout_bytes, deadline))
    finally:
        download.close()
    return None if found is None else _answer(download.product, found, request)


def _extent(archive: Archive, product: Product, context: Context) -> Extent:
    settings = archive.transaction_settings(context)
    with archive.database.connection() as connection:
        return extents(connection, settings, [product.identifier]).get(product.identifier, Extent())


def _cut(download: Download, request: Request, extent: Extent, limits: Limits) -> Cutout | None:
    made = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    history = [
        f"Cutout of {download.product.identifier}",
        f"made {made} UTC, parameters: {request.selection.text or 'none'}",
    ]
    with os.fdopen(os.dup(download.descriptor), "rb") as file:
        try:
            return cutouts.cut(file, request.selection, extent, limits, history)
        except FatalFault as fault:
            log.warning("nothing to cut out", path=download.product.path, reason=fault.detail)
            raise


def _answer(product: Product, found: Cutout, request: Request) -> Answer:
    stem = PurePosixPath(product.path).name.split(".")[0]
    is_public = product.data_rights == "public"
    if request.media_type == PNG:
        return Answer(PNG, f"{stem}_cutout.png", is_public, [memoryview(pictures.png(found.pieces[0]))])
    return Answer(soda.FITS, f"{stem}_cutout.fits", is_public, list(_parts(found)))


def _parts(found: Cutout) -> Iterator[memoryview]:
    """Yield the bytes of a FITS file; the pixels are not copied."""
    if found.primary is not None:
        yield memoryview(fitscards.encoded(found.primary))
    for piece in found.pieces:
        yield memoryview(fitscards.encoded(piece.cards))
        pixels = piece.pixels.reshape(-1).view("u1").data
        yield pixels
        yield memoryview(fitscards.padding(len(pixels)))
