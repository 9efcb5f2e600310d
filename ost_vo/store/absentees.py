"""Products whose files are not where they were, while archive and disk are compared.

They may be all of a million, as where somebody renamed every run, so they are in a temporary table, which
lives as long as its connection and is visible to nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.store import moves
from ost_vo.store.ingesting import transaction
from ost_vo.store.moves import Located, Move
from ost_vo.store.products import FileState

_BATCH = 5000

_MAKE = """
DROP TABLE IF EXISTS pg_temp.absentees;
CREATE TEMPORARY TABLE absentees (
    product_id bigint, path text, file_size bigint, file_modified timestamptz, sha256 bytea,
    privileges smallint, is_missing bool, is_deleted bool,
    below_run text, name text,
    new_path text, night date, old_obs_id text, obs_id text, moves bool NOT NULL DEFAULT false
) WITH (fillfactor = 50)"""
_INDEX = """
CREATE INDEX ON absentees (file_size);
CREATE INDEX ON absentees (sha256);
CREATE INDEX ON absentees (path);
CREATE INDEX ON absentees (product_id);
ANALYZE absentees"""
_ADD = """
INSERT INTO absentees
SELECT p.product_id, p.path, p.file_size, p.file_modified, p.sha256, p.privileges,
    p.missing_since IS NOT NULL, false,
    substr(p.path, strpos(p.path, '/') + 1), regexp_replace(p.path, '^.*/', '')
FROM archive.products p WHERE p.path = ANY (%s)"""
_ADD_DELETED = """
INSERT INTO absentees
SELECT product_id, path, file_size, file_modified, sha256, 0, true, true,
    substr(path, strpos(path, '/') + 1), regexp_replace(path, '^.*/', '')
FROM archive.deletions WHERE path = ANY (%s)"""
_ABSENTEES = """
SELECT product_id, path, file_size, file_modified, sha256, privileges, is_missing, is_deleted, new_path
FROM absentees"""

_SIZES = """
SELECT size FROM unnest(%s::bigint[]) AS s (size)
WHERE EXISTS (SELECT FROM absentees WHERE file_size = size)"""
# Two of each tell whether there is exactly one.
_ALIKE = f"{_ABSENTEES} WHERE sha256 = f.digest AND new_path IS NULL"
_CANDIDATES = f"""
SELECT f.number, c.* FROM unnest(%s::int[], %s::bytea[], %s::text[], %s::text[])
        AS f (number, digest, below_run, name)
    CROSS JOIN LATERAL (
        ({_ALIKE} LIMIT 2)
        UNION ({_ALIKE} AND absentees.below_run = f.below_run LIMIT 2)
        UNION ({_ALIKE} AND absentees.name = f.name LIMIT 2)) c"""  # noqa: S608 - of constants
_FIND = """
UPDATE absentees a SET new_path = v.new_path, night = v.night, old_obs_id = v.old_obs_id, obs_id = v.obs_id
FROM unnest(%s::bigint[], %s::bool[], %s::text[], %s::date[], %s::text[], %s::text[])
    AS v (product_id, is_deleted, new_path, night, old_obs_id, obs_id)
WHERE a.product_id = v.product_id AND a.is_deleted = v.is_deleted"""

_LOST = "new_path IS NULL AND NOT is_missing AND NOT is_deleted"
_COUNT_LOST = "SELECT count(*) FROM absentees WHERE " + _LOST  # noqa: S608 - a condition written here
_AFTER = "AND path > %(path)s ORDER BY path LIMIT %(batch)s"
_LIST_LOST = f"{_ABSENTEES} WHERE {_LOST} {_AFTER}"
_LIST_DELETED = f"{_ABSENTEES} WHERE is_deleted AND new_path IS NOT NULL {_AFTER}"

# One that moved meanwhile stays where it is, as in `moves`. None is in the way of another: nothing is on disk
# where an absentee was.
_MOVING = """
WITH there AS (
    SELECT p.product_id FROM archive.products p
        JOIN absentees a ON a.product_id = p.product_id AND a.path = p.path
    WHERE a.new_path IS NOT NULL AND NOT a.is_deleted FOR UPDATE OF p
)
UPDATE absentees a SET moves = true FROM there WHERE a.product_id = there.product_id AND NOT a.is_deleted"""
_IN_THE_WAY = "path IN (SELECT new_path FROM absentees WHERE moves)"
_RUNS = """
SELECT split_part(path, '/', 1), split_part(new_path, '/', 1), min(night), min(product_id)
FROM absentees WHERE moves GROUP BY 1, 2 HAVING split_part(path, '/', 1) <> split_part(new_path, '/', 1)
ORDER BY 4"""
_GOES_ALONG = """
EXISTS (SELECT FROM absentees a WHERE a.moves AND a.product_id = p.product_id
    AND split_part(a.new_path, '/', 1) = %(new)s)"""
_MOVES = "EXISTS (SELECT FROM absentees a WHERE a.moves AND a.product_id = p.product_id)"
_ARRIVE = """
WITH next AS MATERIALIZED (
    SELECT * FROM absentees WHERE moves AND product_id > %(last)s ORDER BY product_id LIMIT %(batch)s),
arrived AS (
    UPDATE archive.products p SET path = a.new_path, run_id = r.run_id, missing_since = NULL,
        obs_id = CASE WHEN p.obs_id = a.old_obs_id THEN a.obs_id ELSE p.obs_id END
    FROM next a JOIN archive.runs r ON r.name = split_part(a.new_path, '/', 1)
    WHERE p.product_id = a.product_id)
SELECT count(*), max(product_id) FROM next"""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that no product was made from.

    Attributes:
        path: where it is.
        digest: its SHA-256.
        to: makes the move of a product to that path; None where the product cannot have become the file.
    """

    path: str
    digest: bytes
    to: Callable[[Located], Move | None]


class Absentees:
    """The absentees of one comparison.

    Args:
        connection: of the role ost_ingest; one comparison at a time.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        with transaction(connection) as cursor:
            cursor.execute(_MAKE)

    def close(self) -> None:
        """Forget them."""
        with transaction(self._connection) as cursor:
            cursor.execute("DROP TABLE IF EXISTS pg_temp.absentees")

    def add(self, paths: Sequence[str]) -> None:
        """Note the products at paths where nothing is on disk; what has left them meanwhile is not absent."""
        self._add(_ADD, paths)

    def add_deleted(self, paths: Sequence[str]) -> None:
        """Note what is kept of deleted products at such paths."""
        self._add(_ADD_DELETED, paths)

    def _add(self, statement: str, paths: Sequence[str]) -> None:
        if paths:
            with transaction(self._connection) as cursor:
                cursor.execute(statement, (list(paths),))

    def complete(self) -> None:
        """Have what was added found fast; before anything is asked."""
        with transaction(self._connection) as cursor:
            cursor.execute(_INDEX)

    def sizes(self, sizes: Collection[int]) -> set[int]:
        """Return which of some sizes [bytes] the file of one had."""
        with transaction(self._connection) as cursor:
            cursor.execute(_SIZES, (list(sizes),))
            return {size for (size,) in cursor.fetchall()}

    def follow(self, files: Sequence[NewFile]) -> list[Move]:
        """Have absentees follow the new files that they must be, by their SHA-256; return the moves.

        Copies, as in two directories of a run that was renamed, are told apart by their names. Where a doubt
        is left, nothing follows.
        """
        moved: list[Move] = []
        # Whether the second of two files alike is a certain product depends on what the first one is.
        turns: dict[bytes, int] = {}
        rounds: dict[int, list[NewFile]] = {}
        for file in files:
            turn = turns[file.digest] = turns.get(file.digest, -1) + 1
            rounds.setdefault(turn, []).append(file)
        with transaction(self._connection) as cursor:
            for turn in range(len(rounds)):
                moved += _follow(cursor, rounds[turn])
        return moved

    def count_lost(self) -> int:
        """Return how many were found nowhere, and were not known to be missing."""
        with transaction(self._connection) as cursor:
            cursor.execute(_COUNT_LOST)
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    def lost(self) -> Iterator[list[Located]]:
        """Yield those, by path, a few thousand at a time."""
        last = ""
        while True:
            with transaction(self._connection) as cursor:
                cursor.execute(_LIST_LOST, {"path": last, "batch": _BATCH})
                batch = [_located(row) for row in cursor.fetchall()]
            if not batch:
                return
            yield batch
            last = batch[-1].file.path

    def relocate(self, tell: Callable[[int, int], None]) -> None:
        """Have products follow the files that were found, all or none, as `moves.relocate` does.

        Args:
            tell: told how many of how many have done so.

        Raises:
            Rejected: a new path breaks a constraint of the tables.
        """
        with transaction(self._connection) as cursor:
            _relocate_deleted(cursor)
            cursor.execute(_MOVING)
            if cursor.rowcount:
                _arrive(cursor, cursor.rowcount, tell)


def _follow(cursor: Cursor, files: Sequence[NewFile]) -> list[Move]:
    """Have absentees follow files no two of which are alike."""
    names = [_names(file.path) for file in files]
    below_runs, last_names = [below for below, _ in names], [name for _, name in names]
    digests = [file.digest for file in files]
    cursor.execute(_CANDIDATES, (list(range(len(files))), digests, below_runs, last_names))
    candidates: dict[int, list[Located]] = {}
    for number, *row in cursor.fetchall():
        candidates.setdefault(number, []).append(_located(row))
    moved = [
        move
        for number, alike in sorted(candidates.items())
        if (only := _only(alike, names[number])) and (move := files[number].to(only))
    ]
    if moved:
        found = [
            (m.located.product_id, m.located.is_deleted, m.path, m.night, m.old_obs_id, m.obs_id)
            for m in moved
        ]
        cursor.execute(_FIND, [list(column) for column in zip(*found, strict=True)])
    return moved


def _only(alike: Sequence[Located], names: tuple[str, str]) -> Located | None:
    """Return the one of some products alike that goes by the names of a file."""
    same_below_run = [one for one in alike if _names(one.file.path)[0] == names[0]]
    same_name = [one for one in alike if _names(one.file.path)[1] == names[1]]
    return next((some[0] for some in (alike, same_below_run, same_name) if len(some) == 1), None)


def _relocate_deleted(cursor: Cursor) -> None:
    last = ""
    while True:
        cursor.execute(_LIST_DELETED, {"path": last, "batch": _BATCH})
        rows = cursor.fetchall()
        if not rows:
            return
        for row in rows:
            moves.move_deletion(cursor, row[1], row[8])
        last = rows[-1][1]


def _arrive(cursor: Cursor, total: int, tell: Callable[[int, int], None]) -> None:
    cursor.execute("ANALYZE absentees")
    cursor.execute(_RUNS)
    for old, new, night, product_id in cursor.fetchall():
        names = {"old": old, "new": new, "night": night, "id": product_id}
        moves.prepare_run(cursor, names, _GOES_ALONG, _MOVES)
    moves.displace(cursor, _IN_THE_WAY, {})
    done, last = 0, 0
    while True:
        cursor.execute(_ARRIVE, {"last": last, "batch": _BATCH})
        arrived, last = cursor.fetchone() or (0, None)
        if not arrived:
            return
        done += arrived
        tell(done, total)


def _names(path: str) -> tuple[str, str]:
    """Return what a path is below its run, and the name of the file."""
    return path.partition("/")[2], path.rpartition("/")[2]


def _located(row: Sequence[Any]) -> Located:
    product_id, path, size, modified, digest, level, is_missing, is_deleted = row[:8]
    return Located(product_id, FileState(path, size, modified), bytes(digest), level, is_missing, is_deleted)
