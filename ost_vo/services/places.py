"""Places for jobs that several processes of a machine share: so many of a kind run at a time.

A place is a lock on a byte of a file, which the kernel takes back from a process that ends, however it does
(fcntl(2), advisory record locking).
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


class Places:
    """The places, for processes that are forked after this was made, each of which runs one job at a time.

    Args:
        kinds: all kinds of jobs.
        shared: how many places the kinds have together that have none of their own.
        own: how many each of the others has.

    Attributes:
        count: of all places.
    """

    def __init__(self, kinds: Iterable[str], shared: int, own: Mapping[str, int]) -> None:
        known = list(kinds)
        groups = [(tuple(kind for kind in known if kind not in own), shared)]
        groups += [((kind,), own[kind]) for kind in known if kind in own]
        self._groups = [(group, places) for group, places in groups if group]
        self.count = sum(places for _, places in self._groups)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is to last as long as the processes

    def beside(self, kind: str) -> tuple[str, ...]:
        """Return the kinds that share their places with one, itself among them."""
        return next(group for group, _ in self._groups if kind in group)

    @contextmanager
    def taken(self, kind: str) -> Iterator[bool]:
        """Take a place for a kind of job during a block, which gets to know whether one was free."""
        place = self._take(kind)
        try:
            yield place is not None
        finally:
            if place is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def _take(self, kind: str) -> int | None:
        first = 0
        for group, places in self._groups:
            if kind in group:
                return next(filter(self._is_locked_here, range(first, first + places)), None)
            first += places
        return None

    def _is_locked_here(self, place: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):  # another process has it
            return False
        return True
