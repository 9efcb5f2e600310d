"""The bytes of a tar archive around the data of its files, so that it can be laid out before it is sent.

Source: POSIX.1-2017, utility ``pax``: the ustar interchange format, and pax headers for what does not fit in
it (names that are long or not ASCII, files from 8 GiB on).
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

from ost_vo.vo.spans import Part, Stored

BLOCK_BYTES = 512
# Two blocks of zeros.
END = bytes(2 * BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in an archive.

    Attributes:
        name: its path in the archive, with ``/``.
        size: of the file [byte].
        modified: when it was last changed [s since 1970, UTC].
    """

    name: str
    size: int
    modified: int


def header(entry: Entry) -> bytes:
    """Return what precedes the data of an entry."""
    info = tarfile.TarInfo(entry.name)
    info.size, info.mtime, info.mode = entry.size, max(entry.modified, 0), 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """Return what follows data of a size [byte]."""
    return bytes(-size % BLOCK_BYTES)


def layout(entries: Iterable[tuple[Entry, bytes | None]]) -> list[Part]:
    """Return the parts of an archive.

    Args:
        entries: each with its content, or None where that is a file; files are numbered in this order.
    """
    parts: list[Part] = []
    number = 0
    for entry, content in entries:
        if content is None:
            parts += [header(entry), Stored(number, entry.size), padding(entry.size)]
            number += 1
        else:
            parts.append(header(entry) + content + padding(entry.size))
    return [*parts, END]
