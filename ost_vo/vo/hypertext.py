"""Results as a page of HTML, for a person with a browser.

Source: HTML, the living standard (a table; nothing is loaded, no script runs).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Unpack

from ost_vo.faults import Fault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.copyrows import CopyRows, Row, is_text, speller
from ost_vo.vo.votable import Envelope

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
_URL = re.compile(r"https?://[^\s<>\"]+\Z")
# Characters that a document may not hold, not even as references.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


class HyperText(CopyRows):
    """An encoder from text COPY to a page of HTML in UTF-8.

    A value that is a web address becomes a link. A null is an empty cell. The last paragraph tells the
    number of rows, an overflow or a fault.
    """

    content_type = "text/html"

    def __init__(self, limit: int | None = None, **envelope: Unpack[Envelope]) -> None:
        """Create an encoder for one result.

        Args:
            limit: the most rows to write, None for all.
            envelope: what a VOTable would say; the page shows its INFOs, such as the query.
        """
        super().__init__(limit)
        self._infos = tuple(envelope.get("infos", ()))

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the page up to the first row.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
        """
        self._columns = columns
        self._writers = [_writer(column) for column in columns]
        told = "".join(
            f"<h2>{_safe(info.name)}</h2>\n<pre>{_safe(info.value)}</pre>\n" for info in self._infos
        )
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Result</title>\n'
            f"<style>{_STYLE}</style>\n</head>\n<body>\n{told}<table>\n"
            f"<thead><tr>{''.join(map(_heading, columns))}</tr></thead>\n<tbody>\n"
        ).encode()

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the rest of the page.

        Args:
            overflowed: report an overflow that the encoder has not seen itself.
            error: report this fault, which cut the stream short.
        """
        status, message = votable.outcome(overflowed or self.overflowed, error)
        notes = {"OK": "", "OVERFLOW": "There are more rows, cut off at the limit.", "ERROR": message}
        note = f"Rows: {self.rows}. {notes[status]}".rstrip()
        return (
            f'</tbody>\n</table>\n<p class="status" data-status="{status}">{_safe(note)}</p>\n'
            "</body>\n</html>\n"
        ).encode()

    def _write(self, rows: list[Row]) -> bytes:
        return "".join(f"<tr>{''.join(map(_cell, row, self._writers))}</tr>\n" for row in rows).encode()


def _writer(column: Column) -> Callable[[str], str]:
    """Return what turns a cell of the column into a TD."""
    spell = speller(column)
    if is_text(column):
        return _text
    return lambda cell: f'<td class="n">{spell(cell)}</td>'


def _heading(column: Column) -> str:
    title = f' title="{_safe(column.description)}"' if column.description else ""
    unit = f"<small>{_safe(column.unit)}</small>" if column.unit else ""
    return f"<th{title}>{_safe(column.name)}{unit}</th>"


def _cell(cell: str | None, write: Callable[[str], str]) -> str:
    return "<td></td>" if cell is None else write(cell)


def _text(cell: str) -> str:
    text = _safe(cell)
    return f'<td><a href="{text}">{text}</a></td>' if _URL.match(cell) else f"<td>{text}</td>"


def _safe(text: str) -> str:
    return escape(_ILLEGAL.sub("\ufffd", text)).replace("\r", "&#13;")
