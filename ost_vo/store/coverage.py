"""What observations cover, as the caller may see it, and the coverage kept for the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from ost_vo.store import transactions
from ost_vo.store.connections import Database
from ost_vo.store.database_faults import fault_of
from ost_vo.vo.moc import Interval

# Rows that come at a time: their outlines take some hundredths of a second.
BATCH = 500

# Frames of one field in a row differ by less than a MOC could show. Of those whose centre, first corner and
# size agree to half a minute of arc (1/120 deg), one stands for all; there are far fewer of them than frames.
_FIELDS = """
SELECT min(s_region COLLATE "C") AS region, min(s_ra) AS ra, min(s_dec) AS dec, max(s_fov) AS fov
FROM (
    SELECT s_region, s_ra, s_dec, s_fov, cos(radians(round(s_dec * 120) / 120)) AS scale,
        CASE WHEN s_region LIKE 'Polygon ICRS %' THEN split_part(s_region, ' ', 3)::float8 END AS corner_ra,
        CASE WHEN s_region LIKE 'Polygon ICRS %' THEN split_part(s_region, ' ', 4)::float8 END AS corner_dec
    FROM ivoa.obscore WHERE s_region IS NOT NULL OR s_ra IS NOT NULL) AS placed
GROUP BY round(s_ra * scale * 120), round(s_dec * 120), round(s_fov * 120),
    round(corner_ra * scale * 120), round(corner_dec * 120)
"""
# A row a night, from noon to noon; a row for bands that agree to 10 nm.
_NIGHTS = """
SELECT min(t_min), max(t_max) FROM ivoa.obscore WHERE t_min IS NOT NULL AND t_max IS NOT NULL
GROUP BY floor(t_min - 0.5)
"""
_BANDS = """
SELECT min(em_min), max(em_max) FROM ivoa.obscore WHERE em_min IS NOT NULL AND em_max IS NOT NULL
GROUP BY round(em_min * 1e8), round(em_max * 1e8)
"""


@dataclass(frozen=True, slots=True)
class Field:
    """Where observations looked.

    Attributes:
        region: outline in STC-S, None where there is none.
        ra, dec: of the centre, ICRS [deg]; None where only the outline is known.
        fov: diameter of a circle that covers the field [deg], None where unknown.
    """

    region: str | None
    ra: float | None
    dec: float | None
    fov: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the whole world sees in ``ivoa.obscore``, all in all.

    Attributes:
        state: of the archive, as :func:`state` tells it, in which it was computed.
        spatial: MOC in ASCII.
        temporal: intervals, MJD in UTC [d].
        spectral: intervals of wavelength [m].
    """

    state: str
    spatial: str
    temporal: list[Interval]
    spectral: list[Interval]


def state(database: Database) -> str:
    """Return a text that is another one whenever anybody may see something else covered."""
    with transactions.reading(database) as cursor:
        cursor.execute("SELECT archive.coverage_state()")
        row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def states(database: Database) -> tuple[str, str]:
    """Return the text of :func:`state`, and one that is another whenever anybody may see less than before."""
    with transactions.reading(database) as cursor:
        cursor.execute("SELECT archive.coverage_state(), archive.narrowing_state()")
        row = cursor.fetchone()
    assert row is not None
    return str(row[0]), str(row[1])


def fields(database: Database, settings: Mapping[str, str]) -> Iterator[list[Field]]:
    """Yield the fields that the caller may see observations of, some hundred at a time.

    Args:
        database: of the role ost_web.
        settings: of the transaction: the context, the role, the time limit of each batch.

    Raises:
        TransientFault: out of time; the database is going down.
    """
    with _seeing(database, settings) as connection, connection.cursor("fields") as cursor:
        cursor.execute(_FIELDS)
        while rows := cursor.fetchmany(BATCH):
            yield [Field(*row) for row in rows]


def intervals(database: Database, settings: Mapping[str, str]) -> tuple[list[Interval], list[Interval]]:
    """Return when and at which wavelengths the caller may see observations: MJD in UTC [d], and [m].

    Arguments and faults are those of :func:`fields`.
    """
    with _seeing(database, settings) as connection, connection.cursor() as cursor:
        cursor.execute(_NIGHTS)
        nights = cursor.fetchall()
        cursor.execute(_BANDS)
        return nights, cursor.fetchall()


def kept(database: Database) -> Coverage | None:
    """Return the coverage that was kept last, None before the first."""
    with transactions.reading(database) as cursor:
        cursor.execute("SELECT state, spatial, temporal, spectral FROM archive.coverage")
        row = cursor.fetchone()
    return Coverage(row[0], row[1], _pairs(row[2]), _pairs(row[3])) if row else None


def keep(database: Database, coverage: Coverage) -> None:
    """Keep a coverage in place of the one before, and forget which changes led to it."""
    with transactions.transaction(database, {}) as cursor:
        cursor.execute(
            "INSERT INTO archive.coverage (state, spatial, temporal, spectral) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (only_row) DO UPDATE SET state = excluded.state, spatial = excluded.spatial, "
            "temporal = excluded.temporal, spectral = excluded.spectral, computed = now()",
            (coverage.state, coverage.spatial, _flat(coverage.temporal), _flat(coverage.spectral)),
        )


def footprint(database: Database, caller: str, state: str) -> str | None:
    """Return the MOC of what a caller sees, in ASCII, if it has been kept for that state of the archive.

    Args:
        database: of the role ost_web.
        caller: the settings that decide what is seen, as one text.
        state: as :func:`state` tells it.
    """
    with transactions.reading(database) as cursor:
        cursor.execute(
            "SELECT spatial FROM archive.footprints WHERE caller = %s AND state = %s", (caller, state)
        )
        row = cursor.fetchone()
    return str(row[0]) if row else None


def keep_footprint(database: Database, caller: str, state: str, spatial: str, most: int) -> None:
    """Keep the MOC of what a caller sees, and those of so many callers in all, the latest."""
    with transactions.transaction(database, {}) as cursor:
        cursor.execute(
            "INSERT INTO archive.footprints (caller, state, spatial) VALUES (%s, %s, %s) ON CONFLICT (caller)"
            " DO UPDATE SET state = excluded.state, spatial = excluded.spatial, computed = now()",
            (caller, state, spatial),
        )
        cursor.execute(
            "DELETE FROM archive.footprints WHERE caller IN"
            " (SELECT caller FROM archive.footprints ORDER BY computed DESC OFFSET %s)",
            (most,),
        )


def prune(database: Database, most: int = 1000) -> bool:
    """Remove the changes of the hours before, where there are many; say whether that made another state.

    Those after which somebody sees less stay for two days: without them, the state could become once more
    what it was before them, and what was counted then would be told again (:mod:`ost_vo.services.sights`).
    """
    with transactions.transaction(database, {}) as cursor:
        cursor.execute(
            "DELETE FROM archive.coverage_changes"
            " WHERE moment < now() - CASE WHEN is_narrowing THEN interval '2 days' ELSE interval '1 hour' END"
            " AND (SELECT count(*) FROM archive.coverage_changes) > %s",
            (most,),
        )
        return cursor.rowcount > 0


@contextmanager
def _seeing(database: Database, settings: Mapping[str, str]) -> Iterator[Connection]:
    """Yield a connection in a transaction of a caller; database errors become faults."""
    with database.connection() as connection:
        try:
            with connection, connection.cursor() as cursor:
                transactions.apply(cursor, settings)
                yield connection
        except psycopg2.Error as error:
            raise fault_of(error) from error


def _flat(pairs: list[Interval]) -> list[float]:
    return [float(limit) for pair in pairs for limit in pair]


def _pairs(flat: list[Any]) -> list[Interval]:
    return list(zip(flat[0::2], flat[1::2], strict=True))
