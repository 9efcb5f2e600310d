"""Results as JSON: an object with the metadata of the columns, the rows as arrays, and the status.

No standard of the IVOA describes JSON; the names ``metadata`` and ``data``, and the attributes of a column,
are those that other TAP services answer with. ``status`` comes last and says what QUERY_STATUS says in a
VOTable (DALI 1.1 section 4.4), so that overflow and faults can be told after the rows.

Source: RFC 8259 (JSON).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from ost_vo.vo import textkernels, votable
from ost_vo.vo.columns import Column
from ost_vo.vo.copytext import CopyText, layout
from ost_vo.vo.votable import Status

_ATTRIBUTES = ("xtype", "unit", "ucd", "utype", "description")


class RowJson(CopyText):
    """An encoder from text COPY to JSON in UTF-8.

    A null, and a number that is not finite, is ``null``. Integers are written in full, though JavaScript
    rounds those above 2**53.
    """

    content_type = "application/json"

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row."""
        self._layout = layout(columns)
        metadata = ",\n".join(_dumped(_described(column)) for column in columns)
        return f'{{"metadata": [\n{metadata}\n],\n"data": [\n'.encode()

    def _ending(self, status: Status, message: str) -> Iterable[bytes]:
        return [f'\n],\n"status": {_dumped({"value": status, "message": message})}}}\n'.encode()]

    def _rewrite(self, source: np.ndarray, made: np.ndarray, most: int) -> tuple[int, int, int]:
        return textkernels.to_json(source, made, self._layout, most, self.rows == 0)


def _described(column: Column) -> dict[str, str | None]:
    optional = {name: getattr(column, name) or None for name in _ATTRIBUTES}
    return {
        "name": column.name,
        "datatype": column.datatype,
        "arraysize": votable.arraysize(column),
        **optional,
    }


def _dumped(value: dict[str, str | None]) -> str:
    return json.dumps(value, ensure_ascii=False)
