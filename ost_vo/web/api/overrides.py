"""What people say of products, which goes before what ingest finds; and what ingest found doubtful."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ost_vo.services import overrides
from ost_vo.services.targets import MAX_NAME
from ost_vo.web.api.callers import Accounts, ArchiveOf, ScopeOf, User
from ost_vo.web.api.fields import Body, Changed, Identifier, Reason, Text
from ost_vo.web.api.problems import refusals

router = APIRouter(tags=["overrides"])

_Identifiers = Annotated[list[Identifier], Field(min_length=1, max_length=overrides.MAX_PRODUCTS)]
_Value = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", min_length=1, max_length=MAX_NAME)]
_Cursor = Annotated[int | None, Field(ge=1, le=2**63 - 1, description="`next` of the page before.")]
_Limit = Annotated[int, Field(ge=1, le=overrides.MAX_PAGE, description="Products on a page.")]


class OverrideQuery(BaseModel):
    """Of which products to list what was said."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[list[Identifier], Field(max_length=overrides.MAX_PAGE)] = Field(
        [], description="Identifiers; several times for several."
    )
    field: overrides.Field | None = Field(None, description="Of this alone.")
    limit: _Limit = 100
    cursor: _Cursor = None


class ListedOverride(BaseModel):
    """What somebody has said of a product."""

    identifier: str
    path: str
    field: overrides.Field
    value: str = Field(description="What it is; of a target its number, or none.")
    shown: str = Field(description="The same for people: of a target its name.")
    automatic: str | None = Field(description="What ingest found; of a spectrograph, the kind of product.")
    user: str
    moment: datetime


class OverridePage(BaseModel):
    """What was said of some products."""

    overrides: list[ListedOverride]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")


class Word(Body):
    """What to say of products."""

    identifiers: _Identifiers
    field: overrides.Field
    value: _Value = Field(
        description="An exposure type; a spectrograph or none; a target's number or name, or none."
    )
    reason: Reason = ""


class Withdrawn(Body):
    """What to take back of what was said of products."""

    identifiers: _Identifiers
    field: overrides.Field | None = Field(None, description="Of this alone; of all where left out.")
    reason: Reason = ""


class Dismissal(Body):
    """What is not doubtful any more in a product."""

    identifier: Identifier
    keyword: Text
    reason: Reason = ""


class DiscrepancyQuery(BaseModel):
    """Which discrepancies to list."""

    model_config = ConfigDict(extra="forbid")

    run: Text | None = Field(None, description="Run (directory) of the products.")
    keyword: Text | None = Field(None, description="Of this keyword alone.")
    limit: _Limit = 100
    cursor: _Cursor = None


class ListedDiscrepancy(BaseModel):
    """What ingest could not make sense of in a file."""

    identifier: str
    path: str
    keyword: str = Field(description="Of the header; TARGET where the file looked elsewhere.")
    reason: str


class DiscrepancyPage(BaseModel):
    """What is doubtful in some products."""

    discrepancies: list[ListedDiscrepancy]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")


@router.get("/overrides", responses=refusals(400, 401, 403))
def list_overrides(
    actor: User, database: Accounts, wanted: Annotated[OverrideQuery, Query()]
) -> OverridePage:
    """List what people said of products that the caller may see."""
    found, following = overrides.listing(
        database,
        actor,
        identifiers=wanted.id,
        field=wanted.field,
        after=wanted.cursor,
        limit=wanted.limit,
    )
    names = ListedOverride.model_fields
    return OverridePage(
        overrides=[ListedOverride(**{name: getattr(one, name) for name in names}) for one in found],
        next=following,
    )


@router.put("/overrides", status_code=204, response_class=Response, responses=refusals(400, 401, 403, 404))
def put_override(archive: ArchiveOf, context: ScopeOf, actor: User, wanted: Word) -> None:
    """Say what products are; ingest leaves that alone from then on. All of them or none."""
    overrides.put(archive, context, actor, wanted.identifiers, wanted.field, wanted.value, wanted.reason)


@router.post("/overrides/clear", responses=refusals(400, 401, 403, 404))
def clear_overrides(actor: User, database: Accounts, wanted: Withdrawn) -> Changed:
    """Take back what was said of products: they are what ingest found again. All of them or none."""
    return Changed(changed=overrides.clear(database, actor, wanted.identifiers, wanted.field, wanted.reason))


@router.get("/discrepancies", responses=refusals(400, 401, 403))
def list_discrepancies(
    actor: User, database: Accounts, wanted: Annotated[DiscrepancyQuery, Query()]
) -> DiscrepancyPage:
    """List what is doubtful in products that the caller may see, with the permission datafiles_reevaluate."""
    found, following = overrides.discrepancies(
        database,
        actor,
        run=wanted.run,
        keyword=wanted.keyword,
        after=wanted.cursor,
        limit=wanted.limit,
    )
    names = ListedDiscrepancy.model_fields
    return DiscrepancyPage(
        discrepancies=[ListedDiscrepancy(**{name: getattr(one, name) for name in names}) for one in found],
        next=following,
    )


@router.post(
    "/discrepancies/dismiss", status_code=204, response_class=Response, responses=refusals(400, 401, 403, 404)
)
def dismiss_discrepancy(actor: User, database: Accounts, wanted: Dismissal) -> None:
    """Strike out what was doubtful in a product, with the permission datafiles_reevaluate."""
    overrides.dismiss(database, actor, wanted.identifier, wanted.keyword, wanted.reason)
