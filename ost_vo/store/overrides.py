"""What people say of products, which goes before what ingest finds; and what ingest found doubtful.

Triggers of the database make a product what somebody says, keep it so whatever ingest writes, and make it
what ingest found when the word is taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extras import DictCursor

from ost_vo.access.actor import Actor
from ost_vo.access.context import Choice
from ost_vo.store import contexts
from ost_vo.store.connections import Database
from ost_vo.store.transactions import apply, transaction, writing


@dataclass(frozen=True, slots=True)
class Override:
    """What somebody has said of a product.

    Attributes:
        identifier, path: of the product.
        field: exposure_type, spectrograph or target.
        value: what it is to be; of a target its number.
        shown: what it is called: of a target its name, else the value.
        automatic: what ingest found, None for nothing.
        user: who said it.
        moment: when.
    """

    identifier: str
    path: str
    field: str
    value: str
    shown: str
    automatic: str | None
    user: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """What ingest could not make sense of in a file.

    Attributes:
        identifier, path: of the product.
        keyword: which says it in the file; TARGET where the target cannot be where the file looked.
        reason: what is wrong with it.
    """

    identifier: str
    path: str
    keyword: str
    reason: str


# What the operator sees is level 2 and above: level 1 is its creator's alone.
VISIBLE = """
(CASE WHEN %(operator)s THEN p.privileges >= 2 OR p.release_date <= now()
    ELSE context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id) END)
"""
_PRODUCTS = """
SELECT obs_publisher_did, product_id FROM archive.products p
WHERE obs_publisher_did = ANY (%(identifiers)s) AND (%(operator)s
    OR context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id))
ORDER BY product_id FOR UPDATE
"""
_SET = """
INSERT INTO archive.overrides (product_id, field, value, user_name)
SELECT id, %(field)s, %(value)s, %(user)s FROM unnest(%(ids)s::bigint[]) AS p (id)
ON CONFLICT (product_id, field) DO UPDATE
    SET value = excluded.value, user_name = excluded.user_name, moment = now()
    WHERE overrides.value <> excluded.value
"""
_CLEAR = """
DELETE FROM archive.overrides
WHERE product_id = ANY (%(ids)s) AND (%(field)s::text IS NULL OR field = %(field)s)
RETURNING product_id
"""
# A page has whole products, so that it can go on after the last one.
_ON_PAGE = """
SELECT DISTINCT p.product_id FROM archive.products p JOIN archive.{table} o ON o.product_id = p.product_id
WHERE p.product_id > %(after)s AND {visible} AND (%(identifiers)s::text[] IS NULL
        OR p.obs_publisher_did = ANY (%(identifiers)s))
    AND (%(run)s::text IS NULL OR p.run_id = (SELECT run_id FROM archive.runs WHERE name = %(run)s))
    AND (%(kind)s::text IS NULL OR o.{kind} = %(kind)s)
ORDER BY 1 LIMIT %(limit)s
"""
_OVERRIDES = """
SELECT p.obs_publisher_did, p.path, o.field, o.value, coalesce(t.name, o.value),
    CASE o.field WHEN 'target' THEN automatic ->> 'target_name'
        WHEN 'spectrograph' THEN automatic ->> 'dataproduct_type'
        ELSE automatic ->> o.field END, o.user_name, o.moment
FROM archive.overrides o JOIN archive.products p ON p.product_id = o.product_id
    LEFT JOIN archive.targets t ON o.field = 'target' AND t.target_id::text = o.value
WHERE o.product_id = ANY (%(ids)s) AND (%(kind)s::text IS NULL OR o.field = %(kind)s)
ORDER BY o.product_id, o.field
"""
_DISCREPANCIES = """
SELECT p.obs_publisher_did, p.path, d.keyword, d.reason
FROM archive.discrepancies d JOIN archive.products p ON p.product_id = d.product_id
WHERE d.product_id = ANY (%(ids)s) AND (%(kind)s::text IS NULL OR d.keyword = %(kind)s)
ORDER BY d.product_id, d.keyword, d.reason
"""


@contextmanager
def changing(database: Database, actor: Actor, reason: str) -> Iterator[DictCursor]:
    """Yield a cursor that sees what an actor can see in the widest context, and whose changes are noted."""
    settings = _visibility(database, actor)
    with writing(database, actor, reason) as cursor:
        apply(cursor, settings)
        yield cursor


@contextmanager
def seeing(database: Database, actor: Actor) -> Iterator[DictCursor]:
    """Yield a cursor that sees what an actor can see in the widest context, for `VISIBLE`."""
    with transaction(database, _visibility(database, actor)) as cursor:
        yield cursor


def products(cursor: DictCursor, actor: Actor, identifiers: Sequence[str]) -> dict[str, int]:
    """Return the keys of the products that the actor may see, locked, by identifier."""
    cursor.execute(_PRODUCTS, {"identifiers": list(identifiers), "operator": actor.is_operator})
    return {str(identifier): int(product_id) for identifier, product_id in cursor.fetchall()}


def put(cursor: DictCursor, actor: Actor, ids: Sequence[int], field: str, value: str) -> None:
    """Say what a field of products is."""
    cursor.execute(_SET, {"ids": sorted(ids), "field": field, "value": value, "user": actor.name})


def clear(cursor: DictCursor, ids: Sequence[int], field: str | None) -> set[int]:
    """Take back what was said of a field, or of all; return the keys of the products that it concerned."""
    cursor.execute(_CLEAR, {"ids": list(ids), "field": field})
    return {row[0] for row in cursor.fetchall()}


def dismiss(cursor: DictCursor, product_id: int, keyword: str) -> int:
    """Strike out what is doubtful in a product of a keyword; return how much that was."""
    cursor.execute(
        "DELETE FROM archive.discrepancies WHERE product_id = %s AND keyword = %s", (product_id, keyword)
    )
    return int(cursor.rowcount)


def overrides(
    database: Database,
    actor: Actor,
    *,
    identifiers: Sequence[str] | None,
    field: str | None,
    after: int,
    limit: int,
) -> tuple[list[Override], int | None]:
    """Return what was said of products that the actor may see, and after which product to go on.

    Args:
        database: of the role ost_accounts.
        actor: who asks.
        identifiers: of these products alone; None is all.
        field: of this field alone; None is all.
        after: the key of the product that they follow.
        limit: the most products.
    """
    wanted = {"identifiers": list(identifiers) if identifiers else None, "run": None, "kind": field}
    rows, last = _page(database, actor, ("overrides", "field"), _OVERRIDES, wanted, after, limit)
    return [Override(*row) for row in rows], last


def discrepancies(
    database: Database, actor: Actor, *, run: str | None, keyword: str | None, after: int, limit: int
) -> tuple[list[Discrepancy], int | None]:
    """Return what is doubtful in products that the actor may see, and after which product to go on.

    Arguments are as for :func:`overrides`; of one run or one keyword alone, unless they are None.
    """
    wanted = {"identifiers": None, "run": run, "kind": keyword}
    rows, last = _page(database, actor, ("discrepancies", "keyword"), _DISCREPANCIES, wanted, after, limit)
    return [Discrepancy(*row) for row in rows], last


def _page(
    database: Database,
    actor: Actor,
    table: tuple[str, str],
    statement: str,
    wanted: dict[str, Any],
    after: int,
    limit: int,
) -> tuple[list[tuple[Any, ...]], int | None]:
    values = {**wanted, "after": after, "limit": limit + 1, "operator": actor.is_operator}
    with transaction(database, _visibility(database, actor)) as cursor:
        cursor.execute(_ON_PAGE.format(table=table[0], kind=table[1], visible=VISIBLE), values)
        found = [row[0] for row in cursor.fetchall()]
        ids = found[:limit]
        cursor.execute(statement, {**values, "ids": ids})
        return [tuple(row) for row in cursor.fetchall()], ids[-1] if len(found) > limit else None


def _visibility(database: Database, actor: Actor) -> dict[str, str]:
    if actor.is_operator:
        return {}
    return contexts.resolve(database, actor.user_id, Choice("", 1), "").visibility_settings()
