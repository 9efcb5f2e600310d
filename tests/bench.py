"""Our figures beside raw COPY and beside DaCHS: the same rows, the same database, the same run.

`make bench` prints a table and writes bench.json. Each figure is a median over rounds in which all take
turns; the ratios are medians of the rounds' ratios, so that a machine that slows down slows all alike.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
import psycopg2
import requests
import structlog
from astropy.io.votable import from_table
from astropy.table import Table
from rich.console import Console
from rich.progress import track
from rich.table import Table as Printed

from ingest.synthetic import synthesize
from ost_vo.access.context import ANONYMOUS
from ost_vo.deployment.archive import Archive
from ost_vo.deployment.publisher import free_port
from ost_vo.settings import Settings
from ost_vo.store import tap_schema
from ost_vo.vo import adql
from tests import (
    bench_access,
    bench_api,
    bench_downloads,
    bench_ingest,
    bench_pages,
    bench_services,
    bench_views,
)

COLUMNS = (
    "obs_publisher_did, obs_id, obs_collection, dataproduct_type, calib_level, target_name, s_ra, s_dec, "
    "s_fov, t_min, t_max, t_exptime, em_min, em_max, instrument_name, facility_name, access_estsize"
)
ROWS = 100_000
BULK = f"SELECT TOP {ROWS} {COLUMNS} FROM ivoa.obscore"
FEW = f"SELECT TOP 5 {COLUMNS} FROM ivoa.obscore"
CONE = (
    f"SELECT {COLUMNS} FROM ivoa.obscore "
    "WHERE CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {}, {}, 1)) = 1"
)
# Media types, since DaCHS knows other short names; its JSON is of another form, and it has no Parquet.
BINARY2 = "application/x-votable+xml;serialization=BINARY2"
TABLEDATA = "application/x-votable+xml;serialization=TABLEDATA"
BINARY = "application/x-votable+xml;serialization=BINARY"
FITS = "application/fits"
# Matching an uploaded table by position, in both forms; DaCHS as we run it takes no table of this size.
MATCHES = {
    "CONTAINS": "CONTAINS(POINT('ICRS', o.s_ra, o.s_dec), CIRCLE('ICRS', u.ra, u.dec, 0.001)) = 1",
    "DISTANCE": "DISTANCE(POINT('ICRS', u.ra, u.dec), POINT('ICRS', o.s_ra, o.s_dec)) < 0.001",
}
BULK_ROUNDS = 7
QUICK_ROUNDS = 40
WARMING = 3
JOB_ROUNDS = 8
# Polling without a pause would slow down the server that is measured [s].
POLL_SECONDS = 0.01
# A job that takes longer has been forgotten [s].
JOB_SECONDS = 60
UNFINISHED = ("PENDING", "QUEUED", "EXECUTING")
THROUGHPUT_SEARCHES = 400
# A file has no width; the tables need some.
SHOW = Console(width=None if sys.stdout.isatty() else 120)


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        what: the work.
        ours, limit, dachs: medians [s]; limit is PostgreSQL itself. None where there is no such figure.
        over_limit: ours / limit.
        ahead: DaCHS / ours.
    """

    what: str
    ours: float
    limit: float | None
    dachs: float | None
    over_limit: float | None
    ahead: float | None


@dataclass(frozen=True)
class Throughput:
    """Searches a second, ours and DaCHS', and how many times ours is theirs."""

    what: str
    ours: float
    dachs: float
    ahead: float


class Sink:
    """Takes what COPY writes and drops it."""

    def write(self, data: bytes) -> int:
        """Count nothing, keep nothing."""
        return len(data)


class Bench:
    """The contestants on one running archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        settings = archive.settings
        self._ours, self._dachs = settings.base_url, archive.publisher_url
        self._connection = psycopg2.connect(settings.dsn("ost_web"))
        self._catalogue = tap_schema.load(self._connection)

    def bulk(self, name: str, form: str, options: str, *, dachs: bool = True) -> Figure:
        """Time 100,000 rows in a format, whole; beside DaCHS where it knows the format."""
        return self._compare(
            f"100,000 rows {name}, whole",
            BULK_ROUNDS,
            lambda _: self._fetch(self._ours, BULK, form)[1],
            lambda _: self._copy(BULK, f"FORMAT {options}"),
            (lambda _: self._fetch(self._dachs, BULK, form)[1]) if dachs else None,
        )

    def first_byte(self) -> Figure:
        """Time the first byte of 100,000 rows."""
        return self._compare(
            "100,000 rows BINARY2, first byte",
            BULK_ROUNDS,
            lambda _: self._fetch(self._ours, BULK, BINARY2)[0],
            None,
            lambda _: self._fetch(self._dachs, BULK, BINARY2)[0],
        )

    def latency(self, what: str, query: Callable[[int], str]) -> Figure:
        """Time a small query of one client."""
        return self._compare(
            what,
            QUICK_ROUNDS,
            lambda i: self._fetch(self._ours, query(i), BINARY2)[1],
            lambda i: self._copy(query(i), "FORMAT BINARY"),
            lambda i: self._fetch(self._dachs, query(i), BINARY2)[1],
        )

    def throughput(self, clients: int) -> Throughput:
        """Count the cone searches a second that a number of clients get, each waiting for its answers."""
        ours = self._rate(self._ours, clients, THROUGHPUT_SEARCHES)
        dachs = self._rate(self._dachs, clients, THROUGHPUT_SEARCHES // 20)
        return Throughput(f"cone searches a second, {clients} clients", ours, dachs, ours / dachs)

    def upload(self, serialization: str, match: str) -> Figure:
        """Time an uploaded table of 100,000 rows, joined by position with the archive."""
        condition = MATCHES[match]
        fields = {
            "LANG": "ADQL",
            "FORMAT": "csv",
            "QUERY": f"SELECT u.id, o.obs_id FROM TAP_UPLOAD.t AS u JOIN ivoa.obscore AS o ON {condition}",
            "UPLOAD": "t,param:file",
        }
        document = sky(ROWS, serialization)

        def ours(_: int) -> float:
            start = time.perf_counter()
            answer = requests.post(f"{self._ours}/tap/sync", fields, files={"file": document}, timeout=120)
            answer.raise_for_status()
            return time.perf_counter() - start

        return self._compare(
            f"upload of 100,000 rows {serialization.upper()}, {match}", BULK_ROUNDS, ours, None, None
        )

    def job(self) -> Figure:
        """Time a trivial asynchronous job, from creation to COMPLETED."""
        return self._compare(
            "asynchronous job",
            JOB_ROUNDS,
            lambda _: self._run_job(self._ours),
            None,
            lambda _: self._run_job(self._dachs),
        )

    def _rate(self, base: str, clients: int, searches: int) -> float:
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda i: self._fetch(base, cone(i), BINARY2), range(clients)))
            start = time.perf_counter()
            list(pool.map(lambda i: self._fetch(base, cone(i), BINARY2), range(searches)))
            return searches / (time.perf_counter() - start)

    def _run_job(self, base: str) -> float:
        fields = {"LANG": "ADQL", "REQUEST": "doQuery", "QUERY": "SELECT TOP 1 obs_id FROM ivoa.obscore"}
        start = time.perf_counter()
        response = requests.post(f"{base}/tap/async", fields, allow_redirects=False, timeout=60)
        job = response.headers["Location"]
        # In a request of its own: DaCHS leaves a job PENDING whose creation asks for PHASE=RUN.
        requests.post(f"{job}/phase", {"PHASE": "RUN"}, allow_redirects=False, timeout=60)
        while (phase := requests.get(f"{job}/phase", timeout=60).text.strip()) in UNFINISHED:
            if time.perf_counter() - start > JOB_SECONDS:
                raise RuntimeError(f"the job {job} is {phase} after {JOB_SECONDS} s")
            time.sleep(POLL_SECONDS)
        taken = time.perf_counter() - start
        if phase != "COMPLETED":
            raise RuntimeError(f"the job {job} ended as {phase}")
        requests.delete(job, timeout=60, allow_redirects=False)
        return taken

    def _compare(
        self,
        what: str,
        rounds: int,
        ours: Callable[[int], float],
        limit: Callable[[int], float] | None,
        dachs: Callable[[int], float] | None,
    ) -> Figure:
        times = []
        for i in track(range(-WARMING, rounds), what, console=SHOW, transient=True):
            taken = (ours(i), limit(i) if limit else None, dachs(i) if dachs else None)
            if i >= 0:
                times.append(taken)
        mine = [time[0] for time in times]
        floor = [time[1] for time in times if time[1] is not None]
        theirs = [time[2] for time in times if time[2] is not None]
        return Figure(
            what,
            statistics.median(mine),
            statistics.median(floor) if floor else None,
            statistics.median(theirs) if theirs else None,
            statistics.median(a / b for a, b in zip(mine, floor, strict=True)) if floor else None,
            statistics.median(b / a for a, b in zip(mine, theirs, strict=True)) if theirs else None,
        )

    def _fetch(self, base: str, query: str, form: str) -> tuple[float, float]:
        """Return the seconds until the first byte of the answer's body, and until its last."""
        parts = urlsplit(base)
        fields = {"LANG": "ADQL", "REQUEST": "doQuery", "MAXREC": 10 * ROWS, "FORMAT": form, "QUERY": query}
        start = time.perf_counter()
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        connection.request("GET", f"/tap/sync?{urlencode(fields)}")
        response = connection.getresponse()
        response.read(1)
        first = time.perf_counter() - start
        while response.read(1 << 20):
            continue
        whole = time.perf_counter() - start
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{base} answered {response.status} to {query}")
        return first, whole

    def _copy(self, query: str, options: str) -> float:
        """Return the seconds that PostgreSQL needs for the same SQL and one client."""
        sql = adql.translate(query, self._catalogue).sql
        start = time.perf_counter()
        with self._connection.cursor() as cursor:
            for name, value in ANONYMOUS.database_settings().items():
                cursor.execute("SELECT set_config(%s, %s, true)", (name, value))
            cursor.copy_expert(f"COPY ({sql}) TO STDOUT ({options})", Sink())
        self._connection.rollback()
        return time.perf_counter() - start


def cone(i: int) -> str:
    """Return the i-th cone search: somewhere else each time."""
    return CONE.format((i * 37.3) % 360, (i * 17.7) % 120 - 60)


def sky(rows: int, serialization: str) -> bytes:
    """Return a VOTable of places all over the sky, always the same."""
    random = np.random.default_rng(7)
    places = Table(
        {
            "id": np.arange(rows),
            "ra": random.uniform(0, 360, rows),
            "dec": np.degrees(np.arcsin(random.uniform(-1, 1, rows))),
        }
    )
    document = io.BytesIO()
    from_table(places).to_xml(document, tabledata_format=serialization)
    return document.getvalue()


def measure(archive: Archive) -> tuple[list[Figure], list[Throughput]]:
    """Run every comparison."""
    bench = Bench(archive)
    figures = [
        bench.bulk("BINARY2", BINARY2, "BINARY"),
        bench.first_byte(),
        bench.bulk("TABLEDATA", TABLEDATA, "TEXT"),
        bench.bulk("CSV", "text/csv", "CSV"),
        bench.bulk("BINARY", BINARY, "BINARY"),
        bench.bulk("FITS", FITS, "BINARY"),
        bench.bulk("JSON", "application/json", "TEXT"),
        bench.bulk("Parquet", "application/vnd.apache.parquet", "BINARY", dachs=False),
        bench.latency("TOP 5", lambda _: FEW),
        bench.latency("cone 1 deg", cone),
        bench.job(),
        *(bench.upload(form, match) for form in ("binary2", "tabledata") for match in MATCHES),
    ]
    return figures, [bench.throughput(8), bench.throughput(32)]


def show(figures: list[Figure], rates: list[Throughput], products: int) -> None:
    """Print the figures."""
    table = Printed(title=f"{products:,} rows, medians in ms")
    for name in ("", "ost_vo", "raw COPY", "DaCHS", "ost_vo / COPY", "DaCHS / ost_vo"):
        table.add_column(name, justify="left" if not name else "right")
    for figure in figures:
        times = [
            "" if seconds is None else f"{1000 * seconds:.1f}"
            for seconds in (figure.ours, figure.limit, figure.dachs)
        ]
        ratios = ["" if ratio is None else f"{ratio:.2f}" for ratio in (figure.over_limit, figure.ahead)]
        table.add_row(figure.what, *times, *ratios)
    SHOW.print(table)
    for rate in rates:
        SHOW.print(f"{rate.what}: {rate.ours:.0f}, DaCHS {rate.dachs:.0f}, {rate.ahead:.1f} times as many")


def main() -> None:
    """Start an archive in a temporary directory, fill it, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--files", type=int, default=bench_services.FRAMES, help="ingested beside DaCHS")
    parser.add_argument("--seconds", type=int, default=bench_services.MIXTURE_SECONDS, help="of the mixture")
    options = parser.parse_args()
    # Jobs that run here warn of every one of the bench's hollow files.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="ost_vo-bench-") as directory:
        Path(directory).chmod(0o755)
        archive = Archive(Settings(state=Path(directory) / "state", port=free_port(), watch=False))
        try:
            archive.start_database(SHOW.print)
            start = time.perf_counter()
            with SHOW.status(f"{options.products:,} synthetic rows"):
                synthesize(archive.settings, options.products)
            filled = options.products / (time.perf_counter() - start)
            archive.start_services(SHOW.print)
            archive.await_publisher()
            figures, rates = measure(archive)
            views = bench_views.measure(archive.settings, SHOW)
            services = bench_services.measure(archive.settings, SHOW, options.files, options.seconds)
            pages = bench_pages.measure(archive.settings, SHOW)
            access = bench_access.measure(archive.settings, SHOW)
            lists = bench_api.measure(archive.settings, SHOW)
            downloads = bench_downloads.measure(archive.settings, SHOW)
            ingest = bench_ingest.measure(archive.settings)
        finally:
            archive.stop()
    show(figures, rates, options.products)
    bench_views.show(views, SHOW)
    bench_services.show(services, SHOW)
    bench_pages.show(pages, SHOW)
    bench_access.show(access, SHOW)
    bench_api.show(lists, SHOW)
    bench_downloads.show(downloads, SHOW)
    bench_ingest.show(ingest, SHOW)
    SHOW.print(f"Synthetic rows: {filled:,.0f} a second, indexes included")
    if options.json:
        document = {
            "figures": [asdict(figure) for figure in figures],
            "throughput": [asdict(rate) for rate in rates],
            "views": [asdict(figure) for figure in views],
            "services": [asdict(figure) for figure in services],
            "pages": [asdict(figure) for figure in pages],
            "access": [asdict(figure) for figure in access],
            "lists": [asdict(figure) for figure in lists],
            "downloads": [asdict(figure) for figure in downloads],
            "ingest": [asdict(figure) for figure in ingest],
            "synthetic_rows_per_second": filled,
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
