"""What callers show to be known: sessions and tokens, of which only digests are kept; and wrong passwords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2.extras import DictCursor, DictRow

from ost_vo.access.actor import Actor
from ost_vo.store.people import ACCOUNTS, actor_of

# Classes of advisory locks: those of two numbers are apart from those of one.
_ACCOUNT_LOCK, _ADDRESS_LOCK = 4101, 4102


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its owner sees it.

    Attributes:
        name: what the owner calls it.
        scopes: what it is good for.
        created, expires: UTC.
        revoked: when it was revoked, None if it has not been.
    """

    name: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime
    revoked: datetime | None


@dataclass(frozen=True, slots=True)
class Failures:
    """How many passwords were wrong in the window.

    Attributes:
        of_account: for the account, from anywhere.
        of_address: from the address, for any account.
        of_both: for the account from the address.
        age: of the oldest that came from the address [s].
    """

    of_account: int
    of_address: int
    of_both: int
    age: float


def actor_by_session(cursor: DictCursor, digest: bytes) -> Actor | None:
    """Return whose session this is; None where it has expired, or its user is not active."""
    cursor.execute(
        f"{ACCOUNTS} JOIN archive.sessions s USING (user_id) "
        "WHERE s.digest = %s AND s.expires > clock_timestamp() AND u.is_active",
        (digest,),
    )
    row = cursor.fetchone()
    return actor_of(row) if row else None


def start_session(cursor: DictCursor, digest: bytes, user_id: int, seconds: float) -> None:
    """Begin a session of so many seconds; those of anybody that have expired are forgotten."""
    cursor.execute("DELETE FROM archive.sessions WHERE expires <= clock_timestamp()")
    cursor.execute(
        "INSERT INTO archive.sessions (digest, user_id, expires) "
        "VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))",
        (digest, user_id, seconds),
    )


def end_session(cursor: DictCursor, digest: bytes) -> None:
    """Forget a session."""
    cursor.execute("DELETE FROM archive.sessions WHERE digest = %s", (digest,))


def actor_by_token(cursor: DictCursor, digest: bytes) -> Actor | None:
    """Return whose token this is, with its scopes; None where it is good for nothing (any more)."""
    statement = ACCOUNTS.replace("SELECT", "SELECT t.scopes,", 1)
    cursor.execute(
        f"{statement} JOIN archive.tokens t USING (user_id) WHERE t.digest = %s "
        "AND t.expires > clock_timestamp() AND t.revoked IS NULL AND u.is_active",
        (digest,),
    )
    row = cursor.fetchone()
    return actor_of(row, frozenset(row["scopes"])) if row else None


def create_token(
    cursor: DictCursor, user_id: int, name: str, digest: bytes, scopes: Sequence[str], seconds: float
) -> Token:
    """Add a token that expires in so many seconds."""
    cursor.execute(
        "INSERT INTO archive.tokens (user_id, name, digest, scopes, expires) "
        "VALUES (%s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s)) "
        "RETURNING name, scopes, created, expires, revoked",
        (user_id, name, digest, list(scopes), seconds),
    )
    return next(_token(row) for row in cursor)


def tokens(cursor: DictCursor, user_id: int, after: str = "", limit: int | None = None) -> list[Token]:
    """Return a user's tokens by name: those whose names follow a text, so many at the most, all for None."""
    cursor.execute(
        "SELECT name, scopes, created, expires, revoked FROM archive.tokens"
        " WHERE user_id = %s AND name > %s ORDER BY name LIMIT %s",
        (user_id, after, limit),
    )
    return [_token(row) for row in cursor.fetchall()]


def revoke_token(cursor: DictCursor, user_id: int, name: str) -> bool:
    """Revoke a token; return whether the user has one of that name."""
    cursor.execute(
        "UPDATE archive.tokens SET revoked = coalesce(revoked, clock_timestamp()) "
        "WHERE user_id = %s AND name = %s",
        (user_id, name),
    )
    return cursor.rowcount > 0


def failures(cursor: DictCursor, account: str, address: str, seconds: float) -> Failures:
    """Count the wrong passwords of the last seconds; until the transaction ends nobody adds to them."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_ACCOUNT_LOCK, account))
    cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_ADDRESS_LOCK, address))
    cursor.execute(
        """
        SELECT count(*) FILTER (WHERE account = %(account)s) AS of_account,
            count(*) FILTER (WHERE address = %(address)s) AS of_address,
            count(*) FILTER (WHERE account = %(account)s AND address = %(address)s) AS of_both,
            coalesce(extract(epoch FROM clock_timestamp() - min(moment) FILTER (WHERE address = %(address)s)),
                0)::float8 AS age
        FROM archive.login_failures
        WHERE (account = %(account)s OR address = %(address)s)
            AND moment > clock_timestamp() - make_interval(secs => %(seconds)s)""",
        {"account": account, "address": address, "seconds": seconds},
    )
    return next(Failures(**row) for row in cursor)


def add_failure(cursor: DictCursor, account: str, address: str) -> None:
    """Count a password as wrong."""
    cursor.execute(
        "INSERT INTO archive.login_failures (account, address) VALUES (%s, %s)", (account, address)
    )


def forget_failures(cursor: DictCursor, account: str, address: str, seconds: float) -> None:
    """Forget what an account got wrong from an address, and what is older than so many seconds."""
    cursor.execute(
        "DELETE FROM archive.login_failures WHERE (account = %s AND address = %s) "
        "OR moment <= clock_timestamp() - make_interval(secs => %s)",
        (account, address, seconds),
    )


def _token(row: DictRow) -> Token:
    return Token(row["name"], tuple(row["scopes"]), row["created"], row["expires"], row["revoked"])
