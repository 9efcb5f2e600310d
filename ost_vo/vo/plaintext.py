"""Results as plain text: aligned columns for the eyes of a person, in a terminal or a browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ost_vo.faults import Fault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.copyrows import CopyRows, Row, is_text, speller

# The rows whose widths decide the layout; they wait for one another, the rest goes out as it comes.
_SAMPLE = 100
# A longer text in the sample does not push the columns apart (characters).
_WIDEST = 60
_GAP = "  "


class PlainText(CopyRows):
    """An encoder from text COPY to aligned columns in UTF-8: names, units, a rule, the rows, and a count.

    Numbers stand at the right of their column. A value wider than its column shifts the rest of its line.
    Control characters are shown as escapes such as ``\\n``. A null is blank.
    """

    content_type = "text/plain"

    def __init__(self, limit: int | None = None) -> None:
        """Create an encoder for one result, of at most so many rows."""
        super().__init__(limit)
        self._sample: list[list[str]] | None = []
        self._widths: list[int] = []

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return nothing: the layout depends on the first rows.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
        """
        self._columns = columns
        self._spellers = [speller(column) for column in columns]
        return b""

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the rest of the rows, and a line with their number, the overflow or the fault."""
        status, message = votable.outcome(overflowed or self.overflowed, error)
        count = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        note = {
            "OK": f"({count})",
            "OVERFLOW": f"({count}; there are more, cut off at the limit)",
            "ERROR": f"({count}, then the query failed) {message}",
        }[status]
        return self._laid_out() + f"{note}\n".encode()

    def _write(self, rows: list[Row]) -> bytes:
        texts = [list(map(_shown, row, self._spellers)) for row in rows]
        if self._sample is None:
            return self._lines(texts)
        self._sample += texts
        return self._laid_out() if len(self._sample) >= _SAMPLE else b""

    def _laid_out(self) -> bytes:
        """Return the heading and the rows that have waited, once."""
        if self._sample is None:
            return b""
        sample, self._sample = self._sample, None
        heading = [
            [column.name for column in self._columns],
            *(
                [[column.unit or "" for column in self._columns]]
                if any(c.unit for c in self._columns)
                else []
            ),
        ]
        self._widths = [
            max([len(row[i]) for row in heading] + [min(len(row[i]), _WIDEST) for row in sample])
            for i in range(len(self._columns))
        ]
        rule = [["-" * width for width in self._widths]]
        return self._lines(heading + rule + sample)

    def _lines(self, rows: list[list[str]]) -> bytes:
        return "".join(f"{self._line(row)}\n" for row in rows).encode()

    def _line(self, row: list[str]) -> str:
        aligned = (
            text.ljust(width) if is_text(column) else text.rjust(width)
            for text, width, column in zip(row, self._widths, self._columns, strict=True)
        )
        return _GAP.join(aligned).rstrip()


def _shown(cell: str | None, spell: Callable[[str], str]) -> str:
    text = "" if cell is None else spell(cell)
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
