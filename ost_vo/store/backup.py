"""Dumping the archive's tables and loading them, with PostgreSQL's own programs.

The schemas `archive` and `context` are all that cannot be made again: the views and TAP_SCHEMA come from the
descriptors, and roles and extensions from :mod:`ost_vo.store.provision`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection

from ost_vo.faults import FatalFault

BINARIES = Path("/usr/lib/postgresql/15/bin")
SCHEMAS = ("archive", "context")
# pg_dump calls set_config, which nobody else may who could query by it.
SUPERUSER = "postgres"
# Whose rows stay behind: jobs, whose results are no part of a backup, sessions, which a log-in renews, and
# what is made anew.
_TRANSIENT = ("archive.jobs", "archive.sessions", "archive.definitions", "archive.footprints")
_FILES = "SELECT path, file_size, encode(sha256, 'hex') FROM archive.products ORDER BY path"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file as the archive knows it: path below the data root, size [byte], SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


class Snapshot:
    """The database at one moment, whatever is written meanwhile."""

    def __init__(self, dsn: str, connection: Connection) -> None:
        self._dsn = dsn
        self._connection = connection

    def revision(self) -> str:
        """Return the revision of the tables."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT version_num FROM archive.alembic_version")
            row = cursor.fetchone()
        return str(row[0]) if row else ""

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each table whose rows are dumped."""
        return counts(self._connection)

    def files(self) -> Iterator[DataFile]:
        """Yield the data files of all products, by path."""
        with self._connection.cursor("files") as cursor:
            cursor.execute(_FILES)
            for path, size, digest in cursor:
                yield DataFile(path, size, digest)

    def dump(self, target: Path) -> None:
        """Write a dump of the tables in PostgreSQL's custom format.

        Raises:
            FatalFault: pg_dump refused; with what it said.
        """
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_export_snapshot()")
            row = cursor.fetchone()
            left_out = _transient(self._connection)
        _run(
            "pg_dump",
            "--format=custom",
            f"--snapshot={row[0] if row else ''}",
            *(f"--schema={schema}" for schema in SCHEMAS),
            *(f"--exclude-table-data={table}" for table in left_out),
            f"--file={target}",
            self._dsn,
        )


@contextmanager
def snapshot(dsn: str) -> Iterator[Snapshot]:
    """Hold the database still for the time of a block, for whoever looks through what is yielded.

    Args:
        dsn: libpq connection string of a superuser.

    Raises:
        FatalFault: the database does not answer.
    """
    try:
        connection = psycopg2.connect(dsn)
    except psycopg2.OperationalError as error:
        raise FatalFault(
            f"The archive's database does not answer: {str(error).strip()}.", "Start it with `ost-vo run`."
        ) from error
    connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    try:
        yield Snapshot(dsn, connection)
    finally:
        connection.close()


def load(dsn: str, dump: Path) -> None:
    """Load a dump into a database that has no archive yet, all or nothing.

    Args:
        dsn: of a superuser, to a database that :mod:`ost_vo.store.provision` has prepared.
        dump: what :meth:`Snapshot.dump` wrote.

    Raises:
        FatalFault: there are tables already, or pg_restore refused; with what it said.
    """
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            for schema in SCHEMAS:
                # The dump brings them; one that has something in it is not dropped.
                cursor.execute(sql.SQL("DROP SCHEMA {} RESTRICT").format(sql.Identifier(schema)))
    except psycopg2.Error as error:
        raise FatalFault(f"The database is not empty: {error.diag.message_primary}.") from error
    finally:
        connection.close()
    _run("pg_restore", "--single-transaction", "--exit-on-error", f"--dbname={dsn}", str(dump))


def counts(connection: Connection) -> dict[str, int]:
    """Return the number of rows of each table whose rows are dumped."""
    left_out = _transient(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY (%s)"
            " ORDER BY 1",
            (list(SCHEMAS),),
        )
        tables = [row[0] for row in cursor.fetchall() if row[0] not in left_out]
        found = {}
        for table in tables:
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split("."))))
            row = cursor.fetchone()
            found[table] = row[0] if row else 0
    return found


def _transient(connection: Connection) -> list[str]:
    """Return the tables whose rows stay behind, with those whose rows would be nothing without them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE behind (oid) AS (
                SELECT to_regclass(name)::oid FROM unnest(%s) AS n (name)
                UNION SELECT conrelid FROM pg_constraint JOIN behind ON confrelid = behind.oid
                WHERE contype = 'f')
            SELECT format('%%I.%%I', nspname, relname) FROM pg_class c JOIN behind USING (oid)
            JOIN pg_namespace s ON s.oid = relnamespace ORDER BY 1
            """,
            (list(_TRANSIENT),),
        )
        return [row[0] for row in cursor.fetchall()]


def _run(program: str, *arguments: str) -> None:
    result = subprocess.run(
        [str(BINARIES / program), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise FatalFault(f"{program} failed: {result.stderr.strip()}")
