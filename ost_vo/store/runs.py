"""Runs, the directories right below the data root, as the caller may see them.

What the caller may see is decided by the views, from the settings of the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.store.observations import transaction
from ost_vo.store.scope import IN_SCOPE

# Which runs come next, and whether any file of theirs is visible, is asked of the tables: a view that filters
# is read as a whole before it is sorted. The rows are the view's, which decides once more who sees them.
_NEXT = f"""
SELECT r.name FROM archive.runs r
WHERE (%(run)s::text IS NULL OR r.night < %(night)s::date OR (%(night)s::date IS NOT NULL AND r.night IS NULL)
        OR (r.night IS NOT DISTINCT FROM %(night)s::date AND r.name < %(run)s))
    AND (%(text)s = '' OR strpos(lower(r.name), lower(%(text)s)) > 0 OR strpos(r.night::text, %(text)s) > 0)
    AND (%(tag)s::text IS NULL OR EXISTS (SELECT FROM archive.run_tags l JOIN archive.tags g USING (tag_id)
        WHERE l.run_id = r.run_id AND g.name = %(tag)s))
    AND (%(reduction_status)s::text IS NULL OR r.reduction_status = %(reduction_status)s)
    AND EXISTS (SELECT FROM archive.products p WHERE p.run_id = r.run_id
        AND {IN_SCOPE})
ORDER BY r.night DESC NULLS LAST, r.name DESC LIMIT %(limit)s
"""  # noqa: S608 - a statement of our own
_NAMES = f"""
SELECT run_name FROM ost.runs WHERE run_name = ANY (ARRAY({_NEXT}))
ORDER BY coalesce(night, '') DESC, run_name DESC
"""  # noqa: S608 - a statement of our own
_PAGE = f"""
SELECT run_name, night, project, reduction_status, photometry, spectroscopy, tags, note FROM ost.runs
WHERE run_name = ANY (ARRAY({_NEXT})) ORDER BY coalesce(night, '') DESC, run_name DESC
"""  # noqa: S608 - a statement of our own
# A run has few targets and instruments: their files are counted together, and the counts are added up here.
# An index has all that is read.
_SUMMARIES = f"""
WITH alike AS (
    SELECT p.run_id, p.target_name, p.instrument_name, count(*), sum(p.file_size)::bigint, min(p.t_min),
        max(p.t_max), coalesce(sum(p.t_exptime) FILTER (WHERE p.exposure_type = 'light'), 0)
    FROM archive.products p
    WHERE p.run_id = ANY (ARRAY(SELECT run_id FROM archive.runs WHERE name = ANY (%s))) AND {IN_SCOPE}
    GROUP BY p.run_id, p.target_name, p.instrument_name)
SELECT r.name, alike.* FROM alike JOIN archive.runs r ON r.run_id = alike.run_id
"""  # noqa: S608 - a statement of our own
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
        settings: of the transaction: the context, the role ost_lists, the time limit.
        text: part of the name or of the night; '' for all.
        tag, reduction_status: that they have; None for any.
        after: night ('' for none) and name of the run that the rows follow.
        limit: the most rows to return.

    Raises:
        UsageFault: the night is no date.
        TransientFault: out of time; the database is going down.
    """
    night, run = after or (None, None)
    wanted = {"text": text, "tag": tag, "reduction_status": reduction_status, "limit": limit}
    with transaction(connection, settings) as cursor:
        cursor.execute(_PAGE, {**wanted, "night": night or None, "run": run})
        found = cursor.fetchall()
        summaries = _summaries(cursor, [row[0] for row in found])
    # A run may have lost its last visible file between the two statements.
    return [_run(row, summaries[row[0]]) for row in found if row[0] in summaries]


def names(connection: Connection, settings: Mapping[str, str], text: str, limit: int) -> list[str]:
    """Return the names of the runs with a text in name or night; arguments and faults as for :func:`page`."""
    wanted = {"text": text, "tag": None, "reduction_status": None, "night": None, "run": None, "limit": limit}
    with transaction(connection, settings) as cursor:
        cursor.execute(_NAMES, wanted)
        return [row[0] for row in cursor.fetchall()]


def one(connection: Connection, settings: Mapping[str, str], name: str) -> Run | None:
    """Return a run; None where there is none, or none of whose files are visible.

    Arguments and faults are those of :func:`page`.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(_ONE, (name,))
        found = cursor.fetchone()
        summary = _summaries(cursor, [name]).get(name)
    return _run(found, summary) if found and summary else None


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


@dataclass(slots=True)
class _Summary:
    """What the files of a run come to; attributes are those of :class:`Run`."""

    files: int = 0
    size: int = 0
    t_min: float | None = None
    t_max: float | None = None
    light_seconds: float = 0.0
    targets: set[str] = field(default_factory=set)
    instruments: set[str] = field(default_factory=set)

    def add(self, target: str | None, instrument: str | None, *numbers: Any) -> None:
        """Add the files of a target and an instrument."""
        files, size, t_min, t_max, light_seconds = numbers
        self.files += files
        self.size += size
        self.t_min = min((t for t in (self.t_min, t_min) if t is not None), default=None)
        self.t_max = max((t for t in (self.t_max, t_max) if t is not None), default=None)
        self.light_seconds += light_seconds
        self.targets |= {target} if target is not None else set()
        self.instruments |= {instrument} if instrument is not None else set()


def _summaries(cursor: Cursor, runs: list[str]) -> dict[str, _Summary]:
    cursor.execute(_SUMMARIES, (runs,))
    found: dict[str, _Summary] = {}
    for run, _, *counted in cursor.fetchall():
        found.setdefault(run, _Summary()).add(*counted)
    return found


def _run(row: tuple[Any, ...], summary: _Summary) -> Run:
    name, night, project, reduction_status, photometry, spectroscopy, tags, note = row
    return Run(
        name=name,
        night=night,
        project=project,
        files=summary.files,
        size=summary.size,
        t_min=summary.t_min,
        t_max=summary.t_max,
        light_seconds=summary.light_seconds,
        targets=sorted(summary.targets),
        instruments=sorted(summary.instruments),
        reduction_status=reduction_status,
        photometry=bool(photometry),
        spectroscopy=bool(spectroscopy),
        tags=tags.split(",") if tags else [],
        note=note,
    )
