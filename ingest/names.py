"""One name each for telescopes, instruments, filters and observers, whatever headers call them.

Some come with the programs (`cameras.toml`, `filters.toml`, `spectrographs.toml`); the operator's table, by
default `etc/names.toml`, adds to those and stands above them. What headers say is kept beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ingest import cameras, filters, nametable, spectrographs
from ingest.cameras import Camera, Cameras
from ingest.filters import Filter, Filters
from ingest.nametable import Entry
from ingest.spectrographs import METRES_PER_NM, Spectrograph, Spectrographs, as_words

_INSTALLED = Path(__file__).resolve().parents[1] / "etc" / "names.toml"
_KEYS = {
    "telescope": ("name", "headers"),
    "observer": ("name", "headers"),
    "instrument": ("name", "headers", "pixel", "sizes"),
    "filter": ("name", "headers", "min", "max", "line", "width", "same_as", "clear"),
    "spectrograph": ("name", "words", "min", "max"),
}
_SHORTEST_NM, _LONGEST_NM = 10.0, 1e6


@dataclass(frozen=True, slots=True)
class Names:
    """The names of an observatory's equipment and people.

    Attributes:
        telescopes, observers: names by what headers call them, as `filters.word` has it.
        cameras, filters, spectrographs: what is known of those.
    """

    telescopes: Mapping[str, str]
    observers: Mapping[str, str]
    cameras: Cameras
    filters: Filters
    spectrographs: Spectrographs

    def telescope(self, header: str | None) -> str | None:
        """Return the name of a telescope; one that is not in the table keeps the header's."""
        return self.telescopes.get(filters.word(header), header.strip()) if header else None

    def observer(self, header: str | None) -> str | None:
        """Return the name of an observer; one who is not in the table keeps the header's."""
        return self.observers.get(filters.word(header), header.strip()) if header else None

    def instrument(self, header: str | None) -> str | None:
        """Return the name of an instrument, None where the header's says nothing."""
        if header is None or not self.cameras.is_informative(header):
            return None
        camera = self.cameras.named(header)
        return camera.name if camera else header.strip()


@cache
def read(path: Path | None) -> Names:
    """Return the names of a table, with those that come with the programs.

    Args:
        path: of the table; None for that of the installation, which may be missing.

    Raises:
        UsageFault: the table cannot be used; it names file, line and entry.
    """
    if path is None:
        if not _INSTALLED.exists():
            return _names([])
        path = _INSTALLED
    return _names(list(nametable.entries(path, _KEYS)))


def _names(entries: Sequence[tuple[str, Entry]]) -> Names:
    def of(kind: str) -> list[Entry]:
        return [entry for found, entry in entries if found == kind]

    return Names(
        _by_header(of("telescope")),
        _by_header(of("observer")),
        cameras.known().with_others(_cameras(of("instrument"))),
        _filters(of("filter")),
        spectrographs.known().with_others(_spectrographs(of("spectrograph"))),
    )


def _by_header(entries: Iterable[Entry]) -> dict[str, str]:
    entries = list(entries)
    found = _claimed(entries, filters.word)
    return {header: entry.text("name") for header, entry in found.items()} | {
        filters.word(entry.text("name")): entry.text("name") for entry in entries
    }


def _claimed(entries: Iterable[Entry], compared: Callable[[str], str]) -> dict[str, Entry]:
    """Return which entry claims what headers say.

    Raises:
        UsageFault: two entries claim the same, or what would be nothing at all.
    """
    claims: dict[str, Entry] = {}
    for entry in entries:
        entry.text("name")
        for header in entry.texts("headers"):
            key = compared(header)
            if not key:
                raise entry.fault(f"{header!r} has neither letters nor digits.")
            if claims.setdefault(key, entry) is not entry:
                raise entry.fault(f"{header!r} is claimed by {claims[key].where}, too.")
    return claims


def _cameras(entries: Sequence[Entry]) -> list[Camera]:
    _claimed(entries, str.lower)
    found = []
    for entry in entries:
        name, headers = entry.text("name"), entry.texts("headers")
        if entry.has("sizes") and not entry.has("pixel"):
            raise entry.fault("sizes tell a camera only together with pixel.")
        pixel = entry.number("pixel", 0.1, 100.0) if entry.has("pixel") else None
        sizes = entry.sizes("sizes") if entry.has("sizes") else ()
        found.append(_completed(Camera(name, pixel, sizes, headers or (name,))))
    return found


def _completed(camera: Camera) -> Camera:
    """Return a camera with what is known of its sensor where an entry only names it."""
    known = cameras.known()
    same = next((c for c in known.cameras if c.name == camera.name), None)
    # Else perhaps another one of a model that is known: frames without a name could be of either.
    model = same or next((c for header in camera.instrume if (c := known.named(header))), None)
    if model is None:
        return camera
    return Camera(
        camera.name,
        camera.pixel or model.pixel,
        camera.sizes or model.sizes,
        camera.instrume + (same.instrume if same else ()),
    )


def _filters(entries: Sequence[Entry]) -> Filters:
    _claimed(entries, str)
    found = filters.known()
    for entry in entries:
        headers = (*entry.texts("headers"), entry.text("name"))
        # One by one, so that an entry may name one before it.
        found = found.with_others([(_filter(entry, found), headers)])
    return found


def _filter(entry: Entry, known: Filters) -> Filter:
    """Return a filter of min and max, of line and width, the same as another, or clear."""
    name = entry.text("name")
    ways = [entry.has("min") or entry.has("max"), entry.has("line") or entry.has("width")]
    if sum([*ways, entry.has("same_as"), entry.has("clear")]) != 1:
        raise entry.fault("A filter has min and max, or line and width [nm], or same_as, or clear = true.")
    if entry.has("clear"):
        if entry.values["clear"] is not True:
            raise entry.fault("clear can be true only.")
        return Filter(name)
    if entry.has("same_as"):
        other = known.exact.get(entry.text("same_as")) or known.named(entry.text("same_as"))
        if other is None:
            raise entry.fault(f"{entry.text('same_as')!r} is no filter that is known so far.")
        return Filter(name, other.low, other.high, other.line)
    if ways[1]:
        line, width = entry.number("line", _SHORTEST_NM, _LONGEST_NM), entry.number("width", 0.001, 100.0)
        return Filter.narrow(name, line, width)
    return Filter(name, *_range(entry))


def _range(entry: Entry) -> tuple[float, float]:
    low = entry.number("min", _SHORTEST_NM, _LONGEST_NM)
    high = entry.number("max", _SHORTEST_NM, _LONGEST_NM)
    if low >= high:
        raise entry.fault("min has to be less than max.")
    return low, high


def _spectrographs(entries: Sequence[Entry]) -> list[Spectrograph]:
    found = []
    for entry in entries:
        words = tuple(as_words(word) for word in (*entry.texts("words"), entry.text("name")))
        if not all(words):
            raise entry.fault("words and name need letters or digits.")
        low, high = _range(entry)
        found.append(Spectrograph(entry.text("name"), words, low * METRES_PER_NM, high * METRES_PER_NM))
    return found
