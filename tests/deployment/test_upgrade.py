"""From the version before to this one: rows stay, and what is wrong is said before anything is changed."""

from __future__ import annotations

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from psycopg2 import extensions
from sqlalchemy import create_engine, pool

from ost_vo.services import doctor
from ost_vo.settings import Settings
from ost_vo.store import schema
from ost_vo.store.backup import counts
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
    """An archive of the version before, with a user and a project."""
    given = extensions.parse_dsn(scratch_dsn)
    where = f"host='{given['host']}' port={given['port']} dbname={given['dbname']}"
    settings = Settings(**{**service.settings.model_dump(), "database": where})
    migrated(settings.dsn("ost_owner"), BEFORE)
    execute(settings.dsn("postgres"), "INSERT INTO archive.users (name) VALUES ('kept')")
    return settings


def test_an_archive_of_the_version_before_becomes_one_of_this_version(settings: Settings) -> None:
    assert doctor.before_upgrade(settings) == []
    before = _counts(settings)
    upgrade(settings.dsn("ost_owner"))
    after = _counts(settings)
    assert before["archive.users"] == after["archive.users"] > 0
    assert {table: after[table] for table in before if table in after and before[table]} == {
        table: count for table, count in before.items() if count
    }
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


def _counts(settings: Settings) -> dict[str, int]:
    connection = psycopg2.connect(settings.dsn("ost_owner"))
    found = counts(connection)
    connection.close()
    return found
