"""What is known about result columns: types, units, descriptions, through expressions and subqueries."""

from __future__ import annotations

import pytest

from ost_vo.vo.adql import LANGUAGE_FEATURES, translate
from ost_vo.vo.columns import Column, Table
from tests.adql.observatory import CATALOGUE


def _column(value: str, tables: str = "obscore") -> Column:
    (column,) = translate(" ".join(("SELECT", value, "FROM", tables)), CATALOGUE).columns
    return column


@pytest.mark.parametrize(
    "query",
    [
        "SELECT s_ra AS x FROM obscore",
        "SELECT MAX(s_ra) AS x FROM obscore",
        "SELECT x FROM (SELECT s_ra AS x FROM obscore) AS q",
        "WITH w AS (SELECT s_ra AS x FROM obscore) SELECT x FROM w",
        "SELECT s_ra AS x FROM obscore UNION SELECT ra FROM raw ORDER BY x",
        "SELECT x FROM (SELECT MIN(s_ra) AS x FROM obscore GROUP BY calib_level) AS q",
        "SELECT COALESCE(s_ra, 0) AS x FROM obscore",
    ],
)
def test_columns_keep_their_description(query: str) -> None:
    (column,) = translate(query, CATALOGUE).columns
    assert (column.name, column.datatype, column.unit) == ("x", "double", "deg")
    assert (column.ucd, column.utype) == ("pos.eq.ra", "obscore:Char.C1")


@pytest.mark.parametrize(
    ("value", "datatype", "arraysize", "xtype", "unit"),
    [
        ("s_ra", "double", None, None, "deg"),
        ("s_fov", "float", None, None, "deg"),
        ("gain", "double", None, None, None),
        ("obs_release_date", "char", "*", "timestamp", None),
        ("s_region", "char", "*", "adql:REGION", None),
        ("target_name", "unicodeChar", "*", None, None),
        ("flux", "double", "*", None, None),
        ("is_valid", "boolean", None, None, None),
        ("COUNT(*)", "long", None, None, None),
        ("SUM(calib_level)", "long", None, None, None),
        ("SUM(s_ra)", "double", None, None, "deg"),
        ("AVG(calib_level)", "double", None, None, None),
        ("MAX(obs_release_date)", "char", "*", "timestamp", None),
        ("calib_level + 1", "int", None, None, None),
        ("calib_level / 2.0", "double", None, None, None),
        ("access_estsize * calib_level", "long", None, None, None),
        ("s_ra - s_dec", "double", None, None, "deg"),
        ("s_ra + 1", "double", None, None, "deg"),
        ("s_ra * s_dec", "double", None, None, "deg**2"),
        ("s_ra / t_min", "double", None, None, "deg/d"),
        ("s_ra / s_dec", "double", None, None, None),
        ("em_min * 1E9", "double", None, None, None),
        ("-s_ra", "double", None, None, "deg"),
        ("ABS(s_ra)", "double", None, None, "deg"),
        ("ROUND(t_min, 2)", "double", None, None, "d"),
        ("LOG10(em_min)", "double", None, None, None),
        ("IN_UNIT(s_ra, 'rad')", "double", None, None, "rad"),
        ("ivo_specconv(em_min, 'GHz')", "double", None, None, "GHz"),
        ("DISTANCE(s_ra, s_dec, 1, 2)", "double", None, None, "deg"),
        ("CONTAINS(POINT(1, 2), s_region)", "int", None, None, None),
        ("POINT(s_ra, s_dec)", "char", "*", "adql:POINT", None),
        ("CIRCLE(s_ra, s_dec, 1)", "char", "*", "adql:REGION", None),
        ("'a'", "char", "*", None, None),
        ("'é'", "unicodeChar", "*", None, None),
        ("obs_id || 'b'", "char", "*", None, None),
        ("target_name || 'b'", "unicodeChar", "*", None, None),
        ("LOWER(target_name)", "unicodeChar", "*", None, None),
        ("NULL", "char", "*", None, None),
        ("CAST(1 AS SMALLINT)", "short", None, None, None),
        ("CAST(s_ra AS VARCHAR)", "char", "*", None, None),
        ("CAST('2020-01-01' AS TIMESTAMP)", "char", "*", "timestamp", None),
        ("ivo_healpix_index(5, s_ra, s_dec)", "long", None, None, None),
        ("ivo_histogram(s_ra, 0, 360, 4)", "int", "*", None, None),
    ],
)
def test_expressions_have_sensible_metadata(
    value: str, datatype: str, arraysize: str | None, xtype: str | None, unit: str | None
) -> None:
    column = _column(value)
    assert (column.datatype, column.arraysize, column.xtype, column.unit) == (
        datatype,
        arraysize,
        xtype,
        unit,
    )


def test_set_operations_widen_types() -> None:
    (column,) = translate("SELECT calib_level FROM obscore UNION SELECT s_ra FROM obscore", CATALOGUE).columns
    assert (column.datatype, column.sql_type) == ("double", "double precision")


def test_text_joined_by_wider_text_is_declared_wider() -> None:
    catalogue = CATALOGUE.with_tables(
        [Table("a", "narrow", (Column("x", "char", "3", ucd="meta.id"), Column("y", "unicodeChar", "*")))]
    )
    for query in (
        "SELECT x FROM narrow UNION SELECT y FROM narrow",
        "SELECT COALESCE(x, y) AS x FROM narrow",
    ):
        (column,) = translate(query, catalogue).columns
        assert (column.datatype, column.arraysize, column.ucd) == ("unicodeChar", "*", "meta.id")


@pytest.mark.parametrize(
    ("query", "maxrec", "limit", "rows"),
    [
        ("SELECT ra FROM raw", None, None, None),
        ("SELECT ra FROM raw", 10, 10, 11),
        ("SELECT ra FROM raw", 0, 0, 0),
        ("SELECT TOP 5 ra FROM raw", None, None, 5),
        ("SELECT TOP 5 ra FROM raw", 10, None, 5),
        ("SELECT TOP 10 ra FROM raw", 10, None, 10),
        ("SELECT TOP 50 ra FROM raw", 10, 10, 11),
        ("SELECT TOP 0 ra FROM raw", 10, None, 0),
        ("SELECT TOP 5 ra FROM raw", 0, 0, 0),
        ("SELECT TOP 5 ra FROM raw UNION SELECT ra FROM raw", 10, 10, 11),
    ],
)
def test_limits_rows(query: str, maxrec: int | None, limit: int | None, rows: int | None) -> None:
    translation = translate(query, CATALOGUE, maxrec=maxrec)
    assert translation.limit == limit
    if rows is None:
        assert "LIMIT" not in translation.sql
    else:
        assert translation.sql.endswith(f" LIMIT {rows}")


def test_top_is_that_of_the_whole_query() -> None:
    assert translate("SELECT TOP 5 ra FROM raw", CATALOGUE).top == 5
    assert translate("SELECT TOP 5 ra FROM raw UNION SELECT TOP 3 ra FROM raw", CATALOGUE).top is None


def test_features_are_declared() -> None:
    forms = {form for features in LANGUAGE_FEATURES.values() for form, _ in features}
    assert {"POINT", "WITH", "OFFSET", "IN_UNIT", "ILIKE"} <= forms
    (signatures,) = [
        features for kind, features in LANGUAGE_FEATURES.items() if kind.endswith("#features-udf")
    ]
    assert all("(" in form and ") -> " in form and description for form, description in signatures)
