"""The private PostgreSQL cluster: made once, configured at every start, never on a network port."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import psycopg2

from ost_vo.deployment.accounts import Account
from ost_vo.faults import FatalFault
from ost_vo.settings import Settings
from ost_vo.store import provision

BINARIES = Path("/usr/lib/postgresql/15/bin")
# What does not depend on the machine, with reasons.
CONFIGURATION = Path(__file__).resolve().parents[2] / "etc" / "postgresql" / "ost_vo.conf"
DATABASE = "ost_vo"
SUPERUSER = "postgres"
START_SECONDS = 180


def directory(settings: Settings) -> Path:
    """Return the data directory of the cluster."""
    return settings.state / "postgresql"


def initialise(settings: Settings, account: Account) -> None:
    """Make the cluster if there is none, and write its configuration."""
    data = directory(settings)
    if not (data / "PG_VERSION").exists():
        account.own(data, 0o700)
        _run(account, "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    (data / "ost_vo.conf").write_text(_configuration(settings))
    main = data / "postgresql.conf"
    if "ost_vo.conf" not in main.read_text():
        with main.open("a") as file:
            file.write("include 'ost_vo.conf'\n")


def command(settings: Settings, account: Account) -> list[str]:
    """Return the command of the server, which ends in order when its supervisor dies."""
    return account.command(BINARIES / "postgres", "-D", directory(settings), parent_death="INT")


def await_previous(settings: Settings, account: Account) -> None:
    """Wait until a server that an earlier start left behind has ended, and end it where it does not."""
    data = directory(settings)
    deadline = time.monotonic() + START_SECONDS
    while _is_running(account, data):
        if time.monotonic() > deadline:
            _run(account, "pg_ctl", "stop", "-D", data, "-m", "fast")
            return
        time.sleep(0.1)


def await_ready(settings: Settings) -> None:
    """Return when the server answers.

    Raises:
        FatalFault: it has not within a minute.
    """
    dsn = superuser_dsn(settings, "postgres")
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg2.connect(dsn).close()
            return
        except psycopg2.OperationalError as error:
            if time.monotonic() > deadline:
                raise FatalFault(
                    f"PostgreSQL does not answer: {error}",
                    f"See {settings.state / 'log' / 'postgresql.log'}.",
                ) from error
            time.sleep(0.05)


def create_database(settings: Settings) -> bool:
    """Make the database and what only a superuser can make in it.

    Returns:
        Whether the database is new. One that an interrupted first start left without the archive's tables
        counts as new, and is made again.
    """
    is_new = not has_archive(settings)
    if is_new:
        connection = psycopg2.connect(superuser_dsn(settings, "postgres"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            cursor.execute(f"CREATE DATABASE {DATABASE}")
        connection.close()
    connection = psycopg2.connect(superuser_dsn(settings, DATABASE))
    provision.provision(connection, DATABASE)
    connection.close()
    return is_new


def has_archive(settings: Settings) -> bool:
    """Say whether there is a database with the archive's tables; the server runs."""
    connection = psycopg2.connect(superuser_dsn(settings, "postgres"))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        exists = cursor.fetchone() is not None
    connection.close()
    if not exists:
        return False
    connection = psycopg2.connect(superuser_dsn(settings, DATABASE))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('archive.alembic_version') IS NOT NULL")
        row = cursor.fetchone()
    connection.close()
    return bool(row and row[0])


def superuser_dsn(settings: Settings, database: str) -> str:
    """Return the connection string of the cluster's superuser."""
    return f"{settings.dsn(SUPERUSER)} dbname={database}"


def _is_running(account: Account, data: Path) -> bool:
    status = subprocess.run(
        account.command(BINARIES / "pg_ctl", "status", "-D", data), capture_output=True, check=False
    )
    return status.returncode == 0


def _run(account: Account, program: str, *arguments: str | Path) -> None:
    result = subprocess.run(
        account.command(BINARIES / program, *arguments), capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise FatalFault(f"{program} failed: {result.stderr.strip()}")


def _configuration(settings: Settings) -> str:
    sockets = str(settings.sockets).replace('"', '""').replace("'", "''")
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return "\n".join(
        [
            "# Written at every start.",
            f"unix_socket_directories = '\"{sockets}\"'",
            f"shared_buffers = {min(2048, max(128, memory_mb // 8))}MB",
            f"effective_cache_size = {max(256, memory_mb // 2)}MB",
            CONFIGURATION.read_text(),
        ]
    )
