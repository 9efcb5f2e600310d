"""The rows of a VOTable's BINARY or BINARY2 as a COPY stream for PostgreSQL, in its binary format.

Both are big-endian: a compiled kernel adds the lengths, and takes the null flags away. One chunk is held at a
time.

Source: VOTable 1.4 sections 5.3 and 5.4; PostgreSQL 15, COPY, "Binary Format".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.parsers import expat

import numpy as np
import pybase64
from numba import njit

from ost_vo.faults import UsageFault
from ost_vo.vo import votable
from ost_vo.vo.columns import STRINGS
from ost_vo.vo.uploads import Field, Head, local, not_well_formed

COPY_OPTIONS = "FORMAT binary, ENCODING 'UTF8'"

# Bytes of the document that are decoded at a time, and the most that one row may have.
_CHUNK = 256 * 1024
_ROW_BYTES = 16 * 2**20
_ELEMENTS_AT_MOST = 2**24

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

# Kinds of element, and what a kernel call ended with.
_NUMBER, _REAL, _LOGICAL, _BYTE, _BIT, _CHAR, _WIDE = range(7)
_MORE, _FULL, _BAD = range(3)
# Datatype to (kind, bytes in the document of an element of the stored column).
_ELEMENTS = {
    "boolean": (_LOGICAL, 1),
    "bit": (_BIT, 1),
    "unsignedByte": (_BYTE, 1),
    "short": (_NUMBER, 2),
    "int": (_NUMBER, 4),
    "long": (_NUMBER, 8),
    "float": (_REAL, 4),
    "double": (_REAL, 8),
    "floatComplex": (_REAL, 4),
    "doubleComplex": (_REAL, 8),
    "char": (_CHAR, 1),
    "unicodeChar": (_WIDE, 2),
}
# pg_type's numbers of the types of array elements.
_OIDS = {
    "boolean": 16,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "real": 700,
    "double precision": 701,
}
# The fields of one row of the layout that the kernel reads.
_KIND, _WIDTH, _ARRAY, _COUNT, _FACTOR, _OID, _HAS_NULL, _NULL, _SIDE = range(9)
_VARIABLE = -1


def batches(file: BinaryIO, head: Head, name: str) -> Iterator[bytes]:
    """Return the rows of the first BINARY or BINARY2 as pieces of a COPY stream.

    Args:
        file: the document, from its beginning.
        head: what :func:`ost_vo.vo.uploads.read_head` has found in it.
        name: of the table, for messages.

    Raises:
        UsageFault: while iterating: the document breaks off, or a row is not as the FIELDs say.
    """
    layout = np.array([_layout(item) for item in head.fields], np.int64)
    masked = head.serialisation == "BINARY2"
    made = np.empty(2 * _CHUNK, np.uint8)
    rest, count = b"", 0
    yield _HEADER
    for piece in _decoded(file, name):
        data = rest + piece
        source, used, status = np.frombuffer(data, np.uint8), 0, _FULL
        while status == _FULL:
            step, size, rows, status = transcode(source[used:], made, layout, masked)
            used += step
            count += rows
            if size:
                yield made[:size].tobytes()
            if status == _FULL and not rows:
                made = np.empty(2 * made.size, np.uint8)
        rest = data[used:]
        if status == _BAD or len(rest) > _ROW_BYTES:
            raise UsageFault(
                f"Row {count + 1} of the table {name} has an array of an impossible length, or is "
                f"larger than {_ROW_BYTES // 2**20} MB.",
                f"Check that the FIELDs describe the {head.serialisation} stream.",
            )
    if rest:
        raise UsageFault(
            f"The stream of the table {name} ends within row {count + 1}.",
            f"Check that the FIELDs describe the {head.serialisation} stream, and that it is complete.",
        )
    yield _TRAILER


def _layout(item: Field) -> tuple[int, ...]:
    kind, width = _ELEMENTS[item.datatype]
    factor = 2 if item.datatype.endswith("Complex") else 1
    count = _VARIABLE if item.elements is None else item.elements
    oid = _OIDS.get(item.column.sql_type.removesuffix("[]"), 0)
    null = _integer(item.null) if kind in (_NUMBER, _BYTE) else None
    return kind, width, item.is_array, count, factor, oid, null is not None, null or 0, _side(item)


def _side(item: Field) -> int:
    """Return the length of one string in an array of strings, else 0."""
    sides = votable.shape(item.column).sides if item.datatype in STRINGS else ()
    return math.prod(sides) if sides else 0


def _integer(text: str | None) -> int | None:
    """Return a null value of integers, None where it is none that a column can hold."""
    if text is None or not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


def _decoded(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the bytes of the first STREAM."""
    reader = _StreamReader(name)
    carry = ""
    while not reader.done and (chunk := file.read(_CHUNK)):
        reader.parse(chunk)
        text = carry + "".join("".join(reader.taken()).split())
        whole = len(text) // 4 * 4
        carry = text[whole:]
        try:
            yield pybase64.b64decode(text[:whole], validate=True)
        except ValueError:
            raise UsageFault(
                f"The STREAM of the table {name} is not base64.", "Check the encoding."
            ) from None
    if carry:
        raise UsageFault(
            f"The STREAM of the table {name} ends within a group of base64.", "Check that it is complete."
        )
    if not reader.done:
        reader.parse(b"")


class _StreamReader:
    """Collects the text of the first STREAM of a document."""

    def __init__(self, name: str) -> None:
        self.done = False
        self._name = name
        self._parts: list[str] = []
        self._parser: Any = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.buffer_size = _CHUNK
        self._parser.StartElementHandler = self._start

    def parse(self, chunk: bytes) -> None:
        """Read on; an empty chunk ends the document."""
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            if not self.done:
                raise not_well_formed(self._name, error) from None

    def taken(self) -> list[str]:
        """Return the text that has come since the last call."""
        parts, self._parts = self._parts, []
        return parts

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if local(tag) != "STREAM" or self.done:
            return
        if attributes.get("href") or attributes.get("encoding", "").lower() != "base64":
            raise UsageFault(
                f"The STREAM of the table {self._name} is not base64 within the document.",
                'Write <STREAM encoding="base64"> and the rows in it.',
            )
        self._parser.CharacterDataHandler = self._parts_append
        self._parser.EndElementHandler = self._end

    def _parts_append(self, text: str) -> None:
        self._parts.append(text)

    def _end(self, tag: str) -> None:
        if local(tag) == "STREAM":
            self.done = True
            self._parser.CharacterDataHandler = None


def warm() -> None:
    """Compile the kernel, or load it from numba's cache, so that no request waits for it (seconds)."""
    made = np.empty(64, np.uint8)
    transcode(np.frombuffer(b"", np.uint8), made, np.zeros((1, 9), np.int64), True)


@njit(cache=True, nogil=True)
def transcode(
    source: np.ndarray, made: np.ndarray, layout: np.ndarray, masked: bool
) -> tuple[int, int, int, int]:
    """Write the rows at the beginning of a BINARY or BINARY2 stream in COPY's binary format.

    Args:
        source: bytes of the stream, from the beginning of a row.
        made: buffer for the rows.
        layout: one row of numbers a column.
        masked: whether rows begin with null flags, as in BINARY2.

    Returns:
        Bytes read, bytes written, rows written, and why it stopped.
    """
    used = size = rows = 0
    columns = layout.shape[0]
    while used < source.size:
        status, p, o = _put_row(source, used, made, size, layout, columns, masked)
        if status >= 0:
            return used, size, rows, status
        used, size, rows = p, o, rows + 1
    return used, size, rows, _MORE


@njit(cache=True, nogil=True)
def _put_row(
    source: np.ndarray, p: int, made: np.ndarray, o: int, layout: np.ndarray, columns: int, masked: bool
) -> tuple[int, int, int]:
    """Write one row; return why it could not (-1 if it could) and the new places in source and buffer."""
    mask = p
    if masked:
        p += (columns + 7) >> 3
    if p > source.size:
        return _MORE, p, o
    if made.size - o < 2:
        return _FULL, p, o
    made[o] = columns >> 8
    made[o + 1] = columns & 0xFF
    o += 2
    for column in range(columns):
        kind, count = layout[column, _KIND], layout[column, _COUNT]
        if count < 0:
            if source.size - p < 4:
                return _MORE, p, o
            count = _int32(source, p) * layout[column, _FACTOR]
            p += 4
            if count < 0 or count > _ELEMENTS_AT_MOST:
                return _BAD, p, o
        length = (count + 7) >> 3 if kind == _BIT else count * layout[column, _WIDTH]
        if source.size - p < length:
            return _MORE, p, o
        if made.size - o < 32 + count * (12 if kind < _CHAR else 3):
            return _FULL, p, o
        if masked and source[mask + (column >> 3)] & (128 >> (column & 7)):
            o = _put_int32(made, o, -1)
        else:
            o = _put_value(source, p, count, made, o, layout[column])
        p += length
    return -1, p, o


@njit(cache=True, nogil=True)
def _put_value(source: np.ndarray, p: int, count: int, made: np.ndarray, o: int, field: np.ndarray) -> int:
    """Write the length of a value and the value; return the new place in the buffer."""
    kind, width = field[_KIND], field[_WIDTH]
    if kind == _CHAR:
        return _put_narrow(source, p, count, made, o, field[_SIDE])
    if kind == _WIDE:
        return _put_wide(source, p, count, made, o, field[_SIDE])
    if field[_ARRAY]:
        return _put_array(source, p, count, made, o, field)
    if _is_null(source, p, kind, width) or (field[_HAS_NULL] and _value(source, p, width) == field[_NULL]):
        return _put_int32(made, o, -1)
    if kind == _BIT:  # astropy sets another bit of the byte than the first
        o = _put_int32(made, o, 2)
        made[o], made[o + 1] = 0, source[p] != 0
        return o + 2
    return _put_element(source, p, 0, made, o, kind, width)


@njit(cache=True, nogil=True)
def _put_element(source: np.ndarray, p: int, i: int, made: np.ndarray, o: int, kind: int, width: int) -> int:
    """Write the i-th element from a place on, with its length in front."""
    if kind in (_NUMBER, _REAL):
        o = _put_int32(made, o, width)
        p += i * width
        for k in range(width):
            made[o + k] = source[p + k]
        return o + width
    if kind in (_BYTE, _BIT):
        o = _put_int32(made, o, 2)
        made[o] = 0
        made[o + 1] = source[p + i] if kind == _BYTE else (source[p + (i >> 3)] >> (7 - (i & 7))) & 1
        return o + 2
    if kind == _LOGICAL and _is_null(source, p + i, kind, 1):
        return _put_int32(made, o, -1)
    o = _put_int32(made, o, 1)
    made[o] = source[p + i] in (84, 116, 49)  # T, t, 1
    return o + 1


@njit(cache=True, nogil=True)
def _put_array(source: np.ndarray, p: int, count: int, made: np.ndarray, o: int, field: np.ndarray) -> int:
    """Write an array: number of dimensions, flag of nulls, type; length and lower bound; elements."""
    begin = o
    o = _put_int32(made, o + 4, 1 if count else 0)
    o = _put_int32(made, o, 1 if field[_KIND] == _LOGICAL else 0)
    o = _put_int32(made, o, field[_OID])
    if count:
        o = _put_int32(made, o, count)
        o = _put_int32(made, o, 1)
    for i in range(count):
        o = _put_element(source, p, i, made, o, field[_KIND], field[_WIDTH])
    _put_int32(made, begin, o - begin - 4)
    return o


@njit(cache=True, nogil=True)
def _is_null(source: np.ndarray, p: int, kind: int, width: int) -> bool:
    """Tell whether a scalar is NaN, or a truth value that nobody knows."""
    if kind == _LOGICAL:
        return source[p] in (63, 32, 0)  # ?, blank, NUL
    if kind != _REAL:
        return False
    rest = 0
    for k in range(2, width):
        rest |= source[p + k]
    if width == 4:
        return source[p] & 0x7F == 0x7F and source[p + 1] >= 0x80 and (source[p + 1] & 0x7F) + rest > 0
    return source[p] & 0x7F == 0x7F and source[p + 1] >= 0xF0 and (source[p + 1] & 0x0F) + rest > 0


@njit(cache=True, nogil=True)
def _value(source: np.ndarray, p: int, width: int) -> int:
    """Return an integer; unsignedByte is the only one of one byte."""
    value: Any = np.int64(source[p])
    if width > 1 and value >= 128:
        value -= 256
    for k in range(1, width):
        value = (value << 8) | np.int64(source[p + k])
    return value


@njit(cache=True, nogil=True)
def _put_narrow(source: np.ndarray, p: int, count: int, made: np.ndarray, o: int, side: int) -> int:
    """Write text of one byte a character, which ends at the first NUL (VOTable 1.4 section 6).

    Of an array of strings of some length (side), blanks fill up each but the last.
    """
    end = 0
    ended = False
    for i in range(count):
        ended = source[p + i] == 0 or (ended and i % side != 0)
        if ended and side == 0:
            break
        made[o + 4 + i] = 32 if ended else source[p + i]
        end = end if ended else i + 1
    return _put_int32(made, o, end) + end


@njit(cache=True, nogil=True)
def _put_wide(source: np.ndarray, p: int, count: int, made: np.ndarray, o: int, side: int) -> int:
    """Write UTF-16 as UTF-8, at most three bytes for each two; half a pair becomes U+FFFD.

    A NUL ends it, or a string of an array as in ``_put_narrow``.
    """
    begin = o
    end = o = o + 4
    i = 0
    ended = False
    while i < count:
        code = _unit(source, p + 2 * i)
        ended = code == 0 or (ended and i % side != 0)
        i += 1
        if ended and side == 0:
            break
        if ended:
            o = _put_character(made, o, 32)
            continue
        if 0xD800 <= code < 0xE000:
            low = _unit(source, p + 2 * i) if i < count else 0
            if code < 0xDC00 and 0xDC00 <= low < 0xE000:
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                i += 1
            else:
                code = 0xFFFD
        end = o = _put_character(made, o, code)
    _put_int32(made, begin, end - begin - 4)
    return end


@njit(cache=True, nogil=True)
def _put_character(made: np.ndarray, o: int, code: int) -> int:
    if code < 0x80:
        made[o] = code
        return o + 1
    size = 2 if code < 0x800 else 3 if code < 0x10000 else 4
    made[o] = ((0xF00 >> size) & 0xFF) | (code >> (6 * (size - 1)))
    for k in range(1, size):
        made[o + k] = 0x80 | ((code >> (6 * (size - 1 - k))) & 0x3F)
    return o + size


@njit(cache=True, nogil=True)
def _unit(source: np.ndarray, p: int) -> Any:
    return (np.int64(source[p]) << 8) | np.int64(source[p + 1])


@njit(cache=True, nogil=True)
def _int32(source: np.ndarray, p: int) -> int:
    value = (_unit(source, p) << 16) | _unit(source, p + 2)
    return value - 2**32 if value >= 2**31 else value


@njit(cache=True, nogil=True)
def _put_int32(made: np.ndarray, o: int, value: int) -> int:
    for k in range(4):
        made[o + k] = (value >> (24 - 8 * k)) & 0xFF
    return o + 4
