"""Aladin Lite, which takes the place of a map: a page for a frame of its own, and its script."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ost_vo.faults import NotFoundFault
from ost_vo.settings import Settings
from ost_vo.web.compression import negotiate
from ost_vo.web.pages import layout
from ost_vo.web.prefix import base_url

# Its address has the time of the file in it.
_CACHED = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


async def frame(request: Request) -> Response:
    """Show Aladin Lite; its script takes the view and the fields from the map that the frame is in.

    It shows nothing by itself: the coverage and the targets come from `/moc` and the API, as the caller sees
    them. By itself, outside a frame, it is a map of the whole sky.
    """
    try:
        changed = int(_installed().st_mtime)
    except NotFoundFault as fault:
        return await layout.refusal(request, fault)
    settings = request.app.state.archive.settings
    language = layout.language_of(request)
    values = {
        "base": base_url(request),
        "site": settings.base_url,
        "survey": settings.sky_survey.rstrip("/"),
        "facility": settings.facility,
        "language": language,
        "version": layout.version(),
        "script": f"{settings.base_url}/sky/aladin.js?{changed}",
        "_": layout.translator(language),
    }
    headers = {**layout.HEADERS, "Content-Security-Policy": _policy(settings)}
    return layout.templates.TemplateResponse(request, "aladin.html", values, headers=headers)


async def script(request: Request) -> Response:
    """Return Aladin Lite as it was published.

    Raises:
        NotFoundFault: it has not been installed.
    """
    response = FileResponse(
        layout.ALADIN_LITE, media_type="text/javascript", headers=_CACHED, stat_result=_installed()
    )
    negotiate(request.headers, response.headers)
    return response


def _installed() -> os.stat_result:
    """Return what is known of the file of Aladin Lite.

    Raises:
        NotFoundFault: there is none.
    """
    try:
        return layout.ALADIN_LITE.stat()
    except FileNotFoundError:
        told = "Aladin Lite is not installed."
        raise NotFoundFault(told, "The operator can run etc/install-aladin-lite.") from None


def _policy(settings: Settings) -> str:
    """Return the policy of the frame.

    Aladin Lite is WebAssembly within its script, as a `data:` URL, writes styles of its own, and decodes
    pictures in a worker that it makes. Nobody but the archive and the host of the survey is asked.
    """
    parts = urlsplit(settings.sky_survey)
    survey = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'"
        f"; img-src 'self' data:{survey}; connect-src 'self' data:{survey}; worker-src blob:"
        "; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
