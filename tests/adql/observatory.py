"""A small archive to query: its catalogue, and the statements that make it in PostgreSQL."""

from __future__ import annotations

from ost_vo.vo.columns import Catalogue, Column, Table

_DOUBLE = "double precision"
_TIMESTAMP = "timestamp with time zone"

OBSCORE = Table(
    "ivoa",
    "ObsCore",
    (
        Column("obs_id", "char", "*", ucd="meta.id", description="Observation", sql_type="text"),
        Column("dataproduct_type", "char", "*", sql_type="text"),
        Column("calib_level", "int", sql_type="integer"),
        Column("target_name", "unicodeChar", "*", sql_type="text"),
        Column("s_ra", "double", unit="deg", ucd="pos.eq.ra", utype="obscore:Char.C1", sql_type=_DOUBLE),
        Column("s_dec", "double", unit="deg", ucd="pos.eq.dec", sql_type=_DOUBLE),
        Column("s_fov", "float", unit="deg", sql_type="real"),
        Column("s_region", "char", "*", "adql:REGION", sql_type="text"),
        Column("t_min", "double", unit="d", ucd="time.start", sql_type=_DOUBLE, indexed=True),
        Column("em_min", "double", unit="m", sql_type=_DOUBLE),
        Column("access_estsize", "long", unit="kbyte", sql_type="bigint"),
        Column("obs_release_date", "char", "*", "timestamp", sql_type=_TIMESTAMP),
        Column("is_valid", "boolean", sql_type="boolean"),
        Column("gain", "double", sql_type="numeric"),
        Column("size", "short", sql_type="smallint"),
        Column("user", "unicodeChar", "*", sql_type="character varying(20)"),
        Column("flux", "double", "*", sql_type="double precision[]"),
    ),
    sql_name="ivoa.obscore",
    point=("s_ra", "s_dec", "pos"),
    regions={"s_region": "region"},
)
RAW = Table(
    "ost",
    "raw",
    (
        Column("obs_id", "char", "*", sql_type="text"),
        Column("ra", "double", unit="deg", sql_type=_DOUBLE),
        Column("dec", "double", unit="deg", sql_type=_DOUBLE),
        Column("pm_ra", "double", unit="deg/yr", sql_type=_DOUBLE),
        Column("exposure", "int", unit="s", sql_type="integer"),
        Column("started", "char", "*", "timestamp", sql_type="timestamp without time zone"),
        Column("centre", "double", "2", "point", sql_type="double precision[]"),
        Column("Mixed", "int", sql_type="integer"),
    ),
    sql_name="ost.raw",
)
TABLES = Table(
    "TAP_SCHEMA",
    "tables",
    (
        Column("table_name", "char", "*", sql_type="text"),
        Column("description", "unicodeChar", "*", sql_type="text"),
    ),
    sql_name="tap_schema.tables",
)
COLUMNS = Table(
    "TAP_SCHEMA",
    "columns",
    (Column("table_name", "char", "*", sql_type="text"), Column("size", "int", sql_type="integer")),
    sql_name="tap_schema.columns",
)
OTHER_RAW = Table("lab", "frames", (Column("id", "int", sql_type="integer"),), sql_name="lab.frames")
CATALOGUE = Catalogue([OBSCORE, RAW, TABLES, COLUMNS, OTHER_RAW])

# Rows of ivoa.obscore; the positions cover the sky evenly (a Fibonacci lattice).
ROWS = 4000

_FILL = """
INSERT INTO ivoa.obscore
SELECT 'o' || i, (ARRAY['image', 'spectrum', 'cube'])[1 + i % 3], i % 4, 'T' || i % 50,
    CASE WHEN i % 100 <> 0 THEN (i * 137.50776405) % 360 END,
    degrees(asin(2 * (i - 0.5) / $rows - 1)), 0.5, 'Polygon ICRS', 58000 + i, 4e-7, i * 10,
    timestamptz '2020-01-01 00:00:00+00' + i * interval '90 minutes', i % 2 = 0, i * 1.5, i % 100,
    'u' || i % 5, ARRAY[1.0, i]
FROM generate_series(1, $rows) AS i;
UPDATE ivoa.obscore SET region = (
    '{(' || s_ra || 'd,' || s_dec || 'd),(' || s_ra + 1 || 'd,' || s_dec || 'd),('
    || s_ra + 1 || 'd,' || s_dec + 1 || 'd)}')::spoly
WHERE abs(s_dec) < 80 AND calib_level < 3;
INSERT INTO ost.raw
SELECT 'o' || i, (i * 137.50776405) % 360, degrees(asin(2 * (i - 0.5) / $rows - 1)), 0.001, i,
    timestamp '2020-01-01 00:00:00.25' + i * interval '1 day', ARRAY[10, 20], i
FROM generate_series(1, 500) AS i;
INSERT INTO tap_schema.tables VALUES ('ivoa.obscore', 'x');
INSERT INTO tap_schema.columns VALUES ('ivoa.obscore', 3);
CREATE INDEX ON ivoa.obscore USING gist (pos);
CREATE INDEX ON ivoa.obscore USING gist (region);
ANALYZE;
"""


def statements() -> list[str]:
    """Return the statements that make and fill the tables in an empty database with pg_sphere."""
    made = []
    for table in CATALOGUE:
        columns = [f'"{column.name}" {column.sql_type}' for column in table.columns]
        if table.point is not None:
            longitude, latitude, stored = table.point
            point = f"spoint(radians({longitude}), radians({latitude}))"
            columns.append(f"{stored} spoint GENERATED ALWAYS AS ({point}) STORED")
        columns += [f"{stored} spoly" for stored in table.regions.values()]
        made.append(f"CREATE SCHEMA IF NOT EXISTS {table.sql_name.split('.')[0]}")
        made.append(f"CREATE TABLE {table.sql_name} ({', '.join(columns)})")
    return [*made, _FILL.replace("$rows", str(ROWS))]
