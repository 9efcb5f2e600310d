"""Look-ups through the filtered views can use the indexes of the plain table, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from ost_vo.access.context import ANONYMOUS, Context
from ost_vo.services.archive import Published
from ost_vo.store.connections import Database
from ost_vo.vo import adql
from ost_vo.vo.columns import Catalogue
from tests.conftest import Service, execute

# ADQL to the index that serves it, and the condition that it is asked with.
LOOKUPS = {
    "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(10.6, 41.2, 1))": ("products_pos", "pos <@"),
    "DISTANCE(s_ra, s_dec, 10.6, 41.2) < 1": ("products_pos", "pos <@"),
    "1 = INTERSECTS(s_region, CIRCLE(10.6, 41.2, 1))": ("products_region", "region &&"),
    "1 = CONTAINS(POINT(10.6, 41.2), s_region)": ("products_region", "region @>"),
    "t_min BETWEEN 59580 AND 59581": ("products_t_min", "t_min >="),
    "obs_publisher_did = 'ivo://ost.uni-potsdam.de/archive?1'": ("products_obs_publisher_did_key", "="),
    "obs_id = '20220101/a'": ("products_obs_id", "="),
    "target_name = 'M 31'": ("products_target_name", "="),
}
CALLERS = {"anonymous": ANONYMOUS, "member": Context(2, (1, 2), (1, 2, 3))}


@pytest.fixture(scope="module")
def catalogue(service: Service) -> Iterator[Catalogue]:
    # Autovacuum does it some time, and other statistics may give other plans.
    execute(service.settings.dsn("postgres"), "ANALYZE archive.products")
    database = Database(service.settings.dsn("ost_web"), 1)
    yield Published(database).catalogue
    database.close()


@pytest.fixture
def cursor(service: Service) -> Iterator[Cursor]:
    connection = psycopg2.connect(service.settings.dsn("ost_web"))
    with connection.cursor() as cursor:
        # The demo is so small that reading all of it is cheaper; what matters is that another way exists.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        yield cursor
    connection.close()


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("table", ["ivoa.obscore", "ost.products"])
@pytest.mark.parametrize("condition", LOOKUPS)
def test_lookups_use_their_index(
    catalogue: Catalogue, cursor: Cursor, condition: str, table: str, caller: str
) -> None:
    index, asked = LOOKUPS[condition]
    translated = adql.translate(f"SELECT obs_id FROM {table} WHERE {condition}", catalogue).sql
    for setting in CALLERS[caller].database_settings().items():
        cursor.execute("SELECT set_config(%s, %s, true)", setting)
    cursor.execute("EXPLAIN " + translated)
    plan = [line for (line,) in cursor.fetchall()]
    assert any(f"Index Scan using {index}" in line for line in plan), "\n".join(plan)
    assert any("Index Cond" in line and asked in line for line in plan), "\n".join(plan)


@pytest.mark.parametrize("table", ["ivoa.obscore", "ost.products"])
def test_counts_read_no_wide_rows(catalogue: Catalogue, cursor: Cursor, table: str) -> None:
    translated = adql.translate(f"SELECT count(*) AS n FROM {table}", catalogue).sql
    for setting in ANONYMOUS.database_settings().items():
        cursor.execute("SELECT set_config(%s, %s, true)", setting)
    cursor.execute("EXPLAIN " + translated)
    plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Only Scan using products_" in plan
    assert "Join" not in plan
