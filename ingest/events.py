"""What happens below the data root, as inotify or a look now and then tells it."""

from __future__ import annotations

import ctypes
import errno
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify_c import InotifyConstants, inotify_add_watch, inotify_init
from watchdog.observers.polling import PollingObserver

from ingest.discovery import Ignored
from ost_vo.settings import Settings

_log = structlog.get_logger(__name__)
_MAX_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_LIMITS = {
    errno.ENOSPC: "more directories than fs.inotify.max_user_watches allows",
    errno.EMFILE: "more watching programs than fs.inotify.max_user_instances allows",
}


class Kind(Enum):
    """What happened.

    COMPLETED is a file that got its name by a rename from one that is ignored: nobody writes to it any more.
    BROKEN means that events may have been lost.
    """

    CREATED = auto()
    MODIFIED = auto()
    COMPLETED = auto()
    MOVED = auto()
    DELETED = auto()
    BROKEN = auto()


# Opening and closing for reading are events, too; reacting to those would make our own reading an event.
_KINDS = {
    "created": Kind.CREATED,
    "modified": Kind.MODIFIED,
    "closed": Kind.MODIFIED,
    "deleted": Kind.DELETED,
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a path.

    Attributes:
        kind: what.
        path: where it is now, or was before it was deleted.
        is_directory: whether it is a directory.
        old: where it was before, of one that moved.
    """

    kind: Kind
    path: Path
    is_directory: bool = False
    old: Path | None = None


# None ends the watch.
Events = queue.SimpleQueue[Event | None]


@contextmanager
def observed(settings: Settings, events: Events) -> Iterator[None]:
    """Have events delivered for the time of a block: by inotify, or by polling where that is set or fails.

    Args:
        settings: of the installation.
        events: where they go. One of the kind BROKEN tells that the block is to be left and entered anew.
    """
    handler = _Handler(settings.data, Ignored.of(settings), events)
    observer = _started(settings, handler)
    previous = threading.excepthook

    def note(failure: threading.ExceptHookArgs) -> None:
        _log.error("observation failed", reason=repr(failure.exc_value))
        events.put(Event(Kind.BROKEN, settings.data))

    threading.excepthook = note
    try:
        yield
    finally:
        threading.excepthook = previous
        observer.stop()
        observer.join()


def _started(settings: Settings, handler: _Handler) -> BaseObserver:
    root, interval = str(settings.data), settings.watch_polling_interval
    if not settings.watch_polling:
        try:
            _check_limit(settings.data)
            observer: BaseObserver = Observer()
            observer.schedule(handler, root, recursive=True)
            observer.start()
            handler.has_inotify = True
            return observer
        except OSError as error:
            reason = _LIMITS.get(error.errno or 0, str(error))
            _log.warning("inotify fails, polling instead", reason=reason, interval=interval)
    observer = PollingObserver(timeout=interval)
    observer.schedule(handler, root, recursive=True)
    observer.start()
    return observer


def _check_limit(root: Path) -> None:
    """Raise OSError where there are more directories than watches: watchdog would keep all those it got."""
    limit = int(_MAX_WATCHES.read_text())
    for directories, _ in enumerate(os.walk(root), 1):
        if directories > limit:
            raise OSError(errno.ENOSPC, f"more than {limit} directories")


def _is_watched(directory: Path) -> bool:
    """Whether inotify has a watch left, so that watchdog, which says nothing otherwise, got one, too."""
    descriptor = inotify_init()
    if descriptor < 0:
        return True
    try:
        watch = inotify_add_watch(descriptor, os.fsencode(directory), InotifyConstants.IN_CREATE)
        return bool(watch >= 0 or ctypes.get_errno() != errno.ENOSPC)
    finally:
        os.close(descriptor)


class _Handler(FileSystemEventHandler):
    """Hands the events of watchdog's thread on."""

    def __init__(self, root: Path, ignored: Ignored, events: Events) -> None:
        self._root = root
        self._ignored = ignored
        self._events = events
        self.has_inotify = False

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_synthetic:
            return  # of what is in a directory that moved, which is looked at as a whole
        if event.event_type == "moved":
            self._put_move(_path(event.src_path), _path(event.dest_path), event.is_directory)
        elif (kind := _KINDS.get(event.event_type)) and not (
            event.is_directory and event.event_type == "modified"
        ):
            self._put(kind, _path(event.src_path), event.is_directory)

    def _put_move(self, old: Path, new: Path, is_directory: bool) -> None:
        if self._is_ignored(old):
            self._put(Kind.CREATED if is_directory else Kind.COMPLETED, new, is_directory)
        elif self._is_ignored(new):
            self._put(Kind.DELETED, old, is_directory)
        else:
            self._events.put(Event(Kind.MOVED, new, is_directory, old))

    def _put(self, kind: Kind, path: Path, is_directory: bool) -> None:
        if self._is_ignored(path):
            return
        self._events.put(Event(kind, path, is_directory))
        if kind is Kind.CREATED and is_directory and self.has_inotify and not _is_watched(path):
            _log.warning("inotify is at its limit", reason=_LIMITS[errno.ENOSPC])
            self._events.put(Event(Kind.BROKEN, path))

    def _is_ignored(self, path: Path) -> bool:
        return not path.is_relative_to(self._root) or self._ignored.path(path, self._root)


def _path(name: bytes | str) -> Path:
    return Path(os.fsdecode(name))
