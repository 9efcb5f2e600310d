"""PostgreSQL's binary COPY stream as the rows of a VOTable with BINARY2.

Both are big-endian, so most values only lose or keep their length word: the work is done by a compiled kernel
over whole chunks and costs less than the database spends on sending them.

Source: VOTable 1.4 section 5.4 (BINARY2); PostgreSQL 15, COPY, "Binary Format"; the array format is that of
PostgreSQL's ``array_send``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np
import pybase64
from numba import njit, types
from numba.extending import intrinsic

from ost_vo.faults import FatalFault, Fault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.votable import Envelope, ServiceDescriptor

# Kinds of element, and what a kernel call ended with.
_NUMBER, _REAL, _LOGICAL, _BYTE, _CHAR, _WIDE = range(6)
_ROW, _MORE, _END, _FULL, _MISMATCH = range(5)

# Datatype to (kind, bytes of an element in BINARY2, bytes of it in the COPY stream).
_ELEMENTS = {
    "boolean": (_LOGICAL, 1, 1),
    "unsignedByte": (_BYTE, 1, 2),
    "short": (_NUMBER, 2, 2),
    "int": (_NUMBER, 4, 4),
    "long": (_NUMBER, 8, 8),
    "float": (_REAL, 4, 4),
    "double": (_REAL, 8, 8),
    "char": (_CHAR, 1, 0),
    "unicodeChar": (_WIDE, 2, 0),
}
# The fields of one row of the layout that the kernel reads.
_KIND, _WIDTH, _SENT, _ARRAY, _VARIABLE, _BOUND, _NULL = range(7)
_FIELDS = 7
_UNBOUNDED = 1 << 31

# The signature, the flags and the length of the header's extension (bytes).
_HEADER = 19
_EXTENSION = slice(15, 19)
_UNSENDABLE = 0xFFFD
_QUESTION = ord("?")

# What :func:`pointer` returns: indexable, without the reference counts and sign checks of an array, which
# would cost the kernels three times their work.
Pointer = Any


def _address(_context: Any, array: types.Array) -> tuple[Any, Any]:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), emit


# In compiled code: the address of an array's first element. The caller keeps the array meanwhile.
pointer: Any = intrinsic(_address)


class Binary2:
    """An encoder from binary COPY to a VOTable document with BINARY2.

    Strings of ``char`` columns get ``?`` for each character outside ASCII, those of ``unicodeChar`` columns
    U+FFFD for each character outside the Basic Multilingual Plane (VOTable 1.4 section 2.1: UCS-2). A null is
    flagged in the mask and filled with NaN, ``?`` or zeros. An unsignedByte out of 0 to 255 becomes null.

    Attributes:
        content_type: media type of the document.
        copy_options: the options of the COPY statement whose output it reads.
        rows: rows written so far.
        overflowed: whether the database sent more rows than the limit.
    """

    content_type = votable.CONTENT_TYPE
    copy_options = "FORMAT BINARY"

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
        self.rows = 0
        self.overflowed = limit == 0
        self._limit = limit
        self._envelope = envelope
        self._resources_after = tuple(resources_after)
        self._columns: Sequence[Column] = ()
        self._layout = np.empty((0, _FIELDS), np.int64)
        self._made = np.empty(0, np.uint8)
        self._rest = b""
        self._carry = b""
        self._started = False
        self._ended = False

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
        """
        self._columns = columns
        self._layout = np.array([_layout(column) for column in columns], np.int64).reshape(-1, _FIELDS)
        return votable.head(columns, data_format="BINARY2", **self._envelope)

    def feed(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Return the base64 text of the rows that the chunk completes.

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
        return self._encoded(data, begin)

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the rest of the document.

        Args:
            overflowed: report an overflow that the encoder has not seen itself.
            error: report this fault, which cut the stream short.
        """
        status, message = votable.outcome(overflowed or self.overflowed, error)
        tail = votable.tail(status, message, data_format="BINARY2", resources_after=self._resources_after)
        return pybase64.b64encode(self._carry) + tail

    def _encoded(self, data: bytes, used: int) -> bytes:
        texts = []
        before = self.rows, self._carry
        source = np.frombuffer(data, np.uint8)
        self._reserve(2 * source.size + 1024)
        while not self._ended:
            step, made, rows, status, column = _transcode(
                source[used:], self._made[2:], self._layout, self._left()
            )
            used += step
            self.rows += rows
            texts.append(self._text(made))
            if status == _MISMATCH:
                self.rows, self._carry = before  # none of this leaves
                raise _mismatch(self._columns, column)
            if status == _FULL and not rows:
                self._reserve(2 * self._made.size)
            elif status != _FULL:
                self._settle(status, data[used : used + 2])
                break
        self._rest = data[used:]
        return b"".join(texts)

    def _left(self) -> int:
        return _UNBOUNDED if self._limit is None else self._limit - self.rows

    def _settle(self, status: int, following: bytes) -> None:
        """Note the end of the stream, or the row beyond the limit."""
        if status == _ROW and len(following) == 2:
            self._ended = True
            self.overflowed |= following != b"\xff\xff"
        self._ended |= status == _END

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


def warm() -> None:
    """Compile the kernel, or load it from numba's cache, so that no request waits for it (seconds)."""
    encoder = Binary2()
    encoder.begin([Column("number", "int"), Column("text", "char")])
    encoder.feed(bytes(_HEADER) + b"\xff\xff")


def _header_size(data: bytes) -> int | None:
    """Return the length of the COPY header, or None while it is incomplete."""
    if len(data) < _HEADER:
        return None
    size = _HEADER + int.from_bytes(data[_EXTENSION], "big")
    return size if len(data) >= size else None


def _layout(column: Column) -> tuple[int, ...]:
    shape = votable.shape(column)
    kind, width, sent = _ELEMENTS[column.datatype]
    bound = _UNBOUNDED if shape.bound is None else shape.bound
    null = width if not shape.array else 4 if shape.variable else bound * width
    return kind, width, sent, shape.array, shape.variable, bound, null


def _mismatch(columns: Sequence[Column], column: int) -> FatalFault:
    where = f"Column {columns[column].name}" if column >= 0 else "A row"
    return FatalFault(f"{where} of the result does not have the type that the metadata declares.")


@njit(cache=True, nogil=True)
def _transcode(
    source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int
) -> tuple[int, int, int, int, int]:
    """Write the rows at the beginning of the source.

    Args:
        source: bytes of the COPY stream, from the beginning of a row.
        made: buffer for the rows.
        layout: one row of numbers a column, see :func:`_layout`.
        most: the most rows to write.

    Returns:
        Bytes read, bytes written, rows written, why it stopped, and the column of a mismatch (else -1).
    """
    used = size = rows = 0
    status, column = _ROW, -_FIELDS
    stream, rewritten, fields = pointer(source), pointer(made), pointer(layout)
    ends = source.size, made.size, layout.size
    while rows < most:
        status, p, o, column = _put_row(stream, used, rewritten, size, fields, ends)
        if status != _ROW:
            break
        used, size = p, o
        rows += 1
    return used, size, rows, status, column // _FIELDS


@njit(cache=True, nogil=True, forceinline=True)
def _put_row(
    source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, ends: tuple[int, int, int]
) -> tuple[int, int, int, int]:
    """Write one row; return how it ended, the new places in source and buffer, the column of a mismatch."""
    end, room, fields = ends
    mask = o
    status, o = _begin_row(source, p, end, made, o, room, fields // _FIELDS)
    if status != _ROW:
        return status, p, o, -_FIELDS
    p += 2
    for column in range(0, fields, _FIELDS):
        if end - p < 4:
            return _MORE, p, o, column
        length = _int32(source, p)
        p += 4
        if end - p < length:
            return _MORE, p, o, column
        if room - o < 8 + layout[column + _NULL] + 2 * max(length, 0):
            return _FULL, p, o, column
        if length < 0 or _is_unbyte(source, p, length, layout, column):
            flag = column // _FIELDS
            made[mask + (flag >> 3)] |= np.uint8(128 >> (flag & 7))
            o = _put_null(made, o, layout, column)
        else:
            o = _put_value(source, p, length, made, o, layout, column)
            if o < 0:
                return _MISMATCH, p, o, column
        p += max(length, 0)
    return _ROW, p, o, -_FIELDS


@njit(cache=True, nogil=True, forceinline=True)
def _begin_row(
    source: Pointer, p: int, end: int, made: Pointer, o: int, room: int, columns: int
) -> tuple[int, int]:
    """Check the number of fields and write a mask without nulls; return how it went and the new place."""
    if end - p < 2:
        return _MORE, o
    fields = np.int16((np.uint16(source[p]) << 8) | np.uint16(source[p + 1]))
    if fields == -1:
        return _END, o
    if fields != columns:
        return _MISMATCH, o
    first = o + (columns + 7) // 8
    if room < first:
        return _FULL, o
    while o < first:
        made[o] = 0
        o += 1
    return _ROW, o


@njit(cache=True, nogil=True, forceinline=True)
def _put_value(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write a value that is not null; return the new place in the buffer, or -1 for one of another type."""
    kind = layout[column + _KIND]
    if kind == _CHAR:
        return _put_narrow(source, p, length, made, o, layout, column)
    if kind == _WIDE:
        return _put_wide(source, p, length, made, o, layout, column)
    if layout[column + _ARRAY]:
        return _put_array(source, p, length, made, o, layout, column)
    if length != layout[column + _SENT]:
        return -1
    return _put_element(source, p, made, o, kind, layout[column + _WIDTH])


@njit(cache=True, nogil=True, forceinline=True)
def _put_element(source: Pointer, p: int, made: Pointer, o: int, kind: int, width: int) -> int:
    if kind == _LOGICAL:
        made[o] = 84 if source[p] else 70  # T, F
    elif kind == _BYTE:
        made[o] = source[p + 1] if source[p] == 0 else 0
    elif width == 8:
        for i in range(8):  # a constant count becomes one load and one store
            made[o + i] = source[p + i]
    else:
        for i in range(width):
            made[o + i] = source[p + i]
    return o + width


@njit(cache=True, nogil=True, forceinline=True)
def _put_null(made: Pointer, o: int, layout: Pointer, column: int) -> int:
    if layout[column + _ARRAY] and layout[column + _VARIABLE]:
        return _put_int32(made, o, 0)
    if not layout[column + _ARRAY]:
        return _put_fillers(made, o, layout, column, 1)
    return _put_fillers(made, o, layout, column, layout[column + _BOUND])


@njit(cache=True, nogil=True, forceinline=True)
def _put_fillers(made: Pointer, o: int, layout: Pointer, column: int, count: int) -> int:
    """Write elements that stand for no value: NaN, an unknown truth value, or zeros."""
    kind, width = layout[column + _KIND], layout[column + _WIDTH]
    filler = _QUESTION if kind == _LOGICAL else 0
    for i in range(o, o + count * width):
        made[i] = filler
    if kind == _REAL:
        for i in range(count):
            made[o + i * width] = 0x7F
            made[o + i * width + 1] = 0xF8 if width == 8 else 0xC0
    return o + count * width


@njit(cache=True, nogil=True, forceinline=True)
def _put_array(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write a one-dimensional array: number of dimensions, flag, type; length and lower bound; elements."""
    if length < 12:
        return -1
    dimensions = _int32(source, p)
    if dimensions > 1 or length < 12 + 8 * dimensions:
        return -1
    count = min(_int32(source, p + 12), layout[column + _BOUND]) if dimensions else 0
    end = p + length
    p += 12 + 8 * dimensions
    if layout[column + _VARIABLE]:
        o = _put_int32(made, o, count)
    for _ in range(count):
        size = _int32(source, p) if end - p >= 4 else 0
        p += 4
        if size < 0:
            o = _put_fillers(made, o, layout, column, 1)
        elif size != layout[column + _SENT] or size > end - p:
            return -1
        else:
            o = _put_element(source, p, made, o, layout[column + _KIND], layout[column + _WIDTH])
            p += size
    return (
        o
        if layout[column + _VARIABLE]
        else _put_fillers(made, o, layout, column, layout[column + _BOUND] - count)
    )


@njit(cache=True, nogil=True, forceinline=True)
def _put_narrow(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write text as one byte a character."""
    begin = o + 4 if layout[column + _VARIABLE] else o
    count = min(length, layout[column + _BOUND])
    high = np.uint8(0)
    for i in range(count):
        made[begin + i] = source[p + i]
        high |= source[p + i]
    if high >= 128:
        count = _put_ascii(source, p, p + length, made, begin, layout[column + _BOUND])
    if layout[column + _VARIABLE]:
        _put_int32(made, o, count)
        return begin + count
    return _put_fillers(made, begin + count, layout, column, layout[column + _BOUND] - count)


@njit(cache=True, nogil=True, forceinline=True)
def _put_ascii(source: Pointer, p: int, end: int, made: Pointer, o: int, bound: int) -> int:
    count = 0
    for i in range(p, end):
        if source[i] & 0xC0 == 0x80:  # a continuation: its character has been counted
            continue
        if count == bound:
            break
        made[o + count] = source[i] if source[i] < 128 else _QUESTION
        count += 1
    return count


@njit(cache=True, nogil=True, forceinline=True)
def _put_wide(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write text as UCS-2, big-endian."""
    begin = o + 4 if layout[column + _VARIABLE] else o
    end = p + length
    count = 0
    while p < end and count < layout[column + _BOUND]:
        unit, p = _character(source, p, end)
        made[begin + 2 * count] = unit >> 8
        made[begin + 2 * count + 1] = unit & 0xFF
        count += 1
    if layout[column + _VARIABLE]:
        _put_int32(made, o, count)
        return begin + 2 * count
    return _put_fillers(made, begin + 2 * count, layout, column, layout[column + _BOUND] - count)


@njit(cache=True, nogil=True, forceinline=True)
def _character(source: Pointer, p: int, end: int) -> tuple[int, int]:
    """Return the character at a place in UTF-8 text, as far as UCS-2 has it, and the place of the next."""
    lead = int(source[p])
    if lead < 0x80:
        return lead, p + 1
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if size == 4 or p + size > end:
        return _UNSENDABLE, min(p + size, end)
    code = lead & (0xFF >> (size + 1))
    for i in range(1, size):
        code = (code << 6) | (int(source[p + i]) & 0x3F)
    return code, p + size


@njit(cache=True, nogil=True, forceinline=True)
def _is_unbyte(source: Pointer, p: int, length: int, layout: Pointer, column: int) -> bool:
    """Whether a smallint does not fit into an unsignedByte."""
    return layout[column + _KIND] == _BYTE and not layout[column + _ARRAY] and length == 2 and source[p] != 0


@njit(cache=True, nogil=True, forceinline=True)
def _int32(source: Pointer, p: int) -> int:
    high = (np.uint32(source[p]) << 24) | (np.uint32(source[p + 1]) << 16)
    return int(np.int32(high | (np.uint32(source[p + 2]) << 8) | np.uint32(source[p + 3])))


@njit(cache=True, nogil=True, forceinline=True)
def _put_int32(made: Pointer, o: int, value: int) -> int:
    for i in range(4):
        made[o + i] = (value >> (24 - 8 * i)) & 0xFF
    return o + 4
