"""Results as JSON: an object with the metadata of the columns, the rows as arrays, and the status.

No standard of the IVOA describes JSON; the names ``metadata`` and ``data``, and the attributes of a column,
are those that other TAP services answer with. ``status`` comes last and says what QUERY_STATUS says in a
VOTable (DALI 1.1 section 4.4), so that overflow and faults can be told after the rows.

Source: RFC 8259 (JSON).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring

from ost_vo.faults import Fault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.copyrows import CopyRows, Row, elements, is_text

# JSON has no such numbers.
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_ATTRIBUTES = ("xtype", "unit", "ucd", "utype", "description")


class RowJson(CopyRows):
    """An encoder from text COPY to JSON in UTF-8.

    A null, and a number that is not finite, is ``null``. Integers are written in full, though JavaScript
    rounds those above 2**53.
    """

    content_type = "application/json"

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
        """
        self._columns = columns
        self._writers = [_writer(column) for column in columns]
        metadata = ",\n".join(_dumped(_described(column)) for column in columns)
        return f'{{"metadata": [\n{metadata}\n],\n"data": [\n'.encode()

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the end of the document, with the status: OK, OVERFLOW or ERROR, and a message.

        Args:
            overflowed: report an overflow that the encoder has not seen itself.
            error: report this fault, which cut the stream short.
        """
        value, message = votable.outcome(overflowed or self.overflowed, error)
        return f'\n],\n"status": {_dumped({"value": value, "message": message})}}}\n'.encode()

    def _write(self, rows: list[Row]) -> bytes:
        texts = ",\n".join(self._row(row) for row in rows)
        return f",\n{texts}".encode() if self.rows else texts.encode()

    def _row(self, row: Row) -> str:
        values = (
            "null" if cell is None else write(cell) for write, cell in zip(self._writers, row, strict=True)
        )
        return f"[{', '.join(values)}]"


def _described(column: Column) -> dict[str, str | None]:
    optional = {name: getattr(column, name) or None for name in _ATTRIBUTES}
    return {
        "name": column.name,
        "datatype": column.datatype,
        "arraysize": votable.arraysize(column),
        **optional,
    }


def _writer(column: Column) -> Callable[[str], str]:
    """Return what turns a cell into JSON."""
    shape = votable.shape(column)
    if is_text(column):
        return encode_basestring
    return _array if shape.array else _scalar


def _array(text: str) -> str:
    return f"[{', '.join('null' if item is None else _scalar(item) for item in elements(text))}]"


def _scalar(text: str) -> str:
    """Return a number, which PostgreSQL spells as JSON does, or a truth value."""
    if text in _NOT_FINITE:
        return "null"
    return {"t": "true", "f": "false"}.get(text, text)


def _dumped(value: dict[str, str | None]) -> str:
    return json.dumps(value, ensure_ascii=False)
