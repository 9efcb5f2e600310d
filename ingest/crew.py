"""Reading many files: here while they are few, in several processes once there is enough to do.

Hashing leaves other threads alone, but parsing does not, so processes and not threads share the cores. A
process that ends over a file takes nothing else with it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

import structlog
from astropy import log as astropy_log

from ingest.observatory import Observatory
from ingest.reading import Failure, Reading, Task, read
from ingest.reading_process import READY

_log = structlog.get_logger(__name__)
_ALONE_SECONDS = 1.0  # of reading, after which other processes are worth their start
_LARGE = 16 << 20  # bytes of a file that takes a while to read
_IDLE_SECONDS = 60.0  # after which they end
_TICK_SECONDS = 0.05  # between two words to the caller while nothing is ready
_IN_HAND = 2  # files that a process has: the one that it reads, and the next
_AHEAD = 8  # files read ahead of the one that is waited for, for each process
_SERVE = "import sys; from ingest.reading_process import serve; serve(int(sys.argv[1]))"

Key = TypeVar("Key")
Result = Reading | Failure


class Wait(Enum):
    """Said instead of a file: the next may take a moment, or long."""

    SHORT = auto()
    LONG = auto()


@dataclass(eq=False)
class _Ticket(Generic[Key]):
    """A place in the order of the files; its file is read where there is a task."""

    key: Key
    task: Task | None
    result: Result | None = None

    @property
    def is_done(self) -> bool:
        return self.task is None or self.result is not None


@dataclass(eq=False)
class _Reader(Generic[Key]):
    """Another process, and what it has in hand, in its order."""

    process: subprocess.Popen[bytes]
    connection: Connection
    in_hand: deque[_Ticket[Key]] = field(default_factory=deque)
    is_ready: bool = False


class Crew(Generic[Key]):
    """Reads files, and hands them out in the order in which they were asked for.

    Args:
        observatory: that the files come from.
        processes: how many may read at a time; 0 is one for each core. With one, all is read here.
    """

    def __init__(self, observatory: Observatory, processes: int) -> None:
        # astropy tells its log, too, of headers that it repairs; what matters becomes a discrepancy.
        astropy_log.setLevel("ERROR")
        self._observatory = observatory
        self._size = processes or len(os.sched_getaffinity(0))
        self._readers: list[_Reader[Key]] = []
        self._last_used = 0.0

    def read(
        self, work: Iterable[tuple[Key, Task | None]]
    ) -> Generator[tuple[Key, Result | None] | Wait, None, None]:
        """Yield each key with what became of its file, and Wait where the next takes a while.

        Args:
            work: keys in their order, and the file to be read for each, or None where there is none.
        """
        items = iter(work)
        yield from self._read_here(items)
        if self._readers:
            try:
                yield from self._read_elsewhere(items)
            finally:
                self._last_used = time.monotonic()
                if any(reader.in_hand for reader in self._readers):
                    self.close()
        for key, task in items:
            yield key, self._result(task)

    def rest(self) -> None:
        """End the processes if they have had nothing to do for a while."""
        if self._readers and time.monotonic() - self._last_used > _IDLE_SECONDS:
            self.close()

    def close(self) -> None:
        """End the processes."""
        for reader in self._readers:
            self._end(reader)
        self._readers = []

    def _result(self, task: Task | None) -> Result | None:
        return read(task, self._observatory) if task else None

    def _read_here(
        self, items: Iterator[tuple[Key, Task | None]]
    ) -> Iterator[tuple[Key, Result | None] | Wait]:
        """Read until that has taken a while, if others can go on."""
        spent = 0.0
        while not self._readers and (item := next(items, None)) is not None:
            key, task = item
            if task and task.size > _LARGE:
                yield Wait.LONG
            began = time.monotonic()
            result = self._result(task)
            spent += time.monotonic() - began
            yield key, result
            if spent > _ALONE_SECONDS and self._size > 1:
                self._readers = [self._started() for _ in range(self._size)]

    def _read_elsewhere(
        self, items: Iterator[tuple[Key, Task | None]]
    ) -> Iterator[tuple[Key, Result | None] | Wait]:
        """Have the others read, until all is read or none of them is left."""
        tickets: deque[_Ticket[Key]] = deque()
        unread: deque[_Ticket[Key]] = deque()
        while self._readers:
            self._take(items, tickets, unread)
            if not tickets:
                return
            self._hand_out(unread)
            if unread and not any(reader.is_ready for reader in self._readers):
                # Meanwhile they start, which takes a second, or many on a busy machine.
                ticket = unread.popleft()
                ticket.result = self._result(ticket.task)
                self._collect(unread, 0.0)
            elif not tickets[0].is_done and not self._collect(unread, _TICK_SECONDS):
                yield Wait.SHORT
            while tickets and tickets[0].is_done:
                ticket = tickets.popleft()
                yield ticket.key, ticket.result
        for ticket in tickets:
            yield ticket.key, ticket.result or self._result(ticket.task)

    def _take(
        self,
        items: Iterator[tuple[Key, Task | None]],
        tickets: deque[_Ticket[Key]],
        unread: deque[_Ticket[Key]],
    ) -> None:
        """Look so far ahead that nobody waits for work."""
        while len(unread) < self._size and len(tickets) < _AHEAD * self._size:
            item = next(items, None)
            if item is None:
                return
            ticket = _Ticket(*item)
            tickets.append(ticket)
            if ticket.task:
                unread.append(ticket)

    def _hand_out(self, unread: deque[_Ticket[Key]]) -> None:
        for reader in sorted(self._readers, key=lambda reader: len(reader.in_hand)):
            while unread and reader.is_ready and len(reader.in_hand) < _IN_HAND:
                reader.in_hand.append(unread.popleft())
                try:
                    reader.connection.send(reader.in_hand[-1].task)
                except OSError:
                    break  # it has ended, as collecting finds out

    def _collect(self, unread: deque[_Ticket[Key]], timeout: float) -> bool:
        """Take in what is ready within a time [s]; return whether anything was."""
        readers = {reader.connection: reader for reader in self._readers}
        ready = wait(list(readers), timeout)
        for connection in ready:
            assert isinstance(connection, Connection)
            reader = readers[connection]
            try:
                result = connection.recv()
            except (EOFError, OSError):
                self._bury(reader, unread)
                continue
            if result is READY:
                reader.is_ready = True
            else:
                reader.in_hand.popleft().result = result
        return bool(ready)

    def _bury(self, reader: _Reader[Key], unread: deque[_Ticket[Key]]) -> None:
        """Give up the file that a process ended over, have the next one read, and start another process."""
        self._end(reader)
        self._readers.remove(reader)
        status = reader.process.returncode
        _log.error("a reading process ended", status=status, ready=reader.is_ready)
        if reader.in_hand:
            reader.in_hand.popleft().result = Failure(f"The process that read it ended over it ({status}).")
            unread.extendleft(reversed(reader.in_hand))
        # One that did not even start would be followed by others like it.
        if reader.is_ready:
            self._readers.append(self._started())

    def _started(self) -> _Reader[Key]:
        # The other side has nothing else open of this one, so that it ends when this one is killed.
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            # Modules come from where they are installed, and not from wherever this was started (-P).
            command = [sys.executable, "-P", "-c", _SERVE, str(number)]
            process = subprocess.Popen(command, pass_fds=[number])
        connection: Connection = Connection(ours.detach())
        connection.send(self._observatory)
        return _Reader(process, connection)

    def _end(self, reader: _Reader[Key]) -> None:
        reader.connection.close()
        reader.process.terminate()
        reader.process.wait()
