"""Synthetic products: plausible, always the same, and beside real rows, not over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from ingest import synthetic
from ost_vo.faults import UsageFault
from ost_vo.store import bulk
from tests.conftest import ScratchArchive

PRODUCTS = 2000
DEFINITIONS = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'archive.products'::regclass
UNION ALL
SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'archive.products'::regclass
ORDER BY 1
"""


@pytest.fixture
def connection(archive: ScratchArchive) -> Iterator[Connection]:
    """A connection of the owner to an archive without rows."""
    connection = psycopg2.connect(archive.settings.dsn("ost_owner"))
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def filled(archive: ScratchArchive, connection: Connection) -> Connection:
    """The same with synthetic products."""
    synthetic.synthesize(archive.settings, PRODUCTS)
    return connection


def _rows(connection: Connection, query: str | sql.Composed) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def _count(connection: Connection, condition: str) -> int:
    query = sql.SQL("SELECT count(*) FROM archive.products WHERE {}").format(sql.SQL(condition))
    return int(_rows(connection, query)[0][0])


def test_progress_adds_up(archive: ScratchArchive, connection: Connection) -> None:
    steps: list[int] = []
    synthetic.synthesize(archive.settings, 12_345, steps.append)

    assert sum(steps) == 12_345
    assert _count(connection, "true") == 12_345


def test_same_rows_every_time(archive: ScratchArchive, filled: Connection) -> None:
    query = "SELECT md5(string_agg(p::text, '|' ORDER BY product_id)) FROM archive.products p"
    before = _rows(filled, query)
    _empty(filled)

    synthetic.synthesize(archive.settings, PRODUCTS)

    assert _rows(filled, query) == before


def test_indexes_and_constraints_are_back(archive: ScratchArchive, connection: Connection) -> None:
    before = _rows(connection, DEFINITIONS)

    synthetic.synthesize(archive.settings, PRODUCTS)

    assert _rows(connection, DEFINITIONS) == before
    assert _rows(connection, "SELECT to_regclass('archive.set_aside')") == [(None,)]


def test_levels_and_flags_have_believable_shares(filled: Connection) -> None:
    levels = dict(_rows(filled, "SELECT privileges, count(*) FROM archive.products GROUP BY 1"))

    assert set(levels) == {1, 2, 3, 4, 5}
    assert levels[5] + levels[4] > PRODUCTS / 2
    assert levels[5] > levels[4] > levels[3]
    assert 0 < _count(filled, "NOT is_valid") < 0.03 * PRODUCTS
    assert _count(filled, "release_date < '2026-01-01'") > 0
    assert _count(filled, "release_date > '2040-01-01'") > 0
    assert _count(filled, "exposure_type <> 'light' AND s_ra IS NULL") == pytest.approx(
        0.1 * PRODUCTS, rel=0.2
    )
    assert _count(filled, "exposure_type = 'light' AND s_ra IS NULL") == 0


def test_calibrations_have_neither_place_nor_target(filled: Connection) -> None:
    assert not _count(
        filled,
        "exposure_type <> 'light' AND (pos IS NOT NULL OR region IS NOT NULL OR target_name IS NOT NULL)",
    )


def test_identifiers(archive: ScratchArchive, filled: Connection) -> None:
    prefix = f"ivo://{archive.settings.authority}/archive?"

    assert _count(filled, f"obs_publisher_did = '{prefix}' || product_id") == PRODUCTS
    assert _count(filled, "path LIKE 'synthetic/%'") == PRODUCTS
    assert _rows(filled, "SELECT count(DISTINCT sha256) FROM archive.products") == [(PRODUCTS,)]


def test_products_belong_together(filled: Connection) -> None:
    wrong = """
        SELECT count(*) FROM archive.products p JOIN archive.runs r USING (run_id)
            LEFT JOIN archive.targets t USING (target_id)
        WHERE p.project_id <> r.project_id OR p.target_name <> t.name OR p.t_min NOT BETWEEN
                r.night - date '1858-11-17' + 0.5 AND r.night - date '1858-11-17' + 1.5
            OR p.pos <-> t.pos > radians(0.3)
            OR NOT EXISTS (SELECT 1 FROM archive.project_members m
                WHERE m.project_id = p.project_id AND m.user_id = p.creator_id)
    """

    assert _rows(filled, wrong) == [(0,)]
    assert _count(filled, "target_id IS NOT NULL") > PRODUCTS / 3
    assert len(_rows(filled, "SELECT DISTINCT filter_name FROM archive.products")) > 5
    assert len(_rows(filled, "SELECT DISTINCT instrument_name FROM archive.products")) > 3


def test_regions_lie_about_their_position(filled: Connection) -> None:
    assert _count(filled, "region IS NOT NULL") > 50
    assert not _count(filled, "NOT (pos <@ region)")
    assert not _count(filled, "region IS NOT NULL AND s_region !~ '^Polygon ICRS( -?[0-9]+[.][0-9]{6}){8}$'")
    assert not _count(filled, "region IS NOT NULL AND (s_orientation IS NULL OR position_source <> 'wcs')")
    # The area of the field, from its size in pixels, is that of the polygon.
    assert not _count(
        filled,
        "abs(area(region) / (s_xel1 * s_xel2 * radians(s_pixel_scale / 3600) ^ 2) - 1) > 0.02",
    )


def test_sky_is_covered_to_the_poles_and_around(archive: ScratchArchive, connection: Connection) -> None:
    synthetic.synthesize(archive.settings, 20_000)

    assert _count(connection, "s_dec > 89") > 0
    assert _count(connection, "s_dec < -89") > 0
    assert _count(connection, "s_ra < 1") > 0
    assert _count(connection, "s_ra > 359") > 0
    assert _count(connection, "dataproduct_type = 'spectrum'") > 0
    assert _rows(connection, "SELECT max(t_min) - min(t_min) > 3600 FROM archive.products") == [(True,)]


def test_second_call_is_refused(archive: ScratchArchive, filled: Connection) -> None:
    with pytest.raises(UsageFault, match="already"):
        synthetic.synthesize(archive.settings, PRODUCTS)

    assert _count(filled, "true") == PRODUCTS


@pytest.mark.parametrize("products", [0, -5])
def test_no_products_are_refused(archive: ScratchArchive, products: int) -> None:
    with pytest.raises(UsageFault, match="at least one"):
        synthetic.synthesize(archive.settings, products)


def test_other_rows_stay(archive: ScratchArchive, connection: Connection) -> None:
    _add_product(connection)
    query = "SELECT p::text FROM archive.products p WHERE path = 'night/a.fits'"
    before = _rows(connection, query)

    synthetic.synthesize(archive.settings, PRODUCTS)

    assert _rows(connection, query) == before
    assert _count(connection, "true") == PRODUCTS + 1


def test_failure_leaves_all_as_it_was(archive: ScratchArchive, connection: Connection) -> None:
    _add_product(connection)
    before = _rows(connection, DEFINITIONS)

    def fail(rows: int) -> None:
        raise OSError(f"no terminal to show {rows} rows")

    with pytest.raises(OSError, match="no terminal"):
        synthetic.synthesize(archive.settings, PRODUCTS, fail)

    assert _rows(connection, DEFINITIONS) == before
    assert _count(connection, "true") == 1
    assert _rows(connection, "SELECT count(*) FROM archive.runs") == [(1,)]


def test_load_that_was_killed_is_mended(archive: ScratchArchive, connection: Connection) -> None:
    before = _rows(connection, DEFINITIONS)
    dsn = archive.settings.dsn("ost_owner")
    block = bulk.set_aside(dsn, 10)
    block.__enter__()
    assert _rows(connection, DEFINITIONS) != before

    bulk.restore(dsn)

    assert _rows(connection, DEFINITIONS) == before


def _empty(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            TRUNCATE archive.products, archive.runs, archive.targets, archive.projects, archive.users
            RESTART IDENTITY CASCADE
            """
        )


def _add_product(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO archive.users (name) VALUES ('observer');
            INSERT INTO archive.projects (name) VALUES ('P');
            INSERT INTO archive.runs (name, project_id) SELECT 'night', project_id FROM archive.projects;
            INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id,
                project_id, creator_id, privileges, calib_level, obs_id, obs_publisher_did)
            SELECT 'night/a.fits', 2880, sha256('a'), now(), 'application/fits', run_id,
                project_id, user_id, 5, 1, 'night/a', 'ivo://example/archive?a'
            FROM archive.runs, archive.users
            """
        )
