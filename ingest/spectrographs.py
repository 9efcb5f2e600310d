"""Which spectrograph a frame was taken with, where its header has no wavelengths."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ingest.keywords import Keywords

_KEYWORDS = ("INSTRUME", "SPECTROG", "NOTES")
_SEPARATORS = re.compile(r"[^A-Z0-9]+")
_METRES_PER_NM = 1e-9


@dataclass(frozen=True, slots=True)
class Spectrograph:
    """A spectrograph.

    Attributes:
        name: as the observatory calls it.
        words: how headers and paths name it, in capitals with blanks between.
        em_min, em_max: nominal ends of its spectra [m].
    """

    name: str
    words: tuple[str, ...]
    em_min: float
    em_max: float


def used(keywords: Keywords, path: str) -> Spectrograph | None:
    """Return the spectrograph that the keywords name, or else the directories and the file; None for none."""
    texts = [*(keywords.text(keyword) or "" for keyword in _KEYWORDS), path]
    return next((found for text in texts if (found := _named(text)) is not None), None)


def _named(text: str) -> Spectrograph | None:
    words = f" {_SEPARATORS.sub(' ', text.upper())} "
    return next((s for s in _content() if any(f" {word} " in words for word in s.words)), None)


@cache
def _content() -> tuple[Spectrograph, ...]:
    with resources.files("ingest").joinpath("spectrographs.toml").open("rb") as file:
        entries = tomllib.load(file)["spectrograph"]
    return tuple(
        Spectrograph(
            entry["name"], tuple(entry["words"]), entry["min"] * _METRES_PER_NM, entry["max"] * _METRES_PER_NM
        )
        for entry in entries
    )
