"""From the version before to this one: rows stay, and what is wrong is said before anything is changed."""

from __future__ import annotations

import io

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from psycopg2 import extensions
from sqlalchemy import create_engine, pool

from ost_vo.services import doctor
from ost_vo.settings import Settings
from ost_vo.store import schema
from ost_vo.store.upgrade import upgrade
from tests.conftest import Service, execute

BEFORE = f"{int(schema.head()) - 1:04d}"


def migrated(dsn: str, revision: str) -> None:
    """Bring an empty database to a revision."""
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn), poolclass=pool.NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture
def settings(scratch_dsn: str, service: Service) -> Settings:
    """An archive of the version before, with the rows of the running archive in what there was then."""
    given = extensions.parse_dsn(scratch_dsn)
    where = f"host='{given['host']}' port={given['port']} dbname={given['dbname']}"
    settings = Settings(**{**service.settings.model_dump(), "database": where})
    migrated(settings.dsn("ost_owner"), BEFORE)
    _copy(service.settings, settings)
    return settings


_COLUMNS = """
SELECT c.oid::regclass::text, array_agg(quote_ident(attname) ORDER BY attnum) FROM pg_class c
JOIN pg_attribute ON attrelid = c.oid WHERE relnamespace = 'archive'::regnamespace AND relkind = 'r'
    AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND relname <> 'alembic_version'
GROUP BY c.oid
"""


def _copy(source: Settings, target: Settings) -> None:
    """Copy the rows of all tables as they are, without triggers, in the columns that both have."""
    theirs = dict(execute(source.dsn("postgres"), _COLUMNS))
    here, there = (psycopg2.connect(settings.dsn("postgres")) for settings in (source, target))
    with there, there.cursor() as cursor, here.cursor() as reader:
        cursor.execute(_COLUMNS)
        tables = {
            name: [c for c in columns if c in theirs.get(name, ())] for name, columns in cursor.fetchall()
        }
        cursor.execute("SET LOCAL session_replication_role = replica")
        for name, columns in tables.items():
            if not columns:
                continue
            cursor.execute(f"DELETE FROM {name} WHERE true")
            rows = io.BytesIO()
            reader.copy_expert(f"COPY {name} ({', '.join(columns)}) TO STDOUT", rows)
            rows.seek(0)
            cursor.copy_expert(f"COPY {name} ({', '.join(columns)}) FROM STDIN", rows)
    here.close()
    there.close()


def _contents(settings: Settings, columns: dict[str, list[str]]) -> dict[str, list[tuple]]:
    """Return all rows of tables, as texts of the given columns."""
    return {
        name: sorted(execute(settings.dsn("postgres"), f"SELECT ROW({', '.join(listed)})::text FROM {name}"))
        for name, listed in columns.items()
    }


def test_an_archive_of_the_version_before_becomes_one_of_this_version(settings: Settings) -> None:
    assert doctor.before_upgrade(settings) == []
    columns = dict(execute(settings.dsn("postgres"), _COLUMNS))
    before = _contents(settings, columns)
    assert len(before["archive.products"]) > 10
    assert len(before["archive.headers"]) > 10
    upgrade(settings.dsn("ost_owner"))
    assert _contents(settings, columns) == before
    # The views come from the descriptors, which have not been imported here.
    assert all(f.subject.startswith(("ivoa.", "ost.", "TAP_SCHEMA")) for f in doctor.after_upgrade(settings))


def test_what_an_upgrade_would_trip_over_is_said_before(settings: Settings) -> None:
    execute(settings.dsn("postgres"), "ALTER TABLE archive.users OWNER TO postgres")
    assert [finding.subject for finding in doctor.before_upgrade(settings)] == ["archive.users"]
    execute(settings.dsn("postgres"), "ALTER TABLE archive.users OWNER TO ost_owner")
    execute(settings.dsn("postgres"), "UPDATE archive.alembic_version SET version_num = '9999'")
    assert [finding.subject for finding in doctor.before_upgrade(settings)] == ["revision"]
    gone = Settings(**{**settings.model_dump(), "database": "host=/nowhere dbname=none"})
    assert [finding.subject for finding in doctor.before_upgrade(gone)] == ["database"]
