"""The caller: who it is, the context that is kept, the password and the tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from ost_vo.access.actor import Actor
from ost_vo.services import people, projects
from ost_vo.services.passwords import MAX_BYTES, MIN_CHARACTERS
from ost_vo.store.connections import Database
from ost_vo.store.logins import Token
from ost_vo.web.addresses import counted_address, networks
from ost_vo.web.api.callers import Accounts, ArchiveOf, User
from ost_vo.web.api.fields import Body, Level, ProjectName, ReasonQuery, Role, Scope, Text
from ost_vo.web.api.paging import NEXT, NameQuery, split
from ost_vo.web.api.problems import refusals

router = APIRouter(prefix="/me", tags=["me"])

Password = Annotated[
    str, StringConstraints(max_length=MAX_BYTES), Field(json_schema_extra={"format": "password"})
]
NewSecret = Annotated[Password, StringConstraints(min_length=MIN_CHARACTERS)]
TokenName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class KeptContext(BaseModel):
    """The context that holds where a request chooses no other."""

    project: str | None = Field(description="The current project; null covers all that you are a member of.")
    privileges: int = Field(description="The lowest level of the data access scope.")


class Me(BaseModel):
    """Who the caller is."""

    name: str
    role: Role
    is_superuser: bool
    permissions: list[str] = Field(description="What the role may do; superusers may do everything.")
    scopes: list[Scope] = Field(description="What this way of logging in is good for.")
    context: KeptContext


class NewContext(Body):
    """A context to keep."""

    project: ProjectName | None = Field(
        None, description="The project to make current; null covers all that you are a member of."
    )
    privileges: Level = Field(1, description="The lowest level.")


class NewPassword(Body):
    """A change of the password."""

    current: Password
    password: NewSecret


class ListedToken(BaseModel):
    """A token without its secret."""

    name: str
    scopes: list[Scope]
    created: datetime
    expires: datetime
    revoked: datetime | None


class NewToken(Body):
    """A token to make."""

    name: TokenName
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)]
    days: float = Field(30.0, gt=0, allow_inf_nan=False, description="After which it expires [d].")


class TokenPage(BaseModel):
    """Some tokens, by name."""

    tokens: list[ListedToken]
    next: str | None = NEXT


class MadeToken(ListedToken):
    """A new token."""

    token: str = Field(description="The token itself, which is shown this once.")


@router.get("", responses=refusals(401))
def get_me(actor: User, database: Accounts) -> Me:
    """Say who the caller is."""
    return Me(
        name=actor.name,
        role=actor.role,
        is_superuser=actor.is_superuser,
        permissions=sorted(actor.permissions),
        scopes=sorted(actor.scopes),
        context=_context(database, actor),
    )


@router.get("/context", responses=refusals(401))
def get_context(actor: User, database: Accounts) -> KeptContext:
    """Return the context that is kept for the caller."""
    return _context(database, actor)


@router.put("/context", responses=refusals(400, 401, 403))
def set_context(actor: User, database: Accounts, wanted: NewContext) -> KeptContext:
    """Keep a context for the caller."""
    project, privileges = projects.set_context(database, actor, wanted.project or "", wanted.privileges)
    return KeptContext(project=project, privileges=privileges)


@router.put("/password", status_code=204, response_class=Response, responses=refusals(400, 401, 403, 429))
def set_password(
    request: Request, archive: ArchiveOf, actor: User, database: Accounts, change: NewPassword
) -> None:
    """Change the password; the caller's sessions end."""
    address = counted_address(request.scope, networks(archive.settings.trusted_proxies))
    known = request.app.state.logins
    people.change_own_password(database, known, actor, change.current, change.password, address)


@router.get("/tokens", responses=refusals(400, 401))
def get_tokens(actor: User, database: Accounts, wanted: Annotated[NameQuery, Query()]) -> TokenPage:
    """List the caller's tokens by name, without the secrets."""
    found, following = split(people.tokens(database, actor, None, *wanted.wanted), wanted.limit)
    return TokenPage(tokens=[_listed(token) for token in found], next=following)


@router.post("/tokens", status_code=201, responses=refusals(400, 401, 403, 409))
def add_token(archive: ArchiveOf, actor: User, database: Accounts, wanted: NewToken) -> MadeToken:
    """Make a token; its secret is shown this once."""
    secret, made = people.create_token(
        database, archive.settings, actor, wanted.name, wanted.scopes, wanted.days
    )
    return MadeToken(token=secret, **_listed(made).model_dump())


@router.delete(
    "/tokens/{name:path}", status_code=204, response_class=Response, responses=refusals(401, 403, 404)
)
def revoke_token(actor: User, database: Accounts, name: Text, reason: ReasonQuery = "") -> None:
    """Revoke one of the caller's tokens."""
    people.revoke_token(database, actor, name, reason=reason)


def _context(database: Database, actor: Actor) -> KeptContext:
    project, privileges = projects.get_context(database, actor)
    return KeptContext(project=project, privileges=privileges)


def _listed(token: Token) -> ListedToken:
    return ListedToken(
        name=token.name,
        scopes=list(token.scopes),
        created=token.created,
        expires=token.expires,
        revoked=token.revoked,
    )
