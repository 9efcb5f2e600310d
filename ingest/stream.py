"""The bytes of a file, read once: hashed as they are on disk, unpacked as they are handed out."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from ingest.unpacking import Unreadable, unpacker

__all__ = ["CHUNK_BYTES", "MAX_UNPACKED_BYTES", "Stream", "Unreadable"]

CHUNK_BYTES = 1 << 20
# Read at a time: what is hashed while it is still in the processor's cache takes half as long.
_READ_BYTES = 1 << 18
# The largest camera here makes frames of 122 MB; what unpacks to more than this is no camera frame.
MAX_UNPACKED_BYTES = 2 << 30


class Stream:
    """A forward reader over a file that may be packed with gzip, bzip2 or compress.

    Args:
        raw: the file, open for reading, at its start; stays open.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._digest = hashlib.sha256()
        beginning = self._fetch()
        self._unpacker = unpacker(beginning, self._fetch)
        self._ready = b"" if self._unpacker else beginning
        self._at = 0
        self._handed_out = 0

    @property
    def is_packed(self) -> bool:
        """Whether the bytes handed out differ from those on disk."""
        return self._unpacker is not None

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end.

        Raises:
            Unreadable: the packed data are damaged, or unpack to more than MAX_UNPACKED_BYTES.
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
        chunk = self._raw.read(_READ_BYTES)
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
        assert self._unpacker is not None
        unpacked = self._unpacker.unpack()
        self._handed_out += len(unpacked)
        if self._handed_out > MAX_UNPACKED_BYTES:
            raise Unreadable(
                f"Unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB, the limit for packed files."
            )
        return unpacked
