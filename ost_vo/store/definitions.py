"""How everything in the database was made: noted by whoever makes it, so that a later change can be named.

The migrations and the descriptors define what there is. What they have made is read from PostgreSQL's
catalogues and kept in `archive.definitions`; nobody keeps a list by hand.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from ost_vo.store.provision import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of PostgreSQL's major version, whose words definitions are in.
SERVER = "PostgreSQL"
_SCHEMAS = ("archive", "context", "ivoa", "ost")

# A name and a definition of everything in the schemas; names are qualified, since the search path is empty.
_FOUND = """
WITH relations AS (
    SELECT c.oid, c.relkind, c.relacl, c.relowner, c.reloptions, c.relpersistence, c.relrowsecurity,
        c.oid::regclass::text AS name
    FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace
    WHERE nspname = ANY (%(schemas)s) AND relkind IN ('r', 'p', 'v', 'm', 'S')),
functions AS (
    SELECT p.* FROM pg_proc p JOIN pg_namespace s ON s.oid = pronamespace
    WHERE nspname = ANY (%(schemas)s) AND prokind IN ('f', 'p')),
grants (name, acl) AS (
    SELECT name, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
    FROM relations
    UNION ALL SELECT format('%%s.%%I', name, attname), attacl
    FROM relations JOIN pg_attribute ON attrelid = oid WHERE attacl IS NOT NULL AND NOT attisdropped
    UNION ALL SELECT oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) FROM functions
    UNION ALL SELECT 'schema ' || nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
    WHERE nspname = ANY (%(schemas)s)
    UNION ALL SELECT 'set_config', proacl FROM pg_proc
    WHERE oid = 'pg_catalog.set_config(text, text, bool)'::regprocedure)
SELECT 'PostgreSQL', current_setting('server_version_num')::int / 10000 || ''
UNION ALL
SELECT 'table ' || name, concat_ws(' ', relpersistence, relrowsecurity, pg_get_userbyid(relowner))
FROM relations WHERE relkind IN ('r', 'p')
UNION ALL
SELECT 'view ' || name, concat_ws(' ', pg_get_userbyid(relowner), array_to_string(reloptions, ','),
    pg_get_viewdef(oid)) FROM relations WHERE relkind IN ('v', 'm')
UNION ALL
SELECT format('column %%s.%%I', name, attname), concat_ws(' ', format_type(atttypid, atttypmod),
    CASE WHEN attnotnull THEN 'NOT NULL' END, nullif(attidentity, ''), nullif(attgenerated, ''),
    pg_get_expr(adbin, adrelid))
FROM relations JOIN pg_attribute ON attrelid = relations.oid
    LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT format('constraint %%I on %%s', conname, name), pg_get_constraintdef(c.oid)
FROM relations JOIN pg_constraint c ON conrelid = relations.oid
UNION ALL
SELECT 'index ' || indexrelid::regclass, pg_get_indexdef(indexrelid)
FROM relations JOIN pg_index ON indrelid = relations.oid
UNION ALL
SELECT format('trigger %%I on %%s', tgname, name), concat_ws(' ', pg_get_triggerdef(t.oid),
    CASE tgenabled WHEN 'O' THEN NULL WHEN 'D' THEN 'disabled' ELSE format('enabled %%s', tgenabled) END)
FROM relations JOIN pg_trigger t ON tgrelid = relations.oid WHERE NOT tgisinternal
UNION ALL
SELECT 'function ' || oid::regprocedure, concat_ws(' ', pg_get_userbyid(proowner), pg_get_functiondef(oid))
FROM functions
UNION ALL
SELECT 'grants on ' || g.name, coalesce(string_agg(
    concat_ws(' ', privilege_type, 'TO', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END,
        CASE WHEN is_grantable THEN 'WITH GRANT OPTION' END), ', ' ORDER BY grantee <> 0,
    pg_get_userbyid(grantee), privilege_type), 'none')
FROM grants g LEFT JOIN aclexplode(acl) ON true GROUP BY g.name
UNION ALL
SELECT 'role ' || rolname, concat_ws(' ', CASE WHEN rolsuper THEN 'SUPERUSER' END,
    CASE WHEN rolbypassrls THEN 'BYPASSRLS' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
    CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
    CASE WHEN rolcanlogin THEN 'LOGIN' END, CASE WHEN rolinherit THEN 'INHERIT' END,
    (SELECT 'IN ROLE ' || string_agg(pg_get_userbyid(roleid), ', ' ORDER BY pg_get_userbyid(roleid))
        FROM pg_auth_members WHERE member = r.oid),
    array_to_string(rolconfig, ', '))
FROM pg_roles r WHERE rolname = ANY (%(roles)s)
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that is not as it was made.

    Attributes:
        name: what it is, as ``trigger audit on archive.users``.
        noted: how it was made; None for what nobody has made here.
        found: how it is; None for what is not there any more.
    """

    name: str
    noted: str | None
    found: str | None


def note(connection: Connection, before: Collection[Drift] = ()) -> None:
    """Note how everything is, right after migrations and descriptors have made it.

    Args:
        connection: of the role ost_owner; its transaction stays open.
        before: what was not as it had been made, before they were run. What they left alone goes on
            counting as changed.
    """
    with connection.cursor() as cursor:
        found = _found(cursor)
        noted: dict[str, str | None] = {**found}
        for drift in before:
            if drift.name != SERVER and found.get(drift.name) == drift.found:
                noted[drift.name] = drift.noted
        cursor.execute("DELETE FROM archive.definitions")
        rows = [(name, definition) for name, definition in noted.items() if definition is not None]
        execute_values(cursor, "INSERT INTO archive.definitions (name, definition) VALUES %s", rows)


def drift(connection: Connection) -> list[Drift]:
    """Return what is not as it was made, by name; nothing where it has not been noted.

    Of another major version of PostgreSQL, which puts definitions into other words, that alone is told.

    Args:
        connection: of the role ost_owner, or of a superuser; its transaction stays open.
    """
    with connection.cursor() as cursor:
        noted = _noted(cursor)
        if not noted:
            return []
        found = _found(cursor)
    names = [SERVER] if noted.get(SERVER) != found[SERVER] else sorted(noted.keys() | found.keys())
    return [
        Drift(name, noted.get(name), found.get(name)) for name in names if noted.get(name) != found.get(name)
    ]


def _noted(cursor: Cursor) -> dict[str, str]:
    cursor.execute("SELECT to_regclass('archive.definitions') IS NOT NULL")
    (exists,) = cursor.fetchone() or (False,)
    if not exists:
        return {}
    cursor.execute("SELECT name, definition FROM archive.definitions")
    return dict(cursor.fetchall())


def _found(cursor: Cursor) -> dict[str, str]:
    with _unsearched(cursor):
        cursor.execute(_FOUND, {"schemas": list(_SCHEMAS), "roles": [*ROLES]})
        return dict(cursor.fetchall())


@contextmanager
def _unsearched(cursor: Cursor) -> Iterator[None]:
    """Let names be written with their schemas, for the time of a block."""
    cursor.execute("SHOW search_path")
    (path,) = cursor.fetchone() or ("",)
    cursor.execute("SET LOCAL search_path TO pg_catalog, pg_temp")
    yield
    cursor.execute(f"SET LOCAL search_path TO {path}")
