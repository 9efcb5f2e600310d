"""What people write of runs and targets, in forms of their pages; and the page of tags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ost_vo.access.actor import Actor
from ost_vo.access.context import Context
from ost_vo.faults import AuthenticationFault, Fault, UsageFault
from ost_vo.services import notes, tags
from ost_vo.services.archive import Archive
from ost_vo.store.tags import Tag
from ost_vo.vo.parameters import Parameters
from ost_vo.web import errors
from ost_vo.web.authentication import actor_of
from ost_vo.web.pages import layout
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url

# Does something in somebody's name with the fields of a form; returns the page to go to.
_Change = Callable[[Archive, Context, Actor, Parameters], str]


async def write_of_run(request: Request) -> Response:
    """Write of a run what its form says: those fields alone that the form has."""

    def change(archive: Archive, context: Context, actor: Actor, form: Parameters) -> str:
        name = form.one("RUN") or ""
        changes = _common(form)
        if form.one("STATE") is not None:
            changes["reduction_status"] = form.one("STATE")
            changes["photometry"] = form.one("PHOTOMETRY") == "1"
            changes["spectroscopy"] = form.one("SPECTROSCOPY") == "1"
        notes.edit_run(archive, context, actor, name, changes, form.one("REASON") or "")
        return f"/runs/{quote(name, safe='')}"

    return await _done(request, change)


async def write_of_target(request: Request) -> Response:
    """Write of a target what its form says."""

    def change(archive: Archive, context: Context, actor: Actor, form: Parameters) -> str:
        number = form.count("TARGET_ID")
        if number is None:
            raise UsageFault("The form names no target.", "Go back to its page.")
        found = notes.edit_target(archive, context, actor, number, _common(form), form.one("REASON") or "")
        return f"/targets/{quote(found.target.target_name)}"

    return await _done(request, change)


async def tags_page(request: Request) -> Response:
    """List tags, with forms for those who may manage them."""
    return await _tags(request)


async def change_tag(request: Request) -> Response:
    """Make, change or delete a tag."""

    def change(archive: Archive, context: Context, actor: Actor, form: Parameters) -> str:
        del context
        database, name, reason = archive.accounts_database, form.one("NAME") or "", form.one("REASON") or ""
        values = {"colour": form.one("COLOUR") or tags.COLOUR, "description": form.one("DESCRIPTION") or ""}
        match form.one("DO"):
            case "add":
                tags.add(database, actor, name, **values, reason=reason)
            case "change":
                new = {"name": form.one("NEW_NAME") or name, **values}
                tags.update(database, actor, name, new, reason)
            case "remove":
                tags.remove(database, actor, name, reason)
            case _:
                raise UsageFault("The form says not what to do.", "Go back to the page.")
        return "/tags"

    return await _done(request, change, _tags)


async def _tags(request: Request, fault: Fault | None = None) -> Response:
    archive: Archive = request.app.state.archive
    actor = actor_of(request)
    context = await layout.context_of(request)
    listed = await run_in_threadpool(tags.listing, archive, context, actor)
    return await layout.render(
        request,
        "tags.html",
        errors.status(fault) if fault else 200,
        tags=listed,
        fault=fault,
        may_manage=actor is not None and actor.may(tags.MANAGE),
        new_colour=tags.COLOUR,
    )


async def forms(request: Request, context: Context, permissions: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page of a run or a target needs for its form.

    Args:
        request: which the page answers.
        context: in which the caller sees tags.
        permissions: what may be written, and the permission that it takes.

    Returns:
        `may`, whether each may be written by the caller; `every_tag`, those to choose from.
    """
    actor = actor_of(request)
    may = {what: actor is not None and actor.may(needed) for what, needed in permissions.items()}
    every: list[Tag] = []
    if may["tags"]:
        every = await run_in_threadpool(tags.listing, request.app.state.archive, context, actor)
    return {"may": may, "every_tag": every, "states": notes.REDUCTION_STATES}


def _common(form: Parameters) -> dict[str, object]:
    changes: dict[str, object] = {}
    if "NOTE" in form:
        changes["note"] = form.one("NOTE") or ""
    # No tag at all is a choice, too: the form says that it has them.
    if form.one("HAS_TAGS"):
        changes["tags"] = form.all("TAG")
    return changes


async def _done(
    request: Request, change: _Change, refused: Callable[[Request, Fault], Awaitable[Response]] | None = None
) -> Response:
    archive: Archive = request.app.state.archive
    actor = actor_of(request)
    form = await read(request)
    try:
        if actor is None:
            raise AuthenticationFault("This is for users who have logged in.", "Log in.")
        context = await layout.context_of(request)
        where = await run_in_threadpool(change, archive, context, actor, form)
    except Fault as fault:
        if refused:
            return await refused(request, fault)
        return await layout.refusal(request, fault)
    return RedirectResponse(f"{base_url(request)}{where}", 303)
