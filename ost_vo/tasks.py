"""Celery: ids of jobs in, phases out. Nothing else here knows what a broker is.

A message only says that a job waits. Whoever gets it claims the job in the database, so that a message that
comes twice or late does no harm, and one that is lost is sent again.
"""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any
from urllib.parse import quote

import structlog
from celery import Celery, signals
from celery.schedules import crontab
from kombu.exceptions import OperationalError

from ost_vo.services import policies
from ost_vo.services.archive import Archive
from ost_vo.services.engine import Engine
from ost_vo.services.execution import Executor
from ost_vo.services.places import Places
from ost_vo.services.worker import EXECUTORS, Dispatch
from ost_vo.settings import Settings
from ost_vo.store.jobs import JobStore
from ost_vo.vo import binary2, tabledata

log = structlog.get_logger(__name__)

TASK = "ost_vo.run"
NIGHTLY = "ost_vo.nightly"
QUEUE = "ost_vo.jobs"
# How long a process of the worker may take to start [s].
START_SECONDS = 60.0
# How long a connection to Redis may take [s].
CONNECT_SECONDS = 2


def create(settings: Settings) -> Celery:
    """Return the Celery application, whose broker is the Redis of the installation."""
    app = Celery(
        "ost_vo", broker=f"redis+socket://{quote(str(settings.sockets / 'redis.sock'))}", set_as_current=False
    )
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        # A job may take hours: no worker takes one while it is busy with another.
        worker_prefetch_multiplier=1,
        # A busy machine takes longer than Celery's 4 s to connect and to load what is compiled.
        worker_proc_alive_timeout=START_SECONDS,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_connect_timeout": CONNECT_SECONDS},
    )
    return app


def dispatcher(settings: Settings) -> Dispatch:
    """Return what tells the workers that a job is QUEUED."""
    app = create(settings)
    # A request must not wait for Redis: the job is in the database, and a reminder follows.
    app.conf.broker_transport_options |= {"max_retries": 0, "socket_timeout": CONNECT_SECONDS}
    return _sender(app)


def _sender(app: Celery) -> Dispatch:
    def dispatch(job_id: str) -> None:
        try:
            app.send_task(TASK, [job_id], retry=False)
        except OperationalError as error:
            log.warning("broker not reached", job=job_id, reason=str(error))

    return dispatch


def work(
    settings: Settings,
    executors: Mapping[str, Executor] = EXECUTORS,
    own: Mapping[str, int] | None = None,
    nightly: Callable[[], object] | None = None,
) -> None:
    """Run jobs until ended, in as many processes as there are places for jobs of all kinds.

    Args:
        settings: of the installation.
        executors: what runs each kind of job.
        own: how many places each kind has that shares none; as the settings say if None.
        nightly: what is done at the times of day of ``watch_reconcile_at``, one worker at a time.
    """
    app = create(settings)
    places = Places(executors, settings.job_slots, policies.places(settings) if own is None else own)
    process = _Process(settings, executors, places, _sender(app))
    app.task(name=TASK)(process.run)
    if nightly:
        schedule(app, settings, nightly)
    signals.worker_process_init.connect(process.open)
    signals.worker_process_shutdown.connect(process.close)
    app.worker_main(
        [
            "worker",
            f"--concurrency={places.count}",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            *(["--beat", "--scheduler=celery.beat.Scheduler"] if app.conf.beat_schedule else []),
        ]
    )


def schedule(app: Celery, settings: Settings, nightly: Callable[[], object]) -> None:
    """Have something done at the times of day of ``watch_reconcile_at``, to the minute."""

    # Celery takes a function apart by its name, which whatever is handed in need not have.
    def run() -> None:
        nightly()

    app.task(name=NIGHTLY)(run)
    app.conf.timezone = settings.time_zone
    times = [
        time.fromisoformat(text)
        for text in filter(None, map(str.strip, settings.watch_reconcile_at.split(",")))
    ]
    app.conf.beat_schedule = {
        f"nightly at {moment:%H:%M}": {
            "task": NIGHTLY,
            "schedule": crontab(hour=moment.hour, minute=moment.minute),
            # What nobody fetches in time, as while no worker runs, is for the next night.
            "options": {"expires": 3600},
        }
        for moment in times
    }
    signals.beat_embedded_init.connect(_end_with_parent)


def _end_with_parent(**_: Any) -> None:
    """Have the clock's process end with its worker, even if that is killed (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class _Process:
    """What lives as long as one process of a worker."""

    def __init__(
        self, settings: Settings, executors: Mapping[str, Executor], places: Places, dispatch: Dispatch
    ) -> None:
        self._settings = settings
        self._executors = executors
        self._places = places
        self._dispatch = dispatch
        self._archive: Archive | None = None
        self._engine: Engine | None = None

    def open(self, **_: Any) -> None:
        """Connect; called in the new process."""
        self._archive = Archive.open(self._settings)
        binary2.warm()
        tabledata.warm()
        # The web service sweeps.
        self._engine = Engine(self._archive, 0, sweeps=False, executors=self._executors)
        self._engine.start()

    def close(self, **_: Any) -> None:
        """Give the running job back, and disconnect."""
        if self._engine and self._archive:
            self._engine.stop()
            self._archive.close()

    def run(self, job_id: str) -> str | None:
        """Run the job of this one's kind that waits longest, if there is a place for it.

        Where there is none, whoever leaves a place looks for the job.

        Returns:
            The phase in which the job is then, None if there is no such job.
        """
        assert self._engine is not None
        assert self._archive is not None
        store = JobStore(self._archive.jobs_database)
        job = store.get(job_id)
        if job is None or job.kind not in self._executors:
            return None
        kinds = self._places.beside(job.kind)
        with self._places.taken(job.kind) as has_place:
            if has_place:
                self._engine.worker.run_next(kinds)
        if has_place and (waiting := store.first_in_queue(kinds)):
            self._dispatch(waiting)
        job = store.get(job_id)
        return job.phase if job else None
