"""How fast lists of the HTTP API are; called by `tests/bench.py` on its archive of many rows."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import requests
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ost_vo.settings import Settings
from tests import bench_observer

ROUNDS, WARMING = 15, 3
# Of a list, as issue 8 has it [ms].
WANTED = 50.0
LISTS = {
    "products, 100": "products?limit=100",
    "products of a target, 100": "products?limit=100&target_name={target}",
    "products of a kind, 100": "products?limit=100&exposure_type=light&instrument_name={instrument}",
    "products within 1 deg, 100": "products?limit=100&s_ra={ra}&s_dec={dec}&radius=1",
    "products of a week, 100": "products?limit=100&t_min={start}&t_max={end}",
    "runs, 100": "runs?limit=100",
    "a run": "runs/{run}",
    "files of a run, 100": "runs/{run}/files?limit=100",
    "targets, 100": "targets?limit=100",
    "tags": "tags",
}


@dataclass(frozen=True)
class ApiFigure:
    """The median time of an answer [ms]: who asks, for what, and what it is to be at the most."""

    who: str
    what: str
    value: float
    wanted: float = WANTED


def measure(settings: Settings, console: Console) -> list[ApiFigure]:
    """Run all measurements on a running archive that has many rows, as two callers."""
    url = f"http://{settings.host}:{settings.port}/api/v1"
    with requests.Session() as session:
        query = (
            "SELECT TOP 1 * FROM ost.products WHERE s_ra IS NOT NULL AND t_min IS NOT NULL"
            " AND target_name IS NOT NULL AND instrument_name IS NOT NULL"
        )
        tap = {"LANG": "ADQL", "FORMAT": "json", "QUERY": query}
        found = session.get(f"http://{settings.host}:{settings.port}/tap/sync", params=tap, timeout=60).json()
        row = dict(zip((column["name"] for column in found["metadata"]), found["data"][0], strict=True))
        values = {
            "target": row["target_name"],
            "instrument": row["instrument_name"],
            "ra": row["s_ra"],
            "dec": row["s_dec"],
            "start": row["t_min"],
            "end": row["t_min"] + 7,
            "run": row["run_name"],
        }
    figures = []
    for who, session in {"anybody": requests.Session(), "a member": bench_observer.session(settings)}.items():
        with session:
            for what, path in LISTS.items():
                taken = _timed(session, f"{what}, {who}", f"{url}/{path.format(**values)}", console)
                figures.append(ApiFigure(who, what, taken))
    return figures


def show(figures: list[ApiFigure], console: Console) -> None:
    """Print the figures."""
    table = Table(title="Lists of the HTTP API")
    for name in ("", "as", "ms", "wanted"):
        table.add_column(name, justify="left" if name in ("", "as") else "right")
    for figure in figures:
        table.add_row(figure.what, figure.who, f"{figure.value:.1f}", f"{figure.wanted:g}")
    console.print(table)


def _timed(session: requests.Session, what: str, url: str, console: Console) -> float:
    taken = []
    for _ in track(range(ROUNDS + WARMING), what, console=console):
        begun = time.perf_counter()
        answer = session.get(url, timeout=120)
        taken.append((time.perf_counter() - begun) * 1000)
        answer.raise_for_status()
    return statistics.median(taken[WARMING:])
