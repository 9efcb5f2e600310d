"""A result of four rows with every type, nulls, awkward texts and numbers."""

from __future__ import annotations

from ost_vo.vo.columns import Column

TEXT = 'naïve <b>"Ωμέγα"</b> & 星 🔭, t\tn\n\\N'
COLUMNS = [
    Column("id", "int", ucd="meta.id;meta.main", description="Number of the row"),
    Column("name", "unicodeChar", "*"),
    Column("code", "char", "*"),
    Column("start", "char", "*", xtype="timestamp", description="When it began, < & >"),
    Column("ra", "double", unit="deg", ucd="pos.eq.ra", utype="Char.SpatialAxis"),
    Column("flux", "float", unit="Jy"),
    Column("flag", "boolean"),
    Column("level", "unsignedByte"),
    Column("count", "short"),
    Column("size", "long", unit="byte"),
    Column("values", "double", "*"),
    Column("pair", "int", "2"),
]
# As the query of SQL below yields them, row by row.
QUERY = f"""
SELECT id, name, code, start, ra, flux, flag, level::smallint, count::smallint, size, "values", pair
FROM (VALUES
  (1, $t${TEXT}$t$, 'abc', '2024-05-01T20:15:30.500', 12.5::float8, 1.5::real, true, 255::smallint,
   32767::smallint, 9007199254740993, '{{1.5,-2}}'::float8[], '{{7,8}}'::integer[]),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, '', 't', '2024-05-01T20:15:31', 'Infinity', '-Infinity', false, 0, -1, -5,
   '{{NaN,Infinity}}', '{{-1,0}}'),
  (4, 'plain', 'null', '0001-01-01T00:00:00', 'NaN', 0.1::real, true, 7, 0, 0, '{{3}}', '{{1,2}}')
) AS t(id, name, code, start, ra, flux, flag, level, count, size, values, pair) ORDER BY id
"""
NAMES = [column.name for column in COLUMNS]
INF = float("inf")
# What a client reads, with None for null and for a number that is none; level, count, pair as they are.
ROWS = [
    [1, TEXT, "abc", "2024-05-01T20:15:30.500", 12.5, 1.5, True, 255, 32767, 2**53 + 1, [1.5, -2], [7, 8]],
    [2, None, None, None, None, None, None, None, None, None, None, None],
    [3, "", "t", "2024-05-01T20:15:31", INF, -INF, False, 0, -1, -5, [None, INF], [-1, 0]],
    [4, "plain", "null", "0001-01-01T00:00:00", None, 0.1, True, 7, 0, 0, [3], [1, 2]],
]
