"""Jobs of the kind ``tap``: a query whose result goes to a file.

Source: TAP 1.1 section 2.3 (asynchronous queries); UWS 1.1 section 2.1.4 (execution duration).
"""

from __future__ import annotations

from ost_vo.faults import UsageFault
from ost_vo.services import tap, uploads
from ost_vo.services.archive import Archive
from ost_vo.services.execution import Execution
from ost_vo.services.uploads import Uploads
from ost_vo.store.results import stream
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Result

KIND = "tap"
# TAP 1.1 section 2.3 fixes this name.
RESULT = "result"


def execute(archive: Archive, execution: Execution) -> list[Result]:
    """Run the query of a job.

    Raises:
        UsageFault: a parameter or the query is wrong, or the result is larger than a job may keep.
        TransientFault: it took longer than its execution duration, or the database is not available.
        FatalFault: the archive failed.
    """
    parameters = Parameters(execution.job.parameters)
    with uploads.opened(archive.settings, parameters) as uploaded:
        prepared = tap.prepare(archive, parameters, execution.context, uploaded)
        _write(archive, execution, prepared, uploaded)
    # Not before: a worker that dies leaves the job to another one.
    uploads.discard(archive.settings, parameters)
    return [Result(RESULT, prepared.media_type, execution.partial(RESULT).stat().st_size)]


def _write(archive: Archive, execution: Execution, prepared: tap.Prepared, uploaded: Uploads) -> None:
    """Write the result of the query to its file."""
    job = execution.job
    settings = {
        "statement_timeout": f"{job.execution_duration}s",
        # The query of a worker that was killed ends, though it may produce nothing for a long time.
        "client_connection_check_interval": "1s",
        **execution.context.database_settings(),
    }
    source = execution.cancellation.guard(archive.jobs_database.connection)
    path, translation = execution.partial(RESULT), prepared.translation
    before = tap.loading(uploaded, {"statement_timeout": settings["statement_timeout"]})
    with (
        path.open("wb") as file,
        stream(
            source, translation.sql, translation.columns, prepared.encoder, settings, before=before
        ) as chunks,
    ):
        for chunk in chunks:
            file.write(chunk)
            if file.tell() > archive.settings.job_result_bytes:
                raise UsageFault(
                    f"The result is larger than {archive.settings.job_result_bytes / 1e6:g} MB, the most that"
                    " a job may keep.",
                    "Ask for fewer rows or columns, or for a smaller format such as Parquet.",
                )
        if chunks.fault:
            raise chunks.fault
