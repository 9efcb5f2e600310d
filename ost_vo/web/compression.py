"""Compression of answers for clients whose Accept-Encoding names gzip or zstd, and for no others.

Every chunk of a streamed answer is flushed, so that compression delays no row. What offers byte ranges is
not compressed: the files of the archive, most of which are already. The results of jobs are files too; for
them, a client chooses between compression and ranges (:func:`negotiate`).

Source: RFC 9110 section 8.4 (Content-Encoding) and 12.5.3 (Accept-Encoding); RFC 8878 (zstd).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import zstandard
from isal import isal_zlib
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TYPES = frozenset(
    {
        "application/json",
        "application/x-votable+xml",
        "application/xhtml+xml",
        "application/xml",
        "text/csv",
        "text/html",
        "text/javascript",
        "text/plain",
        "text/tab-separated-values",
        "text/xml",
    }
)
# A shorter document gets longer by it, or hardly shorter (bytes).
_SHORTEST = 512
# The lowest levels: the network of an observatory is fast, and two cores serve everybody.
_GZIP_LEVEL = 1
_ZSTD_LEVEL = 1
# Selects the gzip format with the largest window.
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class _Compressor(Protocol):
    def add(self, data: bytes) -> bytes:
        """Return everything up to and with these data."""

    def end(self) -> bytes:
        """Return the end of the stream."""


class _Gzip:
    def __init__(self) -> None:
        self._stream = isal_zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)

    def add(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._stream.flush(zlib.Z_FINISH)


# Answers that have no content, whatever their headers describe (RFC 9110 sections 15.3.5 and 15.4.5).
_WITHOUT_CONTENT = (204, 304)


class _Zstd:
    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()

    def add(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


# In the order of preference where a client likes several equally.
_CODINGS: Mapping[str, Callable[[], _Compressor]] = {"zstd": _Zstd, "gzip": _Gzip}


class Compression:
    """Middleware that compresses documents and results when the client asks for it."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            coding = preferred(Headers(scope=scope).get("accept-encoding", ""))
            send = _Sender(send, coding)
        await self._app(scope, receive, send)


def negotiate(request: Headers, response: MutableHeaders) -> None:
    """Let a file that offers ranges be compressed where the client asks for that and for no range.

    The compressed answer offers no ranges, since their places would be others than in the file. Its ETag is
    weak, so that no If-Range takes a piece of the file for its continuation (RFC 9110 section 13.1.5).

    Args:
        request: headers of the request.
        response: headers of the answer with the file, changed here.
    """
    if not _is_document(response):
        return
    response.add_vary_header("Accept-Encoding")
    if "range" not in request and preferred(request.get("accept-encoding", "")):
        del response["Accept-Ranges"]
        response["ETag"] = f"W/{response['ETag']}"


def preferred(accept_encoding: str) -> str | None:
    """Return the coding that a client wants most of those known here; None for uncompressed.

    A wildcard names nothing, so that it leads to no compression.
    """
    weights = dict(_weighted(item) for item in accept_encoding.lower().split(",") if item.strip())
    best = max(_CODINGS, key=lambda coding: weights.get(coding, 0.0))
    weight = weights.get(best, 0.0)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weighted(item: str) -> tuple[str, float]:
    """Return a coding and its weight; one that cannot be read counts as zero."""
    coding, _, parameter = item.partition(";")
    name, _, value = parameter.partition("=")
    if not parameter.strip():
        return coding.strip(), 1.0
    try:
        weight = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        weight = 0.0
    return coding.strip(), weight


class _Sender:
    """What an application sends one answer through."""

    def __init__(self, send: Send, coding: str | None) -> None:
        self._send = send
        self._coding = coding
        self._compressor: _Compressor | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start(message)
        elif message["type"] == "http.response.body" and self._compressor is not None:
            message = {**message, "body": self._compressed(message)}
        await self._send(message)

    def _start(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        if message["status"] in _WITHOUT_CONTENT or not _compressible(headers):
            return
        if "accept-encoding" not in headers.get("Vary", "").lower():
            headers.add_vary_header("Accept-Encoding")
        if self._coding is None:
            return
        self._compressor = _CODINGS[self._coding]()
        headers["Content-Encoding"] = self._coding
        del headers["Content-Length"]

    def _compressed(self, message: Message) -> bytes:
        assert self._compressor is not None
        body = message.get("body", b"")
        text = self._compressor.add(body) if body else b""
        return text if message.get("more_body") else text + self._compressor.end()


def _is_document(headers: MutableHeaders) -> bool:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() in _TYPES


def _compressible(headers: MutableHeaders) -> bool:
    length = headers.get("Content-Length")
    return (
        _is_document(headers)
        and "Content-Encoding" not in headers
        and "Accept-Ranges" not in headers
        and (length is None or int(length) >= _SHORTEST)
    )
