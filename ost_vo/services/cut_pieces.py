"""What cuts are made of, and what one may take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ost_vo.faults import TransientFault, UsageFault


@dataclass(frozen=True, slots=True)
class Limits:
    """What one cutout may take.

    Attributes:
        size: of its pixels [byte].
        deadline: when it must be done, on the monotonic clock [s].
    """

    size: int
    deadline: float

    def check_time(self) -> None:
        """Raise TransientFault when the time is up."""
        if time.monotonic() > self.deadline:
            raise TransientFault("The cutout took too long.", "Ask for a smaller region, or try again.")


@dataclass(frozen=True, slots=True)
class Piece:
    """What was cut out of one unit of a FITS file.

    Attributes:
        cards: its header.
        pixels: as FITS stores them, big-endian and not scaled, the first axis last; of a table, its bytes.
    """

    cards: list[bytes]
    pixels: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cutout:
    """What was cut out of one file.

    Attributes:
        primary: the header before the pieces, where the first of them is an extension; else None.
        pieces: at least one.
    """

    primary: list[bytes] | None
    pieces: list[Piece]


def check_size(size: int, limits: Limits) -> None:
    """Raise a UsageFault where a size [byte] is more than a cutout may have."""
    if size > limits.size:
        raise UsageFault(
            f"The cutout has {size} bytes, more than {limits.size}.", "Ask for less, or get the whole file."
        )
