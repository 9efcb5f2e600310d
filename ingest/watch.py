"""Watching the data root: files are ingested when they are complete, and noted as missing when they go."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import structlog
from psycopg2.extensions import connection as Connection
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from ingest import discovery, formats
from ingest.load import Loader, Outcome
from ingest.settle import Settling
from ost_vo.faults import UsageFault
from ost_vo.settings import Settings
from ost_vo.store import quarantine
from ost_vo.store.products import open_connection

_log = structlog.get_logger(__name__)
_POLL_SECONDS = 10.0
# Opening and closing for reading are events, too; reacting to those would make our own reading an event.
_CHANGES = ("created", "modified", "closed", "moved")


@dataclass(frozen=True, slots=True)
class _Event:
    """A path that changed, or one that is gone."""

    path: Path
    is_gone: bool


_Events = queue.SimpleQueue[_Event | None]


def watch(settings: Settings) -> None:
    """Ingest what is below the data root, and what comes, until SIGTERM or SIGINT; in the main thread only.

    Args:
        settings: of the installation; `watch_delay` is how long a file must stay as it is.

    Raises:
        UsageFault: there is no data root.
        TransientFault: the database failed; started again, the watch finds what it missed.
    """
    if not settings.data.is_dir():
        raise UsageFault(f"The data root {settings.data} is no directory.", "Set OST_VO_DATA_ROOT.")
    events: _Events = queue.SimpleQueue()
    with (
        _ended_by_signals(events) as ended,
        open_connection(settings) as connection,
        _observed(settings.data, events),
    ):
        watcher = _Watcher(connection, settings, events, ended)
        _log.info("watching", root=str(settings.data), delay=settings.watch_delay)
        watcher.scan(settings.data)
        watcher.run()
    _log.info("watch ended")


class _Watcher:
    """Turns events into calls of the loader, in one thread."""

    def __init__(
        self, connection: Connection, settings: Settings, events: _Events, ended: threading.Event
    ) -> None:
        self._connection = connection
        self._ended = ended
        self._root = settings.data
        self._delay = settings.watch_delay
        self._events = events
        self._loader = Loader(connection, settings)
        self._settling = Settling(settings.watch_delay)

    def scan(self, path: Path) -> None:
        """Take in what lies below a path, and wait for the files that changed within the delay."""
        recent = (time.time() - self._delay) * 1e9
        self._load(found for found in discovery.find([path]) if not self._is_young(found, recent))

    def run(self) -> None:
        """Handle events until the one that ends it."""
        while True:
            try:
                event = self._events.get(timeout=self._patience())
            except queue.Empty:
                self._load_due()
                continue
            if event is None:
                return
            self._handle(event)
            self._load_due()

    def _is_young(self, found: discovery.Found, recent: float) -> bool:
        if formats.is_temporary(found.path.name):
            return True
        if found.modified_ns > recent and formats.is_fits(found.path.name):
            self._settling.note(found.path, time.monotonic())
            return True
        return False

    def _patience(self) -> float | None:
        deadline = self._settling.next_deadline()
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _handle(self, event: _Event) -> None:
        if event.is_gone:
            self._settling.forget(event.path)
            if not event.path.exists():
                self._note_missing(event.path)
        elif event.path.is_dir() or formats.is_fits(event.path.name) or formats.refusal(event.path.name):
            self._settling.note(event.path, time.monotonic())

    def _note_missing(self, path: Path) -> None:
        try:
            is_mounted = any(self._root.iterdir())
        except OSError:
            is_mounted = False
        if not is_mounted or not discovery.has_utf8_name(path):
            return  # an empty root is a file system that is not mounted, not a night's work deleted
        relative = discovery.relative(path, self._root)
        quarantine.remove(self._connection, [relative])
        if count := self._loader.mark_missing(relative):
            _log.warning("files are gone", path=relative, products=count)

    def _load_due(self) -> None:
        for path in self._settling.due(time.monotonic()):
            if path.is_dir():
                self.scan(path)
            else:
                self._load(discovery.find([path]))

    def _load(self, found: Iterator[discovery.Found]) -> None:
        wanted = takewhile(lambda _: not self._ended.is_set(), found)
        report = self._loader.load(wanted, _log_outcome)
        for path, reason in report.quarantined:
            _log.warning("in quarantine", path=path, reason=reason)


def _log_outcome(path: Path, outcome: Outcome) -> None:
    if outcome in (Outcome.INGESTED, Outcome.UPDATED):
        _log.info(outcome.value, path=str(path))


class _Handler(FileSystemEventHandler):
    """Hands the events of watchdog's thread to the watch."""

    def __init__(self, events: _Events) -> None:
        self._events = events

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in ("deleted", "moved"):
            self._put(event.src_path, is_gone=True)
        if event.event_type in _CHANGES and not (event.is_directory and event.event_type == "modified"):
            self._put(event.dest_path if event.event_type == "moved" else event.src_path, is_gone=False)

    def _put(self, name: bytes | str, *, is_gone: bool) -> None:
        path = Path(os.fsdecode(name))
        if name and not formats.is_temporary(path.name):
            self._events.put(_Event(path, is_gone))


@contextmanager
def _observed(root: Path, events: _Events) -> Iterator[None]:
    """Have events delivered for the time of a block: by inotify, or by polling where that fails."""
    observer: BaseObserver = Observer()
    try:
        observer.schedule(_Handler(events), str(root), recursive=True)
        observer.start()
    except OSError as error:
        _log.warning("inotify fails, polling instead", reason=str(error), interval=_POLL_SECONDS)
        observer = PollingObserver(timeout=_POLL_SECONDS)
        observer.schedule(_Handler(events), str(root), recursive=True)
        observer.start()
    try:
        yield
    finally:
        observer.stop()
        observer.join()


@contextmanager
def _ended_by_signals(events: _Events) -> Iterator[threading.Event]:
    """Yield what SIGTERM and SIGINT set; they also send the event that ends the watch."""
    ended = threading.Event()

    def end(*_: object) -> None:
        ended.set()
        events.put(None)

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ended
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
