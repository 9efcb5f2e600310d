"""Numbers of the database that operators watch: the queue of jobs, the pace of ingest, what lies idle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

# By this many of the newest products is told how long files wait for their ingest.
_RECENT = 100


@dataclass(frozen=True, slots=True)
class Measures:
    """What the database tells at a moment.

    Attributes:
        jobs: number of jobs by kind and phase.
        queue_seconds: how long the first of the jobs that are QUEUED has waited, by kind [s].
        analyses: products that wait for their previews, statistics or plate solutions.
        analysis_seconds: how long the first of those that are due has waited [s].
        watchers: processes that watch the data root.
        alarms: what the watcher has found wrong with the disk, and is not mended.
        products: about how many there are, as the planner has it; counted where it has not looked yet.
        quarantine: number of files that could not be ingested.
        ingest_lag_seconds: median time from the last change of a file to its ingest, of the newest products
            [s]; None where there are none.
        ingest_age_seconds: time since the newest product was ingested [s]; None where there is none.
        sessions: connections to the database by state, of all roles.
        bytes: size of the database [byte].
    """

    jobs: Mapping[tuple[str, str], int]
    queue_seconds: Mapping[str, float]
    analyses: int
    analysis_seconds: float
    watchers: int
    alarms: int
    products: int
    quarantine: int
    ingest_lag_seconds: float | None
    ingest_age_seconds: float | None
    sessions: Mapping[str, int]
    bytes: int


def measures(connection: Connection) -> Measures:
    """Return the numbers, none of which takes longer to find than a look into an index.

    Args:
        connection: of the role ost_owner.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT kind, phase, count(*) FROM archive.jobs GROUP BY kind, phase")
        jobs = {(kind, phase): count for kind, phase, count in cursor.fetchall()}
        cursor.execute(
            "SELECT kind, extract(epoch FROM clock_timestamp() - min(queued)) FROM archive.jobs"
            " WHERE phase = 'QUEUED' GROUP BY kind"
        )
        queued = {kind: float(seconds) for kind, seconds in cursor.fetchall()}
        cursor.execute(
            """
            SELECT (SELECT count(*) FROM archive.analysis_queue),
                (SELECT extract(epoch FROM clock_timestamp() - min(due)) FROM archive.analysis_queue
                    WHERE due <= clock_timestamp()),
                (SELECT count(*) FROM pg_stat_activity
                    WHERE usename = 'ost_ingest' AND application_name = 'ost-vo watch'),
                (SELECT count(*) FROM archive.alarms),
                (SELECT CASE WHEN reltuples >= 0 THEN reltuples
                    ELSE (SELECT count(*) FROM archive.products) END
                    FROM pg_class WHERE oid = 'archive.products'::regclass),
                (SELECT count(*) FROM archive.quarantine),
                pg_database_size(current_database())
            """
        )
        analyses, waited, watchers, alarms, products, quarantine, size = _row(cursor.fetchone())
        cursor.execute(
            """
            SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ingested - file_modified)),
                extract(epoch FROM clock_timestamp() - max(ingested))
            FROM (SELECT ingested, file_modified FROM archive.products ORDER BY product_id DESC LIMIT %s) AS p
            """,
            (_RECENT,),
        )
        lag, age = _row(cursor.fetchone())
        cursor.execute(
            "SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() GROUP BY 1"
        )
        sessions = {str(state): int(count) for state, count in cursor.fetchall()}
    return Measures(
        jobs,
        queued,
        analyses,
        float(waited or 0),
        watchers,
        alarms,
        int(products),
        quarantine,
        _number(lag),
        _number(age),
        sessions,
        size,
    )


def _row(row: tuple | None) -> tuple:
    return row or ()


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
