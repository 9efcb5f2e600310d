"""The pictures of data products, for those who may see the products."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ost_vo.access.context import Context
from ost_vo.faults import NotFoundFault
from ost_vo.services import datalink
from ost_vo.services.archive import Archive
from ost_vo.services.picture_store import Kind, path


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture.

    Attributes:
        content: PNG.
        etag: changes with the content.
    """

    content: bytes
    etag: str


def picture(archive: Archive, identifier: str, kind: Kind, context: Context) -> Picture:
    """Return a picture of the data product with an identifier.

    Raises:
        NotFoundFault: there is no such product, the caller may not see it, or it has no picture (yet).
        TransientFault: out of time or connections.
    """
    missing = NotFoundFault(f"There is no {kind.title} of {identifier!r}, or none that you may see.")
    try:
        found = datalink.product(archive, identifier.strip(), context)
        with path(archive.settings, found.sha256, kind).open("rb") as file:
            status = os.fstat(file.fileno())
            return Picture(file.read(), f'"{status.st_size:x}-{status.st_mtime_ns:x}"')
    except (NotFoundFault, FileNotFoundError):
        raise missing from None
