"""Jobs of the kind ``tap``: a query whose result goes to a file.

Source: TAP 1.1 section 2.3 (asynchronous queries); UWS 1.1 section 2.1.4 (execution duration).
"""

from __future__ import annotations

from ost_vo.services import tap
from ost_vo.services.archive import Archive
from ost_vo.services.execution import Execution
from ost_vo.store.results import stream
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Result

KIND = "tap"
# TAP 1.1 section 2.3 fixes this name.
RESULT = "result"


def execute(archive: Archive, execution: Execution) -> list[Result]:
    """Run the query of a job.

    Raises:
        UsageFault: a parameter or the query is wrong.
        TransientFault: it took longer than its execution duration, or the database is not available.
        FatalFault: the archive failed.
    """
    job = execution.job
    prepared = tap.prepare(archive, Parameters(job.parameters))
    settings = {
        "statement_timeout": f"{job.execution_duration}s",
        # The query of a worker that was killed ends, though it may produce nothing for a long time.
        "client_connection_check_interval": "1s",
        **execution.context.database_settings(),
    }
    source = execution.cancellation.guard(archive.jobs_database.connection)
    path, translation = execution.partial(RESULT), prepared.translation
    with (
        path.open("wb") as file,
        stream(source, translation.sql, translation.columns, prepared.encoder, settings) as chunks,
    ):
        for chunk in chunks:
            file.write(chunk)
        if chunks.fault:
            raise chunks.fault
    return [Result(RESULT, prepared.media_type, path.stat().st_size)]
