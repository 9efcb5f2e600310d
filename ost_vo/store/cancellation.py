"""Stopping work that another thread does in the database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg2
import structlog
from psycopg2 import extensions

from ost_vo.faults import TransientFault
from ost_vo.store.reader import ConnectionSource

log = structlog.get_logger(__name__)

# A cancellation that arrives between two statements stops neither of them: it is asked for again [s].
REPEAT_SECONDS = 0.1


class Cancellation:
    """Whether some work is to stop, and the connection on which it runs meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: extensions.connection | None = None
        self._requested = threading.Event()
        self._ended = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether the work is to stop."""
        return self._requested.is_set()

    def request(self) -> None:
        """Stop the work: at once where it runs in the database. Returns without waiting; may be repeated."""
        with self._lock:
            if self._requested.is_set() or self._ended.is_set():
                return
            self._requested.set()
        threading.Thread(target=self._insist, name="cancel", daemon=True).start()

    def end(self) -> None:
        """Say that the work has ended, so that nothing is cancelled any more."""
        self._ended.set()

    def guard(self, source: ConnectionSource) -> ConnectionSource:
        """Return a source of connections on which queries can be cancelled through this object."""

        def guarded() -> AbstractContextManager[extensions.connection]:
            return self._guarded(source)

        return guarded

    @contextmanager
    def _guarded(self, source: ConnectionSource) -> Iterator[extensions.connection]:
        with source() as connection:
            with self._lock:
                if self._requested.is_set():
                    raise TransientFault("The query was stopped before it began.")
                self._connection = connection
            try:
                yield connection
            finally:
                with self._lock:  # a cancellation later than this would hit somebody else's query
                    self._connection = None

    def _insist(self) -> None:
        while True:
            with self._lock:
                if self._connection is not None:
                    _cancel(self._connection)
            if self._ended.wait(REPEAT_SECONDS):
                return


def _cancel(connection: extensions.connection) -> None:
    try:
        connection.cancel()
    except psycopg2.Error as error:
        log.warning("query not cancelled", reason=str(error).strip())
