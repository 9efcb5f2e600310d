"""What an endpoint needs of a request: who asks, in which context, and the archive."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from ost_vo.access.actor import Actor
from ost_vo.access.context import Context
from ost_vo.faults import AuthenticationFault
from ost_vo.services.archive import Archive
from ost_vo.services.contexts import PRIVILEGES, PROJECT
from ost_vo.store.connections import Database
from ost_vo.vo.parameters import Parameters
from ost_vo.web.authentication import actor_of, context_of


class Scoped(BaseModel):
    """The parameters that choose a context for one request; without them the caller's own holds."""

    model_config = ConfigDict(extra="forbid")

    context_project: str | None = Field(
        None,
        alias=PROJECT,
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
        description="Project whose level 2 the answer covers, of which you are a member; - for all of yours.",
    )
    context_privileges: str | None = Field(
        None,
        alias=PRIVILEGES,
        json_schema_extra={"enum": ["1", "2", "3", "4", "5"]},
        description="Lowest level that the answer covers.",
    )


def archive_of(request: Request) -> Archive:
    """Return the open archive."""
    archive: Archive = request.app.state.archive
    return archive


def accounts_of(request: Request) -> Database:
    """Return the connections that people and projects are looked up and changed through."""
    return archive_of(request).accounts_database


def caller(request: Request) -> Actor | None:
    """Return who asks; None is anonymous."""
    return actor_of(request)


def user(request: Request) -> Actor:
    """Return the user who asks.

    Raises:
        AuthenticationFault: it is nobody who has logged in.
    """
    actor = actor_of(request)
    if actor is None:
        raise AuthenticationFault("This is for users who have logged in.", "Log in, or send a token.")
    return actor


async def context(request: Request) -> Context:
    """Return the context that the request is to be answered in."""
    return await context_of(request, Parameters(request.query_params.multi_items()))


ArchiveOf = Annotated[Archive, Depends(archive_of)]
Accounts = Annotated[Database, Depends(accounts_of)]
Caller = Annotated[Actor | None, Depends(caller)]
User = Annotated[Actor, Depends(user)]
ScopeOf = Annotated[Context, Depends(context)]
