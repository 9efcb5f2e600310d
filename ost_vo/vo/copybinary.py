"""What the encoders of binary COPY streams share: finding rows in a stream and counting them.

Source: PostgreSQL 15, COPY, "Binary Format".
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ost_vo.faults import FatalFault
from ost_vo.vo import binarykernels as kernels
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.encoder import UNBOUNDED, Encoder

# The value that stands for null in formats without a mask of nulls, by datatype: the smallest of each. An
# unsignedByte has none to spare and is written as a short.
NULLS = {"short": -(2**15), "int": -(2**31), "long": -(2**63)}

# Datatype to (kind, bytes of an element as VOTable writes it, bytes of it in the COPY stream).
_ELEMENTS = {
    "boolean": (kernels.LOGICAL, 1, 1),
    "bit": (kernels.BIT, 1, 2),
    "unsignedByte": (kernels.BYTE, 1, 2),
    "short": (kernels.NUMBER, 2, 2),
    "int": (kernels.NUMBER, 4, 4),
    "long": (kernels.NUMBER, 8, 8),
    "float": (kernels.REAL, 4, 4),
    "double": (kernels.REAL, 8, 8),
    "floatComplex": (kernels.REAL, 4, 4),
    "doubleComplex": (kernels.REAL, 8, 8),
    "char": (kernels.CHAR, 1, 0),
    "unicodeChar": (kernels.WIDE, 2, 0),
}
# The first two bytes of NaN.
_NAN = {4: (0x7F, 0xC0), 8: (0x7F, 0xF8)}
# The signature, the flags and the length of the header's extension (bytes).
_HEADER = 19
_EXTENSION = slice(15, 19)
_TRAILER = b"\xff\xff"


class CopyBinary(Encoder):
    """An encoder that reads binary COPY with compiled kernels."""

    copy_options = "FORMAT BINARY"
    _layout = np.empty((0, kernels.FIELDS), np.int64)
    _started = False
    _ended = False

    def feed(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Return what the rows become that the chunk completes; it may be empty.

        Args:
            chunk: the next bytes of the COPY stream, cut anywhere.

        Raises:
            FatalFault: the stream does not hold what the columns declare.
        """
        if self._ended:
            return b""
        data = self._rest + bytes(chunk)
        begin = 0 if self._started else _header_size(data)
        if begin is None:
            self._rest = data
            return b""
        self._started = True
        return self._taken(data, begin)

    @abstractmethod
    def _taken(self, data: bytes, used: int) -> bytes:
        """Take the rows from a place of the data on, keep what is left of them; return what rows become."""

    def _settle(self, status: int, data: bytes, used: int) -> None:
        """Note why a kernel stopped: at the end of the stream, or at the row beyond the limit."""
        following = data[used : used + 2]
        if status == kernels.ROW and len(following) == 2:
            self._ended = True
            self.overflowed |= following != _TRAILER
        self._ended |= status == kernels.END
        self._rest = data[used:]


class Scanned(CopyBinary):
    """An encoder that puts rows aside as the stream has them, until there are enough or all of them."""

    _sizes = np.empty(0, np.int64)

    def _taken(self, data: bytes, used: int) -> bytes:
        source = np.frombuffer(data, np.uint8)
        step, rows, status, column = kernels.scan(source[used:], self._layout, self._sizes, self._left())
        if status == kernels.MISMATCH:
            raise mismatch(self._columns, column)
        self.rows += rows
        self._settle(status, data, used + step)
        return self._aside(data[used : used + step], rows) if rows else b""

    @abstractmethod
    def _aside(self, data: bytes, rows: int) -> bytes:
        """Put whole rows aside; return what leaves now."""


def layout(
    columns: Sequence[Column], *, nulls: bool = False, unknown: int = ord("?"), heap: bool = False
) -> np.ndarray:
    """Return the numbers that tell the kernels of the columns, one row a column.

    Args:
        columns: the columns of the result.
        nulls: whether nulls are told by the values of NULLS.
        unknown: the byte of a truth value that is null.
        heap: whether arrays of numbers of variable length go behind the table.

    Raises:
        FatalFault: a column has a datatype or arraysize that cannot be written.
    """
    return _layout(tuple(columns), 0x80 if nulls else 0, unknown, heap)


@lru_cache(maxsize=64)
def _layout(columns: tuple[Column, ...], null: int, unknown: int, heap: bool) -> np.ndarray:
    rows = [_described(column, null, unknown, heap) for column in columns]
    return np.array(rows, np.int64).reshape(-1, kernels.FIELDS)


def stored(columns: Sequence[Column]) -> list[Column]:
    """Return the columns as formats without a mask of nulls write them: an unsignedByte becomes a short."""
    return [replace(c, datatype="short") if c.datatype == "unsignedByte" else c for c in columns]


def mismatch(columns: Sequence[Column], column: int) -> FatalFault:
    """Return the fault of a value that is not of its column's type, or of a row (column -1)."""
    where = f"Column {columns[column].name}" if column >= 0 else "A row"
    return FatalFault(f"{where} of the result does not have the type that the metadata declares.")


def _described(column: Column, null: int, unknown: int, heap: bool) -> tuple[int, ...]:
    shape = votable.shape(column)
    kind, width, sent = _ELEMENTS[column.datatype]
    bound = UNBOUNDED if shape.bound is None else shape.bound
    size = width if not shape.array else 4 if shape.variable else bound * width
    if kind == kernels.BIT and shape.array and not shape.variable:
        size = (bound + 7) // 8
    fillers = {kernels.NUMBER: (null, 0), kernels.LOGICAL: (unknown, 0), kernels.REAL: _NAN.get(width)}
    first, second = fillers.get(kind) or (0, 0)
    behind = heap and shape.variable and kind not in (kernels.CHAR, kernels.WIDE)
    return kind, width, sent, shape.array, shape.variable, bound, size, first, second, behind, shape.parts


def _header_size(data: bytes) -> int | None:
    """Return the length of the COPY header, or None while it is incomplete."""
    if len(data) < _HEADER:
        return None
    size = _HEADER + int.from_bytes(data[_EXTENSION], "big")
    return size if len(data) >= size else None
