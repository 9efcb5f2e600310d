"""Taking files into the archive: each in a transaction of its own, a bad one into quarantine."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from astropy import log
from astropy.utils.exceptions import AstropyWarning
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ingest import discovery, formats, moving, readers
from ingest.datafile import DataFile, Description
from ingest.discovery import NOTHING, Found, Ignored
from ingest.headers import Remark
from ingest.stream import Stream, Unreadable
from ost_vo.faults import Fault
from ost_vo.settings import Settings
from ost_vo.store import moves, quarantine
from ost_vo.store.products import (
    FileState,
    Known,
    Product,
    ProductStore,
    Rejected,
    open_connection,
)

_BATCH = 500
_MAX_WARNING = 300  # characters kept of what astropy warns of


class Outcome(Enum):
    """What became of a file."""

    INGESTED = "ingested"
    UPDATED = "updated"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    QUARANTINED = "in quarantine"
    SKIPPED = "no data format that is read"


Progress = Callable[[Path, Outcome], None]


@dataclass
class Report:
    """What an ingest did.

    Attributes:
        counts: files by outcome.
        quarantined: (path as the archive names it, reason).
        skipped: files of formats that are not read, and links.
    """

    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{count} {outcome.value}" for outcome, count in self.counts.items() if count]
        lines = [", ".join(parts) + "." if parts else "No files."]
        lines += [f"  {path}: {reason}" for path, reason in self.quarantined]
        return "\n".join(lines)


def count(paths: Sequence[Path], ignored: Ignored = NOTHING) -> int:
    """Return how many times `ingest` reports progress for these paths."""
    return sum(1 for _ in discovery.find([Path(os.path.realpath(path)) for path in paths], ignored))


def ingest(paths: Sequence[Path], settings: Settings, progress: Progress | None = None) -> Report:
    """Take files into the archive; a file that has not changed is not opened.

    Args:
        paths: files or directories below the data root.
        settings: of the installation.
        progress: called after each file.

    Raises:
        UsageFault: a path does not exist or lies outside the data root; nothing was done.
        TransientFault: the database does not answer; the files before are ingested.
    """
    resolved = discovery.resolve(paths, settings.data)
    with open_connection(settings) as connection:
        return Loader(connection, settings).load(discovery.find(resolved, Ignored.of(settings)), progress)


class Loader:
    """Takes files into the archive over one connection.

    Args:
        connection: of the role ost_ingest.
        settings: of the installation.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._root = settings.data
        self._facility = settings.facility
        self._products = ProductStore(connection, settings)
        # astropy tells its log, too, of headers that it repairs; what matters becomes a discrepancy.
        log.setLevel("ERROR")

    def load(self, files: Iterator[Found], progress: Progress | None = None) -> Report:
        """Take files in and say what became of them."""
        report = Report()
        while batch := list(islice(files, _BATCH)):
            known = self._products.known([discovery.relative(found.path, self._root) for found in batch])
            for found in batch:
                outcome = self._take(found, known, report)
                report.counts[outcome] += 1
                if progress:
                    progress(found.path, outcome)
        return report

    def _take(self, found: Found, known: dict[str, Known], report: Report) -> Outcome:
        path = discovery.relative(found.path, self._root)
        try:
            if self._is_skipped(found, path):
                report.skipped.append(found.path)
                return Outcome.SKIPPED
            return self._load(found, path, known.get(path))
        except FileNotFoundError:
            # Gone since the directory was listed: a temporary file, or a rename.
            return Outcome.SKIPPED
        except (Unreadable, Rejected) as fault:
            reason = fault.detail
        except OSError as error:
            reason = f"Cannot be read: {error.strerror or error}."
        except Fault:
            # Not the file's: the database does not answer, or refuses a statement of ours.
            raise
        except Exception as error:  # noqa: BLE001 - whatever astropy makes of one file, the others go on
            reason = f"Cannot be understood ({type(error).__name__}: {error})."
        quarantine.add(
            self._connection, FileState.of(path, found.size, found.modified_ns), _printable(reason)
        )
        report.quarantined.append((path, reason))
        return Outcome.QUARANTINED

    def _is_skipped(self, found: Found, path: str) -> bool:
        """Whether a file is passed over; raises Unreadable for one that should be data and cannot be."""
        if found.problem:
            raise Unreadable(found.problem)
        if found.link_to is not None and not formats.is_data(found.path.name):
            return True
        if refusal := formats.refusal(found.path.name):
            raise Unreadable(refusal)
        if not formats.is_data(found.path.name):
            return True
        if found.link_to is not None:
            return self._is_link_inside(found.link_to)
        if not discovery.has_utf8_name(found.path):
            raise Unreadable("The name is not UTF-8: rename the file.")
        if "/" not in path:
            raise Unreadable("Not in a run: move it into a directory below the data root.")
        return False

    def _is_link_inside(self, link_to: Path) -> bool:
        """Whether a link leads to data that are found under their own name."""
        if not link_to.is_relative_to(self._root):
            raise Unreadable("A link that leads out of the data root.")
        if not link_to.exists():
            raise Unreadable("A link that leads nowhere.")
        return True

    def _load(self, found: Found, path: str, known: Known | None) -> Outcome:
        state = FileState.of(path, found.size, found.modified_ns)
        if known and known.is_settled and known.file == state:
            return Outcome.UNCHANGED
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", AstropyWarning)
            with open(found.path, "rb", buffering=0, opener=_opener) as raw:
                file = _file(raw, path, found.path, self._facility)
                describe = readers.read(file)
                sha256 = file.stream.digest()
                state = _state(file)
                if known and known.sha256 == sha256:
                    self._products.touch(state)
                    return Outcome.UNCHANGED
                former = moving.former(self._connection, self._root, path, sha256, known)
                if former and former.move.located.is_deleted:
                    moves.relocate(self._connection, [former.move])
                    self._products.touch(state)
                    return Outcome.UNCHANGED
                description = describe()
        warned = [Remark("FITS", str(warning.message)[:_MAX_WARNING]) for warning in caught]
        if former:
            product = _product(state, sha256, description, [*warned, *former.remarks])
            self._save(product, is_known=True, before=lambda cursor: moves.move(cursor, [former.move]))
            return Outcome.MOVED
        self._save(_product(state, sha256, description, warned), is_known=bool(known and known.product_id))
        return Outcome.UPDATED if known and known.product_id else Outcome.INGESTED

    def _save(
        self, product: Product, *, is_known: bool, before: Callable[[Cursor], None] | None = None
    ) -> None:
        try:
            self._products.save(product, is_known=is_known, before=before)
        except Rejected as fault:
            if product.metadata.region is None:
                raise
            # pg_sphere refuses outlines that cross themselves, as a wild distortion polynomial makes them.
            metadata = replace(product.metadata, region=None, s_region=None)
            remark = ("CTYPE1", f"The outline is left out. {fault.detail}")
            product = replace(product, metadata=metadata, discrepancies=[*product.discrepancies, remark])
            self._products.save(product, is_known=is_known, before=before)


def _file(raw: BinaryIO, path: str, location: Path, facility: str) -> DataFile:
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("Not an ordinary file.")
    return DataFile(path, raw, Stream(raw), status.st_size, status.st_mtime_ns, location, facility)


def _state(file: DataFile) -> FileState:
    """Return a file's state now that it was read, which must be as it was before."""
    after = os.fstat(file.raw.fileno())
    if (file.size, file.modified_ns) != (after.st_size, after.st_mtime_ns):
        raise Unreadable("Changed while it was read: ingest it again when it is complete.")
    return FileState.of(file.path, file.size, file.modified_ns)


def _product(state: FileState, sha256: bytes, description: Description, warned: list[Remark]) -> Product:
    run = state.path.split("/", 1)[0]
    remarks = [(r.keyword, _printable(r.reason)) for r in (*description.remarks, *warned)]
    discrepancies = list(dict.fromkeys(remarks))
    night = moving.night(run)
    return Product(
        state,
        sha256,
        run,
        night,
        description.metadata,
        description.headers,
        discrepancies,
        description.references,
    )


def _printable(text: str) -> str:
    """Return a reason on one line, without what PostgreSQL cannot hold."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().replace("\0", "?").split())


def _opener(path: str, flags: int) -> int:
    # Not through a link that took the file's place, and without waiting for the writer of a FIFO.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
