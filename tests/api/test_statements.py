"""How many statements a page of a list takes: the same few, however many rows it has."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import psycopg2
import pytest
import requests

from tests.conftest import Service

MOST = 3
# Around every transaction, and the question whether a connection still works.
_BESIDES = re.compile(r"^(BEGIN|COMMIT|ROLLBACK|SELECT 1$)")


@pytest.fixture
def statements(service: Service) -> Iterator[Callable[[], list[str]]]:
    """What the database is asked, told by its log: those statements since the last call."""
    log = service.settings.state / "log" / "postgresql.log"
    connection = psycopg2.connect(service.settings.dsn("postgres"))
    connection.autocommit = True
    cursor = connection.cursor()
    place = 0

    def since() -> list[str]:
        nonlocal place
        # The database writes the mark after all that came before it.
        mark = f"mark {time.monotonic_ns()}"
        cursor.execute(f"SELECT '{mark}'")
        while mark.encode() not in (written := log.read_bytes()[place:]):
            pass
        place += len(written)
        # Further lines of a statement are indented.
        found = re.findall(r"statement: (.*(?:\n\t.*)*)", written.decode(errors="replace"))
        return [one for one in found if not _BESIDES.match(one) and "mark" not in one and "jobs" not in one]

    cursor.execute("ALTER SYSTEM SET log_statement = 'all'")
    cursor.execute("SELECT pg_reload_conf()")
    while True:
        with psycopg2.connect(service.settings.dsn("postgres")) as other, other.cursor() as looking:
            looking.execute("SHOW log_statement")
            if looking.fetchone() == ("all",):
                break
    since()
    yield since
    cursor.execute("ALTER SYSTEM RESET log_statement")
    cursor.execute("SELECT pg_reload_conf()")
    connection.close()


@pytest.mark.parametrize("path", ["products", "runs", "targets", "runs/20260214/files", "tags"])
def test_a_page_takes_few_statements(
    service: Service, statements: Callable[[], list[str]], path: str
) -> None:
    url = f"{service.url}/api/v1/{path}"
    limit = {"limit": 100}
    with requests.Session() as session:
        # What a process reads once.
        for _ in range(4):
            assert session.get(url, params=limit, timeout=60).status_code == 200
        statements()
        assert session.get(url, params=limit, timeout=60).status_code == 200
        asked = [one for one in statements() if "tap_schema" not in one.lower()]
    assert 0 < len(asked) <= MOST, "\n".join(asked)
