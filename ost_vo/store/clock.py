"""Ending work that takes too long: one thread looks after the time limits of all queries of a process."""

from __future__ import annotations

import threading
import time
from typing import Protocol

# Even without limits to look after, the thread looks around now and then [s].
_LONGEST_SLEEP = 60.0
# Work that stands still near its end is not looked at all the time [s].
_SHORTEST_SLEEP = 0.01


class Limited(Protocol):
    """Work with a time limit."""

    def left(self) -> float:
        """Return how much time is left [s]; it need not become less while the clock runs."""

    def expire(self) -> None:
        """End the work, without waiting for that; called once, when nothing is left."""


class Clock:
    """Looks after work with time limits, in one thread, which begins with the first of it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[Limited] = set()
        self._wakes = 0.0
        self._thread: threading.Thread | None = None

    def watch(self, work: Limited) -> None:
        """Look after some work from now on."""
        with self._changed:
            self._watched.add(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
                self._thread.start()
            elif time.monotonic() + work.left() < self._wakes:
                self._changed.notify()

    def forget(self, work: Limited) -> None:
        """Look no longer after some work; harmless when it has expired."""
        with self._changed:
            self._watched.discard(work)

    def _run(self) -> None:
        while True:
            with self._changed:
                due = {work for work in self._watched if work.left() <= 0}
                self._watched -= due
                seconds = min((work.left() for work in self._watched), default=_LONGEST_SLEEP)
                if not due:
                    seconds = max(seconds, _SHORTEST_SLEEP)
                    self._wakes = time.monotonic() + seconds
                    self._changed.wait(seconds)
            for work in due:
                work.expire()
