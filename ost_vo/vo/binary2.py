"""Results as a VOTable with BINARY2, made from PostgreSQL's binary COPY stream.

The work is done by a compiled kernel over whole chunks and costs less than the database spends on sending
them.

Source: VOTable 1.4 section 5.4 (BINARY2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pybase64

from ost_vo.vo import binarykernels as kernels
from ost_vo.vo import votable
from ost_vo.vo.columns import COMPLEX, STRINGS, Column
from ost_vo.vo.copybinary import CopyBinary, layout, mismatch
from ost_vo.vo.votable import Status


class Binary2(CopyBinary):
    """An encoder from binary COPY to a VOTable document with BINARY2.

    Strings of ``char`` columns get ``?`` for each character outside ASCII, those of ``unicodeChar`` columns
    U+FFFD for each character outside the Basic Multilingual Plane (VOTable 1.4 section 2.1: UCS-2). A null is
    flagged in the mask and filled with NaN, ``?`` or zeros. An unsignedByte out of 0 to 255 becomes null.
    """

    content_type = votable.CONTENT_TYPE
    # Whether rows begin with a mask of their nulls.
    masked = True
    _made = np.empty(0, np.uint8)
    _carry = b""

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row."""
        self._columns = columns
        self._layout = layout(columns)
        return votable.head(columns, data_format="BINARY2", **self._envelope)

    def _ending(self, status: Status, message: str) -> Iterable[bytes]:
        tail = votable.tail(status, message, data_format="BINARY2", resources_after=self._resources_after)
        return [pybase64.b64encode(self._carry) + tail]

    def _taken(self, data: bytes, used: int) -> bytes:
        texts = []
        before = self.rows, self._carry
        source = np.frombuffer(data, np.uint8)
        self._reserve(2 * source.size + 1024)
        status = kernels.FULL
        while status == kernels.FULL:
            step, made, rows, status, column, _ = kernels.transcode(
                source[used:], self._made[2:], self._layout, self._left(), self.masked, 0
            )
            used += step
            self.rows += rows
            texts.append(self._text(made))
            if status == kernels.MISMATCH:
                self.rows, self._carry = before  # none of this leaves
                raise mismatch(self._columns, column)
            if status == kernels.FULL and not rows:
                self._reserve(2 * self._made.size)
        self._settle(status, data, used)
        return b"".join(texts)

    def _reserve(self, size: int) -> None:
        if self._made.size < size:
            self._made = np.empty(size, np.uint8)

    def _text(self, made: int) -> bytes:
        """Return base64 for the bytes that the kernel left in the buffer, but for the last one or two.

        base64 works on groups of three bytes; what is over waits in front of the next rows.
        """
        waiting = len(self._carry)
        first = 2 - waiting
        self._made[first:2] = np.frombuffer(self._carry, np.uint8)
        full = first + (waiting + made) // 3 * 3
        self._carry = self._made[full : 2 + made].tobytes()
        return pybase64.b64encode(self._made[first:full].data)


def is_disputed(column: Column) -> bool:
    """Tell whether common readers disagree with the standard, or with each other, about a column in BINARY2.

    astropy looks for a single bit at another place of its byte, and takes bytes for the bits of an array of
    variable length, and rows for the elements of one of several dimensions, which section 5.3 counts. STIL
    fails on a single bit, and takes the parts of complex numbers for elements.
    """
    shape = votable.shape(column)
    if column.datatype == "bit":
        return shape.variable or not shape.array
    is_nested = bool(shape.sides) and column.datatype not in STRINGS
    return shape.variable and (is_nested or column.datatype in COMPLEX)


def warm() -> None:
    """Compile the kernels for binary COPY, or load them from numba's cache (seconds)."""
    kernels.warm()
