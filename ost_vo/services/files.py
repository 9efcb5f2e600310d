"""The files of data products: who may have one, and what is sent.

Source: RFC 9110 section 8.8 (validators).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import structlog

from ost_vo.access.context import Context
from ost_vo.faults import FatalFault, NotFoundFault
from ost_vo.services import datalink
from ost_vo.services.archive import Archive
from ost_vo.store import observations
from ost_vo.store.observations import Product

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is open for reading; whoever gets it closes it.

    Attributes:
        product: what the archive knows of it.
        descriptor: the number of the open file.
        status: of the open file.
    """

    product: Product
    descriptor: int
    status: os.stat_result

    @property
    def name(self) -> str:
        """The name of the file, without directories."""
        return PurePosixPath(self.product.path).name

    @property
    def etag(self) -> str:
        """The entity tag: strong while the file is the one whose checksum the archive knows, else weak."""
        known = (self.product.file_size, int(self.product.file_modified.timestamp()))
        if (self.status.st_size, int(self.status.st_mtime)) == known:
            return f'"{self.product.sha256}"'
        return f'W/"{self.status.st_size:x}-{self.status.st_mtime_ns:x}"'

    def close(self) -> None:
        """Give the open file back."""
        os.close(self.descriptor)


def open_path(archive: Archive, path: str, context: Context) -> Download:
    """Open the file with a path below the data root.

    Raises:
        NotFoundFault: there is no such product, the caller may not see it, or its file is missing.
        TransientFault: out of time or connections.
        FatalFault: the file cannot be read.
    """
    settings = archive.transaction_settings(context)
    found = None
    if "\0" not in path:
        with archive.database.connection() as connection:
            found = observations.by_path(connection, settings, path)
    if found is None:
        raise NotFoundFault(f"There is no file {path!r}, or none that you may see.")
    return _opened(archive, found)


def open_identifier(archive: Archive, identifier: str, context: Context) -> Download:
    """Open the file of the data product with an identifier; faults are those of :func:`open_path`."""
    return _opened(archive, datalink.product(archive, identifier.strip(), context))


def _opened(archive: Archive, product: Product) -> Download:
    root = archive.settings.data
    try:
        # A pipe that somebody left there must not hold the request up.
        descriptor = os.open(root / product.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(product, "not found") from None
    except OSError as error:
        log.error("file not readable", path=product.path, reason=error.strerror)
        raise FatalFault(
            f"The file {product.path!r} cannot be read.", "The operators can see why."
        ) from error
    status = os.fstat(descriptor)
    # Only the open file tells where it is: a path could lead elsewhere by now.
    place = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    if not stat.S_ISREG(status.st_mode) or not place.is_relative_to(root):
        os.close(descriptor)
        raise _missing(product, "not a regular file below the data root")
    return Download(product, descriptor, status)


def _missing(product: Product, reason: str) -> NotFoundFault:
    log.warning("file missing", path=product.path, identifier=product.identifier, reason=reason)
    return NotFoundFault(f"The file {product.path!r} is missing on disk.", "The operators have been told.")
