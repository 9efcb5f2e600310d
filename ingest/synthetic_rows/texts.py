"""Columns of text made by table look-up: rows for COPY, many at a time, without a Python loop over them.

Every field has one width for all rows; what a value does not fill is NUL, which `as_bytes` takes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Texts = NDArray[np.bytes_]
Integers = NDArray[np.int64]

NULL = b"\\N"
_GROUP = 1000  # decimals are looked up three digits at a time


def joined(fields: Sequence[Texts | bytes], count: int) -> Texts:
    """Return fields side by side, one row each.

    Args:
        fields: arrays of `count` texts, or one text that all rows share.
        count: how many rows.
    """
    widths = [len(field) if isinstance(field, bytes) else field.dtype.itemsize for field in fields]
    rows = np.empty(count, dtype=[(f"f{i}", f"S{width}") for i, width in enumerate(widths)])
    for i, field in enumerate(fields):
        rows[f"f{i}"] = field
    return rows.view(f"S{sum(widths)}")


def where(present: NDArray[np.bool_], texts: Texts, absent: bytes) -> Texts:
    """Return the texts, in order, where rows have one, and another text elsewhere."""
    result = np.full(present.size, absent, dtype=f"S{max(texts.dtype.itemsize, len(absent))}")
    result[present] = texts
    return result


def as_bytes(rows: Texts) -> bytes:
    """Return the rows one after the other."""
    return rows.tobytes().translate(None, b"\0")


def padded(values: Integers, digits: int) -> Texts:
    """Return values of 0 to 10^digits - 1 with leading zeros; digits is a multiple of three."""
    return joined(_groups(values, digits), values.size)


def integers(values: Integers) -> Texts:
    """Return values of 1 to 10^12 - 1 without leading zeros."""
    begun = np.zeros(values.size, dtype=np.int64)
    fields: list[Texts | bytes] = []
    for power in (10**9, 10**6, 10**3, 1):
        group = values // power % _GROUP
        fields.append(_leading()[group + begun * _GROUP])
        begun |= group > 0
    return joined(fields, values.size)


def decimals(units: Integers, places: int) -> Texts:
    """Return numbers given in units of 10^-places, of less than 100,000; places is 0, 3 or 6."""
    size = np.abs(units)
    whole, fraction = np.divmod(size, 10**places)
    fields: list[Texts | bytes] = [_signed()[whole + (units < 0) * 100_000]]
    if places:
        fields += [b".", *_groups(fraction, places)]
    return joined(fields, units.size)


def _groups(values: Integers, digits: int) -> list[Texts | bytes]:
    return [_padded()[values // 10**power % _GROUP] for power in range(digits - 3, -1, -3)]


@cache
def _padded() -> Texts:
    return np.array([f"{i:03d}" for i in range(_GROUP)], dtype="S3")


@cache
def _leading() -> Texts:
    """Return groups at the head of a number, nothing for 0, and then groups that follow others."""
    return np.array(
        [*(str(i) if i else "" for i in range(_GROUP)), *(f"{i:03d}" for i in range(_GROUP))], "S3"
    )


@cache
def _signed() -> Texts:
    return np.array([f"{sign}{i}" for sign in ("", "-") for i in range(100_000)], dtype="S6")
