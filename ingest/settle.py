"""Waiting until files are complete: many at a time, with one deadline each and no thread of their own."""

from __future__ import annotations

import heapq
import os
from pathlib import Path

_State = tuple[int, int]


class Settling:
    """Files that were touched lately; each is due once it has not changed for the delay.

    Args:
        delay: time without a change [s]. All times are those of one monotonic clock, which the caller reads.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._states: dict[Path, _State] = {}
        self._deadlines: dict[Path, float] = {}
        self._queue: list[tuple[float, Path]] = []

    def __len__(self) -> int:
        return len(self._deadlines)

    def note(self, path: Path, now: float) -> None:
        """Begin to wait for a path, or begin anew; paths that are gone are forgotten."""
        state = _state(path)
        if state is None:
            self.forget(path)
            return
        self._states[path] = state
        self._deadlines[path] = now + self._delay
        heapq.heappush(self._queue, (now + self._delay, path))

    def forget(self, path: Path) -> None:
        """Wait for a path no longer."""
        self._states.pop(path, None)
        self._deadlines.pop(path, None)

    def due(self, now: float) -> list[Path]:
        """Return the paths whose time has come and that are as they were; the others wait on."""
        settled = []
        while self._queue and self._queue[0][0] <= now:
            deadline, path = heapq.heappop(self._queue)
            if self._deadlines.get(path) != deadline:
                continue  # noted anew, or forgotten
            if _state(path) == self._states[path]:
                self.forget(path)
                settled.append(path)
            else:
                self.note(path, now)
        return settled

    def next_deadline(self) -> float | None:
        """Return when to ask for what is due, None while nothing waits."""
        while self._queue and self._deadlines.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None


def _state(path: Path) -> _State | None:
    """Return (size, time of the last change) or None where there is nothing."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
