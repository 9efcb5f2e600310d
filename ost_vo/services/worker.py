"""Running jobs: inside the service, or for whoever hands over the id of a job.

A worker gives signs of life for the jobs that it runs. Any worker that sweeps takes jobs from those that have
fallen silent, destroys what is due, and removes files that belong to no job.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from ost_vo.access.context import Context
from ost_vo.faults import FatalFault, Fault, TransientFault
from ost_vo.services import contexts, downloads, reconcile_jobs, soda_jobs, tap_jobs
from ost_vo.services.archive import Archive
from ost_vo.services.execution import DISK_FULL, Execution, Executor, directory
from ost_vo.store.jobs import DELETED, Claim, JobStore
from ost_vo.vo.uws import Failure, Phase, Result

log = structlog.get_logger(__name__)

EXECUTORS: Mapping[str, Executor] = {
    tap_jobs.KIND: tap_jobs.execute,
    soda_jobs.KIND: soda_jobs.execute,
    downloads.KIND: downloads.execute,
    reconcile_jobs.KIND: reconcile_jobs.execute,
}

# How often a job is tried when its workers die.
ATTEMPTS = 3
# Signs of life in the time after which a silent worker counts as dead.
BEATS = 6
# How long a slot without work waits for a notice before it looks at the queue all the same [s].
IDLE_SECONDS = 10.0
# After how long a job that nobody has taken is handed to the broker again [s].
REMIND_SECONDS = 60.0
# How long a stop waits for the queries that it has cancelled [s].
STOP_SECONDS = 4.0
# A transient fault so near to the end of the execution duration comes from it.
_DURATION_REACHED = 0.95

_LOST = Failure(
    FatalFault.code, f"The archive stopped {ATTEMPTS} times while it was running this job.", transient=True
)

Dispatch = Callable[[str], None]
NO_PLACES: Mapping[str, int] = {}


def dispatch_nowhere(job_id: str) -> None:
    """Do nothing: without a broker, the workers hear of a queued job from the database."""
    del job_id


def _fault_of(error: Exception) -> Fault:
    """Return what is told of a failure that no executor has foreseen."""
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return TransientFault(
            "There is no room on the archive's disk for the results of this job.",
            "Ask for less, or try again later.",
        )
    return FatalFault("The archive failed to run this job.", "The operators can see why.")


class Worker:
    """Runs jobs in threads of its own.

    Args:
        archive: the open archive.
        slots: how many jobs this process takes from the queue at a time, of the kinds that have no places of
            their own; 0 for none.
        own: how many it takes of each kind that has.
        sweeps: whether it looks after the jobs of others.
        dispatch: tells a broker of a job that is QUEUED.
        executors: what runs each kind of job.
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
    ) -> None:
        self._archive = archive
        self._store = JobStore(archive.jobs_database)
        self._sweeps = sweeps
        self._dispatch = dispatch
        self._executors = executors
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._stopping = threading.Event()
        self._running: dict[str, Execution] = {}
        self._news = threading.Condition()
        self._news_count = 0
        self._threads = [threading.Thread(target=self._keep, name="jobs keeper", daemon=True)]
        shared = [kind for kind in executors if kind not in own]
        for kinds, places in ((shared, slots), *(([kind], count) for kind, count in own.items())):
            self._threads += [
                threading.Thread(target=self._serve, args=(kinds,), name=f"jobs {number}", daemon=True)
                for number in range(places)
            ]

    def start(self) -> None:
        """Begin to run jobs."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Give running jobs back to the queue, and end the threads."""
        self._stopping.set()
        self.wake()
        for execution in self._executions():
            execution.cancellation.request()
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        self._release_rest()

    def wake(self) -> None:
        """Let the slots look at the queue."""
        with self._news:
            self._news_count += 1
            self._news.notify_all()

    def hear(self, job_id: str, phase: str) -> None:
        """Take note that a job has a new phase: start it, or stop it."""
        if phase == Phase.QUEUED:
            self.wake()
        elif phase in (Phase.ABORTED, DELETED):
            for execution in self._executions():
                if execution.job.id == job_id:
                    execution.cancellation.request()

    def run_next(self, kinds: Sequence[str]) -> bool:
        """Run in this thread the job of certain kinds that waits longest; return whether there was one.

        Raises:
            TransientFault: the database cannot be reached; another worker will run the job.
        """
        token = f"{self._name}:{secrets.token_hex(8)}"
        claim = self._store.claim(kinds, token)
        if claim is None:
            return False
        with structlog.contextvars.bound_contextvars(job=claim.job.id):
            self._run_claimed(claim)
        return True

    def sweep(self) -> None:
        """Look after the jobs of workers that are dead, and remove jobs and files that are due."""
        settings = self._archive.settings
        for job_id, phase in self._store.requeue_lost(settings.job_lost_seconds, ATTEMPTS, _LOST):
            log.warning("job taken from a dead worker", job=job_id, phase=phase.value)
            if phase is Phase.QUEUED:
                self._dispatch(job_id)
        for job_id in self._store.waiting(REMIND_SECONDS):
            self._dispatch(job_id)
        for job_id in self._store.destroy_expired():
            log.info("job destroyed", job=job_id)
        self._remove_orphans()

    def _release_rest(self) -> None:
        """Give back the jobs that have not ended in time, and one that the thread of the caller runs."""
        for token, execution in dict(self._running).items():
            try:
                self._store.release(execution.job.id, token)
            except Fault as fault:
                log.warning("job not given back", job=execution.job.id, reason=str(fault))

    def _serve(self, kinds: Sequence[str]) -> None:
        while not self._stopping.is_set():
            seen = self._news_count
            try:
                found = self.run_next(kinds)
            except Fault as fault:
                log.warning("job not claimed or not settled", reason=str(fault))
                found = False
            except Exception:  # the slot is needed for other jobs
                log.exception("job not settled")
                found = False
            if not found:
                self._await_news(seen)

    def _await_news(self, seen: int) -> None:
        with self._news:
            self._news.wait_for(lambda: self._news_count != seen, IDLE_SECONDS)

    def _run_claimed(self, claim: Claim) -> None:
        context = self._context(claim)
        if context is None:
            return
        log.info("job begins", kind=claim.job.kind)
        with self._execution(claim, context) as execution:
            # An abort between the claim and here has found nothing to cancel.
            if self._store.beat([claim.token]) and not self._stopping.is_set():
                self._run(claim, execution)
            elif self._stopping.is_set():
                self._store.release(claim.job.id, claim.token)

    def _context(self, claim: Claim) -> Context | None:
        """Return the context as memberships are now; None, with the job in ERROR, where it may not be had."""
        job = claim.job
        try:
            return contexts.of_job(self._archive, job.owner_id, job.parameters, claim.context)
        except Fault as fault:
            self._store.fail(claim, Phase.ERROR, Failure(fault.code, str(fault), fault.transient))
            return None

    @contextmanager
    def _execution(self, claim: Claim, context: Context) -> Iterator[Execution]:
        where = directory(self._archive.settings, claim.job.id)
        report = partial(self._store.report, claim)
        execution = Execution(claim.job, context, where, report=report)
        self._running[claim.token] = execution
        try:
            yield execution
        finally:
            del self._running[claim.token]
            execution.cancellation.end()
            execution.discard()

    def _run(self, claim: Claim, execution: Execution) -> None:
        try:
            execution.prepare()
            results = self._executors[claim.job.kind](self._archive, execution)
            self._complete(claim, execution, results)
        except (SystemExit, KeyboardInterrupt):  # somebody ends the process: another one runs the job
            self._store.release(claim.job.id, claim.token)
            raise
        except Fault as fault:
            self._fail(claim, execution, fault)
        except Exception as error:
            log.exception("job failed", job=claim.job.id)
            self._fail(claim, execution, _fault_of(error))

    def _complete(self, claim: Claim, execution: Execution, results: Sequence[Result]) -> None:
        with self._store.completing(claim, results) as won:
            if won:
                execution.publish()

    def _fail(self, claim: Claim, execution: Execution, fault: Fault) -> None:
        if execution.cancellation.requested:
            if self._stopping.is_set():
                self._store.release(claim.job.id, claim.token)
            return
        seconds = claim.job.execution_duration
        if fault.transient and execution.elapsed >= _DURATION_REACHED * seconds:
            # UWS 1.1 section 2.1.4: as if somebody had aborted it.
            message = f"The job was aborted: it ran longer than its execution duration of {seconds} s."
            hint = "Narrow it, or set a longer executionduration before it runs."
            self._store.fail(claim, Phase.ABORTED, Failure(fault.code, f"{message} {hint}", transient=True))
        else:
            self._store.fail(claim, Phase.ERROR, Failure(fault.code, str(fault), fault.transient))

    def _executions(self) -> list[Execution]:
        return list(self._running.values())

    def _keep(self) -> None:
        period = self._archive.settings.job_lost_seconds / BEATS
        while not self._stopping.wait(period):
            try:
                self._beat()
                if self._sweeps:
                    self.sweep()
            except Fault as fault:
                log.warning("jobs not looked after", reason=str(fault))
            except Exception:  # without this thread, the jobs here would count as lost
                log.exception("jobs not looked after")

    def _beat(self) -> None:
        running = dict(self._running)
        if not running:
            return
        for token in running.keys() - self._store.beat(running):
            running[token].cancellation.request()

    def _remove_orphans(self) -> None:
        """Remove directories whose jobs have been destroyed, perhaps while nobody was there to do it."""
        root = directory(self._archive.settings, "")
        names = os.listdir(root) if root.is_dir() else []
        for name in set(names) - self._store.existing(names):
            shutil.rmtree(root / name, ignore_errors=True)
