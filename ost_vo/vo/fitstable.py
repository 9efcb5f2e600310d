"""Results as a FITS file: an empty primary HDU and one binary table.

The header of the table holds the number of rows and the widths of its strings, so nothing can be sent before
the last row is known. The rows wait in a temporary file meanwhile; the finished table is built in memory.

Source: FITS 4.0 section 7.3 (BINTABLE). TUCDn, TUTYPn and TCOMMn are the keywords that STIL and others use
for UCD, utype and description.
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Unpack

from astropy.io import fits

from ost_vo.faults import Fault, TransientFault, UsageFault
from ost_vo.vo import votable
from ost_vo.vo.bigendian import NULLS, Packer, array, ascii_text, scalar, stored
from ost_vo.vo.columns import Column
from ost_vo.vo.copyrows import CopyRows, Row, is_text
from ost_vo.vo.votable import Envelope, Info, Shape

# FITS 4.0 section 7.3.1: TFIELDS.
_MOST_COLUMNS = 999
_BLOCK = 2880
# Rows wait in memory up to this size (bytes).
_IN_MEMORY = 4 * 1024 * 1024
# A larger table is refused, since it is built in memory (bytes).
LARGEST = 512 * 1024 * 1024
_UNKNOWN = b"\0"
_CODES = {"boolean": "L", "short": "I", "int": "J", "long": "K", "float": "E", "double": "D"}
# Number of elements, and place in the heap, of an array of variable length.
_DESCRIPTOR = struct.Struct(">qq")


class FitsTable(CopyRows):
    """An encoder from text COPY to a FITS file.

    Strings are ASCII, with ``?`` for other characters. A null integer is the TNULLn of its column, a null
    real number NaN, a null string empty, a null truth value a zero byte; an unsignedByte is a short. The
    keyword QSTATUS of the table says OK or OVERFLOW, HISTORY of the primary HDU what the INFOs of a VOTable
    say.
    """

    content_type = "application/fits"

    def __init__(
        self, limit: int | None = None, *, largest: int = LARGEST, **envelope: Unpack[Envelope]
    ) -> None:
        """Create an encoder for one result.

        Args:
            limit: the most rows to write, None for all.
            largest: the largest table to build (bytes).
            envelope: what a VOTable would say; its INFOs become HISTORY.
        """
        super().__init__(limit)
        self._infos = tuple(envelope.get("infos", ()))
        self._largest = largest
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 lives as the encoder
        self._heap: list[bytes] = []
        self._heap_size = 0

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
        self._columns = [stored(column) for column in columns]
        self._shapes = [votable.shape(column) for column in self._columns]
        self._widths = [1] * len(columns)
        return b""

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the whole file.

        Raises:
            Fault: the fault given, as no part of the file has been sent.
            TransientFault: the rows that were put aside cannot be read back.
        """
        if error is not None:
            raise error
        status, _ = votable.outcome(overflowed or self.overflowed, None)
        packers = list(map(self._packer, self._columns, self._shapes, self._widths))
        try:
            table = [b"".join(_packed(row, packers) for row in rows) for rows in self._waiting()]
        except OSError as failure:
            raise _not_kept() from failure
        finally:
            self._spool.close()
        parts = [_primary(self._infos), self._header(status), *table, *self._heap]
        return b"".join([*parts, bytes(-sum(map(len, parts)) % _BLOCK)])

    def _write(self, rows: list[Row]) -> bytes:
        for i, column in enumerate(self._columns):
            if is_text(column):
                longest = max(len(row[i] or "") for row in rows)
                self._widths[i] = max(self._widths[i], min(longest, self._shapes[i].bound or longest))
        size = sum(size for _, size in self._forms()) * (self.rows + len(rows))
        if size > self._largest:
            raise UsageFault(
                f"The FITS table gets larger than {self._largest / 1e6:.0f} MB.",
                "Ask for fewer rows or columns, or for VOTable or Parquet, which have no such limit.",
            )
        try:
            self._spool.write(json.dumps(rows).encode() + b"\n")
        except OSError as failure:
            raise _not_kept() from failure
        return b""

    def _waiting(self) -> Iterator[list[Row]]:
        """Return the rows that were put aside, in blocks."""
        self._spool.seek(0)
        yield from map(json.loads, self._spool)

    def _packer(self, column: Column, shape: Shape, width: int) -> Packer:
        """Return what packs a cell into the fixed width that its column has in the table."""
        if is_text(column):
            return lambda cell: ascii_text(cell, width).ljust(width, b"\0")
        if not shape.array:
            return scalar(column.datatype, _UNKNOWN)
        pack = array(column.datatype, _UNKNOWN, shape.bound)
        if shape.variable:
            return lambda cell: self._to_heap(pack(cell))
        filling = [scalar(column.datatype, _UNKNOWN)(None)] * (shape.bound or 0)
        return lambda cell: b"".join((pack(cell) + filling)[: shape.bound])

    def _to_heap(self, items: list[bytes]) -> bytes:
        """Put the elements of an array behind the table; return what stands for them in it."""
        data = b"".join(items)
        descriptor = _DESCRIPTOR.pack(len(items), self._heap_size)
        self._heap.append(data)
        self._heap_size += len(data)
        return descriptor

    def _forms(self) -> list[tuple[str, int]]:
        """Return TFORM and bytes a row of each column."""
        return list(map(_form, self._columns, self._shapes, self._widths))

    def _header(self, status: str) -> bytes:
        header = fits.Header()
        header["XTENSION"] = ("BINTABLE", "binary table")
        header["BITPIX"] = 8
        header["NAXIS"] = 2
        forms = self._forms()
        header["NAXIS1"] = (sum(size for _, size in forms), "bytes a row")
        header["NAXIS2"] = (self.rows, "rows")
        header["PCOUNT"] = (self._heap_size, "bytes of arrays of variable length")
        header["GCOUNT"] = 1
        header["TFIELDS"] = len(self._columns)
        header["EXTNAME"] = "RESULT"
        header["QSTATUS"] = (status, "QUERY_STATUS of DALI: OK or OVERFLOW")
        for number, (column, (form, _)) in enumerate(zip(self._columns, forms, strict=True), 1):
            _describe(header, number, column, form)
        return header.tostring().encode("ascii")


def _packed(row: Row, packers: Sequence[Packer]) -> bytes:
    return b"".join(pack(cell) for pack, cell in zip(packers, row, strict=True))


def _form(column: Column, shape: Shape, width: int) -> tuple[str, int]:
    """Return the TFORM of a column, and the bytes that it takes in a row."""
    if is_text(column):
        return f"{width}A", width
    code = _CODES[column.datatype]
    size = len(scalar(column.datatype, _UNKNOWN)(None))
    if not shape.array:
        return code, size
    return (
        (f"1Q{code}", _DESCRIPTOR.size)
        if shape.variable
        else (f"{shape.bound}{code}", size * (shape.bound or 0))
    )


def _describe(header: fits.Header, number: int, column: Column, form: str) -> None:
    """Add the keywords of a column."""
    header[f"TTYPE{number}"] = _plain(column.name)
    header[f"TFORM{number}"] = form
    if column.datatype in NULLS:
        header[f"TNULL{number}"] = NULLS[column.datatype]
    texts = {"TUNIT": column.unit, "TUCD": column.ucd, "TUTYP": column.utype, "TCOMM": column.description}
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
