"""What the readers of the formats are given, and what each makes of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ingest.headers import MAX_STORED_CHARACTERS, Remark
from ingest.observatory import Observatory
from ingest.stream import Stream
from ost_vo.store.products import Metadata


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that is open for reading.

    Attributes:
        path: relative to the data root.
        raw: the file itself, for formats that point to and fro.
        stream: the same bytes in order, hashed and unpacked on the way.
        size: bytes on disk.
        modified_ns: time of its last change [ns since 1970, UTC].
        location: where it lies, for astropy, which opens files by itself.
        observatory: that it comes from.
    """

    path: str
    raw: BinaryIO
    stream: Stream
    size: int
    modified_ns: int
    location: Path
    observatory: Observatory


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says about itself.

    Attributes:
        metadata: the columns.
        headers: (number of the header unit, its text) as the archive keeps them.
        remarks: what is doubtful in it.
        references: names of the files that it says it was made from.
    """

    metadata: Metadata
    headers: Sequence[tuple[int, str]]
    remarks: Sequence[Remark]
    references: Sequence[str] = ()


# A reader takes what it needs off a file's stream and returns this. It is called after the stream was read to
# its end, while the file is still open, and only for bytes that the archive does not know.
Describe = Callable[[], Description]
Reader = Callable[[DataFile], Describe]


def stored(text: str) -> tuple[list[tuple[int, str]], list[Remark]]:
    """Return a header text of a format without header units as the archive keeps it, and a remark where cut.

    What PostgreSQL or a terminal cannot show becomes '?'.
    """
    shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in text[:MAX_STORED_CHARACTERS])
    if len(text) <= MAX_STORED_CHARACTERS:
        return [(0, shown)], []
    reason = f"Only the first {MAX_STORED_CHARACTERS} characters of the header are kept."
    return [(0, shown)], [Remark("END", reason)]
