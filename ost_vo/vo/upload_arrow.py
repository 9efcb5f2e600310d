"""Arrow's record batches as a COPY stream for PostgreSQL, in its CSV format.

Source: PostgreSQL 15, COPY, "CSV Format", and "Array Input and Output Syntax".
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ost_vo.vo.uploads import Head

# Arrow quotes every text, so that an empty one is none of the nulls.
COPY_OPTIONS = "FORMAT csv, NULL '', ENCODING 'UTF8'"


def batches(source: Callable[[], Iterator[pa.RecordBatch]], head: Head) -> Iterator[bytes]:
    """Yield the rows as pieces of a COPY stream; real numbers that are NaN become null, but not in arrays.

    Args:
        source: returns the rows, as many columns as the head has, of types that become theirs.
        head: the columns.

    Raises:
        UsageFault: whatever the source raises.
    """
    names = [str(place) for place in range(len(head.fields))]
    options = pyarrow.csv.WriteOptions(include_header=False)
    for batch in source():
        made = io.BytesIO()
        columns = [_spelt(column) for column in batch.columns]
        pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(columns, names), made, options)
        yield made.getvalue()


def _spelt(column: pa.Array) -> pa.Array:
    """Return a column in a type that CSV has, as PostgreSQL spells its values."""
    kind = column.type
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if pa.types.is_fixed_size_list(kind):
        column = column.cast(pa.list_(kind.value_type))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _array_text(column)
    return column


def _array_text(column: pa.Array) -> pa.Array:
    """Return lists as texts such as ``{1,NULL}``; those without an element are null, as in VOTable."""
    if column.offset:  # values and offsets are those of the whole array that this is a slice of
        column = column.take(pa.array(range(len(column))))
    elements = pc.fill_null(column.values.cast(pa.string()), "NULL")
    kind = pa.LargeListArray if pa.types.is_large_list(column.type) else pa.ListArray
    lists = kind.from_arrays(column.offsets, elements)
    joined = pc.binary_join_element_wise("{", pc.binary_join(lists, ","), "}", "")
    is_empty = pc.equal(pc.fill_null(pc.list_value_length(column), 0), 0)
    return pc.if_else(is_empty, pa.scalar(None, pa.string()), joined)
