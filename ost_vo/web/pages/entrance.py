"""The first page, the search, the language, and the examples of TAP."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ost_vo.faults import UsageFault
from ost_vo.services import runs
from ost_vo.services import search as searching
from ost_vo.services.archive import Archive
from ost_vo.services.examples import EXAMPLES
from ost_vo.vo.parameters import Parameters
from ost_vo.web.authentication import cookie_path
from ost_vo.web.pages import layout, skymap
from ost_vo.web.parameters import read
from ost_vo.web.prefix import base_url

_LATEST = 6
_YEAR_SECONDS = 365 * 86400


async def home(request: Request) -> Response:
    """Show the search box, the latest nights, and how to reach the archive from the tools of the trade."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    latest = await run_in_threadpool(runs.page, archive, context, "", None, _LATEST)
    tables = [table for table in archive.published.catalogue if table.schema != "tap_schema"]
    return await layout.render(request, "home.html", tables=tables, latest=latest.runs, map=skymap.whole())


async def search(request: Request) -> Response:
    """Show what the archive has for a text."""
    archive: Archive = request.app.state.archive
    text = request.query_params.get("q", "").strip()
    if not text:
        return RedirectResponse(f"{base_url(request)}/", 303)
    context = await layout.context_of(request)
    try:
        found = await run_in_threadpool(searching.search, archive, context, text)
    except UsageFault as fault:
        return await layout.render(request, "search.html", 400, text=text, found=None, fault=fault, adql="")
    if text.startswith("ivo://") and len(found.products) == 1:
        return RedirectResponse(f"{base_url(request)}/product?{urlencode({'ID': text})}", 303)
    return await layout.render(
        request,
        "search.html",
        text=text,
        found=found,
        fault=None,
        adql=searching.query_of(found),
    )


async def language(request: Request) -> Response:
    """Keep the language that a person chose, and go back to the page."""
    archive: Archive = request.app.state.archive
    parameters = await read(request)
    chosen = parameters.one("LANGUAGE")
    if chosen not in layout.LANGUAGES:
        raise UsageFault(f"There is no language {chosen!r}.", f"Take one of {', '.join(layout.LANGUAGES)}.")
    response = RedirectResponse(back(request, parameters), 303)
    response.set_cookie(
        layout.LANGUAGE_COOKIE,
        chosen,
        max_age=_YEAR_SECONDS,
        path=cookie_path(archive.settings),
        httponly=True,
        samesite="lax",
    )
    return response


async def examples(request: Request) -> Response:
    """Show queries, to people and, in RDFa, to clients (DALI 1.1 section 2.3; TAP 1.1 section 2.4.4)."""
    archive: Archive = request.app.state.archive
    return layout.templates.TemplateResponse(
        request,
        "examples.html",
        {"settings": archive.settings, "base_url": base_url(request), "examples": EXAMPLES},
        media_type="application/xhtml+xml",
    )


def back(request: Request, parameters: Parameters) -> str:
    """Return the page of this archive that a form was sent from, as its field `back` says."""
    path = parameters.one("BACK") or "/"
    # Nowhere else: '//host' and 'https://host' lead to other sites.
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path
    return f"{base_url(request)}{path if is_ours else '/'}"
