"""Recognising files that moved: by their bytes, or because the operating system said so."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ingest import discovery, formats
from ingest.headers import Remark
from ost_vo.store import moves
from ost_vo.store.moves import Located, Move
from ost_vo.store.products import FileState, Known

_NIGHT = re.compile(r"(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")
_CHUNK = 1 << 20  # bytes read at a time


@dataclass(frozen=True, slots=True)
class Former:
    """A product that a file was before it moved.

    Attributes:
        move: from there to here.
        remarks: what is doubtful about it.
    """

    move: Move
    remarks: Sequence[Remark] = ()


@dataclass(frozen=True, slots=True)
class Rename:
    """A file or directory that was renamed; the paths are the archive's."""

    old: str
    new: str
    is_directory: bool = True


def night(run: str) -> date | None:
    """Return the date at the beginning of a run's name, or None."""
    match = _NIGHT.match(run)
    try:
        return date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None


def move_to(located: Located, path: str) -> Move:
    """Return the move of a product's file to a path."""
    old_obs_id, obs_id = map(formats.without_suffixes, (located.file.path, path))
    return Move(located, path, night(moves.run_of(path)), old_obs_id, obs_id)


def former(candidates: Iterable[Located], root: Path, path: str, known: Known | None) -> Former | None:
    """Return the product that a file was made into where it lay before, None for a new file or a copy.

    Args:
        candidates: the products of its bytes.
        root: the data root.
        path: where the file is, as the archive names it.
        known: the product of that path, which has other bytes.
    """
    own = known.product_id if known else None
    gone = [c for c in candidates if c.file.path != path and c.product_id != own and is_gone(root, c)]
    return chosen(gone, path)


def chosen(candidates: Iterable[Located], path: str) -> Former | None:
    """Return the one of several gone products of the same bytes that a file is taken to be.

    Products count before deleted ones, then the same name, the same run, the lower level, the lower key.
    """

    def rank(candidate: Located) -> tuple[bool, bool, bool, int, int]:
        old = candidate.file.path
        return (
            candidate.is_deleted,
            os.path.basename(old) != os.path.basename(path),
            moves.run_of(old) != moves.run_of(path),
            candidate.privileges,
            candidate.product_id,
        )

    ranked = sorted(candidates, key=rank)
    if not ranked:
        return None
    others = [c.file.path for c in ranked[1:] if not c.is_deleted]
    if ranked[0].is_deleted or not others:
        return Former(move_to(ranked[0], path))
    reason = f"The file was {ranked[0].file.path}, it is thought; the same bytes were at {', '.join(others)}."
    return Former(move_to(ranked[0], path), [Remark("PATH", reason)])


def is_absent(root: Path, path: str) -> bool:
    """Whether nothing is at a path of the archive; of a disk that fails, nobody knows, so it is not."""
    try:
        os.lstat(f"{root}/{path}")
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def state_at(root: Path, path: str) -> FileState | None:
    """Return the size and time of what is at a path of the archive, None where they are not to be had."""
    try:
        status = os.lstat(root / path)
    except OSError:
        return None
    return FileState.of(path, status.st_size, status.st_mtime_ns)


def is_gone(root: Path, located: Located) -> bool:
    """Whether a product's bytes are not where it was any more; a file that was only touched is read."""
    if is_absent(root, located.file.path):
        return True
    state = state_at(root, located.file.path)
    if state is None or state == located.file:
        return False
    if state.size != located.file.size:
        return True
    found = digest(root / located.file.path)
    return found is not None and found != located.sha256


def digest(path: Path) -> bytes | None:
    """Return the SHA-256 of a file, None where it cannot be read."""
    sha256 = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                sha256.update(chunk)
    except OSError:
        return None
    return sha256.digest()


def renamed(root: Path, located: Iterable[Located], renames: Sequence[Rename]) -> list[Move]:
    """Return the moves of those products whose files renames, one after another, took to another path.

    A file is the same where size and time are, which a rename leaves as they were. One whose name got other
    suffixes, or too long, is left to be read.
    """
    origins = {product.file.path: product for product in located}
    places = _Places(origins)
    for rename in renames:
        places.apply(rename)
    found = []
    for path, origin in places.origins.items():
        product, state = origins[origin], state_at(root, path)
        same = state is not None and replace(state, path=origin) == product.file
        if path != origin and same and has_same_suffixes(path, origin) and discovery.is_short(path):
            found.append(move_to(product, path))
    return found


class _Places:
    """Where files are after renames, as far as the renames tell.

    Attributes:
        origins: for each path, the path that its file had at first.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.origins = {path: path for path in paths}

    def apply(self, rename: Rename) -> None:
        """Take a file, or all that is in a directory, to its new path."""
        old, new = rename.old, rename.new
        below = [path for path in self.origins if path.startswith(f"{old}/")] if rename.is_directory else []
        for path in (old, *below):
            if path in self.origins:
                self.origins[new + path[len(old) :]] = self.origins.pop(path)


def has_same_suffixes(one: str, other: str) -> bool:
    """Whether two names say the same of format and compression."""
    return _suffixes(one) == _suffixes(other)


def _suffixes(path: str) -> str:
    return path[len(formats.without_suffixes(path)) :]
