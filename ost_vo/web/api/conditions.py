"""Entity tags and conditional requests: 304 for what a client has already, 412 for what has changed since.

The tag of an answer is made of its bytes. It is strong: what one client compresses and another does not have
different tags of one root, and either will do in a condition.

Source: RFC 9110 sections 8.8.3 (ETag) and 13.1 (If-Match, If-None-Match).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ost_vo.faults import PreconditionFault
from ost_vo.web.compression import preferred

JSON = "application/json"
# What has the representation of its resource as the body.
_TAGGED_METHODS = ("GET", "PATCH")
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_DIGITS = 32

Expect = Callable[[BaseModel], None]


class Conditions:
    """Middleware that gives answers in JSON their tags, and answers with 304 what a client has already."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application whose answers in JSON are whole when they begin."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            send = _Tagging(send, Headers(scope=scope), scope["method"])
        await self._app(scope, receive, send)


class _Tagging:
    """What one answer is sent through: its beginning waits for the body."""

    def __init__(self, send: Send, request: Headers, method: str) -> None:
        self._send = send
        self._request = request
        self._method = method
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            # No browser takes words of others in an answer for a page.
            headers.setdefault("X-Content-Type-Options", "nosniff")
            is_json = headers.get("Content-Type", "").startswith(JSON)
            if message["status"] == 200 and is_json and self._method in _TAGGED_METHODS:
                self._start = message
                return
        elif self._start is not None:
            start, self._start = self._start, None
            if not message.get("more_body"):
                message = self._tagged(start, message)
            await self._send(start)
        await self._send(message)

    def _tagged(self, start: Message, message: Message) -> Message:
        headers = MutableHeaders(scope=start)
        root = _root(message.get("body", b""))
        coding = preferred(self._request.get("accept-encoding", ""))
        headers["ETag"] = f'"{root}-{coding}"' if coding else f'"{root}"'
        headers.setdefault("Cache-Control", "no-cache")
        if self._method == "GET" and _names(self._request.get("if-none-match", ""), root):
            start["status"] = 304
            for name in ("Content-Length", "Content-Type"):
                del headers[name]
            return {**message, "body": b""}
        return message


def answer(model: BaseModel) -> Response:
    """Return the representation of a resource, with the bytes that :func:`expectation` compares."""
    return Response(_document(model), media_type=JSON)


def expectation(
    _request: Request,
    if_match: Annotated[
        str | None,
        Header(
            max_length=1000,
            description="ETag of what is to be changed: it is left alone where it is another one by now.",
        ),
    ] = None,
) -> Expect:
    """Return what compares the representation of a resource with the header If-Match.

    Raises (what is returned):
        PreconditionFault: it is not one of those that the header names.
    """

    def expect(model: BaseModel) -> None:
        if if_match is not None and not _names(if_match, _root(_document(model)), is_strong=True):
            raise PreconditionFault(
                "Somebody has changed it since you looked.", "Look again, and send the change anew."
            )

    return expect


Expected = Annotated[Expect, Depends(expectation)]


def _document(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


def _root(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_DIGITS]


def _names(condition: str, root: str, *, is_strong: bool = False) -> bool:
    """Say whether a condition is the star or has a tag of that root."""
    if condition.strip() == "*":
        return True
    return any(
        match[1].partition("-")[0] == root and not (is_strong and match[0].startswith("W/"))
        for match in _TAG.finditer(condition)
    )
