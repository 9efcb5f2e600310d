"""Connections to PostgreSQL: a pool that blocks when it is empty and throws broken ones away."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import psycopg2
from psycopg2.extensions import connection as Connection
from sqlalchemy import exc, pool
from sqlalchemy.engine.interfaces import DBAPIConnection

from ost_vo.faults import TransientFault

WAIT_SECONDS = 10.0


class Database:
    """A pool of psycopg2 connections of one role.

    Args:
        dsn: libpq connection string.
        size: the most connections that this process holds at a time.
    """

    def __init__(self, dsn: str, size: int) -> None:
        def connect() -> DBAPIConnection:
            return cast(DBAPIConnection, psycopg2.connect(dsn))

        self._pool = pool.QueuePool(connect, pool_size=size, max_overflow=0, timeout=WAIT_SECONDS)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Hand out a connection that works; what its transaction did not commit is rolled back after.

        Raises:
            TransientFault: all are taken for longer than ten seconds, or the database does not answer.
        """
        proxy = self._working()
        connection = proxy.driver_connection
        assert connection is not None
        try:
            yield connection
        finally:
            if connection.closed:
                proxy.invalidate()
            proxy.close()

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.dispose()

    def _working(self) -> pool.PoolProxiedConnection:
        """Take a connection from the pool; one that the server has ended meanwhile gives way to a new one."""
        try:
            proxy = self._pool.connect()
            if _answers(proxy.driver_connection):
                return proxy
            proxy.invalidate()
            proxy.close()
            # A restart of the server ended the others as well.
            self._pool.dispose()
            self._pool = self._pool.recreate()
            return self._pool.connect()
        except exc.TimeoutError as error:
            raise TransientFault(
                "The archive is busy: no database connection is free.", "Try again."
            ) from error
        except psycopg2.OperationalError as error:
            raise TransientFault("The archive's database does not answer.", "Try again later.") from error


def _answers(connection: Connection | None) -> bool:
    """Say whether the server still has a connection that nobody uses.

    It is asked only where there is something to read, as of the end of the connection.
    """
    if connection is None or connection.closed:
        return False
    silence = select.poll()
    silence.register(connection.fileno(), select.POLLIN)
    if not silence.poll(0):
        return True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        return False
    return True
