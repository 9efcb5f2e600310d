"""The audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from ost_vo.services import projects
from ost_vo.web.api.callers import Accounts, User
from ost_vo.web.api.fields import Moment, ProjectName, Text
from ost_vo.web.api.problems import refusals

router = APIRouter(prefix="/audit", tags=["audit"])


class AuditQuery(BaseModel):
    """Which entries to list."""

    model_config = ConfigDict(extra="forbid")

    actor: Text | None = Field(None, description="Who did it.")
    subject: Text | None = Field(None, description="To what: an identifier or a name.")
    project: ProjectName | None = Field(None, description="In which project; managers must name theirs.")
    since: Moment | None = Field(None, description="From that moment on.")
    until: Moment | None = Field(None, description="Before that moment.")
    action: Text | None = Field(None, description="That begin so: a table as in products, or all of it.")
    cursor: int | None = Field(None, ge=1, le=2**63 - 1, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=projects.MAX_ENTRIES, description="Entries on a page.")


class ListedEntry(BaseModel):
    """One change of a level, a validity, a membership, a right or an existence."""

    audit_id: int
    moment: datetime
    actor: str = Field(description="Name of the user; in parentheses, who is none.")
    action: str = Field(description="Table and kind of change, as in `products update`.")
    subject: str
    project: str | None
    old_value: dict[str, Any] | None
    new_value: dict[str, Any] | None
    reason: str | None


class AuditPage(BaseModel):
    """Some entries, the newest first."""

    entries: list[ListedEntry]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")


@router.get("", responses=refusals(400, 401, 403, 404))
def list_entries(actor: User, database: Accounts, wanted: Annotated[AuditQuery, Query()]) -> AuditPage:
    """List entries: all with the permission admin_audit_log_view, else those of a project one manages."""
    found = projects.audit_log(
        database,
        actor,
        by=wanted.actor,
        subject=wanted.subject,
        project=wanted.project,
        before=wanted.cursor,
        since=wanted.since,
        until=wanted.until,
        action=wanted.action,
        limit=wanted.limit,
    )
    entries = [
        ListedEntry(**{name: getattr(entry, name) for name in ListedEntry.model_fields}) for entry in found
    ]
    is_full = len(entries) == wanted.limit
    return AuditPage(entries=entries, next=entries[-1].audit_id if is_full else None)
