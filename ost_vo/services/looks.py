"""A look at the pixels of a file: what is asked for, and what comes back.

Whoever looks does so in another process, with limits: files are hostile input. So both are plain values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from ost_vo.store.findings import PixelStatistics, Ridges

# The state of a look that the machine, and not the file, is in the way of.
RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Task:
    """What to look at.

    Attributes:
        path: of the file.
        product_type: what the archive takes it for, None where it does not know.
        scratch: an empty directory, which pictures or the plane are written into.
        seconds: the time that it may take [s].
        memory: what it may take besides the programs [byte].
        is_for_solving: whether a plane for plate solving is wanted, and not pictures.
    """

    path: str
    product_type: str | None
    scratch: str
    seconds: int
    memory: int
    is_for_solving: bool = False


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane that was written for plate solving, as FITS with 32-bit floats.

    Attributes:
        columns, rows: its size [pixels].
        step: pixels of the file along a side of one of its own.
    """

    FILE_NAME: ClassVar[str] = "plane.fits"
    columns: int
    rows: int
    step: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a look.

    Attributes:
        state, reason: as in `ost_vo.store.findings`, or RETRY.
        statistics: None where the values are not those of a detector.
        plane: where one was asked for.
        ridges: dispersed light in an image; None where there is none for certain.
    """

    state: str
    reason: str | None = None
    statistics: PixelStatistics | None = None
    plane: Plane | None = None
    ridges: Ridges | None = None


class Looking(Protocol):
    """Whoever looks at files."""

    def look(self, task: Task) -> Findings:
        """Do a task; what is wrong with the file is among the findings, and never raised."""
