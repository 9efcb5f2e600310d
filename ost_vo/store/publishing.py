"""The levels, validity, lineage and existence of products: read under lock, decided elsewhere, written here.

`access.publishing` decides. Everything that such a decision rests on is locked until the transaction ends, so
two callers cannot undo each other's reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime

from psycopg2.extras import DictCursor

from ost_vo.access.actor import Actor
from ost_vo.access.context import Choice
from ost_vo.access.publishing import Held
from ost_vo.faults import NotFoundFault
from ost_vo.store import contexts
from ost_vo.store.connections import Database
from ost_vo.store.transactions import apply, writing

# One writer of levels and lineage at a time; the trigger on the lineage takes the same lock.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('archive.lineage'))"

_HELD = """
SELECT p.product_id, p.obs_publisher_did AS identifier, p.privileges, p.is_valid,
    coalesce(p.release_date <= now(), false) AS is_released, p.project_id, j.name AS project,
    j.is_public, j.max_privileges,
    %(operator)s OR p.creator_id = %(user)s AS is_creator,
    %(operator)s OR j.is_public OR m.user_id IS NOT NULL AS is_member,
    %(operator)s OR coalesce(m.is_manager, false) AS is_manager,
    %(operator)s OR context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id) AS is_visible
FROM archive.products p
    JOIN archive.projects j ON j.project_id = p.project_id
    LEFT JOIN archive.project_members m ON m.project_id = p.project_id AND m.user_id = %(user)s
WHERE {condition} ORDER BY p.product_id FOR UPDATE OF p FOR SHARE OF j
"""

_PROGENITORS = """
p.product_id IN (WITH RECURSIVE ancestors AS (
    SELECT progenitor_id AS id FROM archive.lineage WHERE product_id = ANY (%(ids)s::bigint[])
    UNION SELECT l.progenitor_id FROM archive.lineage l JOIN ancestors a ON l.product_id = a.id)
    SELECT id FROM ancestors)
"""
_DERIVATIONS = (
    "p.product_id IN (SELECT product_id FROM archive.lineage WHERE progenitor_id = ANY (%(ids)s::bigint[]))"
)

_KEEP_DELETION = """
INSERT INTO archive.deletions (path, product_id, obs_publisher_did, file_size, file_modified, sha256)
SELECT path, product_id, obs_publisher_did, file_size, file_modified, sha256
FROM archive.products WHERE product_id = ANY (%s::bigint[])
ON CONFLICT (path) DO UPDATE SET product_id = excluded.product_id,
    obs_publisher_did = excluded.obs_publisher_did, file_size = excluded.file_size,
    file_modified = excluded.file_modified, sha256 = excluded.sha256, moment = now()
"""


class Publication:
    """Products as one actor changes them, in one transaction.

    Args:
        cursor: of the role ost_accounts, in the transaction.
        actor: who does it.
    """

    def __init__(self, cursor: DictCursor, actor: Actor) -> None:
        self._cursor = cursor
        self._caller = {"operator": actor.is_operator, "user": actor.user_id}

    def products(self, identifiers: Sequence[str]) -> list[Held]:
        """Return the products with those identifiers, locked, in the order asked for.

        Raises:
            NotFoundFault: there is none of such an identifier.
        """
        found = self._held("p.obs_publisher_did = ANY (%(dids)s)", dids=list(identifiers))
        by_identifier = {held.identifier: held for held in found}
        for identifier in identifiers:
            if identifier not in by_identifier:
                raise NotFoundFault(f"There is no data product {identifier}.", "Look it up in ost.products.")
        return [by_identifier[identifier] for identifier in dict.fromkeys(identifiers)]

    def dependencies(self, products: Sequence[Held]) -> list[Held]:
        """Return what products were made from, directly and indirectly, locked; themselves left out."""
        ids = [held.product_id for held in products]
        return [held for held in self._held(_PROGENITORS, ids=ids) if held.product_id not in ids]

    def referrers(self, products: Sequence[Held]) -> list[Held]:
        """Return what was made from products directly, locked; themselves left out."""
        ids = [held.product_id for held in products]
        return [held for held in self._held(_DERIVATIONS, ids=ids) if held.product_id not in ids]

    def set_privileges(self, products: Sequence[Held], level: Callable[[Held], int]) -> None:
        """Give each product a level."""
        for wanted in sorted({level(held) for held in products}):
            self._update("privileges", wanted, [held for held in products if level(held) == wanted])

    def set_valid(self, products: Sequence[Held], is_valid: bool) -> None:
        """Make products valid or invalid."""
        self._update("is_valid", is_valid, products)

    def set_release_date(self, products: Sequence[Held], moment: datetime | None) -> None:
        """Say from when on everybody sees products; None: no such moment."""
        self._update("release_date", moment, products)

    def set_progenitors(self, product: Held, progenitors: Sequence[Held]) -> None:
        """Say what a product was made from, in place of what was said before.

        Raises:
            ConflictFault: at the end of the transaction, or here: the product would be made from itself.
        """
        ids = [held.product_id for held in progenitors]
        self._cursor.execute(
            "DELETE FROM archive.lineage WHERE product_id = %s AND progenitor_id <> ALL (%s::bigint[])",
            (product.product_id, ids),
        )
        self._cursor.execute(
            "INSERT INTO archive.lineage (product_id, progenitor_id) SELECT %s, unnest(%s::bigint[])"
            " ON CONFLICT DO NOTHING",
            (product.product_id, ids),
        )

    def delete(self, products: Sequence[Held]) -> None:
        """Delete the records of products; their files stay, and ingest will pass them by."""
        ids = [held.product_id for held in products]
        self._cursor.execute(_KEEP_DELETION, (ids,))
        self._cursor.execute("DELETE FROM archive.lineage WHERE product_id = ANY (%s::bigint[])", (ids,))
        self._cursor.execute("DELETE FROM archive.products WHERE product_id = ANY (%s::bigint[])", (ids,))

    def _held(self, condition: str, **values: object) -> list[Held]:
        self._cursor.execute(_HELD.format(condition=condition), {**self._caller, **values})
        return [Held(**{f.name: row[f.name] for f in fields(Held)}) for row in self._cursor.fetchall()]

    def _update(self, column: str, value: object, products: Sequence[Held]) -> None:
        ids = [held.product_id for held in products]
        statement = f"UPDATE archive.products SET {column} = %s WHERE product_id = ANY (%s::bigint[])"  # noqa: S608
        self._cursor.execute(statement, (value, ids))


@contextmanager
def publication(
    database: Database, actor: Actor, reason: str, *, is_rehearsal: bool = False
) -> Iterator[Publication]:
    """Yield the products for one change by an actor; commit at the end, or leave all as it was.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        reason: why, for the audit log.
        is_rehearsal: whether to leave all as it was in any case.
    """
    widest = None
    if not actor.is_operator:
        widest = contexts.resolve(database, actor.user_id, Choice("", 1), "")
    with writing(database, actor, reason) as cursor:
        if widest is not None:
            apply(cursor, widest.visibility_settings())
        cursor.execute(_LOCK)
        yield Publication(cursor, actor)
        if is_rehearsal:
            cursor.connection.rollback()
