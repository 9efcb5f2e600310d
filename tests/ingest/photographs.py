"""Small TIFF files, JPEG files and raw photographs with chosen tags."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | bytes | int | tuple[int, int]
Tags = Mapping[int, Value]

WIDTH, HEIGHT, BITS, MAKE, MODEL, SOFTWARE, DATE, ARTIST = (
    0x100,
    0x101,
    0x102,
    0x10F,
    0x110,
    0x131,
    0x132,
    0x13B,
)
STRIPS, STRIP_SIZES, SUB, EXIF, FORMAT = 0x111, 0x117, 0x14A, 0x8769, 0x153
EXPOSURE, ISO, TAKEN, DIGITIZED, ZONE, FRACTION, FOCAL = (
    0x829A,
    0x8827,
    0x9003,
    0x9004,
    0x9011,
    0x9291,
    0x920A,
)
EXIF_WIDTH, EXIF_HEIGHT, ISO_INDEX = 0xA002, 0xA003, 0x8832

SHOT: dict[int, Value] = {
    EXPOSURE: (30, 1), ISO: 800, TAKEN: "2022:07:01 23:30:00", FOCAL: (400, 1),
}  # fmt: skip
CAMERA: dict[int, Value] = {MAKE: "Canon", MODEL: "Canon EOS 60D", SOFTWARE: "1.1.1", ARTIST: "Jürgen"}


@dataclass
class Tiff:
    """Writes a TIFF file: the main directory, one for EXIF, and one more below the main one.

    Attributes:
        order: '<' or '>'.
        magic: what follows II or MM.
        first: offset of the main directory.
    """

    order: str = "<"
    magic: int = 42
    first: int = 8
    _parts: list[bytes] = field(default_factory=list)

    def write(
        self, main: Tags, exif: Tags | None = None, sub: Tags | None = None, pixels: bytes = b""
    ) -> bytes:
        """Return the file; the pixels stand at its end, where STRIPS of the main directory may point."""
        count = len(main) + (exif is not None) + (sub is not None)
        at = 8 + 2 + 12 * count + 4
        tags = dict(main)
        blocks = []
        for pointer, other in ((EXIF, exif), (SUB, sub)):
            if other is not None:
                tags[pointer] = at
                blocks.append(self._directory(other, at))
                at += len(blocks[-1])
        body, values = self._entries(tags, at)
        mark = b"II" if self.order == "<" else b"MM"
        head = mark + struct.pack(f"{self.order}HI", self.magic, self.first)
        return head + body + b"".join(blocks) + values + pixels

    def _directory(self, tags: Tags, at: int) -> bytes:
        body, values = self._entries(tags, at + 2 + 12 * len(tags) + 4)
        return body + values

    def _entries(self, tags: Tags, at: int) -> tuple[bytes, bytes]:
        body, values = struct.pack(f"{self.order}H", len(tags)), b""
        for tag in sorted(tags):
            kind, count, raw = self._encoded(tags[tag])
            if len(raw) > 4:
                value = struct.pack(f"{self.order}I", at + len(values))
                values += raw
            else:
                value = raw.ljust(4, b"\0")
            body += struct.pack(f"{self.order}HHI", tag, kind, count) + value
        return body + bytes(4), values

    def _encoded(self, value: Value) -> tuple[int, int, bytes]:
        if isinstance(value, str):
            raw = value.encode() + b"\0"
            return 2, len(raw), raw
        if isinstance(value, bytes):
            return 7, len(value), value
        if isinstance(value, tuple):
            return 5, 1, struct.pack(f"{self.order}2I", *value)
        return 4, 1, struct.pack(f"{self.order}I", value)


def tiff(
    exif: Tags | None = None,
    main: Tags | None = None,
    sub: Tags | None = None,
    order: str = "<",
    magic: int = 42,
) -> bytes:
    """Return a TIFF file of 6 x 4 pixels, with its pixels."""
    content = {WIDTH: 6, HEIGHT: 4} | CAMERA | dict(main or {})
    length = len(Tiff(order, magic).write(content | {STRIPS: 0, STRIP_SIZES: 0}, exif, sub))
    return Tiff(order, magic).write(content | {STRIPS: length, STRIP_SIZES: 24}, exif, sub, bytes(24))


def segment(marker: int, content: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(exif: Tags | None = None, main: Tags | None = None) -> bytes:
    """Return what has the structure of a JPEG of 6 x 4 pixels."""
    parts = [b"\xff\xd8"]
    if exif is not None:
        parts.append(segment(0xE1, b"Exif\0\0" + Tiff().write(CAMERA | dict(main or {}), exif)))
    parts.append(segment(0xC0, struct.pack(">BHHB", 8, 4, 6, 1) + b"\1\x11\0"))
    parts.append(segment(0xDA, b"\1\1\0\0\x3f\0") + b"data\xff\x00data" + b"\xff\xd9")
    return b"".join(parts)


def minolta(exif: Tags) -> bytes:
    """Return the structure of an MRW file."""
    inner = tiff(exif)
    blocks = b"\0PRD" + struct.pack(">I", 24) + bytes(24) + b"\0TTW" + struct.pack(">I", len(inner)) + inner
    return b"\0MRM" + struct.pack(">I", len(blocks)) + blocks


def box(kind: bytes, content: bytes) -> bytes:
    """Return a box of a movie or a CR3 file."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def canon_boxes(exif: Tags) -> bytes:
    """Return the structure of a CR3 file."""
    identifier = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    main = Tiff().write({WIDTH: 6, HEIGHT: 4} | CAMERA)
    canon = box(b"uuid", identifier + box(b"CMT1", main) + box(b"CMT2", Tiff().write(exif)))
    return box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", canon) + box(b"mdat", bytes(100))
