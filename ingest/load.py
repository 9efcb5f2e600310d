"""Taking files into the archive: a batch of them in one transaction, a bad one into quarantine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from psycopg2.extensions import connection as Connection

from ingest import discovery, formats, lists, moving
from ingest.crew import Crew, Wait
from ingest.discovery import NOTHING, Found, Ignored
from ingest.headers import Remark
from ingest.moving import Former
from ingest.observatory import Observatory
from ingest.reading import Failure, Reading, Task
from ingest.stream import Unreadable
from ost_vo.settings import Settings
from ost_vo.store import moves, quarantine
from ost_vo.store.ingesting import Collided, Rejected, open_connection
from ost_vo.store.products import FileState, Known, Product, ProductStore

_LOOKED_UP = 500  # files looked up in the archive at a time
# So many files are written in one transaction, or what is there when the first has waited for so long [s].
_BATCH = 100
_PATIENCE = 0.1
_MOST_PATIENCE = 2.0  # on a busy machine [s]
_PART = 4  # times as long is read as was written

_ATTEMPTS = 5  # at a transaction that another ingest gets in the way of

Written = TypeVar("Written")


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
        UsageFault: a path does not exist or lies outside the data root, or a table of the operator's cannot
            be used; nothing was done.
        TransientFault: the database does not answer; the files before are ingested.
    """
    resolved = discovery.resolve(paths, settings.data)
    with open_connection(settings) as connection, closing(Loader(connection, settings)) as loader:
        return loader.load(discovery.find(resolved, Ignored.of(settings)), progress)


@dataclass(eq=False, slots=True)
class _File:
    """A file on its way into the archive.

    Attributes:
        found, path: on disk, and as the archive names it.
        known: what the archive knew of the path.
        outcome: what became of it; None until that is clear.
        reading: what was read.
        reason: why it is in quarantine.
    """

    found: Found
    path: str
    known: Known | None = None
    outcome: Outcome | None = None
    reading: Reading | None = None
    reason: str = ""

    @property
    def task(self) -> Task | None:
        """What is to be read, None where the outcome is clear without that."""
        if self.outcome:
            return None
        return Task(self.found.path, self.path, self.found.size, self.known.sha256 if self.known else None)

    def take(self, result: Reading | Failure | None) -> None:
        """Note what reading gave."""
        if isinstance(result, Reading):
            self.reading = result
            if result.description is None:
                self.outcome = Outcome.UNCHANGED
        elif isinstance(result, Failure):
            self.refuse(result.reason)

    def refuse(self, reason: str | None) -> None:
        """Put it into quarantine; without a reason it is gone."""
        self.reading = None
        self.outcome = Outcome.SKIPPED if reason is None else Outcome.QUARANTINED
        self.reason = reason or ""

    def drop_outline(self, reason: str) -> bool:
        """Do without the region, where there is one; return whether there was.

        pg_sphere refuses outlines that cross themselves, as a wild distortion polynomial makes them.
        """
        description = self.reading.description if self.reading else None
        if self.reading is None or description is None or description.metadata.region is None:
            return False
        metadata = replace(description.metadata, region=None, s_region=None)
        remarks = [*description.remarks, Remark("CTYPE1", f"The outline is left out. {reason}")]
        without = replace(description, metadata=metadata, remarks=remarks)
        self.reading = replace(self.reading, description=without)
        return True

    def product(self, more: Sequence[Remark] = ()) -> Product:
        """Return the product that it becomes, with more that is doubtful."""
        assert self.reading is not None
        reading, description = self.reading, self.reading.description
        assert description is not None
        remarks = (*description.remarks, *reading.warned, *more)
        run = moves.run_of(self.path)
        return Product(
            reading.state,
            reading.sha256,
            run,
            moving.night(run),
            description.metadata,
            description.headers,
            list(dict.fromkeys((r.keyword, _printable(r.reason)) for r in remarks)),
            description.references,
        )


class Loader:
    """Takes files into the archive over one connection.

    Args:
        connection: of the role ost_ingest.
        settings: of the installation.

    Raises:
        UsageFault: a table of the operator's cannot be used.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._root = settings.data
        self._products = ProductStore(connection, settings)
        self._crew: Crew[_File] = Crew(Observatory.of(settings), settings.ingest_processes)

    def load(self, files: Iterator[Found], progress: Progress | None = None) -> Report:
        """Take files in and say what became of them."""
        report = Report()
        work = ((file, file.task) for file in self._looked_up(files))
        with closing(self._crew.read(work)) as results:
            for batch in _batches(results):
                self._write(batch)
                changed = [file.path for file in batch if file.outcome is not Outcome.UNCHANGED]
                self._try(partial(lists.take, self._connection, self._root, changed))
                for file in batch:
                    _tell(file, report, progress)
        return report

    def rest(self) -> None:
        """End the processes that read, if they have had nothing to do for a while."""
        self._crew.rest()

    def close(self) -> None:
        """End the processes that read."""
        self._crew.close()

    def _looked_up(self, files: Iterator[Found]) -> Iterator[_File]:
        """Yield the files, those with their outcome that need not be read."""
        while batch := list(islice(files, _LOOKED_UP)):
            paths = [discovery.relative(found.path, self._root) for found in batch]
            known = self._products.known(paths)
            for found, path in zip(batch, paths, strict=True):
                yield self._first_look(_File(found, path, known.get(path)))

    def _first_look(self, file: _File) -> _File:
        state = FileState.of(file.path, file.found.size, file.found.modified_ns)
        try:
            if self._is_skipped(file.found, file.path):
                file.outcome = Outcome.SKIPPED
            elif file.known and file.known.is_settled and file.known.file == state:
                file.outcome = Outcome.UNCHANGED
        except Unreadable as fault:
            file.refuse(fault.detail if os.path.lexists(file.found.path) else None)
        return file

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
        if not discovery.is_short(path):
            most = discovery.MAX_PATH_BYTES
            raise Unreadable(f"Below it is a file whose path has more than {most} bytes: shorten some names.")
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

    def _write(self, batch: Sequence[_File]) -> None:
        """Write down what reading gave; a file that the archive does not take goes into quarantine."""
        unknown = [file for file in batch if file.reading and file.outcome is None]
        if unknown:
            self._write_unknown(unknown)
        seen = [file.reading for file in batch if file.reading and file.outcome is Outcome.UNCHANGED]
        if seen:
            self._try(lambda: self._products.touch([(reading.state, reading.sha256) for reading in seen]))
        refused = [file for file in batch if file.outcome is Outcome.QUARANTINED]
        if refused:
            entries = {}
            for file in refused:
                path = discovery.nearest_short(file.path)
                state = FileState.of(path, file.found.size, file.found.modified_ns)
                entries[path] = state, _printable(file.reason)
            self._try(lambda: quarantine.add(self._connection, list(entries.values())))

    def _write_unknown(self, files: Sequence[_File]) -> None:
        """Write down files whose bytes are new at their paths: moved ones first, one by one."""
        alike = moves.same_bytes(self._connection, {f.reading.sha256 for f in files if f.reading})
        for file in files:
            if (digest := file.reading.sha256 if file.reading else b"") in alike:
                self._follow(file, digest)
        new = [file for file in files if file.outcome is None]
        try:
            self._save(new)
        except (Rejected, Collided):
            for file in new:
                self._save_one(file)

    def _follow(self, file: _File, digest: bytes) -> None:
        """Have a product whose bytes a file has follow it there, if they are gone from where they were."""
        # Asked again: an earlier file may have taken the product.
        candidates = moves.same_bytes(self._connection, [digest]).get(digest, [])
        former = moving.former(candidates, self._root, file.path, file.known)
        if former is None:
            return
        if former.move.located.is_deleted:
            self._try(lambda: moves.relocate(self._connection, [former.move]))
            file.outcome = Outcome.UNCHANGED
            return
        self._save_one(file, former)

    def _save(self, files: Sequence[_File]) -> None:
        if files:
            there = self._products.save([file.product() for file in files])
            for file in files:
                file.outcome = Outcome.UPDATED if file.path in there else Outcome.INGESTED

    def _save_one(self, file: _File, former: Former | None = None) -> None:
        """Write a file down, without its outline where the archive does not take that, or refuse it."""
        product = file.product(former.remarks if former else ())
        before = (lambda cursor: moves.move(cursor, [former.move])) if former else None
        try:
            there = self._try(lambda: self._products.save([product], before=before))
        except Rejected as fault:
            if file.drop_outline(fault.detail):
                self._save_one(file, former)
            else:
                file.refuse(fault.detail)
            return
        if former:
            file.outcome = Outcome.MOVED
        else:
            file.outcome = Outcome.UPDATED if there else Outcome.INGESTED

    def _try(self, write: Callable[[], Written]) -> Written:
        """Write, again where another ingest got in the way."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return write()
            except Collided:
                continue
        return write()


def _batches(results: Iterable[tuple[_File, Reading | Failure | None] | Wait]) -> Iterator[list[_File]]:
    """Yield files as they are to be written: many together, and none long after it was read."""
    batch: dict[str, _File] = {}
    deadline, patience = 0.0, _PATIENCE
    for one in results:
        if not isinstance(one, Wait):
            file, result = one
            file.take(result)
            if file.path in batch:
                yield list(batch.values())
                batch = {}
            if not batch:
                deadline = time.monotonic() + patience
            batch[file.path] = file
        is_due = one is Wait.LONG or len(batch) >= _BATCH or time.monotonic() >= deadline
        if batch and is_due:
            began = time.monotonic()
            yield list(batch.values())
            batch = {}
            # Where writing is slow, larger batches keep it to a part of the time.
            patience = min(max(_PATIENCE, _PART * (time.monotonic() - began)), _MOST_PATIENCE)
    if batch:
        yield list(batch.values())


def _tell(file: _File, report: Report, progress: Progress | None) -> None:
    assert file.outcome is not None
    report.counts[file.outcome] += 1
    if file.outcome is Outcome.QUARANTINED:
        report.quarantined.append((file.path, file.reason))
    elif file.outcome is Outcome.SKIPPED:
        report.skipped.append(file.found.path)
    if progress:
        progress(file.found.path, file.outcome)


def _printable(text: str) -> str:
    """Return a reason on one line, without what PostgreSQL cannot hold."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().replace("\0", "?").split())
