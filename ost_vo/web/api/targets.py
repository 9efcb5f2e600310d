"""Targets: finding them, what they are called, merging and splitting them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ost_vo.services import notes, targets
from ost_vo.services.targets import Described, Filters
from ost_vo.store.target_records import Target
from ost_vo.web.api.callers import Accounts, ArchiveOf, Caller, Scoped, ScopeOf, User
from ost_vo.web.api.conditions import Expected, answer
from ost_vo.web.api.fields import Body, Reason, ReasonQuery
from ost_vo.web.api.problems import refusals
from ost_vo.web.api.runs import Note, TagNames
from ost_vo.web.api.tags import TagName

router = APIRouter(prefix="/targets", tags=["targets"])

# PostgreSQL's int.
_Number = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True, description="Number of a target.")]
_Name = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", min_length=1, max_length=targets.MAX_NAME)]
_Names = Annotated[list[_Name], Field(min_length=1, max_length=1000)]
InPath = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of a target.")]


class TargetQuery(Scoped):
    """Which targets to list."""

    name: _Name | None = Field(None, description="The one with that name or alias, in any spelling.")
    unresolved: bool | None = Field(
        None, description="True for those that no catalogue knows; both kinds where left out."
    )
    tag: TagName | None = Field(None, description="Those that have it.")
    limit: int = Field(100, ge=1, le=targets.MAX_PAGE, description="Targets on a page.")
    cursor: int | None = Field(None, ge=1, le=2**31 - 1, description="`next` of the page before.")


class OneTargetQuery(Scoped):
    """In which context to look."""


class ListedTarget(BaseModel):
    """A target."""

    target_id: int
    target_name: str
    target_class: str | None = Field(
        description="galaxy, star cluster, nebula, star, solar system or other; null where unknown."
    )
    s_ra: float | None = Field(description="ICRS [deg]; null for what moves, and where unknown.")
    s_dec: float | None = Field(description="ICRS [deg]; null for what moves, and where unknown.")
    angular_size: float | None = Field(description="Longest diameter [deg].")
    resolved_by: str | None = Field(description="Catalogue that knows it; null where none does.")
    tags: list[str]
    note: str


class TargetPage(BaseModel):
    """Some targets, in the order of their numbers."""

    targets: list[ListedTarget]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")


class DescribedTarget(ListedTarget):
    """A target and its names. Its number is another one than asked for where that was merged into it."""

    aliases: list[str]


class TargetChanges(Body):
    """What to write of a target; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    note: Note = ""
    tags: TagNames = []  # noqa: RUF012 pydantic copies it
    reason: Reason = ""


class NewTarget(Body):
    """A target to add."""

    name: _Name
    reason: Reason = ""


class Number(BaseModel):
    """Which target it is now."""

    target_id: int


class Merger(Body):
    """Targets to make one."""

    sources: Annotated[list[_Number], Field(min_length=1, max_length=1000)]
    into: _Number
    reason: Reason = ""


class Division(Body):
    """Names that are to leave a target, with the products whose files have one of them."""

    target: _Number
    aliases: _Names
    reason: Reason = ""


class Why(Body):
    """Why something is done."""

    reason: Reason = ""


class ListedResolution(BaseModel):
    """What became of a target that no catalogue knew."""

    target_id: int
    target_name: str = Field(description="As it was.")
    catalogue: str | None = Field(description="That knows it; null where none does.")
    merged_into: int | None = Field(description="The target that it turned out to be.")


class NewAlias(Body):
    """A further name of a target."""

    alias: _Name
    reason: Reason = ""


AliasQuery = Annotated[_Name, Query(description="The name.")]


@router.get("", responses=refusals(400, 401, 403))
def list_targets(
    archive: ArchiveOf, context: ScopeOf, actor: Caller, wanted: Annotated[TargetQuery, Query()]
) -> TargetPage:
    """List targets: of the products that the caller's context covers; with objects_view_private, all."""
    filters = Filters(wanted.name, wanted.unresolved, wanted.tag)
    page = targets.page(archive, context, actor, filters, wanted.cursor, wanted.limit)
    return TargetPage(targets=[_listed(target) for target in page.targets], next=page.cursor)


@router.post("", status_code=201, responses=refusals(400, 401, 403, 409))
def add_target(actor: User, database: Accounts, wanted: NewTarget) -> Number:
    """Add a target before any file names it, with what catalogues have of it."""
    return Number(target_id=targets.add(database, actor, wanted.name, wanted.reason))


@router.post("/merge", status_code=204, response_class=Response, responses=refusals(400, 401, 403, 404, 409))
def merge_targets(actor: User, database: Accounts, wanted: Merger) -> None:
    """Make targets one: their names and products go to it, and their numbers lead to it."""
    targets.merge(database, actor, wanted.sources, wanted.into, wanted.reason)


@router.post("/split", responses=refusals(400, 401, 403, 404, 409))
def split_target(actor: User, database: Accounts, wanted: Division) -> Number:
    """Let names of a target be another one's; one that was merged and had such a name is itself again."""
    return Number(target_id=targets.split(database, actor, wanted.target, wanted.aliases, wanted.reason))


@router.post("/resolve", responses=refusals(400, 401, 403))
def resolve_targets(actor: User, database: Accounts, wanted: Why) -> list[ListedResolution]:
    """Ask the archive's own catalogues again about the targets that none knew; no request leaves the site."""
    return [
        ListedResolution(
            target_id=done.target.target_id,
            target_name=done.target.target_name,
            catalogue=done.catalogue,
            merged_into=done.merged_into,
        )
        for done in targets.resolve(database, actor, reason=wanted.reason)
    ]


@router.get("/{target_id}", response_model=DescribedTarget, responses=refusals(400, 401, 403, 404))
def get_target(
    archive: ArchiveOf,
    context: ScopeOf,
    actor: Caller,
    target_id: InPath,
    _scope: Annotated[OneTargetQuery, Query()],
) -> Response:
    """Return a target, or the one that it was merged into."""
    return answer(_described(targets.get(archive, context, actor, target_id)))


@router.patch("/{target_id}", response_model=DescribedTarget, responses=refusals(400, 401, 403, 404, 412))
def change_target(
    archive: ArchiveOf,
    context: ScopeOf,
    actor: User,
    target_id: InPath,
    changes: TargetChanges,
    expected: Expected,
) -> Response:
    """Write of a target what people say of it.

    The note takes the permission object_detail_edit_notes, the tags object_detail_edit_tags.
    """
    given = changes.model_dump(exclude_unset=True, exclude={"reason"})
    changed = notes.edit_target(
        archive, context, actor, target_id, given, changes.reason, lambda found: expected(_described(found))
    )
    return answer(_described(changed))


@router.post(
    "/{target_id}/aliases",
    status_code=204,
    response_class=Response,
    responses=refusals(400, 401, 403, 404, 409),
)
def add_alias(actor: User, database: Accounts, target_id: InPath, wanted: NewAlias) -> None:
    """Call a target by a further name: files that have it are of that target from then on."""
    targets.add_alias(database, actor, target_id, wanted.alias, wanted.reason)


@router.delete(
    "/{target_id}/aliases",
    status_code=204,
    response_class=Response,
    responses=refusals(400, 401, 403, 404),
)
def remove_alias(
    actor: User, database: Accounts, target_id: InPath, alias: AliasQuery, reason: ReasonQuery = ""
) -> None:
    """Let a name be nobody's; the target keeps its products."""
    targets.remove_alias(database, actor, target_id, alias, reason)


def _described(found: Described) -> DescribedTarget:
    return DescribedTarget(**_listed(found.target).model_dump(), aliases=found.aliases)


def _listed(target: Target) -> ListedTarget:
    values = {name: getattr(target, name) for name in ListedTarget.model_fields}
    return ListedTarget(**{**values, "tags": target.tags.split(",") if target.tags else []})
