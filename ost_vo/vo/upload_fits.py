"""Uploads as FITS binary tables: the first one of the file.

Source: FITS 4.0 sections 7.3 (BINTABLE) and 4.4 (size of the data). TUCDn, TUTYPn, TXTYPn and TCOMMn are the
keywords that STIL and others use for UCD, utype, xtype and description.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from astropy.io import fits

from ost_vo.faults import UsageFault
from ost_vo.vo.uploads import Declared, head

_BLOCK = 2880
_BATCH_BYTES = 4 * 2**20
_FORM = re.compile(r"\s*([0-9]*)([LXBIJKAEDCMPQ])(.*)")
_DESCRIBED = re.compile(r"\s*([LXBIJKAEDCM])(?:\(([0-9]+)\))?")
_DIMENSIONS = re.compile(r"\(\s*([0-9]+(?:\s*,\s*[0-9]+)*)\s*\)")
# VOTable datatype and big-endian numpy type of one element, by the code of TFORM.
_CODES = {
    "L": ("boolean", "u1"),
    "X": ("bit", "u1"),
    "B": ("unsignedByte", "u1"),
    "I": ("short", ">i2"),
    "J": ("int", ">i4"),
    "K": ("long", ">i8"),
    "A": ("char", "S1"),
    "E": ("float", ">f4"),
    "D": ("double", ">f8"),
    "C": ("floatComplex", ">f4"),
    "M": ("doubleComplex", ">f8"),
}
# Integers without a sign, or with one where FITS has none, by code and TZERO (FITS 4.0 section 5.2.5).
_SHIFTED = {("B", -128): "short", ("I", 2**15): "int", ("J", 2**31): "long", ("K", 2**63): "long"}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table.

    Attributes:
        name: as TTYPEn has it.
        code: of its elements.
        count: elements of a value; in a row, descriptors of a value of variable length count as two numbers.
        variable: the numpy type of the descriptor, empty where a value is in the row itself.
        offset: where it begins in a row [bytes].
        scale, zero: TSCALn and TZEROn.
        null: TNULLn, None where it has none.
        shape: TDIMn as an arraysize, or None.
    """

    name: str
    code: str
    count: int
    variable: str
    offset: int
    scale: float
    zero: float
    null: int | None
    shape: str | None

    @property
    def width(self) -> int:
        """Bytes that it takes in a row."""
        if self.variable:
            return 2 * np.dtype(self.variable).itemsize * bool(self.count)
        if self.code == "X":
            return (self.count + 7) // 8
        return self.elements * np.dtype(_CODES[self.code][1]).itemsize

    @property
    def elements(self) -> int:
        """Numbers in a value; a complex number is two."""
        return self.count * (2 if self.code in "CM" else 1)

    @property
    def datatype(self) -> str:
        """The datatype of VOTable that holds its values."""
        if self.scale != 1 or self.zero != 0:
            return _SHIFTED.get((self.code, int(self.zero)), "double") if self.scale == 1 else "double"
        return _CODES[self.code][0]


class FitsTable:
    """The first binary table in a FITS file.

    Attributes:
        head: its columns.
        count: number of its rows.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Read the headers as far as the first binary table.

        Raises:
            UsageFault: the file is damaged, has no binary table, or a column that VOTable has not.
        """
        self._file = file
        self._name = name
        header = self._table()
        self._begin = file.tell()
        self.count = int(header["NAXIS2"])
        self._row = int(header["NAXIS1"])
        self._heap = self._begin + int(header.get("THEAP", self._row * self.count))
        self._columns = self._declared(header)
        if not self._columns:
            raise UsageFault(f"The table {name} has no columns.", "Upload a table with columns.")
        self.head = head([_field(item, header, i) for i, item in self._columns.items()], name)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, some at a time."""
        names = [str(place) for place in self._columns]
        most = max(1, _BATCH_BYTES // max(1, self._row))
        for first in range(0, self.count, most):
            rows = min(most, self.count - first)
            data = self._bytes(self._begin + first * self._row, rows * self._row, first + 1)
            table = np.frombuffer(data, np.uint8).reshape(rows, self._row)
            columns = [self._values(item, table, first) for item in self._columns.values()]
            yield pa.RecordBatch.from_arrays(columns, names)

    def _table(self) -> fits.Header:
        """Return the header of the first binary table; the file is at its data then."""
        self._file.seek(0)
        while True:
            try:
                header = fits.Header.fromfile(self._file, endcard=True)
                size = _size(header)
            except EOFError:
                raise UsageFault(
                    f"The upload {self._name} is a FITS file without a binary table.",
                    "Upload one with the extension BINTABLE.",
                ) from None
            except (OSError, ValueError, KeyError, fits.VerifyError) as error:
                raise self._damaged(str(error)) from None
            if str(header.get("XTENSION", "")).strip() == "BINTABLE" and "ZIMAGE" not in header:
                return header
            self._file.seek(size, 1)

    def _declared(self, header: fits.Header) -> dict[int, _Column]:
        """Return the columns that hold anything, by their numbers."""
        found, offset = {}, 0
        for number in range(1, int(header.get("TFIELDS", 0)) + 1):
            column = self._column(header, number, offset)
            offset += column.width
            if column.width:
                found[number] = column
        if offset > self._row or self._row < 0 or self.count < 0:
            raise self._damaged(f"its columns take {offset} bytes, and its rows {self._row}")
        return found

    def _column(self, header: fits.Header, number: int, offset: int) -> _Column:
        name = str(header.get(f"TTYPE{number}", "")).strip()
        form = str(header.get(f"TFORM{number}", ""))
        matched = _FORM.fullmatch(form.strip())
        inner = _DESCRIBED.match(matched[3]) if matched and matched[2] in "PQ" else None
        if matched is None or (matched[2] in "PQ" and (inner is None or inner[1] == "X")):
            raise UsageFault(
                f"Column {name or number} of the table {self._name} has the format {form!r} (TFORM{number}).",
                "Use one of FITS 4.0 section 7.3.1, and no bits in arrays of variable length.",
            )
        dimensions = _DIMENSIONS.fullmatch(str(header.get(f"TDIM{number}", "")).strip())
        null = header.get(f"TNULL{number}")
        return _Column(
            name,
            inner[1] if inner else matched[2],
            int(matched[1]) if matched[1] else 1,
            {"P": ">i4", "Q": ">i8"}.get(matched[2], ""),
            offset,
            float(header.get(f"TSCAL{number}", 1)),
            float(header.get(f"TZERO{number}", 0)),
            int(null) if isinstance(null, int) else None,
            "x".join(re.findall("[0-9]+", dimensions[1])) if dimensions else None,
        )

    def _values(self, column: _Column, table: np.ndarray, first: int) -> pa.Array:
        """Return the values of a column in some rows."""
        part = np.ascontiguousarray(table[:, column.offset : column.offset + column.width])
        if column.variable:
            return self._lists(column, part.view(column.variable), first)
        if column.code == "A":
            return self._texts(column, part, first)
        if column.code == "X":
            flat = np.unpackbits(part, axis=1)[:, : column.count].reshape(-1)
        else:
            flat = part.reshape(-1).view(_CODES[column.code][1])
        return _shaped(_scaled(column, flat), column.elements)

    def _texts(self, column: _Column, part: np.ndarray, first: int) -> pa.Array:
        """Return strings, which end at the first NUL and have no blanks behind; an empty one is null."""
        width = column.width
        texts = [bytes(row).split(b"\0")[0].rstrip(b" ") for row in part.reshape(-1, width)]
        try:
            return pa.array([text.decode() or None for text in texts], pa.string())
        except UnicodeDecodeError:
            row = first + 1 + next(i for i, text in enumerate(texts) if not text.isascii())
            raise UsageFault(
                f"Row {row}, column {column.name} of the table {self._name} is not in ASCII or UTF-8.",
                "FITS strings are ASCII.",
            ) from None

    def _lists(self, column: _Column, descriptors: np.ndarray, first: int) -> pa.Array:
        """Return values of variable length, which are in the heap behind the rows."""
        factor = 2 if column.code in "CM" else 1
        kind = np.dtype(_CODES[column.code][1])
        parts = [
            self._bytes(self._heap + int(place), int(count) * factor * kind.itemsize, first + i)
            for i, (count, place) in enumerate(descriptors, 1)
        ]
        if column.code == "A":
            texts = [part.split(b"\0")[0].decode("utf-8", "replace") or None for part in parts]
            return pa.array(texts, pa.string())
        values = _scaled(column, np.frombuffer(b"".join(parts), kind))
        ends = np.cumsum([0, *(len(part) // kind.itemsize for part in parts)])
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)

    def _bytes(self, place: int, size: int, row: int) -> bytes:
        self._file.seek(max(0, place))
        data = self._file.read(size) if size >= 0 and place >= 0 else b""
        if len(data) != size:
            row += len(data) // max(1, self._row)
            raise UsageFault(
                f"The FITS file of the table {self._name} ends before row {row} is complete.",
                "Check that all of it was sent.",
            )
        return data

    def _damaged(self, reason: str) -> UsageFault:
        return UsageFault(f"The FITS file of the table {self._name} is damaged: {reason}.", "Check the file.")


def _size(header: fits.Header) -> int:
    """Return the size of the data behind a header, with its padding [bytes] (FITS 4.0 section 4.4.1)."""
    axes = [int(header[f"NAXIS{axis}"]) for axis in range(1, int(header["NAXIS"]) + 1)]
    if not axes:
        return 0
    elements = int(header.get("GCOUNT", 1)) * (int(header.get("PCOUNT", 0)) + math.prod(axes))
    return -(-abs(int(header["BITPIX"])) // 8 * elements // _BLOCK) * _BLOCK


def _field(column: _Column, header: fits.Header, number: int) -> Declared:
    """Return a column as a FIELD."""
    size = "*" if column.variable else str(column.count)
    if column.code == "A":
        size = "*"
    elif column.shape and not column.variable:
        size = column.shape
    attributes: dict[str, Any] = {"name": column.name, "datatype": column.datatype}
    if size != "1":
        attributes["arraysize"] = size
    for attribute, keyword in (("unit", "TUNIT"), ("ucd", "TUCD"), ("utype", "TUTYP"), ("xtype", "TXTYP")):
        if text := str(header.get(f"{keyword}{number}", "")).strip():
            attributes[attribute] = text
    return Declared(attributes, str(header.get(f"TCOMM{number}", "")).strip())


def _scaled(column: _Column, flat: np.ndarray) -> pa.Array:
    """Return elements as they are meant: scaled, shifted, null where TNULL or an unknown truth value is."""
    if column.code == "L":
        return pa.array(flat == ord("T"), mask=~np.isin(flat, (ord("T"), ord("F"))))
    if column.code == "X":
        return pa.array(flat)
    values = flat.astype(flat.dtype.newbyteorder("="))
    mask = values == column.null if column.null is not None and values.dtype.kind in "iu" else None
    if column.datatype == "double" and column.code != "D":
        values = values.astype(np.float64)
    if column.scale != 1 or column.zero != 0:
        if column.datatype == "double":
            values = values * column.scale + column.zero
        elif column.code == "K":
            values = (values.view(np.uint64) + np.uint64(2**63)).view(np.uint64)
        else:
            values = values.astype(np.int64) + int(column.zero)
    return pa.array(values, mask=mask)


def _shaped(values: pa.Array, count: int) -> pa.Array:
    """Return elements as values of so many elements each."""
    if count == 1:
        return values
    ends = pa.array(np.arange(0, len(values) + 1, count), pa.int32())
    return pa.ListArray.from_arrays(ends, values)
