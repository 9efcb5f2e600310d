"""The web service in a thread of the test, with settings of its own."""

from __future__ import annotations

import threading

import uvicorn

from ost_vo.settings import Settings
from ost_vo.web.app import create_app


class Serving:
    """A web service for the time of a block, which gets its URL on the loopback."""

    def __init__(self, settings: Settings) -> None:
        self._url = f"http://127.0.0.1:{settings.port}"
        config = uvicorn.Config(
            create_app(settings), port=settings.port, log_level="warning", proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            self._thread.join(0.02)
        return self._url

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
