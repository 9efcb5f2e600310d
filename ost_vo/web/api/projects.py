"""Projects, their members, and the directories that new products come into them from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ost_vo.services import projects
from ost_vo.store.projects import CreationScope, Project
from ost_vo.web.api.callers import Accounts, Caller, User
from ost_vo.web.api.conditions import Expected, answer
from ost_vo.web.api.fields import (
    Body,
    Directory,
    Flag,
    Level,
    Name,
    ProjectName,
    Reason,
    ReasonQuery,
    Text,
)
from ost_vo.web.api.paging import NEXT, NameQuery, split
from ost_vo.web.api.problems import refusals

router = APIRouter(tags=["projects"])


class ListedProject(BaseModel):
    """A project as the caller sees it."""

    name: str
    description: str | None
    instrument: str | None = Field(description="Null for any.")
    is_public: bool = Field(description="Whether every user of the archive is a member.")
    max_privileges: int = Field(description="The highest level that a member may give a product.")
    is_member: bool = Field(description="Whether the caller is one.")
    is_manager: bool = Field(description="Whether the caller is one.")


class ProjectPage(BaseModel):
    """Some projects, by name."""

    projects: list[ListedProject]
    next: str | None = NEXT


class NewProject(Body):
    """A project to make."""

    name: ProjectName
    description: Text | None = None
    instrument: Text | None = None
    is_public: Flag = False
    max_privileges: Level | None = Field(None, description="4 in public projects, 2 in private ones.")
    manager: Name | None = Field(None, description="Its first manager; the caller where none is given.")
    reason: Reason = ""


class ProjectChanges(Body):
    """What to change of a project; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    description: Text | None = None
    instrument: Text | None = None
    is_public: Flag = False
    max_privileges: Level = 2
    reason: Reason = ""


class ListedMember(BaseModel):
    """A member of a project."""

    user: str
    is_manager: bool


class Membership(Body):
    """What a user is to be in a project."""

    is_manager: Flag = False
    reason: Reason = ""


class ListedScope(BaseModel):
    """What new products below a directory of the data root are created as."""

    directory: str
    project: str
    creator: str
    privileges: int


class NewScope(Body):
    """What new products below a directory of the data root are to be created as."""

    directory: Directory
    project: ProjectName
    creator: Name
    privileges: Level
    reason: Reason = ""


DirectoryQuery = Annotated[Directory, Query(description="The directory below the data root.")]


@router.get("/projects", responses=refusals(400))
def list_projects(actor: Caller, database: Accounts, wanted: Annotated[NameQuery, Query()]) -> ProjectPage:
    """List the projects that the caller may know of by name: the public ones, and those of the caller."""
    found, following = split(projects.listing(database, actor, *wanted.wanted), wanted.limit)
    return ProjectPage(projects=[_listed(project) for project in found], next=following)


@router.post("/projects", status_code=201, responses=refusals(400, 401, 403, 404, 409))
def add_project(actor: User, database: Accounts, wanted: NewProject) -> ListedProject:
    """Make a project."""
    projects.create(database, actor, **wanted.model_dump())
    return _listed(projects.get(database, actor, wanted.name))


@router.get("/projects/{name}", response_model=ListedProject, responses=refusals(404))
def get_project(actor: Caller, database: Accounts, name: ProjectName) -> Response:
    """Return a project."""
    return answer(_listed(projects.get(database, actor, name)))


@router.patch("/projects/{name}", response_model=ListedProject, responses=refusals(400, 401, 403, 404, 412))
def change_project(
    actor: User, database: Accounts, name: ProjectName, changes: ProjectChanges, expected: Expected
) -> Response:
    """Change a project; what decides over access needs the permission projects_manage."""
    given = changes.model_dump(exclude_unset=True, exclude={"reason"})
    changed = projects.update(
        database, actor, name, given, changes.reason, lambda project: expected(_listed(project))
    )
    return answer(_listed(changed))


@router.delete(
    "/projects/{name}", status_code=204, response_class=Response, responses=refusals(401, 403, 404, 409)
)
def delete_project(actor: User, database: Accounts, name: ProjectName, reason: ReasonQuery = "") -> None:
    """Delete a project that nothing belongs to."""
    projects.delete(database, actor, name, reason)


@router.get("/projects/{name}/members", responses=refusals(401, 404))
def list_members(actor: User, database: Accounts, name: ProjectName) -> list[ListedMember]:
    """List the members of a project; of a public one, those who were taken in by name."""
    return [
        ListedMember(user=member.user, is_manager=member.is_manager)
        for member in projects.members(database, actor, name)
    ]


@router.put("/projects/{name}/members/{user}", responses=refusals(400, 401, 403, 404, 409))
def set_member(
    actor: User, database: Accounts, name: ProjectName, user: Name, wanted: Membership
) -> ListedMember:
    """Take a user into a project, or change what the user is in it."""
    projects.set_member(database, actor, name, user, is_manager=wanted.is_manager, reason=wanted.reason)
    return ListedMember(user=user, is_manager=wanted.is_manager)


@router.delete(
    "/projects/{name}/members/{user}",
    status_code=204,
    response_class=Response,
    responses=refusals(401, 403, 404, 409),
)
def remove_member(
    actor: User, database: Accounts, name: ProjectName, user: Name, reason: ReasonQuery = ""
) -> None:
    """Take a user out of a project; everybody may leave."""
    projects.remove_member(database, actor, name, user, reason)


@router.get("/creation-scopes", responses=refusals(401, 403))
def list_creation_scopes(actor: User, database: Accounts) -> list[ListedScope]:
    """List the directories whose new products have a project, creator and level of their own."""
    return [_listed_scope(scope) for scope in projects.creation_scopes(database, actor)]


@router.put("/creation-scopes", responses=refusals(400, 401, 403, 404))
def set_creation_scope(actor: User, database: Accounts, wanted: NewScope) -> ListedScope:
    """Say what new products below a directory are created as."""
    scope = CreationScope(**wanted.model_dump(exclude={"reason"}))
    return _listed_scope(projects.set_creation_scope(database, actor, scope, wanted.reason))


@router.delete(
    "/creation-scopes", status_code=204, response_class=Response, responses=refusals(400, 401, 403, 404)
)
def remove_creation_scope(
    actor: User, database: Accounts, directory: DirectoryQuery, reason: ReasonQuery = ""
) -> None:
    """Let a directory be like those around it."""
    projects.remove_creation_scope(database, actor, directory, reason)


def _listed(project: Project) -> ListedProject:
    return ListedProject(**{name: getattr(project, name) for name in ListedProject.model_fields})


def _listed_scope(scope: CreationScope) -> ListedScope:
    return ListedScope(**{name: getattr(scope, name) for name in ListedScope.model_fields})
