"""Results as Parquet, with the metadata of a VOTable in the footer of the file.

The rows are read from what the CSV kernel makes of the COPY stream, and leave a row group at a time.

Source: IVOA Note "Parquet in the VO" 1.0, section 2 (the VOParquet convention); VOTable 1.4.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Unpack

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from lxml import etree

from ost_vo.faults import FatalFault, Fault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.delimited import Csv
from ost_vo.vo.votable import Envelope, ServiceDescriptor

VERSION = "1.0"
_VERSION_KEY = "IVOA.VOTable-Parquet.version"
_CONTENT_KEY = "IVOA.VOTable-Parquet.content"

# Size of the CSV text that becomes one row group (bytes): this much waits in memory.
_GROUP_BYTES = 8 * 1024 * 1024
_TYPES = {
    "boolean": pa.bool_(),
    "unsignedByte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "char": pa.string(),
    "unicodeChar": pa.string(),
}
# How VOTable spells what Arrow spells otherwise.
_SPELLINGS = {"+Inf": "inf", "-Inf": "-inf", "?": None}


class Parquet:
    """An encoder from text COPY to a Parquet file.

    Nulls are nulls, timestamps text as their FIELDs say. An empty array cannot be told from a null one.

    Attributes:
        content_type: media type of the file.
        copy_options: the options of the COPY statement whose output it reads.
        rows: rows taken so far.
        overflowed: whether the database sent more rows than the limit.
    """

    content_type = "application/vnd.apache.parquet"
    copy_options = Csv.copy_options

    def __init__(
        self,
        limit: int | None = None,
        *,
        resources_after: Iterable[ServiceDescriptor] = (),
        **envelope: Unpack[Envelope],
    ) -> None:
        """Create an encoder for one result.

        Args:
            limit: the most rows to write, None for all; the query asks for one more, to see an overflow.
            resources_after: service descriptors that follow the result in its VOTable.
            envelope: the optional arguments of :func:`ost_vo.vo.votable.head`.
        """
        self._csv = Csv(limit)
        self.rows = 0
        self.overflowed = self._csv.overflowed
        self._envelope = envelope
        self._resources_after = tuple(resources_after)
        self._columns: Sequence[Column] = ()
        self._waiting: list[bytes] = []
        self._size = 0
        self._outlet = _Outlet()

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return nothing: the file begins with its first row group.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
        """
        self._csv.begin(columns)
        self._columns = columns
        self._schema = pa.schema([(column.name, _type(column)) for column in columns])
        self._writer = pa.parquet.ParquetWriter(self._outlet, self._schema)
        return b""

    def feed(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Return the row group that the chunk completes, if it does.

        Args:
            chunk: the next bytes of the COPY stream, cut anywhere.

        Raises:
            FatalFault: the stream does not hold what the columns declare.
        """
        text = self._csv.feed(chunk)
        self.rows, self.overflowed = self._csv.rows, self._csv.overflowed
        self._waiting.append(text)
        self._size += len(text)
        return self._group() if self._size >= _GROUP_BYTES else b""

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the last row group and the footer, whose VOTable tells an overflow.

        Raises:
            Fault: the fault given: a file without its footer is not mistaken for a whole one.
        """
        if error is not None:
            raise error
        status, message = votable.outcome(overflowed or self.overflowed, None)
        last = self._group()
        content = _without_data(
            votable.head(self._columns, **self._envelope)
            + votable.tail(status, message, resources_after=self._resources_after)
        )
        self._writer.add_key_value_metadata({_VERSION_KEY: VERSION, _CONTENT_KEY: content})
        self._writer.close()
        return last + self._outlet.taken()

    def _group(self) -> bytes:
        text = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if text:
            self._writer.write_table(_table(text, self._columns, self._schema))
        return self._outlet.taken()


class _Outlet(io.RawIOBase):
    """A file that is taken away while it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        parts = b"".join(self._parts)
        self._parts.clear()
        return parts


def _type(column: Column) -> pa.DataType:
    element = _TYPES[column.datatype]
    return pa.list_(element) if _is_list(column) else element


def _is_list(column: Column) -> bool:
    return votable.shape(column).array and column.datatype not in ("char", "unicodeChar")


def _table(text: bytes, columns: Sequence[Column], schema: pa.Schema) -> pa.Table:
    """Return the rows of CSV text without a heading."""
    names = [str(number) for number in range(len(columns))]  # names of columns may repeat
    read = [pa.string() if _respelt(column) else _type(column) for column in columns]
    try:
        rows = pa.csv.read_csv(
            io.BytesIO(text),
            pa.csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            pa.csv.ConvertOptions(
                column_types=dict(zip(names, read, strict=True)),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["true"],
                false_values=["false"],
            ),
        )
        arrays = [
            _converted(values, column) if _respelt(column) else values
            for values, column in zip(rows.columns, columns, strict=True)
        ]
    except pa.ArrowInvalid as error:
        raise FatalFault("The result does not have the types that the metadata declares.") from error
    return pa.Table.from_arrays(arrays, schema=schema)


def _respelt(column: Column) -> bool:
    """Whether values must be read as text first."""
    return _is_list(column) or column.datatype in ("float", "double")


def _converted(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    convert = _lists if _is_list(column) else _elements
    return pa.chunked_array(
        [convert(chunk, _TYPES[column.datatype]) for chunk in values.chunks], _type(column)
    )


def _lists(texts: pa.Array, element: pa.DataType) -> pa.Array:
    split = pc.split_pattern(texts, " ")
    return pa.ListArray.from_arrays(split.offsets, _elements(split.values, element), mask=split.is_null())


def _elements(texts: pa.Array, element: pa.DataType) -> pa.Array:
    for spelling, other in _SPELLINGS.items():
        texts = pc.if_else(pc.equal(texts, spelling), pa.scalar(other, pa.string()), texts)
    return texts.cast(element)


def _without_data(document: bytes) -> bytes:
    """Return a VOTable whose table has no DATA element (VOParquet section 2.2)."""
    root = etree.fromstring(document, etree.XMLParser(huge_tree=True))
    for data in list(root.iterfind(".//{*}DATA")):
        data.getparent().remove(data)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
