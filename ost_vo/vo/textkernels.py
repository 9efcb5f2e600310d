"""Compiled kernels that rewrite PostgreSQL's text COPY stream, a whole chunk at a time.

In a text COPY stream a raw newline ends a row and a raw tab a field, never anything else: values carry them
as backslash escapes. So rows are counted and cut without regard to their content.

All kernels are in this module because numba notices changes of the module of a kernel only, not of those that
it takes functions from.

Source: PostgreSQL 15, COPY, "Text Format"; VOTable 1.4 section 5.1 and 6 (TABLEDATA, spelling of values); XML
1.0 section 2.2 (legal characters); RFC 4180 (CSV); RFC 8259 (JSON).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ost_vo.vo.encoder import UNBOUNDED
from ost_vo.vo.pointers import Pointer, pointer

# Kinds of value; the last is an integer in an array that a person reads.
INTEGER, REAL, LOGICAL, CHAR, WIDE, SHOWN = range(6)
# The fields of one row of the layout that the kernels read.
KIND, ARRAY, VARIABLE, BOUND = range(4)
FIELDS = 4

# A place in the source and one in the buffer.
Place = tuple[int, int]

# What the bytes of a text value need in TABLEDATA.
_PLAIN, _STOP, _ESCAPE, _AMPERSAND, _LESS, _GREATER, _ILLEGAL, _HIGH = range(8)

_TAB, NEWLINE, _RETURN, _SPACE, _QUOTE, _COMMA = b'\t\n\r ",'
_BACKSLASH, _QUESTION, _OPEN, _CLOSE, _BRACKET, _UNBRACKET = b"\\?{}[]"
_BIG_I, _BIG_N, _MINUS = b"IN-"

# The most bytes of an element that fills up an array, with the space after it.
FILLER = 4

_ROW_BEGIN, _ROW_END = tuple(b"<TR>"), tuple(b"</TR>\n")
_CELL_BEGIN, _CELL_END, _CELL_EMPTY = tuple(b"<TD>"), tuple(b"</TD>"), tuple(b"<TD/>")
_AMP, _LT, _GT, _CR = tuple(b"&amp;"), tuple(b"&lt;"), tuple(b"&gt;"), tuple(b"&#13;")
_NAN, _PLUS_INF, _MINUS_INF = tuple(b"NaN"), tuple(b"+Inf"), tuple(b"-Inf")
_TRUE, _FALSE, _NULL = tuple(b"true"), tuple(b"false"), tuple(b"null")
_REPLACEMENT = tuple("\ufffd".encode())
_NEXT_ROW, _NEXT_VALUE, _UNICODE = tuple(b",\n"), tuple(b", "), tuple(b"\\u00")
_HTML_ROW, _HTML_ROW_END = tuple(b"<tr>"), tuple(b"</tr>\n")
_HTML_CELL, _HTML_NUMBER, _HTML_CELL_END = tuple(b"<td>"), tuple(b'<td class="n">'), tuple(b"</td>")
_LINK, _LINK_TEXT, _LINK_END = tuple(b'<a href="'), tuple(b'">'), tuple(b"</a>")
_HTTP, _COLONS, _ESCAPED_BYTE, _GAP = tuple(b"http"), tuple(b"://"), tuple(b"\\x"), tuple(b"  ")


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


def _letters() -> np.ndarray:
    """Return the letter that stands for a control character after a backslash, in JSON; 0 without one."""
    letters = np.zeros(256, np.uint8)
    letters[list(b'\b\f\n\r\t"\\')] = list(b'bfnrt"\\')
    return letters


_CLASSES = _classes()
_UNESCAPED = _unescaped()
_LETTERS = _letters()
_HEXADECIMAL = np.frombuffer(b"0123456789abcdef", np.uint8)


def warm() -> None:
    """Compile the kernels, or load them from numba's cache, so that no request waits for it (seconds)."""
    source, made, widths = np.frombuffer(b"1\n", np.uint8), np.empty(256, np.uint8), np.ones(1, np.int64)
    fields = np.array([[INTEGER, 0, 0, UNBOUNDED]], np.int64)
    mark_up(source, made, fields, 1)
    delimit(source, made, fields, 1, _COMMA)
    to_json(source, made, fields, 1, True)
    to_html(source, made, fields, 1)
    align(source, made, fields, 1, widths)
    measure(source, made, fields, 1, widths)


@njit(cache=True, nogil=True)
def mark_up(source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int) -> tuple[int, int, int]:
    """Rewrite whole rows of text COPY as TABLEDATA.

    Args:
        source: bytes of the stream, from the beginning of a row to the end of one.
        made: buffer for the result, large enough.
        layout: one row of numbers a column, see :func:`ost_vo.vo.copytext.layout`.
        most: the most rows to write.

    Returns:
        Bytes read (-1 after a row that has not as many values as there are columns), bytes written, rows.
    """
    p = o = rows = 0
    stream, rewritten, fields = pointer(source), pointer(made), pointer(layout)
    last = layout.size - FIELDS
    while p < source.size and rows < most:
        begin = o
        o = _put(rewritten, o, _ROW_BEGIN)
        for column in range(0, layout.size, FIELDS):
            p, o = _put_cell(stream, p, rewritten, o, fields, column)
            if stream[p] != (NEWLINE if column == last else _TAB):
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

    A null is nothing at all, an empty string a pair of quotes. Arguments and result are those of
    :func:`mark_up`, and the byte between values.
    """
    p = o = rows = 0
    stream, rewritten, fields = pointer(source), pointer(made), pointer(layout)
    last = layout.size - FIELDS
    while p < source.size and rows < most:
        begin = o
        for column in range(0, layout.size, FIELDS):
            p, o = _put_delimited(stream, p, rewritten, o, fields, column, delimiter)
            if stream[p] != (NEWLINE if column == last else _TAB):
                return -1, begin, rows
            rewritten[o] = NEWLINE if column == last else delimiter
            o += 1
            p += 1
        rows += 1
    return p, o, rows


@njit(cache=True, nogil=True)
def to_json(
    source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int, first: bool
) -> tuple[int, int, int]:
    """Rewrite whole rows of text COPY as arrays of JSON with commas between them.

    Arguments and result are those of :func:`mark_up`; ``first`` says that no row goes before these.
    """
    p = o = rows = 0
    stream, rewritten, fields = pointer(source), pointer(made), pointer(layout)
    last = layout.size - FIELDS
    while p < source.size and rows < most:
        begin = o
        if rows or not first:
            o = _put(rewritten, o, _NEXT_ROW)
        rewritten[o] = _BRACKET
        o += 1
        for column in range(0, layout.size, FIELDS):
            if column:
                o = _put(rewritten, o, _NEXT_VALUE)
            p, o = _put_json(stream, p, rewritten, o, fields, column)
            if stream[p] != (NEWLINE if column == last else _TAB):
                return -1, begin, rows
            p += 1
        rewritten[o] = _UNBRACKET
        o += 1
        rows += 1
    return p, o, rows


@njit(cache=True, nogil=True)
def to_html(source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int) -> tuple[int, int, int]:
    """Rewrite whole rows of text COPY as rows of an HTML table, as :func:`mark_up` does."""
    p = o = rows = 0
    stream, rewritten, fields = pointer(source), pointer(made), pointer(layout)
    last = layout.size - FIELDS
    while p < source.size and rows < most:
        begin = o
        o = _put(rewritten, o, _HTML_ROW)
        for column in range(0, layout.size, FIELDS):
            p, o = _put_html(stream, p, rewritten, o, fields, column)
            if stream[p] != (NEWLINE if column == last else _TAB):
                return -1, begin, rows
            p += 1
        o = _put(rewritten, o, _HTML_ROW_END)
        rows += 1
    return p, o, rows


@njit(cache=True, nogil=True)
def align(
    source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int, widths: np.ndarray
) -> tuple[int, int, int]:
    """Rewrite whole rows of text COPY as lines of aligned columns, numbers at the right of theirs.

    Arguments and result are those of :func:`mark_up`, and the widths of the columns [characters].
    """
    p = o = rows = 0
    stream, rewritten, fields, wide = pointer(source), pointer(made), pointer(layout), pointer(widths)
    last = layout.size - FIELDS
    while p < source.size and rows < most:
        begin = o
        for column in range(0, layout.size, FIELDS):
            if column:
                o = _put(rewritten, o, _GAP)
            cell = o
            p, o = _put_shown(stream, p, rewritten, o, fields, column)
            o = _justified(rewritten, cell, o, wide[column // FIELDS], fields[column + KIND])
            if stream[p] != (NEWLINE if column == last else _TAB):
                return -1, begin, rows
            p += 1
        while o > begin and rewritten[o - 1] == _SPACE:
            o -= 1
        rewritten[o] = NEWLINE
        o += 1
        rows += 1
    return p, o, rows


@njit(cache=True, nogil=True)
def measure(
    source: np.ndarray, made: np.ndarray, layout: np.ndarray, most: int, widths: np.ndarray
) -> tuple[int, int, int]:
    """Find the widths [characters] of the columns of whole rows, as :func:`align` shows them.

    Arguments and result are those of :func:`align`; widths that are too narrow change, and no row is made.
    """
    p = rows = 0
    stream, rewritten, fields, wide = pointer(source), pointer(made), pointer(layout), pointer(widths)
    last = layout.size - FIELDS
    while p < source.size and rows < most:
        for column in range(0, layout.size, FIELDS):
            p, o = _put_shown(stream, p, rewritten, 0, fields, column)
            wide[column // FIELDS] = max(wide[column // FIELDS], _characters(rewritten, 0, o))
            if stream[p] != (NEWLINE if column == last else _TAB):
                return -1, 0, rows
            p += 1
        rows += 1
    return p, 0, rows


@njit(cache=True, nogil=True, forceinline=True)
def _put_cell(source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int) -> Place:
    if _is_null(source, p):
        return p + 2, _put(made, o, _CELL_EMPTY)
    o = _put(made, o, _CELL_BEGIN)
    kind = layout[column + KIND]
    if kind in (CHAR, WIDE):
        p, o = _put_text(source, p, made, o, kind == WIDE, layout[column + BOUND])
    else:
        p, o = _put_numbers(source, p, made, o, layout, column)
    return p, _put(made, o, _CELL_END)


@njit(cache=True, nogil=True, forceinline=True)
def _put_delimited(
    source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int, delimiter: int
) -> Place:
    if _is_null(source, p):
        return p + 2, o
    if layout[column + KIND] not in (CHAR, WIDE):
        return _put_numbers(source, p, made, o, layout, column)
    q, end = p, o
    while not (source[q] < 32 or source[q] in (_QUOTE, _BACKSLASH, delimiter)):
        made[end] = source[q]
        end += 1
        q += 1
    if end > o and (source[q] == _TAB or source[q] == NEWLINE):
        return q, end
    return _put_quoted(source, p, made, o)


@njit(cache=True, nogil=True, forceinline=True)
def _put_quoted(source: Pointer, p: int, made: Pointer, o: int) -> Place:
    made[o] = _QUOTE
    o += 1
    while source[p] != _TAB and source[p] != NEWLINE:
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
def _put_text(source: Pointer, p: int, made: Pointer, o: int, wide: bool, bound: int) -> Place:
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
def _put_high(source: Pointer, p: int, made: Pointer, o: int, wide: bool) -> Place:
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
def _put_numbers(source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int) -> Place:
    """Write a number, a truth value or an array of them."""
    if not layout[column + ARRAY]:
        return _put_scalar(source, p, made, o, layout[column + KIND])
    begin = o
    count = 0
    p = _after_bounds(source, p)
    while source[p] > _SPACE:
        if source[p] == _OPEN or source[p] == _CLOSE or source[p] == _COMMA:
            p += 1
            continue
        p, end = _put_scalar(source, p, made, o, layout[column + KIND])
        if count < layout[column + BOUND]:
            made[end] = _SPACE
            o = end + 1
        count += 1
    while not layout[column + VARIABLE] and count < layout[column + BOUND]:
        o = _put_filler(made, o, layout[column + KIND])
        made[o] = _SPACE
        o += 1
        count += 1
    return p, max(o - 1, begin)


@njit(cache=True, nogil=True, forceinline=True)
def _put_scalar(source: Pointer, p: int, made: Pointer, o: int, kind: int) -> Place:
    first = source[p]
    if kind == LOGICAL and first == ord("t"):
        return _skipped(source, p), _put(made, o, _TRUE)
    if kind == LOGICAL and first == ord("f"):
        return _skipped(source, p), _put(made, o, _FALSE)
    if first == _BIG_I:
        return _skipped(source, p), _put(made, o, _PLUS_INF)
    if first == _MINUS and source[p + 1] == _BIG_I:
        return _skipped(source, p), _put(made, o, _MINUS_INF)
    if first == _BIG_N:  # NaN, or the NULL of an array
        return _skipped(source, p), _put_filler(made, o, kind)
    return _copied(source, p, made, o)


@njit(cache=True, nogil=True, forceinline=True)
def _copied(source: Pointer, p: int, made: Pointer, o: int) -> Place:
    while source[p] > _SPACE and source[p] != _COMMA and source[p] != _CLOSE:
        made[o] = source[p]
        o += 1
        p += 1
    return p, o


@njit(cache=True, nogil=True, forceinline=True)
def _put_filler(made: Pointer, o: int, kind: int) -> int:
    """Write an array's element that stands for no value."""
    if kind == REAL:
        return _put(made, o, _NAN)
    if kind == SHOWN:
        return _put(made, o, _NULL)
    made[o] = _QUESTION if kind == LOGICAL else ord("0")
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


@njit(cache=True, nogil=True, forceinline=True)
def _after_bounds(source: Pointer, p: int) -> int:
    """Return the place after the bounds of an array that does not count from 1: ``[0:2]={...}``."""
    if source[p] == _BRACKET:
        while source[p] != _OPEN and source[p] > _SPACE:
            p += 1
    return p


@njit(cache=True, nogil=True, forceinline=True)
def _put_json(source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int) -> Place:
    if _is_null(source, p):
        return p + 2, _put(made, o, _NULL)
    kind = layout[column + KIND]
    if kind in (CHAR, WIDE):
        return _put_json_text(source, p, made, o)
    if not layout[column + ARRAY]:
        return _put_json_scalar(source, p, made, o, kind)
    p = _after_bounds(source, p)
    made[o] = _BRACKET
    o += 1
    while source[p] > _SPACE:
        if source[p] == _COMMA:
            o = _put(made, o, _NEXT_VALUE)
        if source[p] == _OPEN or source[p] == _CLOSE or source[p] == _COMMA:
            p += 1
            continue
        p, o = _put_json_scalar(source, p, made, o, kind)
    made[o] = _UNBRACKET
    return p, o + 1


@njit(cache=True, nogil=True, forceinline=True)
def _put_json_scalar(source: Pointer, p: int, made: Pointer, o: int, kind: int) -> Place:
    """Write a number or a truth value; JSON has no numbers that are not finite (RFC 8259 section 6)."""
    first = source[p]
    if kind == LOGICAL and first != _BIG_N:
        return _skipped(source, p), _put(made, o, _TRUE) if first == ord("t") else _put(made, o, _FALSE)
    if first in (_BIG_I, _BIG_N) or (first == _MINUS and source[p + 1] == _BIG_I):
        return _skipped(source, p), _put(made, o, _NULL)
    return _copied(source, p, made, o)


@njit(cache=True, nogil=True, forceinline=True)
def _put_json_text(source: Pointer, p: int, made: Pointer, o: int) -> Place:
    made[o] = _QUOTE
    o += 1
    while source[p] != _TAB and source[p] != NEWLINE:
        byte = source[p]
        if byte == _BACKSLASH:
            p += 1
            byte = _UNESCAPED[source[p]]
        p += 1
        if _LETTERS[byte]:
            made[o] = _BACKSLASH
            made[o + 1] = _LETTERS[byte]
            o += 2
        elif byte < _SPACE:
            o = _put_byte(made, _put(made, o, _UNICODE), byte)
        else:
            made[o] = byte
            o += 1
    made[o] = _QUOTE
    return p, o + 1


@njit(cache=True, nogil=True, forceinline=True)
def _put_byte(made: Pointer, o: int, byte: int) -> int:
    """Write a byte as two hexadecimal digits."""
    made[o] = _HEXADECIMAL[byte >> 4]
    made[o + 1] = _HEXADECIMAL[byte & 15]
    return o + 2


@njit(cache=True, nogil=True, forceinline=True)
def _put_html(source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int) -> Place:
    if _is_null(source, p):
        return p + 2, _put(made, _put(made, o, _HTML_CELL), _HTML_CELL_END)
    if layout[column + KIND] not in (CHAR, WIDE):
        p, o = _put_numbers(source, p, made, _put(made, o, _HTML_NUMBER), layout, column)
        return p, _put(made, o, _HTML_CELL_END)
    o = _put(made, o, _HTML_CELL)
    linked = _is_url(source, p)
    if linked:
        _, o = _put_text(source, p, made, _put(made, o, _LINK), True, UNBOUNDED)
        o = _put(made, o, _LINK_TEXT)
    p, o = _put_text(source, p, made, o, True, UNBOUNDED)
    if linked:
        o = _put(made, o, _LINK_END)
    return p, _put(made, o, _HTML_CELL_END)


@njit(cache=True, nogil=True, forceinline=True)
def _is_url(source: Pointer, p: int) -> bool:
    """Whether a text is the address of something on the web, without anything before or after it."""
    for byte in _HTTP:
        if source[p] != byte:
            return False
        p += 1
    if source[p] == ord("s"):
        p += 1
    for byte in _COLONS:
        if source[p] != byte:
            return False
        p += 1
    begin = p
    while source[p] > _SPACE and source[p] not in (_BACKSLASH, _QUOTE, ord("<"), ord(">")):
        p += 1
    return p > begin and (source[p] == _TAB or source[p] == NEWLINE)


@njit(cache=True, nogil=True, forceinline=True)
def _put_shown(source: Pointer, p: int, made: Pointer, o: int, layout: Pointer, column: int) -> Place:
    """Write a value on one line: control characters of ASCII as escapes."""
    if _is_null(source, p):
        return p + 2, o
    if layout[column + KIND] not in (CHAR, WIDE):
        return _put_numbers(source, p, made, o, layout, column)
    while source[p] != _TAB and source[p] != NEWLINE:
        byte = source[p]
        if byte == _BACKSLASH:
            p += 1
            byte = _UNESCAPED[source[p]]
        p += 1
        if byte in (_TAB, NEWLINE, _RETURN):
            made[o] = _BACKSLASH
            made[o + 1] = _LETTERS[byte]
            o += 2
        elif byte < _SPACE or byte == 0x7F:
            o = _put_byte(made, _put(made, o, _ESCAPED_BYTE), byte)
        else:
            made[o] = byte
            o += 1
    return p, o


@njit(cache=True, nogil=True, forceinline=True)
def _justified(made: Pointer, begin: int, end: int, width: int, kind: int) -> int:
    """Put spaces after a text, or before anything else; return the new end."""
    missing = width - _characters(made, begin, end)
    if missing <= 0:
        return end
    first = end
    if kind not in (CHAR, WIDE):
        first = begin
        for i in range(end - 1, begin - 1, -1):
            made[i + missing] = made[i]
    for i in range(first, first + missing):
        made[i] = _SPACE
    return end + missing


@njit(cache=True, nogil=True, forceinline=True)
def _characters(made: Pointer, begin: int, end: int) -> int:
    """Return the number of characters of a piece of UTF-8."""
    count = 0
    for i in range(begin, end):
        count += made[i] & 0xC0 != 0x80
    return count
