"""What the privileges cost: the same SQL on the filtered views and on the plain table, planning included."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ost_vo.access.context import ANONYMOUS, Context
from ost_vo.settings import Settings

QUICK_ROUNDS, SLOW_ROUNDS = 60, 7

# What to SQL, whose {0} is the table or view, and how often it is tried.
QUERIES = {
    "cone 1 deg": (
        "SELECT obs_publisher_did, s_ra, s_dec FROM {0}"
        " WHERE pos <@ scircle(spoint(radians({ra}), radians({dec})), radians(1))",
        QUICK_ROUNDS,
    ),
    "identifier": ("SELECT obs_id, t_min FROM {0} WHERE obs_publisher_did = '{did}'", QUICK_ROUNDS),
    "time range": (
        "SELECT obs_id, t_min FROM {0} WHERE t_min BETWEEN {t_min} AND {t_min} + 0.1",
        QUICK_ROUNDS,
    ),
    "count": ("SELECT count(*) FROM {0}", SLOW_ROUNDS),
    "group": ("SELECT instrument_name, count(*), avg(t_exptime) FROM {0} GROUP BY 1", SLOW_ROUNDS),
}


@dataclass(frozen=True)
class ViewFigure:
    """Medians of one query [s], and of the ratios of the rounds.

    Attributes:
        what, view, caller: the query, where it is asked, and who asks.
        seconds, plain_seconds: on the view, and on the table behind it.
        ratio: view / table.
    """

    what: str
    view: str
    caller: str
    seconds: float
    plain_seconds: float
    ratio: float


def measure(settings: Settings, show: Console) -> list[ViewFigure]:
    """Time every query on both views, for an anonymous caller and for a member of some projects."""
    owner, web = (psycopg2.connect(settings.dsn(role)) for role in ("ost_owner", "ost_web"))
    values = _values(owner)
    callers = {"anonymous": ANONYMOUS, "member": _member(owner)}
    figures = []
    for what, (query, rounds) in QUERIES.items():
        for view in ("ivoa.obscore", "ost.products"):
            for caller, context in callers.items():
                pairs = [
                    (
                        _time(web, context, query.format(view, **values)),
                        _time(owner, None, query.format("archive.products", **values)),
                    )
                    for _ in track(range(rounds), f"{what}, {view}, {caller}", console=show, transient=True)
                ]
                seconds, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
                ratio = statistics.median(a / b for a, b in pairs)
                figures.append(ViewFigure(what, view, caller, seconds, plain, ratio))
    owner.close()
    web.close()
    return figures


def show(figures: list[ViewFigure], console: Console) -> None:
    """Print the figures."""
    table = Table(title="Filtered views beside the plain table, medians in ms")
    for name in ("", "view", "caller", "view", "table", "view / table"):
        table.add_column(name)
    for figure in figures:
        times = [f"{1000 * seconds:.2f}" for seconds in (figure.seconds, figure.plain_seconds)]
        table.add_row(figure.what, figure.view, figure.caller, *times, f"{figure.ratio:.2f}")
    console.print(table)


def _values(connection: Connection) -> dict[str, object]:
    """Return the place, time and identifier of a product that everybody sees, from within the table."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT s_ra, s_dec, t_min, obs_publisher_did FROM archive.products"
            " WHERE s_ra IS NOT NULL AND privileges = 5"
            " OFFSET (SELECT reltuples / 8 FROM pg_class WHERE oid = 'archive.products'::regclass) LIMIT 1"
        )
        row = cursor.fetchone()
    assert row is not None
    return dict(zip(("ra", "dec", "t_min", "did"), row, strict=True))


def _member(connection: Connection) -> Context:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT project_id FROM archive.projects ORDER BY 1 LIMIT 3")
        ids = tuple(row[0] for row in cursor.fetchall())
    return Context(1, ids, ids)


def _time(connection: Connection, context: Context | None, query: str) -> float:
    """Return the seconds for planning and running a query, and for fetching its rows."""
    with connection.cursor() as cursor:
        for setting in (context.database_settings() if context else {}).items():
            cursor.execute("SELECT set_config(%s, %s, true)", setting)
        start = time.perf_counter()
        cursor.execute(query)
        cursor.fetchall()
        taken = time.perf_counter() - start
    connection.rollback()
    return taken
