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


# What was computed so long ago is told no more; changes that show somebody less are known for longer [s].
_TOLD_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Sight(Generic[T]):
    """A value as it was computed.

    Attributes:
        value: of what the caller sees.
        is_current: whether nobody can see anything else since then. If not, nobody sees less: what the value
            tells of, the caller may still see.
    """

    value: T
    is_current: bool


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    state: str
    narrowing: str
    moment: float
    value: T


class Sights(Generic[T]):
    """Values that a process has computed, each good until a change of what anybody may see.

    Args:
        seconds: how long one is good at the most [s], for what depends on more than positions and levels.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], _Kept[T]] = OrderedDict()

    def known(self, archive: Archive, context: Context) -> T | None:
        """Return what was computed for whoever sees the same; None where that has to be done.

        Raises:
            TransientFault: the database does not answer.
        """
        sight = self.seen(archive, context)
        return sight.value if sight and sight.is_current else None

    def seen(self, archive: Archive, context: Context) -> Sight[T] | None:
        """Return what was computed for whoever sees the same, of a day at the most, if nobody sees less now.

        Raises:
            TransientFault: the database does not answer.
        """
        state, narrowing = coverage.states(archive.database)
        with self._lock:
            kept = self._kept.get(key(context))
            if kept is None or kept.narrowing != narrowing:
                return None
            age = time.monotonic() - kept.moment
            if age > _TOLD_SECONDS:
                return None
            self._kept.move_to_end(key(context))
            return Sight(kept.value, kept.state == state and age <= self._seconds)

    def computed(self, archive: Archive, context: Context, compute: Callable[[str], T]) -> T:
        """Return what is known, or else what a function makes of the state of the archive, and remember it.

        Raises:
            TransientFault: the database does not answer.
        """
        # Whoever has waited for another one may find it done.
        if (known := self.known(archive, context)) is not None:
            return known
        # Before the rows: what changes meanwhile makes another state, and this is computed again.
        state, narrowing = coverage.states(archive.database)
        moment = time.monotonic()
        value = compute(state)
        with self._lock:
            self._kept[key(context)] = _Kept(state, narrowing, moment, value)
            self._kept.move_to_end(key(context))
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        return value


def key(context: Context) -> tuple[str, ...]:
    """Return what is equal for those who see the same."""
    return tuple(context.visibility_settings().values())
