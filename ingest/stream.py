"""The bytes of a file, read once: hashed as they are on disk, unpacked as they are handed out."""

from __future__ import annotations

import hashlib
import zlib
from typing import BinaryIO

from ost_vo.faults import Fault

CHUNK_BYTES = 1 << 20
# The largest camera here makes frames of 122 MB; what unpacks to more than this is no camera frame.
MAX_UNPACKED_BYTES = 2 << 30
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib: the largest window (15), and a gzip wrapper (16)


class Unreadable(Fault):
    """A file that cannot be ingested; the detail is the reason that the quarantine shows."""

    code = "UnreadableFile"


class Stream:
    """A forward reader over a file that may be gzip-packed (told by its first bytes, not its name).

    Args:
        raw: the file, open for reading, at its start; stays open.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._digest = hashlib.sha256()
        self._packed = self._fetch()
        self.is_packed = self._packed.startswith(_GZIP_MAGIC)
        self._unpacker = zlib.decompressobj(_GZIP_WINDOW) if self.is_packed else None
        self._ready = b"" if self.is_packed else self._packed
        self._at = 0
        self._handed_out = 0

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end.

        Raises:
            Unreadable: the gzip stream is damaged, or unpacks to more than MAX_UNPACKED_BYTES.
        """
        parts = []
        while size > 0 and self._fill():
            part = self._ready[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Pass over the next `size` bytes and return how many there were; raises as `read` does."""
        left = size
        while left > 0 and self._fill():
            step = min(left, len(self._ready) - self._at)
            self._at += step
            left -= step
        return size - left

    def digest(self) -> bytes:
        """Read on to the end of the file and return the SHA-256 of its bytes on disk."""
        while self._fetch():
            pass
        return self._digest.digest()

    def _fetch(self) -> bytes:
        chunk = self._raw.read(CHUNK_BYTES)
        self._digest.update(chunk)
        return chunk

    def _fill(self) -> bool:
        """Have at least one byte ready; False at the end."""
        if self._at < len(self._ready):
            return True
        self._ready = self._unpack() if self.is_packed else self._fetch()
        self._at = 0
        return bool(self._ready)

    def _unpack(self) -> bytes:
        unpacked = b""
        while not unpacked and self._unpacker is not None:
            if not self._packed:
                self._packed = self._fetch()
            unpacked = self._inflate()
        self._handed_out += len(unpacked)
        if self._handed_out > MAX_UNPACKED_BYTES:
            raise Unreadable(
                f"Unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB, the limit for packed files."
            )
        return unpacked

    def _inflate(self) -> bytes:
        assert self._unpacker is not None
        if not self._packed:
            raise Unreadable("The gzip data end too early: the file is truncated.")
        try:
            unpacked = self._unpacker.decompress(self._packed, CHUNK_BYTES)
        except zlib.error as error:
            raise Unreadable(f"The gzip data are damaged ({error}).") from error
        self._packed = self._unpacker.unconsumed_tail
        if self._unpacker.eof:
            self._next_member(self._unpacker.unused_data)
        return unpacked

    def _next_member(self, rest: bytes) -> None:
        """Go on with what follows a gzip member: another member (RFC 1952, 2.2), or padding to leave."""
        self._packed = rest or self._fetch()
        another = self._packed.startswith(_GZIP_MAGIC)
        self._unpacker = zlib.decompressobj(_GZIP_WINDOW) if another else None
