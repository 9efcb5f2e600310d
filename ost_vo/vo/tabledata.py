"""PostgreSQL's text COPY stream as the rows of a VOTable with TABLEDATA; the rewriting of such streams.

In a text COPY stream a raw newline ends a row and a raw tab a field, never anything else: values carry them
as backslash escapes. So rows are counted and cut without regard to their content, and a compiled kernel
rewrites whole chunks.

Source: VOTable 1.4 section 5.1 and 6 (TABLEDATA, spelling of values); PostgreSQL 15, COPY, "Text Format";
XML 1.0 section 2.2 (legal characters).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Unpack

import numpy as np
from numba import njit

from ost_vo.faults import FatalFault, Fault
from ost_vo.vo import votable
from ost_vo.vo.binary2 import Pointer, pointer
from ost_vo.vo.columns import Column
from ost_vo.vo.votable import Envelope, ServiceDescriptor

# Kinds of value.
_INTEGER, _REAL, _LOGICAL, _CHAR, _WIDE = range(5)
_KINDS = {"boolean": _LOGICAL, "float": _REAL, "double": _REAL, "char": _CHAR, "unicodeChar": _WIDE}
# The fields of one row of the layout that the kernels read.
_KIND, _ARRAY, _VARIABLE, _BOUND = range(4)
_FIELDS = 4
_UNBOUNDED = 1 << 31

# What the bytes of a text value need in TABLEDATA.
_PLAIN, _STOP, _ESCAPE, _AMPERSAND, _LESS, _GREATER, _ILLEGAL, _HIGH = range(8)

_TAB, _NEWLINE, _RETURN, _SPACE, _QUOTE, _COMMA = b'\t\n\r ",'
_BACKSLASH, _QUESTION, _OPEN, _CLOSE = b"\\?{}"
_BIG_I, _BIG_N, _MINUS = b"IN-"

# The most bytes that one byte of the stream becomes: a cell's tags around nothing, or an entity.
_GROWTH = 14
# The most bytes of an element that fills up an array, with the space after it.
_FILLER = 4


def _token(text: bytes) -> tuple[int, ...]:
    return tuple(text)


_ROW_BEGIN, _ROW_END = _token(b"<TR>"), _token(b"</TR>\n")
_CELL_BEGIN, _CELL_END, _CELL_EMPTY = _token(b"<TD>"), _token(b"</TD>"), _token(b"<TD/>")
_AMP, _LT, _GT, _CR = _token(b"&amp;"), _token(b"&lt;"), _token(b"&gt;"), _token(b"&#13;")
_NAN, _PLUS_INF, _MINUS_INF = _token(b"NaN"), _token(b"+Inf"), _token(b"-Inf")
_TRUE, _FALSE = _token(b"true"), _token(b"false")
_REPLACEMENT = _token("\ufffd".encode())


def _classes() -> np.ndarray:
    classes = np.full(256, _PLAIN, np.uint8)
    classes[:32] = _ILLEGAL
    classes[128:] = _HIGH
    special = {"\t\n": _STOP, "\\": _ESCAPE, "&": _AMPERSAND, "<": _LESS, ">": _GREATER}
    for characters, meaning in special.items():
        classes[list(characters.encode())] = meaning
    return classes


def _unescaped() -> np.ndarray:
    """Return what each byte after a backslash stands for."""
    meanings = np.arange(256, dtype=np.uint8)
    meanings[list(b"bfnrtv")] = list(b"\b\f\n\r\t\v")
    return meanings


_CLASSES = _classes()
_UNESCAPED = _unescaped()


class CopyText(ABC):
    """What the encoders of text COPY streams share: cutting a stream into rows and counting them.

    Attributes:
        content_type: media type of the document.
        copy_options: the options of the COPY statement whose output it reads.
        rows: rows written so far.
        overflowed: whether the database sent more rows than the limit.
    """

    content_type: str
    copy_options = "FORMAT TEXT"

    def __init__(self, limit: int | None = None) -> None:
        """Create an encoder for one result.

        Args:
            limit: the most rows to write, None for all; the query asks for one more, to see an overflow.
        """
        self.rows = 0
        self.overflowed = limit == 0
        self._limit = limit
        self._layout = np.empty((0, _FIELDS), np.int64)
        self._made = np.empty(0, np.uint8)
        self._rest = b""

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
        if not size:
            return b""
        return self._rewritten(np.frombuffer(data, np.uint8, size))

    @abstractmethod
    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return what precedes the first row."""

    @abstractmethod
    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return what follows the last row."""

    @abstractmethod
    def _rewrite(self, source: np.ndarray, made: np.ndarray, most: int) -> tuple[int, int, int]:
        """Rewrite whole rows; return bytes read (-1 after a row of another width), bytes made, rows."""

    def _declare(self, columns: Sequence[Column]) -> None:
        self._layout = np.array([_layout(column) for column in columns], np.int64).reshape(-1, _FIELDS)

    def _rewritten(self, source: np.ndarray) -> bytes:
        self._reserve(source)
        most = _UNBOUNDED if self._limit is None else self._limit - self.rows
        used, made, rows = self._rewrite(source, self._made, most)
        if used < 0:
            raise FatalFault("A row of the result does not have the columns that the metadata declares.")
        self.rows += rows
        self.overflowed |= used < source.size
        return self._made[:made].tobytes()

    def _reserve(self, source: np.ndarray) -> None:
        """Make the buffer large enough for whatever the source may become."""
        fixed = (self._layout[:, _ARRAY] == 1) & (self._layout[:, _VARIABLE] == 0)
        padding = int(self._layout[fixed, _BOUND].sum()) * _FILLER
        rows = np.count_nonzero(source == _NEWLINE) if padding else 0
        size = _GROWTH * source.size + rows * padding
        if self._made.size < size:
            self._made = np.empty(size, np.uint8)


class TableData(CopyText):
    """An encoder from text COPY to a VOTable document with TABLEDATA.

    Strings of ``char`` columns get ``?`` for each character outside ASCII, and characters that XML forbids
    become ``?``, in ``unicodeChar`` columns U+FFFD. A null is an empty cell, as since VOTable 1.3.
    """

    content_type = votable.CONTENT_TYPE

    def __init__(
        self,
        limit: int | None = None,
        *,
        resources_after: Iterable[ServiceDescriptor] = (),
        **envelope: Unpack[Envelope],
    ) -> None:
        """Create an encoder for one result.

        Args:
            limit: the most rows to write, None for all; the query asks for one more, to see an overflow.
            resources_after: service descriptors that follow the result.
            envelope: the optional arguments of :func:`ost_vo.vo.votable.head`.
        """
        super().__init__(limit)
        self._envelope = envelope
        self._resources_after = tuple(resources_after)

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
        """
        self._declare(columns)
        return votable.head(columns, data_format="TABLEDATA", **self._envelope)

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the rest of the document.

        Args:
            overflowed: report an overflow that the encoder has not seen itself.
            error: report this fault, which cut the stream short.
        """
        status, message = votable.outcome(overflowed or self.overflowed, error)
        return votable.tail(status, message, resources_after=self._resources_after)

    def _rewrite(self, source: np.ndarray, made: np.ndarray, most: int) -> tuple[int, int, int]:
        return mark_up(source, made, self._layout, most)


def warm() -> None:
    """Compile the kernels, or load them from numba's cache, so that no request waits for it (seconds)."""
    source = np.frombuffer(b"1\n", np.uint8)
    made = np.empty(_GROWTH * source.size, np.uint8)
    layout = np.array([_layout(Column("number", "int"))], np.int64)
    mark_up(source, made, layout, 1)
    delimit(source, made, layout, 1, _COMMA)


def _layout(column: Column) -> tuple[int, ...]:
    shape = votable.shape(column)
    bound = _UNBOUNDED if shape.bound is None else shape.bound
    kind = _KINDS.get(column.datatype, _INTEGER)
    return kind, shape.array and kind not in (_CHAR, _WIDE), shape.variable, bound


@njit(cache=True, nogil=True)
def mark_up(source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int) -> tuple[int, int, int]:
    """Rewrite whole rows of text COPY as TABLEDATA.

    Args:
        source: bytes of the stream, from the beginning of a row to the end of one.
        made: buffer for the result, large enough.
        layout: one row of numbers a column, see :func:`_layout`.
        most: the most rows to write.

    Returns:
        Bytes read (-1 after a row that has not as many values as there are columns), bytes written, rows.
    """
    p = o = rows = 0
    stream, rewritten, fields = pointer(source), pointer(made), pointer(layout)
    last = layout.size - _FIELDS
    while p < source.size and rows < most:
        begin = o
        o = _put(rewritten, o, _ROW_BEGIN)
        for column in range(0, layout.size, _FIELDS):
            p, o = _put_cell(stream, p, rewritten, o, fields, column)
            if stream[p] != (_NEWLINE if column == last else _TAB):
                return -1, begin, rows
            p += 1
        o = _put(rewritten, o, _ROW_END)
        rows += 1
    return p, o, rows


@njit(cache=True, nogil=True)
def delimit(
    source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int, delimiter: int
) -> tuple[int, int, int]:
    """Rewrite whole rows of text COPY as values between delimiters (RFC 4180).

    A null is nothing at all, an empty string a pair of quotes.

    Args:
        source, made, layout, most: as for :func:`mark_up`.
        delimiter: the byte between values.

    Returns:
        As :func:`mark_up`.
    """
    p = o = rows = 0
    stream, rewritten, fields = pointer(source), pointer(made), pointer(layout)
    last = layout.size - _FIELDS
    while p < source.size and rows < most:
        begin = o
        for column in range(0, layout.size, _FIELDS):
            p, o = _put_delimited(stream, p, rewritten, o, fields, column, delimiter)
            if stream[p] != (_NEWLINE if column == last else _TAB):
                return -1, begin, rows
            rewritten[o] = _NEWLINE if column == last else delimiter
            o += 1
            p += 1
        rows += 1
    return p, o, rows


@njit(cache=True, nogil=True, forceinline=True)
def _put_cell(
    source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int
) -> tuple[int, int]:
    if _is_null(source, p):
        return p + 2, _put(made, o, _CELL_EMPTY)
    o = _put(made, o, _CELL_BEGIN)
    kind = layout[column + _KIND]
    if kind in (_CHAR, _WIDE):
        p, o = _put_text(source, p, made, o, kind == _WIDE, layout[column + _BOUND])
    else:
        p, o = _put_numbers(source, p, made, o, layout, column)
    return p, _put(made, o, _CELL_END)


@njit(cache=True, nogil=True, forceinline=True)
def _put_delimited(
    source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int, delimiter: int
) -> tuple[int, int]:
    if _is_null(source, p):
        return p + 2, o
    if layout[column + _KIND] not in (_CHAR, _WIDE):
        return _put_numbers(source, p, made, o, layout, column)
    q, end = p, o
    while not (source[q] < 32 or source[q] in (_QUOTE, _BACKSLASH, delimiter)):
        made[end] = source[q]
        end += 1
        q += 1
    if end > o and (source[q] == _TAB or source[q] == _NEWLINE):
        return q, end
    return _put_quoted(source, p, made, o)


@njit(cache=True, nogil=True, forceinline=True)
def _put_quoted(source: Pointer, p: int, made: Pointer, o: int) -> tuple[int, int]:
    made[o] = _QUOTE
    o += 1
    while source[p] != _TAB and source[p] != _NEWLINE:
        byte = source[p]
        if byte == _BACKSLASH:
            p += 1
            byte = _UNESCAPED[source[p]]
        if byte == _QUOTE:
            made[o] = _QUOTE
            o += 1
        made[o] = byte
        o += 1
        p += 1
    made[o] = _QUOTE
    return p, o + 1


@njit(cache=True, nogil=True, forceinline=True)
def _put_text(source: Pointer, p: int, made: Pointer, o: int, wide: bool, bound: int) -> tuple[int, int]:
    """Write a string as content of an XML element, cut after as many characters as the column holds."""
    count = 0
    while True:
        byte = source[p]
        meaning = _CLASSES[byte]
        if meaning == _STOP:
            return p, o
        p += 1
        if meaning == _ESCAPE:
            byte = _UNESCAPED[source[p]]
            p += 1
        elif meaning == _HIGH and byte & 0xC0 == 0x80:
            if wide and count <= bound:
                made[o] = byte
                o += 1
            continue
        count += 1
        if count > bound:
            continue
        if meaning == _PLAIN:
            made[o] = byte
            o += 1
        elif meaning == _HIGH:
            p, o = _put_high(source, p, made, o, wide)
        else:
            o = _put_special(made, o, byte, wide)


@njit(cache=True, nogil=True, forceinline=True)
def _put_high(source: Pointer, p: int, made: Pointer, o: int, wide: bool) -> tuple[int, int]:
    """Write the first byte of a character outside ASCII; its other bytes follow by themselves."""
    if not wide:
        made[o] = _QUESTION
        return p, o + 1
    if source[p - 1] == 0xEF and source[p] == 0xBF and source[p + 1] >= 0xBE:  # U+FFFE and U+FFFF
        return p + 2, _put(made, o, _REPLACEMENT)
    made[o] = source[p - 1]
    return p, o + 1


@njit(cache=True, nogil=True, forceinline=True)
def _put_special(made: Pointer, o: int, byte: int, wide: bool) -> int:
    """Write an ASCII character that XML needs in another form, or one that was escaped in the stream."""
    if byte == _RETURN:
        return _put(made, o, _CR)
    meaning = _CLASSES[byte]
    if meaning == _AMPERSAND:
        return _put(made, o, _AMP)
    if meaning == _LESS:
        return _put(made, o, _LT)
    if meaning == _GREATER:
        return _put(made, o, _GT)
    if meaning == _ILLEGAL and wide:
        return _put(made, o, _REPLACEMENT)
    made[o] = _QUESTION if meaning == _ILLEGAL else byte
    return o + 1


@njit(cache=True, nogil=True, forceinline=True)
def _put_numbers(
    source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int
) -> tuple[int, int]:
    """Write a number, a truth value or an array of them."""
    if not layout[column + _ARRAY]:
        return _put_scalar(source, p, made, o, layout[column + _KIND])
    begin = o
    count = 0
    if source[p] == ord("["):  # bounds other than from 1: [0:2]={...}
        while source[p] != _OPEN and source[p] > _SPACE:
            p += 1
    while source[p] > _SPACE:
        if source[p] == _OPEN or source[p] == _CLOSE or source[p] == _COMMA:
            p += 1
            continue
        p, end = _put_scalar(source, p, made, o, layout[column + _KIND])
        if count < layout[column + _BOUND]:
            made[end] = _SPACE
            o = end + 1
        count += 1
    while not layout[column + _VARIABLE] and count < layout[column + _BOUND]:
        o = _put_filler(made, o, layout[column + _KIND])
        made[o] = _SPACE
        o += 1
        count += 1
    return p, max(o - 1, begin)


@njit(cache=True, nogil=True, forceinline=True)
def _put_scalar(source: Pointer, p: int, made: Pointer, o: int, kind: int) -> tuple[int, int]:
    first = source[p]
    if kind == _LOGICAL and first == ord("t"):
        return _skipped(source, p), _put(made, o, _TRUE)
    if kind == _LOGICAL and first == ord("f"):
        return _skipped(source, p), _put(made, o, _FALSE)
    if first == _BIG_I:
        return _skipped(source, p), _put(made, o, _PLUS_INF)
    if first == _MINUS and source[p + 1] == _BIG_I:
        return _skipped(source, p), _put(made, o, _MINUS_INF)
    if first == _BIG_N:  # NaN, or the NULL of an array
        return _skipped(source, p), _put_filler(made, o, kind)
    while source[p] > _SPACE and source[p] != _COMMA and source[p] != _CLOSE:
        made[o] = source[p]
        o += 1
        p += 1
    return p, o


@njit(cache=True, nogil=True, forceinline=True)
def _put_filler(made: Pointer, o: int, kind: int) -> int:
    """Write an array's element that stands for no value."""
    if kind == _REAL:
        return _put(made, o, _NAN)
    if kind == _LOGICAL:
        made[o] = _QUESTION
        return o + 1
    made[o] = ord("0")
    return o + 1


@njit(cache=True, nogil=True, forceinline=True)
def _skipped(source: Pointer, p: int) -> int:
    while source[p] > _SPACE and source[p] != _COMMA and source[p] != _CLOSE:
        p += 1
    return p


@njit(cache=True, nogil=True, forceinline=True)
def _is_null(source: Pointer, p: int) -> bool:
    return source[p] == _BACKSLASH and source[p + 1] == _BIG_N


@njit(cache=True, nogil=True, forceinline=True)
def _put(made: Pointer, o: int, token: tuple[int, ...]) -> int:
    for byte in token:
        made[o] = byte
        o += 1
    return o
