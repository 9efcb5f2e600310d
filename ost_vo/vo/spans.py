"""A document made of pieces that lie in memory and in files, and which of them a range of its bytes meets."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Stored:
    """The whole content of a file.

    Attributes:
        number: of the file, counted from 0.
        size: of the file [byte].
    """

    number: int
    size: int


Part = bytes | Stored


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one part.

    Attributes:
        part: the part.
        offset: where it begins in the part [byte].
        length: of the stretch [byte].
    """

    part: Part
    offset: int
    length: int


class Spans:
    """The parts of a document, one after another.

    Args:
        parts: in order.
    """

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = [part for part in parts if _size(part)]
        self._ends = list(accumulate(map(_size, self._parts)))

    @property
    def size(self) -> int:
        """The length of the document [byte]."""
        return self._ends[-1] if self._ends else 0

    @property
    def digest(self) -> str:
        """SHA-256 of what lies in memory, and of where files come in; hexadecimal."""
        digest = hashlib.sha256()
        for part in self._parts:
            digest.update(part if isinstance(part, bytes) else f"{part.number}:{part.size}".encode())
        return digest.hexdigest()

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """Yield what the bytes from ``start`` up to, not including, ``stop`` are made of."""
        first = bisect_right(self._ends, start)
        begin = self._ends[first - 1] if first else 0
        for part in self._parts[first:]:
            if begin >= stop:
                return
            offset = max(start - begin, 0)
            yield Piece(part, offset, min(stop - begin, _size(part)) - offset)
            begin += _size(part)


def _size(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part.size
