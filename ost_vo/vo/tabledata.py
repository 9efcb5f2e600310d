"""Results as a VOTable with TABLEDATA, made from PostgreSQL's text COPY stream.

Source: VOTable 1.4 section 5.1 and 6 (TABLEDATA, spelling of values).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ost_vo.vo import textkernels, votable
from ost_vo.vo.columns import Column
from ost_vo.vo.copytext import CopyText, layout
from ost_vo.vo.votable import Status


class TableData(CopyText):
    """An encoder from text COPY to a VOTable document with TABLEDATA.

    Strings of ``char`` columns get ``?`` for each character outside ASCII, and characters that XML forbids
    become ``?``, in ``unicodeChar`` columns U+FFFD. A null is an empty cell, as since VOTable 1.3.
    """

    content_type = votable.CONTENT_TYPE

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row."""
        self._layout = layout(columns)
        return votable.head(columns, data_format="TABLEDATA", **self._envelope)

    def _ending(self, status: Status, message: str) -> Iterable[bytes]:
        return [votable.tail(status, message, resources_after=self._resources_after)]

    def _rewrite(self, source: np.ndarray, made: np.ndarray, most: int) -> tuple[int, int, int]:
        return textkernels.mark_up(source, made, self._layout, most)


def warm() -> None:
    """Compile the kernels for text, or load them from numba's cache, so that no request waits (seconds)."""
    textkernels.warm()
