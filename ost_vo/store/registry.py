"""The records of the publishing registry, as `/oai.xml` gives them, each with the date of its last change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg2.extras import DictCursor, DictRow

from ost_vo.store import transactions
from ost_vo.store.connections import Database
from ost_vo.vo.oai import Header, Request


@dataclass(frozen=True, slots=True)
class Draft:
    """A record as it is to be now; its dates are not known yet.

    Attributes:
        identifier: IVOID.
        sets: names of the sets that it is in.
        digest: of everything in it; of nothing where it is withdrawn.
        resource: the VOResource element, without the date of its last change.
        dublin_core: the element in Dublin Core.
        is_deleted: whether it was withdrawn.
    """

    identifier: str
    sets: tuple[str, ...]
    digest: bytes
    resource: str | None = None
    dublin_core: str | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its head, and the elements in both formats, None where it was withdrawn."""

    header: Header
    resource: str | None
    dublin_core: str | None


_COLUMNS = "ivoid, updated, sets, is_deleted, resource, dublin_core"

# A limit that is null does not count.
_MATCHING = """(%(since)s IS NULL OR updated >= %(since)s) AND (%(until)s IS NULL OR updated <= %(until)s)
AND (%(set)s IS NULL OR %(set)s = ANY (sets))"""
_PAGE = f"""
SELECT {_COLUMNS} FROM archive.registry_records
WHERE {_MATCHING} AND (%(updated)s IS NULL OR (updated, ivoid) > (%(updated)s, %(ivoid)s))
ORDER BY updated, ivoid LIMIT %(limit)s
"""  # noqa: S608

_SAVE = """
INSERT INTO archive.registry_records AS kept (ivoid, sets, updated, digest, resource, dublin_core)
VALUES (%(ivoid)s, %(sets)s, date_trunc('second', clock_timestamp()), %(digest)s, %(resource)s, %(dublin)s)
ON CONFLICT (ivoid) DO UPDATE SET sets = excluded.sets, updated = excluded.updated, is_deleted = false,
    digest = excluded.digest, resource = excluded.resource, dublin_core = excluded.dublin_core
WHERE kept.digest <> excluded.digest OR kept.is_deleted OR kept.sets <> excluded.sets
"""
_WITHDRAW = """
UPDATE archive.registry_records SET is_deleted = true, resource = NULL, dublin_core = NULL,
    updated = date_trunc('second', clock_timestamp())
WHERE ivoid = %(ivoid)s AND NOT is_deleted
"""


def save(database: Database, drafts: Iterable[Draft]) -> list[str]:
    """Keep the records that are others than before, and return their identifiers.

    Args:
        database: of the role ost_web.
        drafts: the records; those of before that are not among them stay as they are.
    """
    with transactions.transaction(database, {}) as cursor:
        # Two at a time would date one change twice.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('archive.registry_records'))")
        return [draft.identifier for draft in drafts if _save(cursor, draft)]


def _save(cursor: DictCursor, draft: Draft) -> bool:
    values = {
        "ivoid": draft.identifier,
        "sets": list(draft.sets),
        "digest": draft.digest,
        "resource": draft.resource,
        "dublin": draft.dublin_core,
    }
    cursor.execute(_WITHDRAW if draft.is_deleted else _SAVE, values)
    return cursor.rowcount > 0


def listing(database: Database, request: Request, limit: int) -> tuple[list[Record], int]:
    """Return the records that a request asks for, one more than the limit where there are, and their number.

    The number counts all from the beginning of the list, not only those after where it goes on.
    """
    after = request.after
    values = {
        "since": request.since,
        "until": request.until,
        "set": request.set_name or None,
        "updated": after.updated if after else None,
        "ivoid": after.identifier if after else None,
        "limit": limit + 1,
    }
    with transactions.reading(database) as cursor:
        cursor.execute(f"SELECT count(*) FROM archive.registry_records WHERE {_MATCHING}", values)  # noqa: S608
        row = cursor.fetchone()
        assert row is not None
        cursor.execute(_PAGE, values)
        return [_record(found) for found in cursor.fetchall()], int(row[0])


def record(database: Database, identifier: str) -> Record | None:
    """Return a record by its IVOID, None where there never was one."""
    with transactions.reading(database) as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM archive.registry_records WHERE ivoid = %s",  # noqa: S608
            (identifier,),
        )
        row = cursor.fetchone()
    return _record(row) if row else None


def everything(database: Database) -> list[Record]:
    """Return all records, withdrawn ones too, by identifier."""
    with transactions.reading(database) as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM archive.registry_records ORDER BY ivoid")  # noqa: S608
        return [_record(row) for row in cursor.fetchall()]


def earliest(database: Database) -> datetime | None:
    """Return the date of the oldest record, None where there is none."""
    with transactions.reading(database) as cursor:
        cursor.execute("SELECT min(updated) FROM archive.registry_records")
        row = cursor.fetchone()
    return row[0] if row else None


def _record(row: DictRow) -> Record:
    ivoid, updated, sets, is_deleted, resource, dublin_core = row
    return Record(Header(ivoid, updated, sets, is_deleted), resource, dublin_core)
