"""Ours beside DaCHS on the same files: positions, links, cutouts, files, a mixture of them, and ingest.

Called by `tests/bench.py` on its archive, which has many rows; this DaCHS is another than the archive's own,
and has the rows of the files alone. The two take turns. curl asks, so that the client is not the limit.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import numpy as np
import psycopg2
from astropy.io import fits
from rich.console import Console
from rich.table import Table

from ost_vo.settings import Settings
from tests.bench_dachs.server import Dachs, dachs
from tests.bench_ingest import HEADER, SIDE, hashed

RUN = "20960101"
FRAMES, MIXTURE_SECONDS = 300, 30
# Frames of 0.075 deg, two at each place, which is so far south that few others of the archive's are there.
TARGET, RA, DEC, APART, PLACES_A_ROW = "NGC 104", 6.02, -72.08, 0.1, 12
# A frame of the observatory's largest camera [pixels], the width of its pixels, and where it points [deg].
LARGE, LARGE_STEP, LARGE_RA, LARGE_DEC = (6388, 9576), 1 / 3600, 120.0, -50.0
LARGE_NAMES = ("large.fits", "large.fits.fz")
CONE_RADIUS, CUTOUT_RADIUS = 0.01, 0.5 / 60  # deg
MANY_IDS = 1000
CLIENTS, MIXTURE_TURNS, KINDS = 16, 2, 8
FILE_CLIENTS, FILE_TURNS, FILE_REPEATS = 8, 5, 3
INGEST_TURNS = 2
WARMING = 2
# No request takes longer [s], and no client of the mixture gets more answers a second.
PATIENCE, MOST_A_SECOND = 60, 100
_GIGA = 1e9
_COLUMNS = "obs_publisher_did, obs_id, target_name, s_ra, s_dec, s_fov, t_min, t_exptime, access_url"


class Ask(NamedTuple):
    """A request: its URL, and fields to be posted; '' for none."""

    url: str
    fields: str = ""


class Answer(NamedTuple):
    """What came of a request: HTTP's status, 0 for none, and the time from its start to its last byte [s]."""

    status: int
    seconds: float


@dataclass(frozen=True)
class ServiceFigure:
    """One measured figure.

    Attributes:
        what, unit: the work, and the unit of the next two.
        ours, dachs: medians, or rates; None where it was not asked, or the machine too restless to tell.
        ahead: how many times as fast as DaCHS ours is.
        to_reach: what was asked for.
    """

    what: str
    unit: str
    ours: float | None
    dachs: float | None
    ahead: float | None
    to_reach: str


class _Side:
    """Requests to one of the two; n chooses among those that are alike.

    Attributes:
        base: URL of the server.
        sia_path, links_path, files_path: of the services.
        cutout_paths: of the services for the plain and the compressed large frame.
    """

    base: str
    sia_path: str
    links_path: str
    files_path: str
    cutout_paths: tuple[str, str]

    def __init__(self, base: str, identifiers: dict[str, str]) -> None:
        self.base = base
        self._identifiers = identifiers
        self._frames = [did for name, did in sorted(identifiers.items()) if name not in LARGE_NAMES]

    def sia(self, n: int) -> Ask:
        ra, dec = _place(2 * n % len(self._frames))
        fields = {"POS": f"CIRCLE {ra} {dec} {CONE_RADIUS}", "MAXREC": 2}
        return Ask(f"{self.base}/{self.sia_path}?{urlencode(fields)}")

    def links(self, n: int, count: int) -> Ask:
        first = n * 17 % max(1, len(self._frames) - count)
        return self._links(self._frames[first : first + count])

    def cutout(self, n: int, name: str) -> Ask:
        circle = f"{LARGE_RA + n % 40 / 100} {LARGE_DEC} {CUTOUT_RADIUS}"
        path = self.cutout_paths[LARGE_NAMES.index(name)]
        return Ask(f"{self.base}/{path}?{urlencode({'ID': self._identifiers[name], 'CIRCLE': circle})}")

    def frame(self, n: int) -> Ask:
        return self.file(_name(n % len(self._frames)))

    def file(self, name: str) -> Ask:
        return Ask(f"{self.base}/{self.files_path}/{name}")

    def tap(self, query: str) -> Ask:
        fields = {"LANG": "ADQL", "REQUEST": "doQuery", "QUERY": query}
        return Ask(f"{self.base}/tap/sync?{urlencode(fields)}")

    def top(self, _: int) -> Ask:
        return self.tap(f"SELECT TOP 5 {_COLUMNS} FROM ivoa.obscore")

    def cone(self, n: int) -> Ask:
        ra, dec = _place(2 * n % len(self._frames))
        inside = f"CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {ra}, {dec}, {CONE_RADIUS})) = 1"
        return self.tap(f"SELECT TOP 10 {_COLUMNS} FROM ivoa.obscore WHERE {inside}")

    def any(self, n: int) -> Ask:
        kinds: tuple[Callable[[int], Ask], ...] = (
            self.sia,
            lambda n: self.links(n, 1),
            lambda n: self.links(n, 20),
            lambda n: self.cutout(n, LARGE_NAMES[0]),
            lambda n: self.cutout(n, LARGE_NAMES[1]),
            self.frame,
            self.top,
            self.cone,
        )
        return kinds[n % len(kinds)](n // len(kinds))

    def _links(self, identifiers: Sequence[str]) -> Ask:
        fields = urlencode({"ID": identifiers}, doseq=True)
        url = f"{self.base}/{self.links_path}"
        # Some hundred identifiers are too long for a URL.
        return Ask(f"{url}?{fields}") if len(identifiers) < 100 else Ask(url, fields)


class _Ours(_Side):
    sia_path, links_path, files_path = "sia/query", "datalink/links", f"files/{RUN}"
    cutout_paths = "soda/sync", "soda/sync"

    def __init__(self, settings: Settings) -> None:
        rows = _rows(
            settings, "SELECT path, obs_publisher_did FROM archive.products WHERE path LIKE %s", f"{RUN}/%"
        )
        super().__init__(settings.base_url, {Path(path).name: did for path, did in rows})
        self._many = _rows(
            settings,
            "SELECT obs_publisher_did FROM archive.products WHERE privileges = 5 AND exposure_type = 'light'"
            " ORDER BY t_min LIMIT %s",
            MANY_IDS,
        )

    def many_links(self, _: int) -> Ask:
        return self._links([did for (did,) in self._many])


class _Theirs(_Side):
    sia_path, links_path = "__system__/siap2/sitewide/siap2.xml", "bench/q/links/dlmeta"
    # Faster than DaCHS' getproduct.
    files_path = "bench/q/files/static"
    cutout_paths = "bench/q/links/dlget", "bench/q/compressed_links/dlget"

    def __init__(self, server: Dachs, names: Sequence[str]) -> None:
        super().__init__(server.url, {name: server.identifier(name) for name in names})


Sides = tuple[_Side, _Side]


def measure(
    settings: Settings, show: Console, frames: int = FRAMES, seconds: int = MIXTURE_SECONDS
) -> list[ServiceFigure]:
    """Run all measurements on a running archive.

    Args:
        settings: of the archive.
        show: where progress is shown.
        frames: how many files of 3.1 MB are ingested.
        seconds: how long each of the two is asked for everything.
    """
    with show.status("Beside DaCHS"), dachs(settings) as server, _files(settings, server, frames) as names:
        figures = _ingest(settings, server, frames)
        with server.serving():
            ours, theirs = _Ours(settings), _Theirs(server, names)
            sides = ours, theirs
            figures += [
                _latency(
                    "SIA 2.0, cone of 2 rows", "4 ms; of 1,000,000 10 ms", sides, lambda s, n: s.sia(n), 6, 8
                ),
                _links(sides, 1, "4 ms", 6, 8),
                _links(sides, 20, "", 4, 5),
                _links(sides, 100, "30 ms", 3, 3),
                _many_links(ours),
                _cutouts(sides, LARGE_NAMES[0], "8 ms", 5, 6),
                _cutouts(sides, LARGE_NAMES[1], "60 ms", 4, 3),
                _transfers(sides, 1),
                _transfers(sides, FILE_CLIENTS),
                _mixture(sides, seconds),
            ]
    return figures


def show(figures: list[ServiceFigure], console: Console) -> None:
    """Print the figures."""
    table = Table(title="Beside DaCHS with the same files")
    for name in ("", "", "ost_vo", "DaCHS", "times as fast", "to reach"):
        table.add_column(name, justify="right" if name in ("ost_vo", "DaCHS", "times as fast") else "left")
    for figure in figures:
        numbers = ["" if n is None else f"{n:,.2f}" for n in (figure.ours, figure.dachs, figure.ahead)]
        table.add_row(figure.what, figure.unit, *numbers, figure.to_reach)
    console.print(table)


def _links(sides: Sides, count: int, to_reach: str, turns: int, each: int) -> ServiceFigure:
    what = f"DataLink, {count} ID{'s' if count > 1 else ''}"
    return _latency(what, to_reach, sides, lambda side, n: side.links(n, count), turns, each)


def _many_links(ours: _Ours) -> ServiceFigure:
    times = _times([ours.many_links(n) for n in range(WARMING + 8)])
    return ServiceFigure(
        f"DataLink, {MANY_IDS:,} IDs", "ms", 1000 * statistics.median(times), None, None, "200 ms"
    )


def _cutouts(sides: Sides, name: str, to_reach: str, turns: int, each: int) -> ServiceFigure:
    what = f"cutout of 1 arcmin, {name}"
    return _latency(what, to_reach, sides, lambda side, n: side.cutout(n, name), turns, each)


def _latency(
    what: str, to_reach: str, sides: Sides, ask: Callable[[_Side, int], Ask], turns: int, each: int
) -> ServiceFigure:
    """Time requests of one client, in turns of so many each."""
    pairs = []
    for turn in range(turns):
        numbers = range(turn * each, (turn + 1) * each + WARMING)
        pairs.append([1000 * statistics.median(_times([ask(side, n) for n in numbers])) for side in sides])
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return ServiceFigure(what, "ms", ours, theirs, statistics.median(b / a for a, b in pairs), to_reach)


def _transfers(sides: Sides, clients: int) -> ServiceFigure:
    """Compare the speeds at which one large file comes to so many clients at once, together."""
    size = 2 * LARGE[0] * LARGE[1]
    pairs = []
    for _ in range(FILE_TURNS):
        pair = []
        for side in sides:
            start = time.perf_counter()
            answers = _fetch([[side.file(LARGE_NAMES[0])] * FILE_REPEATS] * clients)
            taken = time.perf_counter() - start
            _require(answers)
            pair.append(len(answers) * size / taken / _GIGA)
        pairs.append(pair)
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ahead = statistics.median(a / b for a, b in pairs)
    what = f"file of {size / 1e6:.0f} MB, {clients} client{'s together' if clients > 1 else ''}"
    return ServiceFigure(what, "GB/s", ours, theirs, ahead, "as DaCHS")


def _mixture(sides: Sides, seconds: int) -> ServiceFigure:
    """Have many clients ask for everything in turn, and count the answers."""
    each = max(1, seconds // MIXTURE_TURNS)
    for side in sides:
        _require(_fetch([[side.any(n) for n in range(KINDS)]]))
    counts, failures = [0, 0], [0, 0]
    for _ in range(MIXTURE_TURNS):
        for place, side in enumerate(sides):
            asks = [
                [side.any(7 * client + n) for n in range(MOST_A_SECOND * each)] for client in range(CLIENTS)
            ]
            answers = _fetch(asks, each)
            counts[place] += sum(answer.status == 200 for answer in answers)
            failures[place] += sum(answer.status != 200 for answer in answers)
    ours, theirs = (count / (each * MIXTURE_TURNS) for count in counts)
    what = f"{CLIENTS} clients for {each * MIXTURE_TURNS} s ({failures[0]} failures; {failures[1]} of DaCHS)"
    return ServiceFigure(what, "a second", ours, theirs, ours / theirs, "10 x DaCHS, no failure")


def _ingest(settings: Settings, server: Dachs, frames: int) -> list[ServiceFigure]:
    """Time the commands, in turn with sha256sum; and without their start, which one file shows."""
    root = settings.data / RUN
    first, *rest = (root / _name(n) for n in range(frames))
    turns = []
    for turn in range(INGEST_TURNS):
        if turn:
            _forget(settings)
        turns.append(
            (
                _timed(lambda: server.run("imp", "bench/q", "import_compressed")),
                _timed(lambda: server.run("imp", "bench/q", "import_frames")),
                _timed(lambda: _ost_vo(settings, first)),
                hashed(rest),
                _timed(lambda: _ost_vo(settings, *rest)),
                hashed(rest),
            )
        )
    their_start, theirs, start, one, ours, other = (min(column) for column in zip(*turns, strict=True))
    sums, files = min(one, other), frames - 1
    _ost_vo(settings, *(root / name for name in LARGE_NAMES))
    speed, their_speed = _speed(files, ours - start), _speed(files, theirs - their_start)
    ahead = speed / their_speed if speed and their_speed else None
    cores = len(os.sched_getaffinity(0))
    return [
        ServiceFigure(f"{files} files of 3.1 MB, whole command", "s", ours, theirs, theirs / ours, ""),
        ServiceFigure("the same without its start", "files/s", speed, their_speed, ahead, "as DaCHS; 340"),
        ServiceFigure(
            f"the same / sha256sum x {cores}, {files / sums:.0f} files/s",
            "",
            (ours - start) / sums,
            None,
            None,
            "2",
        ),
    ]


def _speed(files: int, seconds: float) -> float | None:
    """Return files a second; None where the start of a command took longer than its work, by chance."""
    return files / seconds if seconds > 0 else None


def _ost_vo(settings: Settings, *paths: Path) -> None:
    """Ingest files with the command."""
    environment = {
        **os.environ,
        "OST_VO_STATE": str(settings.state),
        "OST_VO_DATA_ROOT": str(settings.data),
        "OST_VO_PORT": str(settings.port),
    }
    command = [sys.executable, "-m", "ost_vo.cli", "ingest", *map(str, paths)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or f"{len(paths)} ingested" not in done.stderr:
        raise RuntimeError(f"not all were ingested: {done.stderr}")


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _times(asks: Sequence[Ask]) -> list[float]:
    """Return how long the answers to one client took but the first [s]."""
    answers = _fetch([asks])
    _require(answers)
    return [answer.seconds for answer in answers[WARMING:]]


def _require(answers: Sequence[Answer]) -> None:
    """Raise RuntimeError where an answer was a refusal."""
    if refused := {answer.status for answer in answers} - {200}:
        raise RuntimeError(f"a request was answered with {refused}")


def _fetch(clients: Sequence[Sequence[Ask]], seconds: float | None = None) -> list[Answer]:
    """Have clients ask, each for one thing after another over one connection, and return the answers.

    Args:
        clients: what each is to ask for.
        seconds: after which they are stopped; what is under way then is not counted.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        curls = []
        for number, asks in enumerate(clients):
            script, said = directory / f"{number}.curl", directory / f"{number}.txt"
            script.write_text("next\n".join(_section(ask, directory) for ask in asks))
            with said.open("wb") as output:
                command = ["curl", "--silent", "--config", str(script)]
                curls.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=output))
        deadline = time.monotonic() + (seconds or PATIENCE * max(map(len, clients)))
        for curl in curls:
            try:
                curl.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                curl.terminate()
                curl.wait()
        # What a client was saying when it was stopped has no end of line.
        lines = chain.from_iterable(path.read_text().split("\n")[:-1] for path in directory.glob("*.txt"))
        return [Answer(int(status), float(taken)) for status, taken in map(str.split, lines)]


def _section(ask: Ask, directory: Path) -> str:
    """Return what asks for something in a file of curl's options; what is posted lies in the directory."""
    options = {
        "url": ask.url,
        "output": "/dev/null",
        "write-out": "%{stderr}%{http_code} %{time_total}\\n",
        "max-time": str(PATIENCE),
    }
    if ask.fields:
        posted = directory / f"{hashlib.sha256(ask.fields.encode()).hexdigest()}.fields"
        posted.write_text(ask.fields)
        options["data"] = f"@{posted}"
    return "".join(f'{name} = "{value}"\n' for name, value in options.items())


@contextmanager
def _files(settings: Settings, server: Dachs, frames: int) -> Iterator[list[str]]:
    """Make the files of both, and yield their names; at the end they are gone, and so are their rows."""
    root = settings.data / RUN
    root.mkdir(parents=True)
    try:
        names = [_name(n) for n in range(frames)]
        noise = np.random.default_rng(1).normal(1000, 30, (SIDE, SIDE)).astype("u2")
        for n, name in enumerate(names):
            header = _header(n, *_place(n), HEADER["CD2_2"], noise.shape)
            fits.PrimaryHDU(noise, header).writeto(root / name)
        _write_large(root, frames)
        for path in root.iterdir():
            os.link(path, server.data / path.name)
        yield [*names, *LARGE_NAMES]
    finally:
        _forget(settings)
        shutil.rmtree(root)


def _write_large(root: Path, number: int) -> None:
    """Write the large frame, plain and compressed."""
    noise = np.random.default_rng(3).normal(1000, 30, LARGE).astype("u2")
    plain, compressed = (_header(number + n, LARGE_RA, LARGE_DEC, LARGE_STEP, LARGE) for n in (0, 1))
    fits.PrimaryHDU(noise, plain).writeto(root / LARGE_NAMES[0])
    tiled = fits.CompImageHDU(noise, compressed, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), tiled]).writeto(root / LARGE_NAMES[1])


def _header(n: int, ra: float, dec: float, step: float, shape: tuple[int, ...]) -> fits.Header:
    """Return the header of the n-th frame [deg, pixels]."""
    rows, columns = shape
    header = fits.Header(HEADER.items())
    header["OBJECT"] = TARGET
    header["DATE-OBS"] = f"2026-01-01T{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
    header["EXPTIME"] = 30.0
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"], header["CRPIX2"] = columns / 2, rows / 2
    header["CD1_1"], header["CD2_2"] = -step, step
    return header


def _name(n: int) -> str:
    return f"frame{n:05d}.fits"


def _place(n: int) -> tuple[float, float]:
    """Return where the n-th frame points [deg]: two of them at each place."""
    row, column = divmod(n // 2, PLACES_A_ROW)
    dec = DEC + (row % 20) * APART
    return round(RA + column * APART / math.cos(math.radians(dec)), 6), round(dec, 6)


def _forget(settings: Settings) -> None:
    """Delete the rows of the files, so that they are new."""
    for table in ("products", "deletions"):
        _execute(settings, f"DELETE FROM archive.{table} WHERE path LIKE %s", f"{RUN}/%")


def _rows(settings: Settings, query: str, *values: object) -> list[tuple[str, ...]]:
    with closing(psycopg2.connect(settings.dsn("ost_owner"))) as connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def _execute(settings: Settings, statement: str, *values: object) -> None:
    with closing(psycopg2.connect(settings.dsn("ost_owner"))) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        connection.commit()
