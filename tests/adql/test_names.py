"""Which table and column a name means, and what is said when it means none or several."""

from __future__ import annotations

import pytest

from ost_vo.faults import QueryFault
from ost_vo.vo.adql import translate
from ost_vo.vo.columns import Catalogue, Column, Table
from tests.adql.observatory import CATALOGUE


def _names(query: str) -> list[str]:
    return [column.name for column in translate(query, CATALOGUE).columns]


def _fault(query: str) -> QueryFault:
    with pytest.raises(QueryFault) as raised:
        translate(query, CATALOGUE)
    return raised.value


@pytest.mark.parametrize(
    "table",
    ["ivoa.obscore", "IVOA.OBSCORE", "ObsCore", '"ivoa"."ObsCore"', 'ivoa . "ObsCore"', "obscore AS o"],
)
def test_tables_are_found_regardless_of_case(table: str) -> None:
    translation = translate(" ".join(("SELECT S_RA FROM", table)), CATALOGUE)
    assert translation.tables == {("ivoa", "ObsCore")}
    assert [column.name for column in translation.columns] == ["s_ra"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('SELECT S_Ra, s_dec AS Decl, s_fov "F o v" FROM obscore', ["s_ra", "Decl", "F o v"]),
        ("SELECT COUNT(*), s_ra + 1, MAX(s_ra), 'x' AS y FROM obscore", None),
        ('SELECT q.* FROM (SELECT s_ra AS a, s_dec AS "B" FROM obscore) AS q', ["a", "B"]),
        ("SELECT * FROM tables NATURAL JOIN columns", ["table_name", "description", "size"]),
        ("SELECT * FROM columns JOIN tables USING (table_name)", ["table_name", "size", "description"]),
        ("SELECT a FROM (SELECT table_name AS a FROM tables UNION SELECT obs_id FROM raw) AS q", ["a"]),
        ("WITH w AS (SELECT obs_id AS o FROM raw) SELECT W.O FROM w", ["o"]),
        ('SELECT "size" FROM columns', ["size"]),
        ('SELECT mixed, "Mixed" FROM raw', ["Mixed", "Mixed"]),
    ],
)
def test_result_columns_are_called_as_written_or_as_catalogued(query: str, names: list[str] | None) -> None:
    if names is None:
        assert _fault(query).column == 18
    else:
        assert _names(query) == names


def test_a_common_table_hides_a_table_of_the_same_name() -> None:
    translation = translate("WITH raw AS (SELECT table_name FROM tables) SELECT * FROM raw", CATALOGUE)
    assert translation.tables == {("TAP_SCHEMA", "tables")}


def test_uploads_are_tables_under_another_name() -> None:
    upload = Table("TAP_UPLOAD", "mine", (Column("A b", "int"),), sql_name="pg_temp.upload_1")
    catalogue = CATALOGUE.with_tables([upload])
    translation = translate('SELECT t."A b" FROM tap_upload.mine AS t', catalogue)
    assert "pg_temp.upload_1" in translation.sql
    assert '"A b"' in translation.sql


def test_only_identifiers_of_the_catalogue_reach_the_sql() -> None:
    sql = translate(
        'SELECT q."x""; DROP" FROM (SELECT s_ra AS "x""; DROP" FROM obscore AS "o""; DROP") AS "q"', CATALOGUE
    ).sql
    assert sql.count("DROP") == 1
    assert sql.endswith(" AS t1")
    assert ' AS "x""; DROP" FROM (' in sql


@pytest.mark.parametrize(
    ("query", "line", "column", "said"),
    [
        ("SELECT s_raa FROM obscore", 1, 8, "No column s_raa in ivoa.ObsCore; did you mean s_ra?"),
        ("SELECT o.s_raa\nFROM obscore o", 1, 10, "No column s_raa in o; did you mean s_ra?"),
        ("SELECT x FROM\n obscor", 2, 2, "No table obscor; did you mean ObsCore?"),
        ("SELECT x FROM ivo.obscore", 1, 15, "did you mean ivoa.ObsCore?"),
        ("SELECT x FROM a.b.obscore", 1, 15, "no catalogues"),
        ('SELECT x FROM "obscore"', 1, 15, "No table obscore"),
        ('SELECT "S_RA" FROM obscore', 1, 8, "matched exactly"),
        ("SELECT obs_id FROM obscore, raw", 1, 8, "ambiguous: it is in ObsCore and raw"),
        ("SELECT q.a FROM (SELECT 1 AS a, 2 AS a FROM raw) AS q", 1, 8, "ambiguous: it is in q twice"),
        ("SELECT 1 FROM raw, raw", 1, 20, "occurs twice"),
        ("SELECT 1 FROM raw JOIN raw ON 1 = 1", 1, 24, "occurs twice"),
        ("SELECT r.obs_id FROM raw AS q", 1, 8, "No table r in FROM"),
        ("SELECT raw.obs_id FROM raw AS q", 1, 8, "known by that name only"),
        ("SELECT r.* FROM raw", 1, 8, "No table r in FROM"),
        ("SELECT 1 FROM raw JOIN tables USING (obs_id)", 1, 38, "on the right of the join"),
        ("SELECT 1 FROM raw a, (SELECT 1 AS b FROM tables WHERE a.ra = 1) AS q", 1, 55, "No table a in FROM"),
        ("WITH a AS (SELECT 1 AS x FROM raw), A AS (SELECT 1 AS x FROM raw) SELECT x FROM a", 1, 37, "twice"),
        ("SELECT s_ra AS x FROM obscore WHERE x > 1", 1, 37, "No column x"),
    ],
)
def test_says_which_name_is_wrong(query: str, line: int, column: int, said: str) -> None:
    fault = _fault(query)
    assert said in str(fault)
    assert (fault.line, fault.column) == (line, column)


def test_a_name_in_two_schemas_needs_its_schema() -> None:
    column = (Column("a", "int"),)
    catalogue = Catalogue([Table("one", "t", column), Table("two", "t", column)])
    with pytest.raises(QueryFault, match="ambiguous: it is in one and two"):
        translate("SELECT a FROM t", catalogue)
    assert translate("SELECT a FROM two.t", catalogue).tables == {("two", "t")}
