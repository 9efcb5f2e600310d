"""How fast files get into the archive, beside sha256sum and find on the same files in the same minute.

The files are made in a temporary directory, and read once before anything is timed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg2
from astropy.io import fits
from rich.console import Console
from rich.table import Table

from ingest.load import Outcome, ingest
from ingest.reconcile import reconcile
from ost_vo.deployment import cluster
from ost_vo.settings import Settings
from ost_vo.store import provision
from ost_vo.store.upgrade import upgrade

SIDE = 1245  # pixels: 3.1 MB of 16 bits each
LARGE, LARGE_ROUNDS = 300, 2
SMALL = 1000
SINGLES = 5
UNCHANGED = 100_000
DELAY = 1.0  # that files settle for [s]
POLL_SECONDS = 0.02
LIMIT_SECONDS = 120
WATCH = "from ingest.watch import watch; from ost_vo.settings import Settings; watch(Settings())"

HEADER = {
    "IMAGETYP": "Light Frame",
    "OBJECT": "M31",
    "FILTER": "V",
    "INSTRUME": "QHY600M",
    "TELESCOP": "CDK20",
    "XPIXSZ": 3.76,
    "FOCALLEN": 3454.0,
    "CCD-TEMP": -10.0,
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 10.68,
    "CRVAL2": 41.27,
    "CRPIX1": 622.5,
    "CRPIX2": 622.5,
    "CD1_1": -6e-5,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 6e-5,
}


@dataclass(frozen=True)
class IngestFigure:
    """One measured figure.

    Attributes:
        what: the work.
        seconds: median.
        beside: what was timed in turn with it; '' for nothing.
        beside_seconds, ratio: its median, and seconds / beside_seconds.
        to_reach: what was asked for.
    """

    what: str
    seconds: float
    beside: str = ""
    beside_seconds: float | None = None
    ratio: float | None = None
    to_reach: str = ""


def measure(settings: Settings) -> list[IngestFigure]:
    """Time everything in databases of their own beside that of a running archive."""
    figures: list[IngestFigure] = []
    for work in (_throughput, _landing, _rescan):
        with tempfile.TemporaryDirectory(prefix="ost_vo-bench-ingest-") as directory:
            root = Path(directory) / "data"
            root.mkdir()
            with _scratch(settings, root) as scratch:
                figures += work(scratch)
    return figures


def show(figures: list[IngestFigure], console: Console) -> None:
    """Print the figures."""
    table = Table(title="Ingest, medians in s")
    for name in ("", "ost_vo", "beside", "", "ratio", "to reach"):
        table.add_column(name)
    for figure in figures:
        beside = "" if figure.beside_seconds is None else f"{figure.beside_seconds:.2f}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(figure.what, f"{figure.seconds:.2f}", figure.beside, beside, ratio, figure.to_reach)
    console.print(table)


def _throughput(settings: Settings) -> list[IngestFigure]:
    """Time large files in turn with sha256sum, as many processes of it as there are cores."""
    noise = np.random.default_rng(1).integers(0, 4000, (SIDE, SIDE), dtype=np.int16)
    ours, theirs = [], []
    for turn in range(LARGE_ROUNDS):
        run = settings.data / f"2098010{turn + 1}"
        run.mkdir()
        for number in range(LARGE):
            _write(run / f"{number:04d}.fit", number + LARGE * turn, noise)
        theirs.append(hashed(sorted(run.iterdir())))
        theirs.append(hashed(sorted(run.iterdir())))
        start = time.perf_counter()
        report = ingest([run], settings)
        ours.append(time.perf_counter() - start)
        if report.counts[Outcome.INGESTED] != LARGE:
            raise RuntimeError(f"not all were ingested: {report}")
    seconds, beside = statistics.median(ours), statistics.median(theirs)
    what = f"{LARGE} files of 3.1 MB ({LARGE / seconds:.0f} a second)"
    cores = len(os.sched_getaffinity(0))
    return [IngestFigure(what, seconds, f"sha256sum x {cores}", beside, seconds / beside, "2; 340 a second")]


def hashed(paths: Sequence[Path]) -> float:
    """Return how long sha256sum takes with files, in as many processes as there are cores [s]."""
    cores = str(len(os.sched_getaffinity(0)))
    names = "\0".join(map(str, paths)).encode()
    start = time.perf_counter()
    subprocess.run(
        ["xargs", "-0", "-P", cores, "-n", "20", "sha256sum"],
        input=names,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def _landing(settings: Settings) -> list[IngestFigure]:
    """Time many files that land at once, and one at a time, from their settling to their rows."""
    source, run = settings.data.with_name("source"), settings.data / "20990101"
    pixels = np.zeros((2, 2), np.int16)
    run.mkdir()
    source.mkdir()
    for number in range(SMALL + SINGLES):
        _write(source / f"{number:04d}.fit", number, pixels)
    files = sorted(source.iterdir())
    with _watching(settings):
        for path in files[:SMALL]:
            path.rename(run / path.name)
        together = _until(settings, SMALL) - DELAY
        singles = []
        for number, path in enumerate(files[SMALL:], SMALL + 1):
            path.rename(run / path.name)
            singles.append(_until(settings, number) - DELAY)
    return [
        IngestFigure(f"{SMALL} files at once, from settling to their rows", together, to_reach="10 s"),
        IngestFigure("one file, from settling to its row", statistics.median(singles), to_reach="1 s"),
    ]


@contextmanager
def _watching(settings: Settings) -> Iterator[None]:
    """Watch the data root for the time of a block."""
    variables = {
        "OST_VO_STATE": str(settings.state),
        "OST_VO_DATABASE": settings.database,
        "OST_VO_DATA_ROOT": str(settings.data),
        "OST_VO_WATCH_DELAY": str(DELAY),
        "OST_VO_WATCH_STABILITY": str(DELAY),
    }
    log = settings.data.with_suffix(".log")
    with log.open("wb") as output:
        watcher = subprocess.Popen([sys.executable, "-c", WATCH], env=os.environ | variables, stdout=output)
    try:
        _await(lambda: b"compared with the disk" in log.read_bytes())
        yield
    finally:
        watcher.terminate()
        watcher.wait()


def _until(settings: Settings, number: int) -> float:
    """Return how long it takes from now until there are so many products, which TAP has at once [s]."""
    start = time.perf_counter()
    with closing(psycopg2.connect(settings.dsn("ost_ingest"))) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def are_there() -> bool:
            cursor.execute("SELECT count(*) FROM archive.products")
            return bool(cursor.fetchone()[0] >= number)

        _await(are_there)
    return time.perf_counter() - start


def _await(is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not is_there():
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing came of it within {LIMIT_SECONDS} s")
        time.sleep(POLL_SECONDS)


def _rescan(settings: Settings) -> list[IngestFigure]:
    """Time a comparison of archive and disk that finds no difference, in turn with find."""
    first = settings.data / "20970101" / "first.fit"
    first.parent.mkdir()
    _write(first, 0, np.zeros((2, 2), np.int16))
    ingest([first], settings)
    _multiply(settings, settings.data)
    find = ["find", str(settings.data), "-printf", "%s %T@ %p\n"]
    ours, theirs = [], []
    for _ in range(2):
        start = time.perf_counter()
        subprocess.run(find, stdout=subprocess.DEVNULL, check=True)
        middle = time.perf_counter()
        findings = reconcile(settings)
        theirs.append(middle - start)
        ours.append(time.perf_counter() - middle)
        if any(findings.counts.values()):
            raise RuntimeError(f"there was a difference: {findings}")
    seconds, beside = statistics.median(ours), statistics.median(theirs)
    return [IngestFigure(f"{UNCHANGED:,} files unchanged", seconds, "find", beside, seconds / beside, "10 s")]


def _multiply(settings: Settings, root: Path) -> None:
    """Make very many empty files, and the rows that they would have."""
    names = [f"2097{n // 1000 % 12 + 1:02d}{n // 12000 + 1:02d}/{n:06d}.fit" for n in range(UNCHANGED)]
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
        os.utime(root / name, (1.5e9, 1.5e9))
    with closing(psycopg2.connect(settings.dsn("ost_owner"))) as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id,
                project_id, creator_id, privileges, calib_level, obs_id, obs_publisher_did)
            SELECT name, 0, sha256(name::bytea), to_timestamp(1.5e9), media_type, run_id,
                project_id, creator_id, privileges, calib_level, name, 'ivo://bench/' || name
            FROM archive.products, unnest(%s) AS n (name)
            """,
            (names,),
        )
        connection.commit()
        connection.autocommit = True
        cursor.execute("ANALYZE archive.products")


@contextmanager
def _scratch(settings: Settings, root: Path) -> Iterator[Settings]:
    """Yield the settings of a data root and an empty database of the same cluster, which goes at the end."""
    name = "bench_ingest"
    dsn = cluster.superuser_dsn(settings, "postgres")
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            try:
                with closing(psycopg2.connect(cluster.superuser_dsn(settings, name))) as fresh:
                    provision.provision(fresh, name)
                where = f"host='{settings.sockets}' port=5432 dbname={name}"
                scratch = Settings(state=settings.state, database=where, data_root=root)
                upgrade(scratch.dsn("ost_owner"))
                yield scratch
            finally:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _write(path: Path, number: int, pixels: np.ndarray) -> None:
    """Write a frame like no other."""
    header = fits.Header(HEADER.items())
    header["DATE-OBS"] = f"2022-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    header["EXPTIME"] = 30.0 + number
    fits.PrimaryHDU(pixels, header).writeto(path)
