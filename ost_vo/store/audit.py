"""Reading the audit log, which the database's triggers write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extras import DictCursor


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a level, a validity, a membership, a right or an existence.

    Attributes:
        audit_id, moment: its number, rising with time, and when it was.
        actor: name of the user; '(operator)', or in parentheses the database role, for others.
        action: table and kind of change, as in ``products update``.
        subject: the identifier of the product, or the name of the user, project, directory or role.
        project: the project concerned, None where none is.
        old_value, new_value: what changed, by column; None before a creation and after a deletion.
        reason: in the actor's words, None where none was given.
    """

    audit_id: int
    moment: datetime
    actor: str
    action: str
    subject: str
    project: str | None
    old_value: dict[str, Any] | None
    new_value: dict[str, Any] | None
    reason: str | None


_ENTRIES = """
SELECT audit_id, moment, actor, action, subject, project, old_value, new_value, reason
FROM archive.audit
WHERE (%(actor)s::text IS NULL OR actor = %(actor)s)
    AND (%(subject)s::text IS NULL OR subject = %(subject)s)
    AND (%(project)s::text IS NULL OR project = %(project)s)
    AND (%(before)s::bigint IS NULL OR audit_id < %(before)s)
    AND (%(action)s::text IS NULL OR starts_with(action, %(action)s))
    AND (%(since)s::timestamptz IS NULL OR moment >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR moment < %(until)s)
ORDER BY audit_id DESC LIMIT %(limit)s
"""


def entries(
    cursor: DictCursor,
    *,
    actor: str | None = None,
    subject: str | None = None,
    project: str | None = None,
    before: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    action: str | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Return entries, the newest first.

    Args:
        cursor: of the role ost_accounts.
        actor, subject, project: only those of that value.
        before: only those with a lower number, to page on.
        since, until: only those from that moment on, and before that one.
        action: only those that begin so: a table, as in ``products``, or all of it.
        limit: the most to return.
    """
    values = {"actor": actor, "subject": subject, "project": project, "action": action}
    moments = {"since": since, "until": until}
    cursor.execute(_ENTRIES, {**values, **moments, "before": before, "limit": limit})
    return [Entry(*row) for row in cursor.fetchall()]
