"""PostgreSQL's text COPY stream as rows of Python texts, for the formats that are written row by row.

The formats that carry large results have compiled kernels of their own (``binary2``, ``tabledata``); the
encoders built on this module take about ten times as long.

Source: PostgreSQL 15, COPY, "Text Format", and "Array Input and Output Syntax".
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from ost_vo.faults import FatalFault, Fault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column

# The cells of a row as PostgreSQL spells them, without escapes; None is a null.
Row = list[str | None]

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANINGS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_NULL = r"\N"


class CopyRows(ABC):
    """An encoder that is given whole rows.

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
        self._columns: Sequence[Column] = ()
        self._rest = b""

    @abstractmethod
    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return what precedes the first row."""

    def feed(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Return what the rows become that the chunk completes.

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
        lines = self._within_limit(data[: size - 1].split(b"\n") if size else [])
        if not lines:
            return b""
        made = self._write([cells(line, len(self._columns)) for line in lines])
        self.rows += len(lines)
        return made

    @abstractmethod
    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return what follows the last row."""

    @abstractmethod
    def _write(self, rows: list[Row]) -> bytes:
        """Return what rows become; ``self.rows`` does not count them yet."""

    def _within_limit(self, lines: list[bytes]) -> list[bytes]:
        if self._limit is None:
            return lines
        left = self._limit - self.rows
        self.overflowed |= len(lines) > left
        return lines[:left]


def cells(line: bytes, count: int) -> Row:
    """Return the cells of one line of the stream, which comes without its newline.

    Raises:
        FatalFault: there are not as many cells as given.
    """
    text = line.decode()
    found: list[str] = text.split("\t")
    if len(found) != count:
        raise FatalFault("A row of the result does not have the columns that the metadata declares.")
    return [_unescaped(cell) for cell in found] if "\\" in text else list(found)


def elements(text: str) -> Row:
    """Return the elements of an array of one dimension, such as ``{1,NULL}`` or ``[0:1]={3,4}``."""
    body = text[text.index("{") + 1 : -1]
    return [None if item == "NULL" else item for item in body.split(",")] if body else []


def speller(column: Column) -> Callable[[str], str]:
    """Return what spells the cells of a column for people: numbers as VOTable does, text as it is.

    Raises:
        FatalFault: the column has a datatype or arraysize that cannot be written.
    """
    shape = votable.shape(column)
    if is_text(column):
        return str
    return _spelt_array if shape.array else _spelt


def is_text(column: Column) -> bool:
    """Whether the values of a column are text, timestamps among them."""
    return column.datatype in ("char", "unicodeChar")


def _spelt_array(text: str) -> str:
    return " ".join("null" if item is None else _spelt(item) for item in elements(text))


def _spelt(text: str) -> str:
    """Return a number or truth value as VOTable spells it (VOTable 1.4 section 6)."""
    return {"t": "true", "f": "false", "Infinity": "+Inf", "-Infinity": "-Inf"}.get(text, text)


def _unescaped(cell: str) -> str | None:
    if cell == _NULL:
        return None
    return _ESCAPE.sub(lambda match: _MEANINGS.get(match[1], match[1]), cell)
