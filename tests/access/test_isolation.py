"""What a query can reach, and who sees which row: asked of the database in the role that queries have."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ost_vo.access.context import ANONYMOUS, Context
from tests.conftest import Service

CREATOR, MEMBER, STRANGER = 1001, 1002, 1003
PRIVATE, OTHER = 2001, 2002
# identifier: (creator, project, privileges, valid, release)
ROWS = {
    "mydb": (CREATOR, PRIVATE, 1, True, None),
    "project": (CREATOR, PRIVATE, 2, True, None),
    "archive": (CREATOR, PRIVATE, 3, True, None),
    "world": (CREATOR, PRIVATE, 4, True, None),
    "vo": (CREATOR, PRIVATE, 5, True, None),
    "invalid": (CREATOR, PRIVATE, 5, False, None),
    "released": (CREATOR, PRIVATE, 1, True, "2020-01-01"),
    "embargoed": (CREATOR, PRIVATE, 1, True, "2999-01-01"),
    "elsewhere": (MEMBER, OTHER, 2, True, None),
}
CALLERS = {
    "anonymous": ANONYMOUS,
    "stranger": Context(STRANGER),
    "member": Context(MEMBER, (PRIVATE, OTHER), (PRIVATE, OTHER)),
    "member of one": Context(MEMBER, (OTHER,), (PRIVATE, OTHER)),
    "creator": Context(CREATOR, (PRIVATE,), (PRIVATE,)),
    "creator, min 3": Context(CREATOR, (PRIVATE,), (PRIVATE,), 3),
    "creator, min 5": Context(CREATOR, (PRIVATE,), (PRIVATE,), 5),
    "creator who left": Context(CREATOR),
}
PRODUCTS = {
    "anonymous": {"world", "vo", "invalid", "released"},
    "stranger": {"archive", "world", "vo", "invalid", "released"},
    "member": {"project", "archive", "world", "vo", "invalid", "released", "elsewhere"},
    "member of one": {"archive", "world", "vo", "invalid", "released", "elsewhere"},
    "creator": {"mydb", "project", "archive", "world", "vo", "invalid", "released", "embargoed"},
    "creator, min 3": {"archive", "world", "vo", "invalid", "released"},
    "creator, min 5": {"vo", "invalid", "released"},
    "creator who left": {"archive", "world", "vo", "invalid", "released"},
}


@pytest.fixture
def connection(service: Service) -> Iterator[Connection]:
    """A transaction that holds rows of every level, seen by nobody else and rolled back at the end."""
    owner = psycopg2.connect(service.settings.dsn("postgres"))
    with owner.cursor() as cursor:
        for user in (CREATOR, MEMBER, STRANGER):
            cursor.execute(
                "INSERT INTO archive.users (user_id, name) OVERRIDING SYSTEM VALUE VALUES (%s, %s)",
                (user, f"user{user}"),
            )
        for project in (PRIVATE, OTHER):
            cursor.execute(
                "INSERT INTO archive.projects (project_id, name) OVERRIDING SYSTEM VALUE VALUES (%s, %s)",
                (project, f"project{project}"),
            )
        cursor.execute(
            "INSERT INTO archive.runs (name, project_id) VALUES ('leak', %s) RETURNING run_id", (PRIVATE,)
        )
        run = cursor.fetchone()[0]
        for name, row in ROWS.items():
            cursor.execute(
                "INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id, "
                "calib_level, obs_id, obs_publisher_did, creator_id, project_id, privileges, is_valid, "
                "release_date) "
                "VALUES ('leak/' || %s, 0, sha256('x'), now(), 'image/fits', %s, 1, %s, 'ivo://leak/' || %s, "
                "%s, %s, %s, %s, %s)",
                (name, run, name, name, *row),
            )
    yield owner
    owner.rollback()
    owner.close()


def seen(connection: Connection, context: Context, table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT caller")
        for name, value in context.database_settings().items():
            cursor.execute("SELECT set_config(%s, %s, true)", (name, value))
        cursor.execute(f"SELECT obs_id FROM {table} WHERE obs_publisher_did LIKE 'ivo://leak/%'")
        found = {row[0] for row in cursor.fetchall()}
        cursor.execute("ROLLBACK TO SAVEPOINT caller")
    return found


@pytest.mark.parametrize("caller", CALLERS)
def test_each_caller_sees_the_rows_of_the_scope(connection: Connection, caller: str) -> None:
    assert seen(connection, CALLERS[caller], "ost.products") == PRODUCTS[caller]
    valid = PRODUCTS[caller] - {"invalid"}
    # In ivoa.obscore anonymous callers see level 5 alone.
    expected = valid - {"world"} if caller == "anonymous" else valid
    assert seen(connection, CALLERS[caller], "ivoa.obscore") == expected


def test_errors_tell_nothing_of_hidden_rows(connection: Connection) -> None:
    """Only the hidden `mydb` has four letters: without the barrier, this divides by zero."""
    with connection.cursor() as cursor:
        for name, value in ANONYMOUS.database_settings().items():
            cursor.execute("SELECT set_config(%s, %s, true)", (name, value))
        cursor.execute("SELECT obs_id FROM ost.products WHERE 1 / (length(obs_id) - 4) > 5")
        assert cursor.fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM archive.products",
        "SELECT * FROM archive.users",
        "SELECT * FROM archive.site",
        "SELECT set_config('ost.user_id', '1', true)",
        "SET ROLE ost_owner",
        "SET ROLE postgres",
        "CREATE TABLE public.mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "UPDATE ost.products SET obs_id = 'x'",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY ost.products TO PROGRAM 'cat'",
    ],
)
def test_the_role_of_queries_can_do_nothing_else(service: Service, statement: str) -> None:
    connection = psycopg2.connect(service.settings.dsn("adql"))
    with connection.cursor() as cursor, pytest.raises(psycopg2.Error):
        cursor.execute(statement)
    connection.close()


def test_an_anonymous_query_through_the_service_sees_public_rows_only(service: Service) -> None:
    """Settings of one query do not outlive it on the pooled connection."""
    connection = psycopg2.connect(service.settings.dsn("ost_web"))
    with connection, connection.cursor() as cursor:
        for name, value in Context(1, (1,), (1,)).database_settings().items():
            cursor.execute("SELECT set_config(%s, %s, true)", (name, value))
        cursor.execute("SELECT context.user_id()")
        assert cursor.fetchone() == (1,)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE adql")
        cursor.execute("SELECT context.user_id(), context.scope_project_ids()")
        assert cursor.fetchone() == (0, [])
    connection.close()
