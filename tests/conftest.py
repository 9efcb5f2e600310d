"""Private services for the tests: one cluster, one running archive with the demo night, scratch databases."""

from __future__ import annotations

import itertools
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from hypothesis import settings

from ingest.demo import write_demo
from ingest.load import Outcome, ingest
from ost_vo.deployment import cluster, publisher
from ost_vo.deployment.archive import Archive
from ost_vo.settings import Settings
from ost_vo.store import provision
from ost_vo.store.upgrade import upgrade

_numbers = itertools.count(1)

# A shell ignores these for what it runs in the background, and so would every process that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


# The same examples each time, however slow the machine is.
settings.register_profile("tests", derandomize=True, database=None, deadline=None)
settings.load_profile("tests")


@dataclass(frozen=True)
class Service:
    """A running archive.

    Attributes:
        url: of the archive, without a slash at the end.
        publisher_url: of DaCHS' own services on the same database.
        settings: of the archive.
        products: number of demo files, all of which the whole world may see.
    """

    url: str
    publisher_url: str
    settings: Settings
    products: int


@dataclass(frozen=True)
class ScratchArchive:
    """A migrated database without the views, and an empty data root."""

    settings: Settings


@pytest.fixture(scope="session")
def deployment() -> Iterator[Archive]:
    """The services of a new state directory; PostgreSQL and Redis run, the others do not yet."""
    # A service that takes long to end may still write a file while the directory goes.
    with tempfile.TemporaryDirectory(prefix="ost_vo-test-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        port = publisher.free_port()
        archive = Archive(Settings(state=Path(directory) / "state", port=port, ingest_privileges=5))
        try:
            archive.start_database(print)
            yield archive
        finally:
            archive.stop()


@pytest.fixture(scope="session")
def service(deployment: Archive) -> Service:
    """A running archive that holds the demo night, with DaCHS beside it."""
    settings = deployment.settings
    write_demo(settings.data)
    report = ingest([settings.data], settings, None)
    deployment.start_services(print)
    deployment.await_publisher()
    return Service(settings.base_url, deployment.publisher_url, settings, report.counts[Outcome.INGESTED])


@pytest.fixture
def scratch_dsn(deployment: Archive) -> Iterator[str]:
    """The superuser's connection string of an empty database that has pg_sphere."""
    with _database(deployment.settings) as (name, dsn):
        connection = psycopg2.connect(dsn)
        provision.provision(connection, name)
        connection.close()
        yield dsn


@pytest.fixture(scope="session")
def _migrated(deployment: Archive) -> Iterator[Settings]:
    with _database(deployment.settings) as (name, dsn):
        connection = psycopg2.connect(dsn)
        provision.provision(connection, name)
        connection.close()
        settings = deployment.settings
        where = f"host='{settings.sockets}' port=5432 dbname={name}"
        scratch = Settings(state=settings.state, port=settings.port, database=where)
        upgrade(scratch.dsn("ost_owner"))
        yield scratch


# Most tests fill a few tables, and TRUNCATE would make new files for all of them and their indexes.
_EMPTY = """
DO $$
DECLARE
    name text;
    is_filled bool;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT format('archive.%%I', tablename) FROM pg_tables
        WHERE schemaname = 'archive' AND tablename NOT IN ('alembic_version', 'role_permissions')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %%s)', name) INTO is_filled;
        IF is_filled THEN
            EXECUTE format('DELETE FROM %%s', name);
        END IF;
    END LOOP;
    FOR name IN SELECT format('archive.%%I', sequencename) FROM pg_sequences
        WHERE schemaname = 'archive' AND last_value IS NOT NULL
    LOOP
        EXECUTE format('ALTER SEQUENCE %%s RESTART', name);
    END LOOP;
END $$
"""


@pytest.fixture
def archive(_migrated: Settings, tmp_path: Path) -> ScratchArchive:
    """A migrated database with no rows, and an empty data root."""
    execute(_migrated.dsn("postgres"), _EMPTY)
    root = tmp_path / "data"
    root.mkdir()
    return ScratchArchive(_migrated.model_copy(update={"data_root": root}))


def execute(dsn: str, statement: str, *values: object) -> list[tuple]:
    """Run a statement in a transaction of its own; return its rows, if it has any."""
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


class _database:
    """A database of its own for the time of a block: its name and the superuser's connection string."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = f"scratch_{next(_numbers)}"

    def __enter__(self) -> tuple[str, str]:
        self._execute(f"CREATE DATABASE {self._name}")
        return self._name, cluster.superuser_dsn(self._settings, self._name)

    def __exit__(self, *_: object) -> None:
        self._execute(f"DROP DATABASE {self._name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        connection = psycopg2.connect(cluster.superuser_dsn(self._settings, "postgres"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()
