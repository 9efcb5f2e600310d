"""Requests to an application of this process, for settings that the running archive has not."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from starlette.types import Message

from ost_vo.settings import Settings
from ost_vo.web.app import create_app

Answer = tuple[int, dict[str, list[str]]]


def changed(settings: Settings, **values: object) -> Settings:
    """Return settings with other values; what was computed of the old ones is not kept."""
    return Settings(**{**settings.model_dump(), **values})


def answers(settings: Settings, *requests: dict[str, object]) -> list[Answer]:
    """Send requests, and return status and headers of each answer.

    A request has ``method``, ``path``, ``headers`` (pairs), ``form`` and ``client``; all but the path have
    defaults.
    """
    return asyncio.run(_answers(settings, requests))


async def _answers(settings: Settings, requests: tuple[dict[str, object], ...]) -> list[Answer]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        return [await _answer(app, **request) for request in requests]


async def _answer(
    app: object,
    path: str,
    method: str = "GET",
    headers: tuple[tuple[str, str], ...] = (),
    form: dict[str, str] | None = None,
    client: str = "127.0.0.1",
) -> Answer:
    body = urlencode(form or {}).encode()
    given = (("host", "archive.example"), *headers)
    if form:
        given += (("content-type", "application/x-www-form-urlencoded"), ("content-length", str(len(body))))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given],
        "client": (client, 50000),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Message] = []
    received = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if received:
            return received.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[operator]
    told: dict[str, list[str]] = {}
    for name, value in sent[0]["headers"]:
        told.setdefault(name.decode().lower(), []).append(value.decode())
    return sent[0]["status"], told
