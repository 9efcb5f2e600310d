"""Writing what decides over access: one transaction a use case, whose audit entries say who and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg2
from psycopg2 import extensions
from psycopg2.extras import DictCursor

from ost_vo.access.actor import Actor
from ost_vo.faults import ConflictFault, FatalFault, Fault, TransientFault, UsageFault
from ost_vo.store.connections import Database

# What a use case hands on to the store, without knowing PostgreSQL.
Cursor = DictCursor

# SQLSTATEs of transactions that another one got in the way of; trying again helps.
_COLLISIONS = ("40001", "40P01", "55P03", "57014")


@contextmanager
def reading(database: Database) -> Iterator[DictCursor]:
    """Yield a cursor for statements that change nothing anybody could ask about.

    Raises:
        TransientFault: the database does not answer.
    """
    with transaction(database, {}) as cursor:
        yield cursor


@contextmanager
def writing(database: Database, actor: Actor, reason: str = "") -> Iterator[DictCursor]:
    """Yield a cursor whose changes the audit log notes under a name; commit at the end, or roll all back.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        reason: why, in the actor's words.

    Raises:
        ConflictFault: a constraint of the tables forbids it; its text is the database's.
        TransientFault: another change got in the way, or the database does not answer.
    """
    with transaction(database, signature(actor, reason)) as cursor:
        yield cursor


def signature(actor: Actor, reason: str = "") -> dict[str, str]:
    """Return the settings of a transaction by which the audit log notes who changes something, and why."""
    return {"ost.actor": actor.name if not actor.is_operator else "(operator)", "ost.reason": reason}


@contextmanager
def transaction(database: Database, settings: Mapping[str, str]) -> Iterator[DictCursor]:
    """Yield a cursor in a transaction with settings of its own; database errors become faults."""
    with database.connection() as connection:
        try:
            with connection, connection.cursor(cursor_factory=DictCursor) as cursor:
                apply(cursor, settings)
                yield cursor
        except psycopg2.Error as error:
            raise _fault(error) from error
        except ValueError as error:
            # psycopg2's own word for a text that PostgreSQL cannot hold.
            if "NUL" not in str(error):
                raise
            raise UsageFault("A text has a NUL character in it.", "Leave it out.") from error


def apply(cursor: extensions.cursor, settings: Mapping[str, str]) -> None:
    """Set settings for the rest of the transaction, in one statement and in their order."""
    if settings:
        cursor.execute(setting(cursor, settings))


def setting(cursor: extensions.cursor, settings: Mapping[str, str]) -> str:
    """Return the statement that does the same, to be sent together with the one that needs the settings.

    PostgreSQL runs the statements of one text one after another, in one transaction.
    """
    calls = ", ".join(["set_config(%s, %s, true)"] * len(settings))
    return cursor.mogrify(f"SELECT {calls}", [text for pair in settings.items() for text in pair]).decode()


def _fault(error: psycopg2.Error) -> Fault:
    line = (error.diag.message_primary or str(error)).strip()
    if isinstance(error, psycopg2.IntegrityError):
        return ConflictFault(f"The archive does not take it: {line}.")
    if isinstance(error, psycopg2.DataError):
        return UsageFault(f"The archive does not take it: {line}.")
    if isinstance(error, psycopg2.OperationalError) or error.pgcode in _COLLISIONS:
        return TransientFault("The archive's database is busy or does not answer.", "Try again.")
    return FatalFault(f"The database refused a statement: {line}.")
