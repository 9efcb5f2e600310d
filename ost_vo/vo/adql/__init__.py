"""ADQL 2.1: parsing, and translation to PostgreSQL with pgSphere.

``translate`` turns a query into one SELECT over the tables of a catalogue. What it writes consists of
identifiers of the catalogue, aliases of its own, literals that it checked and quoted, and functions from its
tables.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ost_vo.vo.adql import syntax, tree
from ost_vo.vo.adql.features import LANGUAGE_FEATURES
from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.queries import Resolver
from ost_vo.vo.columns import Catalogue, Column

__all__ = ["LANGUAGE_FEATURES", "Translation", "check", "parse", "translate"]


@dataclass(frozen=True, slots=True)
class Translation:
    """A query in PostgreSQL's language.

    Attributes:
        sql: one SELECT without semicolon, fit for ``COPY (sql) TO STDOUT``.
        columns: the columns of the result, in order; ``sql_type`` is what the SQL yields.
        tables: (schema, name) of the tables of the catalogue that it reads.
        top: rows that the user's TOP asks for, or None.
        limit: number of rows above which the result counts as overflowed; the SQL yields one row more. None
            where no overflow can be told: without maxrec, or with a TOP that is not larger. With maxrec=0 it
            is 0, and the SQL yields no row at all.
    """

    sql: str
    columns: tuple[Column, ...]
    tables: frozenset[tuple[str, str]]
    top: int | None
    limit: int | None


def parse(query: str) -> tree.Query:
    """Return the tree of a query.

    Raises:
        QueryFault: the text is not ADQL 2.1; it names line and column, what stands there, and what to do.
    """
    try:
        return syntax.parse(query)
    except Flaw as flaw:
        raise flaw.fault(query) from None


def check(query: str, functions: Collection[str] = ()) -> None:
    """Check the syntax of a query as ADQL 2.1, without knowing any table.

    Args:
        functions: names of user defined functions to accept besides those of this package.

    Raises:
        QueryFault: as ``parse``, and for user defined functions that do not exist.
    """
    try:
        syntax.check(query, functions)
    except Flaw as flaw:
        raise flaw.fault(query) from None


def translate(query: str, catalogue: Catalogue, *, maxrec: int | None = None) -> Translation:
    """Translate a query to PostgreSQL.

    Args:
        query: a query in ADQL 2.1.
        catalogue: the tables that it may name.
        maxrec: number of rows after which the result overflows, or None for no limit.

    Raises:
        QueryFault: the query is not ADQL 2.1, or a name, a type or an argument in it is wrong.
    """
    try:
        resolver = Resolver(catalogue)
        limit = None if maxrec is None else maxrec + (maxrec > 0)
        sql, columns, top = resolver.query(syntax.parse(query), limit)
    except Flaw as flaw:
        raise flaw.fault(query) from None
    overflow = maxrec if maxrec is not None and (top is None or top > maxrec) else None
    return Translation(sql, columns, frozenset(resolver.finder.used), top, overflow)
