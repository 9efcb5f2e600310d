"""How far a job has come that works on bytes, and whether it is to go on."""

from __future__ import annotations

import time

import structlog

from ost_vo.faults import TransientFault
from ost_vo.services.execution import Execution

log = structlog.get_logger(__name__)

# How often the database is told [s].
REPORT_SECONDS = 0.5


class Progress:
    """Counts the files and bytes of a job.

    Args:
        execution: the attempt.
        files: how many there are.
        size: of all of them [byte].
    """

    def __init__(self, execution: Execution, files: int, size: int) -> None:
        self._execution = execution
        self._files, self._files_done = files, 0
        self._size, self._done = size, 0
        self._told = 0.0
        self.tell()

    def add(self, count: int) -> None:
        """Count bytes that are done.

        Raises:
            TransientFault: the job is to stop, or has run for as long as it may.
        """
        self._done += count
        self.check()
        if time.monotonic() - self._told >= REPORT_SECONDS:
            self.tell()

    def end_file(self) -> None:
        """Count a file that is done."""
        self._files_done += 1

    def check(self) -> None:
        """Go on, or raise a TransientFault where the job is to stop or has run for as long as it may."""
        if self._execution.cancellation.requested:
            raise TransientFault("The job was stopped.")
        if self._execution.elapsed >= self._execution.job.execution_duration:
            raise TransientFault("The job ran for as long as it may.")

    def tell(self) -> None:
        """Tell the database; a job goes on without."""
        self._told = time.monotonic()
        progress = {
            "files_total": self._files,
            "files_done": self._files_done,
            "bytes_total": self._size,
            "bytes_done": min(self._done, self._size),
        }
        try:
            self._execution.report(progress)
        except TransientFault as fault:
            log.warning("progress not told", job=self._execution.job.id, reason=str(fault))
