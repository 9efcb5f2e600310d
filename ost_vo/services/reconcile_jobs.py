"""Jobs of the kind ``reconcile``: archive and disk are compared, by the command of that name.

Ingest is no part of the service, so a process of its own does the work; its report is the job's result.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO

from ost_vo.faults import FatalFault, TransientFault
from ost_vo.services.archive import Archive
from ost_vo.services.execution import Execution
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Job, Result

KIND = "reconcile"
REPORT = "report"
REHEARSAL = "REHEARSAL"
_COMMAND = (sys.executable, "-m", "ost_vo.cli", "reconcile")
# Between two looks whether somebody has aborted it [s]; then, until it has to be killed [s].
_LOOK_SECONDS, _KILL_SECONDS = 0.2, 10.0
# Of what the command says when it fails [byte].
_MOST_SAID = 4000


def execute(archive: Archive, execution: Execution) -> list[Result]:
    """Run the command of a job.

    Raises:
        TransientFault: it took longer than its execution duration, or somebody has aborted it.
        FatalFault: the command failed; what it said.
    """
    del archive  # the command reads the same settings from the environment
    options = ("--dry-run",) if is_rehearsal(execution.job) else ()
    path = execution.partial(REPORT)
    with path.open("wb") as report, tempfile.TemporaryFile() as said:
        code = _run([*_COMMAND, *options], execution, report, said)
        if code:
            said.seek(0)
            text = said.read(_MOST_SAID).decode(errors="replace").strip()
            raise FatalFault(f"The comparison failed: {text}", "The operators can see more in the log.")
    return [Result(REPORT, "text/plain;charset=UTF-8", path.stat().st_size)]


def _run(command: Sequence[str], execution: Execution, report: IO[bytes], said: IO[bytes]) -> int:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=report, stderr=said) as process:
        while True:
            try:
                return process.wait(_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                is_late = execution.elapsed > execution.job.execution_duration
                if is_late or execution.cancellation.requested:
                    _end(process)
                    raise TransientFault("The comparison was ended before it was through.") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_KILL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def is_rehearsal(job: Job) -> bool:
    """Say whether a job only tells what would be done."""
    return Parameters(job.parameters).one(REHEARSAL) == "1"
