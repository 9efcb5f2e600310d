"""Which files lie below the paths that somebody named."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ost_vo.faults import UsageFault


@dataclass(frozen=True, slots=True)
class Found:
    """A file, a symbolic link, or a directory that cannot be read.

    Attributes:
        path: absolute.
        size, modified_ns: of the file: bytes, and nanoseconds since 1970.
        problem: why it cannot be read; None for an ordinary file.
        link_to: the real path that a link leads to.
    """

    path: Path
    size: int = 0
    modified_ns: int = 0
    problem: str | None = None
    link_to: Path | None = None


def find(paths: Sequence[Path]) -> Iterator[Found]:
    """Yield everything below the paths once, each directory in the order of its names.

    Symbolic links below the paths are named, but not followed.
    """
    for path in _without_nested(paths):
        yield from _below(path) if path.is_dir() else (_file(path),)


def resolve(paths: Sequence[Path], root: Path) -> list[Path]:
    """Return the real paths.

    Args:
        paths: files or directories, absolute or relative to the working directory.
        root: the data root, resolved.

    Raises:
        UsageFault: a path does not exist or lies outside the data root.
    """
    resolved = []
    for path in paths:
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(root):
            raise UsageFault(
                f"{path} is not below the data root {root}.", "Only what lies there can be ingested."
            )
        if not os.path.lexists(real):
            raise UsageFault(f"{path} does not exist.")
        resolved.append(real)
    return resolved


def relative(path: Path, root: Path) -> str:
    """Return a path as the archive names it; bytes that are no UTF-8 are written as in '\\xff'."""
    return os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")


def has_utf8_name(path: Path) -> bool:
    """Whether all bytes of a path are UTF-8 (others come from Python as lone surrogates)."""
    return not any("\ud800" <= character <= "\udfff" for character in str(path))


def _without_nested(paths: Sequence[Path]) -> list[Path]:
    unique = list(dict.fromkeys(paths))
    return [
        path for path in unique if not any(path != other and path.is_relative_to(other) for other in unique)
    ]


def _below(directory: Path) -> Iterator[Found]:
    try:
        with os.scandir(directory) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield Found(directory, problem=f"The directory cannot be listed: {error.strerror}.")
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink():
            yield Found(path, link_to=Path(os.path.realpath(path)))
        elif entry.is_dir(follow_symlinks=False):
            yield from _below(path)
        else:
            yield _file(path)


def _file(path: Path) -> Found:
    try:
        status = path.lstat()
    except OSError as error:
        return Found(path, problem=f"Cannot be looked at: {error.strerror}.")
    ordinary = stat.S_ISREG(status.st_mode)
    return Found(path, status.st_size, status.st_mtime_ns, None if ordinary else "Not an ordinary file.")
