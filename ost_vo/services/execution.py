"""What an executor gets: one attempt to run one job."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ost_vo.access.context import Context
from ost_vo.services.archive import Archive
from ost_vo.settings import Settings
from ost_vo.store.cancellation import Cancellation
from ost_vo.vo.uws import Job, Result

_PARTIAL = ".part"
# What the system says of a disk without room.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def directory(settings: Settings, job_id: str) -> Path:
    """Return the directory of a job's results, which all web processes and workers share."""
    return settings.state / "jobs" / job_id


# Tells how far a job has come, name to number.
Report = Callable[[Mapping[str, int]], None]


def _to_nobody(progress: Mapping[str, int]) -> None:
    del progress


@dataclass(frozen=True)
class Execution:
    """One attempt.

    Attributes:
        job: what to run, with its parameters and its ``execution_duration`` [s].
        context: who asked, and in which scope.
        directory: of the job's results.
        cancellation: through which its queries are cancelled; work outside the database looks at
            ``cancellation.requested`` now and then, and returns or raises.
        started: when the attempt began, on the clock of ``time.monotonic`` [s].
        report: tells how far it has come.
    """

    job: Job
    context: Context
    directory: Path
    cancellation: Cancellation = field(default_factory=Cancellation)
    started: float = field(default_factory=time.monotonic)
    report: Report = _to_nobody
    _mark: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def elapsed(self) -> float:
        """How long it has been running [s]."""
        return time.monotonic() - self.started

    def prepare(self) -> None:
        """Make the directory, and remove what a worker that died has left in it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for path in self.directory.glob(f"*{_PARTIAL}"):
            path.unlink(missing_ok=True)

    def partial(self, result_id: str) -> Path:
        """Return the file to write a result to; it is of this attempt alone."""
        return self.directory / f"{result_id}.{self._mark}{_PARTIAL}"

    def publish(self) -> None:
        """Put what has been written in its place, from one moment to the next."""
        ending = f".{self._mark}{_PARTIAL}"
        for path in self.directory.glob(f"*{ending}"):
            os.replace(path, path.with_name(path.name.removesuffix(ending)))

    def discard(self) -> None:
        """Remove what has not been published."""
        for path in self.directory.glob(f"*.{self._mark}{_PARTIAL}"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds results, or is gone
            self.directory.rmdir()


# Runs a job and returns the results, which it has written to the partial files of the execution. A fault
# ends the job in ERROR with its text.
Executor = Callable[[Archive, Execution], Sequence[Result]]
