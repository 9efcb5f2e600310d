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
from ost_vo.faults import ConflictFault, FatalFault, NotFoundFault
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
        status: of the file of the product.
        form: the name of the open file where it was made from that of the product; '' for that itself.
        media_type: of what was made so.
    """

    product: Product
    descriptor: int
    status: os.stat_result
    form: str = ""
    media_type: str = ""

    @property
    def stored_name(self) -> str:
        """The name of the product's file, without directories."""
        return PurePosixPath(self.product.path).name

    @property
    def name(self) -> str:
        """The name of the file to send, without directories."""
        return self.form or self.stored_name

    @property
    def is_as_ingested(self) -> bool:
        """Whether the product's file is the one whose checksum the archive knows, by size and time."""
        known = (self.product.file_size, int(self.product.file_modified.timestamp()))
        return (self.status.st_size, int(self.status.st_mtime)) == known

    @property
    def sha256(self) -> bytes | None:
        """The checksum of the open file, None where it is not known."""
        return bytes.fromhex(self.product.sha256) if self.is_as_ingested and not self.form else None

    @property
    def etag(self) -> str:
        """The entity tag: strong while the file is the one whose checksum the archive knows, else weak."""
        suffix = "-unpacked" if self.form else ""
        if self.is_as_ingested:
            return f'"{self.product.sha256}{suffix}"'
        return f'W/"{self.status.st_size:x}-{self.status.st_mtime_ns:x}{suffix}"'

    def close(self) -> None:
        """Give the open file back."""
        os.close(self.descriptor)


def open_path(archive: Archive, path: str, context: Context) -> Download:
    """Open the file with a path below the data root.

    Raises:
        NotFoundFault: there is no such product, the caller may not see it, or its file is missing.
        ConflictFault: the file has another size than the one that was ingested.
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
    return _unchanged(opened(archive, found))


def open_identifier(archive: Archive, identifier: str, context: Context) -> Download:
    """Open the file of the data product with an identifier; faults are those of :func:`open_path`."""
    return _unchanged(opened(archive, datalink.product(archive, identifier.strip(), context)))


def opened(archive: Archive, product: Product) -> Download:
    """Open the file of a product that the caller may see, as it is now.

    Raises:
        NotFoundFault: it is missing.
        FatalFault: it cannot be read.
    """
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


def _unchanged(download: Download) -> Download:
    """Return a file that may be the one that was ingested; note one that has another time."""
    if download.is_as_ingested:
        return download
    product, size = download.product, download.status.st_size
    log.warning("file changed", path=product.path, identifier=product.identifier, size=size)
    if size == product.file_size:
        return download
    download.close()
    raise ConflictFault(
        f"The file {product.path!r} has changed on disk: it has {size} bytes, and {product.file_size} when it"
        " was ingested.",
        "It can be had again once it has been ingested anew; the operators have been told.",
    )


def _missing(product: Product, reason: str) -> NotFoundFault:
    log.warning("file missing", path=product.path, identifier=product.identifier, reason=reason)
    return NotFoundFault(f"The file {product.path!r} is missing on disk.", "The operators have been told.")
