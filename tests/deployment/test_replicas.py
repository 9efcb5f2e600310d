"""Streaming replicas, with a small cluster that has one."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from ost_vo.deployment import accounts
from ost_vo.deployment.cluster import BINARIES
from ost_vo.store import diagnosis, replication

NAME, SLOT = "second", "forsaken"
WAIT_SECONDS = 60
SETTINGS = (
    "-c listen_addresses='' -c wal_level=replica -c max_wal_senders=4 -c shared_buffers=1MB -c fsync=off"
)


class Clusters:
    """A primary in `first`, and room for what is made of it; their sockets are told apart by their ports."""

    def __init__(self, directory: Path) -> None:
        self._account = accounts.account(directory)
        self.sockets = self._account.own(directory)
        self.first, self.second = directory / "first", directory / "second"

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run a program of PostgreSQL, which must succeed."""
        # A server would hold a pipe open; it writes to its log.
        command = self._account.command(BINARIES / program, *arguments)
        with tempfile.TemporaryFile() as said:
            if subprocess.run(command, stdout=said, stderr=said, check=False).returncode:
                said.seek(0)
                raise AssertionError(said.read().decode())

    @contextmanager
    def running(self, data: Path, port: int) -> Iterator[None]:
        """Run the server of a data directory."""
        options = f"{SETTINGS} -k {self.sockets} -p {port}"
        self.run("pg_ctl", "start", "-w", "-D", data, "-l", data / "log", "-o", options)
        try:
            yield
        finally:
            self.run("pg_ctl", "stop", "-D", data, "-m", "immediate")


@pytest.fixture
def clusters() -> Iterator[Clusters]:
    # A short path: that of a socket has 107 characters at the most.
    with tempfile.TemporaryDirectory(prefix="ost_vo-") as directory:
        Path(directory).chmod(0o755)
        made = Clusters(Path(directory) / "replicas")
        made.run("initdb", "-D", made.first, "-U", "postgres", "-A", "trust", "--no-sync")
        yield made


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def findings(connection: Connection) -> list[str]:
    with connection.cursor() as cursor:
        return [finding.problem for finding in diagnosis.replicas(cursor)]


def test_a_replica_is_told_of(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    with clusters.running(clusters.first, 5432):
        dsn = f"host={clusters.sockets} port=5432 user=postgres dbname=postgres"
        with closing(psycopg2.connect(dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("CREATE ROLE ost_owner LOGIN; GRANT pg_read_all_stats TO ost_owner")
        owner = psycopg2.connect(f"host={clusters.sockets} port=5432 user=ost_owner dbname=postgres")
        owner.autocommit = True
        assert replication.replicas(owner) == []
        assert findings(owner) == []
        source = f"host={clusters.sockets} port=5432 user=postgres application_name={NAME}"
        clusters.run(
            "pg_basebackup",
            "-d",
            source,
            "-D",
            clusters.second,
            "-R",
            "-c",
            "fast",
            "--no-sync",
            "-X",
            "fetch",
        )
        with clusters.running(clusters.second, 5433):
            until(lambda: [one.state for one in replication.replicas(owner)] == ["streaming"])
            until(lambda: replication.replicas(owner)[0].lag_bytes == 0)
            (replica,) = replication.replicas(owner)
            assert replica.name == NAME
            assert findings(owner) == []
            monkeypatch.setattr(diagnosis, "BEHIND_BYTES", -1)
            assert [problem.split()[0] for problem in findings(owner)] == [NAME]
        until(lambda: replication.replicas(owner) == [])
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("SELECT pg_create_physical_replication_slot(%s, true)", (SLOT,))
        assert [SLOT in problem for problem in findings(owner)] == [True]
        owner.close()
