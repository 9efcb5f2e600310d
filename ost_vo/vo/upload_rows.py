"""The rows of an uploaded VOTable as a COPY stream for PostgreSQL.

TABLEDATA becomes COPY's text format, column by column over batches of rows, so that nearly all the work is
done inside the string methods; what a number is, PostgreSQL decides. BINARY and BINARY2 become COPY's binary
format in a compiled kernel. Both hold one batch at a time.

Source: VOTable 1.4 sections 5 and 6; PostgreSQL 15, COPY, "Text Format" and "Binary Format".
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from xml.parsers import expat

import numpy as np
import pybase64
from lxml import etree
from numba import njit

from ost_vo.faults import UsageFault
from ost_vo.vo.uploads import Field, Head, Serialisation, local, not_well_formed

TEXT_OPTIONS = "FORMAT text, NULL '', ENCODING 'UTF8'"
BINARY_OPTIONS = "FORMAT binary, ENCODING 'UTF8'"

_BATCH_ROWS = 2000
# Bytes of the document that are decoded at a time, and the most that one row may have.
_CHUNK = 256 * 1024
_ROW_BYTES = 16 * 2**20
_ELEMENTS_AT_MOST = 2**24
# XML 1.0 has no such character: it separates the cells of a batch.
_SEPARATOR = "\x01"
_BLANK = re.compile(r"\s")
# The control characters that XML 1.0 section 2.2 forbids.
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r")
# All that XML 1.0 section 2.2 does not count as a character.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&(?:#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ESCAPED = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))

Row = Sequence[str | None]

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
_KIND, _WIDTH, _ARRAY, _COUNT, _FACTOR, _OID, _HAS_NULL, _NULL = range(8)
_VARIABLE = -1


def copy_options(serialisation: Serialisation) -> str:
    """Return the options of the COPY statement that takes the rows of such a document."""
    return TEXT_OPTIONS if serialisation == "TABLEDATA" else BINARY_OPTIONS


def batches(file: BinaryIO, head: Head, name: str) -> Iterator[bytes]:
    """Return the rows of the first table of a VOTable as pieces of a COPY stream.

    Args:
        file: the document, from its beginning.
        head: what :func:`ost_vo.vo.uploads.read_head` has found in it.
        name: of the table, for messages.

    Raises:
        UsageFault: while iterating: the document breaks off, or a row is not as the FIELDs say.
    """
    if head.serialisation is None:
        return iter(())
    if head.serialisation == "TABLEDATA":
        return _text_batches(file, head, name)
    return _binary_batches(file, head, name)


def _text_batches(file: BinaryIO, head: Head, name: str) -> Iterator[bytes]:
    first, fields = 1, head.fields
    for rows in _rows(file, head, name):
        for number, row in enumerate(rows, first):
            if len(row) != len(fields):
                raise UsageFault(
                    f"Row {number} of the table {name} has {len(row)} cells for {len(fields)} FIELDs.",
                    "Write one TD for each FIELD.",
                )
        first += len(rows)
        columns = [_column(cells, item) for cells, item in zip(zip(*rows, strict=True), fields, strict=True)]
        lines = map("\t".join, zip(*columns, strict=True))
        yield ("\n".join(lines) + "\n").encode()


def _rows(file: BinaryIO, head: Head, name: str) -> Iterator[Sequence[Row]]:
    """Yield the cells of the first TABLEDATA, some rows at a time.

    Most documents consist of plain rows, which an expression finds five times faster than a parser of XML
    does. From the first row on that is not plain, the parser reads.
    """
    count = 0
    if head.offset is not None:
        try:
            file.seek(head.offset)
            for plain in _plain_rows(file, len(head.fields)):
                count += len(plain)
                yield plain
        except _NotPlain:
            pass
        else:
            return
    file.seek(0)
    for rows in _parsed_rows(file, name):
        if len(rows) > count:
            yield rows[count:]
        count = max(0, count - len(rows))


class _NotPlain(Exception):
    """The rows are for a parser of XML."""


def _plain_rows(file: BinaryIO, columns: int) -> Iterator[list[Row]]:
    """Yield the cells of rows of the form ``<TR><TD>text</TD>...</TR>``; raise _NotPlain at any other."""
    cell = r"\s*<TD(?:>([^<]*)</TD>|/>)"
    row = re.compile(rf"\s*<TR>{cell * columns}\s*</TR>")
    rest = file.read(_CHUNK).partition(b">")[2]
    while True:
        whole, tag, after = rest.partition(b"</TABLEDATA")
        if not tag:
            end = rest.rfind(b"</TR>") + 5
            whole, after = (rest[:end], rest[end:]) if end >= 5 else (b"", rest)
        if whole.strip():
            yield _plain(whole, row, columns)
        if tag:
            return
        chunk = file.read(_CHUNK)
        rest = after + chunk
        if not chunk or len(rest) > _ROW_BYTES:
            raise _NotPlain


def _plain(data: bytes, row: re.Pattern[str], columns: int) -> list[Row]:
    """Return the cells of whole rows, if nothing but plain rows is there."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _NotPlain from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    found = row.findall(text)
    rows = [(cells,) for cells in found] if columns == 1 else found
    if len(data.translate(None, _CONTROLS)) < len(data):
        raise _NotPlain
    # Nothing else holds a tag: whatever is not in a match would have to.
    if text.count("<") != 2 * len(rows) + _cell_tags(text):
        raise _NotPlain
    if text.count("<TD") != len(rows) * columns or text.count("<TR>") != len(rows):
        raise _NotPlain
    return [tuple(map(_unescaped, cells)) for cells in rows] if "&" in text else rows


def _cell_tags(text: str) -> int:
    return text.count("<TD") + text.count("</TD>")


def _unescaped(cell: str) -> str:
    """Return a cell without references to characters."""
    if "&" not in cell:
        return cell
    if cell.count("&") != len(_REFERENCE.findall(cell)):
        raise _NotPlain
    cell = _REFERENCE.sub(_character, cell)
    if _ILLEGAL.search(cell):
        raise _NotPlain
    return cell


def _character(reference: re.Match[str]) -> str:
    decimal, hexadecimal, name = reference.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if code <= sys.maxunicode else "\x00"


def _parsed_rows(file: BinaryIO, name: str) -> Iterator[list[Row]]:
    # The head has been read by expat, which refused entities: the limits of libxml2 have nothing to do.
    events = etree.iterparse(
        file,
        events=("end",),
        tag=("{*}TR", "{*}TABLEDATA"),
        remove_comments=True,
        remove_pis=True,
        resolve_entities=False,
        no_network=True,
        huge_tree=True,
    )
    rows: list[Row] = []
    try:
        for _, element in events:
            if element.tag.endswith("TABLEDATA"):
                break
            rows.append([cell.text for cell in element])
            element.clear()
            if len(rows) == _BATCH_ROWS:
                yield rows
                rows = []
                del element.getparent()[:-1]
    except etree.XMLSyntaxError as error:
        raise not_well_formed(name, error) from None
    if rows:
        yield rows


def _column(cells: Sequence[str | None], item: Field) -> list[str]:
    """Return the cells of a column as COPY's text format writes them; empty where null."""
    values = [cell or "" for cell in cells]
    if item.is_array:
        values = [_array(value, item.datatype) for value in values]
    elif item.column.sql_type != "text":
        values = _scalars(values, item)
    joined = _SEPARATOR.join(values)
    for character, escape in _ESCAPED:
        if character in joined:
            joined = joined.replace(character, escape)
    return joined.split(_SEPARATOR)


def _scalars(values: list[str], item: Field) -> list[str]:
    """Return numbers, truth values and moments without blanks, and the ways to write null as nothing."""
    joined = _SEPARATOR.join(values)
    if _BLANK.search(joined):
        values = [value.strip() for value in values]
    kind = _ELEMENTS[item.datatype][0]
    if item.null is not None:
        values = ["" if value == item.null else value for value in values]
    if kind == _REAL and "n" in joined.lower():
        values = ["" if value.lower() == "nan" else value for value in values]
    elif kind in (_NUMBER, _BYTE) and "x" in joined.lower():
        values = [_decimal(value) for value in values]
    elif kind == _LOGICAL and "?" in joined:
        values = ["" if value == "?" else value for value in values]
    return values


def _array(value: str, datatype: str) -> str:
    """Return an array in PostgreSQL's notation; an empty cell is null (VOTable 1.4 section 6)."""
    elements = value.split()
    if not elements:
        return ""
    if _ELEMENTS[datatype][0] == _LOGICAL:
        elements = ["NULL" if element == "?" else element for element in elements]
    elif "x" in value.lower():
        elements = [_decimal(element) for element in elements]
    return "{" + ",".join(elements) + "}"


def _decimal(value: str) -> str:
    """Return a hexadecimal integer (VOTable 1.4 section 6) in decimal, and anything else as it is."""
    return str(int(value, 16)) if re.fullmatch(r"[+-]?0[xX][0-9A-Fa-f]+", value) else value


def _binary_batches(file: BinaryIO, head: Head, name: str) -> Iterator[bytes]:
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
    return kind, width, item.is_array, count, factor, oid, null is not None, null or 0


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
    transcode(np.frombuffer(b"", np.uint8), made, np.zeros((1, 8), np.int64), True)


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
        return _put_narrow(source, p, count, made, o)
    if kind == _WIDE:
        return _put_wide(source, p, count, made, o)
    if field[_ARRAY]:
        return _put_array(source, p, count, made, o, field)
    if _is_null(source, p, kind, width) or (field[_HAS_NULL] and _value(source, p, width) == field[_NULL]):
        return _put_int32(made, o, -1)
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
    if kind == _BYTE:
        o = _put_int32(made, o, 2)
        made[o] = 0
        made[o + 1] = source[p + i]
        return o + 2
    if kind == _LOGICAL and _is_null(source, p + i, kind, 1):
        return _put_int32(made, o, -1)
    o = _put_int32(made, o, 1)
    if kind == _BIT:
        made[o] = (source[p + (i >> 3)] >> (7 - (i & 7))) & 1
    else:
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
def _put_narrow(source: np.ndarray, p: int, count: int, made: np.ndarray, o: int) -> int:
    """Write text of one byte a character, which ends at the first NUL (VOTable 1.4 section 6)."""
    size = 0
    while size < count and source[p + size] != 0:
        made[o + 4 + size] = source[p + size]
        size += 1
    return _put_int32(made, o, size) + size


@njit(cache=True, nogil=True)
def _put_wide(source: np.ndarray, p: int, count: int, made: np.ndarray, o: int) -> int:
    """Write UTF-16 as UTF-8, at most three bytes for each two; half a pair becomes U+FFFD."""
    begin = o
    o += 4
    i = 0
    while i < count:
        code = _unit(source, p + 2 * i)
        i += 1
        if code == 0:
            break
        if 0xD800 <= code < 0xE000:
            low = _unit(source, p + 2 * i) if i < count else 0
            if code < 0xDC00 and 0xDC00 <= low < 0xE000:
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                i += 1
            else:
                code = 0xFFFD
        o = _put_character(made, o, code)
    _put_int32(made, begin, o - begin - 4)
    return o


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
