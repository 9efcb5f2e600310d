"""What a process has for jobs: its worker, what it hears of them, and who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from ost_vo.services.archive import Archive
from ost_vo.services.execution import Executor
from ost_vo.services.jobs import Jobs
from ost_vo.services.worker import EXECUTORS, NO_PLACES, Dispatch, Worker, dispatch_nowhere
from ost_vo.store.jobs import CHANNEL
from ost_vo.store.notices import Listener


class Waiting:
    """Coroutines that wait until something happens to a job.

    Args:
        loop: in which they run.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def on(self, job_id: str) -> Iterator[asyncio.Event]:
        """Hand out an event that is set whenever the job may have changed, until the end of the block."""
        event = asyncio.Event()
        events = self._events.setdefault(job_id, set())
        events.add(event)
        try:
            yield event
        finally:
            events.discard(event)
            if not events:
                self._events.pop(job_id, None)

    def tell(self, job_id: str | None = None) -> None:
        """Set the events of a job, or of all of them; for any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._set, job_id)

    def _set(self, job_id: str | None) -> None:
        told = list(self._events.values()) if job_id is None else [self._events.get(job_id, set())]
        for events in told:
            for event in events:
                event.set()


class Engine:
    """What a process needs for jobs.

    Args:
        archive: the open archive.
        slots: how many jobs it runs from the queue at a time; 0 where somebody else runs them.
        own: how many more of each kind that has places of its own.
        sweeps: whether it looks after jobs whose workers are dead.
        dispatch: tells a broker of a job that is QUEUED.
        executors: what runs each kind of job.
        loop: in which requests wait for jobs; None where there are none.

    Attributes:
        jobs: the use cases.
        worker: what runs jobs.
        waiting: who waits; None without an event loop.
    """

    def __init__(
        self,
        archive: Archive,
        slots: int,
        *,
        own: Mapping[str, int] = NO_PLACES,
        sweeps: bool = True,
        dispatch: Dispatch = dispatch_nowhere,
        executors: Mapping[str, Executor] = EXECUTORS,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.jobs = Jobs(archive, dispatch)
        self.worker = Worker(archive, slots, own=own, sweeps=sweeps, dispatch=dispatch, executors=executors)
        self.waiting = Waiting(loop) if loop else None
        dsn = archive.settings.dsn("ost_web")
        self._listener = Listener(dsn, CHANNEL, self._heard, self._resumed)

    def start(self) -> None:
        """Begin to listen and to work."""
        self._listener.start()
        self.worker.start()

    def stop(self) -> None:
        """Give running jobs back to the queue, and end all threads."""
        self.worker.stop()
        self._listener.stop()

    def _heard(self, payload: str) -> None:
        job_id, phase = payload.split(" ", 1)
        self.worker.hear(job_id, phase)
        if self.waiting:
            self.waiting.tell(job_id)

    def _resumed(self) -> None:
        self.worker.wake()
        if self.waiting:
            self.waiting.tell()
