"""What tests of ingest start from."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from ost_vo.access.actor import OPERATOR
from ost_vo.services import projects
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from tests.conftest import ScratchArchive


@pytest.fixture
def settings(archive: ScratchArchive) -> Settings:
    """The settings of an archive without files and rows."""
    return archive.settings


@pytest.fixture
def accounts(settings: Settings) -> Iterator[Database]:
    """The database with the users anna and ben, and a private project BLUES that anna manages."""
    connection = psycopg2.connect(settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO archive.users (name) VALUES ('anna'), ('ben')")
    connection.close()
    database = Database(settings.dsn("ost_accounts"), 2)
    projects.create(database, OPERATOR, "BLUES", manager="anna")
    yield database
    database.close()
