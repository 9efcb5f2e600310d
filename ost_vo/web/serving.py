"""The processes of the web service: workers on one listening socket, which are replaced one by one.

On SIGHUP a new worker starts for each old one, and the old one ends when the new one answers: it takes no
more connections and finishes the requests that it has. The socket stays open all the while. With systemd's
socket activation it does so when the whole service is stopped and started, too: connections wait until
somebody takes them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from ost_vo import logs
from ost_vo.services import metrics
from ost_vo.settings import Settings

# A client may have sent a request that has not been read when the worker is told to end [s].
LATE_SECONDS = 1.0
BACKLOG = 2048
# Until a new worker has opened the archive [s].
READY_SECONDS = 120


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1, with an end that loses no request which is on its way.

    A client that keeps its connection may send the next request while the worker closes it. So each answer of
    an ending worker says that it is the last one, and only a connection without any is closed after a moment.
    """

    _ending = False

    def shutdown(self) -> None:
        """Close the connection after an answer that says so, or in a moment if nothing is asked any more."""
        self._ending = True
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._close_late()
        elif not cycle.response_started:
            cycle.keep_alive = False

    def on_headers_complete(self) -> None:
        """Begin to answer a request; it is the last one once the worker ends."""
        super().on_headers_complete()
        if self._ending and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Go on to the next request, which may come if this answer had begun before the worker was to end."""
        super().on_response_complete()
        if self._ending:
            self._close_late()

    def _close_late(self) -> None:
        asyncio.get_running_loop().call_later(LATE_SECONDS, self._close_unless_asked)

    def _close_unless_asked(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


def serve(settings: Settings, descriptor: int | None = None, drain_seconds: int | None = None) -> None:
    """Answer requests until SIGTERM or SIGINT; SIGHUP replaces the workers without a failed request.

    Args:
        settings: of the archive; the workers read them from the environment.
        descriptor: number of an open socket that listens, as systemd passes it; else one is opened.
        drain_seconds: time that an ending worker gives its requests [s]; None for that of the settings.
    """
    config = Config(
        "ost_vo.web.app:create_app",
        factory=True,
        http=PatientProtocol,
        workers=settings.web_processes,
        limit_concurrency=settings.web_connections,
        timeout_graceful_shutdown=settings.drain_seconds if drain_seconds is None else drain_seconds,
        timeout_worker_healthcheck=READY_SECONDS,
        access_log=False,
        # Whoever sends them would choose the address that log-ins are counted by.
        proxy_headers=False,
        # Its own name, which taplint asks for, in place of the program's that it is made with.
        server_header=False,
        headers=[("Server", "ost_vo")],
    )
    if settings.log_format == "json":
        config.log_config = None
        logs.configure(settings.log_format)
    listener = socket.socket(fileno=descriptor) if descriptor is not None else _listening(settings)
    with tempfile.TemporaryDirectory(prefix="ost_vo-metrics-") as counts:
        # For the workers, which read it when they start.
        os.environ[metrics.DIRECTORY] = counts
        Multiprocess(config, sockets=[listener]).run()


def _listening(settings: Settings) -> socket.socket:
    return socket.create_server(
        (settings.host, settings.port),
        family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
        backlog=BACKLOG,
    )
