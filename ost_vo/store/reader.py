"""One query, whose result a thread reads, encodes and puts into a channel.

Three limits hold: how long the database works, which leaves out the time in which the client lets the reader
wait; how long the client may take nothing; and PostgreSQL's ``statement_timeout`` over all of it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import SimpleQueue

import psycopg2
import structlog
from psycopg2 import extensions

from ost_vo import meters
from ost_vo.faults import FatalFault, Fault, TransientFault
from ost_vo.store.channel import Channel, ClosedError
from ost_vo.store.clock import Clock
from ost_vo.store.database_faults import fault_of, out_of_time
from ost_vo.store.transactions import apply
from ost_vo.vo.columns import Column
from ost_vo.vo.encoder import Encoder

log = structlog.get_logger(__name__)

ConnectionSource = Callable[[], AbstractContextManager[extensions.connection]]
# What is done in the transaction of a query before it gets its settings.
Before = Callable[[extensions.cursor], None]

# Bytes of the COPY stream that become one chunk; the first rows leave at once, the next chunks grow.
CHUNK_BYTES = 128 * 1024
_SECOND_CHUNK_BYTES = 4 * 1024
# Threads that are kept for further results: as many as a process has connections by default.
_IDLE_THREADS = 16
# A statement that ends this near to its limit has reached it: the clocks here and there differ a little.
_LIMIT_REACHED = 0.95

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A query that is tried before another one, which may be needed after all.

    Attributes:
        sql: the query; it yields the first rows of the other one, or all of them.
        rows: from how many rows on there may be more.
    """

    sql: str
    rows: int


class _Threads:
    """Threads that wait for the next result: to start one takes longer than a small query does."""

    def __init__(self) -> None:
        self._waiting: deque[SimpleQueue[Callable[[], None]]] = deque()

    def run(self, work: Callable[[], None]) -> None:
        """Have a thread do some work at once, which raises nothing."""
        try:
            mine = self._waiting.pop()
        except IndexError:
            mine = SimpleQueue()
            threading.Thread(target=self._work, args=(mine,), name="result", daemon=True).start()
        mine.put(work)

    def _work(self, mine: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            mine.get()()
            if len(self._waiting) >= _IDLE_THREADS:
                return
            self._waiting.append(mine)


_THREADS = _Threads()


class _Pieces(list[bytes]):
    """The pieces of a short COPY stream."""

    def write(self, data: bytes) -> None:
        """Take a piece; psycopg2 calls this once a row."""
        self.append(data)


class Reader:
    """One query, run in a thread of its own; the writer object of its COPY.

    Attributes:
        fault: what ended the document, None while nothing has.
    """

    def __init__(
        self,
        source: ConnectionSource,
        sql: str,
        columns: Sequence[Column],
        encoder: Encoder,
        settings: Mapping[str, str],
        stall_seconds: float,
        work_seconds: float | None,
        channel: Channel,
        before: Before | None,
        attempt: Attempt | None,
    ) -> None:
        """Keep the parts and begin the document; :func:`ost_vo.store.results.stream` tells what they are."""
        self.fault: Fault | None = None
        self._source = source
        self._sql = sql
        self._encoder = encoder
        self._settings = settings
        self._stall_seconds = stall_seconds
        self._work_seconds = work_seconds
        self._channel = channel
        self._before = before
        self._attempt = attempt
        self._waiting_head = encoder.begin(columns)
        self._begun = False
        self._parts: list[bytes] = []
        self._size = 0
        self._threshold = 1
        self._lock = threading.Lock()
        self._running: extensions.connection | None = None
        self._since = time.monotonic()
        # Time spent waiting for the client [s], and since when it waits now.
        self._waited = 0.0
        self._waits_since: float | None = None
        self._expired = False
        self._done = threading.Event()

    def start(self) -> None:
        """Run the query in a thread of its own."""
        _THREADS.run(self._run)

    def join(self, seconds: float) -> None:
        """Wait for so long until the query has ended and its connection has been given back."""
        self._done.wait(seconds)

    def cancel(self) -> None:
        """Stop the query and drop its result; harmless when it has ended."""
        if not self._channel.close():
            return
        with self._lock:
            if self._running is not None:
                _cancel(self._running)

    def left(self) -> float:
        """Return for how long the database may work on [s]; waiting for the client takes nothing of it."""
        now, waits_since = time.monotonic(), self._waits_since
        waited = self._waited + (now - waits_since if waits_since is not None else 0.0)
        return (self._work_seconds or 0.0) - (now - self._since - waited)

    def expire(self) -> None:
        """Stop the query, since the database has worked on it for too long."""
        with self._lock:
            self._expired = True
            if self._running is not None:
                _cancel(self._running)

    def write(self, data: bytes) -> None:
        """Take a piece of the COPY stream; psycopg2 calls this once a row."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= self._threshold:
            self._flush()

    def _run(self) -> None:
        try:
            with self._source() as connection:
                self._read(connection)
        except ClosedError:
            log.info("result abandoned by its client", rows=self._encoder.rows)
        except Fault as fault:
            self.fault = fault
        except psycopg2.Error as error:
            self._note(error)
        except Exception:  # the thread's last resort: without it the client would wait for ever
            log.exception("result failed")
            self.fault = FatalFault("The archive failed to produce the result.")
        self._finish()
        meters.ROWS.inc(self._encoder.rows)
        self._done.set()

    def _read(self, connection: extensions.connection) -> None:
        try:
            with connection.cursor() as cursor:
                self._admit(connection)
                if self._before is not None:
                    self._before(cursor)
                _apply(cursor, self._settings)
                self._since = time.monotonic()
                if self._work_seconds is not None:
                    _CLOCK.watch(self)
                if not self._has_succeeded(cursor):
                    self._copy(cursor, self._sql, self)
            self._flush()
        finally:
            _CLOCK.forget(self)
            self._release(connection)

    def _has_succeeded(self, cursor: extensions.cursor) -> bool:
        """Try the attempt, if there is one, and take its rows where these are all."""
        if self._attempt is None:
            return False
        found = _Pieces()
        self._copy(cursor, self._attempt.sql, found)
        # A piece is a row, or what is before or after the rows.
        if len(found) > self._attempt.rows:
            return False
        for piece in found:
            self.write(piece)
        return True

    def _copy(self, cursor: extensions.cursor, sql: str, taker: Reader | _Pieces) -> None:
        # COPY takes no bind parameters; the statement is generated from a syntax tree.
        cursor.copy_expert(f"COPY ({sql}) TO STDOUT ({self._encoder.copy_options})", taker)

    def _admit(self, connection: extensions.connection) -> None:
        """Let the query be cancelled from now on."""
        with self._lock:
            if self._channel.closed:
                raise ClosedError
            self._running = connection

    def _release(self, connection: extensions.connection) -> None:
        """End the transaction, and close a connection for which that fails."""
        with self._lock:  # a cancellation later than this would hit somebody else's query
            self._running = None
        if connection.closed:
            return
        try:
            if connection.info.transaction_status == extensions.TRANSACTION_STATUS_ACTIVE:
                _cancel(connection)  # the rollback reads on to the end of the stream
            connection.rollback()
        except psycopg2.Error as error:
            log.warning("connection dropped", reason=str(error).strip())
            connection.close()

    def _flush(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._threshold = min(max(4 * len(data), _SECOND_CHUNK_BYTES), CHUNK_BYTES)
        text = self._encoder.feed(data)
        if text:
            self._send(text)

    def _send(self, text: bytes) -> None:
        self._waits_since = begin = time.monotonic()
        try:
            self._channel.put(self._head() + text, self._stall_seconds)
        except TimeoutError:
            raise TransientFault(
                f"The client took nothing of the result for {self._stall_seconds:g} s.",
                "Ask for fewer rows, or run the query as an asynchronous job.",
            ) from None
        finally:
            self._waits_since = None
            self._waited += time.monotonic() - begin

    def _head(self) -> bytes:
        head, self._waiting_head = self._waiting_head, b""
        self._begun = True
        return head

    def _finish(self) -> None:
        """Send the end of the document; nobody has the connection any more."""
        if self.fault is not None and not self._begun:
            self._channel.end(b"", self.fault)
            return
        try:
            last = b""
            for part in self._encoder.ending(error=self.fault):
                if last:
                    self._send(last)
                last = part
        except ClosedError:
            self._channel.end(b"")
        except Fault as fault:
            self._channel.end(b"", fault)
        except Exception:  # as in _run
            log.exception("result not finished")
            self._channel.end(b"", FatalFault("The archive failed to finish the result."))
        else:
            self._channel.end(self._head() + last)

    def _note(self, error: psycopg2.Error) -> None:
        if self._channel.closed:
            log.info("result cancelled", rows=self._encoder.rows)
            return
        if self._expired:
            self.fault = out_of_time(self._work_seconds)
            return
        limit = _seconds(self._settings.get("statement_timeout", ""))
        late = limit is not None and time.monotonic() - self._since >= _LIMIT_REACHED * limit
        self.fault = fault_of(error, limit=limit if late else None)


def _apply(cursor: extensions.cursor, settings: Mapping[str, str]) -> None:
    """Give the transaction its settings, in one statement."""
    if cursor.connection.autocommit:
        raise RuntimeError("settings of a transaction need a connection that is not in autocommit mode")
    apply(cursor, {"client_encoding": "UTF8", **settings})


def _cancel(connection: extensions.connection) -> None:
    try:
        connection.cancel()
    except psycopg2.Error as error:
        log.warning("query not cancelled", reason=str(error).strip())


def _seconds(setting: str) -> float | None:
    """Return a PostgreSQL time setting in seconds, None for one that is unset or switched off."""
    number = setting.strip().rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = setting.strip()[len(number) :].strip() or "ms"
    return float(number) * _UNITS[unit] if number and float(number) > 0 else None
