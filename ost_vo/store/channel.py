"""A bounded queue of chunks from the thread that reads a result to whoever takes it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ost_vo.faults import Fault

# Chunks that wait for the client at most; with those that the reader makes, about 1 MB a result.
_WAITING_CHUNKS = 4


class ClosedError(Exception):
    """Nobody takes the result any more."""


class Channel:
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
            ClosedError: the taker is gone.
        """
        with self._changed:
            room = self._changed.wait_for(lambda: self.closed or len(self._chunks) < _WAITING_CHUNKS, seconds)
            if self.closed:
                raise ClosedError
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
