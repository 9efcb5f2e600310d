"""A million products at once: COPY over several connections, indexes and foreign keys set aside meanwhile.

Per row and index, building an index afterwards costs a fraction of keeping it up to date, and a foreign key
is checked for all rows by one join. The statements that bring back what was set aside are kept in a table
until all of them are done: a load that was killed is mended by the next one, or by `restore`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from datetime import date
from io import BytesIO

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

CONNECTIONS = 2  # each keeps one core of the database's machine busy
COPY_CHUNK = 2**18  # bytes handed to libpq at a time

# The primary key stays: other tables refer to it. GiST first, since those take longest to build.
_SET_ASIDE = """
CREATE TABLE archive.set_aside AS
SELECT row_number() OVER (ORDER BY is_gist DESC, name) AS place, phase, undo, redo
FROM (
    SELECT i.indexrelid::regclass::text AS name, a.amname = 'gist' AS is_gist, 1 AS phase,
        CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass)
            ELSE format('ALTER TABLE archive.products DROP CONSTRAINT %I', c.conname) END AS undo,
        pg_get_indexdef(i.indexrelid) AS redo
    FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid JOIN pg_am a ON a.oid = k.relam
        LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid
    WHERE i.indrelid = 'archive.products'::regclass AND NOT i.indisprimary
    UNION ALL
    SELECT conname, false, 2, NULL,
        format('ALTER TABLE archive.products ADD CONSTRAINT %I UNIQUE USING INDEX %I', conname, conname)
    FROM pg_constraint WHERE conrelid = 'archive.products'::regclass AND contype = 'u'
    UNION ALL
    SELECT conname, false, 2, format('ALTER TABLE archive.products DROP CONSTRAINT %I', conname),
        format('ALTER TABLE archive.products ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid = 'archive.products'::regclass AND contype = 'f'
) AS parts
"""


@contextmanager
def set_aside(dsn: str, products: int) -> Iterator[int]:
    """Take indexes and foreign keys off archive.products for the time of a block.

    Args:
        dsn: connection string of the role ost_owner.
        products: how many keys of new products to reserve.

    Yields:
        The first of the reserved keys; the others follow it.

    Raises:
        psycopg2.Error: the rows violate a constraint when the block has ended; see `restore`.
    """
    restore(dsn)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE archive.products IN ACCESS EXCLUSIVE MODE")
        first = _reserve(cursor, products)
        cursor.execute(_SET_ASIDE)
        for (statement,) in _statements(cursor, "undo", "undo IS NOT NULL"):
            cursor.execute(statement)
    try:
        yield first
    finally:
        restore(dsn)


def _reserve(cursor: Cursor, products: int) -> int:
    """Return the first of so many keys; nobody else draws one while the table is locked."""
    cursor.execute(
        "SELECT first, setval(keys, first + %s - 1) FROM (SELECT keys, nextval(keys) AS first FROM "
        "(SELECT pg_get_serial_sequence('archive.products', 'product_id')::regclass AS keys) AS s) AS t",
        (products,),
    )
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def restore(dsn: str) -> None:
    """Bring back what was set aside; does nothing where nothing is missing.

    Args:
        dsn: connection string of the role ost_owner.

    Raises:
        psycopg2.Error: rows violate a constraint; the next call tries again.
    """
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('archive.set_aside') IS NOT NULL")
        if cursor.fetchone() == (False,):
            return
        indexes = [redo for (redo,) in _statements(cursor, "redo", "phase = 1")]
    _build(dsn, indexes)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        for (statement,) in _statements(cursor, "redo", "phase = 2"):
            cursor.execute(statement)
        cursor.execute("DROP TABLE archive.set_aside")


def _statements(cursor: Cursor, column: str, condition: str) -> list[tuple[str]]:
    cursor.execute(
        sql.SQL("SELECT {} FROM archive.set_aside WHERE {} ORDER BY place").format(
            sql.Identifier(column), sql.SQL(condition)
        )
    )
    return cursor.fetchall()


def _build(dsn: str, definitions: Sequence[str]) -> None:
    """Build indexes, as many at a time as there are connections."""

    def build(definition: str) -> None:
        with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
            cursor.execute("SET LOCAL max_parallel_maintenance_workers = 0")
            name = definition.split(" INDEX ", 1)[1].split(" ON ", 1)[0]
            cursor.execute("SELECT to_regclass(%s) IS NULL", (f"archive.{name}",))
            if cursor.fetchone() == (True,):
                cursor.execute(definition)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(build, definitions))


def copy(
    connections: Sequence[Connection],
    columns: Sequence[str],
    text: Callable[[int], bytes],
    batches: int,
    progress: Callable[[int], None] | None,
) -> None:
    """Append rows to archive.products; the caller commits.

    Args:
        connections: over which the rows go, each in its open transaction.
        columns: what the rows hold.
        text: makes the rows of a batch in COPY's text format, given its number from 0 on; called by threads.
        batches: how many batches there are.
        progress: told the number of each batch that is through.

    Raises:
        psycopg2.Error: a row was refused; the transactions have to be rolled back.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY archive.products ({}) FROM STDIN").format(names)
    waiting = deque(range(batches))

    def send(connection: Connection) -> None:
        with connection.cursor() as cursor:
            while (number := _next(waiting)) is not None:
                cursor.copy_expert(statement, BytesIO(text(number)), size=COPY_CHUNK)
                if progress:
                    progress(number)

    with ThreadPoolExecutor(len(connections)) as threads:
        try:
            for sent in as_completed([threads.submit(send, connection) for connection in connections]):
                sent.result()
        finally:
            # After a failure or Ctrl-C the others stop at the end of their batch.
            waiting.clear()


def _next(waiting: deque[int]) -> int | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def has_run_like(connection: Connection, prefix: str) -> bool:
    """Return whether a run's name begins so."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM archive.runs WHERE starts_with(name, %s))", (prefix,))
        return cursor.fetchone() == (True,)


def insert_users(connection: Connection, names: Sequence[str]) -> list[int]:
    """Insert users; return their keys in the order of the names."""
    statement = "INSERT INTO archive.users (name) VALUES %s RETURNING user_id"
    return _insert(connection, statement, [(name,) for name in names])


def insert_projects(connection: Connection, projects: Sequence[tuple[str, bool, int]]) -> list[int]:
    """Insert projects, each (name, is_public, max_privileges); return their keys in order."""
    statement = (
        "INSERT INTO archive.projects (name, is_public, max_privileges) VALUES %s RETURNING project_id"
    )
    return _insert(connection, statement, projects)


def insert_members(connection: Connection, members: Sequence[tuple[int, int, bool]]) -> None:
    """Insert members of projects, each (project key, user key, is_manager)."""
    statement = (
        "INSERT INTO archive.project_members (project_id, user_id, is_manager) VALUES %s RETURNING user_id"
    )
    _insert(connection, statement, members)


def insert_runs(connection: Connection, runs: Sequence[tuple[str, date, int]]) -> list[int]:
    """Insert runs, each (name, night, project key); return their keys in order."""
    statement = "INSERT INTO archive.runs (name, night, project_id) VALUES %s RETURNING run_id"
    return _insert(connection, statement, runs)


def insert_targets(connection: Connection, targets: Sequence[tuple[str, str, float, float]]) -> list[int]:
    """Insert targets, each (name, class, right ascension, declination [deg]); return their keys in order."""
    statement = "INSERT INTO archive.targets (name, target_class, s_ra, s_dec) VALUES %s RETURNING target_id"
    return _insert(connection, statement, targets)


def _insert(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> list[int]:
    with connection.cursor() as cursor:
        return [key for (key,) in execute_values(cursor, statement, rows, page_size=1000, fetch=True)]


def tidy(dsn: str) -> None:
    """Make statistics and the visibility map fit the new rows.

    Args:
        dsn: connection string of the role ost_owner.
    """
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "VACUUM (ANALYZE) archive.products, archive.runs, archive.targets, archive.projects, "
                "archive.users, archive.project_members"
            )
