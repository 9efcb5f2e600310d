"""`ost-vo doctor`: nothing to say of a sound archive, and the right word for each damage."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from typer.testing import CliRunner

from ost_vo.cli import app
from ost_vo.services import doctor
from ost_vo.settings import Settings
from ost_vo.store import definitions, diagnosis
from tests.conftest import Service


@pytest.fixture
def connection(service: Service) -> Iterator[Connection]:
    """A superuser's transaction in which anything may be broken: it is rolled back."""
    connection = psycopg2.connect(service.settings.dsn("postgres"))
    yield connection
    connection.rollback()
    connection.close()


def test_a_sound_archive(service: Service) -> None:
    assert doctor.examine(service.settings) == []


DAMAGES = {
    "UPDATE archive.alembic_version SET version_num = '0001'": "revision",
    "DROP EXTENSION pg_sphere CASCADE": "pg_sphere",
    "ALTER ROLE ost_web SUPERUSER": "role ost_web",
    "GRANT ost_owner TO adql": "role adql",
    "ALTER FUNCTION spoly_contains_point(spoly, spoint) NOT LEAKPROOF": "spoly_contains_point(spoly, spoint)",
    "ALTER FUNCTION spoint_equal(spoint, spoint) LEAKPROOF": "spoint_equal(spoint,spoint)",
    "GRANT EXECUTE ON FUNCTION set_config(text, text, bool) TO PUBLIC": "set_config",
    "GRANT SELECT ON archive.products TO adql": "archive.products",
    "GRANT SELECT (password_hash) ON archive.users TO PUBLIC": "archive.users",
    "DROP VIEW ivoa.obscore": "ivoa.obscore",
    "ALTER VIEW ost.products SET (security_barrier = false)": "ost.products",
    "CREATE OR REPLACE VIEW ost.runs WITH (security_barrier) AS"
    " SELECT name AS run_name, night::text AS night, name AS project, reduction_status,"
    " photometry::int AS photometry, spectroscopy::int AS spectroscopy, name AS tags, note"
    " FROM archive.runs": "ost.runs",
    "ALTER TABLE archive.project_members DISABLE TRIGGER audit": "archive.project_members",
    "UPDATE tap_schema.columns SET column_name = 'lost'"
    " WHERE table_name = 'ost.runs' AND column_name = 'night'": "ost.runs.lost",
    "CREATE TABLE archive.strange ()": "archive.strange",
    "UPDATE pg_index SET indisvalid = false"
    " WHERE indexrelid = 'archive.products_pkey'::regclass": "archive.products_pkey",
    "DROP TRIGGER audit ON archive.users": "trigger audit on archive.users",
    "DROP INDEX archive.products_release_date": "index archive.products_release_date",
    "ALTER TABLE archive.users DROP CONSTRAINT users_name_key": "constraint users_name_key on archive.users",
    "ALTER TABLE archive.products ALTER COLUMN path DROP NOT NULL": "column archive.products.path",
    "ALTER TABLE archive.products ADD COLUMN secret text": "column archive.products.secret",
    "ALTER FUNCTION context.member_project_ids() SECURITY DEFINER": "function context.member_project_ids()",
    "REVOKE SELECT ON ost.products FROM adql": "grants on ost.products",
    "ALTER ROLE ost_web SET statement_timeout = 0": "role ost_web",
    "DROP VIEW ost.lineage": "view ost.lineage",
    "DELETE FROM tap_schema.columns"
    " WHERE table_name = 'ost.runs' AND column_name = 'project'": "ost.runs.project",
    "UPDATE archive.definitions SET definition = '14' WHERE name = 'PostgreSQL'": "PostgreSQL",
    "UPDATE archive.alembic_version SET version_num = '9999'": "revision",
    "UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'pg_sphere'": "pg_sphere",
    "INSERT INTO archive.jobs (job_id, kind, phase, context, parameters, execution_duration, destruction,"
    " queued) VALUES (repeat('0', 32), 'tap', 'QUEUED', '{}', '[]', 60, now(),"
    " now() - interval '1 day')": "queue",
    "INSERT INTO archive.jobs (job_id, kind, phase, context, parameters, execution_duration, destruction,"
    " worker, heartbeat) VALUES (repeat('0', 32), 'tap', 'EXECUTING', '{}', '[]', 60, now(), 'w',"
    " now() - interval '1 day')": "jobs",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_named(connection: Connection, damage: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(damage)
    findings = [check(connection) for check in (diagnosis.findings, diagnosis.changed, diagnosis.published)]
    found = {finding.subject: finding for finding in itertools.chain(*findings)}
    assert DAMAGES[damage] in found
    assert found[DAMAGES[damage]].remedy


def test_what_is_wrong_around_the_database(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No registrar runs in the tests, which may take long.
    monkeypatch.setattr(diagnosis, "UNTOLD_SECONDS", 1e9)
    (tmp_path / "empty").mkdir()
    changed = {
        "port": 1,
        "data_root": tmp_path / "empty",
        "public_url": "http://archive.invalid",
        "watch": True,
        "web_processes": 64,
    }
    found = doctor.examine(Settings(**{**service.settings.model_dump(), **changed}))
    assert {finding.subject for finding in found} == {
        "data root",
        "web service",
        "public URL",
        "trusted proxies",
        "max_connections",
        "watcher",
        "registry",
    }
    assert all(finding.remedy for finding in found)


def test_services_that_do_not_run_and_files_that_others_may_read(service: Service, tmp_path: Path) -> None:
    (tmp_path / "dachs").mkdir()
    (tmp_path / "dachs" / "gavorc").write_text("[web]\nserverURL: http://127.0.0.1:1\n")
    (tmp_path / "settings.env").write_text("OST_VO_LDAP_BIND_PASSWORD=secret\n")
    (tmp_path / "settings.env").chmod(0o644)
    where = f"host='{service.settings.sockets}' port=5432 dbname=ost_vo"
    changed = {"state": tmp_path, "database": where, "broker": True, "data_root": service.settings.data}
    changed["pooler"] = f"host={tmp_path} dbname=ost_vo"
    found = {f.subject: f for f in doctor.examine(Settings(**{**service.settings.model_dump(), **changed}))}
    assert set(found) == {"DaCHS", "Redis", "pooler", "secrets"}
    assert found["secrets"].remedy == f"chmod 600 {tmp_path / 'settings.env'}"


def test_a_disk_that_is_not_mounted_or_full_and_a_database_that_is_gone(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmarked = Settings(**{**service.settings.model_dump(), "data_marker": "mounted"})
    monkeypatch.setattr(doctor, "FREE_BYTES", 2**62)
    assert [finding.subject for finding in doctor.examine(unmarked)] == ["disk", "data root"]
    gone = Settings(**{**service.settings.model_dump(), "database": f"host={tmp_path} dbname=none"})
    monkeypatch.undo()
    assert [finding.subject for finding in doctor.examine(gone)] == ["database"]


def test_nobody_at_redis_and_somebody_else_in_the_place_of_dachs(service: Service, tmp_path: Path) -> None:
    (tmp_path / "dachs").mkdir()
    (tmp_path / "dachs" / "gavorc").write_text(f"[web]\nserverURL: {service.url}\n")
    (tmp_path / "run").symlink_to(service.settings.sockets)
    changed = {"state": tmp_path, "broker": True, "data_root": service.settings.data}
    found = doctor.examine(Settings(**{**service.settings.model_dump(), **changed}))
    assert [finding.subject for finding in found] == ["DaCHS", "workers"]
    with socket.socket(socket.AF_UNIX) as worker:
        worker.connect(str(service.settings.sockets / "redis.sock"))
        worker.sendall(b"PSUBSCRIBE /0.celery.pidbox\r\n")
        assert worker.recv(64)
        found = doctor.examine(Settings(**{**service.settings.model_dump(), **changed}))
    assert [finding.subject for finding in found] == ["DaCHS"]


def test_what_waits_for_long_is_noticed(connection: Connection) -> None:
    assert diagnosis.is_analysed(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO archive.analysis_queue (product_id, due)"
            " SELECT max(product_id), now() - interval '1 day' FROM archive.products"
            " ON CONFLICT (product_id) DO UPDATE SET due = excluded.due"
        )
        assert not diagnosis.is_analysed(connection)
        cursor.execute("DELETE FROM archive.coverage_changes")
        assert diagnosis.is_registered(connection)
        cursor.execute("DELETE FROM archive.coverage")
        cursor.execute("INSERT INTO archive.coverage_changes (moment) VALUES (now() - interval '1 day')")
        assert not diagnosis.is_registered(connection)


def test_what_an_upgrade_has_left_as_it_was_goes_on_counting_as_changed(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX archive.products_release_date; CREATE VIEW ost.strange AS SELECT 1 AS one")
        cursor.execute(
            "CREATE OR REPLACE FUNCTION context.base_url() RETURNS text LANGUAGE sql AS 'SELECT NULL'"
        )
        before = definitions.drift(connection)
        changed = {drift.name for drift in before}
        # As a migration might.
        cursor.execute(
            "CREATE OR REPLACE FUNCTION context.base_url() RETURNS text LANGUAGE sql AS 'SELECT 1'"
        )
    definitions.note(connection, before)
    assert changed - {drift.name for drift in definitions.drift(connection)} == {
        "function context.base_url()"
    }


def test_the_command_ends_with_a_status(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in service.settings.model_dump().items():
        if value is not None:
            monkeypatch.setenv(f"OST_VO_{name.upper()}", str(value))
    sound = CliRunner().invoke(app, ["doctor"])
    assert (sound.exit_code, sound.stdout.strip()) == (0, "All is well."), sound.output
    monkeypatch.setenv("OST_VO_PORT", "1")
    told = CliRunner().invoke(app, ["doctor"])
    assert told.exit_code == 1
    assert "web service" in told.stdout
