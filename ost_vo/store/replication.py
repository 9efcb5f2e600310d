"""Streaming replicas of the database, as PostgreSQL tells of them (pg_stat_replication, its chapter 28.2)."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

# A role without pg_read_all_stats sees of other roles' replicas that they are there, and nothing more. What
# is sent to somebody who only keeps the log, as pg_receivewal, is never replayed.
_REPLICAS = """
SELECT coalesce(nullif(application_name, ''), usename, pid::text), coalesce(state, 'unknown'),
    pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, write_lsn, sent_lsn))::bigint,
    extract(epoch FROM coalesce(replay_lag, flush_lag, write_lag))::float8
FROM pg_stat_replication ORDER BY 1, pid
"""
_FORSAKEN = """
SELECT slot_name, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
FROM pg_replication_slots WHERE NOT active AND NOT temporary ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Replica:
    """A server that follows this one.

    Attributes:
        name: application_name of its connection, by default the name of its cluster.
        state: of the stream: startup, catchup, streaming, backup or stopping.
        lag_bytes: log that it has not replayed [byte]; None where it does not say.
        lag_seconds: how long after this server it replayed the last change [s]; None where nothing was
            changed lately, or it does not say.
    """

    name: str
    state: str
    lag_bytes: int | None
    lag_seconds: float | None


def replicas(connection: Connection) -> list[Replica]:
    """Return the replicas that are connected, by name.

    Args:
        connection: of the role ost_owner, to the primary.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REPLICAS)
        return [Replica(*row) for row in cursor.fetchall()]


def forsaken_slots(connection: Connection) -> list[tuple[str, int]]:
    """Return the replication slots that nobody follows, and how much log each keeps on the disk [byte]."""
    with connection.cursor() as cursor:
        cursor.execute(_FORSAKEN)
        return cursor.fetchall()
