"""Which files lie below the paths that somebody named."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ost_vo.faults import UsageFault
from ost_vo.settings import Settings


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


class Ignored:
    """Names of files and directories that are left alone, whatever they hold.

    Args:
        patterns: as the shell writes them; upper and lower case are the same.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        expressions = [fnmatch.translate(pattern) for pattern in patterns]
        self._names = re.compile("|".join(expressions) or r"(?!)", re.IGNORECASE)

    @classmethod
    def of(cls, settings: Settings) -> Ignored:
        """Return those of an installation."""
        return cls(filter(None, map(str.strip, settings.watch_ignore.split(","))))

    def name(self, name: str) -> bool:
        """Whether a file or directory of that name is left alone."""
        return self._names.match(name) is not None

    def path(self, path: Path, root: Path) -> bool:
        """Whether a path has such a name in it, below the root."""
        return any(map(self.name, path.relative_to(root).parts))


NOTHING = Ignored(())
UNLISTABLE = "The directory cannot be listed"
# PostgreSQL has no index of values above 2,704 bytes, and paths are looked up by one.
MAX_PATH_BYTES = 2000


def find(paths: Sequence[Path], ignored: Ignored = NOTHING) -> Iterator[Found]:
    """Yield everything below the paths once, below each in the order of the paths' bytes.

    Symbolic links below the paths are named, but not followed.

    Args:
        paths: files or directories, absolute; they themselves are never ignored.
        ignored: the names to pass over.
    """
    for path in _without_nested(paths):
        yield from _below(path, ignored) if path.is_dir() else (look_at(path),)


def walk(
    directory: str | os.PathLike[str], ignored: Ignored
) -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
    """Yield what is below a directory and no directory itself, in the order of the paths' bytes.

    Args:
        directory: where to look.
        ignored: the names to pass over.

    Yields:
        The path below the directory, and what is there; of a directory that cannot be listed, why.
    """
    # By hand: directories may be nested more deeply than Python's calls.
    levels: list[tuple[str, Iterator[os.DirEntry[str]]]] = []
    down: tuple[str, str | os.PathLike[str]] | None = ("", directory)
    while down or levels:
        if down:
            beginning, place = down
            down = None
            try:
                levels.append((beginning, iter(_listed(place, ignored))))
            except OSError as error:
                yield beginning.removesuffix("/"), error
            continue
        beginning, entries = levels[-1]
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                down = (f"{beginning}{entry.name}/", entry.path)
                break
            yield beginning + entry.name, entry
        else:
            levels.pop()


def _listed(directory: str | os.PathLike[str], ignored: Ignored) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as listing:
        return sorted((entry for entry in listing if not ignored.name(entry.name)), key=_place)


def _place(entry: os.DirEntry[str]) -> str:
    # With the separator that follows it, a directory is where its paths are among all.
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def look_at(path: Path) -> Found:
    """Return what is at a path that is no directory."""
    try:
        status = path.lstat()
    except OSError as error:
        return Found(path, problem=f"Cannot be looked at: {error.strerror}.")
    if stat.S_ISLNK(status.st_mode):
        return Found(path, link_to=Path(os.path.realpath(path)))
    ordinary = stat.S_ISREG(status.st_mode)
    return Found(path, status.st_size, status.st_mtime_ns, None if ordinary else "Not an ordinary file.")


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
    text, beginning = str(path), f"{root}/"
    # Of a hundred thousand names, nearly all are plain.
    if text.isascii() and text.startswith(beginning):
        return text[len(beginning) :]
    return os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")


def has_utf8_name(path: Path) -> bool:
    """Whether all bytes of a path are UTF-8 (others come from Python as lone surrogates)."""
    text = str(path)
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def is_short(path: str) -> bool:
    """Whether the archive can hold a path, as it names it."""
    return len(path.encode("utf-8", "surrogateescape")) <= MAX_PATH_BYTES


def nearest_short(path: str) -> str:
    """Return a path, or the directory above it whose path the archive can hold."""
    while not is_short(path):
        path = path.rpartition("/")[0]
    return path


def _without_nested(paths: Sequence[Path]) -> list[Path]:
    unique = dict.fromkeys(paths)
    return [path for path in unique if unique.keys().isdisjoint(path.parents)]


def _below(directory: Path, ignored: Ignored) -> Iterator[Found]:
    for name, entry in walk(directory, ignored):
        if isinstance(entry, OSError):
            yield Found(directory / name, problem=f"{UNLISTABLE}: {entry.strerror}.")
        else:
            yield look_at(directory / name)
