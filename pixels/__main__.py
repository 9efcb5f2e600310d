"""`python -m pixels`: looks at files, each in a process of its own with limits of time and memory.

Tasks come on standard input and findings go to standard output, one a line, as JSON. A hostile file can end
no more than the process that looks at it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from dataclasses import asdict

from ost_vo.services.looks import Findings, Task
from ost_vo.store.findings import FAILED
from pixels.looking import look, prepare

# The most that a process may write into a file: what packed files are unpacked to at the most, and a margin.
_MAX_FILE_BYTES = (2 << 30) + (1 << 20)
_MAX_ANSWER_BYTES = 1 << 20


def main() -> None:
    """Answer tasks until standard input ends."""
    for line in sys.stdin.buffer:
        task = Task(**json.loads(line))
        prepare(task)
        answer = _answered(task)
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()


def _answered(task: Task) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(task, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read(_MAX_ANSWER_BYTES)
    _, status = os.waitpid(child, 0)
    if answer and status == 0:
        return answer
    return _line(Findings(FAILED, _reason(task, status)))


def _answer(task: Task, writing: int) -> None:
    """Do the task in this process, and end it."""
    status = 1
    try:
        _limit(task)
        answer = _line(look(task))
        # Of one write, or the other end would take a part for the whole.
        status = 0 if os.write(writing, answer) == len(answer) else 1
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        os._exit(status)


def _limit(task: Task) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(task.seconds)
    with open("/proc/self/statm") as sizes:
        now = int(sizes.read().split()[0]) * resource.getpagesize()
    for limit, value in (
        (resource.RLIMIT_AS, now + task.memory),
        (resource.RLIMIT_FSIZE, _MAX_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _reason(task: Task, status: int) -> str:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return f"It took longer than {task.seconds} s."
    if os.WIFSIGNALED(status):
        return f"The process that read it was ended by {signal.Signals(os.WTERMSIG(status)).name}."
    return "The process that read it failed."


def _line(findings: Findings) -> bytes:
    return json.dumps(asdict(findings)).encode()


if __name__ == "__main__":
    main()
