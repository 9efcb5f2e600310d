"""What all pages share: the frame around them, who is asking in which context, their language and headers."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from ost_vo.access.context import HIGHEST, LOWEST, Context
from ost_vo.faults import Fault, TransientFault
from ost_vo.services import administration, banner, projects
from ost_vo.services.archive import Archive
from ost_vo.vo.parameters import Parameters
from ost_vo.web import authentication, errors
from ost_vo.web.authentication import actor_of
from ost_vo.web.pages import wording
from ost_vo.web.prefix import base_url, choice_of

HERE = Path(__file__).parent
LANGUAGES = ("en", "de")
LANGUAGE_COOKIE = "ost_language"
# A hub of SAMP on the reader's own machine (SAMP 1.3 section 5.2.3), for the pages that send something to it.
_HUB = "http://localhost:21012"
_SENDING = frozenset(
    {"run.html", "target.html", "targets.html", "search.html", "darks.html", "query.html", "product.html"}
)
# Pages with a map, which Aladin Lite takes the place of in a frame.
_MAPPED = frozenset({"home.html", "run.html", "target.html"})
# Aladin Lite, where etc/install-aladin-lite has put it.
ALADIN_LITE = HERE / "vendored" / "aladin.js"
# What people may see changes with who they are, so no cache shared by several keeps a page.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:"
    "; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

templates = Jinja2Templates(HERE / "templates")
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.filters |= wording.FILTERS


def has_aladin_lite() -> bool:
    """Say whether Aladin Lite is installed."""
    return ALADIN_LITE.is_file()


templates.env.globals["has_aladin_lite"] = has_aladin_lite


async def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """Return a page.

    Args:
        request: which it answers.
        template: name of the file in `templates`.
        status: of HTTP.
        values: what the template shows, besides `base` (what URLs begin with), `actor`, `facility`, `_`
            (translation), `language` and what the frame shows of the context.
    """
    archive: Archive = request.app.state.archive
    actor = actor_of(request)
    frame: dict[str, Any] = {"context": None}
    if actor is not None:
        frame = await run_in_threadpool(_frame, archive, request)
    try:
        said = await run_in_threadpool(banner.get, archive.accounts_database)
    except TransientFault:
        said = None  # a page that says why it cannot be shown needs no banner
    language = language_of(request)
    shared = {
        "base": base_url(request),
        "site": archive.settings.base_url,
        "facility": archive.settings.facility,
        "settings": archive.settings,
        "actor": actor,
        "banner": said,
        "sections": administration.sections(actor),
        "language": language,
        "version": version(),
        "_": translator(language),
        "path": request.url.path,
    }
    return templates.TemplateResponse(
        request, template, {**shared, **frame, **values}, status_code=status, headers=_headers(template)
    )


async def refusal(request: Request, fault: Fault) -> Response:
    """Return the page that says why there is no other one, with the status of the fault."""
    return await render(request, "fault.html", errors.status(fault), fault=fault)


async def context_of(request: Request) -> Context:
    """Return the context of a page: parameters of its URL beat the URL's prefix, that beats the kept one.

    Raises:
        Fault: as :func:`ost_vo.web.authentication.context_of`.
    """
    return await authentication.context_of(request, Parameters(request.query_params.multi_items()))


def language_of(request: Request) -> str:
    """Return the language of a page: the one chosen before, or what the browser likes best; en or de."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return str(chosen)
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower()[:2]
        if tag in LANGUAGES:
            return tag
    return LANGUAGES[0]


def translator(language: str) -> Callable[..., str]:
    """Return what puts the words of a page into a language; English ones stand for themselves."""
    words = _words().get(language, {})

    def translate(text: str, **values: object) -> str:
        return words.get(text, text).format(**values)

    return translate


@cache
def version() -> str:
    """Return a text that is another one whenever a style or a script is, so that browsers load it anew."""
    digest = hashlib.sha256()
    for path in sorted((HERE / "static").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _words() -> dict[str, dict[str, str]]:
    return tomllib.loads((HERE / "words.toml").read_text(encoding="utf-8"))


def _headers(template: str) -> dict[str, str]:
    policy = HEADERS["Content-Security-Policy"]
    if template in _SENDING:
        policy = policy.replace("connect-src 'self'", f"connect-src 'self' {_HUB}")
    if template in _MAPPED and has_aladin_lite():
        policy += "; frame-src 'self'"
    return {**HEADERS, "Content-Security-Policy": policy}


def _frame(archive: Archive, request: Request) -> dict[str, Any]:
    """Return what the frame shows of the context: the kept one, or what the URL chooses in its place."""
    actor = actor_of(request)
    assert actor is not None
    accounts = archive.accounts_database
    project, privileges = projects.get_context(accounts, actor)
    choice = choice_of(request)
    own = [found.name for found in projects.listing(accounts, actor) if found.is_member]
    return {
        "context": {
            "project": project if choice.project is None else choice.project,
            "privileges": choice.privileges or privileges,
            "is_fixed": bool(choice.prefix),
        },
        "own_projects": own,
        "levels": range(LOWEST, HIGHEST + 1),
    }
