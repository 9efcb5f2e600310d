"""Translated queries in PostgreSQL with pgSphere: accepted, of the declared types, with the right rows."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ost_vo.faults import QueryFault
from ost_vo.vo.adql import translate
from ost_vo.vo.columns import SQL_TYPES, Catalogue, Column
from tests.adql.observatory import CATALOGUE, OBSCORE, RAW, ROWS, statements
from tests.adql.queries import VALID

Rows = list[list[str | None]]
Run = Callable[[str], Rows]


@pytest.fixture
def cursor(scratch_dsn: str) -> Iterator[psycopg2.extensions.cursor]:
    """A cursor on the filled observatory."""
    connection = psycopg2.connect(scratch_dsn)
    connection.autocommit = True
    with connection.cursor() as opened:
        for statement in statements():
            opened.execute(statement)
        yield opened
    connection.close()


@pytest.fixture
def run(cursor: psycopg2.extensions.cursor) -> Run:
    """Runs a query as the service does, and returns its rows as text."""

    def execute(query: str) -> Rows:
        stream = io.StringIO()
        cursor.copy_expert(f"COPY ({translate(query, CATALOGUE).sql}) TO STDOUT", stream)
        rows = [line.split("\t") for line in stream.getvalue().splitlines()]
        return [[None if field == "\\N" else field for field in row] for row in rows]

    return execute


def _computed(run: Run, values: str) -> list[str | None]:
    """Return values computed for the first row of ost.raw."""
    (row,) = run(" ".join(("SELECT", values, "FROM raw WHERE exposure = 1")))
    return row


def _position(i: int) -> tuple[float, float] | None:
    """Return the position of row i of ivoa.obscore in degrees."""
    if i % 100 == 0:
        return None
    return (i * 137.50776405) % 360, math.degrees(math.asin(2 * (i - 0.5) / ROWS - 1))


def _separation(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the distance of two positions, all in degrees (Vincenty's formula on a sphere)."""
    (a, d), (b, e) = (map(math.radians, each) for each in (one, other))
    y = math.hypot(
        math.cos(e) * math.sin(b - a),
        math.cos(d) * math.sin(e) - math.sin(d) * math.cos(e) * math.cos(b - a),
    )
    x = math.sin(d) * math.sin(e) + math.cos(d) * math.cos(e) * math.cos(b - a)
    return math.degrees(math.atan2(y, x))


def _within(centre: tuple[float, float], radius: float) -> set[str]:
    places = {f"o{i}": _position(i) for i in range(1, ROWS + 1)}
    return {name for name, place in places.items() if place and _separation(place, centre) <= radius}


def _types(cursor: psycopg2.extensions.cursor, sql: str) -> list[str]:
    """Return the types of the columns of a query, as PostgreSQL names them."""
    cursor.execute(" ".join(("SELECT * FROM (", sql, ") AS query LIMIT 0")))
    codes = [column.type_code for column in cursor.description or ()]
    cursor.execute(
        "SELECT format_type(code::oid, NULL) FROM unnest(%s) WITH ORDINALITY AS c(code, n) ORDER BY n",
        (codes,),
    )
    return [name for (name,) in cursor.fetchall()]


def _declared(column: Column) -> str:
    sql_type = SQL_TYPES[column.datatype]
    return sql_type if column.arraysize is None or sql_type == "text" else f"{sql_type}[]"


def test_every_valid_query_yields_the_types_that_it_declares(cursor: psycopg2.extensions.cursor) -> None:
    for query in VALID:
        translation = translate(query, CATALOGUE, maxrec=10)
        declared = [_declared(column) for column in translation.columns]
        assert [column.sql_type for column in translation.columns] == declared, query
        assert _types(cursor, translation.sql) == declared, query
        cursor.copy_expert(f"COPY ({translation.sql}) TO STDOUT", io.StringIO())


_CONES = [
    "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE({0}, {1}, 7.5))",
    "CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', POINT({0}, {1}), 7.5)) <> 0",
    "DISTANCE(POINT(s_ra, s_dec), POINT({0}, {1})) <= 7.5",
    "7.5 >= DISTANCE({0}, {1}, s_ra, s_dec)",
    "DISTANCE(s_ra, s_dec, {0}, {1}) BETWEEN 0 AND 7.5",
    "INTERSECTS(CIRCLE({0}, {1}, 7.5), POINT(s_ra, s_dec)) = 1",
    "NOT DISTANCE(s_ra + 0, s_dec, {0}, {1}) > 7.5",
]


def test_cones_hold_exactly_the_positions_inside(run: Run) -> None:
    for centre in [(10.0, 20.0), (0.0, 0.0), (359.9, -1.0), (123.0, 90.0), (77.0, -89.0)]:
        expected = _within(centre, 7.5)
        for condition in _CONES:
            rows = run(" ".join(("SELECT obs_id FROM obscore WHERE", condition.format(*centre))))
            assert {row[0] for row in rows} == expected, (condition, centre)


def test_outside_never_holds_rows_without_position(run: Run) -> None:
    rows = run("SELECT obs_id FROM obscore WHERE CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 7.5)) = 0")
    everywhere = {f"o{i}" for i in range(1, ROWS + 1) if _position(i)}
    assert {row[0] for row in rows} == everywhere - _within((10, 20), 7.5)


def test_the_edge_of_a_distance_is_sharp(run: Run) -> None:
    query = "SELECT COUNT(*) FROM raw WHERE DISTANCE(0, 0, ra - ra, 5) {} 5"
    assert run(query.format("<")) == [["0"]]
    assert run(query.format("<=")) == [["500"]]
    assert run(query.format("/ 2 <").replace("< 5", "< 2.5")) == [["0"]]
    assert run(query.format("/ 2 <=").replace("<= 5", "<= 2.5")) == [["500"]]


@pytest.mark.parametrize(
    ("scaled", "plain"),
    [
        ("3600 * DISTANCE(s_ra, s_dec, 10, 20) < 27000", "DISTANCE(s_ra, s_dec, 10, 20) < 7.5"),
        ("DISTANCE(s_ra, s_dec, 10, 20) / 2 < 5", "DISTANCE(s_ra, s_dec, 10, 20) < 10"),
        ("NOT 60 * DISTANCE(s_ra, s_dec, 10, 20) <= 600", "DISTANCE(s_ra, s_dec, 10, 20) > 10"),
        ("-1 * DISTANCE(s_ra, s_dec, 10, 20) < -10", "DISTANCE(s_ra, s_dec, 10, 20) > 10"),
        ("0 * DISTANCE(s_ra, s_dec, 10, 20) < 1", "s_ra IS NOT NULL"),
        ("1/3600 * DISTANCE(s_ra, s_dec, 10, 20) < 1", "s_ra IS NOT NULL"),
        ("1 / DISTANCE(s_ra, s_dec, 10, 20) < 0.1", "DISTANCE(s_ra, s_dec, 10, 20) > 10"),
        ("1 + DISTANCE(s_ra, s_dec, 10, 20) < 11", "DISTANCE(s_ra, s_dec, 10, 20) < 10"),
    ],
)
def test_scaled_distances(run: Run, scaled: str, plain: str) -> None:
    counts = [run(f"SELECT COUNT(*) FROM obscore WHERE {condition}") for condition in (scaled, plain)]
    assert counts[0] == counts[1]


_REGIONS = [
    ("POLYGON(350, -10, 10, -10, 10, 10, 350, 10)", (0, 0), (180, 0)),
    ("POLYGON(0, 80, 90, 80, 180, 80, 270, 80)", (45, 90), (45, -90)),
    ("POLYGON(270, -80, 180, -80, 90, -80, 0, -80)", (45, -89), (45, 89)),
    ("BOX(0, 90, 4, 4)", (20, 89), (0, 87)),
    ("BOX(0, 0, 4, 2)", (359, 0.9), (359, 1.1)),
    ("BOX('GALACTIC', 0, 0, 4, 2)", (266.4, -28.9), (266.4, -33)),
    ("CIRCLE('GALACTIC', 0, 90, 1)", (192.86, 27.13), (12.86, -27.13)),
    ("CIRCLE(0, 0, 90)", (89.9, 0), (90.1, 0)),
    ("REGION('Circle FK5 10 10 1')", (10, 10.9), (10, 11.1)),
    ("REGION('Polygon ICRS 0 0 2 0 1 2')", (1, 1), (1, 2.1)),
    ("CAST('10 10 1' AS CIRCLE)", (10, 10.9), (10, 11.1)),
    ("POLYGON(0, 0, 2 + exposure, 0, 1, 2)", (1, 1), (1, 3)),
    ("BOX(exposure, 0, 4, 2)", (1, 0.9), (1, 1.1)),
    ("ivo_geom_transform('GALACTIC', 'ICRS', CIRCLE(0, 90, 1))", (192.86, 27.13), (12.86, -27.13)),
]  # fmt: skip


def test_regions_hold_what_they_should(run: Run) -> None:
    for region, inside, outside in _REGIONS:
        points = ", ".join(f"CONTAINS(POINT({lon}, {lat}), {region})" for lon, lat in (inside, outside))
        assert _computed(run, points) == ["1", "0"], region


def test_regions_with_a_null_are_null(run: Run) -> None:
    rows = run(
        "SELECT POLYGON(s_ra, s_dec, 1, 1, 2, 2.5), POLYGON(1, 1, s_ra, s_dec, 2, 2.5), BOX(s_ra, "
        "s_dec, 1, 1), "
        "CIRCLE(s_ra, s_dec, 1), POINT(s_ra, s_dec), CENTROID(s_region) FROM obscore WHERE obs_id = 'o100'"
    )
    assert rows == [[None] * 6]


_TEXTS = [
    ("POINT(10, -20.5)", "Position ICRS 10 -20.5"),
    ("POINT(-10, 0)", "Position ICRS 350 0"),
    ("CIRCLE(10, 20, 0.25)", "Circle ICRS 10 20 0.25"),
    ("POLYGON(1, 2, 3, 4, 5, 1)", "Polygon ICRS 1 2 3 4 5 1"),
    ("CENTROID(CIRCLE(10, 20, 3))", "Position ICRS 10 20"),
    ("CENTROID(POLYGON(10, -10, 20, -10, 20, 10, 10, 10))", "Position ICRS 15 0"),
    ("CENTROID(POLYGON(10, 10, 20, 10, 20, -10, 10, -10))", "Position ICRS 15 0"),
    ("CAST(POINT(1, 2) AS VARCHAR)", "Position ICRS 1 2"),
    ("COORDSYS(POINT('FK5', 1, 2))", "FK5"),
    ("COORDSYS(CIRCLE(1, 2, 3))", "ICRS"),
    ("CAST('2020-01-01T01:02:03.5' AS TIMESTAMP)", "2020-01-01T01:02:03.500"),
    ("CAST('2020-01-01' AS TIMESTAMP)", "2020-01-01T00:00:00"),
    ("CAST(CAST('2020-01-01' AS TIMESTAMP) AS VARCHAR(10))", "2020-01-01"),
    ("started", "2020-01-02T00:00:00.250"),
    ("'back\\slash ''quote'''", "back\\\\slash 'quote'"),
    ("LOWER('ABC') || UPPER('d')", "abcD"),
    ("1/2", "0"),
]  # fmt: skip


def test_values_as_text(run: Run) -> None:
    found = _computed(run, ", ".join(value for value, _ in _TEXTS))
    assert dict(zip([value for value, _ in _TEXTS], found, strict=True)) == dict(_TEXTS)


_NUMBERS = [
    ("COORD1(POINT(25.0, -19.5))", 25),
    ("COORD2(CENTROID(CIRCLE(25, -19.5, 1)))", -19.5),
    ("AREA(CIRCLE(0, 0, 90))", 2 * math.pi * (180 / math.pi) ** 2),
    ("AREA(POINT(1, 2))", 0),
    ("DISTANCE(25.0, -19.5, 25.4, -20.0)", _separation((25, -19.5), (25.4, -20))),
    ("MOD(7.14, 4)", 3.14),
    ("MOD(-5, 3)", -2),
    ("ROUND(2.345, 2)", 2.35),
    ("ROUND(-1234.5, -2)", -1200),
    ("TRUNCATE(-2.789, 2)", -2.78),
    ("LOG(EXP(2))", 2),
    ("LOG10(1000)", 3),
    ("POWER(2, 10)", 1024),
    ("CEILING(1.2) + FLOOR(-1.2)", 0),
    ("IN_UNIT(pm_ra, 'mas/yr')", 3600),
    ("ivo_healpix_index(0, 1, 1)", 4),
    ("ivo_healpix_index(17, POINT('ICRS', 1, 1))", 81609757711),
    ("ivo_healpix_index(17, CENTROID(CIRCLE(359, -1, 3)))", 73009064944),
    ("COORD1(ivo_healpix_center(0, 6))", 180),
    ("COORD2(ivo_healpix_center(17, ivo_healpix_index(17, 23.4, 56.7)))", 56.70016214363192),
    ("COORD1(ivo_epoch_prop_pos(7.606083572, 11.79044105, 125, 300, -428.8, 52.51, 2016, 1992.25))",
     7.604061404627978),
    ("COORD2(ivo_epoch_prop_pos(7.606083572, 11.79044105, 125, 300, -428.8, 52.51, 2016, 1875))",
     11.807251375203935),
    ("COORD2(ivo_epoch_prop_pos(7.606083572, 11.79044105, 125, 300, NULL, NULL, 2016, 1875))",
     11.790440798509207),
    ("COORD1(ivo_epoch_prop_pos(7.606083572, 11.79044105, NULL, 300, -428.8, 52.51, 2016, 1875))",
     7.594079587020846),
    ("ivo_to_jd(CAST('2000-01-02T12:00:00' AS TIMESTAMP))", 2451546),
    ("ivo_to_mjd('1910-12-31T06:00:00')", 19036.25),
    ("ivo_nocasematch('ABcabc', 'ab__bc')", 1),
    ("ivo_nocasematch('abcabc', 'abcab')", 0),
    ("ivo_hasword('shown that a primordial', 'shown primordial')", 1),
    ("ivo_hasword('shown that a primordial', 'shown soup')", 0),
    ("ivo_hashlist_has('Red#green#blue', 'red')", 1),
    ("ivo_hashlist_has('red#green#blue', 're')", 0),
    ("ivo_hashlist_has('red#green#blue', 'red#green')", 0),
    ("ivo_interval_overlaps(-3, -2, 2, 3)", 0),
    ("ivo_interval_overlaps(-2, 55.3, 2, 3)", 1),
    ("ivo_interval_overlaps(-2, 55.3, 3, 2)", 0),
    ("ivo_interval_overlaps(-2, 2, 2, 3)", 1),
    ("ivo_hms_to_degrees('3h34m45.4s')", 53.68916666666667),
    ("ivo_hms_to_degrees('033445.4')", 53.68916666666667),
    ("ivo_dms_to_degrees('-00:15:00')", -0.25),
    ("ivo_dms_to_degrees('42D9M6.768S')", 42.15188),
    ("ivo_specconv(1, 'keV', 'Angstrom')", 12.398419843320026),
    ("ivo_specconv(299.792458, 'cm', 'MHz')", 100),
    ("ivo_specconv(1, 'eV', 'nm')", 1239.8419843320026),
    ("ivo_specconv(1, 'THz', 'meV')", 4.135667696923859),
]  # fmt: skip


def test_values_as_numbers(run: Run) -> None:
    found = _computed(run, ", ".join(value for value, _ in _NUMBERS))
    for (value, number), text in zip(_NUMBERS, found, strict=True):
        assert float(text or "nan") == pytest.approx(number, rel=1e-9, abs=1e-12), value


def test_text_that_is_no_angle_is_null(run: Run) -> None:
    assert run("SELECT TOP 1 ivo_dms_to_degrees('x'), ivo_to_mjd(NULL) FROM raw") == [[None, None]]


def test_frames_agree_with_the_catalogue_of_functions(run: Run) -> None:
    ((text,),) = run(
        "SELECT TOP 1 ivo_geom_transform('GALACTIC', 'FK5', POLYGON(5, 3, 4, 4, 4.5, 2)) FROM raw"
    )
    found = [float(number) for number in str(text).split()[2:]]
    assert found == pytest.approx(
        [266.44721, -23.10731, 264.95088, -23.434037, 267.09936, -24.051919], abs=1e-5
    )


def test_histogram_counts_every_row_once(run: Run) -> None:
    ((text,),) = run("SELECT ivo_histogram(s_ra, 10, 50, 4) FROM obscore")
    counts = json.loads(str(text).replace("{", "[").replace("}", "]"))
    places = [_position(i) for i in range(1, ROWS + 1)]
    longitudes = [place[0] if place else -1.0 for place in places]
    bins = [sum(lo <= x < lo + 10 for x in longitudes) for lo in (10, 20, 30, 40)]
    assert counts == [sum(x < 10 for x in longitudes), *bins, sum(x > 50 for x in longitudes)]


def test_random_numbers_follow_their_distribution(run: Run) -> None:
    ((mean, square),) = run(
        "SELECT AVG(x), AVG(x * x) FROM (SELECT ivo_normal_random(10, 2) AS x FROM obscore) AS q"
    )
    assert float(mean or 0) == pytest.approx(10, abs=0.3)
    assert float(square or 0) == pytest.approx(104, abs=6)


_ROWS = [
    ("SELECT obs_id FROM raw WHERE exposure < 3 ORDER BY exposure DESC", [["o2"], ["o1"]]),
    ("SELECT TOP 2 exposure FROM raw ORDER BY exposure OFFSET 3", [["4"], ["5"]]),
    ("SELECT TOP 1 exposure FROM raw UNION SELECT TOP 1 5000 FROM raw ORDER BY exposure", [["1"], ["5000"]]),
    ("(SELECT TOP 2 exposure FROM raw ORDER BY 1) EXCEPT SELECT 1 FROM raw", [["2"]]),
    ("SELECT exposure FROM raw WHERE exposure < 3 UNION SELECT 9 FROM raw INTERSECT SELECT 8 "
     "FROM raw ORDER BY 1",
     [["1"], ["2"]]),
    ("SELECT exposure / 2.0 AS half, exposure / 2 FROM raw WHERE exposure = 3", [["1.5", "1"]]),
    ("SELECT COUNT(*) FROM obscore WHERE obs_release_date < '2020-01-01T03:00:01'", [["2"]]),
    ("SELECT COUNT(*) FROM obscore WHERE is_valid = 'true' AND calib_level = 2.0", [[str(ROWS // 4)]]),
    ("SELECT calib_level n, COUNT(*) FROM obscore GROUP BY n HAVING calib_level > 1 ORDER BY 1",
     [["2", str(ROWS // 4)], ["3", str(ROWS // 4)]]),
    ("SELECT COUNT(*) FROM obscore LEFT JOIN raw USING (obs_id) WHERE exposure IS NULL", [[str(ROWS - 500)]]),
    ("SELECT COUNT(obs_id), COUNT(q.obs_id) FROM obscore FULL JOIN (SELECT 'x' AS obs_id FROM tables) AS q "
     "USING (obs_id)", [[str(ROWS + 1), "1"]]),
    ("SELECT obs_id FROM (SELECT 'x' AS obs_id FROM tables) AS q RIGHT JOIN raw USING (obs_id) "
     "WHERE mixed = 1",
     [["o1"]]),
    ("SELECT COUNT(*) FROM raw r WHERE EXISTS (SELECT 1 FROM obscore o WHERE o.obs_id = "
     "r.obs_id AND o.t_min < 58004)",
     [["3"]]),
    ("SELECT COUNT(*) FROM raw WHERE obs_id LIKE 'o_' OR obs_id ILIKE 'O1_'", [["19"]]),
    ("SELECT COUNT(*) FROM raw WHERE 'a\\b' LIKE 'a\\%' AND NOT 'a_' LIKE 'a\\_'", [["500"]]),
    ("SELECT ivo_string_agg(obs_id, '+') FROM (SELECT TOP 2 obs_id FROM raw ORDER BY exposure) "
     "AS q", [["o1+o2"]]),
    ("SELECT \"size\" FROM columns", [["3"]]),
    ("SELECT x.c FROM (SELECT COUNT(*) AS c FROM raw GROUP BY MOD(exposure, 2)) AS x", [["250"], ["250"]]),
    ("WITH w AS (SELECT exposure e FROM raw WHERE exposure < 3) SELECT a.e, b.e FROM w a, w b "
     "WHERE a.e < b.e",
     [["1", "2"]]),
]  # fmt: skip


def test_rows(run: Run) -> None:
    for query, rows in _ROWS:
        assert run(query) == rows, query


_INDEXED = [
    "SELECT obs_id FROM obscore WHERE 1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 1))",
    "SELECT obs_id FROM obscore WHERE DISTANCE(s_ra, s_dec, 10, 20) < 1",
    "SELECT obs_id FROM obscore WHERE 3600*DISTANCE(s_ra, s_dec, 10, 20) < 5",
    "SELECT obs_id FROM obscore WHERE 5 >= 60 * DISTANCE(s_ra, s_dec, 10, 20) * 60.0 / 2",
    "SELECT obs_id FROM obscore WHERE DISTANCE(s_ra, s_dec, 10, 20) < 5/3600.",
    "SELECT obs_id FROM obscore WHERE IN_UNIT(DISTANCE(s_ra, s_dec, 10, 20), 'arcsec') BETWEEN 1 AND 5",
    "SELECT obs_id FROM obscore WHERE CONTAINS(POINT(s_ra, s_dec), POLYGON(1, 1, 2, 1, 2, 2)) = 1",
    "SELECT obs_id FROM obscore WHERE INTERSECTS(s_region, CIRCLE(10, 20, 1)) = 1",
    "SELECT obs_id FROM obscore WHERE INTERSECTS(POLYGON(1, 1, 2, 1, 2, 2), s_region) = 1",
    "SELECT obs_id FROM obscore WHERE CONTAINS(POINT(10, 20), s_region) = 1",
    "SELECT obs_id FROM obscore WHERE CONTAINS(s_region, CIRCLE(10, 20, 3)) = 1",
    "SELECT q.i FROM (SELECT obs_id AS i, s_ra AS x, s_dec AS y FROM obscore) AS q "
    "WHERE DISTANCE(q.x, q.y, 10, 20) < 1",
    "WITH w AS (SELECT s_region AS r FROM obscore) SELECT COUNT(*) FROM w WHERE CONTAINS(POINT(1, 2), r) = 1",
    "SELECT COUNT(*) FROM raw JOIN obscore ON DISTANCE(ra, dec, s_ra, s_dec) < 0.01",
    "SELECT COUNT(*) FROM raw, obscore WHERE 1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(ra, dec, 0.01))",
]


def test_spatial_conditions_use_the_index(cursor: psycopg2.extensions.cursor) -> None:
    for query in _INDEXED:
        cursor.execute(f"EXPLAIN {translate(query, CATALOGUE).sql}")
        assert "Index" in "\n".join(line for (line,) in cursor.fetchall()), query


# What the translator's containments run on; the archive marks them, see DESIGN.
_CONTAINMENTS = [
    "spoint_contained_by_circle(spoint, scircle)",
    "spoly_contains_point_com(spoint, spoly)",
    "spoly_overlap_circle(spoly, scircle)",
    "spoly_overlap_circle_com(scircle, spoly)",
    "spoly_overlap_polygon(spoly, spoly)",
    "scircle_contains_polygon_com(spoly, scircle)",
    "spoly_contains_polygon_com(spoly, spoly)",
    "spoly_contains_circle_com(scircle, spoly)",
]
_LINKED = [
    "SELECT COUNT(*) FROM obscore LEFT JOIN (SELECT s_ra AS x, s_dec AS y FROM obscore) AS q "
    "ON DISTANCE(q.x, q.y, s_ra, s_dec) < 0.01",
    "SELECT COUNT(*) FROM obscore JOIN raw ON exposure < 9 AND DISTANCE(ra, dec, s_ra, s_dec) < 0.01",
    "SELECT COUNT(*) FROM obscore a, obscore b WHERE 1 = INTERSECTS(a.s_region, b.s_region)",
    "SELECT COUNT(*) FROM raw JOIN obscore ON 3600 * DISTANCE(ra, dec, s_ra, s_dec) < 36",
]


def test_spatial_conditions_use_the_index_behind_a_security_barrier(
    cursor: psycopg2.extensions.cursor,
) -> None:
    for function in _CONTAINMENTS:
        cursor.execute(f"ALTER FUNCTION {function} LEAKPROOF")
    cursor.execute(
        "CREATE VIEW ivoa.guarded WITH (security_barrier) AS SELECT * FROM ivoa.obscore "
        "WHERE calib_level >= COALESCE(NULLIF(current_setting('test.level', true), ''), '0')::integer"
    )
    guarded = Catalogue([replace(OBSCORE, sql_name="ivoa.guarded"), RAW])
    for query in [*_INDEXED, *_LINKED]:
        cursor.execute(f"EXPLAIN {translate(query, guarded).sql}")
        assert "Index Cond" in "\n".join(line for (line,) in cursor.fetchall()), query


def test_crossmatches_find_every_counterpart(run: Run) -> None:
    near = "DISTANCE(r.ra, r.dec, o.s_ra, o.s_dec) < 0.0001"
    for tables, count in [
        ("raw r JOIN obscore o ON NEAR", 495),
        ("obscore o JOIN raw r ON NEAR", 495),
        ("raw r LEFT JOIN obscore o ON NEAR", 500),
        ("obscore o LEFT JOIN raw r ON NEAR", ROWS),
        ("obscore o RIGHT JOIN raw r ON NEAR", 500),
        ("obscore o, raw r WHERE NEAR", 495),
        ("obscore o, raw r, tables WHERE NEAR AND r.exposure < 100", 99),
        ("raw r, obscore o WHERE CONTAINS(POINT(o.s_ra, o.s_dec), CIRCLE(r.ra, r.dec, 0.0001)) = 1", 495),
        ("raw r, (SELECT s_ra, s_dec FROM obscore WHERE calib_level = 1) AS o WHERE NEAR", 125),
        ("raw r WHERE EXISTS (SELECT 1 FROM obscore o WHERE NEAR)", 495),
        ("raw r WHERE NOT EXISTS (SELECT 1 FROM obscore o, tables WHERE NEAR)", 5),
    ]:
        assert run(" ".join(("SELECT COUNT(*) FROM", tables.replace("NEAR", near)))) == [[str(count)]], tables


_TOKEN = re.compile(r"\s+|[A-Za-z_][A-Za-z0-9_]*|[0-9.]+|'[^']*'|\"[^\"]*\"|\|\||<>|<=|>=|.", re.DOTALL)
_SPLIT = [_TOKEN.findall(query) for query in VALID]
_TOKENS = sorted({token for tokens in _SPLIT for token in tokens if token.strip()})


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    """A valid query with some tokens removed, replaced or inserted."""
    tokens = list(draw(st.sampled_from(_SPLIT)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(tokens) - 1))
        width = draw(st.integers(0, 1))
        tokens[place : place + width] = draw(st.sampled_from([[], [" "], *([token] for token in _TOKENS)]))
        tokens = tokens or ["SELECT"]
    return "".join(tokens)


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(query=_mutated())
def test_what_translates_is_accepted(cursor: psycopg2.extensions.cursor, query: str) -> None:
    try:
        sql = translate(query, CATALOGUE, maxrec=5).sql
    except QueryFault:
        return
    try:
        cursor.execute(f"EXPLAIN {sql}")
    except psycopg2.DataError:
        # A constant that the planner computes, such as LOG(0): no fault of the syntax.
        return
