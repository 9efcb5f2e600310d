"""Results as a FITS file: an empty primary HDU and one binary table.

The header of the table holds the number of rows and the widths of its strings, so nothing can be sent before
the last row is known. The rows wait in a temporary file meanwhile, as the database has sent them, and become
a table a piece at a time.

Source: FITS 4.0 section 7.3 (BINTABLE). TUCDn, TUTYPn and TCOMMn are the keywords that STIL and others use
for UCD, utype and description.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import IO

import numpy as np
from astropy.io import fits

from ost_vo.faults import TransientFault, UsageFault
from ost_vo.vo import binarykernels as kernels
from ost_vo.vo import votable
from ost_vo.vo.columns import STRINGS, Column
from ost_vo.vo.copybinary import NULLS, Scanned, layout, mismatch, stored
from ost_vo.vo.votable import Info, Status

# FITS 4.0 section 7.3.1: TFIELDS.
_MOST_COLUMNS = 999
_BLOCK = 2880
# Rows wait in memory up to this size (bytes).
_IN_MEMORY = 4 * 1024 * 1024
# Of the table, and of the rows that wait; a larger one is refused, since it would fill a disk (bytes).
LARGEST = 4 * 1024**3
_CODES = {
    "boolean": "L",
    "bit": "X",
    "short": "I",
    "int": "J",
    "long": "K",
    "float": "E",
    "double": "D",
    "floatComplex": "C",
    "doubleComplex": "M",
}
# Number of elements, and place in the heap, of an array of variable length (bytes).
_DESCRIPTOR = 16


class FitsTable(Scanned):
    """An encoder from binary COPY to a FITS file.

    Strings are ASCII, with ``?`` for other characters. A null integer is the TNULLn of its column, a null
    real number NaN, a null string empty, a null truth value a zero byte; an unsignedByte is a short, and so
    are the bits of an array of variable length. Other arrays of variable length have one dimension. The
    keyword QSTATUS of the table says OK or OVERFLOW, HISTORY of the primary HDU what the INFOs of a VOTable
    say.

    Attributes:
        largest: the largest table to build (bytes).
    """

    content_type = "application/fits"
    tells_faults = False
    largest = LARGEST

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return nothing yet.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
            UsageFault: FITS has no room for so many columns.
        """
        if len(columns) > _MOST_COLUMNS:
            raise UsageFault(
                f"The result has {len(columns)} columns, and a FITS table at most {_MOST_COLUMNS}.",
                "Select fewer columns, or ask for another format.",
            )
        self._columns = [_readable(column) for column in stored(columns)]
        self._layout = layout(self._columns, nulls=True, unknown=0, heap=True)
        # Lengths of the strings in arrays of strings, which fill their columns; 1 for everything else.
        self._strings = np.array([_string(column) for column in columns], np.int64)
        is_filled = (self._strings > 1) & (self._layout[:, kernels.VARIABLE] == 0)
        self._sizes = np.where(is_filled, self._layout[:, kernels.BOUND], 0)
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 lives as the encoder
        # Bytes and rows of each piece that waits.
        self._pieces: list[tuple[int, int]] = []
        return b""

    def _aside(self, data: bytes, rows: int) -> bytes:
        self._pieces.append((len(data), rows))
        size = max(self.rows * int(self._widths().sum()) + self._heap(), self._spool.tell() + len(data))
        if size > self.largest:
            raise UsageFault(
                f"The FITS table gets larger than {self.largest / 1e6:.0f} MB.",
                "Ask for fewer rows or columns, or for VOTable or Parquet, which have no such limit.",
            )
        try:
            self._spool.write(data)
        except OSError as failure:
            raise _not_kept() from failure
        return b""

    def _ending(self, status: Status, message: str) -> Iterator[bytes]:
        del message
        size = self.rows * int(self._widths().sum()) + self._heap()
        with self._spool:
            yield _primary(self._envelope.get("infos", ())) + self._header(status)
            yield from self._table()
            if self._heap():
                yield from self._arrays()
            yield bytes(-size % _BLOCK)

    def _table(self) -> Iterator[bytes]:
        """Return the rows of the table, strings with the widths that are known now."""
        fields, widths, heap = self._layout.copy(), self._widths(), 0
        texts = self._texts()
        fields[texts, kernels.KIND] = kernels.CHAR
        fields[texts, kernels.WIDTH] = 1
        fields[texts, kernels.VARIABLE] = 0
        fields[texts, kernels.BOUND] = fields[texts, kernels.NULL] = widths[texts]
        for data, rows in self._waiting():
            made = np.empty(rows * int(widths.sum()) + 2 * data.size + int(widths.max()) + 1024, np.uint8)
            _, size, _, status, column, heap = kernels.transcode(data, made, fields, rows, False, heap)
            if status == kernels.MISMATCH:
                raise mismatch(self._columns, column)
            yield made[:size].tobytes()

    def _arrays(self) -> Iterator[bytes]:
        """Return what stands behind the table."""
        for data, _ in self._waiting():
            made = np.empty(2 * data.size, np.uint8)
            size, column = kernels.write_heap(data, made, self._layout)
            if column >= 0:
                raise mismatch(self._columns, column)
            yield made[:size].tobytes()

    def _waiting(self) -> Iterator[tuple[np.ndarray, int]]:
        """Return the pieces that were put aside, and their numbers of rows."""
        try:
            self._spool.seek(0)
            for size, rows in self._pieces:
                yield np.frombuffer(self._spool.read(size), np.uint8), rows
        except OSError as failure:
            raise _not_kept() from failure

    def _texts(self) -> np.ndarray:
        return np.isin(self._layout[:, kernels.KIND], (kernels.CHAR, kernels.WIDE))

    def _widths(self) -> np.ndarray:
        """Return the bytes that each column takes in a row."""
        fields = self._layout
        texts = np.clip(self._sizes, 1, fields[:, kernels.BOUND])
        others = np.where(fields[:, kernels.HEAP] == 1, _DESCRIPTOR, fields[:, kernels.NULL])
        return -(-np.where(self._texts(), texts, others) // self._strings) * self._strings

    def _heap(self) -> int:
        """Return the bytes of the arrays behind the table."""
        fields = self._layout
        return int((self._sizes * fields[:, kernels.WIDTH])[fields[:, kernels.HEAP] == 1].sum())

    def _header(self, status: str) -> bytes:
        header = fits.Header()
        header["XTENSION"] = ("BINTABLE", "binary table")
        header["BITPIX"] = 8
        header["NAXIS"] = 2
        widths = self._widths()
        header["NAXIS1"] = (int(widths.sum()), "bytes a row")
        header["NAXIS2"] = (self.rows, "rows")
        header["PCOUNT"] = (self._heap(), "bytes of arrays of variable length")
        header["GCOUNT"] = 1
        header["TFIELDS"] = len(self._columns)
        header["EXTNAME"] = "RESULT"
        header["QSTATUS"] = (status, "QUERY_STATUS of DALI: OK or OVERFLOW")
        described = zip(self._columns, self._layout, widths, strict=True)
        for number, (column, fields, width) in enumerate(described, 1):
            _describe(header, number, column, _form(column, fields, int(width)))
            if dimensions := _dimensions(column, int(width)):
                header[f"TDIM{number}"] = f"({','.join(map(str, dimensions))})"
        return header.tostring().encode("ascii")


def _form(column: Column, fields: np.ndarray, width: int) -> str:
    """Return the TFORM of a column."""
    if column.datatype not in _CODES:
        return f"{width}A"
    code = _CODES[column.datatype]
    if not fields[kernels.ARRAY]:
        return code
    return f"1Q{code}" if fields[kernels.HEAP] else f"{fields[kernels.BOUND] // fields[kernels.PARTS]}{code}"


def _dimensions(column: Column, width: int) -> tuple[int, ...]:
    """Return the dimensions for TDIM, none for a column with one, or of variable length but for strings."""
    shape = votable.shape(column)
    if not shape.sides or (shape.variable and column.datatype not in STRINGS):
        return ()
    total = width if column.datatype in STRINGS else (shape.bound or 0) // shape.parts
    return *shape.sides, total // math.prod(shape.sides)


def _string(column: Column) -> int:
    """Return the length of one string in an array of strings, else 1."""
    sides = votable.shape(column).sides if column.datatype in STRINGS else ()
    return math.prod(sides)


def _readable(column: Column) -> Column:
    """Return the column to write: readers do not know bits in arrays of variable length."""
    is_varied = column.datatype == "bit" and votable.shape(column).variable
    return replace(column, datatype="short") if is_varied else column


def _describe(header: fits.Header, number: int, column: Column, form: str) -> None:
    """Add the keywords of a column."""
    header[f"TTYPE{number}"] = _plain(column.name)
    header[f"TFORM{number}"] = form
    if column.datatype in NULLS:
        header[f"TNULL{number}"] = NULLS[column.datatype]
    texts = {
        "TUNIT": column.unit,
        "TUCD": column.ucd,
        "TUTYP": column.utype,
        "TXTYP": column.xtype,
        "TCOMM": column.description,
    }
    for keyword, text in texts.items():
        if text:
            header[f"{keyword}{number}"] = _plain(text)


def _primary(infos: Iterable[Info]) -> bytes:
    header = fits.PrimaryHDU().header
    header["EXTEND"] = True
    for info in infos:
        header.add_history(_plain(f"{info.name}: {info.value}"))
    return header.tostring().encode("ascii")


def _plain(text: str) -> str:
    """Return text as a header can hold it: printable ASCII (FITS 4.0 section 4.1)."""
    ascii_only = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(character if character.isprintable() else "?" for character in ascii_only)


def _not_kept() -> TransientFault:
    return TransientFault(
        "The archive has no room at the moment to put the rows of a FITS table together.",
        "Try again later, or ask for VOTable, which needs no room.",
    )
