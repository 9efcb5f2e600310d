"""SODA: cutouts of data sets.

Source: SODA 1.0 sections 3 (parameters) and 5 (responses).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ost_vo.access.context import Context
from ost_vo.services import datalink, files, sources
from ost_vo.services.archive import Archive
from ost_vo.services.cut_pieces import Limits
from ost_vo.services.sources import Made
from ost_vo.store.observations import Product
from ost_vo.vo import soda
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.soda import Selection


@dataclass(frozen=True, slots=True)
class Answer:
    """A cutout and whether everybody may see it."""

    made: Made
    is_public: bool


def cutout(archive: Archive, parameters: Parameters, context: Context) -> Answer | None:
    """Return the part of a data set that parameters ask for, None where they and the data do not overlap.

    Raises:
        MultipleValuesFault: several values where one is answered at a time.
        UsageFault: a value is wrong; the cutout would be too large; no cutouts can be made of these data.
        NotFoundFault: there is no such data set, the caller may not see it, or its file is missing.
        TransientFault: out of time or connections.
        FatalFault: the file cannot be read.
    """
    limits = Limits(archive.settings.cutout_bytes, time.monotonic() + archive.settings.sync_seconds)
    request = soda.request(parameters)
    product, extent = datalink.product_and_extent(archive, request.identifier, context)
    download = files.opened_as_ingested(archive, product)
    try:
        with sources.opened(download, limits) as source:
            lines = history(product, request.selection)
            made = source.cut(request.selection, extent, lines, request.media_type)
    finally:
        download.close()
    return None if made is None else Answer(made, product.data_rights == "public")


def history(product: Product, selection: Selection) -> list[str]:
    """Return what the header of a cutout says of where it comes from."""
    made = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    return [
        f"Cutout of {product.identifier}",
        f"made {made} UTC, parameters: {selection.text or 'none'}",
    ]
