"""Administration: a page for each thing to look after, with forms that do what the API does.

Who may see or do what is decided by the services, for the pages as for the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ost_vo.access.actor import ROLES, Actor
from ost_vo.access.context import Context
from ost_vo.faults import AuthenticationFault, AuthorizationFault, Fault, NotFoundFault, UsageFault
from ost_vo.services import administration, banner, overrides, people, projects, reconciling, targets
from ost_vo.services.archive import Archive
from ost_vo.services.engine import Engine
from ost_vo.services.targets import Filters
from ost_vo.vo.parameters import Parameters
from ost_vo.web import errors
from ost_vo.web.authentication import actor_of
from ost_vo.web.pages import layout
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url

_ROWS = 100


class Desk:
    """What a page of administration has at hand.

    Attributes:
        archive, engine: of the process.
        actor: who asks.
        context: in which the actor sees products.
        asked: the parameters of the request.
    """

    def __init__(self, request: Request, actor: Actor, context: Context, asked: Parameters) -> None:
        self.archive: Archive = request.app.state.archive
        self.engine: Engine = request.app.state.engine
        self.actor = actor
        self.context = context
        self.asked = asked

    def text(self, name: str) -> str:
        """Return a field of a form; '' where it is not there."""
        return (self.asked.one(name.upper()) or "").strip()

    @property
    def reason(self) -> str:
        """Why something is done."""
        return self.text("reason")

    def number(self) -> int | None:
        """Return the number behind which the page begins; None for the first page."""
        return self.asked.count("CURSOR")


async def overview(request: Request) -> Response:
    """Lead to the first section that the caller may look into."""
    sections = administration.sections(actor_of(request))
    if actor_of(request) is None:
        return RedirectResponse(f"{base_url(request)}/login", 303)
    if not sections:
        fault = AuthorizationFault("There is nothing for you to look after here.")
        return await layout.refusal(request, fault)
    return RedirectResponse(f"{base_url(request)}/administration/{sections[0]}", 303)


async def show(request: Request) -> Response:
    """Show a section; to whoever has not logged in, the way to do so."""
    if actor_of(request) is None:
        return RedirectResponse(f"{base_url(request)}/login", 303)
    return await _page(request, Parameters(request.query_params.multi_items()))


async def act(request: Request) -> Response:
    """Do what a form of a section asks for, and show the section; with why not, where it was refused."""
    section, name = request.path_params["section"], request.path_params["action"]
    action = _ACTIONS.get((section, name))
    asked = await read(request)
    try:
        if action is None:
            raise NotFoundFault("There is no such form.", "Go back to the page.")
        desk = await _desk(request, asked)
        await run_in_threadpool(action, desk)
    except Fault as fault:
        if section not in _LOOKS:
            return await layout.refusal(request, fault)
        return await _page(request, Parameters([]), fault)
    return RedirectResponse(f"{base_url(request)}/administration/{section}", 303)


async def _desk(request: Request, asked: Parameters) -> Desk:
    actor = actor_of(request)
    if actor is None:
        raise AuthenticationFault("This is for users who have logged in.", "Log in.")
    return Desk(request, actor, await layout.context_of(request), asked)


async def _page(request: Request, asked: Parameters, refused: Fault | None = None) -> Response:
    section = request.path_params["section"]
    try:
        if section not in _LOOKS:
            raise NotFoundFault("There is nothing of that name to look after.", "Take one of the links.")
        shown = await run_in_threadpool(_LOOKS[section], await _desk(request, asked))
    except Fault as fault:
        told = refused or fault
        return await layout.refusal(request, told)
    following = shown.pop("next", None)
    kept = {name: value for name, value in shown.get("narrowed", {}).items() if value}
    return await layout.render(
        request,
        f"administration_{section}.html",
        errors.status(refused) if refused else 200,
        section=section,
        fault=refused,
        more=None if following is None else urlencode({**kept, "cursor": following}),
        **shown,
    )


def _health(desk: Desk) -> dict[str, Any]:
    return {"health": administration.health(desk.archive, desk.actor)}


def _users(desk: Desk) -> dict[str, Any]:
    database, actor = desk.archive.accounts_database, desk.actor
    matrix = people.permissions(database, actor)
    return {
        "users": people.listing(database, actor),
        "matrix": matrix,
        "permissions": sorted({name for granted in matrix.values() for name in granted}),
        "roles": ROLES,
        "may_edit": actor.may(people.EDIT),
        "may_delete": actor.may(people.DELETE),
    }


def _quarantine(desk: Desk) -> dict[str, Any]:
    found, following = administration.quarantine(
        desk.archive.accounts_database, desk.actor, desk.asked.one("CURSOR"), _ROWS
    )
    return {"files": found, "next": following}


def _missing(desk: Desk) -> dict[str, Any]:
    found, following = administration.missing(
        desk.archive, desk.context, desk.actor, desk.asked.one("CURSOR"), _ROWS
    )
    events, later = administration.events_of_files(
        desk.archive.accounts_database, desk.actor, desk.asked.one("EVENTS") or None, _ROWS
    )
    return {
        "files": found,
        "next": following,
        "events": events,
        "more_events": urlencode({"events": later}) if later else None,
    }


def _discrepancies(desk: Desk) -> dict[str, Any]:
    narrowed = {name: desk.text(name) for name in ("run", "keyword")}
    found, following = overrides.discrepancies(
        desk.archive.accounts_database,
        desk.actor,
        run=narrowed["run"] or None,
        keyword=narrowed["keyword"] or None,
        after=desk.number(),
        limit=_ROWS,
    )
    return {"found": found, "next": following, "narrowed": narrowed, "values": overrides.VALUES}


def _solving(desk: Desk) -> dict[str, Any]:
    narrowed = {"state": desk.text("state")}
    found, following = administration.attempts(
        desk.archive.accounts_database,
        desk.actor,
        state=narrowed["state"] or None,
        after=desk.number(),
        limit=_ROWS,
    )
    return {"attempts": found, "next": following, "narrowed": narrowed}


def _targets(desk: Desk) -> dict[str, Any]:
    desk.actor.require(targets.MERGE)
    page = targets.page(
        desk.archive, desk.context, desk.actor, Filters(is_unresolved=True), desk.number(), _ROWS
    )
    return {"targets": page.targets, "next": page.cursor}


def _maintenance(desk: Desk) -> dict[str, Any]:
    job_id = desk.text("job")
    compares = any(map(desk.actor.may, (reconciling.RECONCILE, reconciling.ORPHANS)))
    if not compares:
        desk.actor.require(administration.CLEANUP)
    jobs = desk.engine.jobs
    return {
        "comparisons": reconciling.listing(jobs, desk.actor) if compares else [],
        "chosen": reconciling.get(jobs, desk.actor, job_id) if compares and job_id else None,
        "may_rehearse": compares,
        "may_reconcile": desk.actor.may(reconciling.RECONCILE),
        "may_clean": desk.actor.may(administration.CLEANUP),
    }


def _audit(desk: Desk) -> dict[str, Any]:
    names = ("actor", "action", "subject", "project", "since", "until")
    narrowed = {name: desk.text(name) for name in names}
    entries = projects.audit_log(
        desk.archive.accounts_database,
        desk.actor,
        by=narrowed["actor"] or None,
        action=narrowed["action"] or None,
        subject=narrowed["subject"] or None,
        project=narrowed["project"] or None,
        since=_moment(narrowed["since"]),
        until=_moment(narrowed["until"]),
        before=desk.number(),
        limit=_ROWS,
    )
    following = entries[-1].audit_id if len(entries) == _ROWS else None
    return {"entries": entries, "next": following, "narrowed": narrowed}


def _banner(desk: Desk) -> dict[str, Any]:
    desk.actor.require(banner.MANAGE)
    return {"severities": banner.SEVERITIES, "most": banner.MAX_MESSAGE}


def _settings(desk: Desk) -> dict[str, Any]:
    return {"listed": administration.settings_of(desk.archive, desk.actor)}


def _moment(text: str) -> datetime | None:
    """Return a date, or a date and a time, in UTC where it says no other; None for ''."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageFault(f"{text[:40]!r} is no date.", "Give one as in 2026-02-14.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _add_user(desk: Desk) -> None:
    people.create(
        desk.archive.accounts_database,
        desk.actor,
        desk.text("name"),
        desk.asked.one("PASSWORD") or None,
        full_name=desk.text("full_name") or None,
        role=desk.text("role"),
        reason=desk.reason,
    )


def _set_role(desk: Desk) -> None:
    people.set_role(
        desk.archive.accounts_database, desk.actor, desk.text("name"), desk.text("role"), desk.reason
    )


def _set_active(desk: Desk) -> None:
    is_active = desk.text("is_active") == "1"
    people.set_active(desk.archive.accounts_database, desk.actor, desk.text("name"), is_active, desk.reason)


def _delete_user(desk: Desk) -> None:
    people.delete(desk.archive.accounts_database, desk.actor, desk.text("name"), desk.reason)


def _set_permission(desk: Desk) -> None:
    people.set_permission(
        desk.archive.accounts_database,
        desk.actor,
        desk.text("role"),
        desk.text("permission"),
        desk.text("is_granted") == "1",
        desk.reason,
    )


def _dismiss(desk: Desk) -> None:
    overrides.dismiss(
        desk.archive.accounts_database, desk.actor, desk.text("ID"), desk.text("keyword"), desk.reason
    )


def _override(desk: Desk) -> None:
    overrides.put(
        desk.archive,
        desk.context,
        desk.actor,
        [desk.text("ID")],
        desk.text("field"),
        desk.text("value"),
        desk.reason,
    )


def _solve(desk: Desk) -> None:
    administration.solve_again(desk.archive, desk.actor, desk.asked.all("ID"), desk.reason)


def _resolve(desk: Desk) -> None:
    for _ in targets.resolve(desk.archive.accounts_database, desk.actor, reason=desk.reason):
        pass  # what became of each is on the page


def _compare(desk: Desk) -> None:
    reconciling.begin(desk.engine.jobs, desk.actor, rehearse=desk.text("rehearse") != "0")


def _clean_up(desk: Desk) -> None:
    administration.clean_up(desk.engine.worker, desk.actor)


def _put_banner(desk: Desk) -> None:
    database, actor = desk.archive.accounts_database, desk.actor
    if message := desk.text("message"):
        banner.put(database, actor, message, desk.text("severity"), desk.reason)
    else:
        banner.clear(database, actor, desk.reason)


# What each section shows, and what its forms do.
_LOOKS: Mapping[str, Callable[[Desk], dict[str, Any]]] = {
    "health": _health,
    "users": _users,
    "quarantine": _quarantine,
    "discrepancies": _discrepancies,
    "missing": _missing,
    "solving": _solving,
    "targets": _targets,
    "maintenance": _maintenance,
    "audit": _audit,
    "banner": _banner,
    "settings": _settings,
}
_ACTIONS: Mapping[tuple[str, str], Callable[[Desk], None]] = {
    ("users", "add"): _add_user,
    ("users", "role"): _set_role,
    ("users", "active"): _set_active,
    ("users", "delete"): _delete_user,
    ("users", "permission"): _set_permission,
    ("discrepancies", "dismiss"): _dismiss,
    ("discrepancies", "override"): _override,
    ("solving", "again"): _solve,
    ("targets", "resolve"): _resolve,
    ("maintenance", "compare"): _compare,
    ("maintenance", "cleanup"): _clean_up,
    ("banner", "put"): _put_banner,
}
