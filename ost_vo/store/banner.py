"""The banner: what every page says at its top."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ost_vo.store.transactions import Cursor


@dataclass(frozen=True, slots=True)
class Banner:
    """What there is to say, how grave it is (info, warning or error), and since when it stands there."""

    message: str
    severity: str
    since: datetime


def get(cursor: Cursor) -> Banner | None:
    """Return the banner; None where there is nothing to say."""
    cursor.execute("SELECT message, severity, since FROM archive.banner")
    row = cursor.fetchone()
    return Banner(*row) if row else None


def put(cursor: Cursor, message: str, severity: str) -> None:
    """Say something from now on."""
    cursor.execute(
        "INSERT INTO archive.banner (message, severity) VALUES (%s, %s) ON CONFLICT (only_row)"
        " DO UPDATE SET message = excluded.message, severity = excluded.severity, since = now()",
        (message, severity),
    )


def clear(cursor: Cursor) -> None:
    """Say nothing."""
    cursor.execute("DELETE FROM archive.banner")
