"""A connection source on a scratch database, and what the tests of results ask of it."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import astropy.io.votable
import psycopg2
import pytest
from astropy.table import Table
from lxml import etree
from psycopg2 import extensions

from ost_vo.deployment.archive import Archive
from ost_vo.store.results import stream
from ost_vo.vo import binary2, tabledata
from ost_vo.vo.columns import Column
from ost_vo.vo.encoder import Encoder

_SCHEMA = Path(astropy.io.votable.__file__).parent / "data" / "VOTable.v1.4.xsd"


class Source:
    """A connection source of one connection, which tells when it has got it back.

    Attributes:
        connection: the connection that it hands out.
        returned: set whenever the connection is not out.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.connection = psycopg2.connect(dsn)
        self.returned = threading.Event()
        self.returned.set()

    @contextmanager
    def __call__(self) -> Iterator[extensions.connection]:
        self.returned.clear()
        try:
            yield self.connection
        finally:
            self.returned.set()

    def ask(self, statement: str, *values: object) -> list[tuple]:
        """Return the rows of a statement that runs beside the connection, as the superuser."""
        other = psycopg2.connect(self._dsn)
        # Its session ends a moment after it is closed, and until then is idle, in no transaction.
        other.autocommit = True
        try:
            with other.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall()
        finally:
            other.close()

    def busy(self) -> int:
        """Return how many COPY statements run in the database, or wait in an open transaction."""
        statement = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' "
            # PostgreSQL's own may be there, too: autovacuum comes when it likes.
            "AND backend_type = 'client backend'"
        )
        return self.ask(statement)[0][0]

    def statement(self, template: str, *values: object) -> str:
        """Return a statement with values in the places of its %s, since COPY takes no parameters."""
        with self.connection.cursor() as cursor:
            return cursor.mogrify(template, values).decode()

    def copied(self, sql: str, encoder: Encoder) -> bytes:
        """Return the COPY stream that an encoder would get."""
        stream = io.BytesIO()
        with self.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY ({sql}) TO STDOUT ({encoder.copy_options})", stream)
        self.connection.rollback()
        return stream.getvalue()

    def document(self, sql: str, columns: Sequence[Column], encoder: Encoder) -> bytes:
        """Return the whole document of a query."""
        return b"".join(stream(self, sql, columns, encoder, {}))


@pytest.fixture(scope="session", autouse=True)
def _warm(deployment: Archive) -> None:
    # Its services have compiled them.
    del deployment
    binary2.warm()
    tabledata.warm()


@pytest.fixture
def source(scratch_dsn: str) -> Iterator[Source]:
    """A source of one connection to an empty database."""
    source = Source(scratch_dsn)
    yield source
    assert source.returned.wait(60)
    source.connection.close()


@pytest.fixture(scope="session")
def schema() -> etree.XMLSchema:
    """The XML schema of VOTable 1.4."""
    return etree.XMLSchema(etree.parse(os.fspath(_SCHEMA)))


def parsed(document: bytes) -> Table:
    """Return the table of a VOTable that astropy reads without a complaint."""
    votable = astropy.io.votable.parse(io.BytesIO(document), verify="exception")
    return votable.get_first_table().to_table()


def statuses(document: bytes) -> list[tuple[str, str]]:
    """Return value and text of each QUERY_STATUS, in the order of the document."""
    root = etree.fromstring(document, etree.XMLParser(huge_tree=True))
    infos = root.findall(".//{*}INFO[@name='QUERY_STATUS']")
    return [(info.get("value", ""), info.text or "") for info in infos]
