"""What is done with a file after it is ingested: pictures, statistics of its pixels, plate solving.

Products wait in a queue that the database fills; whoever is told of one looks at its file in another process,
and writes down what came of it. Each file is tried once for each kind and its settings.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from ost_vo.faults import TransientFault
from ost_vo.services import dispersion, light_times, picture_store, solving
from ost_vo.services import statistics as rules
from ost_vo.services.looks import RETRY, Findings, Looking, Task
from ost_vo.services.solving import Placing
from ost_vo.settings import Settings
from ost_vo.store import analysis as store
from ost_vo.store.analysis import Item
from ost_vo.store.findings import ABSENT, DONE, FAILED, NONE, PREVIEW, SOLUTION, STATISTICS, Outcome
from ost_vo.store.ingesting import Rejected, open_connection
from ost_vo.store.notices import Listener
from ost_vo.store.products import FileState

log = structlog.get_logger(__name__)

# To be raised when pictures or statistics are made in another way, which has all of them made anew.
_PICTURES, _MEASURES = "1", "2"
# How often a product is taken whose worker ends over it each time.
MOST_ATTEMPTS = 3
# Without a notice, the queue is looked at again after so long [s], and what is not in it is sought [s].
POLL_SECONDS = 60.0
SWEEP_SECONDS = 3600.0
# How long to wait after the database has failed [s].
_RECOVERY_SECONDS = 5.0
_LEASE_MARGIN = 60.0
# After so long, a directory that was worked in belongs to nobody [s].
_STALE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What files are looked at with.

    Attributes:
        looking: looks at files.
        place: makes a solution of the solver's WCS.
    """

    looking: Looking
    place: Placing


def digests(settings: Settings) -> dict[str, str]:
    """Return what stands for the settings of each kind of analysis that is wanted."""
    chosen = {PREVIEW: _PICTURES, STATISTICS: _MEASURES}
    return {**chosen, SOLUTION: solving.digest(settings)} if settings.solve else chosen


class Analyst:
    """Works on the queue.

    Args:
        settings: of the archive.
        tools: what files are looked at with.
    """

    def __init__(self, settings: Settings, tools: Tools) -> None:
        self._settings = settings
        self._tools = tools
        self._digests = digests(settings)
        self._scratch = settings.state / "analysis"
        self._woken, self._stopping = threading.Event(), threading.Event()

    def work(self) -> int:
        """Queue what is left to do, work until nothing is due, and return how many products that were."""
        with open_connection(self._settings) as connection:
            self._sweep(connection)
            done = 0
            while self._one(connection):
                done += 1
            return done

    def follow(self) -> None:
        """Work whenever there is something in the queue, until `stop`."""
        dsn = self._settings.dsn("ost_ingest")
        listener = Listener(dsn, store.CHANNEL, lambda _: self._woken.set(), self._woken.set)
        listener.start()
        self._clear()
        try:
            while not self._stopping.is_set():
                try:
                    self._follow()
                except TransientFault as fault:
                    log.warning("analysis interrupted", reason=fault.detail)
                    self._stopping.wait(_RECOVERY_SECONDS)
        finally:
            listener.stop()

    def stop(self) -> None:
        """End `follow` when it is done with its product; for any thread."""
        self._stopping.set()
        self._woken.set()

    def _follow(self) -> None:
        """Work over one connection."""
        swept = -SWEEP_SECONDS
        with open_connection(self._settings) as connection:
            while not self._stopping.is_set():
                self._woken.clear()
                if time.monotonic() - swept >= SWEEP_SECONDS:
                    self._sweep(connection)
                    swept = time.monotonic()
                while not self._stopping.is_set() and self._one(connection):
                    pass
                if not self._stopping.is_set():
                    self._woken.wait(POLL_SECONDS)

    def _sweep(self, connection: store.Connection) -> None:
        """Queue what is left to do, and date what has come to have a position."""
        store.sweep(connection, self._digests)
        if done := light_times.complete(self._settings, connection):
            log.info("dates at Sun and barycentre computed", products=done)

    def _one(self, connection: store.Connection) -> bool:
        """Remove pictures that nobody has any more, and see to one product; False where none is due."""
        self._discard(connection)
        item = store.take(connection, self._lease)
        if item is None:
            return False
        try:
            pause = self._analyse(connection, item)
        except BaseException as error:
            # Whoever comes next need not wait for the lease to end; nor is being stopped an attempt.
            is_fault = isinstance(error, Exception) and not isinstance(error, TransientFault)
            store.postpone(connection, item, _RECOVERY_SECONDS, counts=is_fault)
            raise
        if pause:
            store.postpone(connection, item, pause, counts=False)
        else:
            store.finish(connection, item)
        return True

    @property
    def _lease(self) -> float:
        solver = solving.seconds(self._settings) if self._settings.solve else 0.0
        return 2 * self._settings.analysis_seconds + solver + _LEASE_MARGIN

    def _analyse(self, connection: store.Connection, item: Item) -> float:
        """Do what is left to do for a product; return how long the rest has to wait [s], 0 for none left."""
        wanted = [kind for kind, digest in self._digests.items() if (kind, digest) not in item.tried]
        if SOLUTION in wanted and not item.is_solvable:
            wanted.remove(SOLUTION)
        if not wanted:
            return 0.0
        if item.attempts > MOST_ATTEMPTS:
            store.record(connection, item, self._all(wanted, FAILED, "Whoever looked at it ended over it."))
            return 0.0
        state = self._state(item)
        if state is None:
            store.record(connection, item, self._all(wanted, ABSENT, "The file is not on disk."))
        if state != item.file:
            # What has changed waits for ingest, which queues it again.
            return 0.0
        is_spectrum = False
        if PREVIEW in wanted or STATISTICS in wanted:
            is_spectrum = self._picture(connection, item)
        return self._solve(connection, item) if SOLUTION in wanted and not is_spectrum else 0.0

    def _all(self, kinds: list[str], state: str, reason: str) -> list[Outcome]:
        return [Outcome(kind, self._digests[kind], state, reason) for kind in kinds]

    def _state(self, item: Item) -> FileState | None:
        """Return a file as it is on disk, None where there is none below the data root."""
        path = self._settings.data / item.file.path
        try:
            if not path.resolve(strict=True).is_relative_to(self._settings.data):
                return None
            status = path.stat()
        except OSError:
            return None
        return FileState.of(item.file.path, status.st_size, status.st_mtime_ns)

    def _picture(self, connection: store.Connection, item: Item) -> bool:
        """Keep pictures and statistics; return whether the pixels make the product a spectrum."""
        with self._directory() as scratch:
            found = self._look(item, scratch)
            if found.state == DONE and self._state(item) == item.file:
                picture_store.keep(self._settings, item.sha256.hex(), scratch)
        outcomes = [Outcome(PREVIEW, self._digests[PREVIEW], found.state, found.reason)]
        outcomes.append(self._of_statistics(found))
        # Nobody asks the pixels where somebody has said what it is.
        ridges = None if item.is_said else found.ridges
        seen = (item.header_type, item.exposure_type, item.position_source, ridges)
        doubts = [*self._doubts(connection, item, found), *dispersion.doubts(*seen)]
        is_spectrum = dispersion.is_told(*seen)
        store.record_pixels(connection, item, outcomes, found.statistics, doubts, is_dispersed=is_spectrum)
        if found.state == FAILED:
            log.warning("no preview", path=item.file.path, reason=found.reason)
        return is_spectrum

    def _of_statistics(self, found: Findings) -> Outcome:
        digest = self._digests[STATISTICS]
        if found.statistics is not None:
            return Outcome(STATISTICS, digest, DONE)
        if found.state == DONE:
            return Outcome(STATISTICS, digest, NONE, "Its values are not those of a detector.")
        return Outcome(STATISTICS, digest, found.state, found.reason)

    def _doubts(self, connection: store.Connection, item: Item, found: Findings) -> list[tuple[str, str]]:
        if found.statistics is None:
            return []
        is_compared = item.exposure_type in rules.COMPARED_WITH_BIAS
        biases = store.reference_medians(connection, item, "bias") if is_compared else []
        reasons = rules.doubts(
            item.exposure_type, item.product_type, item.t_exptime, found.statistics, biases
        )
        return [(rules.KEYWORD, reason) for reason in reasons]

    def _solve(self, connection: store.Connection, item: Item) -> float:
        """Solve an image, or return how long to wait with it [s]."""
        pause = store.solving_pause(connection, self._settings.solve_per_hour)
        if pause:
            return pause
        with self._directory() as scratch:
            seen = self._look(item, scratch, is_for_solving=True)
            if seen.plane is None:
                outcome, found = Outcome(SOLUTION, self._digests[SOLUTION], seen.state, seen.reason), None
            else:
                outcome, found = solving.solve(self._settings, item, seen.plane, scratch, self._tools.place)
        if found is not None:
            found = solving.with_light_time(self._settings, item, found)
        try:
            store.record_solution(connection, item, outcome, found)
        except Rejected as fault:
            if found is None:
                raise
            # The position is worth having without an outline that pgSphere does not take.
            log.warning("outline left out", path=item.file.path, reason=fault.detail)
            bare = replace(found, s_region=None, region=None)
            store.record_solution(connection, item, outcome, bare)
        log.info("plate solving", path=item.file.path, state=outcome.state, reason=outcome.reason)
        return 0.0

    def _look(self, item: Item, scratch: Path, *, is_for_solving: bool = False) -> Findings:
        task = Task(
            str(self._settings.data / item.file.path),
            item.product_type,
            str(scratch),
            self._settings.analysis_seconds,
            self._settings.analysis_memory << 20,
            is_for_solving,
        )
        found = self._tools.looking.look(task)
        if found.state == RETRY:
            raise TransientFault(f"No preview of {item.file.path} can be made now: {found.reason}")
        return found

    def _discard(self, connection: store.Connection) -> None:
        """Remove the pictures of bytes that no product has any more."""
        while gone := store.take_discarded(connection):
            picture_store.remove(self._settings, [digest.hex() for digest in gone])
            # Whose file has come to have these bytes meanwhile gets pictures anew.
            store.requeue_bytes(connection, gone)

    @contextmanager
    def _directory(self) -> Iterator[Path]:
        """Make a directory to work in, on the disk that pictures are kept on, and remove it in the end."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as directory:
            yield Path(directory)

    def _clear(self) -> None:
        """Remove what workers that were killed have left."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        for left in self._scratch.iterdir():
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
