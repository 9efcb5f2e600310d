"""Users, and what each role may do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ost_vo.faults import UsageFault
from ost_vo.services import people
from ost_vo.store.people import User as StoredUser
from ost_vo.web.api.callers import Accounts, User
from ost_vo.web.api.conditions import Expected, answer
from ost_vo.web.api.fields import Body, Flag, Name, Reason, ReasonQuery, Role, Text
from ost_vo.web.api.me import NewSecret
from ost_vo.web.api.paging import NEXT, NameQuery, split
from ost_vo.web.api.problems import refusals

router = APIRouter(tags=["people"])

Permission = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]


class ListedUser(BaseModel):
    """A user."""

    name: str
    full_name: str | None
    role: Role
    is_superuser: bool
    is_active: bool
    has_password: bool = Field(description="Whether there is a password of the archive's own.")
    created: datetime


class UserPage(BaseModel):
    """Some users, by name."""

    users: list[ListedUser]
    next: str | None = NEXT


class NewUser(Body):
    """A user to make."""

    name: Name
    password: NewSecret | None = Field(None, description="Null: nobody logs in with one.")
    full_name: Text | None = None
    role: Role = "student"
    is_superuser: Flag = False
    reason: Reason = ""


class UserChange(Body):
    """What to change of a user: one thing at a time."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    role: Role | None = None
    is_superuser: Flag | None = None
    is_active: Flag | None = None
    password: NewSecret | None = None
    reason: Reason = ""


class Grant(Body):
    """Whether a role has a permission."""

    is_granted: Flag
    reason: Reason = ""


@router.get("/users", responses=refusals(400, 401, 403))
def list_users(actor: User, database: Accounts, wanted: Annotated[NameQuery, Query()]) -> UserPage:
    """List the users by name."""
    found, following = split(people.listing(database, actor, *wanted.wanted), wanted.limit)
    return UserPage(users=[_listed(user) for user in found], next=following)


@router.post("/users", status_code=201, responses=refusals(400, 401, 403, 409))
def add_user(actor: User, database: Accounts, wanted: NewUser) -> ListedUser:
    """Make an account."""
    people.create(database, actor, **wanted.model_dump())
    return _listed(people.get(database, actor, wanted.name))


@router.get("/users/{name}", response_model=ListedUser, responses=refusals(401, 403, 404))
def get_user(actor: User, database: Accounts, name: Name) -> Response:
    """Return a user."""
    return answer(_listed(people.get(database, actor, name)))


@router.patch("/users/{name}", response_model=ListedUser, responses=refusals(400, 401, 403, 404, 409, 412))
def change_user(
    actor: User, database: Accounts, name: Name, change: UserChange, expected: Expected
) -> Response:
    """Change the role of a user, the rank of superuser, the password, or whether the account is active."""
    given = change.model_dump(exclude_none=True, exclude={"reason"})
    if len(given) != 1:
        raise UsageFault(
            "One thing can be changed at a time.", "Give role, is_superuser, is_active or password."
        )
    ((what, value),) = given.items()
    setters: dict[str, Callable[..., None]] = {
        "role": people.set_role,
        "is_superuser": people.set_superuser,
        "is_active": people.set_active,
        "password": people.set_password,
    }
    setters[what](database, actor, name, value, change.reason, expect=lambda user: expected(_listed(user)))
    return answer(_listed(people.get(database, actor, name)))


@router.delete(
    "/users/{name}", status_code=204, response_class=Response, responses=refusals(401, 403, 404, 409)
)
def delete_user(actor: User, database: Accounts, name: Name, reason: ReasonQuery = "") -> None:
    """Delete a user who has left nothing behind."""
    people.delete(database, actor, name, reason)


@router.get("/permissions", responses=refusals(401, 403))
def list_permissions(actor: User, database: Accounts) -> dict[Role, dict[str, bool]]:
    """Return the permission matrix: by role and permission, whether it is granted."""
    return people.permissions(database, actor)  # type: ignore[return-value] # the keys are of ROLES


@router.put("/permissions/{role}/{permission}", responses=refusals(400, 401, 403, 404))
def set_permission(
    actor: User, database: Accounts, role: Role, permission: Permission, wanted: Grant
) -> dict[Role, dict[str, bool]]:
    """Grant a role a permission, or take it away; return the matrix."""
    people.set_permission(database, actor, role, permission, wanted.is_granted, wanted.reason)
    return people.permissions(database, actor)  # type: ignore[return-value] # the keys are of ROLES


def _listed(user: StoredUser) -> ListedUser:
    return ListedUser(**{name: getattr(user, name) for name in ListedUser.model_fields})
