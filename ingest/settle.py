"""Waiting until files are complete: many at a time, with one deadline each and no thread of their own."""

from __future__ import annotations

import heapq
import os
from pathlib import Path

_State = tuple[int, int]


class Settling:
    """Files that were touched lately; each is due once its wait is over and it has rested.

    Args:
        stability: time for which a file must have been as it is [s]. All times are those of one monotonic
            clock, which the caller reads.
    """

    def __init__(self, stability: float) -> None:
        self._stability = stability
        self._states: dict[Path, _State] = {}
        self._deadlines: dict[Path, float] = {}
        # Each path is in it once, with its deadline or an earlier one.
        self._queue: list[tuple[float, Path]] = []
        self._queued: set[Path] = set()

    def __len__(self) -> int:
        return len(self._deadlines)

    def note(self, path: Path, now: float, wait: float = 0.0) -> None:
        """Begin to wait for a path that has just changed, for so long [s] at least; or wait on.

        Paths that are gone are forgotten.
        """
        state = _state(path)
        if state is None:
            self.forget(path)
            return
        deadline = max(now + wait, now + self._stability, self._deadlines.get(path, now))
        self._states[path] = state
        self._deadlines[path] = deadline
        if path not in self._queued:
            self._queued.add(path)
            heapq.heappush(self._queue, (deadline, path))

    def forget(self, path: Path) -> None:
        """Wait for a path no longer."""
        self._states.pop(path, None)
        self._deadlines.pop(path, None)

    def due(self, now: float) -> list[Path]:
        """Return the paths whose time has come and that are as they were; the others wait on."""
        settled = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            path = self._queue[0][1]
            if _state(path) == self._states[path]:
                self.forget(path)
                settled.append(path)
            else:
                self.note(path, now)
        return settled

    def next_deadline(self) -> float | None:
        """Return when to ask for what is due, None while nothing waits."""
        while self._queue:
            queued, path = self._queue[0]
            deadline = self._deadlines.get(path)
            if deadline == queued:
                return deadline
            if deadline is None:
                self._queued.remove(heapq.heappop(self._queue)[1])
            else:
                heapq.heapreplace(self._queue, (deadline, path))
        return None


def _state(path: Path) -> _State | None:
    """Return (size, time of the last change) or None where there is nothing."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
