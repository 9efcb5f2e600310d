"""Looking at files from another process: one helper, which has a process of its own for every file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from ost_vo.faults import FatalFault
from ost_vo.services.looks import Findings, Plane, Task
from ost_vo.store.findings import PixelStatistics, Ridges

_END_SECONDS = 5


class Looker:
    """The helper, which is started when it is needed, and ends with the block.

    Args:
        cache: directory where its libraries keep what they need again; None where they do by themselves.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = {"MPLCONFIGDIR": str(cache)} if cache else {}
        self._helper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Looker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._helper is None:
            return
        assert self._helper.stdin
        with suppress(BrokenPipeError):
            self._helper.stdin.close()
        try:
            # Within a task it goes on until that is done, which nobody waits for any more.
            self._helper.wait(0.1 if kind else _END_SECONDS)
        except subprocess.TimeoutExpired:
            self._helper.kill()
            self._helper.wait()

    def look(self, task: Task) -> Findings:
        """Do a task; what is wrong with the file is among the findings.

        Raises:
            FatalFault: the helper cannot be started, or has ended.
        """
        helper = self._running()
        assert helper.stdin
        assert helper.stdout
        try:
            helper.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
            helper.stdin.flush()
            answer = helper.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            self._helper = None
            raise FatalFault(f"The process that looks at files has ended, over {task.path}.")
        return _findings(json.loads(answer))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._helper is None:
            # One thread is enough, and each would take memory of the limit.
            threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._helper = subprocess.Popen(
                [sys.executable, "-m", "pixels"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **threads, **self._cache},
            )
        return self._helper


def _findings(answer: dict[str, Any]) -> Findings:
    statistics, plane, ridges = (answer.pop(name) for name in ("statistics", "plane", "ridges"))
    return Findings(
        **answer,
        statistics=PixelStatistics(**statistics) if statistics else None,
        plane=Plane(**plane) if plane else None,
        ridges=Ridges(**ridges) if ridges else None,
    )
