"""Tags: the observatory's own words for runs and targets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ost_vo.services import tags
from ost_vo.store.tags import Tag
from ost_vo.web.api.callers import ArchiveOf, Caller, Scoped, ScopeOf, User
from ost_vo.web.api.conditions import Expected, answer
from ost_vo.web.api.fields import Body, Reason, ReasonQuery
from ost_vo.web.api.paging import NEXT, NameQuery, split
from ost_vo.web.api.problems import refusals

router = APIRouter(prefix="/tags", tags=["tags"])

TagName = Annotated[
    str, StringConstraints(pattern=r"^[^,\x00-\x1f\x7f]*$", min_length=1, max_length=tags.MAX_NAME)
]
_Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
_Description = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=tags.MAX_DESCRIPTION)]


class ListedTag(BaseModel):
    """A tag, and how often the caller sees it."""

    name: str
    colour: str = Field(description="As in #1f77b4.")
    description: str
    runs: int
    targets: int


class NewTag(Body):
    """A tag to make."""

    name: TagName
    colour: _Colour = tags.COLOUR
    description: _Description = ""
    reason: Reason = ""


class TagChanges(Body):
    """What to change of a tag; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: TagName = "tag"
    colour: _Colour = tags.COLOUR
    description: _Description = ""
    reason: Reason = ""


class TagQuery(Scoped):
    """In which context to look."""


class TagPageQuery(Scoped, NameQuery):
    """Which page of the tags, in which context."""


class TagPage(BaseModel):
    """Some tags, by name."""

    tags: list[ListedTag]
    next: str | None = NEXT


@router.get("", responses=refusals(400, 401, 403))
def list_tags(
    archive: ArchiveOf, context: ScopeOf, actor: Caller, wanted: Annotated[TagPageQuery, Query()]
) -> TagPage:
    """List the tags of what the caller's context covers by name; for those who may give tags, all."""
    found, following = split(tags.listing(archive, context, actor, *wanted.wanted), wanted.limit)
    return TagPage(tags=[_listed(tag) for tag in found], next=following)


@router.post("", status_code=201, responses=refusals(400, 401, 403, 409))
def add_tag(archive: ArchiveOf, context: ScopeOf, actor: User, wanted: NewTag) -> ListedTag:
    """Make a tag, with the permission tags_manage."""
    tags.add(archive.accounts_database, actor, **wanted.model_dump())
    return _listed(tags.get(archive, context, actor, wanted.name))


@router.get("/{name}", response_model=ListedTag, responses=refusals(400, 401, 403, 404))
def get_tag(
    archive: ArchiveOf, context: ScopeOf, actor: Caller, name: TagName, _scope: Annotated[TagQuery, Query()]
) -> Response:
    """Return a tag."""
    return answer(_listed(tags.get(archive, context, actor, name)))


@router.patch("/{name}", response_model=ListedTag, responses=refusals(400, 401, 403, 404, 409, 412))
def change_tag(
    archive: ArchiveOf, context: ScopeOf, actor: User, name: TagName, changes: TagChanges, expected: Expected
) -> Response:
    """Change a tag, with the permission tags_manage."""
    given = changes.model_dump(exclude_unset=True, exclude={"reason"})
    tags.update(
        archive.accounts_database,
        actor,
        name,
        given,
        changes.reason,
        lambda: expected(_listed(tags.get(archive, context, actor, name))),
    )
    return answer(_listed(tags.get(archive, context, actor, given.get("name", name))))


@router.delete("/{name}", status_code=204, response_class=Response, responses=refusals(400, 401, 403, 404))
def remove_tag(archive: ArchiveOf, actor: User, name: TagName, reason: ReasonQuery = "") -> None:
    """Delete a tag, with the permission tags_manage; nothing has it any more."""
    tags.remove(archive.accounts_database, actor, name, reason)


def _listed(tag: Tag) -> ListedTag:
    return ListedTag(**{name: getattr(tag, name) for name in ListedTag.model_fields})
