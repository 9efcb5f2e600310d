"""The directories of TIFF, which EXIF and most raw photographs use: tags and their values, never the pixels.

Source: TIFF 6.0, section 2; BigTIFF (libtiff); Exif 2.32, section 4.6. Every count and offset comes from a
file that may be hostile, so directories, tags and bytes read are bounded, and no directory is read twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import BinaryIO

from ingest.headers import Remark
from ingest.stream import Unreadable

Value = str | bytes | tuple[int | float, ...]

MAX_DIRECTORIES = 64
MAX_TAGS = 4096  # of all directories together
MAX_VALUE_BYTES = 256 << 10
MAX_BYTES = 2 << 20  # of all values together
EXIF, GPS, _SUB_DIRECTORIES = 0x8769, 0x8825, 0x014A
# TIFF, and what Olympus (RO, RS) and Panasonic (U) write in its place.
_MAGIC = {42: False, 43: True, 0x4F52: False, 0x5352: False, 0x55: False}
# Type of a value to (bytes, code of struct); rationals are pairs. 2 is text, 7 anything.
_TYPES = {
    1: (1, "B"), 2: (1, "s"), 3: (2, "H"), 4: (4, "I"), 5: (8, "II"), 6: (1, "b"), 7: (1, "s"), 8: (2, "h"),
    9: (4, "i"), 10: (8, "ii"), 11: (4, "f"), 12: (8, "d"), 13: (4, "I"),
    16: (8, "Q"), 17: (8, "q"), 18: (8, "Q"),
}  # fmt: skip
_TEXT, _ANYTHING = 2, 7
_RATIONALS = (5, 10)


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory.

    Attributes:
        name: 'Image 0' and so on along the chain, 'Sub', 'Exif', 'GPS'.
        tags: number of the tag to its value: a text, bytes, or numbers; a rational that divides by 0 is NaN.
    """

    name: str
    tags: Mapping[int, Value]

    def number(self, tag: int) -> float | None:
        """Return the first number of a tag; None where it has none, or one that is not finite."""
        value = self.tags.get(tag)
        return float(value[0]) if isinstance(value, tuple) and value and isfinite(value[0]) else None

    def text(self, tag: int) -> str:
        """Return the text of a tag without blanks around it, '' where it has none."""
        value = self.tags.get(tag)
        return value.strip() if isinstance(value, str) else ""

    def size(self, width: int = 0x100, height: int = 0x101) -> tuple[int, int] | None:
        """Return (width, height) from two tags [pixels], None where the directory has no image."""
        across, down = self.number(width) or 0, self.number(height) or 0
        return (int(across), int(down)) if across >= 1 and down >= 1 else None


def read_at(raw: BinaryIO, offset: int, size: int) -> bytes:
    """Return bytes of a file, fewer where it ends."""
    if not 0 <= offset < 1 << 62:
        return b""
    raw.seek(offset)
    return raw.read(size)


def is_tiff(beginning: bytes) -> bool:
    """Whether a file that begins so has TIFF directories."""
    order = {b"II": "<", b"MM": ">"}.get(beginning[:2])
    return (
        order is not None
        and len(beginning) >= 4
        and struct.unpack_from(f"{order}H", beginning, 2)[0] in _MAGIC
    )


def directories(raw: BinaryIO) -> tuple[list[Directory], list[Remark]]:
    """Read all directories.

    Args:
        raw: the file, or the part of one, whose first byte is that of the TIFF header.

    Returns:
        The directories, at least one, in the order of their references; what is doubtful in them.

    Raises:
        Unreadable: no TIFF, or the first directory is not there.
    """
    walk = _Walk(raw)
    found = list(walk.directories())
    if not found:
        raise Unreadable("Truncated: the first TIFF directory lies beyond the end of the file.")
    return found, walk.remarks


class _Walk:
    """One walk through the directories of a file."""

    def __init__(self, raw: BinaryIO) -> None:
        beginning = read_at(raw, 0, 16)
        if not is_tiff(beginning):
            raise Unreadable("Not TIFF: it does not begin with II or MM and a number that TIFF has.")
        self._raw = raw
        self._order = "<" if beginning.startswith(b"II") else ">"
        self._is_big = _MAGIC[struct.unpack_from(f"{self._order}H", beginning, 2)[0]]
        self._pending = [("Image 0", self._first(beginning))]
        self._seen: set[int] = set()
        self._tags_left, self._bytes_left = MAX_TAGS, MAX_BYTES
        self.remarks: list[Remark] = []

    def directories(self) -> Iterator[Directory]:
        while self._pending:
            name, offset = self._pending.pop(0)
            if not offset or offset in self._seen:
                continue
            if len(self._seen) == MAX_DIRECTORIES:
                self._doubt(f"More than {MAX_DIRECTORIES} directories: the rest is not read.")
                return
            self._seen.add(offset)
            if (directory := self._directory(name, offset)) is not None:
                yield directory

    def _first(self, beginning: bytes) -> int:
        at, code = (8, "Q") if self._is_big else (4, "I")
        if len(beginning) < at + struct.calcsize(code):
            raise Unreadable("Truncated: the TIFF header is not complete.")
        return int(struct.unpack_from(self._order + code, beginning, at)[0])

    def _directory(self, name: str, offset: int) -> Directory | None:
        counter, entry, pointer = ("Q", 20, "Q") if self._is_big else ("H", 12, "I")
        counter_bytes = struct.calcsize(counter)
        raw_count = read_at(self._raw, offset, counter_bytes)
        if len(raw_count) < counter_bytes:
            self._doubt(f"The directory {name} lies beyond the end of the file.")
            return None
        count = struct.unpack(self._order + counter, raw_count)[0]
        if count > self._tags_left:
            self._doubt(f"The directory {name} has {count} tags: it is not read.")
            return None
        self._tags_left -= count
        block = read_at(self._raw, offset + counter_bytes, count * entry + struct.calcsize(pointer))
        tags = dict(self._entries(block, min(count, len(block) // entry), entry))
        self._refer(name, tags)
        if len(block) == count * entry + struct.calcsize(pointer) and name.startswith("Image"):
            number = int(name.split()[1]) + 1
            following = struct.unpack_from(self._order + pointer, block, count * entry)[0]
            self._pending.append((f"Image {number}", following))
        return Directory(name, tags)

    def _refer(self, name: str, tags: dict[int, Value]) -> None:
        """Note the directories that one refers to, to be read before those of the chain."""
        subs = tags.get(_SUB_DIRECTORIES, ())
        for tag, offsets in (("Exif", tags.get(EXIF, ())), ("GPS", tags.get(GPS, ())), (f"{name} Sub", subs)):
            if isinstance(offsets, tuple):
                at = len(self._pending)
                self._pending[at:] = [(tag, int(o)) for o in offsets[:MAX_DIRECTORIES] if isinstance(o, int)]

    def _entries(self, block: bytes, count: int, entry: int) -> Iterator[tuple[int, Value]]:
        layout = struct.Struct(self._order + ("HHQ" if self._is_big else "HHI"))
        for at in range(0, count * entry, entry):
            tag, kind, number = layout.unpack_from(block, at)
            value = self._value(kind, number, block[at + layout.size : at + entry])
            if value is not None:
                yield tag, value

    def _value(self, kind: int, number: int, field: bytes) -> Value | None:
        """Return a value, from its field or from where the field points; None where it cannot be had."""
        if kind not in _TYPES:
            return None
        size = _TYPES[kind][0] * number
        if size > MAX_VALUE_BYTES or size > self._bytes_left:
            return None
        if size > len(field):
            self._bytes_left -= size
            offset = struct.unpack(self._order + ("Q" if self._is_big else "I"), field)[0]
            field = read_at(self._raw, offset, size)
        return _decoded(field[:size], kind, number, self._order) if len(field) >= size else None

    def _doubt(self, reason: str) -> None:
        self.remarks.append(Remark("TIFF", reason))


def _decoded(raw: bytes, kind: int, number: int, order: str) -> Value:
    if kind == _TEXT:
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
    if kind == _ANYTHING:
        return raw
    numbers = struct.unpack(f"{order}{number * len(_TYPES[kind][1])}{_TYPES[kind][1][0]}", raw)
    if kind not in _RATIONALS:
        return numbers
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(above / below if below else nan for above, below in pairs)
