"""What may be wrong in the database, beyond what a migration can put right: for `ost-vo doctor`.

Each question is asked of PostgreSQL's own catalogues. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.store import schema
from ost_vo.store.provision import LEAKPROOF, ROLES

POSTGRESQL = 150000
CLOCK_SECONDS = 2.0
# A running job gives a sign of life every few seconds [s].
SILENT_SECONDS = 600
# A slot that is free takes a job at once [s].
WAITING_SECONDS = 900
# Whoever holds a transaction open keeps the tables from being cleaned [s].
IDLE_SECONDS = 3600
# PostgreSQL stops at 2^31 transactions, and cleans by itself long before.
TRANSACTIONS_AGE = 1_500_000_000

PROVISION = "Start it with `ost-vo run`, which sets up the database anew."
DESCRIPTORS = (
    "Import the resource descriptors again: `ost-vo run` does when resdir/ or the schema has changed."
)

# Tables whose changes decide over access.
_AUDITED = (
    "products",
    "project_members",
    "projects",
    "users",
    "creation_scopes",
    "tokens",
    "role_permissions",
)
_PUBLISHED = (
    "ivoa.obscore",
    "ost.products",
    "ost.runs",
    "ost.targets",
    "ost.projects",
    "ost.lineage",
    "ost.headers",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    Attributes:
        subject: what was looked at.
        problem: what is wrong with it.
        remedy: what to do.
    """

    subject: str
    problem: str
    remedy: str


Check = Callable[[Cursor], Iterator[Finding]]


def findings(connection: Connection) -> list[Finding]:
    """Return what is wrong; nothing for a sound database.

    Args:
        connection: of the role ost_owner, or of a superuser; its transaction stays open.
    """
    with connection.cursor() as cursor:
        return [finding for check in _CHECKS for finding in check(cursor)]


def unfit(connection: Connection) -> list[Finding]:
    """Return what an upgrade would trip over; what it puts right by itself is not among it.

    Args:
        connection: of the role ost_owner, or of a superuser; its transaction stays open.
    """
    with connection.cursor() as cursor:
        found = [finding for check in _FITNESS for finding in check(cursor)]
    return [finding for finding in found if finding.remedy not in (PROVISION, DESCRIPTORS)]


def capacity(connection: Connection, needed: int) -> Iterator[Finding]:
    """Yield a finding where the server takes fewer connections than the processes of the archive may open."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        most = _value(cursor)
    if needed > most:
        yield Finding(
            "max_connections",
            f"The processes may open {needed} connections, and PostgreSQL takes {most}.",
            "Lower OST_VO_CONNECTIONS or OST_VO_WEB_PROCESSES, or raise max_connections.",
        )


def is_watched(connection: Connection) -> bool:
    """Say whether somebody holds a connection for ingest, as the watcher does as long as it runs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'ost_ingest')")
        return bool(_value(cursor))


def published(connection: Connection) -> list[Finding]:
    """Return what is wrong with TAP_SCHEMA, by which clients and the service go.

    Args:
        connection: of the role adql; its transaction stays open.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('tap_schema.columns') IS NOT NULL")
        if not _value(cursor):
            return [Finding("TAP_SCHEMA", "It is not there.", DESCRIPTORS)]
        cursor.execute(
            """
            SELECT table_name, trim('"' FROM column_name) FROM tap_schema.columns
            WHERE table_name = ANY (%s) AND NOT EXISTS (
                SELECT FROM pg_attribute WHERE attrelid = to_regclass(table_name)
                    AND attname = trim('"' FROM column_name) AND NOT attisdropped)
            """,
            (list(_PUBLISHED),),
        )
        return [
            Finding(f"{table}.{column}", "TAP_SCHEMA lists it, and there is no such column.", DESCRIPTORS)
            for table, column in cursor.fetchall()
        ]


def _revision(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute("SELECT version_num FROM archive.alembic_version")
    found = [row[0] for row in cursor.fetchall()]
    if found and found[0] > schema.head():
        yield Finding(
            "revision",
            f"The tables are at revision {found[0]}, of a later version than this one ({schema.head()}).",
            "Install that version again, or restore a backup of this one.",
        )
    elif found != [schema.head()]:
        told = ", ".join(found) or "none"
        yield Finding("revision", f"The tables are at revision {told}, not {schema.head()}.", PROVISION)


def _versions(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute("SELECT current_setting('server_version_num')::int")
    version = _value(cursor)
    if version < POSTGRESQL:
        yield Finding("PostgreSQL", f"Its version is {version}.", "Install PostgreSQL 15 or later.")
    cursor.execute("SELECT count(*) FROM pg_extension WHERE extname = 'pg_sphere'")
    if not _value(cursor):
        yield Finding("pg_sphere", "The extension is not there.", PROVISION)
    cursor.execute(
        "SELECT extname, extversion, default_version FROM pg_extension"
        " JOIN pg_available_extensions ON name = extname WHERE extversion <> default_version"
    )
    for name, version, available in cursor.fetchall():
        yield Finding(
            name,
            f"The database has its version {version}, and its package version {available}.",
            f"ALTER EXTENSION {name} UPDATE; and see that its functions are as they were read.",
        )


def _roles(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = ANY (%s)", ([*ROLES],)
    )
    found = dict(cursor.fetchall())
    for role in ROLES:
        if role not in found:
            yield Finding(f"role {role}", "It is not there.", PROVISION)
        elif found[role]:
            yield Finding(f"role {role}", "It is a superuser.", f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS;")
    cursor.execute(
        "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
        " JOIN pg_roles q ON q.oid = m.member WHERE q.rolname = 'adql'"
    )
    for (role,) in cursor.fetchall():
        yield Finding("role adql", f"Queries can become {role}.", f"REVOKE {role} FROM adql;")


def _marks(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute("SELECT to_regtype('spoint') IS NULL")
    if _value(cursor):
        return
    cursor.execute(
        "SELECT signature, proleakproof FROM unnest(%s) AS s (signature)"
        " LEFT JOIN pg_proc ON oid = to_regprocedure(signature)",
        (list(LEAKPROOF),),
    )
    for signature, is_marked in cursor.fetchall():
        if not is_marked:
            problem = "It is not marked LEAKPROOF: searches by position cannot use their index."
            yield Finding(signature, problem, PROVISION)
    cursor.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE proleakproof AND pronamespace <>"
        " 'pg_catalog'::regnamespace AND oid <> ALL (SELECT to_regprocedure(s) FROM unnest(%s) AS s"
        " WHERE to_regprocedure(s) IS NOT NULL)",
        (list(LEAKPROOF),),
    )
    for (signature,) in cursor.fetchall():
        yield Finding(
            signature,
            "It is marked LEAKPROOF, and nobody here has read its source: it may betray hidden rows.",
            f"ALTER FUNCTION {signature} NOT LEAKPROOF;",
        )


def _grants(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT has_function_privilege('adql', 'pg_catalog.set_config(text, text, bool)', 'EXECUTE')"
        " WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'adql')"
    )
    if _value(cursor):
        remedy = "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, bool) FROM PUBLIC, adql;"
        yield Finding("set_config", "Queries may call it, and say that they are somebody else.", remedy)
    cursor.execute(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'archive'::regnamespace"
        " AND c.relkind IN ('r', 'v', 'm', 'p') AND has_any_column_privilege('adql', c.oid, 'SELECT')"
    )
    for (table,) in cursor.fetchall():
        yield Finding(
            table, "Queries may read it, past the filter.", f"REVOKE ALL ON {table} FROM PUBLIC, adql;"
        )


def _views(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        """
        SELECT name, oid IS NOT NULL, coalesce('security_barrier=true' = ANY (reloptions), false),
            coalesce(pg_get_viewdef(oid) ~ 'context\\.(in_scope|in_vo_scope|project_in_scope)', false)
        FROM unnest(%s) AS n (name) LEFT JOIN (
            SELECT c.oid, reloptions, nspname || '.' || relname AS name
            FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace WHERE relkind = 'v') v USING (name)
        """,
        (list(_PUBLISHED),),
    )
    for name, exists, is_barrier, is_filtered in cursor.fetchall():
        if not exists:
            yield Finding(name, "The view is not there.", DESCRIPTORS)
        elif not is_barrier:
            yield Finding(name, "It is no security_barrier view: errors betray hidden rows.", DESCRIPTORS)
        elif not is_filtered:
            yield Finding(name, "It shows rows without asking who may see them.", DESCRIPTORS)


def _triggers(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE tgname = 'audit'"
        " AND tgenabled <> 'D' AND c.relnamespace = 'archive'::regnamespace"
    )
    found = {row[0] for row in cursor.fetchall()}
    for table in _AUDITED:
        if table not in found:
            remedy = f"ALTER TABLE archive.{table} ENABLE TRIGGER audit; and find out who disabled it."
            yield Finding(f"archive.{table}", "Its changes do not get into the audit log.", remedy)


def _clock(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute("SELECT clock_timestamp()")
    apart = abs((_value(cursor) - datetime.now(UTC)).total_seconds())
    if apart > CLOCK_SECONDS:
        problem = f"The database's clock and this machine's are {apart:.0f} s apart."
        yield Finding(
            "clock", problem, "Let both keep time with NTP: release dates and sessions depend on it."
        )


def _jobs(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT count(*) FROM archive.jobs WHERE phase = 'EXECUTING'"
        " AND heartbeat < clock_timestamp() - make_interval(secs => %s)",
        (SILENT_SECONDS,),
    )
    if silent := _value(cursor):
        yield Finding("jobs", f"{silent} run and give no sign of life.", "See that the workers run.")


def _queue(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT count(*) FROM archive.jobs WHERE phase = 'QUEUED'"
        " AND queued < clock_timestamp() - make_interval(secs => %s)"
        " AND NOT EXISTS (SELECT FROM archive.jobs WHERE phase = 'EXECUTING')",
        (WAITING_SECONDS,),
    )
    if waiting := _value(cursor):
        yield Finding(
            "queue",
            f"{waiting} jobs wait, and none runs.",
            "See that the web service runs, or with OST_VO_BROKER `ost-vo work` and Redis.",
        )


def _durability(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT name FROM pg_settings WHERE setting = 'off'"
        " AND name IN ('fsync', 'full_page_writes', 'autovacuum')"
    )
    for (name,) in cursor.fetchall():
        problem = "It is off: " + (
            "tables grow, and plans go wrong." if name == "autovacuum" else "a crash can lose everything."
        )
        yield Finding(name, problem, f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();")


def _indexes(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
        " WHERE NOT (indisvalid AND indisready) AND c.relnamespace = 'archive'::regnamespace"
    )
    for (name,) in cursor.fetchall():
        yield Finding(name, "This index is not valid: it is not used.", f"REINDEX INDEX {name};")


def _owners(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT c.oid::regclass::text, pg_get_userbyid(relowner) FROM pg_class c"
        " WHERE relnamespace = 'archive'::regnamespace AND relkind IN ('r', 'v', 'm', 'p')"
        " AND pg_get_userbyid(relowner) <> 'ost_owner'"
    )
    for name, owner in cursor.fetchall():
        yield Finding(
            name,
            f"It belongs to {owner}: the next migration cannot change it.",
            f"ALTER TABLE {name} OWNER TO ost_owner;",
        )


def _sessions(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT pid, usename FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
        " AND state_change < clock_timestamp() - make_interval(secs => %s)",
        (IDLE_SECONDS,),
    )
    for pid, user in cursor.fetchall():
        yield Finding(
            "transactions",
            f"{user} has kept one open for more than an hour (process {pid}): tables are not cleaned.",
            f"Find out who it is, or SELECT pg_terminate_backend({pid});",
        )
    cursor.execute("SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()")
    if (age := _value(cursor)) > TRANSACTIONS_AGE:
        yield Finding("transactions", f"The oldest is {age} back.", "VACUUM FREEZE; before PostgreSQL stops.")


def _value(cursor: Cursor) -> Any:
    row = cursor.fetchone()
    return row[0] if row else None


_CHECKS: tuple[Check, ...] = (
    _revision,
    _versions,
    _roles,
    _marks,
    _grants,
    _views,
    _triggers,
    _clock,
    _jobs,
    _queue,
    _durability,
    _indexes,
    _owners,
    _sessions,
)

# What an upgrade needs. None of it asks a table of the archive but that of the revision: an earlier version
# may have had others.
_FITNESS: tuple[Check, ...] = (_revision, _versions, _roles, _durability, _indexes, _owners, _clock)
