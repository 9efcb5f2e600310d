"""The bytes of a ZIP archive around the data of its files, so that it can be laid out before it is sent.

Every entry's size and CRC-32 are in its local header, ahead of the data; so nothing follows them, and where
each byte of the archive lies is known from the sizes alone.

Source: APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to
4.3.16 (its end, with Zip64), 4.5.3 (Zip64 extra field); Info-ZIP's extra field 0x5455 (time in UTC).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ost_vo.vo.spans import Part, Stored

STORED, DEFLATED = 0, 8

_UTF8 = 0x0800
_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16
# From here on an entry gets sizes of 64 bits; deflating what is smaller cannot make it reach 32 bits.
_LARGE = 0xF000_0000
_MOST_32, _MOST_16 = 0xFFFF_FFFF, 0xFFFF
_PLAIN, _ZIP64 = 20, 45
_DOS_FIRST = datetime(1980, 1, 1, tzinfo=UTC)
_DOS_LAST = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in an archive.

    Attributes:
        name: its path in the archive, with ``/``.
        size: of the file [byte].
        crc32: of the file.
        modified: when it was last changed [s since 1970, UTC].
        method: STORED or DEFLATED.
        packed: size of the data in the archive [byte]; that of the file where it is stored.
    """

    name: str
    size: int
    crc32: int
    modified: int
    method: int = STORED
    packed: int | None = None

    @property
    def packed_size(self) -> int:
        """The size of the data in the archive [byte]."""
        return self.size if self.packed is None else self.packed

    @property
    def is_large(self) -> bool:
        """Whether its sizes take 64 bits."""
        return self.size >= _LARGE


def local_header(entry: Entry) -> bytes:
    """Return what precedes the data of an entry; its length does not depend on CRC-32 and packed size."""
    extra = _time_field(entry)
    if entry.is_large:
        extra += struct.pack("<HHQQ", 1, 16, entry.size, entry.packed_size)
    name = entry.name.encode()
    head = struct.pack("<4sH", b"PK\x03\x04", _ZIP64 if entry.is_large else _PLAIN)
    return head + _described(entry) + struct.pack("<HH", len(name), len(extra)) + name + extra


def central_header(entry: Entry, offset: int) -> bytes:
    """Return the entry's record in the central directory.

    Args:
        entry: the file.
        offset: of its local header in the archive [byte].
    """
    wide = struct.pack("<QQ", entry.size, entry.packed_size) if entry.is_large else b""
    if offset >= _MOST_32:
        wide += struct.pack("<Q", offset)
    extra = _time_field(entry) + (struct.pack("<HH", 1, len(wide)) + wide if wide else b"")
    name = entry.name.encode()
    version = _ZIP64 if wide else _PLAIN
    head = struct.pack("<4sHH", b"PK\x01\x02", _UNIX | version, version)
    lengths = struct.pack("<HHHHH", len(name), len(extra), 0, 0, 0)
    place = struct.pack("<LL", _REGULAR_FILE, min(offset, _MOST_32))
    return head + _described(entry) + lengths + place + name + extra


def end(count: int, start: int, size: int) -> bytes:
    """Return what closes an archive, after its central directory.

    Args:
        count: of entries.
        start: offset of the central directory [byte].
        size: of the central directory [byte].
    """
    closing = b""
    if count >= _MOST_16 or start >= _MOST_32 or size >= _MOST_32:
        closing = struct.pack(
            "<4sQHHLLQQQQ", b"PK\x06\x06", 44, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, start
        )
        closing += struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)
    counted, sized, placed = min(count, _MOST_16), min(size, _MOST_32), min(start, _MOST_32)
    return closing + struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, counted, counted, sized, placed, 0)


def layout(entries: Iterable[tuple[Entry, bytes | None]]) -> list[Part]:
    """Return the parts of an archive of stored entries.

    Args:
        entries: each with its content, or None where that is a file; files are numbered in this order.
    """
    parts: list[Part] = []
    directory = []
    offset = number = 0
    for entry, content in entries:
        header = local_header(entry)
        directory.append(central_header(entry, offset))
        offset += len(header) + entry.size
        if content is None:
            parts += [header, Stored(number, entry.size)]
            number += 1
        else:
            parts.append(header + content)
    records = b"".join(directory)
    return [*parts, records + end(len(directory), offset, len(records))]


def _described(entry: Entry) -> bytes:
    """Return the fields that both headers of an entry have: flags, method, time, CRC-32, sizes."""
    time, date = _dos_time(entry.modified)
    size, packed = (_MOST_32, _MOST_32) if entry.is_large else (entry.size, entry.packed_size)
    return struct.pack("<HHHHLLL", _UTF8, entry.method, time, date, entry.crc32, packed, size)


def _dos_time(seconds: int) -> tuple[int, int]:
    moment = datetime.fromtimestamp(min(max(seconds, 0), int(_DOS_LAST.timestamp())), UTC)
    moment = max(moment, _DOS_FIRST)
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    return time, (moment.year - 1980) << 9 | moment.month << 5 | moment.day


def _time_field(entry: Entry) -> bytes:
    """Return the time to the second and in UTC, where the extra field has room for it."""
    if not -(2**31) <= entry.modified < 2**31:
        return b""
    return struct.pack("<HHBl", 0x5455, 5, 1, entry.modified)
