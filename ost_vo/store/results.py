"""Running a query and handing its result on while the database still produces it.

A reader thread runs ``COPY (query) TO STDOUT``, lets an encoder turn the stream into a document, and puts
the chunks into a bounded channel, from which a synchronous or an asynchronous iterator takes them. So memory
stays bounded whatever the size of the result, a client that goes away ends the query, and one that stops
reading loses the connection after a while.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType

from ost_vo.faults import Fault
from ost_vo.store.channel import Channel
from ost_vo.store.reader import Attempt, Before, ConnectionSource, Reader
from ost_vo.vo.columns import Column
from ost_vo.vo.encoder import Encoder

# For which the first rows wait for the others, so that a small document is sent at once (s).
_MOMENT_SECONDS = 0.01
# How long a close waits for the database to let go (s).
_CLOSE_SECONDS = 10.0


class ResultStream:
    """An iterator over the chunks of a document, for code that may block.

    Close it, or use it as a context manager, to stop a query whose result is not wanted to its end.
    """

    def __init__(self, reader: Reader, channel: Channel) -> None:
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

    def __init__(self, reader: Reader, channel: Channel, ready: asyncio.Event) -> None:
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
    channel = Channel()
    reader = Reader(
        source, sql, columns, encoder, settings, stall_seconds, work_seconds, channel, before, None
    )
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
    attempt: Attempt | None = None,
) -> AsyncResultStream:
    """Do the same as :func:`stream` for code in an event loop.

    With an attempt, that is run first, and the query where it does not yield the whole result.
    """
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    channel = Channel(lambda: _wake(loop, ready))
    reader = Reader(
        source, sql, columns, encoder, settings, stall_seconds, work_seconds, channel, before, attempt
    )
    result = AsyncResultStream(reader, channel, ready)
    await result.open()
    return result


def _wake(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(ready.set)
