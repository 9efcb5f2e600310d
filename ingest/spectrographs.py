"""Which spectrograph a frame was taken with, where its header has no wavelengths."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ingest.keywords import Keywords

METRES_PER_NM = 1e-9
_KEYWORDS = ("INSTRUME", "SPECTROG", "NOTES")
_SEPARATORS = re.compile(r"[^A-Z0-9]+")


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


@dataclass(frozen=True, slots=True)
class Spectrographs:
    """The spectrographs that there are, in the order in which they are looked for."""

    spectrographs: tuple[Spectrograph, ...]

    def used(self, keywords: Keywords, path: str) -> Spectrograph | None:
        """Return the one that the keywords name, or else the directories and the file; None for none."""
        texts = [*(keywords.text(keyword) or "" for keyword in _KEYWORDS), path]
        return next((found for text in texts if (found := self._named(text)) is not None), None)

    def with_others(self, others: Sequence[Spectrograph]) -> Spectrographs:
        """Return these and others, which come first and take the place of those of the same name."""
        names = {spectrograph.name for spectrograph in others}
        return Spectrographs((*others, *(s for s in self.spectrographs if s.name not in names)))

    def _named(self, text: str) -> Spectrograph | None:
        words = f" {as_words(text)} "
        return next((s for s in self.spectrographs if any(f" {word} " in words for word in s.words)), None)


def as_words(text: str) -> str:
    """Return a text as it is compared: in capitals, with one blank for whatever is no letter or digit."""
    return _SEPARATORS.sub(" ", text.upper()).strip()


@cache
def known() -> Spectrographs:
    """Return the spectrographs that come with the programs."""
    with resources.files("ingest").joinpath("spectrographs.toml").open("rb") as file:
        entries = tomllib.load(file)["spectrograph"]
    return Spectrographs(
        tuple(
            Spectrograph(
                entry["name"],
                tuple(as_words(word) for word in entry["words"]),
                entry["min"] * METRES_PER_NM,
                entry["max"] * METRES_PER_NM,
            )
            for entry in entries
        )
    )
