"""PostgreSQL's text COPY stream as comma- or tab-separated values.

Made from text COPY rather than CSV COPY: rows can be counted and cut without looking at quotes, and truth
values, infinities and arrays are spelt as in VOTable.

Source: RFC 4180 (CSV), for TSV with a tab instead of the comma; TAP 1.1 section 2.7.3 (media types).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ost_vo.vo import textkernels
from ost_vo.vo.columns import Column
from ost_vo.vo.copytext import CopyText, layout
from ost_vo.vo.votable import Status


class Delimited(CopyText):
    """An encoder from text COPY to lines of values in UTF-8, the first line holding the names of the columns.

    A null is nothing at all, an empty string a pair of quotes; arrays are numbers between spaces. The formats
    know no place for a status, so an overflow is not marked, and a fault cannot be.
    """

    tells_faults = False
    delimiter: bytes

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the line with the names of the columns."""
        self._layout = layout(columns)
        return self.delimiter.join(self._quoted(column.name) for column in columns) + b"\n"

    def _ending(self, status: Status, message: str) -> Iterable[bytes]:
        del status, message
        return []

    def _quoted(self, name: str) -> bytes:
        text = name.encode()
        if any(special in text for special in (self.delimiter, b'"', b"\n", b"\r")):
            return b'"' + text.replace(b'"', b'""') + b'"'
        return text

    def _rewrite(self, source: np.ndarray, made: np.ndarray, most: int) -> tuple[int, int, int]:
        return textkernels.delimit(source, made, self._layout, most, self.delimiter[0])


class Csv(Delimited):
    """Comma-separated values."""

    content_type = "text/csv;header=present"
    delimiter = b","


class Tsv(Delimited):
    """Tab-separated values; one that holds a tab, a newline or a quote is quoted as in CSV."""

    content_type = "text/tab-separated-values"
    delimiter = b"\t"
