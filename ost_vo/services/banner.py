"""The banner: what the operators tell everybody at the top of every page."""

from __future__ import annotations

from typing import Literal, get_args

from ost_vo.access.actor import Actor
from ost_vo.faults import UsageFault
from ost_vo.store import banner as store
from ost_vo.store.banner import Banner
from ost_vo.store.connections import Database
from ost_vo.store.transactions import reading, writing

MANAGE = "banner_manage"
MAX_MESSAGE = 2000
Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[str, ...] = get_args(Severity)


def get(database: Database) -> Banner | None:
    """Return the banner, which is for everybody; None where there is nothing to say."""
    with reading(database) as cursor:
        return store.get(cursor)


def put(database: Database, actor: Actor, message: str, severity: str, reason: str = "") -> None:
    """Say something at the top of every page, with the permission banner_manage.

    Args:
        database: of the role ost_accounts.
        actor: who says it.
        message: plain text of at most 2000 characters.
        severity: info, warning or error.
        reason: why, for the audit log.

    Raises:
        AuthorizationFault: the caller has not the permission.
        UsageFault: there is no message, it is too long, or there is no such severity.
    """
    actor.require(MANAGE)
    text = message.strip()
    if not text or len(text) > MAX_MESSAGE:
        raise UsageFault(
            "The banner has no message, or too long a one.", f"Give 1 to {MAX_MESSAGE} characters."
        )
    if severity not in SEVERITIES:
        raise UsageFault(f"There is no severity {severity!r}.", f"Give {', '.join(SEVERITIES)}.")
    with writing(database, actor, reason) as cursor:
        store.put(cursor, text, severity)


def clear(database: Database, actor: Actor, reason: str = "") -> None:
    """Say nothing any more, with the permission banner_manage.

    Raises:
        AuthorizationFault: the caller has not the permission.
    """
    actor.require(MANAGE)
    with writing(database, actor, reason) as cursor:
        store.clear(cursor)
