"""A client that goes away takes its query with it."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlencode, urlsplit

import psycopg2

from ost_vo.deployment.cluster import superuser_dsn
from tests.conftest import Service

# Counts some 10^11 pairs: without an answer for longer than any test lasts.
ENDLESS = "SELECT COUNT(*) AS mark_of_this_query FROM " + ", ".join(f"ivoa.obscore AS t{i}" for i in range(8))
PATIENCE_SECONDS = 60


def running(service: Service) -> int:
    connection = psycopg2.connect(superuser_dsn(service.settings, "ost_vo"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), pg_sleep(0.05) FROM pg_stat_activity WHERE state = 'active'"
            " AND query LIKE 'COPY%mark_of_this%' AND backend_type = 'client backend'"
        )
        count = cursor.fetchone()[0]
    connection.close()
    return count


def await_running(service: Service, expected: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while running(service) != expected:
        assert time.monotonic() < deadline


def test_a_query_without_rows_yet_ends_with_its_client(service: Service) -> None:
    address = urlsplit(service.url)
    client = socket.create_connection((address.hostname, address.port))
    target = "/tap/sync?" + urlencode({"LANG": "ADQL", "QUERY": ENDLESS})
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    await_running(service, 1)
    client.close()
    await_running(service, 0)
