"""Watching the data root: files are ingested when they are complete, followed, and noted as missing."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path

import structlog
from psycopg2.extensions import connection as Connection

from ingest import discovery, formats, lists, moving, nightly, reconcile
from ingest.discovery import Found, Ignored
from ingest.events import Event, Events, Kind, observed
from ingest.load import Loader, Outcome
from ingest.moving import Rename
from ingest.reconcile import LossFault, Reconciler
from ingest.settle import Settling
from ost_vo.catalogues import lookup
from ost_vo.faults import TransientFault, UsageFault
from ost_vo.settings import Settings
from ost_vo.store import moves, quarantine
from ost_vo.store.ingesting import open_connection
from ost_vo.store.moves import Located

_log = structlog.get_logger(__name__)
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 60.0  # before another attempt [s]
_CHECK_SECONDS = 5.0  # between two looks whether the data root is still there
# The kernel keeps 16,384 events for a program that is slow, and drops the others without a word.
_BURST = 8192
_WARM_AFTER_SECONDS = 5.0
_MOVES_SECONDS = 0.25  # within which the moves follow each other that belong together
_BATCH = 500


def watch(settings: Settings) -> None:
    """Ingest what is below the data root, and what comes, until SIGTERM or SIGINT; in the main thread only.

    A database that does not answer and a data root that is gone are waited for; the comparison with the disk
    that follows finds what happened meanwhile.

    Args:
        settings: of the installation; those that begin with `watch_` decide when a file is read.

    Raises:
        UsageFault: there is no data root.
    """
    if not settings.data.is_dir():
        raise UsageFault(f"The data root {settings.data} is no directory.", "Set OST_VO_DATA_ROOT.")
    # Before there is a file that would wait for them.
    lookup.load()
    events: Events = queue.SimpleQueue()
    pauses = _Pauses()
    with _ended_by_signals(events) as ended:
        threading.Thread(target=_warm, args=(ended,), name="warm").start()
        while not ended.is_set():
            try:
                _watch_once(settings, events, ended, pauses)
            except TransientFault as fault:
                _log.warning("the database fails, trying again", reason=fault.detail, seconds=pauses.seconds)
            except LossFault as fault:
                _log.error("the data root is gone, waiting", reason=fault.detail, seconds=pauses.seconds)
            if not ended.is_set():
                ended.wait(pauses.next())
    _log.info("watch ended")


def _warm(ended: threading.Event) -> None:
    """Have ready what takes seconds the first time: no file that was packed with compress waits for it."""
    # The comparison with the disk comes first; a new file waits longer than this.
    if not ended.wait(_WARM_AFTER_SECONDS):
        from ingest import lzw  # numba takes a while to import

        lzw.warm()


class _Pauses:
    """How long to wait before another attempt: longer each time, until one succeeds."""

    def __init__(self) -> None:
        self.seconds = _FIRST_PAUSE

    def next(self) -> float:
        """Return this pause [s], and double the next."""
        seconds = self.seconds
        self.seconds = min(2 * seconds, _LAST_PAUSE)
        return seconds

    def reset(self) -> None:
        """Begin anew."""
        self.seconds = _FIRST_PAUSE


def _watch_once(settings: Settings, events: Events, ended: threading.Event, pauses: _Pauses) -> None:
    """Watch until ended, or until something is to be begun anew; a lost data root sounds the alarm."""
    with open_connection(settings) as connection:
        try:
            reconcile.check_root(connection, settings)
            with (
                observed(settings, events),
                closing(_Watcher(connection, settings, events, ended)) as watcher,
            ):
                _log.info("watching", root=str(settings.data), delay=settings.watch_delay)
                watcher.reconcile()
                pauses.reset()
                watcher.run()
        except LossFault as fault:
            reconcile.sound_alarm(connection, fault)
            raise


class _Watcher:
    """Turns events into calls of the loader, in one thread."""

    def __init__(
        self, connection: Connection, settings: Settings, events: Events, ended: threading.Event
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._ended = ended
        self._root = settings.data
        self._identity = _identity(settings.data)
        self._ignored = Ignored.of(settings)
        self._events = events
        self._loader = Loader(connection, settings)
        self._settling = Settling(settings.watch_stability)
        self._gone: dict[Path, tuple[float, bool]] = {}
        self._burst = 0
        self._held_back: list[Event | None] = []
        self._next_check = time.monotonic() + _CHECK_SECONDS
        self._next_reconcile = self._nightly()

    def reconcile(self) -> None:
        """Compare everything, and wait for the files that changed lately."""
        reconciler = Reconciler(
            self._connection, self._settings, self._loader, self._is_put_off, _log_outcome
        )
        reconcile.check_root(self._connection, self._settings)
        started = time.monotonic()
        try:
            findings = reconciler.run()
            for path, reason in findings.report.quarantined if findings.report else ():
                _log.warning("in quarantine", path=path, reason=reason)
            seconds = round(time.monotonic() - started, 3)
            _log.info("compared with the disk", findings=str(findings), seconds=seconds)
            for stray in findings.strays:
                _log.warning("no run", name=stray.name, reason=stray.reason)
        except LossFault as fault:
            _log.error("files are gone, and not noted as missing", reason=str(fault))
            self._scan([self._root])
        self._next_reconcile = self._nightly()

    def _nightly(self) -> float:
        """Return when the next full comparison is due [s since 1970]; where there is a broker, never here."""
        return float("inf") if self._settings.broker else nightly.following(self._settings, time.time())

    def close(self) -> None:
        """End the processes that read files."""
        self._loader.close()

    def run(self) -> None:
        """Handle events until the one that ends it, or until the data root has to be observed anew."""
        while True:
            try:
                event = self._next_event()
                if event is None or event.kind is Kind.BROKEN:
                    return
                self._handle(event)
            except queue.Empty:
                self._rest()
            if not self._is_same_root():
                return
            self._act(time.monotonic())

    def _next_event(self) -> Event | None:
        """Return the next event; raises queue.Empty where there is something else to do."""
        if self._held_back:
            return self._held_back.pop()
        event = self._events.get(timeout=self._patience())
        self._burst += 1
        return event

    def _patience(self) -> float:
        """Return how long nothing is to be done [s], when no event comes."""
        now = time.monotonic()
        # By the clock on the wall, which may be set, so it is read again at each check.
        deadlines = [self._next_check, now + self._next_reconcile - time.time()]
        if (deadline := self._settling.next_deadline()) is not None:
            deadlines.append(deadline)
        if self._gone:
            deadlines.append(min(deadline for deadline, _ in self._gone.values()))
        return max(0.0, min(deadlines) - now)

    def _rest(self) -> None:
        """Make good what a burst of events may have lost, now that it is over."""
        if self._burst > _BURST:
            self.reconcile()
        self._burst = 0

    def _act(self, now: float) -> None:
        self._note_gone(now)
        self._load_due(now)
        if time.time() >= self._next_reconcile:
            self.reconcile()

    def _is_same_root(self) -> bool:
        """Whether the data root is still what it was; raises LossFault where it looks unmounted."""
        now = time.monotonic()
        if _identity(self._root) != self._identity:
            return False
        if now < self._next_check:
            return True
        self._next_check = now + _CHECK_SECONDS
        self._loader.rest()
        reconcile.check_root(self._connection, self._settings)
        return True

    def _handle(self, event: Event) -> None:
        now = time.monotonic()
        if event.kind is Kind.DELETED:
            self._settling.forget(event.path)
            self._gone[event.path] = (now + self._settings.watch_debounce, event.is_directory)
        elif event.kind is Kind.MOVED:
            self._follow(list(self._moves_from(event)), now)
        elif self._is_wanted(event.path):
            self._gone.pop(event.path, None)
            is_new = event.kind is Kind.CREATED
            wait = self._settings.watch_delay if is_new else self._settings.watch_debounce
            self._settling.note(event.path, now, wait)

    def _moves_from(self, event: Event) -> Iterator[Event]:
        """Yield a move and those that come with it: polling tells each file of a run that was renamed."""
        next_event: Event | None = event
        while next_event is not None and next_event.kind is Kind.MOVED:
            yield next_event
            try:
                next_event = self._events.get(timeout=_MOVES_SECONDS)
            except queue.Empty:
                return
            self._burst += 1
        self._held_back.append(next_event)

    def _follow(self, events: Sequence[Event], now: float) -> None:
        """Have products follow renames; what is no product yet is looked at later."""
        renames = [rename for event in events if (rename := self._rename(event))]
        followed = reconcile.follow(self._connection, self._root, renames)
        arrived = {move.path for move in followed}
        if followed:
            _log.info("moved", old=followed[0].located.file.path, path=followed[0].path, files=len(followed))
        for event in events:
            assert event.old is not None
            self._settling.forget(event.old)
            self._gone[event.old] = (now + self._settings.watch_debounce, event.is_directory)
        for event in events:
            if self._is_wanted(event.path) and discovery.relative(event.path, self._root) not in arrived:
                self._gone.pop(event.path, None)
                self._settling.note(event.path, now, self._settings.watch_delay)

    def _rename(self, event: Event) -> Rename | None:
        """Return a move as one of the archive, None where a file came to be in no run or has an odd name."""
        assert event.old is not None
        if not (discovery.has_utf8_name(event.old) and discovery.has_utf8_name(event.path)):
            return None
        old, new = (discovery.relative(path, self._root) for path in (event.old, event.path))
        return Rename(old, new, event.is_directory) if event.is_directory or "/" in new else None

    def _is_wanted(self, path: Path) -> bool:
        is_read = formats.is_data(path.name) or lists.is_list(path.name)
        return is_read or formats.refusal(path.name) is not None or _is_directory(path)

    def _is_put_off(self, found: Found) -> bool:
        """Whether a file that a scan finds is left for later; then it is waited for."""
        if self._ended.is_set():
            return True
        age = time.time() - found.modified_ns / 1e9
        if age >= self._settings.watch_delay or not formats.is_data(found.path.name) or found.problem:
            return False
        wait = min(self._settings.watch_delay - age, self._settings.watch_delay)
        self._settling.note(found.path, time.monotonic(), wait)
        return True

    def _note_gone(self, now: float) -> None:
        """Note as missing what was deleted a while ago and is not back."""
        due = [path for path, (deadline, _) in self._gone.items() if deadline <= now]
        if not due:
            return
        # An empty root is a file system that is not mounted, not a night's work deleted.
        reconcile.check_root(self._connection, self._settings)
        directories = {path for path in due if self._gone[path][1]}
        gone = [path for path in due if not os.path.lexists(path) and discovery.has_utf8_name(path)]
        for path in due:
            del self._gone[path]
        self._mark_missing(self._products_of(gone, directories))
        for names in _slices([discovery.relative(path, self._root) for path in gone]):
            quarantine.remove(self._connection, names)

    def _products_of(self, gone: Sequence[Path], directories: set[Path]) -> list[Located]:
        """Return the products at paths and below directories whose files are not there."""
        files = [discovery.relative(path, self._root) for path in gone if path not in directories]
        found: dict[int, Located] = {}
        for names in _slices(files):
            found |= {p.product_id: p for p in moves.at(self._connection, names) if not p.is_deleted}
        for path in gone:
            if path in directories:
                below = moves.below(self._connection, discovery.relative(path, self._root))
                found |= {p.product_id: p for p in below if not p.is_deleted}
        present = [product for product in found.values() if not product.is_missing]
        return [p for p in present if moving.is_absent(self._root, p.file.path)]

    def _mark_missing(self, lost: Sequence[Located]) -> None:
        try:
            reconcile.check_loss(self._connection, self._settings, len(lost))
        except LossFault as fault:
            _log.error("files are gone, and not noted as missing", reason=str(fault))
            reconcile.sound_alarm(self._connection, fault)
            return
        if count := moves.mark_missing(self._connection, lost):
            _log.warning("files are gone", path=lost[0].file.path, products=count)

    def _load_due(self, now: float) -> None:
        due = self._settling.due(now)
        files = [path for path in due if not _is_directory(path)]
        if files:
            self._load(map(discovery.look_at, files))
        self._scan([path for path in due if _is_directory(path)])

    def _scan(self, directories: Sequence[Path]) -> None:
        """Take in what lies below directories, and wait for the files that changed lately."""
        found = discovery.find(directories, self._ignored)
        self._load(one for one in found if not self._is_put_off(one))

    def _load(self, found: Iterable[Found]) -> None:
        wanted = takewhile(lambda _: not self._ended.is_set(), found)
        report = self._loader.load(wanted, _log_outcome)
        for path, reason in report.quarantined:
            _log.warning("in quarantine", path=path, reason=reason)


def _log_outcome(path: Path, outcome: Outcome) -> None:
    if outcome in (Outcome.INGESTED, Outcome.UPDATED, Outcome.MOVED):
        _log.info(outcome.value, path=str(path))


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _slices(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


@contextmanager
def _ended_by_signals(events: Events) -> Iterator[threading.Event]:
    """Yield what SIGTERM and SIGINT set; they also send the event that ends the watch."""
    ended = threading.Event()

    def end(*_: object) -> None:
        ended.set()
        events.put(None)

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ended
    finally:
        ended.set()
        for number, handler in previous.items():
            signal.signal(number, handler)
