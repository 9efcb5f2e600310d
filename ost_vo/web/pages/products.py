"""A data product by itself, and what its people may do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ost_vo.access.actor import Actor
from ost_vo.access.context import Context
from ost_vo.faults import AuthenticationFault, Fault, NotFoundFault
from ost_vo.services import datalink, headers, picture_store, products, publishing, search
from ost_vo.services.archive import Archive
from ost_vo.services.datalink import Link
from ost_vo.services.picture_store import Kind
from ost_vo.services.products import Family, Filters
from ost_vo.vo.columns import Column
from ost_vo.vo.parameters import Parameters
from ost_vo.web import errors
from ost_vo.web.authentication import actor_of
from ost_vo.web.pages import family, layout, overlay
from ost_vo.web.pages.overlay import Overlay
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url

_PROJECTS, _EVERYBODYS = 2, 4
# Why somebody sees a product of that level.
_REASONS = {
    1: "Only its creator sees it.",
    2: "The members of its project see it.",
    3: "Every user of the archive sees it.",
    4: "Everybody sees it in the archive's own tables.",
    5: "Everybody sees it, and the Virtual Observatory.",
}


@dataclass(frozen=True)
class _Shown:
    row: dict[str, Any]
    columns: list[Column]
    family: Family
    header: str
    has_preview: bool
    overlay: Overlay | None
    links: list[Link]


async def product_page(request: Request) -> Response:
    """Show a product: facts, header, lineage, links, and who may see it and why."""
    return await _page(request, request.query_params.get("ID", ""))


async def publish(request: Request) -> Response:
    """Raise a product to a level."""

    def change(archive: Archive, actor: Actor, identifier: str, parameters: Parameters) -> None:
        level = parameters.count("PRIVILEGES") or 0
        publishing.publish(
            archive.accounts_database, actor, [identifier], level, parameters.one("REASON") or ""
        )

    return await _change(request, change)


async def set_validity(request: Request) -> Response:
    """Invalidate a product, or make it valid again."""

    def change(archive: Archive, actor: Actor, identifier: str, parameters: Parameters) -> None:
        is_valid = parameters.one("IS_VALID") == "1"
        publishing.update_is_valid(
            archive.accounts_database, actor, [identifier], is_valid, parameters.one("REASON") or ""
        )

    return await _change(request, change)


async def delete(request: Request) -> Response:
    """Delete the record of a product, whose file stays."""

    def change(archive: Archive, actor: Actor, identifier: str, parameters: Parameters) -> None:
        publishing.delete(archive.accounts_database, actor, [identifier], parameters.one("REASON") or "")

    return await _change(request, change, leads_to="/runs")


async def _change(
    request: Request,
    change: Callable[[Archive, Actor, str, Parameters], None],
    leads_to: str | None = None,
) -> Response:
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    identifier = parameters.one("ID") or ""
    actor = actor_of(request)
    try:
        if actor is None:
            raise AuthenticationFault("This is for users who have logged in.", "Log in.")
        await run_in_threadpool(change, archive, actor, identifier, parameters)
    except Fault as fault:
        return await _page(request, identifier, fault)
    leads_to = leads_to or f"/product?{urlencode({'ID': identifier})}"
    return RedirectResponse(f"{base_url(request)}{leads_to}", 303)


async def _page(request: Request, identifier: str, fault: Fault | None = None) -> Response:
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    status = errors.status(fault) if fault else 200
    try:
        shown = await run_in_threadpool(_look, archive, context, identifier)
    except NotFoundFault as unknown:
        return await layout.refusal(request, fault or unknown)
    return await layout.render(
        request,
        "product.html",
        status,
        product=shown.row,
        columns=shown.columns,
        family=shown.family,
        tree=family.tree(shown.family),
        overlay=shown.overlay,
        links=[
            (meaning, list(group)) for meaning, group in groupby(shown.links, lambda link: link.semantics)
        ],
        header=shown.header,
        has_preview=shown.has_preview,
        why=_REASONS[shown.row["privileges"]],
        why_seen=_why_seen(shown.row, actor_of(request)),
        fault=fault,
        query=urlencode({"ID": identifier}),
    )


def _look(archive: Archive, context: Context, identifier: str) -> _Shown:
    found = products.page(archive, context, Filters((identifier,)), None, 1).products
    if not found:
        raise NotFoundFault(f"There is no data product {identifier}.", "Search for it.")
    text, _ = headers.header(archive, identifier, context, "text")
    relatives = products.family(archive, context, identifier)
    has_preview = Kind.PREVIEW in picture_store.sizes(archive.settings, found[0]["sha256"])
    frame = overlay.plane(found[0]) if has_preview else None
    over = overlay.overlay(frame, search.in_field(archive, context, identifier)) if frame else None
    links = datalink.links_of(archive, identifier, context)
    return _Shown(found[0], list(products.columns(archive)), relatives, text, has_preview, over, links)


def _why_seen(row: dict[str, Any], actor: Actor | None) -> str:
    """Return why the caller sees a product, which the database has decided."""
    level, released = row["privileges"], row["obs_release_date"]
    if level >= _EVERYBODYS or actor is None or (released is not None and released <= datetime.now(UTC)):
        return "You see it as everybody does."
    if level == 1:
        return "You see it because you made it."
    return "You see it as a member of its project." if level == _PROJECTS else "You see it as a user."
