"""Whether an image shows dispersed light: ridges that go along its rows or its columns from end to end.

The trace of a slit spectrum, the lines of a lamp, the orders of an echelle and the lines of the Sun have in
common that one profile across them holds for most of the image, and that stars beside them are few. Bias and
dark frames have such profiles below their noise, or of single columns; star fields, planets and nebulae have
another one everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ost_vo.store.findings import Ridges
from pixels.image import SIGMA_PER_MAD, Values

# Parts that an axis is cut into, each with a profile of its own, and how many in succession must agree: of
# one ridge or two, and of more.
_PARTS, _FEWEST_PARTS_OF_FEW, _FEWEST_PARTS = 8, 5, 4
# Pixels of a part, and of a profile, below which there is nothing to be said; pixels for the noise.
_SHORTEST_PART, _SHORTEST_PROFILE, _SAMPLE = 12, 80, 1 << 18
# A profile's background is a running median that reaches so far to both sides, in parts of the profile and in
# pixels at least; so much is left out at its ends, where detectors have their overscan.
_REACH, _LEAST_REACH = 1 / 16, 20
# Height of a ridge above the noise of a single pixel, and of what counts as one.
_CONTRAST, _FAINTEST = 8.0, 3.0
# Correlation of the profiles of neighbouring parts, and of a profile with itself one pixel on: a ridge that
# is one column wide is a defect of the detector.
_AGREEMENT, _SMOOTHNESS = 0.7, 0.6
# How far ridges may slope, in parts of the length: many like the orders of an echelle; one or two hardly, as
# trails of satellites do.
_SLOPE, _SLOPE_OF_FEW, _FEW = 0.1, 0.03, 2
# More images of stars than this beside the ridges, and they are trails, or columns that a star spilled over.
_MOST_STARS = 10
_STAR, _STAR_WING = 8.0, 0.25
# A lone ridge with a spot so much brighter than its median is the streak of a star, and one that is as bright
# everywhere is a trail or a defect.
_SPOT, _EVENNESS = 20.0, 1.25


@dataclass(frozen=True, slots=True)
class _Profiles:
    """Profiles across an image, one for each part of its rows.

    Attributes:
        image: the parts: (rows, parts, columns of a part).
        levels: median of each row of each part, and what of it is background: (parts, rows).
        relief: the difference without the ends [noise of a pixel].
        end: rows that were left out at either end.
    """

    image: Values
    levels: Values
    background: Values
    relief: NDArray[np.float64]
    end: int


def ridges(values: Values) -> Ridges | None:
    """Return the ridges of an image that can hardly be anything but dispersed light, None without such.

    Args:
        values: (rows, columns), NaN where there are none.
    """
    known = np.isfinite(values)
    if not known.any():
        return None
    if not known.all():
        values = np.where(known, values, np.float32(np.median(values[known])))
    noise = max(_noise(values), _noise(values.T))
    if noise <= 0:
        return None
    along_rows = _along_rows(values, noise)
    along_columns = _along_rows(values.T, noise)
    found = [
        Ridges(axis, *seen)
        for axis, seen in (("rows", along_rows), ("columns", along_columns))
        if seen is not None
    ]
    # What goes along both is a picture of something else.
    return found[0] if len(found) == 1 else None


def _noise(values: Values) -> float:
    """Return the noise of a pixel, from the differences of neighbours."""
    step = max(1, values.shape[0] * values.shape[1] // _SAMPLE)
    differences = np.diff(values[::step], axis=1)
    return SIGMA_PER_MAD * float(np.median(np.abs(differences - np.median(differences)))) / 2**0.5


def _along_rows(values: Values, noise: float) -> tuple[int, float] | None:
    """Return the number of ridges along the rows and their height above the noise; None where it is none."""
    rows, columns = values.shape
    if columns // _PARTS < _SHORTEST_PART or rows < _SHORTEST_PROFILE:
        return None
    profiles = _profiles(values, noise)
    relief = profiles.relief
    heights = np.abs(relief).max(axis=1)
    if np.count_nonzero(heights >= _CONTRAST) < _FEWEST_PARTS:
        return None
    counts = [_count(profile) for profile in relief]
    is_good = [
        height >= _CONTRAST and _is_smooth(profile) for height, profile in zip(heights, relief, strict=True)
    ]
    agree = [
        is_good[n] and is_good[n + 1] and _agree(relief[n], relief[n + 1], columns // _PARTS, max(counts))
        for n in range(_PARTS - 1)
    ]
    first, last = _longest(agree)
    part = slice(first, last + 1)
    count, contrast = int(np.median(counts[part])), float(np.median(heights[part]))
    is_lone = count <= _FEW
    if part.stop - part.start < (_FEWEST_PARTS_OF_FEW if is_lone else _FEWEST_PARTS):
        return None
    is_other = is_lone and (
        heights[part].max() < _EVENNESS * heights[part].min() or _has_spot(profiles, part)
    )
    return None if is_other or _stars(profiles, part, noise) > _MOST_STARS else (count, contrast)


def _profiles(values: Values, noise: float) -> _Profiles:
    rows, columns = values.shape
    length = columns // _PARTS
    image = np.ascontiguousarray(values[:, : length * _PARTS]).reshape(rows, _PARTS, length)
    levels = np.median(image, axis=2).T
    end = max(int(rows * _REACH), _LEAST_REACH)
    padded = np.pad(levels, ((0, 0), (end, end)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * end + 1, axis=1)
    background = np.stack([np.median(window, axis=1) for window in windows])
    relief = ((levels - background) / noise)[:, end : rows - end].astype(np.float64)
    return _Profiles(image, levels, background, relief, end)


def _count(profile: NDArray[np.float64]) -> int:
    is_ridge = np.abs(profile) > _CONTRAST / 2
    return int(np.count_nonzero(np.diff(is_ridge.astype(np.int8)) == 1))


def _is_smooth(profile: NDArray[np.float64]) -> bool:
    return float(profile[1:] @ profile[:-1]) >= _SMOOTHNESS * float(profile @ profile)


def _agree(one: NDArray[np.float64], other: NDArray[np.float64], length: int, count: int) -> bool:
    """Whether two profiles are the same, one moved along a little."""
    most = max(2, round(length * (_SLOPE_OF_FEW if count <= _FEW else _SLOPE)))
    best = 0.0
    for shift in range(-most, most + 1):
        a = one[max(0, shift) : one.size + min(0, shift)]
        b = other[max(0, -shift) : other.size + min(0, -shift)]
        scale = float(np.sqrt((a @ a) * (b @ b)))
        best = max(best, float(a @ b) / scale if scale else 0.0)
    return best >= _AGREEMENT


def _longest(flags: list[bool]) -> tuple[int, int]:
    """Return begin and end of the longest succession of true values."""
    best, begin = (0, 0), 0
    for number, flag in enumerate([*flags, False]):
        if not flag:
            best, begin = max(best, (begin, number), key=lambda one: one[1] - one[0]), number + 1
    return best


def _stars(profiles: _Profiles, part: slice, noise: float) -> int:
    """Return how many images of stars there are beside the ridges of some parts; lone hot pixels are none."""
    inner = slice(profiles.end, profiles.image.shape[0] - profiles.end)
    beside = np.abs(profiles.relief[part]) < _FAINTEST
    for _ in range(4):
        beside[:, 1:-1] &= beside[:, 2:] & beside[:, :-2]
    rest = profiles.image[inner, part] - profiles.levels[part, inner].T[:, :, None]
    rest = np.where(beside.T[:, :, None], rest, np.float32(0)).reshape(rest.shape[0], -1)
    centre = rest[1:-1, 1:-1]
    around = (rest[:-2, 1:-1], rest[2:, 1:-1], rest[1:-1, :-2], rest[1:-1, 2:])
    is_star = centre > _STAR * noise
    for neighbour in around:
        is_star &= centre >= neighbour
    is_star &= sum(around) > 4 * _STAR_WING * centre
    return int(np.count_nonzero(is_star))


def _has_spot(profiles: _Profiles, part: slice) -> bool:
    """Whether the highest ridge has a spot that is far brighter than most of it."""
    along = []
    for number in range(part.start, part.stop):
        row = profiles.end + int(np.argmax(np.abs(profiles.relief[number])))
        along.append(np.abs(profiles.image[row, number] - profiles.background[number, row]))
    heights = np.concatenate(along)
    return bool(np.quantile(heights, 0.995) > _SPOT * np.median(heights))
