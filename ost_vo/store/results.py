"""Running a query and handing its result on while the database still produces it.

A reader thread runs ``COPY (query) TO STDOUT``, lets an encoder turn the stream into a document, and puts
the chunks into a bounded channel, from which a synchronous or an asynchronous iterator takes them. So memory
stays bounded whatever the size of the result, a client that goes away ends the query, and one that stops
reading loses the connection after a while.

Three limits hold: how long the database works, which leaves out the time in which the client lets the reader
wait; how long the client may take nothing; and PostgreSQL's ``statement_timeout`` over all of it.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from queue import SimpleQueue
from types import TracebackType

import psycopg2
import structlog
from psycopg2 import errorcodes, extensions

from ost_vo import meters
from ost_vo.faults import FatalFault, Fault, TransientFault, UsageFault
from ost_vo.store.clock import Clock
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
# Chunks that wait for the client at most; with those above, about 1 MB a result.
_WAITING_CHUNKS = 4
# Threads that are kept for further results: as many as a process has connections by default.
_IDLE_THREADS = 16
# For which the first rows wait for the others, so that a small document is sent at once (s).
_MOMENT_SECONDS = 0.01
# How long a close waits for the database to let go (s).
_CLOSE_SECONDS = 10.0
# A statement that ends this near to its limit has reached it: the clocks here and there differ a little.
_LIMIT_REACHED = 0.95

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_CLOCK = Clock()

_DATA_FAULTS = {
    errorcodes.DIVISION_BY_ZERO: "The query divides by zero.",
    errorcodes.NUMERIC_VALUE_OUT_OF_RANGE: "The query computes a number out of the range of its type.",
    errorcodes.INVALID_TEXT_REPRESENTATION: "The query casts a text that does not spell such a value.",
    errorcodes.INVALID_DATETIME_FORMAT: "The query casts a text that does not spell a date or time.",
    errorcodes.DATETIME_FIELD_OVERFLOW: "The query computes a date or time that does not exist.",
    errorcodes.INVALID_ARGUMENT_FOR_LOGARITHM: "The query takes the logarithm of a number not above zero.",
    errorcodes.INVALID_ARGUMENT_FOR_POWER_FUNCTION: "The query takes a power or root that is not real.",
    errorcodes.INVALID_REGULAR_EXPRESSION: "The query holds a regular expression that is not valid.",
}
# How pg_sphere says that a geometry cannot be made; none of its texts holds a value.
_GEOMETRY = re.compile(
    r"((?:sphere(?:point|circle|line|poly)|spoly|radius must)[^\n]*?)[.\s]*$", re.MULTILINE
)
_DATA_HINT = "Exclude the rows for which it cannot be computed in the WHERE clause."


class _ClosedError(Exception):
    """Nobody takes the result any more."""


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


class _Channel:
    """A bounded queue of chunks from one reader thread to one taker."""

    def __init__(self, notify: Callable[[], None] | None = None) -> None:
        """Create a channel; ``notify`` is called from the reader's thread whenever there is news to take."""
        self._notify = notify
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._fault: Fault | None = None
        self._ended = False
        self.closed = False

    def put(self, chunk: bytes, seconds: float) -> None:
        """Add a chunk, waiting for room.

        Raises:
            TimeoutError: there was no room for that many seconds.
            _ClosedError: the taker is gone.
        """
        with self._changed:
            room = self._changed.wait_for(lambda: self.closed or len(self._chunks) < _WAITING_CHUNKS, seconds)
            if self.closed:
                raise _ClosedError
            if not room:
                raise TimeoutError
            self._chunks.append(chunk)
            self._tell()

    def end(self, chunk: bytes, fault: Fault | None = None) -> None:
        """Add the last chunk, without waiting, and after it the fault that the taker gets, if any."""
        with self._changed:
            if not self.closed:
                self._chunks.extend([chunk] if chunk else [])
                self._fault = fault
            self._ended = True
            self._tell()

    def close(self) -> bool:
        """Drop what waits and refuse more; return whether the reader had not come to its end."""
        with self._changed:
            self.closed = True
            self._chunks.clear()
            self._changed.notify_all()
            return not self._ended

    def take(self) -> bytes:
        """Return the next chunk, waiting for it; empty at the end.

        Raises:
            Fault: the one given to :meth:`end`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended or self.closed)
            return self._next() or b""

    def poll(self) -> bytes | None:
        """Return the next chunk, empty at the end, None if there is none yet.

        Raises:
            Fault: the one given to :meth:`end`.
        """
        with self._changed:
            return self._next()

    @property
    def is_filling(self) -> bool:
        """Whether several chunks wait, of a document that is no small one."""
        return len(self._chunks) > 1

    def rest(self) -> bytes | None:
        """Return all chunks that are left if the reader has come to its end without a fault, else None."""
        with self._changed:
            if not self._ended or self._fault is not None:
                return None
            rest = b"".join(self._chunks)
            self._chunks.clear()
            return rest

    def _next(self) -> bytes | None:
        if self._chunks:
            self._changed.notify_all()
            return self._chunks.popleft()
        if self._fault is not None:
            raise self._fault
        return b"" if self._ended or self.closed else None

    def _tell(self) -> None:
        self._changed.notify_all()
        if self._notify is not None:
            self._notify()


class _Reader:
    """One query, run in a thread of its own; the writer object of its COPY."""

    def __init__(
        self,
        source: ConnectionSource,
        sql: str,
        columns: Sequence[Column],
        encoder: Encoder,
        settings: Mapping[str, str],
        stall_seconds: float,
        work_seconds: float | None,
        channel: _Channel,
        before: Before | None,
    ) -> None:
        self.fault: Fault | None = None
        self._source = source
        self._sql = sql
        self._encoder = encoder
        self._settings = settings
        self._stall_seconds = stall_seconds
        self._work_seconds = work_seconds
        self._channel = channel
        self._before = before
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
        except _ClosedError:
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
                # COPY takes no bind parameters; the statement is generated from a syntax tree.
                cursor.copy_expert(f"COPY ({self._sql}) TO STDOUT ({self._encoder.copy_options})", self)
            self._flush()
        finally:
            _CLOCK.forget(self)
            self._release(connection)

    def _admit(self, connection: extensions.connection) -> None:
        """Let the query be cancelled from now on."""
        with self._lock:
            if self._channel.closed:
                raise _ClosedError
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
        except _ClosedError:
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
            self.fault = _out_of_time(self._work_seconds)
            return
        limit = _seconds(self._settings.get("statement_timeout", ""))
        late = limit is not None and time.monotonic() - self._since >= _LIMIT_REACHED * limit
        self.fault = fault_of(error, limit=limit if late else None)


class ResultStream:
    """An iterator over the chunks of a document, for code that may block.

    Close it, or use it as a context manager, to stop a query whose result is not wanted to its end.
    """

    def __init__(self, reader: _Reader, channel: _Channel) -> None:
        """Wait for the first chunk; :func:`stream` does the rest."""
        self._reader = reader
        self._channel = channel
        reader.start()
        try:
            self._first = channel.take()
        except BaseException:  # also when the wait is interrupted
            self.close()
            raise

    @property
    def fault(self) -> Fault | None:
        """The fault that the document's end reports, None while there is none."""
        return self._reader.fault

    def __iter__(self) -> ResultStream:
        return self

    def __next__(self) -> bytes:
        chunk, self._first = self._first, b""
        chunk = chunk or self._channel.take()
        if not chunk:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Cancel the query if it still runs, and wait until its connection has been given back."""
        self._first = b""
        self._reader.cancel()
        self._reader.join(_CLOSE_SECONDS)

    def __enter__(self) -> ResultStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncResultStream:
    """An asynchronous iterator over the chunks of a document; no thread is borrowed for a chunk.

    Close it when the client has gone away: the tasks that are cancelled then may keep references to it for a
    while. Without any reference it closes itself.
    """

    def __init__(self, reader: _Reader, channel: _Channel, ready: asyncio.Event) -> None:
        """Keep the parts; :func:`stream_async` makes them."""
        self._reader = reader
        self._channel = channel
        self._ready = ready
        self._first = b""

    @property
    def fault(self) -> Fault | None:
        """The fault that the document's end reports, None while there is none."""
        return self._reader.fault

    def __aiter__(self) -> AsyncResultStream:
        return self

    async def __anext__(self) -> bytes:
        chunk, self._first = self._first, b""
        chunk = chunk or await self._next()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def open(self) -> None:
        """Start the query and wait for the first chunk, or the fault that comes instead of it."""
        self._reader.start()
        try:
            self._first = await self._next()
        except BaseException:  # also when the waiting task is cancelled
            self.close()
            raise

    async def whole(self) -> bytes | None:
        """Return the whole document if it is there in a moment, as a small one is; else None, to iterate."""
        rest = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_MOMENT_SECONDS):
                while (rest := self._channel.rest()) is None and not self._channel.is_filling:
                    self._ready.clear()
                    await self._ready.wait()
        if rest is None:
            return None
        first, self._first = self._first, b""
        return first + rest

    async def _next(self) -> bytes:
        while True:
            self._ready.clear()
            chunk = self._channel.poll()
            if chunk is not None:
                return chunk
            await self._ready.wait()

    def close(self) -> None:
        """Cancel the query if it still runs; does not wait for the database."""
        self._first = b""
        if self._channel.close():
            threading.Thread(target=self._reader.cancel, name="cancel", daemon=True).start()

    async def aclose(self) -> None:
        """As :meth:`close`, for ``contextlib.aclosing``."""
        self.close()

    def __del__(self) -> None:
        self.close()


def stream(
    source: ConnectionSource,
    sql: str,
    columns: Sequence[Column],
    encoder: Encoder,
    settings: Mapping[str, str],
    *,
    stall_seconds: float = 60.0,
    work_seconds: float | None = None,
    before: Before | None = None,
) -> ResultStream:
    """Run a query; return an iterator over its document once the first rows, or the end, are there.

    Args:
        source: called for a context manager that hands out a connection which is not in autocommit mode.
        sql: the query, without a semicolon; generated, never a client's text.
        columns: the columns that it yields, in order, with the types of ``columns.SQL_TYPES``.
        encoder: a new encoder; with a limit, the query asks for one row more.
        settings: PostgreSQL settings for the transaction: context, role, ``statement_timeout``.
        stall_seconds: how long the client may take nothing before the query is cancelled (s).
        work_seconds: how long the database may work, without the time in which the client is waited for (s);
            None for no limit but ``statement_timeout``, which counts that time too.
        before: called with a cursor of the transaction before it gets the settings; done when this returns.

    Returns:
        The chunks of one document. An error after the first of them ends the document as its format allows:
        a VOTable tells it, and the stream's ``fault`` is set; otherwise the iterator raises the fault.

    Raises:
        UsageFault: a value in the query cannot be computed.
        TransientFault: out of time or connections; the database is going down.
        FatalFault: anything else, which the log tells.
    """
    channel = _Channel()
    reader = _Reader(source, sql, columns, encoder, settings, stall_seconds, work_seconds, channel, before)
    return ResultStream(reader, channel)


async def stream_async(
    source: ConnectionSource,
    sql: str,
    columns: Sequence[Column],
    encoder: Encoder,
    settings: Mapping[str, str],
    *,
    stall_seconds: float = 60.0,
    work_seconds: float | None = None,
    before: Before | None = None,
) -> AsyncResultStream:
    """Do the same as :func:`stream` for code in an event loop."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    channel = _Channel(lambda: _wake(loop, ready))
    reader = _Reader(source, sql, columns, encoder, settings, stall_seconds, work_seconds, channel, before)
    result = AsyncResultStream(reader, channel, ready)
    await result.open()
    return result


def fault_of(error: psycopg2.Error, *, limit: float | None = None) -> Fault:
    """Return the fault to report for a database error, without any value from the database.

    Args:
        error: what psycopg2 raised.
        limit: the time limit that the statement has reached (s), None if it has not reached one.
    """
    code = error.pgcode or ""
    if code == errorcodes.QUERY_CANCELED:
        return _stopped(limit)
    if code.startswith("22"):
        return UsageFault(_DATA_FAULTS.get(code, "The query computes a value that is not valid."), _DATA_HINT)
    if code.startswith("54"):
        return UsageFault("The query is too complex for the database.", "Split it, or simplify it.")
    geometry = _GEOMETRY.match(str(error))
    if code == errorcodes.INTERNAL_ERROR and geometry:
        return UsageFault(f"A geometry that the query computes is not valid: {geometry[1]}.", _DATA_HINT)
    log.error("database error", sqlstate=code, kind=type(error).__name__, message=str(error).strip())
    if code == errorcodes.CONFIGURATION_LIMIT_EXCEEDED:
        return TransientFault("The query needs more temporary space than it may use.", "Narrow the query.")
    if code[:2] in ("08", "40", "53", "57") or (not code and isinstance(error, psycopg2.OperationalError)):
        return TransientFault("The archive's database is not available at the moment.", "Try again later.")
    return FatalFault("The archive's database failed to run the query.", "The operators can see why.")


def _stopped(limit: float | None) -> Fault:
    if limit is None:
        return TransientFault("The query was stopped by the archive.", "Try again later.")
    return TransientFault(
        f"The query and the transfer of its result took longer than the limit of {limit:g} s.",
        "Narrow the query, or run it as an asynchronous job.",
    )


def _out_of_time(limit: float | None) -> Fault:
    return TransientFault(
        f"The database worked on the query for longer than the limit of {limit or 0:g} s.",
        "Narrow the query, or run it as an asynchronous job.",
    )


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


def _wake(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(ready.set)


def _seconds(setting: str) -> float | None:
    """Return a PostgreSQL time setting in seconds, None for one that is unset or switched off."""
    number = setting.strip().rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = setting.strip()[len(number) :].strip() or "ms"
    return float(number) * _UNITS[unit] if number and float(number) > 0 else None
