"""What the archive covers: the MOC of what a caller may see, and the coverage that the registry tells of."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ost_vo.access.context import ANONYMOUS, Context
from ost_vo.faults import TransientFault, UsageFault
from ost_vo.services.archive import Archive
from ost_vo.store import coverage as store
from ost_vo.store.coverage import Coverage, Field
from ost_vo.vo import moc
from ost_vo.vo.parameters import Parameters

# Callers whose MOC a process remembers, by what they may see.
REMEMBERED = 32
# Names that RESPONSEFORMAT may have for the formats (DALI 1.1 section 3.4.3).
_NAMES = {
    "fits": moc.FITS,
    "image/fits": moc.FITS,
    "application/fits": moc.FITS,
    "json": moc.JSON,
    "application/json": moc.JSON,
    "ascii": moc.ASCII,
    "text": moc.ASCII,
    "txt": moc.ASCII,
    "text/plain": moc.ASCII,
}


@dataclass
class Footprint:
    """The MOC of what a caller may see.

    Attributes:
        state: of the archive in which it was computed.
        text: the MOC in ASCII.
        tag: another one for another MOC.
        documents: in the formats that were asked for.
    """

    state: str
    text: str
    tag: str
    documents: dict[str, bytes] = field(default_factory=dict)

    def document(self, form: str) -> bytes:
        """Return it in a format of :data:`ost_vo.vo.moc.MEDIA_TYPES`."""
        if form not in self.documents:
            self.documents[form] = moc.write(moc.parse(self.text), form)
        return self.documents[form]


class Footprints:
    """The MOCs that a process has computed; each is good until a change of what anybody may see."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], Footprint] = OrderedDict()

    def known(self, archive: Archive, context: Context) -> Footprint | None:
        """Return the MOC of what a caller may see, None where it has to be computed.

        Raises:
            TransientFault: the database does not answer.
        """
        state = store.state(archive.database)
        key = _key(context)
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.state != state:
                return None
            self._kept.move_to_end(key)
            return kept

    def computed(self, archive: Archive, context: Context) -> Footprint:
        """Return the MOC of what a caller may see; takes seconds with a million observations.

        Raises:
            TransientFault: it takes longer than a synchronous query may; the database does not answer.
        """
        # Whoever has waited for another one may find it done.
        if known := self.known(archive, context):
            return known
        # Before the rows: what changes meanwhile makes another state, and this is computed again.
        state = store.state(archive.database)
        text = _kept(archive, context, state) or _sky(archive, context, archive.settings.sync_seconds)
        footprint = Footprint(state, text, hashlib.sha256(text.encode()).hexdigest()[:32])
        with self._lock:
            self._kept[_key(context)] = footprint
            self._kept.move_to_end(_key(context))
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        return footprint


def form_of(parameters: Parameters) -> str:
    """Return the format that a request asks for.

    Raises:
        UsageFault: there is none of that name.
    """
    asked = parameters.one("RESPONSEFORMAT", "FORMAT") or moc.FITS
    form = _NAMES.get(asked.partition(";")[0].strip().lower())
    if form is None:
        raise UsageFault(f"RESPONSEFORMAT={asked!r} is unknown.", "Give fits, json or ascii.")
    return form


def refresh(archive: Archive) -> Coverage:
    """Return the coverage that the world sees; computed and kept anew where it may be another than before.

    Raises:
        TransientFault: out of time; the database does not answer.
    """
    kept = store.kept(archive.database)
    state = store.state(archive.database)
    if kept is not None and kept.state == state:
        return kept
    if store.prune(archive.database):
        state = store.state(archive.database)
    # Nobody waits for it, so that it may take as long as a job.
    seconds = archive.settings.job_seconds
    settings = _settings(archive, ANONYMOUS, seconds)
    temporal, spectral = store.intervals(archive.database, settings)
    coverage = Coverage(state, _sky(archive, ANONYMOUS, seconds), temporal, spectral)
    store.keep(archive.database, coverage)
    return coverage


def _key(context: Context) -> tuple[str, ...]:
    return tuple(context.visibility_settings().values())


def _kept(archive: Archive, context: Context, state: str) -> str | None:
    """Return the MOC that the registry has of what the world sees, if that is what the caller sees now."""
    if _key(context) != _key(ANONYMOUS):
        return None
    kept = store.kept(archive.database)
    return kept.spatial if kept is not None and kept.state == state else None


def _settings(archive: Archive, context: Context, seconds: int) -> dict[str, str]:
    return {**archive.transaction_settings(context), "statement_timeout": f"{seconds}s"}


def _sky(archive: Archive, context: Context, seconds: int) -> str:
    """Return the MOC of the observations that a caller may see, in ASCII."""
    deadline = time.monotonic() + seconds
    sky = moc.Sky()
    for fields in store.fields(archive.database, _settings(archive, context, seconds)):
        if time.monotonic() > deadline:
            raise TransientFault(
                f"The coverage takes longer than {seconds} s to compute.", "Try again later."
            )
        outlines = [outline for item in fields if (outline := _outline(item.region))]
        sky.add_polygons(outlines)
        sky.add_circles(list(_circles(item for item in fields if not _outline(item.region))))
    return moc.write(sky.moc(), moc.ASCII).decode().strip()


def _outline(region: str | None) -> moc.Outline | None:
    """Return the vertices of an outline in STC-S, None where it is none that ingest writes."""
    words = region.split() if region else []
    if words[:2] != ["Polygon", "ICRS"] or len(words) < 8 or len(words) % 2:
        return None
    numbers = tuple(map(float, words[2:]))
    is_sound = all(map(math.isfinite, numbers)) and all(-90 <= latitude <= 90 for latitude in numbers[1::2])
    return numbers if is_sound else None


def _circles(fields: Iterable[Field]) -> Iterable[moc.Circle]:
    for item in fields:
        if item.ra is not None and item.dec is not None:
            yield item.ra, item.dec, min(180.0, max(moc.POINT, (item.fov or 0.0) / 2))
