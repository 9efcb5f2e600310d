"""Hearing what the database tells on a channel (LISTEN and NOTIFY)."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable

import psycopg2
import structlog
from psycopg2 import extensions, sql

log = structlog.get_logger(__name__)

# How long to wait before connecting again [s].
RECONNECT_SECONDS = 1.0
# A connection that has been silent for so long is asked whether it still works [s].
SILENCE_SECONDS = 30.0


class Listener:
    """A thread that listens on a channel, with a connection of its own, which it makes again when it breaks.

    Args:
        dsn: libpq connection string. Behind a pool of transactions nothing can be heard: it must lead to the
            server itself.
        channel: the channel.
        heard: called in this thread with each notice.
        resumed: called in this thread whenever it begins to listen: what was told before was not heard.
    """

    def __init__(
        self, dsn: str, channel: str, heard: Callable[[str], None], resumed: Callable[[], None]
    ) -> None:
        self._dsn = dsn
        self._channel = channel
        self._heard = heard
        self._resumed = resumed
        self._stopping = threading.Event()
        self._reading, self._writing = os.pipe()
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        """Begin to listen; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the thread."""
        self._stopping.set()
        os.write(self._writing, b".")
        self._thread.join()
        os.close(self._reading)
        os.close(self._writing)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg2.Error as error:
                log.warning("notices interrupted", channel=self._channel, reason=str(error).strip())
                self._stopping.wait(RECONNECT_SECONDS)

    def _listen(self) -> None:
        connection = psycopg2.connect(self._dsn)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            self._resumed()
            self._follow(connection)
        finally:
            connection.close()

    def _follow(self, connection: extensions.connection) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._reading, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if not selector.select(SILENCE_SECONDS):
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT 1")
                connection.poll()
                while connection.notifies:
                    self._heard(connection.notifies.pop(0).payload)
