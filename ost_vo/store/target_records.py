"""Targets as people see and change them: lists, aliases, merging and splitting.

Who may see a target is decided by the view ``ost.targets``. Those who may see all are shown the same columns
of the tables themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import NamedTuple

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from ost_vo.catalogues.entries import Entry
from ost_vo.catalogues.names import key
from ost_vo.store import observations
from ost_vo.store.connections import Database
from ost_vo.store.transactions import reading


@dataclass(frozen=True, slots=True)
class Target:
    """A target.

    Attributes:
        target_id: its number, which it keeps for ever.
        target_name: its name.
        target_class: galaxy, star cluster, nebula, star, solar system or other; None where unknown.
        s_ra, s_dec: ICRS [deg]; None for what moves, and where unknown.
        angular_size: longest diameter [deg].
        resolved_by: the catalogue that knows it; None where a file names it and no catalogue knows it.
        tags: that people gave it, in alphabetical order, with commas; None for none.
        note: what people noted of it.
    """

    target_id: int
    target_name: str
    target_class: str | None
    s_ra: float | None
    s_dec: float | None
    angular_size: float | None
    resolved_by: str | None
    tags: str | None
    note: str


class Alias(NamedTuple):
    """A name of a target, and what all spellings of that name share."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Sight:
    """Targets as somebody sees them.

    Attributes:
        cursor: of the transaction that shows them.
        targets, aliases: the tables to look into, as SQL.
    """

    cursor: Cursor
    targets: str
    aliases: str

    def listing(
        self,
        *,
        name: str | None,
        is_unresolved: bool | None,
        tag: str | None = None,
        after: int,
        limit: int,
    ) -> list[Target]:
        """Return targets in the order of their numbers.

        Args:
            name: only the one with that name or alias, in any spelling.
            is_unresolved: only those that no catalogue knows, or only the others; None is both.
            tag: only those that have it.
            after: the number that they follow.
            limit: the most to return.
        """
        self.cursor.execute(
            f"SELECT {_COLUMNS} FROM {self.targets} AS t WHERE target_id > %(after)s"  # noqa: S608
            " AND (%(key)s::text IS NULL OR target_id IN"
            f" (SELECT target_id FROM {self.aliases} AS a WHERE alias_key = %(key)s))"
            " AND (%(unresolved)s::bool IS NULL OR (resolved_by IS NULL) = %(unresolved)s)"
            " AND (%(tag)s::text IS NULL OR %(tag)s = ANY (string_to_array(tags, ',')))"
            " ORDER BY target_id LIMIT %(limit)s",
            {
                "after": after,
                "key": None if name is None else key(name),
                "unresolved": is_unresolved,
                "tag": tag,
                "limit": limit,
            },
        )
        return [Target(*row) for row in self.cursor.fetchall()]

    def find(self, target_id: int) -> Target | None:
        """Return a target; None where there is none of that number to be seen."""
        self.cursor.execute(
            f"SELECT {_COLUMNS} FROM {self.targets} AS t WHERE target_id = %s",  # noqa: S608
            (target_id,),
        )
        row = self.cursor.fetchone()
        return Target(*row) if row else None

    def named(self, name: str) -> Target | None:
        """Return the target of a name in any spelling; None where there is none to be seen."""
        return next(iter(self.listing(name=name, is_unresolved=None, after=0, limit=1)), None)

    def names(self, target_id: int) -> list[Alias]:
        """Return what a target is called, in alphabetical order."""
        self.cursor.execute(
            f"SELECT alias, alias_key FROM {self.aliases} AS a WHERE target_id = %s ORDER BY 1",  # noqa: S608
            (target_id,),
        )
        return [Alias(*row) for row in self.cursor.fetchall()]


_COLUMNS = ", ".join(f.name for f in fields(Target))
# The same columns as the views have, of all there is.
_ALL_TARGETS = """
(SELECT target_id, name AS target_name, target_class, s_ra, s_dec, angular_size, resolved_by,
    (SELECT string_agg(g.name, ',' ORDER BY g.name) FROM archive.target_tags l
        JOIN archive.tags g ON g.tag_id = l.tag_id WHERE l.target_id = t.target_id) AS tags, note
FROM archive.targets t WHERE merged_into IS NULL)
"""
_ALL_ALIASES = "(SELECT target_id, name AS alias, key AS alias_key FROM archive.target_aliases)"


@contextmanager
def as_caller(connection: Connection, settings: Mapping[str, str]) -> Iterator[Sight]:
    """Yield the targets that a context shows.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    with observations.transaction(connection, settings) as cursor:
        yield Sight(cursor, "ost.targets", "ost.target_aliases")


def of_all(cursor: Cursor) -> Sight:
    """Return all targets, for those who may see them; the cursor is of the role ost_accounts."""
    return Sight(cursor, _ALL_TARGETS, _ALL_ALIASES)


def survivor(database: Database, target_id: int) -> int:
    """Return the number of the target that another one was merged into; its own where it was not.

    It says nothing of whether there is such a target, nor who may see it.
    """
    with reading(database) as cursor:
        cursor.execute("SELECT merged_into FROM archive.targets WHERE target_id = %s", (target_id,))
        row = cursor.fetchone()
    return int(row[0]) if row and row[0] is not None else target_id


def lock(cursor: Cursor, ids: Collection[int]) -> None:
    """Keep targets as they are until the transaction ends; ingest waits before it refers to them."""
    cursor.execute(
        "SELECT FROM archive.targets WHERE target_id = ANY (%s) ORDER BY target_id FOR UPDATE",
        (sorted(ids),),
    )


def merge(cursor: Cursor, sources: Sequence[int], into: int) -> None:
    """Make targets one: their names and products go to it, and their numbers lead to it."""
    values = {"sources": list(sources), "into": into}
    cursor.execute(
        "UPDATE archive.targets SET merged_into = %(into)s"
        " WHERE target_id = ANY (%(sources)s) OR merged_into = ANY (%(sources)s)",
        values,
    )
    cursor.execute(
        "UPDATE archive.target_aliases SET target_id = %(into)s WHERE target_id = ANY (%(sources)s)", values
    )
    cursor.execute(
        "UPDATE archive.products SET target_id = %(into)s WHERE target_id = ANY (%(sources)s)", values
    )
    # What people wrote of a target that is another one holds for that one.
    cursor.execute(
        "INSERT INTO archive.target_tags (target_id, tag_id) SELECT DISTINCT %(into)s, tag_id"
        " FROM archive.target_tags WHERE target_id = ANY (%(sources)s) ON CONFLICT DO NOTHING",
        values,
    )
    cursor.execute(
        "UPDATE archive.targets t SET note = left(concat_ws(E'\\n', nullif(t.note, ''), s.notes), 10000)"
        " FROM (SELECT string_agg(note, E'\\n' ORDER BY target_id) AS notes FROM archive.targets"
        "     WHERE target_id = ANY (%(sources)s) AND note <> '') AS s"
        " WHERE t.target_id = %(into)s AND s.notes IS NOT NULL",
        values,
    )
    _find_again(cursor, [*sources, into])


def former(cursor: Cursor, target_id: int, keys: Collection[str]) -> int | None:
    """Return a target that was merged into another one, and has one of some names; None for none."""
    cursor.execute(
        "SELECT target_id, name FROM archive.targets WHERE merged_into = %s ORDER BY target_id", (target_id,)
    )
    return next((other for other, name in cursor.fetchall() if key(name) in keys), None)


def revive(cursor: Cursor, target_id: int) -> None:
    """Make a target that was merged one of its own again."""
    cursor.execute("UPDATE archive.targets SET merged_into = NULL WHERE target_id = %s", (target_id,))


def add(cursor: Cursor, name: str, entry: Entry | None) -> int:
    """Add a target, with what a catalogue has of it; its aliases are not added.

    Raises:
        ConflictFault: at the end of the transaction, or here: there is one of that name.
    """
    cursor.execute("INSERT INTO archive.targets (name) VALUES (%s) RETURNING target_id", (name,))
    row = cursor.fetchone()
    assert row is not None
    if entry:
        resolve(cursor, int(row[0]), entry)
    return int(row[0])


def resolve(cursor: Cursor, target_id: int, entry: Entry) -> None:
    """Write down what a catalogue has of a target, and look for the target in the fields of products."""
    cursor.execute(
        "UPDATE archive.targets SET target_class = %s, s_ra = %s, s_dec = %s, angular_size = %s, body = %s,"
        " is_prominent = %s, resolved_by = %s WHERE target_id = %s",
        (
            entry.kind,
            entry.s_ra,
            entry.s_dec,
            entry.size,
            entry.body,
            entry.is_prominent,
            entry.catalogue,
            target_id,
        ),
    )
    _find_again(cursor, [target_id])


def rename(cursor: Cursor, target_id: int, name: str) -> None:
    """Give a target another name, and its products with it."""
    cursor.execute("UPDATE archive.targets SET name = %s WHERE target_id = %s", (name, target_id))
    cursor.execute(
        "UPDATE archive.products SET target_id = target_id WHERE target_id = %s",
        (target_id,),
    )


def owner(cursor: Cursor, alias_key: str) -> int | None:
    """Return the target that has a name; None where none has."""
    cursor.execute("SELECT target_id FROM archive.target_aliases WHERE key = %s", (alias_key,))
    row = cursor.fetchone()
    return int(row[0]) if row else None


def add_names(cursor: Cursor, target_id: int, names: Sequence[str], source: str) -> None:
    """Call a target by names, but for those that another target has."""
    rows = {key(name): (key(name), name, target_id, source) for name in reversed(names)}
    if rows:
        execute_values(
            cursor,
            "INSERT INTO archive.target_aliases (key, name, target_id, source) VALUES %s"
            " ON CONFLICT DO NOTHING",
            [rows[alias_key] for alias_key in sorted(rows)],
        )


def remove_name(cursor: Cursor, alias_key: str) -> None:
    """Let a name be nobody's."""
    cursor.execute("DELETE FROM archive.target_aliases WHERE key = %s", (alias_key,))


def move(cursor: Cursor, old: int, new: int, keys: Collection[str]) -> None:
    """Give names of one target to another one, and the products whose files have one of these names.

    Products that somebody has linked to a target by hand keep it; their files' own word goes along.
    """
    values = {"old": old, "new": new, "keys": list(keys)}
    cursor.execute("UPDATE archive.target_aliases SET target_id = %(new)s WHERE key = ANY (%(keys)s)", values)
    cursor.execute(
        "SELECT DISTINCT target_alias FROM archive.products"
        " WHERE target_alias IS NOT NULL AND (target_id = %(old)s OR product_id IN"
        " (SELECT product_id FROM archive.overrides WHERE field = 'target'"
        " AND automatic ->> 'target_id' = %(old)s::text))",
        values,
    )
    values["names"] = [name for (name,) in cursor.fetchall() if key(name) in keys]
    cursor.execute(
        "UPDATE archive.overrides o SET automatic = automatic || jsonb_build_object('target_id', %(new)s)"
        " FROM archive.products p WHERE p.product_id = o.product_id AND o.field = 'target'"
        " AND p.target_alias = ANY (%(names)s) AND automatic ->> 'target_id' = %(old)s::text",
        values,
    )
    cursor.execute(
        "UPDATE archive.products p SET target_id = %(new)s WHERE target_id = %(old)s AND (CASE WHEN EXISTS"
        " (SELECT FROM archive.overrides o WHERE o.product_id = p.product_id AND o.field = 'target')"
        " THEN EXISTS (SELECT FROM archive.overrides o WHERE o.product_id = p.product_id"
        " AND o.field = 'target' AND o.value = %(new)s::text)"
        " ELSE target_alias = ANY (%(names)s) END)",
        values,
    )
    _find_again(cursor, [old, new])


def unresolved(cursor: Cursor) -> list[Target]:
    """Return the targets that no catalogue knew."""
    return of_all(cursor).listing(name=None, is_unresolved=True, after=0, limit=1_000_000)


def _find_again(cursor: Cursor, ids: Sequence[int]) -> None:
    """Look again for the targets in the fields of the products that some targets concern."""
    cursor.execute(
        "SELECT archive.find_in_fields(array_agg(product_id)) FROM ("
        " SELECT product_id FROM archive.products WHERE target_id = ANY (%(ids)s)"
        " UNION SELECT product_id FROM archive.product_targets WHERE target_id = ANY (%(ids)s)"
        " UNION SELECT p.product_id FROM archive.targets t JOIN archive.products p ON t.pos <@ p.region"
        " WHERE t.target_id = ANY (%(ids)s) AND t.merged_into IS NULL"
        # Of a frame without an outline, the field is a circle; wider ones have outlines.
        " UNION SELECT p.product_id FROM archive.targets t"
        " JOIN archive.products p ON p.pos <@ scircle(t.pos, radians(5))"
        " WHERE t.target_id = ANY (%(ids)s) AND t.merged_into IS NULL AND p.region IS NULL"
        ") AS concerned HAVING count(*) > 0",
        {"ids": list(ids)},
    )
