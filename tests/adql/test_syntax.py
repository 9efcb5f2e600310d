"""What is ADQL 2.1 and what is not, and where the messages point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from ost_vo.faults import QueryFault
from ost_vo.vo.adql import check, parse
from tests.adql.queries import INVALID, VALID

# The validation queries of the IVOA, beside the checkout; absent elsewhere.
_CORPUS = Path(__file__).parents[3] / "shared" / "data" / "adql"

_HEAD = "SELECT a FROM t"


def _labelled() -> Iterator[tuple[str, str, bool, list[str]]]:
    """Yield (name, query, validity, declared functions) of the IVOA's validation queries."""
    for file in sorted(_CORPUS.glob("*.xml")):
        document = etree.parse(file)
        shared = [str(form.text) for form in document.findall("functions/function/form")]
        for place, query in enumerate(document.iter("query")):
            forms = [*shared, *(str(form.text) for form in query.findall("functions/function/form"))]
            adql = query.find("adql")
            functions = [form.partition("(")[0].strip() for form in forms]
            yield f"{file.stem}-{place}", adql.text, adql.get("valid") == "true", functions


def _accepted(query: str, functions: list[str]) -> bool:
    try:
        check(query, functions)
    except QueryFault:
        return False
    return True


def test_agrees_with_the_validation_queries_of_the_ivoa() -> None:
    wrong = [name for name, query, valid, functions in _labelled() if _accepted(query, functions) != valid]
    assert not wrong


@pytest.mark.parametrize("query", VALID)
def test_accepts_valid_queries(query: str) -> None:
    check(query)


@pytest.mark.parametrize(("query", "line", "column"), INVALID)
def test_points_at_what_is_wrong(query: str, line: int, column: int) -> None:
    with pytest.raises(QueryFault) as raised:
        check(query)
    assert (raised.value.line, raised.value.column) == (line, column)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT distance FROM t", "'distance' is a reserved word"),
        ("SELECT distance FROM t", 'write it as "distance"'),
        ("SELECT a FROM t WHERE CONTAINS(a, b)", "CONTAINS(a, b) = 1"),
        ("SELECT a FROM t JOIN u", "ON or USING"),
        ("SELECT a FROM t LIMIT 1", "SELECT TOP"),
        ("SELECT a FROM t;", "without a semicolon"),
        ("SELECT a FROM t CROSS JOIN u", "comma"),
        ("SELECT a FROM t WHERE a = 'x", "closing single quote"),
        ("SELECT CIRCLE(1, 2) FROM t", "CIRCLE(point, radius)"),
        ("SELECT a % 2 FROM t", "MOD"),
        ("SELECT ivo_healpix_indx(1, 2, 3) FROM t", "did you mean ivo_healpix_index?"),
        ("SELECT a FROM t WHERE a = (SELECT b FROM t)", "FROM, IN or EXISTS"),
    ],
)
def test_says_what_to_do(query: str, said: str) -> None:
    with pytest.raises(QueryFault) as raised:
        check(query)
    assert said in str(raised.value)


def test_every_reserved_word_is_a_name_between_quotes() -> None:
    check('SELECT "distance", "size", "FROM" FROM "select"."table" AS "join" WHERE "and" = 1')


def test_declared_functions_count_as_known() -> None:
    check("SELECT ESO_INTERSECTION(a, b) FROM t", ["eso_intersection"])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t WHERE a = '" + "x" * 200_000 + "'",
        "SELECT " + "(" * 51 + "1" + ")" * 51 + " FROM t",
        f"{_HEAD} WHERE a IN ({','.join(['1'] * 20_001)})",
        f"{_HEAD} WHERE a = {'+'.join(['1'] * 1001)}",
        f"{_HEAD} WHERE a = {'||'.join(['b'] * 1001)}",
        " UNION ".join(["SELECT a FROM t"] * 101),
        "SELECT a FROM t" + " JOIN t ON 1=1" * 101,
        "SELECT TOP 9223372036854775808 a FROM t",
        "SELECT 'a\0b' FROM t",
        'SELECT a AS "\ud800" FROM t',
    ],
    ids=[
        "length",
        "nesting",
        "list",
        "sum",
        "concatenation",
        "union",
        "join",
        "rows",
        "null character",
        "surrogate",
    ],
)
def test_refuses_what_would_cost_too_much_or_cannot_be_stored(query: str) -> None:
    with pytest.raises(QueryFault):
        parse(query)


def test_long_conditions_do_not_exhaust_the_stack() -> None:
    check(f"{_HEAD} WHERE {' OR '.join(['a = 1 AND b = 2'] * 3000)}")
