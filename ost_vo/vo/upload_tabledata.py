"""The rows of a VOTable's TABLEDATA as a COPY stream for PostgreSQL, in its text format.

The work goes column by column over batches of rows, so that nearly all of it is done inside the string
methods; what a number is, PostgreSQL decides. One batch is held at a time.

Source: VOTable 1.4 sections 5.1 and 6; PostgreSQL 15, COPY, "Text Format".
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pybase64
from lxml import etree

from ost_vo.faults import UsageFault
from ost_vo.vo.uploads import Field, Head, not_well_formed

COPY_OPTIONS = "FORMAT text, NULL '', ENCODING 'UTF8'"

_BATCH_ROWS = 2000
# Bytes of the document that are decoded at a time, and the most that one row may have.
_CHUNK = 256 * 1024
_ROW_BYTES = 16 * 2**20
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

_REALS = ("float", "double")
_INTEGERS = ("unsignedByte", "short", "int", "long")
# The largest numbers of datatypes whose column in the database holds larger ones.
_LARGEST = {"unsignedByte": 255, "bit": 1}
_BYTES = {"", *map(str, range(256))}
_BITS = set("01 \t\r\n")
# numpy's type of an element in BINARY; of bits and truth values that of a byte.
_BINARY = {
    "boolean": "u1",
    "bit": "u1",
    "unsignedByte": "u1",
    "short": ">i2",
    "int": ">i4",
    "long": ">i8",
    "float": ">f4",
    "double": ">f8",
    "floatComplex": ">f4",
    "doubleComplex": ">f8",
    "char": "S1",
    "unicodeChar": ">u2",
}

Row = Sequence[str | None]


def batches(file: BinaryIO, head: Head, name: str) -> Iterator[bytes]:
    """Return the rows of the first TABLEDATA as pieces of a COPY stream.

    Args:
        file: the document, from its beginning.
        head: what :func:`ost_vo.vo.uploads.read_head` has found in it.
        name: of the table, for messages.

    Raises:
        UsageFault: while iterating: the document breaks off, or a row is not as the FIELDs say.
    """
    first, fields = 1, head.fields
    for rows in _rows(file, head, name):
        for number, row in enumerate(rows, first):
            if len(row) != len(fields):
                raise UsageFault(
                    f"Row {number} of the table {name} has {len(row)} cells for {len(fields)} FIELDs.",
                    "Write one TD for each FIELD.",
                )
        pairs = zip(zip(*rows, strict=True), fields, strict=True)
        columns = [_column(cells, item, first, name) for cells, item in pairs]
        first += len(rows)
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
    for rows in _parsed_rows(file, head.fields, name):
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


def _parsed_rows(file: BinaryIO, fields: Sequence[Field], name: str) -> Iterator[list[Row]]:
    # The head has been read by expat, which refused entities: the limits of libxml2 have nothing to do.
    events = etree.iterparse(
        file,
        tag=("{*}TR", "{*}TABLEDATA"),
        resolve_entities=False,
        no_network=True,
        huge_tree=True,
    )
    rows: list[Row] = []
    count = 0
    try:
        for _, element in events:
            if element.tag.endswith("TABLEDATA"):
                break
            count += 1
            rows.append(_cells(element, fields, f"Row {count}", name))
            element.clear()
            if len(rows) == _BATCH_ROWS:
                yield rows
                rows = []
                del element.getparent()[:-1]
    except etree.XMLSyntaxError as error:
        raise not_well_formed(name, error) from None
    if rows:
        yield rows


def _cells(row: etree._Element, fields: Sequence[Field], place: str, name: str) -> Row:
    cells = [cell.text for cell in row]
    for number, (cell, item) in enumerate(zip(row, fields, strict=False)):
        encoding = cell.get("encoding", "none").lower()
        if encoding == "none":
            continue
        try:
            if encoding != "base64":
                raise ValueError(f"the encoding {encoding[:20]!r} is not known")
            cells[number] = _decoded(
                pybase64.b64decode("".join((cell.text or "").split()), validate=True), item
            )
        except ValueError as error:
            raise UsageFault(
                f"{place}, column {item.column.name} of the table {name}: {error}.",
                'Write <TD encoding="base64"> and the value as BINARY has it.',
            ) from None
    return cells


def _decoded(data: bytes, item: Field) -> str:
    """Return a value as plain TABLEDATA spells it, of its bytes in BINARY (VOTable 1.4 section 5.1).

    The number of elements in front of an array of variable length may be missing: the cell ends anyway.

    Raises:
        ValueError: the bytes are not as many as the column needs.
    """
    kind = _BINARY[item.datatype]
    width = np.dtype(kind).itemsize * (2 if item.datatype.endswith("Complex") else 1)
    if item.elements is None and len(data) >= 4:
        counted = int.from_bytes(data[:4], "big")
        if len(data) - 4 == ((counted + 7) // 8 if item.datatype == "bit" else counted * width):
            data = data[4:]
    if item.datatype == "char":
        return data.split(b"\0")[0].decode()
    if item.datatype == "unicodeChar":
        return data.decode("utf-16-be").split("\0")[0]
    values = np.frombuffer(data, kind)
    if item.datatype == "bit":
        values = np.unpackbits(values)[: item.elements]
    if item.elements is not None and len(values) != item.elements:
        raise ValueError(f"it has {len(values)} elements in place of {item.elements}")
    if item.datatype == "boolean":
        return " ".join("?" if code in b"? \0" else chr(code) for code in values)
    return " ".join(map(str, values.tolist()))


def _column(cells: Sequence[str | None], item: Field, first: int, name: str) -> list[str]:
    """Return the cells of a column as COPY's text format writes them; empty where null."""
    values = [cell or "" for cell in cells]
    if item.is_array:
        values = [_array(value, item.datatype) for value in values]
    elif item.column.sql_type != "text":
        values = _scalars(values, item)
    if item.datatype in _LARGEST:
        _check_range(values, item, first, name)
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
    if item.null is not None:
        values = ["" if value == item.null else value for value in values]
    if item.datatype in _REALS and "n" in joined.lower():
        values = ["" if value.lower() == "nan" else value for value in values]
    elif item.datatype in _INTEGERS and "x" in joined.lower():
        values = [_decimal(value) for value in values]
    elif item.datatype == "boolean" and "?" in joined:
        values = ["" if value == "?" else value for value in values]
    return values


def _array(value: str, datatype: str) -> str:
    """Return an array in PostgreSQL's notation; an empty cell is null (VOTable 1.4 section 6)."""
    elements = value.split()
    if not elements:
        return ""
    if datatype == "bit" and not set(value) <= _BITS:
        return value  # PostgreSQL says what is wrong
    if datatype == "bit" and len(elements) == 1:
        elements = list(value.strip())
    if datatype == "boolean":
        elements = ["NULL" if element == "?" else element for element in elements]
    elif "x" in value.lower():
        elements = [_decimal(element) for element in elements]
    return "{" + ",".join(elements) + "}"


def _check_range(values: Sequence[str], item: Field, first: int, name: str) -> None:
    """Raise a UsageFault for a number that no unsignedByte or bit is; what is no number, PostgreSQL finds."""
    largest = _LARGEST[item.datatype]
    unusual = set(values) - (_BYTES if largest == 255 else {"", "0", "1"})
    for row, value in enumerate(values, first) if unusual else ():
        wrong = next((each for each in value.strip("{}").split(",") if _is_beyond(each, largest)), None)
        if wrong is not None:
            raise UsageFault(
                f"Row {row}, column {item.column.name} of the table {name}: {wrong[:40]} is out of 0 to "
                f"{largest}.",
                f"The column is declared as {item.datatype}.",
            )


def _is_beyond(text: str, largest: int) -> bool:
    is_whole = re.fullmatch(r"[+-]?[0-9]+", text) is not None
    return is_whole and (len(text) > 18 or not 0 <= int(text) <= largest)


def _decimal(value: str) -> str:
    """Return a hexadecimal integer (VOTable 1.4 section 6) in decimal, and anything else as it is."""
    return str(int(value, 16)) if re.fullmatch(r"[+-]?0[xX][0-9A-Fa-f]+", value) else value
