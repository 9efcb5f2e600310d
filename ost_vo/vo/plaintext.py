"""Results as plain text: aligned columns for the eyes of a person, in a terminal or a browser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ost_vo.vo import textkernels
from ost_vo.vo.columns import Column
from ost_vo.vo.copytext import CopyText, layout
from ost_vo.vo.textkernels import CHAR, KIND, WIDE
from ost_vo.vo.votable import Status

# The rows whose widths decide the layout; they wait for one another, the rest goes out as it comes.
_SAMPLE = 100
# A longer text in the sample does not push the columns apart (characters).
_WIDEST = 60
_GAP = "  "


class PlainText(CopyText):
    """An encoder from text COPY to aligned columns in UTF-8: names, units, a rule, the rows, and a count.

    Numbers stand at the right of their column. A value wider than its column shifts the rest of its line.
    Control characters are shown as escapes such as ``\\n``. A null is blank.
    """

    content_type = "text/plain"
    _widths = np.empty(0, np.int64)
    _begun = False

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return nothing: the layout depends on the first rows."""
        self._columns = columns
        self._layout = layout(columns, shown=True)
        return b""

    def feed(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Return the lines of the rows that the chunk completes; the first of them wait for one another."""
        if not self._begun:
            self._rest += bytes(chunk)
            return self._start() if self._rest.count(b"\n") >= _SAMPLE else b""
        return _visible(super().feed(chunk))

    def _ending(self, status: Status, message: str) -> Iterable[bytes]:
        sample = b"" if self._begun else self._start()
        count = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        note = {
            "OK": f"({count})",
            "OVERFLOW": f"({count}; there are more, cut off at the limit)",
            "ERROR": f"({count}, then the query failed) {message}",
        }[self._status(status)]
        return [sample, f"{note}\n".encode()]

    def _status(self, status: Status) -> Status:
        """Return the status; the rows that waited may have been too many."""
        return "OVERFLOW" if status == "OK" and self.overflowed else status

    def _row_padding(self) -> int:
        return int(self._widths.sum()) + len(_GAP) * len(self._columns)

    def _rewrite(self, source: np.ndarray, made: np.ndarray, most: int) -> tuple[int, int, int]:
        return textkernels.align(source, made, self._layout, most, self._widths)

    def _start(self) -> bytes:
        """Return the heading and the rows that have waited."""
        self._begun = True
        waiting, self._rest = self._rest, b""
        names = [column.name for column in self._columns]
        units = [column.unit or "" for column in self._columns]
        heading = [names, units] if any(units) else [names]
        self._widths = np.array([max(map(len, texts)) for texts in zip(*heading, strict=True)], np.int64)
        self._widths = np.maximum(self._widths, np.minimum(self._measured(waiting), _WIDEST))
        lines = [*heading, ["-" * width for width in self._widths]]
        return "".join(map(self._line, lines)).encode() + self.feed(waiting)

    def _measured(self, waiting: bytes) -> np.ndarray:
        source = np.frombuffer(waiting, np.uint8, waiting.rfind(b"\n") + 1)
        made, widths = np.empty(self.growth * source.size, np.uint8), np.zeros(len(self._columns), np.int64)
        textkernels.measure(source, made, self._layout, min(self._left(), _SAMPLE), widths)
        return widths

    def _line(self, texts: Sequence[str]) -> str:
        is_text = np.isin(self._layout[:, KIND], (CHAR, WIDE))
        aligned = (
            text.ljust(width) if left else text.rjust(width)
            for text, width, left in zip(texts, self._widths, is_text, strict=True)
        )
        return _GAP.join(aligned).rstrip() + "\n"


def _visible(lines: bytes) -> bytes:
    """Return lines with escapes in place of what cannot be printed; the kernel has done so within ASCII."""
    if lines.isascii():
        return lines
    return "\n".join(
        line if line.isprintable() else "".join(map(_escaped, line)) for line in lines.decode().split("\n")
    ).encode()


def _escaped(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
