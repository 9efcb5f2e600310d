"""Rows of ``ost.products`` in pages, and of ``ost.lineage``, as the caller may see them.

What the caller may see is decided by the views, from the settings of the transaction. Where a page's keys
are picked from a table, the function of the views picks them, and the views show the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection

from ost_vo.faults import TransientFault
from ost_vo.store.observations import transaction
from ost_vo.store.scope import IN_SCOPE

_KEY = "obs_publisher_did"


@dataclass(frozen=True, slots=True)
class Spans:
    """Where values of products must lie; None leaves it open.

    Attributes:
        begin, end: a time that the exposure must overlap [MJD, UTC].
        shortest, longest: of the exposure [s].
        circle: right ascension, declination and radius of a circle that the position is in, ICRS [deg].
    """

    begin: float | None = None
    end: float | None = None
    shortest: float | None = None
    longest: float | None = None
    circle: tuple[float, float, float] | None = None

    def values(self) -> dict[str, object]:
        """Return the parameters of the conditions."""
        ra, dec, radius = self.circle or (None, None, None)
        spans = {name: getattr(self, name) for name in ("begin", "end", "shortest", "longest")}
        return {f"span_{name}": value for name, value in {**spans, "ra": ra, "dec": dec, "r": radius}.items()}


# In the terms of the table, p, from which the keys of a page are picked.
_SPANS = {
    "begin": "p.t_max >= %(span_begin)s",
    "end": "p.t_min <= %(span_end)s",
    "shortest": "p.t_exptime >= %(span_shortest)s",
    "longest": "p.t_exptime <= %(span_longest)s",
    "circle": "p.pos <@ scircle(spoint(radians(%(span_ra)s), radians(%(span_dec)s)), radians(%(span_r)s))",
}
# A time to overlap [d] up to which the index of the begins serves well. PostgreSQL supposes that half of all
# exposures end after its begin and half begin before its end, and looks among all. But none began longer
# before it than the longest one takes; a second allows for rounding.
_SHORT = 1000.0
_NEAR = (
    "p.t_min >= %(span_begin)s - 1 / 86400.0 - (SELECT max(t_max - t_min) FROM archive.products"
    " WHERE t_max - t_min <> 'NaN')"
)
# What the view does not have from a column of the same name.
_CONDITIONS = {
    "project": "p.project_id = (SELECT project_id FROM archive.projects WHERE name = %(project)s)",
    "creator": "p.creator_id = (SELECT user_id FROM archive.users WHERE name = %(creator)s)",
    "run_name": "p.run_id = (SELECT run_id FROM archive.runs WHERE name = %(run_name)s)",
    "is_valid": "p.is_valid = (%(is_valid)s = 1)",
    "data_rights": "CASE WHEN p.privileges >= 4 OR p.release_date <= now() THEN 'public'"
    " ELSE 'proprietary' END = %(data_rights)s",
}
# A view that filters is read as a whole before it is sorted, so the table says which rows come next, by the
# same filter. The rows are the view's, which decides once more who sees them.
_PAGE = """
SELECT {columns} FROM ost.products WHERE obs_publisher_did = ANY (ARRAY(
    SELECT p.obs_publisher_did FROM archive.products p
    WHERE {scope} AND {conditions}
    ORDER BY {table_order} LIMIT %(limit)s))
ORDER BY {order}
"""
# Names of files are looked up by the index that lineage has of them, without the suffixes of their formats,
# and paths by theirs: both are in the order of code points, whose last one is U+10FFFF. Each spelling is read
# in the order of its index, and no further than is shown.
_NAMED = """
(SELECT p.obs_publisher_did FROM archive.products p
WHERE archive.file_stem(p.path) >= archive.file_stem({text})
    AND archive.file_stem(p.path) < archive.file_stem({text}) || U&'\\+10FFFF'
    AND archive.file_stem({text}) <> ''
    AND starts_with(lower(substring(p.path FROM '[^/]*$')), lower({text})) AND {scope}
ORDER BY archive.file_stem(p.path) LIMIT %(limit)s)
"""
_BELOW = """
(SELECT p.obs_publisher_did FROM archive.products p
WHERE p.path >= {text} AND p.path < {text} || U&'\\+10FFFF' AND {scope} ORDER BY p.path LIMIT %(limit)s)
"""
# The paths alone are read from their index, some thousands at the most; where so many have the text, few rows
# of the table have to be read. Small letters of ASCII take a quarter of the time of those of all languages.
_WITHIN = """
WITH alike AS MATERIALIZED (
    SELECT p.path FROM archive.products p
    WHERE strpos(lower(p.path COLLATE "C"), lower({text} COLLATE "C")) > 0 LIMIT 5000)
(SELECT p.obs_publisher_did FROM archive.products p WHERE p.path IN (SELECT path FROM alike) AND {scope}
UNION ALL
SELECT p.obs_publisher_did FROM archive.products p
WHERE (SELECT count(*) FROM alike) = 5000 AND p.path NOT IN (SELECT path FROM alike)
    AND strpos(lower(p.path COLLATE "C"), lower({text} COLLATE "C")) > 0 AND {scope}
LIMIT %(limit)s)
"""
_BY_PATH = """
SELECT {columns} FROM ost.products WHERE obs_publisher_did = ANY (ARRAY({keys})) ORDER BY path LIMIT %(limit)s
"""


def products(
    connection: Connection,
    settings: Mapping[str, str],
    columns: Sequence[str],
    equal: Mapping[str, object],
    *,
    spans: Spans | None = None,
    after: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return rows of ``ost.products`` in the order of their identifiers; moments are in UTC.

    Args:
        connection: not in autocommit mode.
        settings: of the transaction: the context, the role ost_lists, the time limit.
        columns: those to return.
        equal: column to the value that it must have, or to a list of such values.
        spans: where values must lie; None for anywhere.
        after: the identifier that the rows follow.
        limit: the most rows to return.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    spans = spans or Spans()
    conditions = [_condition(column, value) for column, value in equal.items()]
    conditions += [sql.SQL(text) for name, text in _SPANS.items() if getattr(spans, name) is not None]
    if spans.begin is not None and spans.end is not None and spans.end - spans.begin <= _SHORT:
        conditions.append(sql.SQL(_NEAR))
    if after is not None:
        conditions.append(sql.SQL("p.obs_publisher_did > %(after)s"))
    values = {**equal, **spans.values(), "after": after, "limit": limit}
    return _page(connection, settings, columns, conditions, "{}obs_publisher_did", values)


def of_target(
    connection: Connection, settings: Mapping[str, str], columns: Sequence[str], target: str, limit: int
) -> list[dict[str, Any]]:
    """Return the first rows of the products of a target by their times, those without one last.

    Other arguments and faults are those of :func:`products`.
    """
    conditions = [_condition("target_name", target)]
    values = {"target_name": target, "limit": limit}
    return _page(connection, settings, columns, conditions, "{0}t_min, {0}obs_publisher_did", values)


def calibrations(
    connection: Connection,
    settings: Mapping[str, str],
    columns: Sequence[str],
    names: Mapping[str, str],
    ranges: Mapping[str, tuple[float, float]],
    limit: int,
) -> list[dict[str, Any]]:
    """Return the latest calibration frames that are valid and there; those without a time come last.

    Args:
        connection, settings, columns, limit: as for :func:`products`.
        names: column to the text that it must have, exposure_type among them; the instrument is as the
            archive calls it, or as a header does.
        ranges: column to the least and the greatest value.
    """
    conditions: list[sql.Composable] = [sql.SQL("p.is_valid AND p.missing_since IS NULL")]
    values: dict[str, object] = {**names, "limit": limit}
    for column in names:
        condition: sql.Composable = _condition(column, "")
        if column == "instrument_name":
            condition = sql.SQL("({} OR p.header_instrument = %(instrument_name)s)").format(condition)
        conditions.append(condition)
    for column, (least, greatest) in ranges.items():
        low, high = f"{column}_low", f"{column}_high"
        conditions.append(
            sql.SQL("p.{} BETWEEN {} AND {}").format(
                sql.Identifier(column), sql.Placeholder(low), sql.Placeholder(high)
            )
        )
        values |= {low: least, high: greatest}
    order = "{0}t_min DESC NULLS LAST, {0}obs_publisher_did"
    return _page(connection, settings, columns, conditions, order, values)


def named(
    connection: Connection, settings: Mapping[str, str], columns: Sequence[str], text: str, limit: int
) -> list[dict[str, Any]]:
    """Return rows of the products whose files' names, or with a slash in it whose paths, begin with a text.

    Names are found as they are spelt, in small letters, in capitals, or with one capital in front; rows are
    in the order of their paths. Other arguments and faults are those of :func:`products`.
    """
    form = _BELOW if "/" in text else _NAMED
    spellings = (
        [text] if "/" in text else dict.fromkeys((text, text.lower(), text.upper(), text.capitalize()))
    )
    return _by_path(connection, settings, columns, [(form, spelling) for spelling in spellings], limit)


def containing(
    connection: Connection, settings: Mapping[str, str], columns: Sequence[str], text: str, limit: int
) -> list[dict[str, Any]] | None:
    """Return rows of products with a text anywhere in their paths, None when out of time.

    It reads all paths. Letters of ASCII may be small or capital. Other arguments and faults are those of
    :func:`named`.
    """
    try:
        return _by_path(connection, settings, columns, [(_WITHIN, text)], limit)
    except TransientFault as fault:
        if isinstance(fault.__cause__, errors.QueryCanceled):
            return None
        raise


def _by_path(
    connection: Connection,
    settings: Mapping[str, str],
    columns: Sequence[str],
    searches: Sequence[tuple[str, str]],
    limit: int,
) -> list[dict[str, Any]]:
    """Return the rows that statements find, each for a text."""
    keys = [
        sql.SQL(form).format(text=sql.Placeholder(f"text{k}"), scope=sql.SQL(IN_SCOPE))
        for k, (form, _) in enumerate(searches)
    ]
    texts = {f"text{k}": text for k, (_, text) in enumerate(searches)}
    statement = sql.SQL(_BY_PATH).format(columns=_names(columns), keys=sql.SQL(" UNION ").join(keys))
    with transaction(connection, settings) as cursor:
        cursor.execute(statement, {**texts, "limit": limit})
        return [dict(zip(columns, map(_in_utc, row), strict=True)) for row in cursor.fetchall()]


def by_identifier(
    connection: Connection, settings: Mapping[str, str], columns: Sequence[str], identifiers: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows of ``ost.products`` with the given identifiers; those not visible are left out.

    Other arguments and faults are those of :func:`products`.
    """
    statement = sql.SQL("SELECT {columns} FROM ost.products WHERE {key} = ANY (%s) ORDER BY {key}").format(
        columns=_names(columns), key=sql.Identifier(_KEY)
    )
    with transaction(connection, settings) as cursor:
        cursor.execute(statement, (list(identifiers),))
        return [dict(zip(columns, map(_in_utc, row), strict=True)) for row in cursor.fetchall()]


def _page(
    connection: Connection,
    settings: Mapping[str, str],
    columns: Sequence[str],
    conditions: Sequence[sql.Composable],
    order: str,
    values: Mapping[str, object],
) -> list[dict[str, Any]]:
    """Return a page; the order has a place for the name of the table before each column."""
    statement = sql.SQL(_PAGE).format(
        columns=_names(columns),
        scope=sql.SQL(IN_SCOPE),
        conditions=sql.SQL(" AND ").join(conditions or [sql.SQL("true")]),
        table_order=sql.SQL(order.format("p.")),
        order=sql.SQL(order.format("")),
    )
    with transaction(connection, settings) as cursor:
        cursor.execute(statement, values)
        return [dict(zip(columns, map(_in_utc, row), strict=True)) for row in cursor.fetchall()]


def lineage(
    connection: Connection, settings: Mapping[str, str], identifier: str
) -> tuple[list[str], list[str]] | None:
    """Return the identifiers of what a product was made from directly, and of what was made from it.

    None where there is no such product, or none that the caller may see. Arguments and faults are those of
    :func:`products`.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute("SELECT FROM ost.products WHERE obs_publisher_did = %s", (identifier,))
        if cursor.fetchone() is None:
            return None
        cursor.execute(
            "SELECT progenitor_did FROM ost.lineage WHERE obs_publisher_did = %s ORDER BY 1", (identifier,)
        )
        progenitors = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "SELECT obs_publisher_did FROM ost.lineage WHERE progenitor_did = %s ORDER BY 1", (identifier,)
        )
        return progenitors, [row[0] for row in cursor.fetchall()]


def links(
    connection: Connection, settings: Mapping[str, str], of: Sequence[str], are_made: bool, limit: int
) -> list[tuple[str, str]]:
    """Return pairs of what was made, and what it was made from.

    Args:
        connection, settings: as for :func:`products`.
        of: identifiers of one end.
        are_made: whether to return what was made from these, and not what they were made from.
        limit: the most pairs.
    """
    column = "progenitor_did" if are_made else _KEY
    statement = sql.SQL(
        "SELECT {key}, progenitor_did FROM ost.lineage WHERE {column} = ANY (%s) ORDER BY 1, 2 LIMIT %s"
    ).format(key=sql.Identifier(_KEY), column=sql.Identifier(column))
    with transaction(connection, settings) as cursor:
        cursor.execute(statement, (list(of), limit))
        return cursor.fetchall()


def names(connection: Connection, settings: Mapping[str, str], of: Sequence[str]) -> dict[str, str]:
    """Return the names of the files of products by their identifiers; arguments as for :func:`products`."""
    with transaction(connection, settings) as cursor:
        cursor.execute(
            "SELECT obs_publisher_did, path FROM ost.products WHERE obs_publisher_did = ANY (%s)", (list(of),)
        )
        return {identifier: path.rsplit("/", 1)[-1] for identifier, path in cursor.fetchall()}


def identifiers(connection: Connection, settings: Mapping[str, str], query: str, limit: int) -> list[str]:
    """Return the identifiers that a query yields, each once.

    Args:
        connection, settings: as for :func:`products`.
        query: SQL that was generated, never a client's text, with one column obs_publisher_did.
        limit: the most to return.

    Raises:
        UsageFault: a value in the query cannot be computed.
        TransientFault: out of time; the database is going down.
    """
    with transaction(connection, settings) as cursor:
        # Without arguments, psycopg2 leaves the per cent signs of the query alone.
        cursor.execute(
            f"SELECT DISTINCT {_KEY} FROM ({query}) AS chosen WHERE {_KEY} IS NOT NULL"  # noqa: S608
            f" ORDER BY 1 LIMIT {int(limit)}"
        )
        return [row[0] for row in cursor.fetchall()]


def rows(
    connection: Connection, settings: Mapping[str, str], query: str, columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows of a query by the names of its columns; moments are in UTC.

    Args:
        connection, settings: as for :func:`products`.
        query: SQL that was generated, never a client's text.
        columns: names of what it yields.

    Raises:
        UsageFault: a value in the query cannot be computed.
        TransientFault: out of time; the database is going down.
    """
    with transaction(connection, settings) as cursor:
        cursor.execute(query)
        return [dict(zip(columns, map(_in_utc, row), strict=True)) for row in cursor.fetchall()]


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _condition(column: str, value: object) -> sql.Composable:
    if column in _CONDITIONS:
        return sql.SQL(_CONDITIONS[column])
    form = "p.{} = ANY ({})" if isinstance(value, list) else "p.{} = {}"
    return sql.SQL(form).format(sql.Identifier(column), sql.Placeholder(column))


def _in_utc(value: object) -> object:
    # The views hold times as UTC without saying so.
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
