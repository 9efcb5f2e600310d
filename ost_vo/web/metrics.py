"""Every request has an id, a line in the log, and its place in the counts; `/metrics` shows these.

Source: Prometheus' text format; RFC 9110 section 15.5.5 (404 for what is not to be known).
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection

import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ost_vo import meters
from ost_vo.services import metrics
from ost_vo.services.archive import Archive
from ost_vo.settings import Settings
from ost_vo.web.addresses import Network, client_address, is_within, networks, peer_address

log = structlog.get_logger(__name__)

PATH = "/metrics"
# An id that a proxy gives, as it may stand in a log.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
# What a proxy adds, if only it is a well-bred one.
_FORWARDED = ("x-forwarded-for", "forwarded", "via", "x-real-ip")
_ASKED_OFTEN = ("metrics", "health")
OTHER = "other"


async def show(request: Request) -> Response:
    """Show the metrics to the networks that may read them; for others there is no such page."""
    archive: Archive = request.app.state.archive
    if not may_read(request.scope, archive.settings):
        raise HTTPException(404)
    text = await run_in_threadpool(metrics.exposition, archive)
    return Response(text, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def may_read(scope: Scope, settings: Settings) -> bool:
    """Say whether a caller comes from a network that may read the metrics.

    Behind a proxy that is not trusted everybody seems to come from the proxy: then nobody may.
    """
    trusted = networks(settings.trusted_proxies)
    peer, client = peer_address(scope), client_address(scope, trusted)
    if peer is None or client is None or not is_within(client, networks(settings.metrics_networks)):
        return False
    return is_within(peer, trusted) or not any(name in Headers(scope=scope) for name in _FORWARDED)


class Observation:
    """Middleware around everything else: ids, the log, the counts."""

    def __init__(self, app: ASGIApp, settings: Settings, endpoints: Collection[str]) -> None:
        """Wrap an application.

        Args:
            app: the application.
            settings: of the archive.
            endpoints: first parts of its paths; what is requested besides counts as :data:`OTHER`.
        """
        self._app = app
        self._endpoints = frozenset(endpoints)
        self._trusted = networks(settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope, self._trusted)
        answer = _Answer(send, request_id)
        endpoint = self._endpoint(scope["path"])
        with (
            structlog.contextvars.bound_contextvars(request=request_id),
            meters.REQUESTS_RUNNING.track_inprogress(),
        ):
            began = time.perf_counter()
            try:
                await self._app(scope, receive, answer)
            finally:
                self._note(scope, answer, endpoint, time.perf_counter() - began)

    def _note(self, scope: Scope, answer: _Answer, endpoint: str, seconds: float) -> None:
        meters.REQUESTS.labels(endpoint, scope["method"][:8], str(answer.status)).inc()
        meters.REQUEST_SECONDS.labels(endpoint).observe(seconds)
        meters.RESPONSE_BYTES.labels(endpoint).inc(answer.size)
        if endpoint not in _ASKED_OFTEN:
            # Without the query: somebody may have put a password there.
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=answer.status,
                bytes=answer.size,
                seconds=round(seconds, 4),
            )

    def _endpoint(self, path: str) -> str:
        """Return by what a path is counted: its first part, behind the prefix of a context."""
        parts = path.split("/")[1:5]
        parts = parts[2:] if parts[0] == "context" else parts[:1]
        return next((part for part in parts if part in self._endpoints), OTHER)


class _Answer:
    """What an answer is sent through: it gets the id, and is measured."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._header = (b"x-request-id", request_id.encode())
        self.status = 499  # nginx' number for a client that was gone before
        self.size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), self._header]}
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
        await self._send(message)


def _request_id(scope: Scope, trusted: Collection[Network]) -> str:
    """Return the id that a trusted proxy has given, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    if _REQUEST_ID.fullmatch(given):
        peer = peer_address(scope)
        if peer is not None and is_within(peer, trusted):
            return given
    return uuid.uuid4().hex


routes = [Route(PATH, show)]
