"""How fast links, searches by position and cutouts are; called by `tests/bench.py` on its archive.

The frames for the cutouts are made for the measurement, and taken away with it. Figures are medians, without
the first answers.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg2
import requests
from astropy.io import fits
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ingest.load import ingest
from ost_vo.settings import Settings

ROUNDS, WARMING = 15, 3
RUN = "20260301_bench"
# A frame of the observatory's largest camera, and what it sees of the sky [pixels, arcsec].
LARGE, SCALE = (6388, 9576), 1.0
FRAMES, FRAME, CUTOUTS = 200, (512, 768), 10_000
# Of cutouts of 51 pixels [deg].
RADIUS = 25 / 3600
SECONDS = 120


@dataclass(frozen=True)
class AccessFigure:
    """A median time, or a rate.

    Attributes:
        what: the work.
        value: median [ms], or cutouts a second.
        wanted: what it is to be at the most, or the least of a rate.
    """

    what: str
    value: float
    wanted: float


def measure(settings: Settings, console: Console) -> list[AccessFigure]:
    """Run all measurements on a running archive that has many rows."""
    with requests.Session() as session:
        links = _Links(settings, session)
        figures = [
            _timed(f"DataLink, {count} IDs", wanted, links.ask(count), console)
            for count, wanted in ((1, 4.0), (100, 30.0), (1000, 200.0))
        ]
        figures.append(_timed("SIA 2.0, cone of 2 rows", 10.0, _cone(settings, session), console))
        identifiers = _frames(settings, console)
        for name, wanted in (("large.fits", 8.0), ("large.fits.fz", 60.0)):
            cut = _cutout(settings, session, identifiers[name])
            figures.append(_timed(f"cutout of 1 arcmin, {name}", wanted, cut, console))
        figures.append(_bulk(settings, session, identifiers))
    return figures


def show(figures: list[AccessFigure], console: Console) -> None:
    """Print the figures."""
    table = Table(title="Links, positions and cutouts")
    for name in ("", "ms, or a second", "wanted"):
        table.add_column(name, justify="left" if not name else "right")
    for figure in figures:
        table.add_row(figure.what, f"{figure.value:.1f}", f"{figure.wanted:g}")
    console.print(table)


def _timed(what: str, wanted: float, ask: Callable[[int], object], console: Console) -> AccessFigure:
    taken = []
    for number in track(range(-WARMING, ROUNDS), what, console=console, transient=True):
        start = time.perf_counter()
        ask(number + WARMING)
        if number >= 0:
            taken.append(1000 * (time.perf_counter() - start))
    return AccessFigure(what, statistics.median(taken), wanted)


class _Links:
    """Requests for the links of light frames that were taken one after another."""

    def __init__(self, settings: Settings, session: requests.Session) -> None:
        self._url, self._session = f"{settings.base_url}/datalink/links", session
        query = (
            "SELECT obs_publisher_did FROM archive.products WHERE privileges = 5 AND exposure_type = 'light'"
            f" ORDER BY t_min LIMIT {1000 * (ROUNDS + WARMING)}"
        )
        self._identifiers = [row[0] for row in _rows(settings, query)]

    def ask(self, count: int) -> Callable[[int], object]:
        def asked(number: int) -> None:
            start = number * 1000 % max(1, len(self._identifiers) - count)
            chosen = self._identifiers[start : start + count]
            self._session.post(self._url, data={"ID": chosen}, timeout=SECONDS).raise_for_status()

        return asked


def _cone(settings: Settings, session: requests.Session) -> Callable[[int], object]:
    def asked(number: int) -> None:
        circle = f"CIRCLE {number * 37.3 % 360} {number * 17.7 % 60 - 30} 0.05"
        fields = {"POS": circle, "MAXREC": "2"}
        session.get(f"{settings.base_url}/sia/query", params=fields, timeout=SECONDS).raise_for_status()

    return asked


def _cutout(settings: Settings, session: requests.Session, identifier: str) -> Callable[[int], object]:
    def asked(number: int) -> None:
        fields = {"ID": identifier, "CIRCLE": f"{10 + 0.01 * number} 41.1 {0.5 / 60}"}
        session.get(f"{settings.base_url}/soda/sync", params=fields, timeout=SECONDS).raise_for_status()

    return asked


def _bulk(settings: Settings, session: requests.Session, identifiers: dict[str, str]) -> AccessFigure:
    """Time one job, from the POST to its end."""
    random = np.random.default_rng(5)
    which = np.arange(CUTOUTS) % FRAMES
    ra, dec = (place[which] + random.uniform(-0.05, 0.05, CUTOUTS) for place in _places())
    lines = [
        f"{identifiers[f'frame{number}.fits']},{x},{y},{RADIUS}"
        for number, x, y in zip(which, ra, dec, strict=True)
    ]
    document = io.BytesIO("\n".join(["ID,ra,dec,radius", *lines]).encode())
    fields = {"UPLOAD": "places,param:file", "PHASE": "RUN"}
    start = time.perf_counter()
    answer = session.post(
        f"{settings.base_url}/soda/async", fields, files={"file": document}, allow_redirects=False, timeout=60
    )
    job = answer.headers["Location"]
    while (phase := session.get(f"{job}/phase", timeout=60).text) in ("QUEUED", "EXECUTING"):
        session.get(f"{job}?WAIT=10", timeout=60)
        if time.perf_counter() - start > SECONDS:
            raise RuntimeError(f"the job {job} is {phase} after {SECONDS} s")
    taken = time.perf_counter() - start
    if phase != "COMPLETED":
        raise RuntimeError(f"the job {job} ended as {phase}")
    session.delete(job, allow_redirects=False, timeout=60)
    return AccessFigure(f"{CUTOUTS:,} cutouts of 51 pixels from {FRAMES} frames", CUTOUTS / taken, 500.0)


def _frames(settings: Settings, console: Console) -> dict[str, str]:
    """Make and ingest the frames; return identifiers by names."""
    root = settings.data / RUN
    root.mkdir(parents=True, exist_ok=True)
    with console.status("Frames to cut out of"):
        _write(root)
        ingest([root], settings, None)
    rows = _rows(settings, f"SELECT path, obs_publisher_did FROM archive.products WHERE path LIKE '{RUN}/%'")
    return {Path(path).name: identifier for path, identifier in rows}


def _write(root: Path) -> None:
    random = np.random.default_rng(3)
    large, header = random.normal(1000, 30, LARGE).astype("u2"), _header(10.0, 41.0, LARGE)
    fits.PrimaryHDU(large, header).writeto(root / "large.fits")
    tiled = fits.CompImageHDU(large, header, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), tiled]).writeto(root / "large.fits.fz")
    for number, (ra, dec) in enumerate(zip(*_places(), strict=True)):
        pixels = random.normal(1000, 30, FRAME).astype("u2")
        fits.PrimaryHDU(pixels, _header(ra, dec, FRAME)).writeto(root / f"frame{number}.fits")


def _places() -> tuple[np.ndarray, np.ndarray]:
    numbers = np.arange(FRAMES)
    return 100.0 + numbers % 20, 10.0 + numbers // 20


def _header(ra: float, dec: float, shape: tuple[int, int]) -> fits.Header:
    rows, columns = shape
    step = SCALE / 3600
    return fits.Header(
        {
            "OBJECT": "bench", "IMAGETYP": "Light Frame", "EXPTIME": 30.0, "DATE-OBS": "2026-03-01T20:00:00",
            "INSTRUME": "bench", "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": ra,
            "CRVAL2": dec, "CRPIX1": columns / 2, "CRPIX2": rows / 2, "CD1_1": -step, "CD1_2": 0.0,
            "CD2_1": 0.0, "CD2_2": step, "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 2e-6, "B_0_2": 3e-6,
        }
    )  # fmt: skip


def _rows(settings: Settings, query: str) -> list[tuple[str, ...]]:
    connection = psycopg2.connect(settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        found = cursor.fetchall()
    connection.close()
    return found
