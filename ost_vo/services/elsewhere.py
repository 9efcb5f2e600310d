"""Users whom somebody else knows, a directory or a provider, and what to do while nobody answers there."""

from __future__ import annotations

import importlib.util
import time

from ost_vo.access.actor import OPERATOR
from ost_vo.faults import ConflictFault, FatalFault, TransientFault
from ost_vo.services import people
from ost_vo.store import people as stored
from ost_vo.store.connections import Database
from ost_vo.store.people import User
from ost_vo.store.transactions import reading

# For how long who did not answer is not asked again [s].
_SILENCE = 5.0


def require(package: str, setting: str) -> None:
    """Refuse to start without a package that only some installations need.

    Raises:
        FatalFault: it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise FatalFault(
            f"{setting} needs the Python package {package}, which is not installed.",
            f"Install it beside the archive: python -m pip install {package}",
        )


def known(database: Database, name: str) -> User | None:
    """Return the user of a name, active or not; None where there is none."""
    with reading(database) as cursor:
        return stored.get(cursor, name)


def made(database: Database, name: str, role: str, source: str) -> User | None:
    """Make a user without a password of ours, and return it; somebody may have been faster.

    Args:
        database: of the role ost_accounts.
        name: of the account.
        role: staff, supervisor or student.
        source: who knows the user, for the audit log.
    """
    try:
        people.create(database, OPERATOR, name, role=role, reason=f"first log-in, known to {source}")
    except ConflictFault:
        return known(database, name)
    return known(database, name)


class Silence:
    """Keeps callers from waiting, one after the other, for somebody who does not answer.

    Args:
        who: for the faults.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._end = 0.0

    def check(self) -> None:
        """Refuse to ask so soon after there was no answer.

        Raises:
            TransientFault: so it is.
        """
        if time.monotonic() < self._end:
            raise self.fault()

    def begin(self) -> TransientFault:
        """Note that there was no answer, and return what to tell the caller."""
        self._end = time.monotonic() + _SILENCE
        return self.fault()

    def fault(self) -> TransientFault:
        """Return what the caller is told."""
        return TransientFault(
            f"{self._who} does not answer, so nobody can say now whether this is right.", "Try again later."
        )
