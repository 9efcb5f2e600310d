"""Looking up what a header says, with the oddities of camera programs: the first usable keyword wins."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from astropy.io import fits

from ingest.headers import Remark

_SEXAGESIMAL = re.compile(r"([+-]?)\s*(\d{1,3})[\s:hd°]+(\d{1,2})(?:[\s:m']+(\d{1,2}(?:\.\d*)?)?[s\"]?)?\s*$")
# MIDAS writes its descriptors with zeros where it knows nothing, under comments of this form.
_MIDAS_DEFAULT = "MIDAS desc."
MAX_TEXT = 200  # characters kept of a text value


class Keywords:
    """The headers that describe one product, the most specific first.

    A value is looked for in each header in turn. Whatever a keyword holds that cannot be used becomes a
    remark, and the next keyword is tried.

    Args:
        headers: for example that of the image extension and the primary one.
        zone: of the clocks that their local times were read from.

    Attributes:
        zone: the same.
    """

    def __init__(self, headers: Sequence[fits.Header], zone: ZoneInfo) -> None:
        self.zone = zone
        # Looked up in a set: most of what is asked for is not there, and astropy is slow to say so.
        self._headers = [(header, frozenset(map(str.upper, header))) for header in headers]
        self._remarks: dict[Remark, None] = {}

    @property
    def remarks(self) -> list[Remark]:
        """What could not be made sense of so far, without repetitions."""
        return list(self._remarks)

    def doubt(self, keyword: str, reason: str) -> None:
        """Note a remark."""
        self._remarks[Remark(keyword, reason)] = None

    def value(self, keyword: str) -> bool | int | float | str | None:
        """Return a keyword's value, texts without blanks around them; None for absent, blank or undefined."""
        for header, there in self._headers:
            if keyword in there and (value := self._parsed(header, keyword)) is not None:
                return value
        return None

    def comment(self, keyword: str) -> str:
        """Return the comment of a keyword's card, '' where there is none."""
        return next((str(h.comments[keyword]) for h, there in self._headers if keyword in there), "")

    def text(self, *keywords: str) -> str | None:
        """Return the first text; numbers come as text, long values are cut."""
        for keyword in keywords:
            value = self.value(keyword)
            if value is not None and not isinstance(value, bool):
                return str(value)[:MAX_TEXT]
        return None

    def number(self, *keywords: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        """Return the first number within [low, high]; zero is a value like any other."""
        return self.number_from(keywords, low, high)[0]

    def number_from(
        self, keywords: Sequence[str], low: float = -math.inf, high: float = math.inf
    ) -> tuple[float | None, str]:
        """Return the first number within [low, high] and the keyword that gave it."""
        for keyword in keywords:
            value = self.value(keyword)
            if value is None or self._is_default(keyword, value):
                continue
            number = _number(value)
            if number is None:
                self.doubt(keyword, f"{value!r} is not a number.")
            elif not low <= number <= high:
                self.doubt(keyword, f"{value} is outside {low:g} to {high:g}.")
            else:
                return number, keyword
        return None, ""

    def angle(self, *keywords: str, low: float, high: float) -> float | None:
        """Return the first angle within [low, high] in degrees; sexagesimal texts are degrees, too."""
        for keyword in keywords:
            value = self.value(keyword)
            if value is None:
                continue
            angle = sexagesimal(value) if isinstance(value, str) else _number(value)
            if angle is not None and low <= angle <= high:
                return angle
            self.doubt(keyword, f"{value!r} is not an angle between {low:g} and {high:g} degrees.")
        return None

    def _parsed(self, header: fits.Header, keyword: str) -> bool | int | float | str | None:
        try:
            value = header[keyword]
        except (fits.VerifyError, ValueError):
            self.doubt(keyword, "The card cannot be read: it breaks the format of FITS.")
            return None
        if isinstance(value, str):
            return value.strip() or None
        return value if isinstance(value, bool | int | float) else None

    def _is_default(self, keyword: str, value: object) -> bool:
        return value == 0 and self.comment(keyword).startswith(_MIDAS_DEFAULT)


def sexagesimal(text: str) -> float | None:
    """Return the number that a text such as '-12 34 56.7', '12:34:56', '12 34' or '12.5' says, or None."""
    if match := _SEXAGESIMAL.match(text.strip()):
        whole, minutes, seconds = int(match[2]), int(match[3]), float(match[4] or 0)
        if minutes >= 60 or seconds >= 60:
            return None
        return (-1 if match[1] == "-" else 1) * (whole + minutes / 60 + seconds / 3600)
    return _number(text)


def is_sexagesimal(text: str) -> bool:
    """Whether a text is written in hours or degrees, minutes and seconds."""
    return _SEXAGESIMAL.match(text.strip()) is not None


def _number(value: bool | int | float | str) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
