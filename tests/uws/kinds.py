"""Kinds of jobs for tests, and a worker process that runs them: ``python -m tests.uws.kinds``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping

from ost_vo.faults import UsageFault
from ost_vo.services.archive import Archive
from ost_vo.services.engine import Engine
from ost_vo.services.execution import Execution, Executor
from ost_vo.settings import Settings
from ost_vo.store.results import stream
from ost_vo.vo.columns import Column
from ost_vo.vo.delimited import Csv
from ost_vo.vo.uws import Result


def echo(archive: Archive, execution: Execution) -> list[Result]:
    """Write the parameters, and ask the database for nothing."""
    del archive
    text = "\n".join(f"{name}={value}" for name, value in execution.job.parameters)
    execution.partial("result").write_text(text)
    return [Result("result", "text/plain", len(text.encode()))]


def sleep(archive: Archive, execution: Execution) -> list[Result]:
    """Let the database sleep for as many seconds as the parameter SECONDS says."""
    seconds = dict(execution.job.parameters)["SECONDS"]
    limit = {
        "statement_timeout": f"{execution.job.execution_duration}s",
        "client_connection_check_interval": "100ms",
    }
    source = execution.cancellation.guard(archive.jobs_database.connection)
    sql = f"SELECT pg_sleep({float(seconds)})::text AS slept"
    with stream(source, sql, [Column("slept", "char")], Csv(None), limit) as chunks:
        execution.partial("result").write_bytes(b"".join(chunks))
    return [Result("result", "text/csv")]


def refuse(archive: Archive, execution: Execution) -> list[Result]:
    """Fail as a wrong parameter does."""
    del archive, execution
    raise UsageFault("The parameter is wrong.", "Give another.")


def crash(archive: Archive, execution: Execution) -> list[Result]:
    """Fail as a flaw of the program does, after writing half a result."""
    del archive
    execution.partial("result").write_text("half a res")
    raise ZeroDivisionError("secret detail")


def overflow(archive: Archive, execution: Execution) -> list[Result]:
    """Fill the disk: the kernel's own that is always full."""
    del archive
    execution.partial("result").write_text("half a res")
    execution.partial("rest").symlink_to("/dev/full")
    execution.partial("rest").write_text("ult")
    return []


EXECUTORS = {"echo": echo, "sleep": sleep, "refuse": refuse, "crash": crash, "overflow": overflow}


def main(executors: Mapping[str, Executor] = EXECUTORS) -> None:
    """Run jobs until ended, with settings from the environment.

    With arguments, as a Celery worker; those after the first are kinds that have a place of their own.
    """
    if sys.argv[1:2] == ["celery"]:
        from ost_vo import tasks

        tasks.work(Settings(), executors, own=dict.fromkeys(sys.argv[2:], 1))
        return
    # Before there are threads, so that none of them takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    archive = Archive.open(Settings())
    engine = Engine(archive, 1, executors=executors)
    engine.start()
    signal.sigwait([signal.SIGTERM])
    engine.stop()
    archive.close()


if __name__ == "__main__":
    main()
