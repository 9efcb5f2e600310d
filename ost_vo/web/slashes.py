"""A slash at the end of a path means what the path without it means.

Starlette would redirect to it, by the host and the path that this service sees: behind a web server with a
path of its own, clients would be sent elsewhere.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class TrailingSlash:
    """Middleware that takes slashes off the end of the path."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # The API knows its addresses to the letter.
        is_ours = scope["type"] == "http" and not scope["path"].startswith("/api/v1/")
        if is_ours and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            path = scope["path"].rstrip("/") or "/"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
