"""A worker that makes downloads: ``python -m tests.downloads.workers``; with an argument, as a Celery worker.

Its kind of job has a name of its own, so that the workers of the archive under test leave it alone.
"""

from __future__ import annotations

import signal
import sys

from ost_vo.services import downloads
from ost_vo.services.archive import Archive
from ost_vo.services.engine import Engine
from ost_vo.settings import Settings

KIND = "download here"
EXECUTORS = {KIND: downloads.execute}


def main() -> None:
    """Run jobs until ended, with settings from the environment."""
    if sys.argv[1:] == ["celery"]:
        from ost_vo import tasks

        tasks.work(Settings(), EXECUTORS)
        return
    # Before there are threads, so that none of them takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    archive = Archive.open(Settings())
    engine = Engine(archive, 1, executors=EXECUTORS)
    engine.start()
    signal.sigwait([signal.SIGTERM])
    engine.stop()
    archive.close()


if __name__ == "__main__":
    main()
