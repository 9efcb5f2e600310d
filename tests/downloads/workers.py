"""A worker that makes downloads and cutouts: ``python -m tests.downloads.workers``, or as a Celery worker.

Its kinds of jobs have names of their own, so that the workers of the archive under test leave them alone.
"""

from __future__ import annotations

from ost_vo.services import downloads, soda_jobs
from tests.uws.kinds import main

KIND, CUTOUTS = "download here", "cutouts here"
EXECUTORS = {KIND: downloads.execute, CUTOUTS: soda_jobs.execute}

if __name__ == "__main__":
    main(EXECUTORS)
