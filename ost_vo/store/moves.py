"""Where the files of products are: products that move with them, and products whose files are missing.

A product is known by its path, which is unique. One whose path another file takes gives it up: it is missing
below a path of its own, `PATH~KEY`, until its bytes are found again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.store.ingesting import transaction
from ost_vo.store.products import FileState

_COPIES = 50


@dataclass(frozen=True, slots=True)
class Located:
    """A product, or what is kept of a deleted one, and the file that it was made from.

    Attributes:
        product_id: its key.
        file: the file as it was when it was ingested.
        sha256: of its bytes then.
        privileges: level of the product; 0 of a deleted one.
        is_missing: whether its file is noted as missing.
        is_deleted: whether somebody deleted the product.
    """

    product_id: int
    file: FileState
    sha256: bytes
    privileges: int
    is_missing: bool
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """A file that is somewhere else, with the same bytes.

    Attributes:
        located: its product, and where its file was.
        path: where the file is now.
        night: date that the name of its run says.
        old_obs_id, obs_id: the observation's identifiers that follow from the two paths; one that somebody
            chose otherwise stays.
    """

    located: Located
    path: str
    night: date | None
    old_obs_id: str
    obs_id: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A product whose file is missing: its identifier, where the file was, its size [bytes], since when."""

    identifier: str
    path: str
    size: int
    since: datetime


_PRODUCTS = """
SELECT product_id, path, file_size, file_modified, sha256, privileges, missing_since IS NOT NULL, false
FROM archive.products"""
_DELETIONS = """
SELECT product_id, path, file_size, file_modified, sha256, 0::smallint, true, true FROM archive.deletions"""

_OF_EACH = "SELECT p.* FROM unnest(%(digests)s::bytea[]) AS d (digest) CROSS JOIN LATERAL"
_SAME_BYTES = f"""
{_OF_EACH} ({_PRODUCTS} WHERE sha256 = digest ORDER BY missing_since, product_id LIMIT {_COPIES}) p
UNION ALL {_DELETIONS} WHERE sha256 = ANY (%(digests)s::bytea[])"""

# '0' follows '/': the archive sorts by bytes, so an index finds what is below a directory.
_AT = "path = ANY (%(paths)s)"
_BELOW = "path > %(path)s || '/' AND path < %(path)s || '0'"

_DISPLACE = """
UPDATE archive.products SET path = path || '~' || product_id, missing_since = coalesce(missing_since, now())
WHERE """
_DISPLACE_REMARK = """
INSERT INTO archive.discrepancies (product_id, keyword, reason)
SELECT product_id, 'PATH', 'Another file took the place of this one, ' || path || '.'
FROM archive.products WHERE """
_IN_THE_WAY = "path = ANY (%(paths)s) AND product_id <> ALL (%(ids)s::bigint[])"

# One that moved meanwhile stays where it is.
_MOVING = """
SELECT p.product_id FROM archive.products p
    JOIN unnest(%(ids)s::bigint[], %(old)s::text[]) AS m (id, old) ON p.product_id = m.id AND p.path = m.old
ORDER BY 1 FOR UPDATE OF p"""
# Paths are unique at every instant, and files may change places: who is in the way of another goes by way of
# a path that no file has.
_LEAVE = "UPDATE archive.products SET path = '~' || product_id WHERE product_id = ANY (%s)"
_ARRIVE = """
UPDATE archive.products p SET path = m.new, run_id = r.run_id, missing_since = NULL,
    obs_id = CASE WHEN p.obs_id = m.old_obs_id THEN m.new_obs_id ELSE p.obs_id END
FROM unnest(%(ids)s::bigint[], %(new)s::text[], %(old_obs_ids)s::text[], %(new_obs_ids)s::text[])
        AS m (id, new, old_obs_id, new_obs_id)
    JOIN archive.runs r ON r.name = split_part(m.new, '/', 1)
WHERE p.product_id = m.id"""

_REPLACE_DELETION = "DELETE FROM archive.deletions WHERE path = %s"
_MOVE_DELETION = "UPDATE archive.deletions SET path = %s WHERE path = %s"

# A run is renamed when all of it goes to one run that is new; files that were missing before do not count.
_RENAME_RUN = """
UPDATE archive.runs r SET name = %(new)s, night = %(night)s
WHERE name = %(old)s AND NOT EXISTS (SELECT FROM archive.runs WHERE name = %(new)s)
    AND NOT EXISTS (SELECT FROM archive.products p WHERE p.run_id = r.run_id AND p.missing_since IS NULL
        AND NOT ({goes_along}))
RETURNING run_id"""
_GOES_ALONG = "p.product_id = ANY (%(ids)s::bigint[])"
_MOVES = "p.product_id = ANY (%(moving)s::bigint[])"
# What was missing from it is looked for under its new name.
_TAKE_MISSING_ALONG = """
UPDATE archive.products p SET path = %(new)s || substr(path, length(%(old)s) + 1),
    obs_id = CASE WHEN starts_with(obs_id, %(old)s || '/')
        THEN %(new)s || substr(obs_id, length(%(old)s) + 1) ELSE obs_id END
WHERE run_id = %(run_id)s AND path > %(old)s || '/' AND path < %(old)s || '0' AND NOT ({moves})
    AND NOT EXISTS (SELECT FROM archive.products o
        WHERE o.path = %(new)s || substr(p.path, length(%(old)s) + 1))"""
# Where its files go to another run, a new one belongs to the project that the old one did.
_ADD_RUN = """
INSERT INTO archive.runs (name, night, project_id)
SELECT %(new)s, %(night)s, project_id FROM archive.products WHERE product_id = %(id)s
ON CONFLICT DO NOTHING"""

_MARK = """
UPDATE archive.products p SET missing_since = now()
FROM unnest(%(ids)s::bigint[], %(paths)s::text[]) AS m (id, path)
WHERE p.product_id = m.id AND p.path = m.path AND p.missing_since IS NULL"""


def same_bytes(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, list[Located]]:
    """Return products, deleted ones too, that were made from files with these bytes: missing ones first.

    Of a frame that somebody copied very often, not all.
    """
    found: dict[bytes, list[Located]] = {}
    with transaction(connection) as cursor:
        cursor.execute(_SAME_BYTES, {"digests": list(digests)})
        for located in _located(cursor):
            found.setdefault(located.sha256, []).append(located)
    return found


def below(connection: Connection, path: str) -> list[Located]:
    """Return the products, deleted ones too, at a path and below it."""
    condition = f"WHERE path = %(path)s OR {_BELOW}"
    with transaction(connection) as cursor:
        cursor.execute(f"{_PRODUCTS} {condition} UNION ALL {_DELETIONS} {condition}", {"path": path})
        return _located(cursor)


def at(connection: Connection, paths: Sequence[str]) -> list[Located]:
    """Return the products, deleted ones too, at these very paths."""
    with transaction(connection) as cursor:
        cursor.execute(f"{_PRODUCTS} WHERE {_AT} UNION ALL {_DELETIONS} WHERE {_AT}", {"paths": list(paths)})
        return _located(cursor)


def count(connection: Connection) -> int:
    """Return how many products have their file, as far as the archive knows."""
    with transaction(connection) as cursor:
        cursor.execute("SELECT count(*) FROM archive.products WHERE missing_since IS NULL")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def missing(connection: Connection) -> list[Missing]:
    """Return the products whose files are missing, by path."""
    with transaction(connection) as cursor:
        cursor.execute(
            "SELECT obs_publisher_did, path, file_size, missing_since FROM archive.products "
            "WHERE missing_since IS NOT NULL ORDER BY path"
        )
        return [Missing(*row) for row in cursor.fetchall()]


def mark_missing(connection: Connection, products: Sequence[Located]) -> int:
    """Note that the files of products are gone; return of how many that was news."""
    parameters = {"ids": [p.product_id for p in products], "paths": [p.file.path for p in products]}
    with transaction(connection) as cursor:
        cursor.execute(_MARK, parameters)
        return int(cursor.rowcount)


def relocate(connection: Connection, moves: Sequence[Move]) -> None:
    """Have products follow their files, all or none; a run all of which moved is renamed.

    A product whose path is taken goes missing. One that moved meanwhile stays where it is.

    Raises:
        Rejected: a new path breaks a constraint of the tables.
    """
    with transaction(connection) as cursor:
        move(cursor, moves)


def move(cursor: Cursor, moves: Sequence[Move]) -> None:
    """Do what `relocate` does, within the caller's transaction."""
    for m in moves:
        if m.located.is_deleted:
            move_deletion(cursor, m.located.file.path, m.path)
    leaving = [m for m in moves if not m.located.is_deleted]
    if not leaving:
        return
    ids = [m.located.product_id for m in leaving]
    cursor.execute(_MOVING, {"ids": ids, "old": [m.located.file.path for m in leaving]})
    moving = {int(row[0]) for row in cursor.fetchall()}
    arriving = [m for m in leaving if m.located.product_id in moving]
    if arriving:
        _arrive(cursor, arriving)


def _arrive(cursor: Cursor, moves: Sequence[Move]) -> None:
    ids, new = [m.located.product_id for m in moves], [m.path for m in moves]
    taken = set(new)
    if in_the_way := [m.located.product_id for m in moves if m.located.file.path in taken]:
        cursor.execute(_LEAVE, (in_the_way,))
    _prepare_runs(cursor, moves)
    displace(cursor, _IN_THE_WAY, {"paths": new, "ids": ids})
    cursor.execute(
        _ARRIVE,
        {
            "ids": ids,
            "new": new,
            "old_obs_ids": [m.old_obs_id for m in moves],
            "new_obs_ids": [m.obs_id for m in moves],
        },
    )


def _prepare_runs(cursor: Cursor, moves: Sequence[Move]) -> None:
    """Rename the runs all of which moves, and add those that are new."""
    moving = [m.located.product_id for m in moves]
    groups: dict[tuple[str, str], list[Move]] = {}
    for m in moves:
        groups.setdefault((run_of(m.located.file.path), run_of(m.path)), []).append(m)
    for (old, new), group in groups.items():
        if old == new:
            continue
        names = {"old": old, "new": new, "night": group[0].night, "id": group[0].located.product_id}
        ids = [m.located.product_id for m in group]
        prepare_run(cursor, names | {"ids": ids, "moving": moving}, _GOES_ALONG, _MOVES)


def move_deletion(cursor: Cursor, old: str, new: str) -> None:
    """Have what is kept of a deleted product follow its file."""
    cursor.execute(_REPLACE_DELETION, (new,))
    cursor.execute(_MOVE_DELETION, (new, old))


def displace(cursor: Cursor, condition: str, parameters: Mapping[str, object]) -> None:
    """Have products go missing whose paths other files take; the condition, in SQL, says which."""
    cursor.execute(f"{_DISPLACE_REMARK}{condition} ON CONFLICT DO NOTHING", parameters)
    cursor.execute(_DISPLACE + condition, parameters)


def prepare_run(cursor: Cursor, parameters: Mapping[str, object], goes_along: str, moves: str) -> None:
    """Rename a run all of which moves to one that is new, or add the run that its files go to.

    Args:
        cursor: of a transaction in which these products move, and have not arrived yet.
        parameters: names of the runs as `old` and `new`, the `night` of the new one, the `id` of a product
            that moves from one to the other, and those of the conditions.
        goes_along: condition, in SQL, for a product `p` of the old run that goes to the new one.
        moves: condition for one that moves, wherever to.
    """
    cursor.execute(_RENAME_RUN.format(goes_along=goes_along), parameters)
    if row := cursor.fetchone():
        cursor.execute(_TAKE_MISSING_ALONG.format(moves=moves), {**parameters, "run_id": row[0]})
    else:
        cursor.execute(_ADD_RUN, parameters)


def run_of(path: str) -> str:
    """Return the name of the run that a path is in."""
    return path.split("/", 1)[0]


def _located(cursor: Cursor) -> list[Located]:
    return [
        Located(product_id, FileState(path, size, modified), bytes(digest), level, is_missing, is_deleted)
        for product_id, path, size, modified, digest, level, is_missing, is_deleted in cursor.fetchall()
    ]
