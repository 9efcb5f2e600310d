"""The archive's own tables: migrated, and agreeing with what the descriptors publish."""

from __future__ import annotations

import psycopg2
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from ost_vo.faults import FatalFault
from ost_vo.store import schema
from ost_vo.store.upgrade import upgrade
from tests.conftest import ScratchArchive, Service


def test_an_empty_database_reaches_the_revision_that_the_code_needs(archive: ScratchArchive) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    assert schema.head() == ScriptDirectory.from_config(config).get_current_head()
    connection = psycopg2.connect(archive.settings.dsn("ost_web"))
    schema.check(connection)
    connection.close()
    upgrade(archive.settings.dsn("ost_owner"))


def test_a_stale_database_is_refused(archive: ScratchArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "head", lambda: "9999")
    connection = psycopg2.connect(archive.settings.dsn("ost_web"))
    with pytest.raises(FatalFault, match="9999"):
        schema.check(connection)
    connection.close()


def test_views_have_the_columns_that_tap_schema_lists(service: Service) -> None:
    """Besides them only the geometries that the translator uses."""
    connection = psycopg2.connect(service.settings.dsn("adql"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
            "WHERE relnamespace IN ('ivoa'::regnamespace, 'ost'::regnamespace) AND relkind = 'v' "
            "AND attnum > 0"
        )
        stored = set(cursor.fetchall())
        cursor.execute("SELECT table_name, trim('\"' FROM column_name) FROM tap_schema.columns")
        listed = {row for row in cursor.fetchall() if row[0].split(".")[0] in ("ivoa", "ost")}
    connection.close()
    assert {name for _, name in stored - listed} == {"pos", "footprint"}
    assert listed <= stored
