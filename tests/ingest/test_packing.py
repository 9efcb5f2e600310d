"""Files packed with gzip, bzip2 and compress: what comes out, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.stream import Stream
from ingest.unpacking import Unreadable
from tests.ingest.frames import TAN, description, reasons, write_frame

_CLEAR = 256
_GROUP = 8  # codes
MIB = 1 << 20


class CompressWriter:
    """Packs as `compress` does: codes in groups of eight, which are filled up where their width changes."""

    def __init__(self, max_bits: int, *, is_block_mode: bool) -> None:
        self._max_bits = max_bits
        self._first_free = 257 if is_block_mode else 256
        self._stream, self._at = 0, 0
        self._parts = [bytes([0x1F, 0x9D, max_bits | (0x80 if is_block_mode else 0)])]
        self._reset()

    def _reset(self) -> None:
        self._bits, self._free, self._group, self._is_first = 9, self._first_free, 0, True
        self.table = {bytes([byte]): byte for byte in range(256)}

    def put(self, code: int) -> None:
        """Write a code."""
        if self._free == 1 << self._bits and self._bits < max(self._max_bits, 10):
            self._fill_group()
            self._bits += 1
        self._stream |= code << self._at
        self._at += self._bits
        self._group += 1
        if self._group == _GROUP:
            self._fill_group()
        self._free += not self._is_first and self._free < 1 << self._max_bits
        self._is_first = False

    def add(self, string: bytes) -> None:
        """Enter a string into the table, while there is room."""
        number = len(self.table) - 256 + self._first_free
        if number < 1 << self._max_bits:
            self.table[string] = number

    def clear(self) -> None:
        """Empty the table."""
        self.put(_CLEAR)
        self._fill_group()
        self._reset()

    def content(self) -> bytes:
        """Return what was written."""
        return b"".join([*self._parts, self._stream.to_bytes((self._at + 7) // 8, "little")])

    def _fill_group(self) -> None:
        self._parts.append(self._stream.to_bytes(self._bits if self._group else 0, "little"))
        self._stream, self._at, self._group = 0, 0, 0


def compress(
    content: bytes, max_bits: int = 16, clear_every: int = 0, *, is_block_mode: bool = True
) -> bytes:
    """Return content as `compress` packs it; the table is emptied each so many bytes."""
    writer = CompressWriter(max_bits, is_block_mode=is_block_mode)
    string = b""
    for number, byte in enumerate(content):
        longer = string + bytes([byte])
        if longer in writer.table:
            string = longer
            continue
        writer.put(writer.table[string])
        writer.add(longer)
        string = bytes([byte])
        if clear_every and number % clear_every == 0:
            writer.clear()
    if string:
        writer.put(writer.table[string])
    return writer.content()


def unpacked(packed: bytes) -> bytes:
    """Return what a stream gives of packed bytes."""
    stream = Stream(io.BytesIO(packed))
    assert stream.is_packed
    return stream.read(64 * MIB)


def noise(size: int) -> bytes:
    """Return bytes without repetitions worth speaking of."""
    return random.Random(5).randbytes(size)


CONTENTS = [b"a", b"abab" * 3, bytes(300_000), noise(200_000), noise(50) * 3000, noise(99) + bytes(70_000)]


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
@pytest.mark.parametrize("max_bits", [9, 12, 16])
@pytest.mark.parametrize("clear_every", [0, 7001])
def test_compress(content: bytes, max_bits: int, clear_every: int) -> None:
    assert unpacked(compress(content, max_bits, clear_every)) == content


def test_compress_without_block_mode() -> None:
    assert unpacked(compress(noise(5000), is_block_mode=False)) == noise(5000)


def test_compress_of_long_runs_is_handed_out_piece_by_piece() -> None:
    stream = Stream(io.BytesIO(compress(bytes(3 * MIB))))
    assert stream.read(10) == bytes(10)
    assert stream.skip(9 * MIB) == 3 * MIB - 10


@given(st.binary(min_size=0, max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_compress_data_are_unpacked_or_refused(data: bytes) -> None:
    with suppress(Unreadable):
        assert len(Stream(io.BytesIO(b"\x1f\x9d" + data)).read(MIB)) <= MIB


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_members_one_after_another(pack: Callable[[bytes], bytes]) -> None:
    content = noise(3 * MIB)
    assert unpacked(pack(content[:MIB]) + pack(b"") + pack(content[MIB:]) + bytes(512)) == content


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (bz2.compress(noise(9999))[:5000], "The bzip2 data end too early: the file is truncated."),
        (b"BZh9" + bytes(99), "The bzip2 data are damaged"),
        (gzip.compress(noise(9999), mtime=0)[:5000], "The gzip data end too early: the file is truncated."),
        (b"\x1f\x9d", "The compress data end too early: the file is truncated."),
        (b"\x1f\x9d\x88abc", "The compress data have codes of 8 bits; there are 9 to 16."),
        (b"\x1f\x9d\x9f", "The compress data have codes of 31 bits; there are 9 to 16."),
        (b"\x1f\x9d\x90" + b"\xff" * 99, "The compress data are damaged (a code that has no meaning yet)."),
    ],
)
def test_damaged_data_are_refused(packed: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        unpacked(packed)
    assert caught.value.detail.startswith(reason)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, compress])
def test_bomb_is_refused(pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.stream.MAX_UNPACKED_BYTES", MIB)
    with pytest.raises(Unreadable, match="Unpacks to more than 1 MiB"):
        unpacked(pack(bytes(3 * MIB)))


@pytest.mark.parametrize(
    ("suffix", "pack", "media_type"),
    [
        ("gz", gzip.compress, "application/gzip"),
        ("bz2", bz2.compress, "application/x-bzip2"),
        ("Z", compress, "application/x-compress"),
    ],
)
def test_packed_frame_is_described_as_it_is(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], media_type: str
) -> None:
    plain = write_frame(tmp_path / "a.fit", TAN | {"EXPTIME": 30.0})
    packed = tmp_path / f"a.fit.{suffix}"
    packed.write_bytes(pack(plain.read_bytes()))
    one, other = description(packed).metadata, description(plain).metadata
    assert (one.media_type, other.media_type) == (media_type, "image/fits")
    assert (one.obs_id, one.t_exptime, one.region) == (other.obs_id, 30.0, other.region)


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("Z", compress)])
def test_rows_of_a_packed_table_are_read(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    columns = [
        fits.Column("WAVE", "D", "nm", array=[400.0, 500.0, 700.0]),
        fits.Column("FLUX", "D", array=[1.0, 2.0, 3.0]),
    ]
    plain = tmp_path / "s.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(plain)
    packed = tmp_path / f"s.fits.{suffix}"
    packed.write_bytes(pack(plain.read_bytes()))
    found = description(packed)
    assert (found.metadata.em_min, found.metadata.em_max) == pytest.approx((400e-9, 700e-9))
    assert (found.metadata.dataproduct_type, reasons(found)) == ("spectrum", {})
