"""Lists beside files of what those were made from: `NAME.progenitors`, a path or a name a line.

A list may come before its file, with it or later, and may change by itself: what it says now counts, in place
of what it said before. One that is deleted changes nothing; an empty one takes its lines away.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from psycopg2.extensions import connection as Connection

from ingest.headers import Remark
from ingest.lineage import chosen, cleaned, placed
from ost_vo.store import references
from ost_vo.store.ingesting import transaction

SUFFIX = ".progenitors"
MAX_BYTES = 1 << 20


def is_list(name: str) -> bool:
    """Whether a file of that name is a list beside another."""
    return name.endswith(SUFFIX) and name != SUFFIX


def take(connection: Connection, root: Path, paths: Iterable[str]) -> None:
    """Write down what lists say.

    Args:
        connection: of the role ost_ingest.
        root: the data root.
        paths: relative to it, of lists, and of files that may have one beside them.
    """
    made = dict.fromkeys(path.removesuffix(SUFFIX) if is_list(path) else path for path in paths)
    found = {path: read(root, path) for path in made if os.path.lexists(root / f"{path}{SUFFIX}")}
    if not found:
        return
    with transaction(connection) as cursor:
        lists = {path: names for path, (names, _) in found.items()}
        remarks = [(path, remark) for path, (_, remarks) in found.items() for remark in remarks]
        references.write_listed(cursor, lists, remarks)


def read(root: Path, path: str) -> tuple[list[str], list[Remark]]:
    """Return what the list beside a file names, and what is wrong with it.

    Blank lines and such that begin with '#' are left out.
    """
    try:
        with open(root / f"{path}{SUFFIX}", "rb", opener=_opener) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return [], [Remark("LINEAGE", "The list of progenitors beside it is no ordinary file.")]
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        return [], [Remark("LINEAGE", f"The list of progenitors beside it cannot be read: {error.strerror}.")]
    lines = raw[:MAX_BYTES].decode("utf-8", "replace").splitlines()
    names = (cleaned(line) for line in lines if not line.lstrip().startswith("#"))
    found, remarks = chosen(placed(name, path, f"{root}/") for name in names if name)
    if len(raw) > MAX_BYTES:
        reason = f"Only the first {MAX_BYTES} bytes of the list of progenitors beside it are read."
        remarks.append(Remark("LINEAGE", reason))
    return found, remarks


def _opener(path: str, flags: int) -> int:
    # Not through a link, and without waiting for the writer of a FIFO.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
