"""Tags, and what people write of runs and targets: notes, the state of reduction, what data are good for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from ost_vo.store.observations import transaction
from ost_vo.store.transactions import Cursor

RUN, TARGET = "run", "target"
# What has tags: its table, and the column with its key.
_TAGGED = {RUN: ("run_tags", "run_id"), TARGET: ("target_tags", "target_id")}


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag.

    Attributes:
        name: of 1 to 64 characters, without commas.
        colour: as in '#1f77b4'.
        description: what it is for.
        runs, targets: how many have it of those that the caller sees.
    """

    name: str
    colour: str
    description: str
    runs: int = 0
    targets: int = 0


_USES = """
SELECT tag, count(*) FILTER (WHERE kind = 'run'), count(*) FILTER (WHERE kind = 'target')
FROM (
    SELECT 'run' AS kind, unnest(string_to_array(tags, ',')) AS tag FROM ost.runs WHERE tags IS NOT NULL
    UNION ALL
    SELECT 'target', unnest(string_to_array(tags, ',')) FROM ost.targets WHERE tags IS NOT NULL
) AS used GROUP BY tag
"""
_TAGS = """
SELECT name, colour, description FROM archive.tags
WHERE (%(names)s::text[] IS NULL OR name = ANY (%(names)s))
    AND (lower(name), name) > (lower(%(after)s), %(after)s) ORDER BY lower(name), name LIMIT %(limit)s
"""


def uses(connection: Connection, settings: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Return for each tag of what the caller sees how many runs and targets have it.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(_USES)
        return {name: (runs, targets) for name, runs, targets in cursor.fetchall()}


def listing(
    cursor: Cursor, names: Collection[str] | None = None, after: str = "", limit: int | None = None
) -> list[Tag]:
    """Return tags by name: of these names or of all those that follow a name, so many, or all for None."""
    wanted = {"names": None if names is None else list(names), "after": after, "limit": limit}
    cursor.execute(_TAGS, wanted)
    return [Tag(*row) for row in cursor.fetchall()]


def lock(cursor: Cursor, name: str) -> Tag | None:
    """Return a tag, which stays as it is until the transaction ends; None where there is none."""
    cursor.execute("SELECT name, colour, description FROM archive.tags WHERE name = %s FOR UPDATE", (name,))
    row = cursor.fetchone()
    return Tag(*row) if row else None


def add(cursor: Cursor, name: str, colour: str, description: str) -> None:
    """Add a tag.

    Raises:
        ConflictFault: at the end of the transaction's block: there is one of that name.
    """
    cursor.execute(
        "INSERT INTO archive.tags (name, colour, description) VALUES (%s, %s, %s)",
        (name, colour, description),
    )


def update(cursor: Cursor, name: str, changes: Mapping[str, str]) -> None:
    """Change name, colour or description of a tag."""
    _update(cursor, "tags", changes, ("name", name))


def remove(cursor: Cursor, name: str) -> None:
    """Delete a tag; nothing has it any more."""
    cursor.execute("DELETE FROM archive.tags WHERE name = %s", (name,))


def lock_run(cursor: Cursor, name: str) -> int | None:
    """Return the key of a run, which nobody else writes of until the transaction ends; None for none."""
    cursor.execute("SELECT run_id FROM archive.runs WHERE name = %s FOR UPDATE", (name,))
    row = cursor.fetchone()
    return int(row[0]) if row else None


def write(cursor: Cursor, kind: str, key: int, changes: Mapping[str, object]) -> None:
    """Write columns of a run or a target.

    Args:
        cursor: of a transaction that has it locked.
        kind: RUN or TARGET.
        key: its run_id or target_id.
        changes: note; of a run also reduction_status, photometry and spectroscopy.
    """
    if changes:
        _update(cursor, f"{kind}s", changes, (_TAGGED[kind][1], key))


def set_tags(cursor: Cursor, kind: str, key: int, names: Collection[str]) -> None:
    """Give a run or a target these tags and no others; names of none are passed by."""
    table, column = _TAGGED[kind]
    values = {"key": key, "names": list(names)}
    names_of = {"table": sql.Identifier("archive", table), "column": sql.Identifier(column)}
    cursor.execute(
        sql.SQL(
            "DELETE FROM {table} WHERE {column} = %(key)s AND tag_id NOT IN"
            " (SELECT tag_id FROM archive.tags WHERE name = ANY (%(names)s))"
        ).format(**names_of),
        values,
    )
    cursor.execute(
        sql.SQL(
            "INSERT INTO {table} ({column}, tag_id) SELECT %(key)s, tag_id FROM archive.tags"
            " WHERE name = ANY (%(names)s) ON CONFLICT DO NOTHING"
        ).format(**names_of),
        values,
    )


def _update(cursor: Cursor, table: str, changes: Mapping[str, object], where: tuple[str, object]) -> None:
    assignments = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(changes[name])) for name in changes
    ]
    cursor.execute(
        sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(
            sql.Identifier("archive", table), sql.SQL(", ").join(assignments), sql.Identifier(where[0])
        ),
        (where[1],),
    )
