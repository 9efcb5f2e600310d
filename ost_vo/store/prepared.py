"""Statements that PostgreSQL plans once for a connection and not at each execution.

Planning a query of the views takes longer than running it where few rows are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from psycopg2.extensions import cursor as Cursor

from ost_vo.store.transactions import setting

# Without it PostgreSQL plans the first executions anew, and later ones where it thinks that pays.
_SETTINGS: Mapping[str, str] = {"plan_cache_mode": "force_generic_plan"}


class Prepared:
    """A transaction, and the prepared statements of the server's session that it runs in.

    What there is of them is asked of the server in every transaction: behind a pool such as pgbouncer, the
    session may be another one each time.

    Args:
        cursor: of the transaction, which begins here.
        settings: of the transaction.
    """

    def __init__(self, cursor: Cursor, settings: Mapping[str, str]) -> None:
        self._cursor = cursor
        begin = setting(cursor, {**_SETTINGS, **settings})
        self._cursor.execute(f"{begin}; SELECT name FROM pg_prepared_statements")  # noqa: S608 - quoted
        self._names = {row[0] for row in cursor.fetchall()}

    def rows(self, statement: str, types: Sequence[str], *values: object) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows.

        Args:
            statement: SQL with $1, $2, ... for the values.
            types: of the values, as PostgreSQL names them.
            values: what to put in.

        Raises:
            psycopg2.Error: the database failed, or the time is over.
        """
        name = f"ost_{sha256(statement.encode()).hexdigest()[:16]}"
        if name not in self._names:
            self._cursor.execute(f"PREPARE {name} ({', '.join(types)}) AS {statement}")
            self._names.add(name)
        arguments = ", ".join(f"%s::{kind}" for kind in types)
        self._cursor.execute(f"EXECUTE {name} ({arguments})", values)
        return self._cursor.fetchall()
