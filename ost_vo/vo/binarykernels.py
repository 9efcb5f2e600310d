"""Compiled kernels that read PostgreSQL's binary COPY stream, a whole chunk at a time.

PostgreSQL, VOTable and FITS are all big-endian, so most values only lose or keep their length word.

All kernels are in this module because numba notices changes of the module of a kernel only, not of those that
it takes functions from.

Source: PostgreSQL 15, COPY, "Binary Format"; the array format is that of PostgreSQL's ``array_send``; VOTable
1.4 section 5.3 and 5.4 (BINARY, BINARY2); FITS 4.0 section 7.3.3 and 7.3.5 (data and heap of BINTABLE).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ost_vo.vo.encoder import UNBOUNDED
from ost_vo.vo.pointers import Pointer, pointer

# Kinds of element, and what a kernel call ended with.
NUMBER, REAL, LOGICAL, BYTE, CHAR, WIDE, BIT = range(7)
ROW, MORE, END, FULL, MISMATCH = range(5)

# The fields of one row of the layout that the kernels read: the kind of element, its bytes as written (for a
# bit those of a scalar) and as sent, whether the value is an array, of variable length, of how many elements
# at most, the bytes of a null, the first two bytes of an element that stands for none, whether an array is
# written behind the table, and how many elements the number in front of an array counts as one.
KIND, WIDTH, SENT, ARRAY, VARIABLE, BOUND, NULL, FIRST, SECOND, HEAP, PARTS = range(11)
FIELDS = 11

_UNSENDABLE = 0xFFFD
_QUESTION = ord("?")


def warm() -> None:
    """Compile the kernels, or load them from numba's cache, so that no request waits for it (seconds)."""
    source, made = np.frombuffer(b"\xff\xff", np.uint8), np.empty(16, np.uint8)
    layout, sizes = np.zeros((1, FIELDS), np.int64), np.zeros(1, np.int64)
    transcode(source, made, layout, 0, True, 0)
    scan(source, layout, sizes, 0)
    write_heap(source[:0], made, layout)
    places = np.zeros((1, 0), np.int64)
    index(source[:0], places, places)
    count_elements(source[:0], places[0], places[0], sizes)
    index_elements(source[:0], places[0], sizes, places[0], places[0])
    gather(source[:0], places[0], places[0], 8, made)
    gather_texts(source[:0], places[0], places[0], made)


@njit(cache=True, nogil=True)
def transcode(
    source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int, masked: bool, heap: int
) -> tuple[int, int, int, int, int, int]:
    """Write the rows at the beginning of the source.

    Args:
        source: bytes of the COPY stream, from the beginning of a row.
        made: buffer for the rows.
        layout: one row of numbers a column.
        most: the most rows to write.
        masked: whether each row begins with a mask of its nulls.
        heap: bytes that arrays take behind the table already.

    Returns:
        Bytes read, bytes written, rows written, why it stopped, the column of a mismatch (else -1), and the
        bytes that arrays take behind the table now.
    """
    used = size = rows = 0
    status, column = ROW, -FIELDS
    stream, rewritten, fields = pointer(source), pointer(made), pointer(layout)
    ends = source.size, made.size, layout.size
    while rows < most:
        status, p, o, column, behind = _put_row(stream, used, rewritten, size, fields, ends, masked, heap)
        if status != ROW:
            break
        used, size, heap = p, o, behind
        rows += 1
    return used, size, rows, status, column // FIELDS, heap


@njit(cache=True, nogil=True)
def scan(source: np.ndarray, layout: np.ndarray, sizes: np.ndarray, most: int) -> tuple[int, int, int, int]:
    """Measure the rows at the beginning of the source.

    Args:
        source, layout, most: as for :func:`transcode`.
        sizes: for each column; gets the most characters of a text, and has the number of elements of arrays
            added.

    Returns:
        Bytes read, rows, why it stopped, and the column of a mismatch (else -1).
    """
    used = rows = 0
    stream, fields, found = pointer(source), pointer(layout), pointer(sizes)
    while rows < most:
        status, end = _row_end(stream, used, source.size, layout.size // FIELDS)
        if status != ROW:
            return used, rows, status, -1
        p = used + 2
        for column in range(0, layout.size, FIELDS):
            _, p, length = _begin_value(stream, p, end)
            size = _size(stream, p, length, fields, column)
            if size < 0:
                return used, rows, MISMATCH, column // FIELDS
            i = column // FIELDS
            is_text = fields[column + KIND] in (CHAR, WIDE)
            found[i] = max(found[i], size) if is_text else found[i] + size
            p += max(length, 0)
        used = end
        rows += 1
    return used, rows, ROW, -1


@njit(cache=True, nogil=True)
def index(source: np.ndarray, places: np.ndarray, lengths: np.ndarray) -> None:
    """Find the values of whole rows.

    Args:
        source: as for :func:`transcode`.
        places, lengths: for each column and row; get the place of the value and its length (bytes), which is
            negative for a null.
    """
    p = 0
    stream = pointer(source)
    for row in range(places.shape[1]):
        p += 2
        for column in range(places.shape[0]):
            _, p, length = _begin_value(stream, p, source.size)
            places[column, row] = p
            lengths[column, row] = length
            p += max(length, 0)


@njit(cache=True, nogil=True)
def index_elements(
    source: np.ndarray, arrays: np.ndarray, offsets: np.ndarray, places: np.ndarray, lengths: np.ndarray
) -> None:
    """Find the elements of arrays.

    Args:
        source: as for :func:`transcode`.
        arrays: the places of the arrays.
        offsets: how many elements go before each array; one more says how many there are.
        places, lengths: for each element; get its place and its length (bytes).
    """
    stream = pointer(source)
    for i in range(arrays.size):
        p = arrays[i] + 20
        for element in range(offsets[i], offsets[i + 1]):
            length = _int32(stream, p)
            places[element] = p + 4
            lengths[element] = length
            p += 4 + max(length, 0)


@njit(cache=True, nogil=True)
def count_elements(source: np.ndarray, places: np.ndarray, lengths: np.ndarray, counts: np.ndarray) -> bool:
    """Find the numbers of elements of arrays; a null has none. Return whether all of them are arrays."""
    stream = pointer(source)
    for i in range(places.size):
        counts[i] = _count(stream, places[i], lengths[i], UNBOUNDED) if lengths[i] >= 0 else 0
        if counts[i] < 0:
            return False
    return True


@njit(cache=True, nogil=True)
def gather(source: np.ndarray, places: np.ndarray, lengths: np.ndarray, width: int, made: np.ndarray) -> bool:
    """Write values of a fixed width one after the other, little-endian; a null is zero.

    Returns:
        Whether all values have that width.
    """
    stream, written = pointer(source), pointer(made)
    for i in range(places.size):
        if lengths[i] >= 0 and lengths[i] != width:
            return False
        for byte in range(width):
            written[i * width + byte] = stream[places[i] + width - 1 - byte] if lengths[i] >= 0 else 0
    return True


@njit(cache=True, nogil=True)
def gather_texts(source: np.ndarray, places: np.ndarray, lengths: np.ndarray, made: np.ndarray) -> None:
    """Write texts one after the other."""
    o = 0
    stream, written = pointer(source), pointer(made)
    for i in range(places.size):
        for byte in range(lengths[i]):
            written[o + byte] = stream[places[i] + byte]
        o += max(lengths[i], 0)


@njit(cache=True, nogil=True)
def write_heap(source: np.ndarray, made: np.ndarray, layout: np.ndarray) -> tuple[int, int]:
    """Write the arrays of whole rows that go behind the table.

    Args:
        source, layout: as for :func:`transcode`.
        made: buffer for the arrays, large enough.

    Returns:
        Bytes written, and the column of a mismatch (else -1).
    """
    p = o = 0
    stream, written, fields = pointer(source), pointer(made), pointer(layout)
    while p < source.size:
        p += 2
        for column in range(0, layout.size, FIELDS):
            _, p, length = _begin_value(stream, p, source.size)
            if fields[column + HEAP] and length >= 0:
                o = _put_elements(stream, p, length, written, o, fields, column)
                if o < 0:
                    return 0, column // FIELDS
            p += max(length, 0)
    return o, -1


@njit(cache=True, nogil=True, forceinline=True)
def _put_row(
    source: Pointer,
    p: int,
    made: Pointer,
    o: int,
    layout: Pointer,
    ends: tuple[int, int, int],
    masked: bool,
    heap: int,
) -> tuple[int, int, int, int, int]:
    """Write one row.

    Returns:
        How it ended, the new places in source and buffer, the column of a mismatch, the new end of the heap.
    """
    end, room, fields = ends
    mask = o
    status, p = _begin_row(source, p, end, fields // FIELDS)
    if status == ROW and masked:
        status, o = _put_mask(made, o, room, fields // FIELDS)
    if status != ROW:
        return status, p, o, -FIELDS, heap
    for column in range(0, fields, FIELDS):
        status, p, length = _begin_value(source, p, end)
        if status != ROW:
            return status, p, o, column, heap
        if room - o < 16 + layout[column + NULL] + 2 * max(length, 0):
            return FULL, p, o, column, heap
        if length < 0 or _is_unbyte(source, p, length, layout, column):
            if masked:
                flag = column // FIELDS
                made[mask + (flag >> 3)] |= np.uint8(128 >> (flag & 7))
            o = _put_null(made, o, layout, column, heap)
        elif layout[column + HEAP]:
            o, heap = _put_descriptor(source, p, length, made, o, layout, column, heap)
        else:
            o = _put_value(source, p, length, made, o, layout, column)
        if o < 0:
            return MISMATCH, p, o, column, heap
        p += max(length, 0)
    return ROW, p, o, -FIELDS, heap


@njit(cache=True, nogil=True, forceinline=True)
def _begin_row(source: Pointer, p: int, end: int, columns: int) -> tuple[int, int]:
    """Check the number of fields; return how it went and the place of the first."""
    if end - p < 2:
        return MORE, p
    fields = np.int16((np.uint16(source[p]) << 8) | np.uint16(source[p + 1]))
    if fields == -1:
        return END, p
    return (ROW, p + 2) if fields == columns else (MISMATCH, p)


@njit(cache=True, nogil=True, forceinline=True)
def _row_end(source: Pointer, p: int, end: int, columns: int) -> tuple[int, int]:
    """Return whether a whole row is there, and where it ends."""
    status, p = _begin_row(source, p, end, columns)
    for _ in range(columns):
        if status != ROW:
            return status, p
        status, p, length = _begin_value(source, p, end)
        p += max(length, 0)
    return status, p


@njit(cache=True, nogil=True, forceinline=True)
def _begin_value(source: Pointer, p: int, end: int) -> tuple[int, int, int]:
    """Return whether a whole value is there, its place, and its length, which is negative for a null."""
    if end - p < 4:
        return MORE, p, 0
    length = _int32(source, p)
    return (ROW if end - p - 4 >= length else MORE), p + 4, length


@njit(cache=True, nogil=True, forceinline=True)
def _put_mask(made: Pointer, o: int, room: int, columns: int) -> tuple[int, int]:
    """Write a mask without nulls; return whether there was room, and the new place."""
    first = o + (columns + 7) // 8
    if room < first:
        return FULL, o
    while o < first:
        made[o] = 0
        o += 1
    return ROW, o


@njit(cache=True, nogil=True, forceinline=True)
def _size(source: Pointer, p: int, length: int, layout: Pointer, column: int) -> int:
    """Return the number of characters or elements of a value, or -1 for one of another type."""
    kind = layout[column + KIND]
    if length < 0:
        return 0
    if kind in (CHAR, WIDE):
        count = 0
        for i in range(p, p + length):
            count += source[i] & 0xC0 != 0x80
        return count
    if layout[column + ARRAY]:
        return _count(source, p, length, layout[column + BOUND])
    return 1 if length == layout[column + SENT] else -1


@njit(cache=True, nogil=True, forceinline=True)
def _count(source: Pointer, p: int, length: int, bound: int) -> int:
    """Return the number of elements of an array of one dimension at most, or -1 where it is none."""
    dimensions = _int32(source, p) if length >= 12 else 2
    if dimensions > 1 or length < 12 + 8 * dimensions:
        return -1
    return min(_int32(source, p + 12), bound) if dimensions else 0


@njit(cache=True, nogil=True, forceinline=True)
def _put_descriptor(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int, heap: int
) -> tuple[int, int]:
    """Write what stands in the table for an array behind it; return the new place and the heap's new end."""
    count = _count(source, p, length, layout[column + BOUND])
    if count < 0:
        return -1, heap
    _put_int64(made, o, count // layout[column + PARTS])
    return _put_int64(made, o + 8, heap), heap + count * layout[column + WIDTH]


@njit(cache=True, nogil=True, forceinline=True)
def _put_value(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write a value that is not null; return the new place in the buffer, or -1 for one of another type."""
    kind = layout[column + KIND]
    if kind == CHAR:
        return _put_narrow(source, p, length, made, o, layout, column)
    if kind == WIDE:
        return _put_wide(source, p, length, made, o, layout, column)
    if layout[column + ARRAY]:
        return _put_array(source, p, length, made, o, layout, column)
    if length != layout[column + SENT]:
        return -1
    return _put_element(source, p, made, o, kind, layout[column + WIDTH])


@njit(cache=True, nogil=True, forceinline=True)
def _put_element(source: Pointer, p: int, made: Pointer, o: int, kind: int, width: int) -> int:
    if kind == LOGICAL:
        made[o] = 84 if source[p] else 70  # T, F
    elif kind == BYTE:
        made[o] = source[p + 1] if source[p] == 0 else 0
    elif kind == BIT:
        made[o] = 128 if source[p + 1] else 0
    elif width == 8:
        for i in range(8):  # a constant count becomes one load and one store
            made[o + i] = source[p + i]
    else:
        for i in range(width):
            made[o + i] = source[p + i]
    return o + width


@njit(cache=True, nogil=True, forceinline=True)
def _put_null(made: Pointer, o: int, layout: Pointer, column: int, heap: int) -> int:
    if layout[column + HEAP]:
        return _put_int64(made, _put_int64(made, o, 0), heap)
    if layout[column + ARRAY] and layout[column + VARIABLE]:
        return _put_int32(made, o, 0)
    return _put_fillers(made, o, layout, column, layout[column + NULL] // layout[column + WIDTH])


@njit(cache=True, nogil=True, forceinline=True)
def _put_fillers(made: Pointer, o: int, layout: Pointer, column: int, count: int) -> int:
    """Write elements that stand for no value."""
    width, first, second = layout[column + WIDTH], layout[column + FIRST], layout[column + SECOND]
    for i in range(o, o + count * width):
        made[i] = 0
    if first or second:
        for i in range(count):
            made[o + i * width] = first
            if width > 1:
                made[o + i * width + 1] = second
    return o + count * width


@njit(cache=True, nogil=True, forceinline=True)
def _put_array(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write an array with its number of elements, or filled up to it; return the new place, or -1."""
    count = _count(source, p, length, layout[column + BOUND])
    if count < 0:
        return -1
    if layout[column + KIND] == BIT:
        return _put_bits(source, p, length, made, o, layout, column)
    if layout[column + VARIABLE]:
        o = _put_int32(made, o, count // layout[column + PARTS])
        return _put_elements(source, p, length, made, o, layout, column)
    o = _put_elements(source, p, length, made, o, layout, column)
    return o if o < 0 else _put_fillers(made, o, layout, column, layout[column + BOUND] - count)


@njit(cache=True, nogil=True, forceinline=True)
def _put_bits(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write an array of bits, the first one in front (VOTable 1.4 section 6); one that is null is 0."""
    count = bits = _count(source, p, length, layout[column + BOUND])
    if layout[column + VARIABLE]:
        o = _put_int32(made, o, count)
    else:
        bits = layout[column + BOUND]
    after = o + ((bits + 7) >> 3)
    for i in range(o, after):
        made[i] = 0
    p += 20
    for i in range(count):
        size = _int32(source, p)
        if size >= 0 and size != layout[column + SENT]:
            return -1
        if size > 0 and source[p + 5]:
            made[o + (i >> 3)] |= np.uint8(128 >> (i & 7))
        p += 4 + max(size, 0)
    return after


@njit(cache=True, nogil=True, forceinline=True)
def _put_elements(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write the elements of an array; before them come dimensions, flag, type, and length and lower bound."""
    count = _count(source, p, length, layout[column + BOUND])
    end = p + length
    p += 20
    for _ in range(count):
        size = _int32(source, p) if end - p >= 4 else 0
        p += 4
        if size < 0:
            o = _put_fillers(made, o, layout, column, 1)
        elif size != layout[column + SENT] or size > end - p:
            return -1
        else:
            o = _put_element(source, p, made, o, layout[column + KIND], layout[column + WIDTH])
            p += size
    return o


@njit(cache=True, nogil=True, forceinline=True)
def _put_narrow(
    source: Pointer, p: int, length: int, made: Pointer, o: int, layout: Pointer, column: int
) -> int:
    """Write text as one byte a character."""
    begin = o + 4 if layout[column + VARIABLE] else o
    count = min(length, layout[column + BOUND])
    high = np.uint8(0)
    for i in range(count):
        made[begin + i] = source[p + i]
        high |= source[p + i]
    if high >= 128:
        count = _put_ascii(source, p, p + length, made, begin, layout[column + BOUND])
    if layout[column + VARIABLE]:
        _put_int32(made, o, count)
        return begin + count
    return _put_fillers(made, begin + count, layout, column, layout[column + BOUND] - count)


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
    begin = o + 4 if layout[column + VARIABLE] else o
    end = p + length
    count = 0
    while p < end and count < layout[column + BOUND]:
        unit, p = _character(source, p, end)
        made[begin + 2 * count] = unit >> 8
        made[begin + 2 * count + 1] = unit & 0xFF
        count += 1
    if layout[column + VARIABLE]:
        _put_int32(made, o, count)
        return begin + 2 * count
    return _put_fillers(made, begin + 2 * count, layout, column, layout[column + BOUND] - count)


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
    return layout[column + KIND] == BYTE and not layout[column + ARRAY] and length == 2 and source[p] != 0


@njit(cache=True, nogil=True, forceinline=True)
def _int32(source: Pointer, p: int) -> int:
    high = (np.uint32(source[p]) << 24) | (np.uint32(source[p + 1]) << 16)
    return int(np.int32(high | (np.uint32(source[p + 2]) << 8) | np.uint32(source[p + 3])))


@njit(cache=True, nogil=True, forceinline=True)
def _put_int32(made: Pointer, o: int, value: int) -> int:
    for i in range(4):
        made[o + i] = (value >> (24 - 8 * i)) & 0xFF
    return o + 4


@njit(cache=True, nogil=True, forceinline=True)
def _put_int64(made: Pointer, o: int, value: int) -> int:
    for i in range(8):
        made[o + i] = (value >> (56 - 8 * i)) & 0xFF
    return o + 8
