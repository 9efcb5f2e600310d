"""The own account: context, password and tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ost_vo.access.actor import SCOPES, Actor
from ost_vo.faults import AuthenticationFault, Fault, UsageFault
from ost_vo.services import people, projects
from ost_vo.services.archive import Archive
from ost_vo.web import errors
from ost_vo.web.authentication import actor_of
from ost_vo.web.pages import layout
from ost_vo.web.pages.entrance import back
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url

_DAYS = 30.0


async def account_page(request: Request) -> Response:
    """Show the caller's account, or the way to log in."""
    if actor_of(request) is None:
        return RedirectResponse(f"{base_url(request)}/login", 303)
    return await _page(request)


async def set_context(request: Request) -> Response:
    """Keep another context for the caller, and go back to the page."""
    parameters = await read(request)

    def change(archive: Archive, actor: Actor) -> None:
        level = parameters.count("PRIVILEGES")
        if level is None:
            raise UsageFault("The parameter privileges is missing.", "Give a level from 1 to 5.")
        projects.set_context(archive.accounts_database, actor, parameters.one("PROJECT") or "", level)

    refused = await _changed(request, change)
    return refused or RedirectResponse(back(request, parameters), 303)


async def add_token(request: Request) -> Response:
    """Make a token, and show it this once."""
    parameters = await read(request)
    made: list[str] = []

    def change(archive: Archive, actor: Actor) -> None:
        scopes = parameters.all("SCOPE") or ["read"]
        name = (parameters.one("NAME") or "").strip()
        if not name:
            raise UsageFault("The token has no name.", "Say what it is for.")
        days = float(parameters.count("DAYS") or _DAYS)
        secret, _ = people.create_token(
            archive.accounts_database, archive.settings, actor, name, scopes, days
        )
        made.append(secret)

    return await _changed(request, change) or await _page(request, secret=made[0])


async def revoke_token(request: Request) -> Response:
    """Revoke a token."""
    parameters = await read(request)

    def change(archive: Archive, actor: Actor) -> None:
        people.revoke_token(archive.accounts_database, actor, parameters.one("NAME") or "")

    return await _changed(request, change) or RedirectResponse(f"{base_url(request)}/account", 303)


async def _changed(request: Request, change: Callable[[Archive, Actor], None]) -> Response | None:
    """Do something in the caller's name; return the page that says why it was refused, else None."""
    archive: Archive = request.app.state.archive
    actor = actor_of(request)
    try:
        if actor is None:
            raise AuthenticationFault("This is for users who have logged in.", "Log in.")
        await run_in_threadpool(change, archive, actor)
    except AuthenticationFault as fault:
        return await layout.refusal(request, fault)
    except Fault as fault:
        return await _page(request, errors.status(fault), fault=fault)
    return None


async def _page(request: Request, status: int = 200, **values: Any) -> Response:
    archive: Archive = request.app.state.archive
    actor = actor_of(request)
    assert actor is not None
    tokens = await run_in_threadpool(people.tokens, archive.accounts_database, actor)
    shown = {"fault": None, "secret": None, **values}
    return await layout.render(request, "account.html", status, tokens=tokens, scopes=SCOPES, **shown)
