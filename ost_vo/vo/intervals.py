"""Intervals of numbers, as parameters spell them: ``lower upper``, or one number for both.

Source: DALI 1.1 section 3.3.4 (intervals); SIA 2.0 section 2.1 (open ends, single numbers).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ost_vo.faults import UsageFault

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INFINITY = re.compile(r"([+-]?)inf(inity)?", re.IGNORECASE)
# How much of a value an error message repeats.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from ``lower`` to ``upper``, both included; an infinite end is open."""

    lower: float
    upper: float

    def __contains__(self, value: float) -> bool:
        return self.lower <= value <= self.upper

    def overlaps(self, other: Interval) -> bool:
        """Say whether the two have a number in common."""
        return self.lower <= other.upper and other.lower <= self.upper


def parse(name: str, text: str, *, minimum: float = -math.inf) -> Interval:
    """Return the interval that a parameter's value spells.

    Args:
        name: the parameter, for the messages.
        text: ``lower upper`` or one number; ``-Inf`` and ``+Inf`` for open ends.
        minimum: the least number that makes sense.

    Raises:
        UsageFault: the text is not one number or two in ascending order, or one is below the minimum.
    """
    numbers = parse_numbers(name, text)
    if len(numbers) not in (1, 2):
        raise UsageFault(
            f"{name}={shown(text)} has {len(numbers)} numbers.",
            "Give one number, or two for an interval, such as '300 600' or '300 +Inf'.",
        )
    lower, upper = numbers[0], numbers[-1]
    if lower > upper:
        raise UsageFault(f"{name}={shown(text)} ends below its beginning.", "Give the lower limit first.")
    if lower == upper and math.isinf(lower):
        raise UsageFault(f"{name}={shown(text)} holds no number.", "For all values give '-Inf +Inf'.")
    if any(math.isfinite(number) and number < minimum for number in numbers):
        raise UsageFault(f"{name}={shown(text)} goes below {minimum:g}.", "For an open end give -Inf.")
    return Interval(lower, upper)


def parse_numbers(name: str, text: str) -> tuple[float, ...]:
    """Return the numbers in a text, which blanks separate (VOTable 1.4 section 6).

    Raises:
        UsageFault: something in it is neither a number nor an infinity.
    """
    return tuple(_number(name, text, word) for word in text.split())


def shown(text: str) -> str:
    """Return a value in quotes for a message, cut where it is long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _number(name: str, text: str, word: str) -> float:
    infinity = _INFINITY.fullmatch(word)
    if infinity:
        return -math.inf if infinity[1] == "-" else math.inf
    if not _NUMBER.fullmatch(word):
        raise UsageFault(
            f"{name}={shown(text)}: {shown(word)} is not a number.",
            "Give numbers separated by blanks, such as 500e-9; in a URL a plus sign is %2B.",
        )
    number = float(word)
    if math.isinf(number):
        raise UsageFault(f"{name}={shown(text)}: {shown(word)} is too large.", "For an open end give +Inf.")
    return number
