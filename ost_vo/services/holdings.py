"""How much the archive has of what a caller may see: numbers, and where on the sky."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ost_vo.access.context import Context
from ost_vo.services.archive import Archive
from ost_vo.services.sights import Sight, Sights
from ost_vo.store import holdings

# Cells of 1.8 degrees: 12288 on the sky, so that all of them are a small answer.
ORDER = 5
# Names of cameras and the like may change without anybody seeing more or less [s].
_SECONDS = 300.0
GROUPS = holdings.GROUPS


@dataclass(frozen=True, slots=True)
class Count:
    """Files with something in common.

    Attributes:
        value: what; None where it is unknown.
        files: how many.
        size: of all of them [byte].
        light_seconds: exposure of the light frames among them [s].
    """

    value: Any
    files: int
    size: int
    light_seconds: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """How much there is.

    Attributes:
        all: of all files.
        runs, targets: how many.
        groups: by each of GROUPS; months by their first days in order, the others the largest first.
        counted: when they were counted.
    """

    all: Count
    runs: int
    targets: int
    groups: dict[str, list[Count]]
    counted: datetime


class Holdings:
    """What a process knows of how much the archive has, for callers who see different things."""

    def __init__(self) -> None:
        self._numbers: Sights[Numbers] = Sights(_SECONDS)
        self._cells: Sights[list[tuple[int, int]]] = Sights()

    def known_numbers(self, archive: Archive, context: Context) -> Numbers | None:
        """Return the numbers, None where they have to be counted."""
        return self._numbers.known(archive, context)

    def seen_numbers(self, archive: Archive, context: Context) -> Sight[Numbers] | None:
        """Return the numbers as they were counted last, None where they cannot be told any more."""
        return self._numbers.seen(archive, context)

    def numbers(self, archive: Archive, context: Context) -> Numbers:
        """Return the numbers; counting takes a second or two with a million files.

        Raises:
            TransientFault: out of time; the database does not answer.
        """
        return self._numbers.computed(archive, context, lambda _: _count(archive, context))

    def known_cells(self, archive: Archive, context: Context) -> list[tuple[int, int]] | None:
        """Return the cells, None where they have to be counted."""
        return self._cells.known(archive, context)

    def cells(self, archive: Archive, context: Context) -> list[tuple[int, int]]:
        """Return the cells of HEALPix (nested, :data:`ORDER`) that files have their centres in, and how many.

        Faults are those of :meth:`numbers`.
        """

        def compute(_: str) -> list[tuple[int, int]]:
            with archive.database.connection() as connection:
                return holdings.cells(connection, archive.transaction_settings(context), ORDER)

        return self._cells.computed(archive, context, compute)


def _count(archive: Archive, context: Context) -> Numbers:
    now = datetime.now(UTC)
    with archive.database.connection() as connection:
        whole, groups, runs, targets = holdings.counts(connection, archive.transaction_settings(context))
    counted = {name: [Count(*row) for row in rows] for name, rows in groups.items()}
    for name, counts in counted.items():
        if name == "month":
            counts.sort(key=lambda count: (count.value is None, str(count.value)))
        else:
            counts.sort(key=lambda count: (-count.files, str(count.value)))
    return Numbers(Count(*whole), runs, targets, counted, now)
