"""Filter names to the band they let through."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_SEPARATORS = re.compile(r"[\s._-]+")
_WIDTH = re.compile(r"(\d+(?:\.\d+)?)\s*nm\b", re.IGNORECASE)
_METRES_PER_NM = 1e-9
# Wider than any narrow band: a number like 656nm in the name is a wavelength, not a width.
_WIDEST_NARROW_BAND_NM = 50.0


@dataclass(frozen=True, slots=True)
class Band:
    """What a filter lets through.

    Attributes:
        em_min, em_max: edges of the full width at half maximum [m]; both None where unknown.
        remark: why they are unknown, None where that is right (no filter in the beam).
    """

    em_min: float | None = None
    em_max: float | None = None
    remark: str | None = None


def band(name: str) -> Band:
    """Return the band of a filter, by the name that a header gives it."""
    tables = _tables()
    name = name.strip()
    if name in tables["ambiguous"]:
        return Band(remark=f"{name!r} may be {tables['ambiguous'][name]}: write the system into the name.")
    found = tables["names"].get(name)
    if found is None:
        width = _WIDTH.search(name)
        found = tables["words"].get(_word(name)) or tables["words"].get(_word(_WIDTH.sub("", name)))
    else:
        width = None
    if found is None:
        return Band(remark=f"{name!r} is no filter that is known here: its band is left open.")
    return _band(found, float(width[1]) if width else None)


def _band(entry: dict[str, Any], width: float | None) -> Band:
    if entry.get("none"):
        return Band()
    if "line" in entry:
        if width is None or not 0 < width <= _WIDEST_NARROW_BAND_NM:
            width = entry["width"]
        low, high = entry["line"] - width / 2, entry["line"] + width / 2
    else:
        low, high = entry["min"], entry["max"]
    return Band(low * _METRES_PER_NM, high * _METRES_PER_NM)


def _word(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()


@cache
def _tables() -> dict[str, dict[str, Any]]:
    with resources.files("ingest").joinpath("filters.toml").open("rb") as file:
        content = tomllib.load(file)
    names = {name: entry for entry in content["filter"] for name in entry.get("names", ())}
    words = {_word(word): entry for entry in content["filter"] for word in entry["words"]}
    words |= {_word(entry["name"]): entry for entry in content["filter"]}
    words |= {word: {"none": True} for word in content["none"]["words"]}
    return {"names": names, "words": words, "ambiguous": content["ambiguous"]}
