"""Comparing the archive with the disk, both ways: what is new, changed, moved, missing, back."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import islice
from pathlib import Path

from psycopg2.extensions import connection as Connection

from ingest import differences, discovery, formats, moving
from ingest.differences import Unlike
from ingest.discovery import Found, Ignored
from ingest.load import Loader, Outcome, Report
from ingest.moving import Rename
from ingest.strays import Stray, strays
from ost_vo.faults import ConflictFault, UsageFault
from ost_vo.settings import Settings
from ost_vo.store import alarms, file_events, inventory, moves, quarantine
from ost_vo.store.absentees import Absentees, NewFile
from ost_vo.store.file_events import OpenEvent
from ost_vo.store.ingesting import open_connection
from ost_vo.store.moves import Located
from ost_vo.store.products import FileState, ProductStore

ALARM = "data root"  # subject of the alarm of a disk that is to be suspected
# Below so many, files that go are what people delete.
FEW = 20
EXAMPLES = 50  # listed of each kind
_BATCH = 500

# Told of each step that is through: what is being done, and how much of how much.
Progress = Callable[[str, int, int], None]


class LossFault(ConflictFault):
    """So much is gone from disk that the disk is to be suspected; nothing was changed."""

    code = "LossFault"


class Kind(Enum):
    """How archive and disk differ."""

    NEW = "new"
    CHANGED = "changed"
    MOVED = "moved"
    MISSING = "missing"
    BACK = "back"
    ORPHANS = "in quarantine, and gone"


@dataclass
class Findings:
    """What a comparison found, and unless it was a rehearsal, did.

    Attributes:
        counts: files of each kind.
        examples: the first of each kind, by path; a move as `OLD -> NEW`.
        strays: what lies right below the data root and is no run.
        report: what became of the files that were read; None in a rehearsal.
    """

    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    examples: dict[Kind, list[str]] = field(default_factory=lambda: {kind: [] for kind in Kind})
    strays: Sequence[Stray] = ()
    report: Report | None = None

    def note(self, kind: Kind, path: str) -> None:
        """Count one."""
        self.counts[kind] += 1
        if len(self.examples[kind]) < EXAMPLES:
            self.examples[kind].append(path)

    def __str__(self) -> str:
        parts = [f"{number} {kind.value}" for kind, number in self.counts.items() if number]
        return ", ".join(parts) + "." if parts else "Archive and disk agree."


def reconcile(
    settings: Settings, *, is_rehearsal: bool = False, force: bool = False, progress: Progress | None = None
) -> Findings:
    """Make the archive agree with the disk.

    Args:
        settings: of the installation.
        is_rehearsal: only say what would be done; files are read where only their bytes tell a move.
        force: note files as missing however many they are.
        progress: told of each step.

    Raises:
        LossFault: the disk looks as if it were not mounted; nothing was changed.
        TransientFault: the database does not answer.
    """
    with open_connection(settings) as connection, closing(Loader(connection, settings)) as loader:
        return Reconciler(connection, settings, loader).run(
            is_rehearsal=is_rehearsal, force=force, progress=progress
        )


def rename_run(settings: Settings, old: str, new: str) -> int:
    """Have the products of a run follow its directory, which was renamed; return how many did.

    Raises:
        UsageFault: the new directory is not there, the old one still is, or no file of the run is in the new.
    """
    for name in (old, new):
        if not name or "/" in name or name in (".", ".."):
            raise UsageFault(
                f"{name!r} is no name of a run.", "Runs are directories right below the data root."
            )
    if not (settings.data / new).is_dir() or (settings.data / old).exists():
        raise UsageFault(
            f"{old} is not renamed to {new} on disk.", "Rename the directory first; the archive follows."
        )
    with open_connection(settings) as connection:
        moved = follow(connection, settings.data, [Rename(old, new)])
    if not moved:
        raise UsageFault(f"No file of the run {old} is in {new}.", "`ost-vo reconcile` compares everything.")
    return len(moved)


def follow(connection: Connection, root: Path, renames: Sequence[Rename]) -> list[moves.Move]:
    """Have products follow files and directories that were renamed, where size and time say so.

    Args:
        connection: of the role ost_ingest.
        root: the data root.
        renames: in the order in which they happened.

    Returns:
        What moved.
    """
    found: dict[str, Located] = {}
    files = [rename.old for rename in renames if not rename.is_directory]
    for start in range(0, len(files), _BATCH):
        batch = moves.at(connection, files[start : start + _BATCH])
        found |= {product.file.path: product for product in batch}
    for rename in renames:
        if rename.is_directory:
            found |= {product.file.path: product for product in moves.below(connection, rename.old)}
    gone = [product for product in found.values() if moving.is_gone(root, product)]
    moved = moving.renamed(root, gone, renames)
    moves.relocate(connection, moved)
    return moved


def check_root(connection: Connection, settings: Settings) -> None:
    """See that the data root looks mounted.

    Raises:
        LossFault: it is not there, has not its marker, or is empty though the archive has files.
    """
    has_entries = _has_entries(settings.data)
    if has_entries is None:
        raise LossFault(f"The data root {settings.data} cannot be listed.", "Is its disk mounted?")
    if settings.data_marker and not (settings.data / settings.data_marker).exists():
        raise LossFault(
            f"The data root {settings.data} has no {settings.data_marker}, which marks it.",
            "Is its disk mounted? OST_VO_DATA_MARKER names the marker.",
        )
    if not has_entries and moves.count(connection):
        raise LossFault(
            f"The data root {settings.data} is empty, and the archive has files.",
            "Is its disk mounted? If they are gone for good, use `ost-vo reconcile --force`.",
        )


def check_loss(connection: Connection, settings: Settings, lost: int) -> None:
    """See that not too many files went at a time.

    Raises:
        LossFault: more than a few, and more than the setting `missing_fraction` of all.
    """
    if lost <= FEW:
        return
    present = moves.count(connection)
    if lost > settings.missing_fraction * present:
        raise LossFault(
            f"{lost} of {present} files are gone from disk: nothing is noted as missing.",
            "Is a disk not mounted? If they are gone for good, use `ost-vo reconcile --force`.",
        )


def sound_alarm(connection: Connection, fault: LossFault) -> None:
    """Say where the operator sees it that the disk is to be suspected."""
    alarms.sound(connection, ALARM, fault.detail, fault.hint)


class Reconciler:
    """Compares, over one connection.

    Args:
        connection: of the role ost_ingest.
        settings: of the installation.
        loader: takes files in.
        is_put_off: whether a file is left for later, since somebody may still be writing it.
        tell: told what became of each file.
    """

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        loader: Loader,
        is_put_off: Callable[[Found], bool] = lambda _: False,
        tell: Callable[[Path, Outcome], None] | None = None,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._root = settings.data
        self._loader = loader
        self._is_put_off = is_put_off
        self._tell = tell
        self._products = ProductStore(connection, settings)
        self._ignored = Ignored.of(settings)
        self._findings = Findings()

    def run(
        self, *, is_rehearsal: bool = False, force: bool = False, progress: Progress | None = None
    ) -> Findings:
        """Compare, and unless it is a rehearsal, act; see `reconcile`. A loss sounds the alarm."""
        say = progress or _say_nothing
        try:
            findings = self._run(say, is_rehearsal=is_rehearsal, force=force)
        except LossFault as fault:
            if not is_rehearsal:
                sound_alarm(self._connection, fault)
            raise
        if not is_rehearsal:
            alarms.clear(self._connection, ALARM)
        return findings

    def _run(self, say: Progress, *, is_rehearsal: bool, force: bool) -> Findings:
        self._findings = Findings()
        if not force:
            check_root(self._connection, self._settings)
        if self._root.is_dir():
            self._findings.strays = list(strays(self._root, self._ignored))
        with closing(Absentees(self._connection)) as absentees, closing(Unlike(self._root)) as unlike:
            # A file can only have moved where one is gone.
            if self._compare(absentees, unlike, say) or is_rehearsal:
                self._survey(absentees, unlike, say, is_rehearsal=is_rehearsal)
            if not force:
                check_loss(self._connection, self._settings, absentees.count_lost())
            if not is_rehearsal:
                absentees.relocate(partial(say, "Moves"))
                self._findings.report = self._load(unlike, say)
            for batch in absentees.lost():
                self._note_all(
                    Kind.MISSING, [p.file.path for p in batch] if is_rehearsal else self._mark(batch)
                )
        self._orphans(is_rehearsal=is_rehearsal)
        if not is_rehearsal:
            self._close_events()
        return self._findings

    def _note_all(self, kind: Kind, paths: Iterable[str]) -> None:
        for path in paths:
            self._findings.note(kind, path)

    def _compare(self, absentees: Absentees, unlike: Unlike, say: Progress) -> bool:
        """Lay the disk beside the archive, and note what is not on both alike.

        Returns:
            Whether a file is gone.
        """
        total = moves.count(self._connection)
        done, is_any = 0, False
        for part in differences.compare(self._root, self._ignored, inventory.products(self._connection)):
            gone = [one.path for one in part.unseen if moving.is_absent(self._root, one.path)]
            absentees.add(gone)
            is_any |= bool(gone)
            # What is passed over for its name is there nevertheless.
            unseen = {one.path for one in part.unseen if one.is_missing}.difference(gone)
            self._note_all(Kind.BACK, sorted(unseen.union(part.back)))
            unlike.add(part.unlike)
            done += part.recorded
            say("Archive", min(done, total), total)
        for paths in inventory.deletions(self._connection):
            gone = [path for path in paths if moving.is_absent(self._root, path)]
            absentees.add_deleted(gone)
            is_any |= bool(gone)
        absentees.complete()
        say("Archive", total, total)
        return is_any

    def _orphans(self, *, is_rehearsal: bool) -> None:
        """Take out of quarantine, or note, paths where nothing is that cannot be read."""
        for entries in quarantine.paths(self._connection):
            orphans = [path for path, reason in entries if _is_over(self._root, path, reason)]
            self._note_all(Kind.ORPHANS, orphans)
            if orphans and not is_rehearsal:
                quarantine.remove(self._connection, orphans)

    def _close_events(self) -> None:
        """Take back what was noted of files that are as the archive knows them again."""
        last: OpenEvent | None = None
        while events := file_events.after(self._connection, last, _BATCH):
            last = events[-1]
            over = [event for event in events if _is_as_ingested(self._root, event)]
            if over:
                file_events.close(self._connection, over)

    def _survey(self, absentees: Absentees, unlike: Unlike, say: Progress, *, is_rehearsal: bool) -> None:
        """Look among new files for those of absent products; a rehearsal notes the others."""
        done = 0
        files = unlike.found()
        while found := list(islice(files, _BATCH)):
            batch = list(self._kinds(found))
            sizes = absentees.sizes({found.size for found, _, kind in batch if kind is Kind.NEW})
            paths = [path for _, path, _ in batch]
            in_quarantine = quarantine.among(self._connection, paths) if is_rehearsal else set()
            new = [
                NewFile(path, digest, partial(_move_to, path))
                for found, path, kind in batch
                if kind is Kind.NEW and found.size in sizes and (digest := moving.digest(found.path))
            ]
            moved = {move.path: move.located.file.path for move in absentees.follow(new)}
            for _, path, kind in batch:
                if path in moved:
                    self._findings.note(Kind.MOVED, f"{moved[path]} -> {path}")
                elif is_rehearsal and path not in in_quarantine:
                    self._findings.note(kind, path)
            done += len(found)
            say("New files", done, len(unlike))

    def _kinds(self, files: Sequence[Found]) -> Iterator[tuple[Found, str, Kind]]:
        """Yield those data files that are new or changed, with what they are."""
        readable = [found for found in files if self._is_readable(found)]
        paths = [discovery.relative(found.path, self._root) for found in readable]
        known = self._products.known(paths)
        for found, path in zip(readable, paths, strict=True):
            if path not in known:
                yield found, path, Kind.NEW
            elif known[path].file != FileState.of(path, found.size, found.modified_ns):
                yield found, path, Kind.CHANGED

    def _is_readable(self, found: Found) -> bool:
        is_data = found.problem is None and found.link_to is None and formats.is_data(found.path.name)
        is_named = discovery.has_utf8_name(found.path) and discovery.is_short(
            discovery.relative(found.path, self._root)
        )
        return is_data and is_named and not self._is_put_off(found)

    def _load(self, unlike: Unlike, say: Progress) -> Report:
        done = 0

        def tell(path: Path, outcome: Outcome) -> None:
            nonlocal done
            done += 1
            if kind := _KINDS.get(outcome):
                self._findings.note(kind, discovery.relative(path, self._root))
            if self._tell:
                self._tell(path, outcome)
            say("Files", done, len(unlike))

        return self._loader.load((found for found in unlike.found() if not self._is_put_off(found)), tell)

    def _mark(self, lost: list[Located]) -> list[str]:
        """Note as missing what still is; return the paths."""
        still = [p for p in lost if moving.is_absent(self._root, p.file.path)]
        moves.mark_missing(self._connection, still)
        return [product.file.path for product in still]


_KINDS = {Outcome.INGESTED: Kind.NEW, Outcome.UPDATED: Kind.CHANGED, Outcome.MOVED: Kind.MOVED}


def _move_to(path: str, former: Located) -> moves.Move | None:
    """Return the move of a product to a path; None where other suffixes have it read anew."""
    is_same = moving.has_same_suffixes(former.file.path, path)
    return moving.move_to(former, path) if is_same else None


def _is_over(root: Path, path: str, reason: str) -> bool:
    """Whether nothing is at a path in quarantine, or a directory that can be listed again.

    Bytes that are no UTF-8 are written as in '\\xff' there.
    """
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), path.encode())
    spellings = {path, os.fsdecode(raw)}
    if all(moving.is_absent(root, one) for one in spellings):
        return True
    was_closed = reason.startswith(discovery.UNLISTABLE)
    return was_closed and any(_has_entries(root / one) is not None for one in spellings)


def _is_as_ingested(root: Path, event: OpenEvent) -> bool:
    """Whether the file of an event is there, can be read, and has the size and time of its ingest."""
    path = root / event.file.path
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
            return False
    except OSError:
        return False
    return FileState.of(event.file.path, status.st_size, status.st_mtime_ns) == event.file


def _say_nothing(step: str, done: int, total: int) -> None:
    del step, done, total


def _has_entries(directory: Path) -> bool | None:
    """Whether anything is in a directory; None where it is none, or cannot be read."""
    try:
        with os.scandir(directory) as entries:
            return any(True for _ in entries)
    except OSError:
        return None
