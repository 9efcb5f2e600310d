"""The pages that people read in a browser."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from ost_vo.services.archive import Archive
from ost_vo.services.examples import EXAMPLES
from ost_vo.web.prefix import base_url

_templates = Jinja2Templates(Path(__file__).with_name("templates"))


async def home(request: Request) -> Response:
    """Say what this is and how to reach it from the tools of the trade."""
    archive: Archive = request.app.state.archive
    return _templates.TemplateResponse(
        request,
        "home.html",
        {"settings": archive.settings, "tables": list(archive.published.catalogue)},
    )


async def examples(request: Request) -> Response:
    """Show queries, to people and, in RDFa, to clients (DALI 1.1 section 2.3; TAP 1.1 section 2.4.4)."""
    archive: Archive = request.app.state.archive
    return _templates.TemplateResponse(
        request,
        "examples.html",
        {"settings": archive.settings, "base_url": base_url(request), "examples": EXAMPLES},
        media_type="application/xhtml+xml",
    )


routes = [Route("/", home)]
