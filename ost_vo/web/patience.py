"""A client that begins a request and does not go on with it is not waited for."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ost_vo.faults import UsageFault


class Patience:
    """Middleware that gives up a request whose body has stopped coming.

    Args:
        app: the application.
        seconds: for which nothing may come [s].
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            UsageFault: the client has not gone on with the body.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_whole = False

        async def patient() -> Message:
            nonlocal is_whole
            if is_whole:
                # What comes now is that the client is gone, and no matter when.
                return await receive()
            try:
                # Not wait_for, which in Python 3.11 may take a cancellation for itself.
                async with asyncio.timeout(self._seconds):
                    message = await receive()
            except TimeoutError:
                told = f"Nothing more of the request's body has come for {self._seconds:g} s."
                raise UsageFault(told, "Send it again.") from None
            is_whole = not message.get("more_body", False)
            return message

        await self._app(scope, patient, send)
