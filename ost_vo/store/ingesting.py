"""The connection of ingest, its transactions, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.faults import FatalFault, Fault, TransientFault

if TYPE_CHECKING:
    from ost_vo.settings import Settings


class Rejected(Fault):
    """The database does not take a row for what is in it; the detail says why."""

    code = "RejectedRow"


class Collided(TransientFault):
    """Another transaction got in the way; trying again helps."""

    code = "Collided"


@contextmanager
def open_connection(settings: Settings) -> Iterator[Connection]:
    """Yield a connection for ingest, closed at the end.

    Raises:
        TransientFault: the database does not answer.
    """
    try:
        connection = psycopg2.connect(settings.dsn("ost_ingest"))
    except psycopg2.OperationalError as error:
        raise TransientFault(f"The database does not answer: {_line(error)}", "Is it running?") from error
    try:
        with connection, connection.cursor() as cursor:
            # What a crash of the server loses, the next run ingests again.
            cursor.execute("SET synchronous_commit = off")
        yield connection
    finally:
        connection.close()


@contextmanager
def transaction(connection: Connection) -> Iterator[Cursor]:
    """Yield a cursor; commit at the end, roll back on an error.

    Raises:
        Rejected: a value breaks a constraint.
        Collided: another transaction is at the same rows.
        TransientFault: the database does not answer.
        FatalFault: it refuses the statement as such.
    """
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    except (
        psycopg2.DataError,
        psycopg2.IntegrityError,
        psycopg2.InternalError,
        # A value too long for an index; psycopg2 counts it among those of the server's state.
        psycopg2.errors.ProgramLimitExceeded,
    ) as error:
        raise Rejected(f"The archive does not take it: {_line(error)}") from error
    except psycopg2.extensions.TransactionRollbackError as error:
        raise Collided(f"Another transaction got in the way: {_line(error)}", "Run ingest again.") from error
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise TransientFault(f"The database failed: {_line(error)}", "Run ingest again.") from error
    except psycopg2.ProgrammingError as error:
        raise FatalFault(f"The database refused a statement of ingest: {_line(error)}") from error


def _line(error: psycopg2.Error) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
