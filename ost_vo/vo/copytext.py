"""What the encoders of text COPY streams share: cutting a stream into rows and counting them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ost_vo.faults import FatalFault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.encoder import UNBOUNDED, Encoder
from ost_vo.vo.textkernels import (
    ARRAY,
    BOUND,
    CHAR,
    FIELDS,
    FILLER,
    INTEGER,
    LOGICAL,
    NEWLINE,
    REAL,
    SHOWN,
    VARIABLE,
    WIDE,
)

_KINDS = {
    "boolean": LOGICAL,
    **dict.fromkeys(("float", "double", "floatComplex", "doubleComplex"), REAL),
    "char": CHAR,
    "unicodeChar": WIDE,
}


class CopyText(Encoder):
    """An encoder that rewrites whole rows of text COPY with a compiled kernel."""

    copy_options = "FORMAT TEXT"
    # The most bytes that one byte of the stream becomes, as where a cell's tags go around nothing.
    growth = 14
    _layout = np.empty((0, FIELDS), np.int64)
    _made = np.empty(0, np.uint8)

    def feed(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Return the text of the rows that the chunk completes.

        Args:
            chunk: the next bytes of the COPY stream, cut anywhere.

        Raises:
            FatalFault: the stream does not hold as many values a row as there are columns.
        """
        if self.overflowed:
            return b""
        data = self._rest + bytes(chunk)
        size = data.rfind(b"\n") + 1
        self._rest = data[size:]
        return self._rewritten(np.frombuffer(data, np.uint8, size)) if size else b""

    @abstractmethod
    def _rewrite(self, source: np.ndarray, made: np.ndarray, most: int) -> tuple[int, int, int]:
        """Rewrite whole rows; return bytes read (-1 after a row of another width), bytes made, rows."""

    def _row_padding(self) -> int:
        """Return how many bytes a row gets at most besides what becomes of its own."""
        fixed = (self._layout[:, ARRAY] == 1) & (self._layout[:, VARIABLE] == 0)
        return int(self._layout[fixed, BOUND].sum()) * FILLER

    def _rewritten(self, source: np.ndarray) -> bytes:
        padding = self._row_padding()
        rows = np.count_nonzero(source == NEWLINE) if padding else 0
        size = self.growth * source.size + rows * padding
        if self._made.size < size:
            self._made = np.empty(size, np.uint8)
        used, made, rows = self._rewrite(source, self._made, self._left())
        if used < 0:
            raise FatalFault("A row of the result does not have the columns that the metadata declares.")
        self.rows += rows
        self.overflowed |= used < source.size
        return self._made[:made].tobytes()


def layout(columns: Sequence[Column], *, shown: bool = False) -> np.ndarray:
    """Return the numbers that tell the kernels of the columns, one row a column.

    Args:
        columns: the columns of the result.
        shown: for a person: arrays have as many elements as they have, and their nulls are called so.

    Raises:
        FatalFault: a column has a datatype or arraysize that cannot be written.
    """
    return np.array([_described(column, shown) for column in columns], np.int64).reshape(-1, FIELDS)


def _described(column: Column, shown: bool) -> tuple[int, ...]:
    shape = votable.shape(column)
    kind = _KINDS.get(column.datatype, INTEGER)
    array = shape.array and kind not in (CHAR, WIDE)
    if shown:
        return SHOWN if array and kind == INTEGER else kind, array, True, UNBOUNDED
    return kind, array, shape.variable, UNBOUNDED if shape.bound is None else shape.bound
