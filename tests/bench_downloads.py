"""What downloads cost: their speed beside that of one file from the same server, and the memory they take."""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
import requests
from rich.console import Console
from rich.table import Table

from ost_vo.access.context import ANONYMOUS
from ost_vo.services.archive import Archive
from ost_vo.services.jobs import Jobs
from ost_vo.settings import Settings
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import ACTIVE, Phase
from tests.downloads.workers import KIND

FILES, FILE_BYTES = 200, 3_100_000
ROUNDS = 5
CLIENTS = 32
# Files without blocks on disk, as much as a download may have.
SPARSE_FILES, SPARSE_BYTES = 40, 268_435_456
# OSTdata's ZIP of noisy frames, on such a machine [byte/s].
OSTDATA = 13e6
WAIT_SECONDS = 300.0
POLL_SECONDS = 0.1
_RUN = "bench downloads"
_MEGA = 1e6

_INSERT = """
INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id, calib_level, obs_id,
    obs_publisher_did, creator_id, project_id, privileges)
SELECT %s, %s, %s, to_timestamp(%s), 'image/fits', r.run_id, 1, 'x', %s, p.creator_id, r.project_id, 5
FROM archive.runs r, (SELECT creator_id FROM archive.products LIMIT 1) p WHERE r.name = %s
"""


@dataclass(frozen=True)
class DownloadFigure:
    """One measured figure: what, how much, in which unit."""

    what: str
    value: float
    unit: str


def measure(settings: Settings, show: Console) -> list[DownloadFigure]:
    """Measure on a running archive, with files of its own that are gone afterwards."""
    with _files(settings) as (stored, one, sparse), show.status("Downloads"):
        return [
            *_speed(settings, stored, one),
            *_clients(settings, stored),
            *(_memory(settings, sparse, form) for form in ("zip", "tar.zst", "zip-deflated")),
        ]


def show(figures: list[DownloadFigure], console: Console) -> None:
    """Print the figures."""
    table = Table("Downloads", "", "")
    for figure in figures:
        table.add_row(figure.what, f"{figure.value:,.2f}", figure.unit)
    console.print(table)


def _speed(settings: Settings, stored: str, one: str) -> Iterator[DownloadFigure]:
    """Compare an archive of 200 files with one file of the same size."""
    start = time.perf_counter()
    job = _run(settings, f"{_RUN}/{stored}")
    made = time.perf_counter() - start
    size = FILES * FILE_BYTES
    pairs = []
    for _ in range(ROUNDS):
        ours = _fetch(f"{job}/results/archive")
        pairs.append((ours, _fetch(f"{settings.base_url}/files/{_RUN}/{one}")))
    speed = size / statistics.median(ours for ours, _ in pairs)
    yield DownloadFigure(f"job for {FILES} files of {FILE_BYTES / _MEGA} MB", made, "s")
    yield DownloadFigure("its archive, stored, streamed", speed / _MEGA, "MB/s")
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    yield DownloadFigure("the same / one file of that size from the same server", ratio, "")
    yield DownloadFigure("the same / OSTdata", speed / OSTDATA, "")


def _clients(settings: Settings, stored: str) -> Iterator[DownloadFigure]:
    """Let many clients fetch an archive at once."""
    url = f"{_run(settings, f'{_RUN}/{stored}')}/results/archive"
    pids = _listeners(settings.port)
    _fetch(url)
    before = peak = _memory_now(pids)
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        fetches = [pool.submit(_fetch, url) for _ in range(CLIENTS)]
        while not all(fetch.done() for fetch in fetches):
            peak = max(peak, _memory_now(pids))
            time.sleep(POLL_SECONDS)
    taken = time.perf_counter() - start
    failures = sum(fetch.result() == 0 for fetch in fetches)
    what = f"{CLIENTS} clients at once"
    yield DownloadFigure(f"{what}, failures", failures, "")
    yield DownloadFigure(f"{what}, together", CLIENTS * FILES * FILE_BYTES / taken / _MEGA, "MB/s")
    yield DownloadFigure(f"{what}, growth of the web processes at most", (peak - before) / _MEGA, "MB")
    after = _memory_now(pids)
    yield DownloadFigure(f"{what}, growth that stays", (after - before) / _MEGA, "MB")


def _memory(settings: Settings, sparse: str, form: str) -> DownloadFigure:
    """Measure what a worker takes at its peak beyond what it takes idle, for the largest download."""
    with TemporaryDirectory() as directory:
        where = f"host='{settings.sockets}' port=5432 dbname=ost_vo"
        alone = Settings(
            state=Path(directory) / "s",
            data_root=settings.data,
            database=where,
            authority=settings.authority,
            download_bytes=2 * SPARSE_FILES * SPARSE_BYTES,
        )
        names = ("state", "data_root", "database", "authority", "download_bytes")
        values = {f"OST_VO_{name.upper()}": str(getattr(alone, name)) for name in names}
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.downloads.workers"], env={**os.environ, **values}
        )
        archive = Archive.open(alone)
        try:
            _await(archive, "no such run")
            idle = _memory_of(worker.pid, "VmHWM")
            if _await(archive, f"{_RUN}/{sparse}", form) is not Phase.COMPLETED:
                raise RuntimeError(f"the download as {form} did not complete")
            peak = _memory_of(worker.pid, "VmHWM")
        finally:
            archive.close()
            worker.terminate()
            worker.wait()
    size = SPARSE_FILES * SPARSE_BYTES / 2**30
    return DownloadFigure(f"worker making {size:g} GiB as {form}, over idle", (peak - idle) / _MEGA, "MB")


def _await(archive: Archive, name: str, form: str = "zip") -> Phase:
    """Run a job in the worker and return its last phase."""
    jobs = Jobs(archive)
    wanted = [("FILE_NAME", name), ("RESPONSEFORMAT", form), ("PHASE", "RUN")]
    job_id = jobs.create(KIND, ANONYMOUS, Parameters(wanted))
    deadline = time.monotonic() + WAIT_SECONDS
    while (phase := jobs.one(KIND, job_id, ANONYMOUS).get().phase) in ACTIVE and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    jobs.one(KIND, job_id, ANONYMOUS).delete()
    return phase


def _run(settings: Settings, name: str) -> str:
    """Run a download on the service; return its URL."""
    wanted = {"FILE_NAME": name, "PHASE": "RUN"}
    answer = requests.post(f"{settings.base_url}/downloads", wanted, allow_redirects=False, timeout=60)
    answer.raise_for_status()
    job = answer.headers["Location"]
    while (phase := requests.get(f"{job}/phase", timeout=60).text) in ("QUEUED", "EXECUTING"):
        requests.get(job, {"WAIT": "30", "PHASE": phase}, timeout=60)
    if phase != "COMPLETED":
        raise RuntimeError(requests.get(f"{job}/error", timeout=60).text)
    return job


def _fetch(url: str) -> float:
    """Return the seconds that a whole document takes; 0 where it comes to harm."""
    start = time.perf_counter()
    try:
        with requests.get(url, stream=True, headers={"Accept-Encoding": "identity"}, timeout=600) as answer:
            answer.raise_for_status()
            expected = int(answer.headers["Content-Length"])
            while data := answer.raw.read(2**20):
                expected -= len(data)
    except requests.RequestException:
        return 0.0
    return time.perf_counter() - start if expected == 0 else 0.0


@contextmanager
def _files(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Store the files of the measurements; hand out the names of their three directories' files."""
    root = settings.data / _RUN
    connection = psycopg2.connect(settings.dsn("ost_owner"))
    _execute(
        connection,
        "INSERT INTO archive.runs (name, project_id) SELECT %s, project_id FROM archive.projects LIMIT 1",
        _RUN,
    )
    noise = random.Random(7).randbytes(FILE_BYTES)
    try:
        for number in range(FILES):
            _store(connection, settings, root / "many" / f"{number}.fits", [noise])
        _store(connection, settings, root / "one.fits", [noise] * FILES)
        for number in range(SPARSE_FILES):
            _store(connection, settings, root / "sparse" / f"{number}.fits", [], SPARSE_BYTES)
        yield "many", "one.fits", "sparse"
    finally:
        _execute(connection, "DELETE FROM archive.products WHERE path LIKE %s", f"{_RUN}/%")
        _execute(connection, "DELETE FROM archive.deletions WHERE path LIKE %s", f"{_RUN}/%")
        _execute(connection, "DELETE FROM archive.runs WHERE name = %s", _RUN)
        connection.close()
        for path in sorted(root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        root.rmdir()


def _store(
    connection: psycopg2.extensions.connection,
    settings: Settings,
    path: Path,
    parts: list[bytes],
    length: int | None = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in parts:
            digest.update(part)
            file.write(part)
        if length is not None:
            file.truncate(length)
    status, name = path.stat(), str(path.relative_to(settings.data))
    identifier = f"ivo://{settings.authority}/archive?{name}"
    values = (name, status.st_size, digest.digest(), status.st_mtime, identifier, _RUN)
    _execute(connection, _INSERT, *values)


def _execute(connection: psycopg2.extensions.connection, statement: str, *values: object) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, values)


def _listeners(port: int) -> list[int]:
    """Return the processes that have the socket open on which a service listens."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    sockets = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1][-4:], 16) == port}
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) in sockets:
                found.add(int(link.parts[2]))
        except (FileNotFoundError, PermissionError):
            continue  # gone by now, or of another account
    return sorted(found)


def _memory_now(pids: list[int]) -> int:
    """Return what processes take together [byte]."""
    return sum(_memory_of(pid, "VmRSS") for pid in pids)


def _memory_of(pid: int, name: str) -> int:
    """Return a figure of a process' memory [byte]: VmRSS now, VmHWM at its peak."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{name}:"))
