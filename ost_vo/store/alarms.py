"""Alarms: what is wrong with the disk at this moment, where the operator sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection

from ost_vo.store.ingesting import transaction

_SOUND = """
INSERT INTO archive.alarms AS a (subject, problem, remedy) VALUES (%s, %s, %s)
ON CONFLICT (subject) DO UPDATE SET problem = excluded.problem, remedy = excluded.remedy
WHERE (a.problem, a.remedy) IS DISTINCT FROM (excluded.problem, excluded.remedy)
"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong: what it is about, what it is, what to do, and since when."""

    subject: str
    problem: str
    remedy: str
    since: datetime


def sound(connection: Connection, subject: str, problem: str, remedy: str) -> None:
    """Say that something is wrong; an alarm of the same subject keeps its time."""
    with transaction(connection) as cursor:
        cursor.execute(_SOUND, (subject, problem, remedy))


def clear(connection: Connection, subject: str) -> bool:
    """Say that it is mended; return whether there was an alarm."""
    with transaction(connection) as cursor:
        cursor.execute("DELETE FROM archive.alarms WHERE subject = %s", (subject,))
        return bool(cursor.rowcount)


def sounding(connection: Connection) -> list[Alarm]:
    """Return the alarms of this moment, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT subject, problem, remedy, since FROM archive.alarms ORDER BY since, subject")
        return [Alarm(*row) for row in cursor.fetchall()]
