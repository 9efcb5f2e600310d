"""Uploads as CSV: a header line, and columns whose types are those that all their values have.

Arrow reads the file twice, in blocks: once to find the types, and once for the rows.

Source: RFC 4180; tabs may stand in place of the commas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ost_vo.faults import UsageFault
from ost_vo.vo.uploads import MAX_COLUMNS, Declared, head

_BLOCK_BYTES = 2**20
_HEADER_BYTES = 2**20
_MARK = b"\xef\xbb\xbf"
_WORDS = "(?i)true|false"
_WHOLE = "[+-]?[0-9]{1,18}"
_REAL = r"(?i)[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|[+-]?inf(?:inity)?"
# A number that begins like this is a name made of digits.
_ZERO_FIRST = "[+-]?0[0-9]+"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type that the values of a column may have: its VOTable name, and how its values look."""

    datatype: str
    pattern: str
    arrow: pa.DataType


_LONG = _Kind("long", _WHOLE, pa.int64())
_KINDS = (
    _Kind("boolean", _WORDS, pa.bool_()),
    _LONG,
    _Kind("double", _REAL, pa.float64()),
)
_TEXT = _Kind("unicodeChar", "", pa.string())


class Csv:
    """The table in a CSV file. An empty value is null, and a column without any value is text.

    Attributes:
        head: its columns.
        count: number of its rows.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Find the columns and their types.

        Raises:
            UsageFault: the file is not in UTF-8, or a row has not as many values as the header line.
        """
        self._file = file
        self._name = name
        self._wrong: tuple[int, int] | None = None
        self._names, self._delimiter, self._begin = self._header()
        self.count = 0
        self._kinds = self._inferred()
        self.head = head([_declared(*each) for each in zip(self._names, self._kinds, strict=True)], name)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, some at a time."""
        for batch in self._texts():
            columns = [_converted(*each) for each in zip(batch.columns, self._kinds, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, batch.schema.names)

    def _header(self) -> tuple[list[str], str, int]:
        """Return the names of the columns, what stands between values, and where the rows begin."""
        self._file.seek(0)
        line = self._file.readline(_HEADER_BYTES)
        begin = self._file.tell()
        try:
            text = line.removeprefix(_MARK).decode()
        except UnicodeDecodeError:
            raise self._not_utf8(1) from None
        delimiter = "\t" if "\t" in text and "," not in text else ","
        names = [each.strip() for each in next(csv.reader(io.StringIO(text), delimiter=delimiter))]
        if len(names) > MAX_COLUMNS:
            raise UsageFault(f"The table {self._name} has more than {MAX_COLUMNS} columns.", "Upload fewer.")
        if text.lstrip().startswith("{") or not any(names):
            raise UsageFault(
                f"The upload {self._name} has no header line with names of columns.",
                "Upload a VOTable, a FITS binary table, a Parquet file, or CSV with a header line.",
            )
        return names, delimiter, begin

    def _inferred(self) -> list[_Kind]:
        columns = [_Inference() for _ in self._names]
        for batch in self._texts():
            self.count += batch.num_rows
            for column, values in zip(columns, batch.columns, strict=True):
                column.look_at(values)
        return [column.kind for column in columns]

    def _texts(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as texts."""
        self._file.seek(self._begin)
        self._wrong = None
        names = [str(place) for place in range(len(self._names))]
        try:
            yield from pyarrow.csv.open_csv(
                pa.PythonFile(_Unclosed(self._file)),
                pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=names),
                pyarrow.csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=self._refuse
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
                ),
            )
        except pa.ArrowInvalid as error:
            raise self._fault(error) from None

    def _refuse(self, row: pyarrow.csv.InvalidRow) -> str:
        self._wrong = row.number or 0, row.actual_columns
        return "error"

    def _fault(self, error: pa.ArrowInvalid) -> UsageFault:
        if self._wrong is not None:
            row, values = self._wrong
            return UsageFault(
                f"Row {row} of the table {self._name} has {values} values for {len(self._names)} columns.",
                "Write one value for each name of the header line, in quotes where it holds a comma.",
            )
        if "Empty CSV" in str(error):
            return UsageFault(f"The table {self._name} has no rows.", "Upload rows below the header line.")
        line = self._line_not_utf8()
        if line:
            return self._not_utf8(line)
        return UsageFault(f"The table {self._name} cannot be read as CSV: {error}.", "Check the quotes.")

    def _line_not_utf8(self) -> int:
        self._file.seek(0)
        for number, line in enumerate(_lines(self._file), 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
        return 0

    def _not_utf8(self, line: int) -> UsageFault:
        return UsageFault(f"Line {line} of the table {self._name} is not in UTF-8.", "Upload it in UTF-8.")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines; a very long one in parts."""
    return iter(lambda: file.readline(_HEADER_BYTES), b"")


class _Unclosed(io.RawIOBase):
    """A file that Arrow reads, and does not close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        return self._file.read(size)


class _Inference:
    """What the values of a column have in common, as far as they have been looked at."""

    def __init__(self) -> None:
        self._possible = list(_KINDS)
        self._is_empty = True
        self._has_zeros_first = False
        self._is_whole = True

    @property
    def kind(self) -> _Kind:
        """The type that holds all of them."""
        is_name = self._has_zeros_first and self._is_whole
        return _TEXT if self._is_empty or is_name or not self._possible else self._possible[0]

    def look_at(self, column: pa.Array) -> None:
        """Look at further values."""
        values = _trimmed(column).drop_null() if self._possible else ()
        if not len(values):
            return
        self._is_empty = False
        self._possible = [kind for kind in self._possible if _is_all(values, kind)]
        if self._is_whole and _LONG not in self._possible:
            self._is_whole = _match(pc.all, values, "[+-]?[0-9]+")
        if self._is_whole and not self._has_zeros_first:
            self._has_zeros_first = _match(pc.any, values, _ZERO_FIRST)


def _declared(name: str, kind: _Kind) -> Declared:
    arraysize = {"arraysize": "*"} if kind is _TEXT else {}
    return Declared({"name": name, "datatype": kind.datatype, **arraysize})


def _converted(column: pa.Array, kind: _Kind) -> pa.Array:
    if kind is _TEXT:
        return column
    values = _trimmed(column)
    if kind.datatype == "boolean":
        return pc.equal(pc.utf8_lower(values), "true")
    try:
        return values.cast(kind.arrow)
    except pa.ArrowInvalid:  # Arrow takes no sign that says nothing
        return pc.replace_substring(values, "+", "").cast(kind.arrow)


def _trimmed(column: pa.Array) -> pa.Array:
    """Return texts without blanks around them, null where there is nothing else."""
    values = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)


def _is_all(values: pa.Array, kind: _Kind) -> bool:
    """Tell whether all texts are values of a type; to try is quicker than to compare with the pattern."""
    if kind.datatype != "boolean":
        try:
            values.cast(kind.arrow)
        except pa.ArrowInvalid:
            return _match(pc.all, values, kind.pattern)
        return True
    return _match(pc.all, values, kind.pattern)


def _match(reduce: Callable[[pa.Array], pa.Scalar], values: pa.Array, pattern: str) -> bool:
    return bool(reduce(pc.match_substring_regex(values, f"^(?:{pattern})$")).as_py())
