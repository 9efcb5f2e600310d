"""Runs, the directories right below the data root, as the caller may see them.

What the caller may see is decided by the views, from the settings of the transaction; nothing here
repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from ost_vo.store.observations import transaction

_PAGE = """
SELECT run_name, night, project, reduction_status, photometry, spectroscopy, tags, note FROM ost.runs
WHERE (%(night)s IS NULL OR (coalesce(night, ''), run_name) < (%(night)s, %(run)s))
    AND (%(text)s = '' OR strpos(lower(run_name), lower(%(text)s)) > 0 OR starts_with(night, %(text)s))
    AND (%(tag)s IS NULL OR %(tag)s = ANY (string_to_array(tags, ',')))
    AND (%(reduction_status)s IS NULL OR reduction_status = %(reduction_status)s)
ORDER BY coalesce(night, '') DESC, run_name DESC LIMIT %(limit)s
"""
_SUMMARIES = """
SELECT run_name, count(*), sum(file_size)::bigint, min(t_min), max(t_max),
    coalesce(sum(t_exptime) FILTER (WHERE exposure_type = 'light'), 0),
    coalesce(array_agg(DISTINCT target_name) FILTER (WHERE target_name IS NOT NULL), '{}'),
    coalesce(array_agg(DISTINCT instrument_name) FILTER (WHERE instrument_name IS NOT NULL), '{}')
FROM ost.products WHERE run_name = ANY (%s) GROUP BY run_name
"""
_ONE = """
SELECT run_name, night, project, reduction_status, photometry, spectroscopy, tags, note
FROM ost.runs WHERE run_name = %s
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A run, and what the caller sees of its files.

    Attributes:
        name: of the directory.
        night: YYYY-MM-DD at the beginning of the evening; None where the name has no date.
        project: that its new files belong to.
        files: how many.
        size: of all of them [byte].
        t_min, t_max: from the first exposure to the last [MJD, UTC]; None where no file has a time.
        light_seconds: exposure of the light frames together [s].
        targets, instruments: names, in alphabetical order.
        reduction_status: what people say of its data: not, partly, fully or error.
        photometry, spectroscopy: what they are good for, as people say.
        tags: in alphabetical order.
        note: what people noted.
    """

    name: str
    night: str | None
    project: str
    files: int
    size: int
    t_min: float | None
    t_max: float | None
    light_seconds: float
    targets: list[str]
    instruments: list[str]
    reduction_status: str
    photometry: bool
    spectroscopy: bool
    tags: list[str]
    note: str


def page(
    connection: Connection,
    settings: Mapping[str, str],
    *,
    text: str,
    tag: str | None = None,
    reduction_status: str | None = None,
    after: tuple[str, str] | None,
    limit: int,
) -> list[Run]:
    """Return runs, the latest night first and those without a night last.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role, the time limit.
        text: part of the name, or the beginning of the night; '' for all.
        tag, reduction_status: that they have; None for any.
        after: night ('' for none) and name of the run that the rows follow.
        limit: the most rows to return.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    night, run = after or (None, None)
    with transaction(connection, settings) as cursor:
        wanted = {"text": text, "tag": tag, "reduction_status": reduction_status}
        cursor.execute(_PAGE, {**wanted, "night": night, "run": run, "limit": limit})
        found = cursor.fetchall()
        cursor.execute(_SUMMARIES, ([row[0] for row in found],))
        summaries = {row[0]: row[1:] for row in cursor.fetchall()}
    # A run may have lost its last visible file between the two statements.
    return [_run(row, summaries[row[0]]) for row in found if row[0] in summaries]


def one(connection: Connection, settings: Mapping[str, str], name: str) -> Run | None:
    """Return a run; None where there is none, or none of whose files are visible.

    Arguments and faults are those of :func:`page`.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(_ONE, (name,))
        found = cursor.fetchone()
        cursor.execute(_SUMMARIES, ([name],))
        summary = cursor.fetchone()
    return _run(found, summary[1:]) if found and summary else None


def files(
    connection: Connection,
    settings: Mapping[str, str],
    columns: Sequence[str],
    equal: Mapping[str, object],
    limit: int,
    after: tuple[float, str] | None = None,
) -> list[dict[str, Any]]:
    """Return rows of ``ost.products`` in the order of their times, those without a time last.

    Args:
        connection, settings: as for :func:`page`.
        columns: those to return.
        equal: column to the value that it must have, at least one; one of them should have an index.
        limit: the most rows to return.
        after: t_min (infinity for none) and path of the file that they follow.
    """
    conditions: list[sql.Composable] = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in equal
    ]
    if after:
        conditions.append(sql.SQL("(coalesce(t_min, 'Infinity'), path) > (%(t_min)s, %(path)s)"))
    t_min, path = after or (None, None)
    statement = sql.SQL(
        "SELECT {columns} FROM ost.products WHERE {conditions} ORDER BY t_min, path LIMIT %(limit)s"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        conditions=sql.SQL(" AND ").join(conditions),
    )
    with transaction(connection, settings) as cursor:
        cursor.execute(statement, {**equal, "t_min": t_min, "path": path, "limit": limit})
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _run(row: tuple[Any, ...], summary: tuple[Any, ...]) -> Run:
    reduction_status, photometry, spectroscopy, tags, note = row[3:]
    named = tags.split(",") if tags else []
    values = (*row[:3], *summary, reduction_status, bool(photometry), bool(spectroscopy), named, note)
    return Run(*values)
