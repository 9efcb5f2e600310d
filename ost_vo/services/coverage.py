"""What the archive covers: the MOC of what a caller may see, and the coverage that the registry tells of."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ost_vo.access.context import ANONYMOUS, Context
from ost_vo.faults import TransientFault, UsageFault
from ost_vo.services.archive import Archive
from ost_vo.store import coverage as store
from ost_vo.store.coverage import Coverage, Field
from ost_vo.vo import moc
from ost_vo.vo.parameters import Parameters

# Callers whose MOC a process remembers, by what they may see, and all processes together.
REMEMBERED = 32
SHARED = 256
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
        documents: in the formats and orders that were asked for.
    """

    state: str
    text: str
    tag: str
    documents: dict[tuple[str, int], bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, state: str, text: str) -> Footprint:
        """Return the MOC with a tag of its own."""
        return cls(state, text, hashlib.sha256(text.encode()).hexdigest()[:32])

    def document(self, form: str, order: int = moc.ORDER) -> bytes:
        """Return it in a format of :data:`ost_vo.vo.moc.MEDIA_TYPES`, in cells of an order or larger ones."""
        if (form, order) not in self.documents:
            self.documents[form, order] = moc.write(moc.coarser(moc.parse(self.text), order), form)
        return self.documents[form, order]


class Footprints:
    """The MOCs of what callers see: computed one at a time, and shared with other processes.

    Each is good until a change of what anybody may see.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], Footprint] = OrderedDict()
        # It takes a core for seconds.
        self._computing = ThreadPoolExecutor(1, thread_name_prefix="moc")
        self._running: dict[tuple[str, ...], Future[Footprint]] = {}
        self._stopping = threading.Event()

    def known(self, archive: Archive, context: Context) -> Footprint | None:
        """Return the MOC of what a caller may see, None where it has to be computed.

        Raises:
            TransientFault: the database does not answer.
        """
        state = store.state(archive.database)
        key = _key(context)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.state == state:
                self._kept.move_to_end(key)
                return kept
        text = _kept(archive, context, state)
        return None if text is None else self._keep(key, Footprint.of(state, text))

    def computed(self, archive: Archive, context: Context) -> Footprint:
        """Return the MOC of what a caller may see; takes seconds with a million observations.

        Whoever asks waits for it no longer than for a synchronous query. It goes on being computed, for as
        long as a job may run, and is there for those who ask later.

        Raises:
            TransientFault: it is not there yet; too many callers wait; the database does not answer.
        """
        if known := self.known(archive, context):
            return known
        # Before the rows: what changes meanwhile makes another state, and this is computed again.
        future = self._started(archive, context, store.state(archive.database))
        try:
            return future.result(archive.settings.sync_seconds)
        except TimeoutError:
            told = (
                f"The coverage takes longer than {archive.settings.sync_seconds} s to compute, and goes on."
            )
            raise TransientFault(told, "Ask again in a minute.") from None
        except CancelledError:
            raise TransientFault("This process is about to end.", "Try again.") from None

    def close(self) -> None:
        """Stop what is being computed."""
        self._stopping.set()
        self._computing.shutdown(cancel_futures=True)

    def _started(self, archive: Archive, context: Context, state: str) -> Future[Footprint]:
        running = (*_key(context), state)
        with self._lock:
            if future := self._running.get(running):
                return future
            if len(self._running) >= REMEMBERED:
                raise TransientFault("Too many callers wait for their coverage.", "Try again later.")
            future = self._computing.submit(self._compute, archive, context, state)
            self._running[running] = future
        future.add_done_callback(lambda _: self._running.pop(running))
        return future

    def _compute(self, archive: Archive, context: Context, state: str) -> Footprint:
        text = _sky(archive, context, archive.settings.job_seconds, self._stopping)
        store.keep_footprint(archive.database, _caller(context), state, text, SHARED)
        return self._keep(_key(context), Footprint.of(state, text))

    def _keep(self, key: tuple[str, ...], footprint: Footprint) -> Footprint:
        with self._lock:
            self._kept[key] = footprint
            self._kept.move_to_end(key)
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


def order_of(parameters: Parameters) -> int:
    """Return the order of the smallest cells that a request asks for.

    Raises:
        UsageFault: it is none of 0 to :data:`ost_vo.vo.moc.ORDER`.
    """
    order = parameters.count("ORDER")
    if order is None:
        return moc.ORDER
    if order > moc.ORDER:
        raise UsageFault(f"The coverage has no cells of order {order}.", f"Give 0 to {moc.ORDER}.")
    return order


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


def _caller(context: Context) -> str:
    return json.dumps(context.visibility_settings(), sort_keys=True)


def _kept(archive: Archive, context: Context, state: str) -> str | None:
    """Return the MOC that has been kept: the registry's of what the world sees, or one of a process."""
    if _key(context) == _key(ANONYMOUS):
        kept = store.kept(archive.database)
        if kept is not None and kept.state == state:
            return kept.spatial
    return store.footprint(archive.database, _caller(context), state)


def _settings(archive: Archive, context: Context, seconds: int) -> dict[str, str]:
    return {**archive.transaction_settings(context), "statement_timeout": f"{seconds}s"}


def _sky(archive: Archive, context: Context, seconds: int, stopping: threading.Event | None = None) -> str:
    """Return the MOC of the observations that a caller may see, in ASCII."""
    deadline = time.monotonic() + seconds
    sky = moc.Sky()
    for fields in store.fields(archive.database, _settings(archive, context, seconds)):
        if stopping is not None and stopping.is_set():
            raise TransientFault("This process is about to end.", "Try again.")
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
