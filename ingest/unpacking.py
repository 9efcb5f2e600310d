"""Unpacking what was packed with gzip, bzip2 or compress, a bounded piece at a time."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable
from typing import Protocol

from ost_vo.faults import Fault

PIECE_BYTES = 1 << 20  # what an unpacker gives at most at a time, and about what it holds

GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
COMPRESS_MAGIC = b"\x1f\x9d"
_GZIP_WINDOW = 31  # zlib: the largest window (15), and a gzip wrapper (16)

Fetch = Callable[[], bytes]


class Unreadable(Fault):
    """A file that cannot be ingested; the detail is the reason that the quarantine shows."""

    code = "UnreadableFile"


class Unpacker(Protocol):
    """Gives the bytes that were packed."""

    def unpack(self) -> bytes:
        """Return the next piece, at most about PIECE_BYTES; b'' at the end.

        Raises:
            Unreadable: the packed data are damaged, or end too early.
        """


def unpacker(beginning: bytes, fetch: Fetch) -> Unpacker | None:
    """Return what unpacks a file, told by its first bytes and not its name; None for one that is not packed.

    Args:
        beginning: the first bytes of the file.
        fetch: returns the next bytes, b'' at the end.
    """
    if beginning.startswith(GZIP_MAGIC):
        return _Members(beginning, fetch, _Gzip)
    if beginning.startswith(BZIP2_MAGIC):
        return _Members(beginning, fetch, _Bzip2)
    if beginning.startswith(COMPRESS_MAGIC):
        from ingest.lzw import Lzw  # numba takes a while to import

        return Lzw(beginning, fetch)
    return None


class _Member(Protocol):
    """One packed stream of a file that may hold several, one after another."""

    name: str
    magic: bytes

    def inflate(self, packed: bytes) -> tuple[bytes, bytes]:
        """Return (bytes unpacked, packed bytes that were not needed yet)."""

    def rest(self) -> bytes | None:
        """Return what follows this stream, None while it goes on."""


class _Gzip:
    name, magic = "gzip", GZIP_MAGIC

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_GZIP_WINDOW)

    def inflate(self, packed: bytes) -> tuple[bytes, bytes]:
        return self._inner.decompress(packed, PIECE_BYTES), self._inner.unconsumed_tail

    def rest(self) -> bytes | None:
        return self._inner.unused_data if self._inner.eof else None


class _Bzip2:
    name, magic = "bzip2", BZIP2_MAGIC

    def __init__(self) -> None:
        self._inner = bz2.BZ2Decompressor()

    def inflate(self, packed: bytes) -> tuple[bytes, bytes]:
        # It keeps by itself what it does not need yet, and then wants no more.
        unpacked = self._inner.decompress(packed if self._inner.needs_input else b"", PIECE_BYTES)
        return unpacked, b"" if self._inner.eof or self._inner.needs_input else _HELD

    def rest(self) -> bytes | None:
        return self._inner.unused_data if self._inner.eof else None


_HELD = b"\0"  # stands for packed bytes that the decompressor itself still holds


class _Members:
    """A file of packed streams (RFC 1952, section 2.2, for gzip; bzip2 does the same), and padding."""

    def __init__(self, beginning: bytes, fetch: Fetch, kind: type[_Gzip] | type[_Bzip2]) -> None:
        self._packed = beginning
        self._fetch = fetch
        self._kind = kind
        self._member: _Member | None = kind()

    def unpack(self) -> bytes:
        unpacked = b""
        while not unpacked and self._member is not None:
            self._packed = self._packed or self._fetch()
            unpacked = self._inflate(self._member)
        return unpacked

    def _inflate(self, member: _Member) -> bytes:
        if not self._packed:
            raise Unreadable(f"The {member.name} data end too early: the file is truncated.")
        try:
            unpacked, self._packed = member.inflate(self._packed)
        except (zlib.error, OSError, ValueError) as error:
            raise Unreadable(f"The {member.name} data are damaged ({error}).") from error
        if (rest := member.rest()) is not None:
            self._packed = rest or self._fetch()
            self._member = self._kind() if self._packed.startswith(member.magic) else None
        return unpacked
