"""What does not compare, combine or group: every such query is refused before it reaches the database."""

from __future__ import annotations

import pytest

from ost_vo.faults import QueryFault
from ost_vo.vo.adql import translate
from tests.adql.observatory import CATALOGUE


@pytest.mark.parametrize(
    ("query", "column", "said"),
    [
        ("SELECT 1 FROM obscore WHERE s_ra = '10'", 29, "without quotes"),
        ("SELECT 1 FROM obscore WHERE target_name > 3", 29, "do not compare"),
        ("SELECT 1 FROM obscore WHERE obs_release_date > 3", 29, "timestamp"),
        ("SELECT 1 FROM obscore WHERE obs_release_date > 'soon'", 48, "'soon' is no timestamp"),
        ("SELECT 1 FROM obscore WHERE obs_release_date > '2020-02-30'", 48, "no timestamp"),
        ("SELECT 1 FROM obscore WHERE is_valid = 'x'", 40, "truth value"),
        ("SELECT 1 FROM obscore WHERE is_valid > 0", 29, "no order"),
        ("SELECT 1 FROM obscore WHERE s_ra LIKE 'x'", 29, "takes strings"),
        ("SELECT 1 FROM obscore WHERE s_ra IN (1, 'x')", 41, "do not compare"),
        ("SELECT 1 FROM obscore WHERE s_ra IN (SELECT obs_id FROM raw)", 45, "do not compare"),
        ("SELECT 1 FROM obscore WHERE s_ra IN (SELECT ra, dec FROM raw)", 38, "2 columns"),
        ("SELECT 1 FROM obscore WHERE s_ra BETWEEN 1 AND 'x'", 48, "do not compare"),
        ("SELECT target_name + 1 FROM obscore", 8, "takes numbers"),
        ("SELECT -target_name FROM obscore", 9, "takes numbers"),
        ("SELECT s_ra || 'x' FROM obscore", 8, "CAST(value AS VARCHAR)"),
        ("SELECT SQRT(target_name) FROM obscore", 13, "takes numbers"),
        ("SELECT LOWER(s_ra) FROM obscore", 14, "takes strings"),
        ("SELECT SUM(target_name) FROM obscore", 12, "takes numbers"),
        ("SELECT MAX(POINT(1, 2)) FROM obscore", 12, "no order"),
        ("SELECT COUNT(DISTINCT POINT(s_ra, 2)) FROM obscore", 23, "cannot tell"),
        ("SELECT COALESCE(s_ra, 'x') FROM obscore", 23, "one type"),
        ("SELECT POINT(target_name, 1) FROM obscore", 14, "takes numbers"),
        ("SELECT POINT(1, 91) FROM obscore", 17, "latitude 91"),
        ("SELECT CIRCLE(1, 2, 91) FROM obscore", 21, "radius 91"),
        ("SELECT CIRCLE(1, 2, -1) FROM obscore", 21, "radius -1"),
        ("SELECT POINT('NOWHERE', 1, 2) FROM obscore", 14, "'NOWHERE' is not known"),
        ("SELECT POLYGON(0, 0, 20, 20, 20, 0, 0, 20) FROM obscore", 8, "crosses itself"),
        ("SELECT POLYGON(0, 0, 1, 1, 0, 0) FROM obscore", 8, "three different vertices"),
        ("SELECT POLYGON(0, -30, 90, 60, 180, -30, 270, 60) FROM obscore", 8, "hemisphere"),
        ("SELECT POLYGON(s_ra, s_dec, t_min) FROM obscore", 16, "A geometry belongs here"),
        ("SELECT REGION('Union ICRS (Circle 1 2 3)') FROM obscore", 15, "not supported"),
        ("SELECT REGION('Circle ICRS 1 2') FROM obscore", 15, "3 numbers"),
        ("SELECT REGION('Ball 1 2 3') FROM obscore", 15, "does not begin"),
        ("SELECT CENTROID(s_ra) FROM obscore", 17, "A geometry belongs here"),
        ("SELECT DISTANCE(s_region, POINT(1, 2)) FROM obscore", 17, "A point belongs here"),
        ("SELECT 1 FROM obscore WHERE CONTAINS(CIRCLE(1, 2, 3), POINT(1, 2)) = 1", 55, "exchange"),
        ("SELECT 1 FROM obscore ORDER BY POINT(1, 2)", 32, "no order"),
        ("SELECT 1 FROM obscore ORDER BY 2", 32, "has no column 2"),
        ("SELECT DISTINCT s_ra FROM obscore ORDER BY s_dec", 44, "DISTINCT"),
        ("SELECT s_ra, COUNT(*) FROM obscore", 8, "differs within a group"),
        ("SELECT s_ra FROM obscore GROUP BY s_dec", 8, "Add s_ra to GROUP BY"),
        ("SELECT * FROM obscore GROUP BY s_dec", 8, "differs within a group"),
        ("SELECT s_dec FROM obscore GROUP BY s_dec HAVING s_ra > 1", 49, "differs within a group"),
        ("SELECT s_dec FROM obscore GROUP BY s_dec ORDER BY s_ra", 51, "differs within a group"),
        ("SELECT AREA(s_region) FROM obscore GROUP BY s_region", 13, "cannot be grouped"),
        ("SELECT 1 FROM obscore GROUP BY POINT(1, 2)", 32, "cannot be grouped"),
        ("SELECT 1 FROM obscore WHERE COUNT(*) > 1", 29, "HAVING"),
        ("SELECT MAX(AVG(s_ra)) FROM obscore", 12, "cannot stand in another aggregate"),
        ("SELECT 1 FROM obscore GROUP BY MAX(s_ra)", 32, "cannot stand in GROUP BY"),
        ("SELECT s_ra FROM obscore UNION SELECT obs_id FROM obscore", 39, "Column 1 is a number"),
        ("SELECT s_ra FROM obscore UNION SELECT ra, dec FROM raw", 26, "1 and 2 columns"),
        ("SELECT POINT(1, 2) FROM raw UNION SELECT POINT(1, 2) FROM raw", 8, "UNION ALL"),
        ("SELECT 1 FROM obscore o FULL JOIN raw r ON o.s_ra < r.ra", 35, "FULL JOIN"),
        ("SELECT 1 FROM obscore o FULL JOIN raw r ON o.s_ra = 1 AND r.ra = 1", 35, "FULL JOIN"),
        ("SELECT 1 FROM obscore o FULL JOIN obscore r ON o.s_ra = o.s_dec AND r.s_ra = 1", 35, "FULL JOIN"),
        ("SELECT 1 FROM obscore o FULL JOIN raw r ON o.s_ra = r.ra OR r.ra = 1", 35, "FULL JOIN"),
        ("SELECT 1 FROM obscore o FULL JOIN raw r ON NOT (o.s_ra = r.ra)", 35, "FULL JOIN"),
        ("SELECT CAST(obs_release_date AS INTEGER) FROM obscore", 13, "ivo_to_mjd"),
        ("SELECT CAST('x' AS INTEGER) FROM obscore", 13, "not a number"),
        ("SELECT CAST('x' AS POINT) FROM obscore", 13, "is not a number"),
        ("SELECT CAST(flux AS VARCHAR) FROM obscore", 13, "cannot be cast"),
        ("SELECT IN_UNIT(s_ra, 'kg') FROM obscore", 22, "No conversion from 'deg' to 'kg'"),
        ("SELECT IN_UNIT(s_ra, 'foo') FROM obscore", 22, "not a unit"),
        ("SELECT IN_UNIT(s_ra, '') FROM obscore", 22, "unitless"),
        ("SELECT IN_UNIT(calib_level, 'deg') FROM obscore", 16, "no known unit"),
        ("SELECT IN_UNIT(42, 'deg') FROM obscore", 16, "no known unit"),
        ("SELECT 1e999 FROM obscore", 8, "larger than double"),
        ("SELECT ivo_healpix_index(30, 1, 2) FROM obscore", 26, "outside 0 to 29"),
        ("SELECT ivo_healpix_index(1) FROM obscore", 8, "does not take 1 arguments"),
        ("SELECT ivo_to_mjd(s_ra) FROM obscore", 19, "does not take a number"),
        ("SELECT ivo_geom_transform('X', 'ICRS', POINT(1, 2)) FROM obscore", 27, "'X' is not known"),
        ("SELECT ivo_histogram(s_ra, 5, 1, 3) FROM obscore", 28, "lower < upper"),
        ("SELECT ivo_specconv(s_ra, 'Hz') FROM obscore", 27, "No conversion from 'deg'"),
    ],
)
def test_refuses_what_makes_no_sense(query: str, column: int, said: str) -> None:
    with pytest.raises(QueryFault) as raised:
        translate(query, CATALOGUE)
    assert said in str(raised.value)
    assert (raised.value.line, raised.value.column) == (1, column)
