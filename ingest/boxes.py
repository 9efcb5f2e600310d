"""Boxes of movies and of Canon's CR3: a size, four letters, and the content (ISO 14496-12, section 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ingest.stream import Unreadable
from ingest.tiff import read_at

MAX_BOXES = 1000  # in one box
_UUID_BYTES = 16


class Box(NamedTuple):
    """A box: its four letters ('uuid' with the identifier in hexadecimal), and where its content lies."""

    kind: str
    start: int
    end: int


def boxes(raw: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes that follow each other in a part of a file.

    Raises:
        Unreadable: a box is larger than what it lies in, as the last one of a file that was cut off.
    """
    for _ in range(MAX_BOXES):
        head = read_at(raw, start, 16)
        if start + 8 > end or len(head) < 8:
            return
        size, letters = struct.unpack_from(">I4s", head)
        kind, content = letters.decode("latin-1"), start + 8
        if size == 1 and len(head) == 16:
            size, content = struct.unpack_from(">Q", head, 8)[0], start + 16
        following = end if size == 0 else start + size
        if following < content or following > end:
            raise Unreadable(
                f"Truncated or damaged: the box {kind!r} at {start} ends at {following}, after {end}."
            )
        if kind == "uuid":
            kind, content = f"uuid {read_at(raw, content, _UUID_BYTES).hex()}", content + _UUID_BYTES
        yield Box(kind, content, following)
        start = following


def first(raw: BinaryIO, box: Box, *path: str) -> Box | None:
    """Return the first box at the end of a path of kinds inside a box, or None."""
    for kind in path:
        found = next((inner for inner in boxes(raw, box.start, box.end) if inner.kind == kind), None)
        if found is None:
            return None
        box = found
    return box
