"""Uploaded documents of every format: what their columns are, and their rows as a COPY stream for PostgreSQL.

The first bytes of a document say its format: a VOTable, a FITS file, a Parquet file, or else CSV.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from ost_vo.faults import UsageFault
from ost_vo.vo import upload_binary, upload_tabledata
from ost_vo.vo.upload_binary import warm
from ost_vo.vo.uploads import Head, Serialisation, read_head

__all__ = ["Document", "batches", "copy_options", "read", "warm"]

_FITS, _PARQUET = b"SIMPLE  =", b"PAR1"
# The marks of UTF-8 and UTF-16 that may precede an XML document.
_MARKS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")
_FIRST_BYTES = 4096
# What a cell takes in most documents, to estimate how many rows there are before they are read [bytes].
_CELL_BYTES = 16


@dataclass(frozen=True)
class Document:
    """An uploaded table whose rows have not been read yet.

    Attributes:
        head: its columns.
        copy_options: of the COPY statement that takes the rows.
        rows: returns the rows as pieces of a COPY stream; it raises a UsageFault at a row that is wrong.
        count: how many there are; an estimate.
    """

    head: Head
    copy_options: str
    rows: Callable[[], Iterator[bytes]]
    count: int


def read(file: BinaryIO, name: str) -> Document:
    """Return what an uploaded document holds, in whatever format it is.

    Args:
        file: the document, uncompressed; it stays open until the rows have been read.
        name: of the table, for messages.

    Raises:
        UsageFault: it is no table in one of the formats, or has a column that cannot be stored.
    """
    first = file.read(_FIRST_BYTES)
    file.seek(0)
    if first.startswith(_PARQUET):
        from ost_vo.vo import upload_arrow, upload_parquet  # Arrow takes a while to import

        parquet = upload_parquet.Parquet(file, name)
        rows = partial(upload_arrow.batches, parquet.batches, parquet.head)
        return Document(parquet.head, upload_arrow.COPY_OPTIONS, rows, parquet.count)
    if first.startswith(_FITS):
        from ost_vo.vo import upload_arrow, upload_fits  # astropy takes a while to import

        fits = upload_fits.FitsTable(file, name)
        rows = partial(upload_arrow.batches, fits.batches, fits.head)
        return Document(fits.head, upload_arrow.COPY_OPTIONS, rows, fits.count)
    if _is_xml(first):
        return _votable(file, name)
    return _delimited(file, first, name)


def _is_xml(first: bytes) -> bool:
    for mark in _MARKS:
        first = first.removeprefix(mark)
    return first.lstrip().startswith((b"<", b"\0<"))


def _votable(file: BinaryIO, name: str) -> Document:
    head = read_head(file, name)
    count = _size(file) // (_CELL_BYTES * len(head.fields))
    options = copy_options(head.serialisation or "TABLEDATA")
    return Document(head, options, partial(_rewound, file, head, name), count)


def _delimited(file: BinaryIO, first: bytes, name: str) -> Document:
    if not first.strip() or b"\0" in first:
        raise UsageFault(
            f"The upload {name} is {'binary data' if first.strip() else 'empty'}.",
            "Upload a VOTable, a FITS binary table, a Parquet file, or CSV with a header line.",
        )
    from ost_vo.vo import upload_arrow, upload_csv  # Arrow takes a while to import

    csv = upload_csv.Csv(file, name)
    rows = partial(upload_arrow.batches, csv.batches, csv.head)
    return Document(csv.head, upload_arrow.COPY_OPTIONS, rows, csv.count)


def _rewound(file: BinaryIO, head: Head, name: str) -> Iterator[bytes]:
    file.seek(0)
    return batches(file, head, name)


def _size(file: BinaryIO) -> int:
    return file.seek(0, io.SEEK_END)


def copy_options(serialisation: Serialisation) -> str:
    """Return the options of the COPY statement that takes the rows of a VOTable."""
    return (upload_tabledata if serialisation == "TABLEDATA" else upload_binary).COPY_OPTIONS


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
    kind = upload_tabledata if head.serialisation == "TABLEDATA" else upload_binary
    return kind.batches(file, head, name)
