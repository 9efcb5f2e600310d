"""What has been computed of what a caller sees, for as long as that cannot have become something else."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ost_vo.access.context import Context
from ost_vo.services.archive import Archive
from ost_vo.store import coverage

# Callers of whom a process remembers one thing, by what they may see.
REMEMBERED = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Sight(Generic[T]):
    state: str
    until: float
    value: T


class Sights(Generic[T]):
    """Values that a process has computed, each good until a change of what anybody may see.

    Args:
        seconds: how long one is good at the most [s], for what depends on more than positions and levels.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], _Sight[T]] = OrderedDict()

    def known(self, archive: Archive, context: Context) -> T | None:
        """Return what was computed for whoever sees the same; None where that has to be done.

        Raises:
            TransientFault: the database does not answer.
        """
        state = coverage.state(archive.database)
        with self._lock:
            kept = self._kept.get(key(context))
            if kept is None or kept.state != state or kept.until < time.monotonic():
                return None
            self._kept.move_to_end(key(context))
            return kept.value

    def computed(self, archive: Archive, context: Context, compute: Callable[[str], T]) -> T:
        """Return what is known, or else what a function makes of the state of the archive, and remember it.

        Raises:
            TransientFault: the database does not answer.
        """
        # Whoever has waited for another one may find it done.
        if (known := self.known(archive, context)) is not None:
            return known
        # Before the rows: what changes meanwhile makes another state, and this is computed again.
        state = coverage.state(archive.database)
        value = compute(state)
        with self._lock:
            self._kept[key(context)] = _Sight(state, time.monotonic() + self._seconds, value)
            self._kept.move_to_end(key(context))
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        return value


def key(context: Context) -> tuple[str, ...]:
    """Return what is equal for those who see the same."""
    return tuple(context.visibility_settings().values())
