"""Filter names to one name each, and to the band they let through."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

METRES_PER_NM = 1e-9
_SEPARATORS = re.compile(r"[\s._-]+")
_WIDTH = re.compile(r"(\d+(?:\.\d+)?)\s*nm\b", re.IGNORECASE)
# Wider than any narrow band: a number like 656nm in the name is a wavelength, not a width.
_WIDEST_NARROW_BAND_NM = 50.0


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter.

    Attributes:
        name: as the archive shows it; None where it shows what the header has.
        low, high: edges of the full width at half maximum [nm]; None without a filter in the beam.
        line: of a narrow band, the wavelength in its middle [nm]; a width in the name then counts.
    """

    name: str | None
    low: float | None = None
    high: float | None = None
    line: float | None = None

    @classmethod
    def narrow(cls, name: str, line: float, width: float) -> Filter:
        """Make one of a line and a width [nm]."""
        return cls(name, line - width / 2, line + width / 2, line)


@dataclass(frozen=True, slots=True)
class Band:
    """What a filter lets through.

    Attributes:
        name: of the filter, as the archive shows it.
        em_min, em_max: edges of the full width at half maximum [m]; both None where unknown.
        remark: why they are unknown, None where that is right (no filter in the beam).
    """

    name: str
    em_min: float | None = None
    em_max: float | None = None
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters that are known, by what headers call them.

    Attributes:
        exact: by names that are compared as they stand; the case tells `R` and `r` apart.
        words: by names without regard to case, blanks, '-', '_' and '.'.
        ambiguous: names of several systems, and which.
    """

    exact: Mapping[str, Filter]
    words: Mapping[str, Filter]
    ambiguous: Mapping[str, str]

    def band(self, header: str) -> Band:
        """Return the band of a filter, by the name that a header gives it."""
        header = header.strip()
        if header in self.ambiguous:
            which = self.ambiguous[header]
            return Band(header, remark=f"{header!r} may be {which}: write the system into the name.")
        if found := self.exact.get(header):
            return _band(header, found, None)
        if found := self.named(header):
            width = _WIDTH.search(header)
            return _band(header, found, float(width[1]) if width else None)
        return Band(header, remark=f"{header!r} is no filter that is known here: its band is left open.")

    def named(self, name: str) -> Filter | None:
        """Return the filter of a name without regard to its case, with or without a width in it."""
        return self.words.get(word(name)) or self.words.get(word(_WIDTH.sub("", name)))

    def with_others(self, others: Sequence[tuple[Filter, Sequence[str]]]) -> Filters:
        """Return these and others, each with what headers call it, which come first."""
        exact = {header: entry for entry, headers in others for header in headers}
        words = {word(header): entry for entry, headers in others for header in headers}
        words |= {word(entry.name): entry for entry, _ in others if entry.name}
        ambiguous = {name: which for name, which in self.ambiguous.items() if name not in exact}
        return replace(
            self, exact={**self.exact, **exact}, words={**self.words, **words}, ambiguous=ambiguous
        )


def word(name: str) -> str:
    """Return a name as it is compared."""
    return _SEPARATORS.sub("", name).lower()


def _band(header: str, found: Filter, width: float | None) -> Band:
    if found.low is None or found.high is None:
        return Band(found.name or header)
    name = found.name or header
    if found.line is not None and width is not None and 0 < width <= _WIDEST_NARROW_BAND_NM:
        found, name = Filter.narrow(name, found.line, width), f"{name} {width:g} nm"
    assert found.low is not None
    assert found.high is not None
    return Band(name, found.low * METRES_PER_NM, found.high * METRES_PER_NM)


@cache
def known() -> Filters:
    """Return the filters that come with the programs."""
    with resources.files("ingest").joinpath("filters.toml").open("rb") as file:
        content = tomllib.load(file)
    exact: dict[str, Filter] = {}
    words: dict[str, Filter] = {}
    for entry in content["filter"]:
        found = _filter(entry)
        exact |= dict.fromkeys(entry.get("names", ()), found)
        words |= dict.fromkeys([word(name) for name in (*entry["words"], entry["name"])], found)
    words |= dict.fromkeys(content["none"]["words"], Filter(None))
    return Filters(exact, words, content["ambiguous"])


def _filter(entry: Mapping[str, Any]) -> Filter:
    if "line" in entry:
        return Filter.narrow(entry["name"], entry["line"], entry["width"])
    return Filter(entry["name"], entry["min"], entry["max"])
