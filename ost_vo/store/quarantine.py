"""Files that could not be ingested, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection

from ost_vo.store.ingesting import transaction
from ost_vo.store.products import FileState

_ADD = """
INSERT INTO archive.quarantine AS q (path, file_size, file_modified, reason)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::text[])
ON CONFLICT (path) DO UPDATE SET file_size = excluded.file_size, file_modified = excluded.file_modified,
    reason = excluded.reason, since = now()
WHERE (q.file_size, q.file_modified, q.reason)
    IS DISTINCT FROM (excluded.file_size, excluded.file_modified, excluded.reason)
"""

_REMOVE = """
DELETE FROM archive.quarantine
WHERE path = ANY (%(paths)s)
    OR EXISTS (SELECT FROM unnest(%(folders)s::text[]) AS f (folder) WHERE starts_with(path, folder))
"""

_BATCH = 5000


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that could not be ingested.

    Attributes:
        path: relative to the data root; bytes of its name that are no UTF-8 are written as in '\\xff'.
        reason: why, for people.
        since: since when, for this reason.
    """

    path: str
    reason: str
    since: datetime


def paths(connection: Connection) -> Iterator[list[tuple[str, str]]]:
    """Yield the paths in quarantine and the reasons, by path, a few thousand at a time."""
    last = ""
    while batch := _paths_after(connection, last):
        yield batch
        last = batch[-1][0]


def among(connection: Connection, paths: Sequence[str]) -> set[str]:
    """Return which of some paths are in quarantine."""
    with transaction(connection) as cursor:
        cursor.execute("SELECT path FROM archive.quarantine WHERE path = ANY (%s)", (list(paths),))
        return {path for (path,) in cursor.fetchall()}


def entries(connection: Connection) -> list[Entry]:
    """Return all files in quarantine, by path."""
    with transaction(connection) as cursor:
        cursor.execute("SELECT path, reason, since FROM archive.quarantine ORDER BY path")
        return [Entry(*row) for row in cursor.fetchall()]


def add(connection: Connection, files: Sequence[tuple[FileState, str]]) -> None:
    """Put files into quarantine, each with its reason; nothing changes where one is there, unchanged, for it.

    Raises:
        Rejected: a path or reason is nothing that the database can hold; nothing was written.
    """
    ordered = sorted(files, key=lambda one: one[0].path)
    columns = (
        [file.path for file, _ in ordered],
        [file.size for file, _ in ordered],
        [file.modified for file, _ in ordered],
        [reason for _, reason in ordered],
    )
    with transaction(connection) as cursor:
        cursor.execute(_ADD, columns)


def remove(connection: Connection, paths: Sequence[str]) -> None:
    """Take paths, and everything below them, out of quarantine: they are gone from disk."""
    folders = [f"{path}/" for path in paths]
    with transaction(connection) as cursor:
        cursor.execute(_REMOVE, {"paths": list(paths), "folders": folders})


def _paths_after(connection: Connection, last: str) -> list[tuple[str, str]]:
    with transaction(connection) as cursor:
        cursor.execute(
            "SELECT path, reason FROM archive.quarantine WHERE path > %s ORDER BY path LIMIT %s",
            (last, _BATCH),
        )
        return cursor.fetchall()
