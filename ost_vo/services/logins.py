"""Finding out who a caller is: passwords, sessions and tokens, and an end to guessing.

Wrong passwords are counted in the database, for all processes, by account and by address. An account for
which too many were wrong listens no more to the addresses that sent them; to others it does, so that nobody
can lock a user out from elsewhere. Sessions, tokens, and passwords that this process has seen to be right
never count; and a client that sends a wrong one again and again, as Java does, guesses once.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ost_vo import meters
from ost_vo.access.actor import Actor
from ost_vo.faults import AuthenticationFault, ThrottledFault, TransientFault
from ost_vo.services import passwords
from ost_vo.settings import Settings
from ost_vo.store import logins, people
from ost_vo.store.connections import Database
from ost_vo.store.people import Account
from ost_vo.store.transactions import reading

TOKEN_PREFIX = "ost_"
_SECRET_BYTES = 32
# What is longer is no token and no session (characters).
_LONGEST_SECRET = 128
NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
# Under this name all accounts count that there cannot be.
_IMPOSSIBLE = "?"
# And under this one all that come through the provider, who says later who they are.
_PROVIDED = "!"
# Wrong passwords that an account under attack forgives an address.
_FORGIVEN = 3
# For how long a process knows a password that was right, or wrong, without hashing it again [s]; how many.
_RIGHT_SECONDS = 300.0
_WRONG_SECONDS = 60.0
_REMEMBERED = 10_000

# Says which user a name and a password belong to; None where it does not know them. A TransientFault says
# that nobody has looked at the password.
Verifier = Callable[[str, str], int | None]

Found = TypeVar("Found")


def digest(secret: str) -> bytes:
    """Return what is kept of a session or a token: with 256 random bits, a plain SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).digest()


def new_secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(_SECRET_BYTES)


class StoredPasswords:
    """The verifier of the passwords that the archive itself keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, name: str, password: str) -> int | None:
        """Return the user's id; for an unknown name it takes as long as for a wrong password."""
        with reading(self._database) as cursor:
            account = people.account(cursor, name) if NAME.fullmatch(name) else None
        if account is None or account.password_hash is None:
            passwords.matches(passwords.NOBODY, password)
            return None
        if not passwords.matches(account.password_hash, password):
            return None
        if passwords.is_outdated(account.password_hash):
            with reading(self._database) as cursor:
                new = passwords.hashed(password)
                people.replace_hash(cursor, account.actor.user_id, account.password_hash, new)
        return account.actor.user_id


class _Marks:
    """What a process remembers for a while: marks that tell nothing without its key.

    Args:
        seconds: for how long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, mark: bytes) -> bool:
        return time.monotonic() < self._ends.get(mark, 0.0)

    def add(self, mark: bytes) -> None:
        """Remember a mark, unless there are too many."""
        now = time.monotonic()
        with self._lock:
            if len(self._ends) >= _REMEMBERED:
                self._ends = {key: end for key, end in self._ends.items() if end > now}
            if len(self._ends) < _REMEMBERED:
                self._ends[mark] = now + self._seconds


class Logins:
    """The ways to log in.

    Args:
        database: of the role ost_accounts.
        settings: of the installation.
        verifiers: asked in turn for the user of a name and a password; the archive's own passwords where
            none are given.
    """

    def __init__(
        self, database: Database, settings: Settings, verifiers: Sequence[Verifier] | None = None
    ) -> None:
        self._database = database
        self._settings = settings
        self._verifiers = verifiers if verifiers is not None else (StoredPasswords(database),)
        self._key = secrets.token_bytes(32)
        self._right, self._wrong = _Marks(_RIGHT_SECONDS), _Marks(_WRONG_SECONDS)

    def by_session(self, value: str) -> Actor | None:
        """Return whose session a cookie is; None where there is none such any more."""
        if len(value) > _LONGEST_SECRET or not value.isascii():
            return None
        with reading(self._database) as cursor:
            return logins.actor_by_session(cursor, digest(value))

    def by_token(self, token: str) -> Actor | None:
        """Return whose token it is, with its scopes; None where it is good for nothing."""
        if len(token) > _LONGEST_SECRET or not token.isascii() or not token.startswith(TOKEN_PREFIX):
            return None
        with reading(self._database) as cursor:
            return logins.actor_by_token(cursor, digest(token))

    def remembered(self, name: str, password: str) -> Actor | None:
        """Return the user where this process has seen, minutes ago, that the password is right.

        What is remembered is bound to the hash in the database: another password ends it at once.
        """
        account = self._account(name) if len(self._right) else None
        is_right = account is not None and self._mark(name, account, password) in self._right
        meters.cache("passwords", hit=is_right)
        return account.actor if account and is_right else None

    def by_password(self, name: str, password: str, address: str) -> Actor:
        """Return the user with a name and a password.

        Args:
            name: of the account.
            password: what was given for it.
            address: whence; an IPv6 network of 64 bits counts as one.

        Raises:
            AuthenticationFault: one of the two is wrong; which one is not told.
            ThrottledFault: too many were wrong: this one has not been looked at.
            TransientFault: who might know the password does not answer.
        """
        # Before it is looked at: should the password change meanwhile, the mark is worth nothing.
        account = self._account(name)
        mark = self._mark(name, account, password)
        if mark not in self._wrong:
            counted = name if NAME.fullmatch(name) else _IMPOSSIBLE
            self._admit(counted, address)
            user_id = self._looked_at(counted, address, lambda: self._verified(name, password))
            if user_id is not None:
                actor = self._welcome(user_id, counted, address)
                if account is not None and account.actor.user_id == user_id:
                    self._right.add(mark)
                return actor
            self._wrong.add(mark)
        raise AuthenticationFault("The user name or the password is wrong.", "Try again.")

    def by_provider(self, identify: Callable[[], int], address: str) -> Actor:
        """Return the user whom a provider names; what it refuses counts like a wrong password.

        Args:
            identify: asks the provider, and returns the user's id or raises a fault.
            address: whence, as for passwords.

        Raises:
            AuthenticationFault: the user is not active.
            ThrottledFault: too many were refused: the provider has not been asked.
            Fault: of identify.
        """
        self._admit(_PROVIDED, address)
        return self._welcome(self._looked_at(_PROVIDED, address, identify), _PROVIDED, address)

    def start_session(self, actor: Actor) -> str:
        """Begin a session, and return the value of its cookie, which only the caller gets to know."""
        value = new_secret()
        with reading(self._database) as cursor:
            logins.start_session(cursor, digest(value), actor.user_id, self._settings.session_hours * 3600)
        return value

    def end_session(self, value: str) -> None:
        """End a session, if there is one."""
        if value.isascii():
            with reading(self._database) as cursor:
                logins.end_session(cursor, digest(value))

    def _admit(self, account: str, address: str) -> None:
        """Count the password as wrong before it is looked at, so that nobody gets more guesses at once."""
        settings = self._settings
        with reading(self._database) as cursor:
            found = logins.failures(cursor, account, address, settings.login_window)
            is_attacked = found.of_account >= settings.login_failures_account
            if found.of_address < settings.login_failures_address and not (
                is_attacked and found.of_both >= _FORGIVEN
            ):
                logins.add_failure(cursor, account, address)
                return
        raise ThrottledFault(
            "Too many passwords were wrong.",
            "Wait, or use a token or a session that you have.",
            seconds=max(1, math.ceil(settings.login_window - found.age)),
        )

    def _verified(self, name: str, password: str) -> int | None:
        answers = (verify(name, password) for verify in self._verifiers)
        return next((user_id for user_id in answers if user_id is not None), None)

    def _looked_at(self, account: str, address: str, look: Callable[[], Found]) -> Found:
        """Return what a look finds; where nobody can look, the guess that was counted is none."""
        try:
            return look()
        except TransientFault:
            with reading(self._database) as cursor:
                window = self._settings.login_window
                found = logins.failures(cursor, account, address, window)
                logins.forget_failures(cursor, account, address, window)
                # The others count from now on, which is never too short.
                for _ in range(found.of_both - 1):
                    logins.add_failure(cursor, account, address)
            raise

    def _welcome(self, user_id: int, account: str, address: str) -> Actor:
        with reading(self._database) as cursor:
            actor = people.actor_by_id(cursor, user_id)
            if actor is None:
                raise AuthenticationFault("This account is not active.", "Ask the operators.")
            logins.forget_failures(cursor, account, address, self._settings.login_window)
        return actor

    def _account(self, name: str) -> Account | None:
        if not NAME.fullmatch(name):
            return None
        with reading(self._database) as cursor:
            return people.account(cursor, name)

    def _mark(self, name: str, account: Account | None, password: str) -> bytes:
        """Return the mark of a password for an account as it is now."""
        known = f"{account.actor.user_id} {account.password_hash}" if account else ""
        text = "\0".join((name, known, password)).encode(errors="surrogatepass")
        return hmac.digest(self._key, text, "sha256")
