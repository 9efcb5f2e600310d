"""Unpacking what `compress` packed: files that end in .Z.

The format has no specification but its programs: codes of 9 to 16 bits, the lowest bit first, written in
groups of eight; where the width of a code changes, the rest of the group is filling. Every code but the first
makes an entry of the table: the string before, and the first byte of this one. Code 256 empties the table.
There is no length and no checksum, so a cut file is only noticed by what was packed in it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ingest.unpacking import PIECE_BYTES, Fetch, Unreadable

_MIN_BITS, _MAX_BITS = 9, 16
_CLEAR = 256
_GROUP = 8  # codes
_HEADER_BYTES = 3
_BLOCK_MODE, _WIDTH = 0x80, 0x1F
_NO_CODE = -1
# The state between two calls of the kernel.
_BITS, _FREE, _OLD, _READ, _SKIP, _STATES = range(6)
_NEEDS_INPUT, _IS_FULL, _IS_DAMAGED = range(3)


class Lzw:
    """Unpacks one file; the table takes 0.5 MB, whatever the file says.

    Args:
        beginning: the first bytes of the file, with its magic number.
        fetch: returns the next bytes, b'' at the end.

    Raises:
        Unreadable: the header is cut, or names codes that compress does not make.
    """

    def __init__(self, beginning: bytes, fetch: Fetch) -> None:
        if len(beginning) < _HEADER_BYTES:
            raise Unreadable("The compress data end too early: the file is truncated.")
        self._max_bits = beginning[2] & _WIDTH
        self._is_block_mode = bool(beginning[2] & _BLOCK_MODE)
        if not _MIN_BITS <= self._max_bits <= _MAX_BITS:
            raise Unreadable(f"The compress data have codes of {self._max_bits} bits; there are 9 to 16.")
        self._fetch = fetch
        self._packed = beginning[_HEADER_BYTES:]
        self._bit = 0
        self._state = np.zeros(_STATES, np.int64)
        self._state[[_BITS, _OLD]] = _MIN_BITS, _NO_CODE
        self._state[_FREE] = _CLEAR + self._is_block_mode
        self._prefix = np.zeros(1 << _MAX_BITS, np.uint16)
        self._last = np.arange(1 << _MAX_BITS).astype(np.uint8)
        self._length = np.ones(1 << _MAX_BITS, np.int32)
        # One string is no longer than the table, so a piece and a string fit.
        self._output = np.empty(PIECE_BYTES + (1 << _MAX_BITS), np.uint8)

    def unpack(self) -> bytes:
        """Return the next piece, b'' at the end; raises Unreadable where a code means nothing."""
        while True:
            packed = np.frombuffer(self._packed, np.uint8)
            reason, self._bit, size = _decode(
                packed, self._bit, self._output, self._state, self._prefix, self._last, self._length,
                self._max_bits, self._is_block_mode,
            )  # fmt: skip
            if reason == _IS_DAMAGED:
                raise Unreadable("The compress data are damaged (a code that has no meaning yet).")
            is_end = reason == _NEEDS_INPUT and not self._refill()
            if size or is_end:
                return self._output[:size].tobytes()

    def _refill(self) -> bool:
        chunk = self._fetch()
        self._packed = self._packed[self._bit >> 3 :] + chunk
        self._bit &= 7
        return bool(chunk)


def warm() -> None:
    """Compile the kernel, or load it from numba's cache, so that no file waits for it (seconds)."""
    Lzw(bytes((0x1F, 0x9D, _BLOCK_MODE | _MAX_BITS)), lambda: b"").unpack()


@njit(nogil=True, cache=True)
def _decode(packed, bit, output, state, prefix, last, length, max_bits, is_block_mode):  # type: ignore[no-untyped-def]
    """Decode until the input lacks a code or the output holds a piece: (reason, next bit, bytes made)."""
    end = packed.size * 8
    limit = output.size - 65_536
    bits, free, old, read, skip = state[0], state[1], state[2], state[3], state[4]
    made = 0
    reason = 0
    while True:
        if made > limit:
            reason = 1
            break
        # Programs that limit codes to 9 bits write 10 all the same, once the table is full.
        if bits < max(max_bits, 10) and free == (1 << bits):
            skip = (-read) % 8 * bits
            bits, read = bits + 1, 0
        if skip:
            passed = min(skip, end - bit)
            bit += passed
            skip -= passed
        if bit + bits > end:
            break
        at = bit >> 3
        word = np.int64(packed[at]) | np.int64(packed[at + 1]) << 8
        if at + 2 < packed.size:
            word |= np.int64(packed[at + 2]) << 16
        code = (word >> (bit & 7)) & ((1 << bits) - 1)
        bit += bits
        read += 1
        if is_block_mode and code == 256:
            skip = (-read) % 8 * bits
            bits, free, old, read = 9, 257, -1, 0
            continue
        if (old == -1 and code > 255) or code > free or (code == free and free >= (1 << max_bits)):
            reason = 2
            break
        # A code that is about to be made: the string before, and its own first byte again.
        is_new = old != -1 and code == free
        source = old if is_new else code
        size = length[source]
        to = made + size - 1
        part = source
        while to > made:
            output[to] = last[part]
            part = prefix[part]
            to -= 1
        output[made] = last[part]
        first = last[part]
        made += size
        if is_new:
            output[made] = first
            made += 1
        if old != -1 and free < (1 << max_bits):
            prefix[free] = old
            last[free] = first
            length[free] = length[old] + 1
            free += 1
        old = code
    state[0], state[1], state[2], state[3], state[4] = bits, free, old, read, skip
    return reason, bit, made
