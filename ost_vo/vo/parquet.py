"""Results as Parquet, with the metadata of a VOTable in the footer of the file.

The rows leave a row group at a time, of columns that compiled kernels gather from the COPY stream.

Source: IVOA Note "Parquet in the VO" 1.0, section 2 (the VOParquet convention); VOTable 1.4.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from lxml import etree

from ost_vo.vo import binarykernels as kernels
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.copybinary import Scanned, layout, mismatch
from ost_vo.vo.votable import Status

VERSION = "1.0"
_VERSION_KEY = "IVOA.VOTable-Parquet.version"
_CONTENT_KEY = "IVOA.VOTable-Parquet.content"

# Size of the rows that become one row group (bytes): this much waits in memory.
_GROUP_BYTES = 8 * 1024 * 1024
_TYPES = {
    "boolean": pa.bool_(),
    "bit": pa.uint8(),
    "unsignedByte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "floatComplex": pa.float32(),
    "doubleComplex": pa.float64(),
    "char": pa.string(),
    "unicodeChar": pa.string(),
}
# Bytes of a value as it is sent.
_SENT = {kind: max(kind.bit_width // 8, 1) for kind in _TYPES.values() if kind != pa.string()}
_SENT[pa.uint8()] = 2


class Parquet(Scanned):
    """An encoder from binary COPY to a Parquet file.

    Nulls are nulls, timestamps text as their FIELDs say. An unsignedByte out of 0 to 255 becomes null.
    """

    content_type = "application/vnd.apache.parquet"
    tells_faults = False

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return nothing: the file begins with its first row group."""
        self._columns = columns
        self._layout = layout(columns)
        self._sizes = np.zeros(len(columns), np.int64)
        self._outlet = _Outlet()
        self._schema = pa.schema([(column.name, _type(column)) for column in columns])
        self._writer = pa.parquet.ParquetWriter(self._outlet, self._schema)
        self._waiting = bytearray()
        self._waiting_rows = 0
        return b""

    def _aside(self, data: bytes, rows: int) -> bytes:
        self._waiting += data
        self._waiting_rows += rows
        return self._group() if len(self._waiting) >= _GROUP_BYTES else b""

    def _ending(self, status: Status, message: str) -> Iterator[bytes]:
        yield self._group()
        content = _without_data(
            votable.head(self._columns, **self._envelope)
            + votable.tail(status, message, resources_after=self._resources_after)
        )
        self._writer.add_key_value_metadata({_VERSION_KEY: VERSION, _CONTENT_KEY: content})
        self._writer.close()
        yield self._outlet.taken()

    def _group(self) -> bytes:
        """Return the rows that have waited as a row group."""
        if not self._waiting_rows:
            return b""
        source = np.frombuffer(bytes(self._waiting), np.uint8)
        places = np.empty((len(self._columns), self._waiting_rows), np.int64)
        lengths = np.empty_like(places)
        kernels.index(source, places, lengths)
        self._waiting.clear()
        self._waiting_rows = 0
        arrays = []
        for number, column in enumerate(self._columns):
            array = _values(source, places[number], lengths[number], column)
            if array is None:
                raise mismatch(self._columns, number)
            arrays.append(array)
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
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


def _values(source: np.ndarray, places: np.ndarray, lengths: np.ndarray, column: Column) -> pa.Array | None:
    """Return a column; None where its values are not of its type."""
    if not _is_list(column):
        return _scalars(source, places, lengths, _TYPES[column.datatype])
    counts = np.empty(places.size, np.int64)
    if not kernels.count_elements(source, places, lengths, counts):
        return None
    offsets = _offsets(counts)
    inner = np.empty(offsets[-1], np.int64)
    sizes = np.empty_like(inner)
    kernels.index_elements(source, places, offsets, inner, sizes)
    elements = _scalars(source, inner, sizes, _TYPES[column.datatype])
    if elements is None:
        return None
    nulls = pa.array(lengths < 0)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), elements, mask=nulls)


def _scalars(
    source: np.ndarray, places: np.ndarray, lengths: np.ndarray, kind: pa.DataType
) -> pa.Array | None:
    if kind == pa.string():
        offsets = _offsets(np.maximum(lengths, 0))
        texts = np.empty(offsets[-1], np.uint8)
        kernels.gather_texts(source, places, lengths, texts)
        return pa.Array.from_buffers(
            kind,
            places.size,
            [_bits(lengths >= 0), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(texts)],
        )
    width = _SENT[kind]
    made = np.empty(places.size * width, np.uint8)
    if not kernels.gather(source, places, lengths, width, made):
        return None
    valid = lengths >= 0
    if kind == pa.uint8():
        numbers = made.view(np.int16)
        valid &= (numbers >= 0) & (numbers < 256)
        made = numbers.astype(np.uint8)
    if kind == pa.bool_():
        made = np.packbits(made, bitorder="little")
    return pa.Array.from_buffers(kind, places.size, [_bits(valid), pa.py_buffer(made)])


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _bits(valid: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(valid, bitorder="little"))


def _without_data(document: bytes) -> bytes:
    """Return a VOTable whose table has no DATA element (VOParquet section 2.2)."""
    root = etree.fromstring(document, etree.XMLParser(huge_tree=True))
    for data in list(root.iterfind(".//{*}DATA")):
        data.getparent().remove(data)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
