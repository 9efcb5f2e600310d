"""What bounds a request that nobody has thought of: its body, and its time in the database."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg2
import pytest
import requests

from ost_vo.deployment.publisher import free_port
from ost_vo.services.archive import Archive
from ost_vo.settings import Settings
from ost_vo.store import transactions
from tests.conftest import Service
from tests.serving import Serving

WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def impatient(service: Service) -> Iterator[str]:
    """The URL of a web service that waits for a client for a second."""
    with Serving(
        Settings(**{**service.settings.model_dump(), "port": free_port(), "stall_seconds": 1})
    ) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tap/sync", "application/x-www-form-urlencoded"),
        ("/tap/async", "multipart/form-data; boundary=b"),
        ("/oai.xml", "application/x-www-form-urlencoded"),
        ("/api/v1/products/publish", "application/json"),
    ],
)
def test_a_body_that_stops_coming_ends_its_request(impatient: str, path: str, kind: str) -> None:
    place = urlsplit(impatient)
    with socket.create_connection((place.hostname, place.port), timeout=WAIT_SECONDS) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n"
        client.sendall(head.encode() + b"--b\r\n")
        answer = b""
        while b"body" not in answer and (received := client.recv(65536)):
            answer += received
    assert answer.split()[1] == b"400", answer


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("/tap/sync", 5 * 2**20, 400), ("/oai.xml", 2**17, 400), ("/login", 5 * 2**20, 400)],
)
def test_a_body_that_is_too_large_is_refused(impatient: str, path: str, size: int, status: int) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"{impatient}{path}", b"a=" + b"b" * size, headers=kind, timeout=WAIT_SECONDS)
    assert answer.status_code == status


def test_every_statement_of_the_service_ends(service: Service) -> None:
    archive = Archive.open(service.settings)
    for database, limit in (
        (archive.database, "1min"),
        (archive.jobs_database, "1min"),
        (archive.accounts_database, "10min"),
    ):
        with transactions.reading(database) as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone()[0] == limit
    archive.close()
    # A limit of its own is the one that counts.
    connection = psycopg2.connect(service.settings.dsn("ost_web"))
    with connection, connection.cursor() as cursor:
        transactions.apply(cursor, {"statement_timeout": "10ms"})
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("SELECT pg_sleep(60)")
        connection.rollback()
    connection.close()
