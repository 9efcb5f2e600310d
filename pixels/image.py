"""Images of any size, read a strip at a time: made smaller for people to look at, and measured on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ost_vo.store.findings import PixelStatistics

Values = NDArray[np.float32]

# Pixels that are held as numbers at a time.
_STRIP_PIXELS = 1 << 20
# Pixels that median and deviations are taken from.
_SAMPLE = 1 << 20
# A deviation of normally distributed values by their median absolute deviation.
SIGMA_PER_MAD = 1.4826
# From so many deviations above the median, a pixel counts as one of a star.
_BRIGHT_SIGMA = 10.0


class NoPicture(Exception):
    """There is nothing to be seen in such a file; the text says why."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is read as it is needed.

    Attributes:
        planes, rows, columns: lengths of its axes.
        read: returns the values (rows, columns) of a plane between two rows, NaN where there are none.
        is_colour: whether its planes are red, green and blue; others are averaged.
        is_mosaic: whether neighbouring pixels see different colours (Bayer).
        is_bottom_up: whether the first row is the lowest.
        full_scale: the largest value that a pixel can have, None where nobody knows.
        is_measured: whether its values are those of a detector, and have statistics that mean something.
    """

    planes: int
    rows: int
    columns: int
    read: Callable[[int, int, int], Values]
    is_colour: bool = False
    is_mosaic: bool = False
    is_bottom_up: bool = True
    full_scale: float | None = None
    is_measured: bool = True


@dataclass(frozen=True, slots=True)
class Reduced:
    """An image made smaller.

    Attributes:
        values: means of blocks of pixels: (rows, columns), or (rows, columns, 3) of colours.
        step: length of a block's side [pixels], the same along both axes unless the image is shorter.
        statistics: of the whole image; None where no pixel has a value.
    """

    values: Values
    step: int
    statistics: PixelStatistics | None


def reduced(image: Image, side: int) -> Reduced:
    """Return an image with at most so many pixels along its longer side, never more than it has.

    What does not fill a block at the upper ends of the axes is left out.
    """
    step = -(-max(image.rows, image.columns) // side)
    if image.is_mosaic:
        step += step % 2 if step > 1 else 1
    down, across = min(step, image.rows), min(step, image.columns)
    shape = (image.rows // down, image.columns // across)
    measure = _Measure(image)
    planes = [np.zeros(shape, np.float32) for _ in range(3 if image.is_colour else 1)]
    counts = np.zeros(shape, np.int32)
    for number in range(image.planes):
        into = planes[number if image.is_colour else 0]
        for first, strip in _strips(image, number, down):
            measure.add(strip)
            means = _block_means(strip, down, across)
            part = slice(first // down, first // down + means.shape[0])
            known = np.isfinite(means)
            into[part] += np.where(known, means, 0)
            if number == 0 or not image.is_colour:
                counts[part] += known
    with np.errstate(divide="ignore", invalid="ignore"):
        values = [np.where(counts > 0, plane / np.maximum(counts, 1), np.nan) for plane in planes]
    stacked = np.stack(values, axis=-1) if image.is_colour else values[0]
    return Reduced(stacked.astype(np.float32, copy=False), step, measure.statistics())


def _strips(image: Image, plane: int, granule: int) -> Iterator[tuple[int, Values]]:
    """Yield (first row, values) of a plane, in strips of a multiple of so many rows."""
    rows = max(1, _STRIP_PIXELS // image.columns // granule) * granule
    for first in range(0, image.rows, rows):
        yield first, image.read(plane, first, min(first + rows, image.rows))


def _block_means(strip: Values, down: int, across: int) -> Values:
    """Return the means of blocks, of what has a value in them; NaN where nothing has."""
    if down == across == 1:
        return strip
    total = _block_sums(strip, down, across)
    if np.isfinite(total).all():
        return total / np.float32(down * across)
    known = np.isfinite(strip)
    count = _block_sums(known.astype(np.float32), down, across)
    total = _block_sums(np.where(known, strip, np.float32(0)), down, across)
    return np.where(count > 0, total / np.maximum(count, 1), np.float32(np.nan))


def _block_sums(strip: Values, down: int, across: int) -> Values:
    rows, columns = strip.shape[0] // down, strip.shape[1] // across
    used = strip[: rows * down, : columns * across]
    # One axis after the other, along whole rows: several times as fast as a sum over small blocks.
    lines = used.reshape(rows, down, -1).sum(axis=1)
    total = lines[:, ::across].copy()
    for offset in range(1, across):
        total += lines[:, offset::across]
    return total


class _Measure:
    """Statistics of an image that goes by in strips."""

    def __init__(self, image: Image) -> None:
        step = max(1, image.planes * image.rows * image.columns // _SAMPLE)
        # Odd, and not in step with the columns: one colour, or some columns, would count alone.
        step += 1 - step % 2
        while step > 1 and math.gcd(step, image.columns) > 1:
            step += 2
        self._step, self._skip = step, 0
        self._full_scale = image.full_scale
        self._samples: list[Values] = []
        self._low, self._high = math.inf, -math.inf
        self._full, self._seen = 0, 0

    def add(self, strip: Values) -> None:
        flat = strip.ravel()
        sample = flat[self._skip :: self._step]
        self._skip = (self._skip - flat.size) % self._step
        self._samples.append(sample[np.isfinite(sample)])
        known = flat if np.isfinite(flat.sum(dtype=np.float64)) else flat[np.isfinite(flat)]
        if not known.size:
            return
        self._low, self._high = min(self._low, float(known.min())), max(self._high, float(known.max()))
        self._seen += known.size
        if self._full_scale is not None and self._high >= self._full_scale:
            self._full += int(np.count_nonzero(known >= self._full_scale))

    def statistics(self) -> PixelStatistics | None:
        sample = np.concatenate(self._samples).astype(np.float64) if self._samples else np.empty(0)
        if not sample.size:
            return None
        median = float(np.median(sample))
        mad = float(np.median(np.abs(sample - median)))
        threshold = median + _BRIGHT_SIGMA * SIGMA_PER_MAD * max(mad, 0.5)
        return PixelStatistics(
            median=median,
            mean=float(sample.mean()),
            std=float(sample.std()),
            mad=mad,
            minimum=self._low,
            maximum=self._high,
            saturated=self._full / self._seen,
            bright=float((sample > threshold).mean()),
            full_scale=self._full_scale,
            pixels=int(sample.size),
        )
