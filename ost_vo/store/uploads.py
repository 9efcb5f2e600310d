"""Uploaded tables in the database: temporary tables that live as long as the transaction of their query.

The role ost_web creates and fills them before the transaction becomes adql's, which may only read them. The
columns are called c1, c2, ...: names of clients could be those of PostgreSQL's own (``xmin``). Queries name
``TAP_UPLOAD.name``, for which the translator puts a subquery that gives the columns their names back.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import cursor as Cursor

from ost_vo.faults import Fault, UsageFault
from ost_vo.store.transactions import apply
from ost_vo.vo.adql.values import quoted_name
from ost_vo.vo.upload_rows import Document
from ost_vo.vo.uploads import SCHEMA, Field, Head, Needs, UploadedTable

# Bytes handed to libpq at a time.
COPY_CHUNK = 256 * 1024

_POINT, _ROW = "position_of_upload", "row_of_upload"
_PLACE = re.compile(r"COPY \w+, line (\d+)(?:, column c(\d+))?")
_MIXED = (errorcodes.DATETIME_FIELD_OVERFLOW, errorcodes.INVALID_DATETIME_FORMAT)


@dataclass(frozen=True)
class Upload:
    """One table to load.

    Attributes:
        name: below TAP_UPLOAD.
        document: its columns and rows.
        needs: what the query wants of the table, known once it is translated.
    """

    name: str
    document: Document
    needs: Needs = field(default_factory=Needs)

    @property
    def head(self) -> Head:
        """The columns."""
        return self.document.head


def table(upload: Upload, number: int) -> UploadedTable:
    """Return an upload as a table that queries may name.

    Args:
        upload: the table.
        number: its place among the uploads of the query, from 1 on.
    """
    columns = tuple(item.column for item in upload.head.fields)
    names = {column.name for column in columns}
    row = _unused(_ROW, names)
    stored = [f"c{place} AS {quoted_name(column.name)}" for place, column in enumerate(columns, 1)]
    stored.append(f"ctid AS {row}")
    point = None
    if upload.head.position:
        longitude, latitude = (columns[place].name for place in upload.head.position)
        name = _unused(_POINT, names)
        stored.append(f"{_position(upload.head.position)} AS {name}")
        point = (longitude, latitude, name)
    subquery = f"(SELECT {', '.join(stored)} FROM {_relation(number)})"  # noqa: S608 - names made here
    return UploadedTable(
        SCHEMA, upload.name, columns, sql_name=subquery, point=point,
        rows=upload.document.count, row=row, needs=upload.needs,
    )  # fmt: skip


def load(cursor: Cursor, uploads: Sequence[Upload], settings: dict[str, str]) -> None:
    """Create and fill the temporary tables of a query; they go when the transaction ends.

    Args:
        cursor: of a transaction of the role ost_web that may still write.
        uploads: the tables, in the order in which they are numbered.
        settings: PostgreSQL settings for the loading, such as ``statement_timeout``.

    Raises:
        UsageFault: a value is not what its column declares; it names table, row and column.
        psycopg2.Error: the database failed, or the time is over.
    """
    apply(cursor, settings)
    # 7,500 rows tell the planner enough; to look at the usual 30,000 takes a tenth of a match by position.
    cursor.execute("SET LOCAL default_statistics_target TO 25")
    for number, upload in enumerate(uploads, 1):
        _create(cursor, upload, number)
        _copy(cursor, upload, number)
        _read_moments(cursor, upload, number)
        _index_position(cursor, upload, number)
        _finish(cursor, number)
    # Cells of positions have no statistics: PostgreSQL would rather sort both tables than hash one.
    cursor.execute("SET LOCAL enable_mergejoin TO off")
    # Several processes read the other table sooner. It is large where PostgreSQL thinks of them at all, and
    # the cost of a join by cells is estimated so much too high that it hides what they save.
    cursor.execute("SET LOCAL parallel_setup_cost TO 0; SET LOCAL parallel_tuple_cost TO 0.01")


def _relation(number: int) -> str:
    return f"pg_temp.upload_{number}"


def _create(cursor: Cursor, upload: Upload, number: int) -> None:
    fields = upload.head.fields
    columns = [f"c{place} {_loaded_type(item)}" for place, item in enumerate(fields, 1)]
    cursor.execute(f"CREATE TEMPORARY TABLE upload_{number} ({', '.join(columns)}) ON COMMIT DROP")


def _loaded_type(item: Field) -> str:
    return "text" if item.is_timestamp else item.column.sql_type


def _copy(cursor: Cursor, upload: Upload, number: int) -> None:
    columns = ", ".join(f"c{place}" for place in range(1, len(upload.head.fields) + 1))
    source = _Pieces(upload.document.rows())
    try:
        cursor.copy_expert(
            f"COPY {_relation(number)} ({columns}) FROM STDIN ({upload.document.copy_options})",
            io.BufferedReader(source, COPY_CHUNK),
            size=COPY_CHUNK,
        )
    except psycopg2.Error as error:
        if source.fault is not None:
            raise source.fault from None
        if (error.pgcode or "").startswith("22"):
            raise _wrong_value(error, upload) from None
        raise


def _read_moments(cursor: Cursor, upload: Upload, number: int) -> None:
    """Turn texts into moments; those without a time zone are UTC (DALI 1.1 section 3.1.2)."""
    moments = [place for place, item in enumerate(upload.head.fields, 1) if item.is_timestamp]
    if not moments:
        return
    cursor.execute("SET LOCAL timezone TO 'UTC'")
    for place in moments:
        message = _failure(
            cursor,
            f"ALTER TABLE {_relation(number)} ALTER c{place} TYPE timestamp with time zone "
            f"USING {_moment(place)}",
        )
        if message:
            row = _first_wrong(cursor, number, place)
            raise UsageFault(
                f"Row {row}, column {upload.head.fields[place - 1].column.name} of the table {upload.name}: "
                f"{message}.",
                "Write moments as 2026-11-21T22:13:00.5.",
            )
    cursor.execute("SET LOCAL timezone TO DEFAULT")


def _moment(place: int) -> str:
    return f"NULLIF(btrim(c{place}), '')::timestamp with time zone"


def _failure(cursor: Cursor, statement: str) -> str:
    """Run a statement that reads moments; return what is wrong with one of them, empty if nothing is."""
    cursor.execute("SAVEPOINT moments")
    try:
        cursor.execute(statement)
    except psycopg2.Error as error:
        if (error.pgcode or "") not in _MIXED:
            raise
        cursor.execute("ROLLBACK TO moments")
        return error.diag.message_primary or "It is no moment"
    cursor.execute("RELEASE moments")
    return ""


def _first_wrong(cursor: Cursor, number: int, place: int) -> int:
    """Return the number of the first row whose text is no moment, by halving the rows that it is among."""
    cursor.execute("SET LOCAL synchronize_seqscans TO off")
    cursor.execute(f"SELECT count(*) FROM {_relation(number)}")  # noqa: S608 - names made here
    (high,) = cursor.fetchone() or (0,)
    low = 0
    while high - low > 1:
        half = (low + high) // 2
        part = f"SELECT c{place} FROM {_relation(number)} LIMIT {half - low} OFFSET {low}"  # noqa: S608
        if _failure(cursor, f"SELECT count({_moment(place)}) FROM ({part}) AS part"):  # noqa: S608
            high = half
        else:
            low = half
    return high


def _position(position: tuple[int, int]) -> str:
    """Return SQL for the point of a row, NULL where there is none; it is not stored, as this is as quick."""
    longitude, latitude = (f"c{place + 1}::float8" for place in position)
    # NaN sorts above Infinity, so it is left out as well.
    finite = f"{longitude} < 'Infinity' AND {longitude} > '-Infinity' AND {latitude} BETWEEN -90 AND 90"
    return f"CASE WHEN {finite} THEN spoint(radians({longitude}), radians({latitude})) END"


def _index_position(cursor: Cursor, upload: Upload, number: int) -> None:
    """Index the points if the query wants it: that takes longer than all the rest."""
    if upload.head.position is not None and upload.needs.index:
        point = f"({_position(upload.head.position)})"
        cursor.execute(
            f"CREATE INDEX upload_{number}_position ON {_relation(number)} USING gist ({point}) "
            f"WHERE {point} IS NOT NULL"
        )


def _finish(cursor: Cursor, number: int) -> None:
    cursor.execute(f"ANALYZE {_relation(number)}")
    cursor.execute(f"GRANT SELECT ON {_relation(number)} TO adql")


def _wrong_value(error: psycopg2.Error, upload: Upload) -> UsageFault:
    """Return the fault of a value that PostgreSQL has not taken; it says which in the error's context."""
    found = _PLACE.search(error.diag.context or "")
    where = f"The table {upload.name}"
    hint = "Check that the rows are as the FIELDs describe them."
    if found:
        where = f"Row {found[1]} of the table {upload.name}"
    if found and found[2]:
        column = upload.head.fields[int(found[2]) - 1].column
        where = f"Row {found[1]}, column {column.name} of the table {upload.name}"
        hint = f"The column is declared as {column.datatype}."
    return UsageFault(f"{where}: {(error.diag.message_primary or '').rstrip('.')}.", hint)


def _unused(stem: str, taken: set[str]) -> str:
    name = stem
    while name in taken:
        name += "_"
    return name


class _Pieces(io.RawIOBase):
    """A file that reads as an iterator of pieces joined.

    Attributes:
        fault: what the iterator raised, which psycopg2 would hide behind an error of its own.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.fault: Fault | None = None
        self._pieces = pieces
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes; return how many, 0 at the end."""
        while not self._piece:
            try:
                self._piece = memoryview(next(self._pieces))
            except StopIteration:
                return 0
            except Fault as fault:
                self.fault = fault
                raise
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size
