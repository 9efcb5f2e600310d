"""Results as a page of HTML, for a person with a browser.

Source: HTML, the living standard (a table; nothing is loaded, no script runs).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from ost_vo.vo import textkernels
from ost_vo.vo.columns import Column
from ost_vo.vo.copytext import CopyText, layout
from ost_vo.vo.votable import Status

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1rem; }
pre { white-space: pre-wrap; }
table { border-collapse: collapse; }
th, td { padding: .15rem .6rem; border-bottom: 1px solid light-dark(#d5dbe3, #39414d); text-align: left; }
th { position: sticky; top: 0; background: Canvas; vertical-align: bottom; }
th small { display: block; font-weight: normal; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
a { color: light-dark(#1d4f91, #8ab8f5); }
.status { font-weight: bold; }
"""
# Characters that a document may not hold, not even as references.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


class HyperText(CopyText):
    """An encoder from text COPY to a page of HTML in UTF-8.

    A value that is a web address becomes a link. A null is an empty cell. The INFOs of a VOTable, such as the
    query, stand before the table; the last paragraph tells the number of rows, an overflow or a fault.
    """

    content_type = "text/html"
    # As of an empty text in a row of its own.
    growth = 20

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the page up to the first row."""
        self._layout = layout(columns, shown=True)
        told = "".join(
            f"<h2>{_safe(info.name)}</h2>\n<pre>{_safe(info.value)}</pre>\n"
            for info in self._envelope.get("infos", ())
        )
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Result</title>\n'
            f"<style>{_STYLE}</style>\n</head>\n<body>\n{told}<table>\n"
            f"<thead><tr>{''.join(map(_heading, columns))}</tr></thead>\n<tbody>\n"
        ).encode()

    def _ending(self, status: Status, message: str) -> Iterable[bytes]:
        notes = {"OK": "", "OVERFLOW": "There are more rows, cut off at the limit.", "ERROR": message}
        note = f"Rows: {self.rows}. {notes[status]}".rstrip()
        page = (
            f'</tbody>\n</table>\n<p class="status" data-status="{status}">{_safe(note)}</p>\n'
            "</body>\n</html>\n"
        )
        return [page.encode()]

    def _rewrite(self, source: np.ndarray, made: np.ndarray, most: int) -> tuple[int, int, int]:
        return textkernels.to_html(source, made, self._layout, most)


def _heading(column: Column) -> str:
    title = f' title="{_safe(column.description)}"' if column.description else ""
    unit = f"<small>{_safe(column.unit)}</small>" if column.unit else ""
    return f"<th{title}>{_safe(column.name)}{unit}</th>"


def _safe(text: str) -> str:
    return escape(_ILLEGAL.sub("\ufffd", text)).replace("\r", "&#13;")
