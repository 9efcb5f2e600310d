"""Files that were not as the archive knows them when somebody asked for them, for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg2.extensions import connection as Connection

from ost_vo.access.actor import Actor
from ost_vo.store.observations import transaction
from ost_vo.store.overrides import VISIBLE
from ost_vo.store.products import FileState
from ost_vo.store.transactions import Cursor

Problem = Literal["missing", "changed", "unreadable"]
# Of an event in the list of all: when it was met last, of which product, and what it is.
Place = tuple[datetime, int, str]


@dataclass(frozen=True, slots=True)
class FileEvent:
    """A problem with a file.

    Attributes:
        path: of the file, below the data root.
        identifier: of the product.
        problem: missing, changed or unreadable.
        detail: what was found.
        times: how often.
        first_seen, last_seen: when it was met first and last.
    """

    path: str
    identifier: str
    problem: Problem
    detail: str
    times: int
    first_seen: datetime
    last_seen: datetime


def note(connection: Connection, identifier: str, problem: Problem, detail: str) -> None:
    """Note a problem with the file of a product; one that is known already is counted.

    Args:
        connection: of the role ost_web, not in autocommit mode.
        identifier: of the product; nothing is noted of one that there is not.
        problem: what it is.
        detail: what was found, for the operator.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    with transaction(connection, {}) as cursor:
        cursor.execute("SELECT archive.note_file_event(%s, %s, %s)", (identifier, problem, detail))


def events(connection: Connection) -> list[FileEvent]:
    """Return all events, the latest first; for the roles ost_ingest and ost_accounts."""
    statement = """
        SELECT path, obs_publisher_did, problem, detail, times, first_seen, last_seen
        FROM archive.file_events JOIN archive.products USING (product_id)
        ORDER BY last_seen DESC, product_id, problem"""
    with transaction(connection, {}) as cursor:
        cursor.execute(statement)
        return [FileEvent(*row) for row in cursor.fetchall()]


def page(cursor: Cursor, actor: Actor, behind: Place | None, limit: int) -> list[tuple[FileEvent, Place]]:
    """Return events of the products that somebody sees, the latest first, each with its place in the list.

    Args:
        cursor: of :func:`ost_vo.store.overrides.seeing`.
        actor: who asks.
        behind: the place that they follow, None for the first ones.
        limit: the most events.
    """
    moment, product_id, problem = behind or (None, None, None)
    cursor.execute(
        f"""
        SELECT path, obs_publisher_did, problem, detail, times, first_seen, last_seen, p.product_id
        FROM archive.file_events e JOIN archive.products p ON p.product_id = e.product_id
        WHERE {VISIBLE} AND (%(moment)s::timestamptz IS NULL
            OR (last_seen, p.product_id, problem) < (%(moment)s::timestamptz, %(product_id)s, %(problem)s))
        ORDER BY last_seen DESC, p.product_id DESC, problem DESC LIMIT %(limit)s""",  # noqa: S608
        {
            "operator": actor.is_operator,
            "moment": moment,
            "product_id": product_id,
            "problem": problem,
            "limit": limit,
        },
    )
    events = ((FileEvent(*row), product_id) for *row, product_id in cursor.fetchall())
    return [(event, (event.last_seen, product_id, event.problem)) for event, product_id in events]


@dataclass(frozen=True, slots=True)
class OpenEvent:
    """A problem that may be over.

    Attributes:
        product_id, problem, last_seen: which, and when it was met last.
        file: the file as it was when it was ingested.
    """

    product_id: int
    problem: Problem
    last_seen: datetime
    file: FileState


def after(connection: Connection, last: OpenEvent | None, most: int) -> list[OpenEvent]:
    """Return the next events, by product and problem, of products whose files are not noted as missing.

    Args:
        connection: of the role ost_ingest.
        last: the one that they come after, None for the first ones.
        most: how many to return.
    """
    statement = """
        SELECT product_id, problem, last_seen, path, file_size, file_modified
        FROM archive.file_events JOIN archive.products USING (product_id)
        WHERE (product_id, problem) > (%s, %s) AND missing_since IS NULL
        ORDER BY product_id, problem LIMIT %s"""
    with transaction(connection, {}) as cursor:
        cursor.execute(statement, (last.product_id if last else 0, last.problem if last else "", most))
        return [
            OpenEvent(product_id, problem, last_seen, FileState(path, size, modified))
            for product_id, problem, last_seen, path, size, modified in cursor.fetchall()
        ]


def close(connection: Connection, over: Sequence[OpenEvent]) -> int:
    """Remove events that are over, unless they were met again meanwhile; return how many that were."""
    statement = """
        DELETE FROM archive.file_events e
        USING unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS o (product_id, problem, last_seen)
        WHERE (e.product_id, e.problem, e.last_seen) = (o.product_id, o.problem, o.last_seen)"""
    columns = ([e.product_id for e in over], [e.problem for e in over], [e.last_seen for e in over])
    with transaction(connection, {}) as cursor:
        cursor.execute(statement, columns)
        return int(cursor.rowcount)


def forget(connection: Connection, paths: Sequence[str]) -> int:
    """Forget the events of files, which have been seen to; return how many there were."""
    statement = """
        DELETE FROM archive.file_events USING archive.products
        WHERE products.product_id = file_events.product_id AND path = ANY (%s)"""
    with transaction(connection, {}) as cursor:
        cursor.execute(statement, (list(paths),))
        return int(cursor.rowcount)
