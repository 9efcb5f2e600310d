"""Where archive and disk differ: both are gone through once, side by side, in the order of their paths.

Neither is ever held as a whole. What is on disk and not as the archive has it may be all of a million files,
so beyond some thousands it waits in a temporary file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ingest import discovery, formats, lists
from ingest.discovery import Found, Ignored
from ost_vo.store.inventory import Recorded

_MOST = 5000  # that are unlike, and told together
_MEMORY = 1 << 20  # bytes that are kept out of the temporary file


@dataclass(slots=True)
class Differences:
    """What differs in a part of the archive's files and the disk beside it.

    Attributes:
        recorded: products in that part.
        unseen: of the products that the disk was gone through without, their files as recorded.
        back: paths of products that are noted as missing, and whose files are there.
        unlike: what is there and has to be looked at: its path, and why it is more than a file.
    """

    recorded: int = 0
    unseen: list[Recorded] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    unlike: list[tuple[str, str | None]] = field(default_factory=list)


def compare(root: Path, ignored: Ignored, products: Iterable[list[Recorded]]) -> Iterator[Differences]:
    """Lay the disk beside the archive.

    Args:
        root: the data root; where there is none, nothing is on disk.
        ignored: the names to pass over.
        products: files of the archive, by path, some at a time.

    Yields:
        The differences, part by part, together all.
    """
    pages = iter(products)
    page = next(pages, [])
    recorded = {one.path: one for one in page}
    part = Differences(len(page))
    for path, entry in discovery.walk(root, ignored) if root.is_dir() else ():
        while page and path > page[-1].path:
            part.unseen = list(recorded.values())
            yield part
            page = next(pages, [])
            recorded = {one.path: one for one in page}
            part = Differences(len(page))
        if isinstance(entry, OSError):
            part.unlike.append((path, f"{discovery.UNLISTABLE}: {entry.strerror}."))
        else:
            _look_at(path, entry, recorded, part)
        if len(part.unlike) >= _MOST:
            yield part
            part = Differences()
    part.unseen = list(recorded.values())
    yield part
    for page in pages:
        yield Differences(len(page), page)


def _look_at(path: str, entry: os.DirEntry[str], recorded: dict[str, Recorded], part: Differences) -> None:
    """Strike out the product of a file on disk, and note what differs."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        # Whoever looks again finds out whether it is gone or cannot be looked at.
        part.unlike.append((path, None))
        return
    product = recorded.pop(path, None)
    is_file = entry.is_file(follow_symlinks=False)
    if product is None:
        if not is_file or _is_wanted(entry.name):
            part.unlike.append((path, None))
        return
    recorded_as = product.size, product.modified_us
    is_same = is_file and recorded_as == (status.st_size, status.st_mtime_ns // 1000)
    if product.is_missing:
        part.back.append(path)
    elif is_same and not product.is_quarantined:
        return
    part.unlike.append((path, None))


def _is_wanted(name: str) -> bool:
    return formats.is_data(name) or lists.is_list(name) or formats.refusal(name) is not None


class Unlike:
    """What is on disk and not as the archive has it, in the order in which it was found.

    Args:
        root: the data root.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lines = tempfile.SpooledTemporaryFile(_MEMORY, "w+", encoding="ascii")  # noqa: SIM115 - see close
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, found: Iterable[tuple[str, str | None]]) -> None:
        """Remember paths below the data root, each with why it is more than a file."""
        for one in found:
            self._lines.write(f"{json.dumps(one)}\n")
            self._count += 1

    def found(self) -> Iterator[Found]:
        """Yield what is at the paths now; one at a time goes through them."""
        self._lines.seek(0)
        for line in self._lines:
            path, problem = json.loads(line)
            if problem:
                yield Found(self._root / path, problem=problem)
            else:
                yield discovery.look_at(self._root / path)

    def close(self) -> None:
        """Forget them."""
        self._lines.close()
