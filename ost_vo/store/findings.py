"""What is found out about files after they are ingested: the kinds of analysis, and what comes of each.

Nothing here needs a database, so that whoever looks at pixels has no more in memory than that takes.
"""

from __future__ import annotations

from dataclasses import dataclass

PREVIEW, STATISTICS, SOLUTION = "preview", "statistics", "solution"
# `none`: there is nothing to be had of such a file; `absent`: it is not on disk.
DONE, NONE, FAILED, ABSENT = "done", "none", "failed", "absent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one kind of analysis: a state, and why where that is not `done`."""

    kind: str
    settings: str
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PixelStatistics:
    """Statistics of a frame, in the units of its values; the columns of archive.pixel_statistics."""

    median: float
    mean: float
    std: float
    mad: float
    minimum: float
    maximum: float
    saturated: float
    bright: float
    full_scale: float | None
    pixels: int


@dataclass(frozen=True, slots=True)
class Ridges:
    """Dispersed light in an image: what goes along its rows or its columns from end to end.

    Attributes:
        along: rows or columns.
        count: how many ridges.
        contrast: height of the highest ones above the noise of a pixel.
    """

    along: str
    count: int
    contrast: float


@dataclass(frozen=True, slots=True)
class Solution:
    """Where an image lies, as plate solving found it: columns of archive.products, and the WCS as cards.

    Its light times, hjd and bjd [d], follow from that where it is known when the image was taken.
    """

    s_ra: float
    s_dec: float
    s_fov: float
    s_region: str | None
    region: str | None
    s_orientation: float
    s_parity: int
    s_pixel_scale: float
    header: str
    hjd: float | None = None
    bjd: float | None = None
