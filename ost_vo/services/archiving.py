"""Reading the files of a download, each once, and writing those archives that are compressed.

What has been written of a file that turns out unreadable is taken back; the archive goes on without it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol

import zstandard
from isal import isal_zlib

from ost_vo.services.files import Download
from ost_vo.services.progress import Progress
from ost_vo.vo import tar_layout, zip_layout

# Bytes that are read at a time.
CHUNK_BYTES = 2**20

# Camera noise hardly shrinks; these are the levels that are fast.
_DEFLATE_LEVEL = 1
_ZSTD_LEVEL = 3
# Deflate without header and checksum, with the largest window.
_RAW_DEFLATE = -15


class UnreadableError(Exception):
    """A file cannot be read to its end; the text is for people."""


@dataclass(frozen=True, slots=True)
class Digests:
    """The checksums of a file: SHA-256 in hexadecimal, and CRC-32."""

    sha256: str
    crc32: int


class Sink(Protocol):
    """Where the files of an archive go, one after another."""

    def begin(self, name: str, size: int, modified: int) -> None:
        """Begin a file, given its path in the archive, size [byte] and time [s since 1970]."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the file."""

    def end(self, crc32: int) -> None:
        """End the file."""

    def undo(self) -> None:
        """Take the file back that has not ended."""

    def close(self) -> None:
        """End the archive."""


class Nowhere:
    """The sink of an archive that is put together only when it is sent."""

    def begin(self, name: str, size: int, modified: int) -> None:
        """Do nothing."""

    def write(self, data: memoryview) -> None:
        """Do nothing."""

    def end(self, crc32: int) -> None:
        """Do nothing."""

    def undo(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class DeflatedZip:
    """A ZIP archive of deflated files.

    Args:
        file: to write it to; it can seek.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._directory: list[bytes] = []
        self._start = 0

    def begin(self, name: str, size: int, modified: int) -> None:
        """Begin a file, with a header that is written once more at its end."""
        self._start = self._file.tell()
        self._entry = zip_layout.Entry(name, size, 0, modified, zip_layout.DEFLATED, packed=0)
        self._file.write(zip_layout.local_header(self._entry))
        self._data = self._file.tell()
        self._stream = isal_zlib.compressobj(_DEFLATE_LEVEL, wbits=_RAW_DEFLATE)

    def write(self, data: memoryview) -> None:
        """Deflate the next bytes."""
        self._file.write(self._stream.compress(data))

    def end(self, crc32: int) -> None:
        """End the file."""
        self._file.write(self._stream.flush())
        stop = self._file.tell()
        entry = replace(self._entry, crc32=crc32, packed=stop - self._data)
        self._file.seek(self._start)
        self._file.write(zip_layout.local_header(entry))
        self._file.seek(stop)
        self._directory.append(zip_layout.central_header(entry, self._start))

    def undo(self) -> None:
        """Take the file back."""
        self._file.seek(self._start)
        self._file.truncate()

    def close(self) -> None:
        """Write the central directory."""
        records = b"".join(self._directory)
        start = self._file.tell()
        self._file.write(records + zip_layout.end(len(self._directory), start, len(records)))


class ZstandardTar:
    """A tar archive compressed with Zstandard, a frame a file (RFC 8878 section 3).

    Args:
        file: to write it to; it can seek.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)

    def begin(self, name: str, size: int, modified: int) -> None:
        """Begin a file."""
        self._start = self._file.tell()
        self._size = size
        self._frame = self._compressor.compressobj()
        self._file.write(self._frame.compress(tar_layout.header(tar_layout.Entry(name, size, modified))))

    def write(self, data: memoryview) -> None:
        """Compress the next bytes."""
        self._file.write(self._frame.compress(data))

    def end(self, crc32: int) -> None:
        """End the file; tar has no checksum for it."""
        del crc32
        self._file.write(self._frame.compress(tar_layout.padding(self._size)) + self._frame.flush())

    def undo(self) -> None:
        """Take the file back."""
        self._file.seek(self._start)
        self._file.truncate()

    def close(self) -> None:
        """Write the end of the archive."""
        self._file.write(self._compressor.compress(tar_layout.END))


def take(download: Download, name: str, sink: Sink, progress: Progress) -> Digests:
    """Read a file into a sink.

    Args:
        download: the open file.
        name: its path in the archive.
        sink: where it goes.
        progress: is told of every chunk.

    Raises:
        UnreadableError: it cannot be read, or changes meanwhile; the sink is as before it.
        OSError: the sink cannot be written.
        TransientFault: the job is to stop.
    """
    size, modified = download.status.st_size, int(download.status.st_mtime)
    sink.begin(name, size, modified)
    sha256, crc32, done = hashlib.sha256(), 0, 0
    buffer = memoryview(bytearray(min(CHUNK_BYTES, max(size, 1))))
    try:
        while done < size:
            data = buffer[: _read(download, buffer[: size - done], done)]
            sha256.update(data)
            crc32 = isal_zlib.crc32(data, crc32)
            sink.write(data)
            done += len(data)
            progress.add(len(data))
        _check_unchanged(download)
    except UnreadableError:
        progress.add(size - done)
        sink.undo()
        raise
    sink.end(crc32)
    return Digests(sha256.hexdigest(), crc32)


def add_document(sink: Sink, name: str, content: bytes, modified: int) -> None:
    """Write a document into a sink."""
    sink.begin(name, len(content), modified)
    sink.write(memoryview(content))
    sink.end(isal_zlib.crc32(content))


def _read(download: Download, buffer: memoryview, offset: int) -> int:
    try:
        count = os.preadv(download.descriptor, [buffer], offset)
    except OSError as error:
        raise UnreadableError(f"It cannot be read: {error.strerror}.") from error
    if count == 0:
        raise UnreadableError("It got shorter while it was read.")
    return count


def _check_unchanged(download: Download) -> None:
    now, then = os.fstat(download.descriptor), download.status
    if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
        raise UnreadableError("It changed while it was read.")
