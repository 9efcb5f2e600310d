"""Queries with labels: what ADQL 2.1 is, and what it is not."""

from __future__ import annotations

# Valid, and meaningful over the catalogue of observatory.py.
VALID = [
    "SELECT * FROM ivoa.ObsCore",
    'select top 5 obs_id, s_ra as ra, s_dec "Dec" from obscore order by s_ra desc, 1',
    "SELECT DISTINCT dataproduct_type FROM ivoa.obscore ORDER BY dataproduct_type",
    "SELECT ALL(calib_level+1)x FROM obscore -- a comment at the end",
    "SELECT o.* FROM ivoa.obscore AS o, ost.raw r WHERE o.obs_id=r.obs_id",
    "SELECT obs_id FROM obscore NATURAL LEFT OUTER JOIN raw",
    "SELECT obs_id FROM obscore FULL JOIN raw USING (obs_id)",
    "SELECT 1 n FROM obscore o FULL JOIN raw r ON (r.ra = o.s_ra + 1 AND o.s_dec < r.dec) AND exposure > 5",
    "SELECT a.obs_id FROM obscore a JOIN raw b JOIN raw c ON b.obs_id=c.obs_id ON a.obs_id=c.obs_id",
    "SELECT a.obs_id FROM (obscore a RIGHT JOIN raw b ON a.obs_id=b.obs_id), raw c WHERE c.exposure=1",
    "SELECT q.n FROM (SELECT COUNT(*) AS n, calib_level FROM obscore GROUP BY calib_level) q WHERE q.n > 3",
    "SELECT calib_level, AVG(s_ra), MIN(obs_release_date) FROM obscore GROUP BY calib_level "
    "HAVING COUNT(*) > 1",
    "SELECT upper(dataproduct_type) u, count(distinct target_name) FROM obscore GROUP BY u ORDER BY 2 DESC",
    "SELECT obs_id FROM obscore WHERE obs_id IN (SELECT obs_id FROM raw) AND calib_level NOT IN (1, 2.0)",
    "SELECT obs_id FROM obscore o WHERE EXISTS (SELECT * FROM raw WHERE raw.obs_id = o.obs_id)",
    "SELECT obs_id FROM obscore WHERE NOT (s_ra BETWEEN 1 AND 2 OR s_dec IS NOT NULL) AND "
    "target_name LIKE 'T_%'",
    "SELECT obs_id FROM obscore WHERE target_name ILIKE '%\\_x' OR target_name NOT LIKE 'it''s'",
    "SELECT obs_id FROM obscore WHERE obs_release_date >= CAST('2020-02-01T12:00:00Z' AS TIMESTAMP)",
    "SELECT obs_id FROM obscore WHERE obs_release_date BETWEEN '2020-01-01' AND '2020-02-01'",
    'SELECT "size", "user", gain, flux, is_valid FROM obscore WHERE is_valid = 1 AND "size" < 3',
    "SELECT 1+2*3-4/5., -s_ra, +1, .5, 5., 1E-3, 'a' || 'b', NULL FROM raw, obscore",
    "SELECT ABS(-1), MOD(5, 3), MOD(5.5, 2), ROUND(s_ra, -1), ROUND(s_ra), TRUNCATE(s_ra, 2), "
    "RAND(3) FROM obscore",
    "SELECT PI(), SQRT(2), POWER(2, 3), LOG(2), LOG10(2), EXP(1), ATAN2(1, 2), COT(1), CEILING(1.5) FROM raw",
    "SELECT COALESCE(target_name, obs_id, 'none'), LOWER(obs_id) FROM obscore",
    "SELECT IN_UNIT(s_ra, 'rad'), IN_UNIT(s_ra + 10, 'arcmin'), IN_UNIT(SQRT(POWER(pm_ra, 2)), 'rad/yr') "
    "FROM obscore, raw",
    "SELECT CAST(s_ra AS INTEGER), CAST('1.5' AS REAL), CAST(calib_level AS VARCHAR(3)), CAST(NULL AS CHAR), "
    "CAST(obs_release_date AS VARCHAR), CAST('12 45' AS POINT), CAST('1 2 3' AS CIRCLE) FROM obscore",
    "SELECT table_name FROM TAP_SCHEMA.tables UNION SELECT table_name FROM TAP_SCHEMA.columns",
    "SELECT TOP 3 obs_id FROM obscore UNION ALL (SELECT TOP 2 obs_id FROM raw ORDER BY ra) "
    "ORDER BY obs_id OFFSET 1",
    "(SELECT obs_id FROM obscore) INTERSECT SELECT obs_id FROM raw EXCEPT SELECT 'o3' FROM raw",
    "WITH a AS (SELECT TOP 9 * FROM obscore ORDER BY s_ra), b AS (SELECT obs_id FROM a) SELECT * FROM b",
    "SELECT obs_id FROM obscore WHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 10, 20, 5))",
    "SELECT obs_id FROM obscore WHERE CONTAINS(POINT(s_ra, s_dec), POLYGON(0, 0, 9, 0, 9, 9)) = 0",
    "SELECT obs_id FROM obscore WHERE INTERSECTS(s_region, CIRCLE(POINT(10, 20), 3)) = 1",
    "SELECT obs_id FROM obscore WHERE INTERSECTS(s_region, BOX(s_ra, s_dec, 2, 2)) <> 0",
    "SELECT obs_id FROM obscore WHERE CONTAINS(s_region, POLYGON(POINT(0, 0), POINT(9, 0), "
    "POINT(9, s_dec))) = 1",
    "SELECT o.obs_id FROM obscore o JOIN raw r ON DISTANCE(o.s_ra, o.s_dec, r.ra, r.dec) < 0.01",
    "SELECT DISTANCE(POINT(s_ra, s_dec), POINT(1, 2)) d FROM obscore WHERE 5 >= DISTANCE(s_ra, s_dec, 1, 2)",
    "SELECT AREA(s_region), CENTROID(s_region), AREA(CIRCLE(1, 2, 3)), COORDSYS(POINT('FK5', "
    "1, 2)) FROM obscore",
    "SELECT COORD1(p), COORD2(p) FROM (SELECT POINT('GALACTIC', ra, dec) AS p FROM raw) AS q",
    "SELECT REGION('Polygon ICRS 1 2 3 4 5 1'), BOX(NULL, 1, 2, 3, 4), REGION('box FK5 "
    "TOPOCENTER 1 2 3 4') FROM raw",
    "SELECT obs_id FROM raw WHERE CONTAINS(centre, CIRCLE(10, 20, 1)) = 1",
    "SELECT ivo_healpix_index(6, s_ra, s_dec) AS hpx, COUNT(*) FROM obscore GROUP BY hpx",
    "SELECT ivo_string_agg(obs_id, ',') FROM raw WHERE 1 = ivo_nocasematch(obs_id, 'O1%')",
]

# Not ADQL 2.1: the query, and line and column at which the message points.
INVALID = [
    ("SELECT FROM t", 1, 8),
    ("SELECT a t", 1, 11),
    ("SELECT a FROM", 1, 14),
    ("SELECT _a FROM t", 1, 8),
    ("SELECT distance FROM t", 1, 8),
    ("SELECT a FROM t ORDER BY\n  size", 2, 3),
    ("SELECT TOP -1 a FROM t", 1, 12),
    ("SELECT TOP 1.5 a FROM t", 1, 12),
    ("SELECT a FROM t OFFSET -1", 1, 24),
    ("SELECT a FROM t LIMIT 1", 1, 23),
    ("SELECT a FROM t; DROP TABLE t", 1, 16),
    ("SELECT a FROM t WHERE CONTAINS(a, b)", 1, 37),
    ("SELECT a FROM t WHERE a", 1, 24),
    ("SELECT a FROM t\nWHERE a = 'open", 2, 11),
    ('SELECT a FROM t WHERE "a = 1', 1, 23),
    ("SELECT a FROM t JOIN u", 1, 23),
    ("SELECT a FROM t CROSS JOIN u", 1, 17),
    ("SELECT a FROM (SELECT a FROM t)", 1, 32),
    ("SELECT a FROM (WITH x AS (SELECT a FROM t) SELECT a FROM x) y", 1, 16),
    ("SELECT a FROM t WHERE a = (SELECT b FROM u)", 1, 28),
    ("SELECT a FROM t GROUP BY a HAVING (a > 2", 1, 41),
    ("SELECT CIRCLE('ICRS', 1, 2) FROM t", 1, 23),
    ("SELECT POINT(1) FROM t", 1, 8),
    ("SELECT POLYGON(1, 2, 3, 4, 5) FROM t", 1, 16),
    ("SELECT DISTANCE(1, 2, 3) FROM t", 1, 8),
    ("SELECT REGION(a) FROM t", 1, 15),
    ("SELECT IN_UNIT(a, b) FROM t", 1, 19),
    ("SELECT ROUND(a, 1.5) FROM t", 1, 17),
    ("SELECT ABS('a') FROM t", 1, 12),
    ("SELECT COALESCE() FROM t", 1, 8),
    ("SELECT SUM(*) FROM t", 1, 8),
    ("SELECT CAST(1 AS FLOAT) FROM t", 1, 18),
    ("SELECT CAST(1 AS BOX) FROM t", 1, 18),
    ("SELECT CAST(1 AS INTEGER(3)) FROM t", 1, 26),
    ("SELECT CASE WHEN 1 = 1 THEN 2 END FROM t", 1, 8),
    ("SELECT a % 2 FROM t", 1, 10),
    ("SELECT a.b.c.d.e FROM t", 1, 16),
    ('SELECT "" FROM t', 1, 8),
    ("SELECT 5x.y FROM t", 1, 10),
    ("SELECT my_function(a) FROM t", 1, 8),
    ("", 1, 1),
]
