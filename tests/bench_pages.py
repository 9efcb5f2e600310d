"""How fast the pages are; called by `tests/bench.py` on its archive.

Figures are medians, without the first answers: what a page counts of a million files is counted once. First
paint is Chromium's, with its cache warm.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import psycopg2
import requests
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ost_vo.settings import Settings
from tests import bench_observer

ROUNDS, WARMING = 20, 2
PAINTS = 7
# To reach: time to the last byte and to the first paint [ms], and bytes as they are sent compressed.
WANTED_MS, WANTED_PAINT_MS, WANTED_BYTES = 50.0, 300.0, 200_000
CHROMIUM = "/usr/bin/chromium"
_FIRST_PAINT = """() => new Promise((resolve) => {
  const found = () => performance.getEntriesByName('first-contentful-paint')[0];
  const look = () => (found() ? resolve(found().startTime) : setTimeout(look, 5));
  look();
})"""
_SOME = """
SELECT r.name, t.name, p.obs_publisher_did FROM archive.products p
    JOIN archive.runs r ON r.run_id = p.run_id JOIN archive.targets t ON t.target_id = p.target_id
WHERE p.privileges = 5 AND p.exposure_type = 'light' AND p.s_ra IS NOT NULL ORDER BY p.product_id LIMIT 1
"""


@dataclass(frozen=True)
class PageFigure:
    """A page, as somebody sees it.

    Attributes:
        who: nobody who is known, or a member of projects who has logged in.
        what: which one.
        first_ms: to the last byte of the first answer [ms].
        median_ms: of the later ones [ms].
        paint_ms: first contentful paint [ms].
        sent: bytes of the page, its styles and its scripts, compressed.
    """

    who: str
    what: str
    first_ms: float
    median_ms: float
    paint_ms: float
    sent: int


def measure(settings: Settings, console: Console) -> list[PageFigure]:
    """Look at every list and every page of one thing on a running archive that has many rows."""
    pages = _pages(settings)
    callers = {"anybody": requests.Session(), "a member": bench_observer.session(settings)}
    figures = []
    for who, session in callers.items():
        with session:
            session.headers["Accept-Encoding"] = "gzip"
            timed = {
                what: _timed(session, settings.base_url + path, f"{what}, {who}", console)
                for what, path in pages.items()
            }
            paints = _paints(settings.base_url, pages, session)
        figures += [PageFigure(who, what, *timed[what], *paints[what]) for what in pages]
    return figures


def show(figures: list[PageFigure], console: Console) -> None:
    """Print the figures."""
    table = Table(title="Pages")
    table.add_column("page")
    table.add_column("as")
    for name in ("first, ms", "median, ms", f"of {WANTED_MS:g}", "paint, ms", f"of {WANTED_PAINT_MS:g}"):
        table.add_column(name, justify="right")
    table.add_column(f"bytes of {WANTED_BYTES:,}", justify="right")
    for figure in figures:
        table.add_row(
            figure.what,
            figure.who,
            f"{figure.first_ms:.0f}",
            f"{figure.median_ms:.1f}",
            f"{figure.median_ms / WANTED_MS:.2f}",
            f"{figure.paint_ms:.0f}",
            f"{figure.paint_ms / WANTED_PAINT_MS:.2f}",
            f"{figure.sent:,}",
        )
    console.print(table)


def _timed(session: requests.Session, url: str, what: str, console: Console) -> tuple[float, float]:
    """Return the time to the last byte of the first answer, and the median of the later ones [ms]."""
    times = []
    for _ in track(range(WARMING + ROUNDS), what, console=console, transient=True):
        start = time.perf_counter()
        answer = session.get(url, timeout=120)
        times.append((time.perf_counter() - start) * 1000)
        answer.raise_for_status()
    return times[0], statistics.median(times[WARMING:])


def _pages(settings: Settings) -> dict[str, str]:
    connection = psycopg2.connect(settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(_SOME)
        run, target, identifier = cursor.fetchone()
    connection.close()
    return {
        "home": "/",
        "overview": "/overview",
        "nights": "/runs",
        "a night": f"/runs/{run}",
        "targets": "/targets",
        "a target": f"/targets/{target}",
        "a file": f"/product?ID={requests.utils.quote(identifier)}",
        "search, target": f"/search?q={requests.utils.quote(target)}",
        "search, place": "/search?q=180+20+r=0.5",
        "calibration frames": "/darks?exposure_type=dark&t_exptime=60",
        "downloads": "/cart",
        "ADQL": "/query",
    }


def _paints(url: str, pages: dict[str, str], session: requests.Session) -> dict[str, tuple[float, int]]:
    """Return the median of first paints [ms], and what the first visit loads [bytes], of each page."""
    found = {}
    cookies = [{"name": name, "value": value, "url": url} for name, value in session.cookies.items()]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for what, path in pages.items():
            context = browser.new_context()
            context.add_cookies(cookies)
            page = context.new_page()
            wire = context.new_cdp_session(page)
            wire.send("Network.enable")
            sizes: list[int] = []
            wire.on(
                "Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"])
            )
            page.goto(url + path, wait_until="load")
            sent = int(sum(sizes))
            times = []
            for _ in range(PAINTS):
                page.goto(url + path, wait_until="load")
                times.append(page.evaluate(_FIRST_PAINT))
            found[what] = statistics.median(times), sent
            context.close()
        browser.close()
    return found
