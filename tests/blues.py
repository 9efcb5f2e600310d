"""A project with people and products of its own on the running archive, gone after the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg2
import pytest

from ost_vo.access.actor import OPERATOR
from ost_vo.client import Archive
from ost_vo.services import people, projects
from ost_vo.store.connections import Database
from tests.conftest import Service

PROJECT = "BLUES"
PASSWORD = "a bright blue star"
# anna manages the project, bob is a member, eve is a stranger, root a superuser.
USERS = ("anna", "bob", "eve", "root")
# product to the identifier's end; bob has made all of them, at level 1, the sum from the two raw ones.
PRODUCTS = ("raw1", "raw2", "sum", "other")

_INSERT = """
INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id, calib_level, obs_id,
    obs_publisher_did, creator_id, project_id, privileges)
SELECT 'blues/' || %(name)s, 0, sha256('x'), now(), 'image/fits', run_id, 1, 'blues ' || %(name)s,
    %(identifier)s, user_id, j.project_id, 1
FROM archive.runs r JOIN archive.projects j ON j.project_id = r.project_id, archive.users u
WHERE r.name = 'blues' AND u.name = 'bob'
"""
_LINEAGE = """
INSERT INTO archive.lineage (product_id, progenitor_id)
SELECT p.product_id, q.product_id FROM archive.products p, archive.products q
WHERE p.path = 'blues/sum' AND q.path LIKE 'blues/raw_'
"""
_REMOVE_PRODUCTS = """
DELETE FROM archive.lineage USING archive.products p
    WHERE p.product_id IN (lineage.product_id, progenitor_id) AND p.path LIKE 'blues/%';
DELETE FROM archive.products WHERE path LIKE 'blues/%';
DELETE FROM archive.deletions WHERE path LIKE 'blues/%';
"""
_REMOVE_PROJECT = """
DELETE FROM archive.runs WHERE name = 'blues';
DELETE FROM archive.creation_scopes USING archive.projects j
    WHERE j.project_id = creation_scopes.project_id AND j.name LIKE 'BLUES%';
DELETE FROM archive.project_members USING archive.projects j
    WHERE j.project_id = project_members.project_id AND j.name LIKE 'BLUES%';
DELETE FROM archive.users WHERE name IN ('anna', 'bob', 'eve', 'root', 'dora');
DELETE FROM archive.projects WHERE name LIKE 'BLUES%';
"""


@dataclass(frozen=True)
class Blues:
    """The project on a running archive.

    Attributes:
        service: the archive.
    """

    service: Service

    def did(self, name: str) -> str:
        """Return the identifier of a product."""
        return f"ivo://{self.service.settings.authority}/archive?blues-{name}"

    def archive(self, user: str | None = None) -> Archive:
        """Return the archive as a user sees it through the Python client; as anonymous if None."""
        return Archive(self.service.url, user, PASSWORD if user else None)

    def levels(self) -> dict[str, int]:
        """Return the level of each product."""
        return dict(
            self.rows("SELECT substr(path, 7), privileges FROM archive.products WHERE path LIKE 'blues/%'")
        )

    def rows(self, statement: str) -> list[tuple]:
        """Return the rows of a query that sees everything."""
        connection = psycopg2.connect(self.service.settings.dsn("postgres"))
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            found = cursor.fetchall()
        connection.close()
        return found


@pytest.fixture(scope="module")
def blues_project(service: Service) -> Iterator[Blues]:
    """The project with its people."""
    database = Database(service.settings.dsn("ost_accounts"), 2)
    for user in USERS:
        people.create(database, OPERATOR, user, PASSWORD, is_superuser=user == "root")
    projects.create(database, OPERATOR, PROJECT, description="blue stars", manager="anna")
    projects.set_member(database, OPERATOR, PROJECT, "bob")
    database.close()
    _execute(
        service,
        "INSERT INTO archive.runs (name, project_id)"
        f" SELECT 'blues', project_id FROM archive.projects WHERE name = '{PROJECT}'",
    )
    yield Blues(service)
    _execute(service, _REMOVE_PROJECT)


@pytest.fixture
def blues(blues_project: Blues) -> Iterator[Blues]:
    """The project with its products, new for each test."""
    for name in PRODUCTS:
        _execute(blues_project.service, _INSERT, {"name": name, "identifier": blues_project.did(name)})
    _execute(blues_project.service, _LINEAGE)
    yield blues_project
    _execute(blues_project.service, _REMOVE_PRODUCTS)
    _execute(
        blues_project.service, "UPDATE archive.users SET context_project_id = NULL, context_privileges = 1"
    )


def _execute(service: Service, statement: str, values: dict[str, str] | None = None) -> None:
    connection = psycopg2.connect(service.settings.dsn("postgres"))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
    connection.close()
