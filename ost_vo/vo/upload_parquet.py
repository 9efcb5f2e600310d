"""Uploads as Parquet, with the metadata of a VOTable where the footer of the file has it.

Source: IVOA Note "Parquet in the VO" 1.0, section 2 (the VOParquet convention).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet

from ost_vo.faults import UsageFault
from ost_vo.vo.uploads import Declared, Field, Head, head, read_head

_CONTENT_KEY = b"IVOA.VOTable-Parquet.content"
_BATCH_ROWS = 10_000
# Datatype of a column by its Arrow type, and the type in which its values leave.
_DATATYPES: dict[pa.DataType, tuple[str, pa.DataType]] = {
    pa.bool_(): ("boolean", pa.bool_()),
    pa.uint8(): ("unsignedByte", pa.uint8()),
    pa.int8(): ("short", pa.int8()),
    pa.int16(): ("short", pa.int16()),
    pa.uint16(): ("int", pa.uint16()),
    pa.int32(): ("int", pa.int32()),
    pa.uint32(): ("long", pa.uint32()),
    pa.int64(): ("long", pa.int64()),
    pa.uint64(): ("long", pa.int64()),
    pa.float16(): ("float", pa.float32()),
    pa.float32(): ("float", pa.float32()),
    pa.float64(): ("double", pa.float64()),
    pa.string(): ("unicodeChar", pa.string()),
    pa.large_string(): ("unicodeChar", pa.string()),
    pa.string_view(): ("unicodeChar", pa.string()),
    pa.null(): ("unicodeChar", pa.string()),
}


class Parquet:
    """The table in a Parquet file.

    Attributes:
        head: its columns.
        count: number of its rows.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Read the footer.

        Raises:
            UsageFault: the file is damaged, or a column has a type that VOTable has not.
        """
        self._name = name
        try:
            self._parquet = pyarrow.parquet.ParquetFile(file)
            schema = self._parquet.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None
        self.count = self._parquet.metadata.num_rows
        if not schema.names:
            raise UsageFault(f"The table {name} has no columns.", "Upload a table with columns.")
        made = head([_declared(item, name) for item in schema], name)
        metadata = self._parquet.metadata.metadata or {}
        self.head = _described(made, metadata.get(_CONTENT_KEY), name) or made
        self._types = [_target(item.type) for item in schema]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, some at a time."""
        first = 1
        try:
            for batch in self._parquet.iter_batches(_BATCH_ROWS, use_threads=False):
                columns = [
                    self._converted(place, column, first) for place, column in enumerate(batch.columns)
                ]
                yield pa.RecordBatch.from_arrays(columns, batch.schema.names)
                first += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None

    def _converted(self, place: int, column: pa.Array, first: int) -> pa.Array:
        kind = self._types[place]
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        try:
            return column if column.type == kind else column.cast(kind)
        except pa.ArrowInvalid as error:
            raise UsageFault(
                f"Column {self.head.fields[place].column.name} of the table {self._name}, rows {first} to "
                f"{first + len(column) - 1}: {str(error).rstrip('.')}.",
                "Use numbers of at most 64 bits with a sign.",
            ) from None

    def _damaged(self, error: Exception) -> UsageFault:
        return UsageFault(f"The table {self._name} is no readable Parquet file: {error}.", "Check the file.")


def _declared(item: pa.Field, table: str) -> Declared:
    kind, datatype, attributes = _plain(item.type), "", {"name": item.name}
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Declared({**attributes, "datatype": "char", "arraysize": "*", "xtype": "timestamp"})
    if pa.types.is_fixed_size_list(kind):
        datatype, attributes["arraysize"] = _element(kind), str(kind.list_size)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        datatype, attributes["arraysize"] = _element(kind), "*"
    elif pa.types.is_decimal(kind):
        datatype = "double"
    elif kind in _DATATYPES:
        datatype = _DATATYPES[kind][0]
        if datatype == "unicodeChar":
            attributes["arraysize"] = "*"
    if not datatype:
        raise UsageFault(
            f"Column {item.name} of the table {table} has the type {item.type}.",
            "Use numbers, truth values, strings, timestamps, or lists of numbers or truth values.",
        )
    return Declared({**attributes, "datatype": datatype})


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _element(kind: pa.DataType) -> str:
    """Return the datatype of the elements of a list, empty where VOTable has no such array."""
    datatype, _ = _DATATYPES.get(kind.value_type, ("", None))
    return "" if datatype == "unicodeChar" else datatype


def _target(kind: pa.DataType) -> pa.DataType:
    """Return the type in which the values of a column leave."""
    kind = _plain(kind)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.string()
    if pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_DATATYPES[kind.value_type][1])
    return _DATATYPES[kind][1]


def _described(made: Head, content: bytes | None, name: str) -> Head | None:
    """Return the columns as the VOTable in the footer describes them, if it fits the stored types."""
    if content is None:
        return None
    found = read_head(io.BytesIO(content), name)
    pairs = list(zip(found.fields, made.fields, strict=False))
    fits = len(found.fields) == len(made.fields) and all(_fits(*pair) for pair in pairs)
    return found if fits else None


def _fits(described: Field, stored: Field) -> bool:
    """Tell whether values of the one column can be stored as those of the other."""
    return described.column.name == stored.column.name and _sort(described) == _sort(stored)


def _sort(item: Field) -> tuple[bool, str]:
    datatype = item.column.datatype
    sort = {"char": "text", "unicodeChar": "text", "boolean": "truth value"}.get(datatype, "number")
    return item.is_array, sort
