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
from ost_vo.faults import ConflictFault, FatalFault, NotFoundFault, TransientFault
from ost_vo.services import datalink
from ost_vo.services.archive import Archive
from ost_vo.store import file_events, observations
from ost_vo.store.file_events import Problem
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
    """Open the file with a path below the data root. What is wrong with it is noted for the operator.

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
    return opened_as_ingested(archive, found)


def open_identifier(archive: Archive, identifier: str, context: Context) -> Download:
    """Open the file of the data product with an identifier; faults are those of :func:`open_path`."""
    return opened_as_ingested(archive, datalink.product(archive, identifier.strip(), context))


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
        raise _missing(archive, product, "not found") from None
    except OSError as error:
        note(archive, product, "unreadable", error.strerror or "not readable")
        raise FatalFault(
            f"The file {product.path!r} cannot be read.", "The operators can see why."
        ) from error
    status = os.fstat(descriptor)
    # Only the open file tells where it is: a path could lead elsewhere by now.
    place = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    if not stat.S_ISREG(status.st_mode) or not place.is_relative_to(root):
        os.close(descriptor)
        raise _missing(archive, product, "not a regular file below the data root")
    return Download(product, descriptor, status)


def opened_as_ingested(archive: Archive, product: Product) -> Download:
    """Open the file of a product that the caller may see, if it may be the one that was ingested.

    One of the same size with another time is noted, and opened. Faults are those of :func:`open_path`.
    """
    download = opened(archive, product)
    if download.is_as_ingested:
        return download
    size = download.status.st_size
    is_same_size = size == product.file_size
    note(archive, product, "changed", "another time" if is_same_size else f"{size} bytes")
    if is_same_size:
        return download
    download.close()
    raise ConflictFault(
        f"The file {product.path!r} has changed on disk: it has {size} bytes, and {product.file_size} when it"
        " was ingested.",
        "It can be had again once it has been ingested anew; the operators have been told.",
    )


def note(archive: Archive, product: Product, problem: Problem, detail: str) -> None:
    """Tell the operator that a file is not as the archive knows it: in the log, and as an event."""
    log.warning(f"file {problem}", path=product.path, identifier=product.identifier, reason=detail)
    try:
        with archive.database.connection() as connection:
            file_events.note(connection, product.identifier, problem, detail)
    except TransientFault as fault:
        # Whoever asks for the file gets to know of it all the same.
        log.warning("file event not noted", path=product.path, reason=str(fault))


def _missing(archive: Archive, product: Product, reason: str) -> NotFoundFault:
    note(archive, product, "missing", reason)
    return NotFoundFault(f"The file {product.path!r} is missing on disk.", "The operators have been told.")
