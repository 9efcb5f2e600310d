"""URLs that choose a context, for clients that can be given nothing but a URL.

``/context/PROJECT/LEVEL/tap`` or ``/context/PROJECT/tap``, with ``-`` for no project. Behind the prefix is
the whole archive, and what it answers keeps the prefix in its URLs.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ost_vo.access.context import Choice, level
from ost_vo.faults import UsageFault
from ost_vo.services import contexts
from ost_vo.services.archive import Archive
from ost_vo.web import errors

_CHOICE = "ost_vo.choice"
_PREFIX = re.compile(r"/context/([A-Za-z0-9_.-]{1,64})(?:/([+-]?[0-9]+))?(?=/)", re.ASCII)
_NOTHING_CHOSEN = Choice()


class ContextPrefix:
    """Middleware that takes the prefix off the path, and keeps what it chooses."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"].startswith("/context/"):
            try:
                scope = _without_prefix(scope)
            except UsageFault as fault:
                response = await errors.fault_response(Request(scope), fault)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def choice_of(request: Request) -> Choice:
    """Return what the URL of a request chooses."""
    choice: Choice = request.scope.get(_CHOICE, _NOTHING_CHOSEN)
    return choice


def base_url(request: Request) -> str:
    """Return what the URLs in the answer begin with, without a slash at the end."""
    archive: Archive = request.app.state.archive
    return f"{archive.settings.base_url}{choice_of(request).prefix}"


def _without_prefix(scope: Scope) -> Scope:
    """Return the scope of what is behind the prefix; as it is where there is no prefix.

    Raises:
        UsageFault: the level is none of 1 to 5.
    """
    found = _PREFIX.match(scope["path"])
    if found is None:
        return scope
    privileges = level(found[2], "The level in the URL,") if found[2] else None
    choice = Choice(contexts.project_named(found[1]), privileges, found[0])
    # With a slash at the end it would be redirected, without the prefix.
    path = scope["path"][found.end() :].rstrip("/") or "/"
    return {**scope, "path": path, "raw_path": path.encode(), _CHOICE: choice}
