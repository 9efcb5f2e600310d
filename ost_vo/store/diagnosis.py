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

from ost_vo.store import definitions, replication, schema
from ost_vo.store.definitions import Drift
from ost_vo.store.provision import LEAKPROOF, ROLES

POSTGRESQL = 150000
CLOCK_SECONDS = 2.0
# A running job gives a sign of life every few seconds [s].
SILENT_SECONDS = 600
# A slot that is free takes a job at once [s].
WAITING_SECONDS = 900
# An analyst that is not far behind takes a product within an hour, the registrar a change within minutes [s].
UNSEEN_SECONDS = 3600
UNTOLD_SECONDS = 1800
# Whoever holds a transaction open keeps the tables from being cleaned [s].
IDLE_SECONDS = 3600
# A replica that is so far behind does not catch up by itself, as a rule [byte, s].
BEHIND_BYTES, BEHIND_SECONDS = 2**30, 300
# PostgreSQL stops at 2^31 transactions, and cleans by itself long before.
TRANSACTIONS_AGE = 1_500_000_000

# Where that file is not, a start sets up roles, marks, grants and views anew.
_START = "Remove dachs/imported from the state directory: `ost-vo upgrade` or `ost-vo run` then"
UPGRADE = "Run `ost-vo upgrade`, or start with `ost-vo run`."
PROVISION = f"{_START} sets it up again."
DESCRIPTORS = f"{_START} imports the descriptors again."
# As much of a definition as a remedy repeats.
SHOWN = 200

# Whose views the descriptors make, and what TAP_SCHEMA does not list of them.
_SCHEMAS = ("ivoa", "ost")
_UNLISTED = ("pos", "footprint")


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


_LISTED = """
WITH listed AS (
    SELECT table_name, trim('"' FROM column_name) AS column_name, to_regclass(table_name) AS relation
    FROM tap_schema.columns WHERE split_part(table_name, '.', 1) = ANY (%(schemas)s))
SELECT DISTINCT table_name, 'TAP_SCHEMA lists it, and there is no such view.' FROM listed
WHERE relation IS NULL
UNION ALL
SELECT table_name || '.' || column_name, 'TAP_SCHEMA lists it, and there is no such column.' FROM listed
WHERE relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute
    WHERE attrelid = relation AND attname = listed.column_name AND NOT attisdropped)
UNION ALL
SELECT format('%%s.%%s', attrelid::regclass, attname), 'It is there, and TAP_SCHEMA does not list it.'
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace s ON s.oid = relnamespace
WHERE nspname = ANY (%(schemas)s) AND relkind = 'v' AND attnum > 0 AND attname <> ALL (%(unlisted)s)
    AND NOT EXISTS (SELECT FROM listed WHERE relation = attrelid AND listed.column_name = attname)
"""

Check = Callable[[Cursor], Iterator[Finding]]


def findings(connection: Connection) -> list[Finding]:
    """Return what is wrong; nothing for a sound database.

    Args:
        connection: of the role ost_owner, or of a superuser; its transaction stays open.
    """
    with connection.cursor() as cursor:
        return [finding for check in _CHECKS for finding in check(cursor)]


def changed(connection: Connection) -> list[Finding]:
    """Return what is not as the migrations and the descriptors of this version have made it.

    Args:
        connection: of the role ost_owner, or of a superuser; its transaction stays open.
    """
    return [_drifted(drift) for drift in definitions.drift(connection)]


def _drifted(drift: Drift) -> Finding:
    if drift.name == definitions.SERVER:
        problem = f"The definitions were noted under version {drift.noted}, and this is {drift.found}."
        return Finding(drift.name, problem, f"{_START} notes them anew.")
    if drift.noted is None:
        remedy = "Find out who did; remove it, or leave it if it is wanted."
        return Finding(drift.name, "No migration and no descriptor has made it.", remedy)
    problem = "It is not there any more." if drift.found is None else "It is not as this version has made it."
    if drift.name.startswith(("view ", "grants ", "role ")):
        return Finding(drift.name, problem, PROVISION)
    if len(drift.noted) > SHOWN:
        return Finding(drift.name, problem, f"Make it as archive.definitions has {drift.name!r}.")
    return Finding(drift.name, problem, f"Make it as it was: {drift.noted}")


def unfit(connection: Connection) -> list[Finding]:
    """Return what an upgrade would trip over; what it puts right by itself is not among it.

    Args:
        connection: of the role ost_owner, or of a superuser; its transaction stays open.
    """
    with connection.cursor() as cursor:
        found = [finding for check in _FITNESS for finding in check(cursor)]
    return [finding for finding in found if finding.remedy not in (UPGRADE, PROVISION, DESCRIPTORS)]


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
    """Say whether `ost-vo watch` holds a connection for ingest, as it does as long as it runs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE usename = 'ost_ingest' AND application_name = 'ost-vo watch')"
        )
        return bool(_value(cursor))


def is_analysed(connection: Connection) -> bool:
    """Say whether no product has waited for its previews for an hour."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM archive.analysis_queue"
            " WHERE due < clock_timestamp() - make_interval(secs => %s))",
            (UNSEEN_SECONDS,),
        )
        return bool(_value(cursor))


def is_registered(connection: Connection) -> bool:
    """Say whether the registry's coverage is of what has been there for half an hour."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM archive.coverage_changes"
            " WHERE moment < clock_timestamp() - make_interval(secs => %s)"
            " AND moment > coalesce((SELECT computed FROM archive.coverage), '-infinity'))",
            (UNTOLD_SECONDS,),
        )
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
        cursor.execute(_LISTED, {"schemas": list(_SCHEMAS), "unlisted": list(_UNLISTED)})
        return [Finding(name, problem, DESCRIPTORS) for name, problem in cursor.fetchall()]


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
        yield Finding("revision", f"The tables are at revision {told}, not {schema.head()}.", UPGRADE)


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
        SELECT c.oid::regclass::text, coalesce('security_barrier=true' = ANY (reloptions), false),
            pg_get_viewdef(c.oid) ~ 'context\\.(in_scope|in_vo_scope|project_in_scope)'
        FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace
        WHERE relkind = 'v' AND nspname = ANY (%s) ORDER BY 1
        """,
        (list(_SCHEMAS),),
    )
    for name, is_barrier, is_filtered in cursor.fetchall():
        if not is_barrier:
            yield Finding(name, "It is no security_barrier view: errors betray hidden rows.", DESCRIPTORS)
        elif not is_filtered:
            yield Finding(name, "It shows rows without asking who may see them.", DESCRIPTORS)


def _triggers(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid"
        " WHERE tgenabled = 'D' AND NOT tgisinternal AND relnamespace = 'archive'::regnamespace"
    )
    for table, trigger in cursor.fetchall():
        problem = f"Its trigger {trigger} is disabled: changes are not noted or not checked."
        remedy = f"ALTER TABLE {table} ENABLE TRIGGER {trigger}; and find out who disabled it."
        yield Finding(table, problem, remedy)


def _clock(cursor: Cursor) -> Iterator[Finding]:
    before = datetime.now(UTC)
    cursor.execute("SELECT clock_timestamp()")
    # A busy machine may take its time between the three, which says nothing of the clocks.
    now = _value(cursor)
    apart = max(before - now, now - datetime.now(UTC)).total_seconds()
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


def replicas(cursor: Cursor) -> Iterator[Finding]:
    """Yield what is wrong with the replicas of the database, asked of it as the role ost_owner."""
    for replica in replication.replicas(cursor.connection):
        if (replica.lag_bytes or 0) > BEHIND_BYTES or (replica.lag_seconds or 0) > BEHIND_SECONDS:
            problem = (
                f"{replica.name} ({replica.state}) is {replica.lag_bytes} bytes and"
                f" {replica.lag_seconds or 0:.0f} s behind."
            )
            yield Finding("replicas", problem, "See its log, its disk, and the network between the two.")
    for slot, kept in replication.forsaken_slots(cursor.connection):
        problem = f"Nobody follows the slot {slot}: {kept} bytes of log are kept for it."
        remedy = f"Start its replica, or SELECT pg_drop_replication_slot('{slot}'); before the disk is full."
        yield Finding("replicas", problem, remedy)


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
    replicas,
)

# What an upgrade needs. None of it asks a table of the archive but that of the revision: an earlier version
# may have had others.
_FITNESS: tuple[Check, ...] = (_revision, _versions, _roles, _durability, _indexes, _owners, _clock)
