"""What ingest and plate solving left over, for those who look after the archive; and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg2.extensions import connection as Connection

from ost_vo.store.observations import transaction
from ost_vo.store.overrides import VISIBLE
from ost_vo.store.quarantine import Entry
from ost_vo.store.transactions import Cursor


@dataclass(frozen=True, slots=True)
class Lost:
    """A product whose file is missing: its identifier, where the file was, its size [byte], since when."""

    identifier: str
    path: str
    file_size: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of plate solving of a product.

    Attributes:
        product_id: its key, by which pages follow each other.
        identifier, path: of the product.
        state: done, failed, none or absent.
        reason: why it came to nothing, None where it did not.
        moment: when it was tried.
    """

    product_id: int
    identifier: str
    path: str
    state: str
    reason: str | None
    moment: datetime


_MISSING = """
SELECT obs_publisher_did, path, file_size, missing_since FROM ost.products
WHERE missing_since IS NOT NULL AND obs_publisher_did > %s ORDER BY obs_publisher_did LIMIT %s
"""
# Of several tries with other settings, the last one counts.
_ATTEMPTS = f"""
SELECT DISTINCT ON (p.product_id) p.product_id, p.obs_publisher_did, p.path, a.state, a.reason, a.moment
FROM archive.analyses a JOIN archive.products p ON p.product_id = a.product_id
WHERE a.kind = 'solution' AND p.product_id > %(after)s AND {VISIBLE}
    AND (%(state)s::text IS NULL OR a.state = %(state)s) AND a.sha256 = p.sha256
ORDER BY p.product_id, a.moment DESC LIMIT %(limit)s
"""  # noqa: S608
_FORGET = "DELETE FROM archive.analyses WHERE product_id = ANY (%s) AND kind = 'solution'"
_QUEUE = """
INSERT INTO archive.analysis_queue AS q (product_id) SELECT unnest(%s::bigint[])
ON CONFLICT (product_id) DO UPDATE SET version = q.version + 1, due = now(), attempts = 0
"""


def versions(connection: Connection) -> dict[str, str]:
    """Return the versions of PostgreSQL and pg_sphere."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), extversion FROM pg_extension"
            " WHERE extname = 'pg_sphere'"
        )
        row = cursor.fetchone()
    return {"PostgreSQL": str(row[0]), "pg_sphere": str(row[1])} if row else {}


def quarantine(cursor: Cursor, after: str, limit: int) -> list[Entry]:
    """Return files in quarantine, by path, from behind one on."""
    cursor.execute(
        "SELECT path, reason, since FROM archive.quarantine WHERE path > %s ORDER BY path LIMIT %s",
        (after, limit),
    )
    return [Entry(*row) for row in cursor.fetchall()]


def missing(connection: Connection, settings: Mapping[str, str], after: str, limit: int) -> list[Lost]:
    """Return the products whose files are missing, by identifier, from behind one on.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.
        after: the identifier that they follow.
        limit: the most.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(_MISSING, (after, limit))
        # The views hold times as UTC without saying so.
        return [
            Lost(identifier, path, size, since.replace(tzinfo=UTC))
            for identifier, path, size, since in cursor.fetchall()
        ]


def attempts(cursor: Cursor, state: str | None, after: int, limit: int) -> list[Attempt]:
    """Return what came of plate solving of the products that the transaction's actor sees, by product."""
    cursor.execute(_ATTEMPTS, {"state": state, "after": after, "limit": limit, "operator": False})
    return [Attempt(*row) for row in cursor.fetchall()]


def solve_again(cursor: Cursor, ids: Sequence[int]) -> None:
    """Forget what came of plate solving of products, and put them into the queue."""
    cursor.execute(_FORGET, (list(ids),))
    cursor.execute(_QUEUE, (list(ids),))
