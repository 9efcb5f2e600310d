"""From PostgreSQL's types to what a client reads, in every format."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from psycopg2 import extensions

from ost_vo.faults import FatalFault, TransientFault
from ost_vo.vo.binary2 import Binary2
from ost_vo.vo.columns import Column
from ost_vo.vo.delimited import Csv, Tsv
from ost_vo.vo.encoder import Encoder
from ost_vo.vo.tabledata import TableData
from tests.results.conftest import Source, parsed, statuses

Make = Callable[..., Encoder]
Form = tuple[Make, Callable[[bytes], list[str]], Callable[[str], str]]

VOTABLES: list[Make] = [Binary2, TableData]
DELIMITED: list[Make] = [Csv, Tsv]
ALL = VOTABLES + DELIMITED

# Datatype, arraysize, type in SQL, values as PostgreSQL reads them, and what a client reads; None is a null.
VALUES = [
    ("boolean", None, "boolean", ["true", "false", None], [True, False, None]),
    ("unsignedByte", None, "smallint", ["0", "255", None], [0, 255, None]),
    ("short", None, "smallint", ["-32768", "32767", None], [-(2**15), 2**15 - 1, None]),
    ("int", None, "integer", ["-2147483648", "2147483647", None], [-(2**31), 2**31 - 1, None]),
    ("long", None, "bigint", [str(-(2**63)), str(2**63 - 1), None], [-(2**63), 2**63 - 1, None]),
    (
        "float",
        None,
        "real",
        ["1.5", "0.1", "3.4028235e+38", "NaN", "Infinity", "-Infinity", None],
        [1.5, np.float32("0.1"), np.float32("3.4028235e+38"), math.nan, math.inf, -math.inf, None],
    ),
    (
        "double",
        None,
        "double precision",
        ["1.7976931348623157e+308", "5e-324", "-0.1", "NaN", "Infinity", "-Infinity", None],
        [1.7976931348623157e308, 5e-324, -0.1, math.nan, math.inf, -math.inf, None],
    ),
    (
        "double",
        "*",
        "double precision[]",
        ["{1.5,NULL,Infinity,-Infinity,NaN}", "{}", "[0:1]={3,4}"],
        [[1.5, math.nan, math.inf, -math.inf, math.nan], [], [3, 4]],
    ),
    ("double", "2", "double precision[]", ["{1.5}", "{1,2,3}"], [[1.5, math.nan], [1, 2]]),
    ("float", "3*", "real[]", ["{1,2}", "{1,2,3,4}"], [[1, 2], [1, 2, 3]]),
    ("int", "*", "integer[]", ["{1,NULL,-2147483648}", "{7}"], [[1, 0, -(2**31)], [7]]),
    ("int", "3", "integer[]", ["{1}", "{1,2,3}"], [[1, 0, 0], [1, 2, 3]]),
    ("long", "*", "bigint[]", ["{9223372036854775807}", "{1,2}"], [[2**63 - 1], [1, 2]]),
    ("short", "2", "smallint[]", ["{1,-1}"], [[1, -1]]),
    ("unsignedByte", "*", "smallint[]", ["{0,255,1}"], [[0, 255, 1]]),
    ("boolean", "2", "boolean[]", ["{t,f}"], [[True, False]]),
]
EACH_TYPE = pytest.mark.parametrize(("datatype", "arraysize", "sql_type", "values", "expected"), VALUES)

TEXTS = [
    "plain",
    " a b ",
    "<a href=\"x\">&amp; 'q'</a> ]]>",
    'say "no", twice',
    "tab\there, newline\nthere, return\rtoo\r\n.",
    "back\\slash \\N \\t \\\\",
    "\\N",
    "\\.",
    "naïve Ωμέγα 星",
    "telescope 🔭 night",
    "\x01\x08\x0b\x0c\x1f\x7f",
    "\ufffe\uffff\ud7ff\ue000",
]


def query(source: Source, sql_type: str, values: Sequence[str | None]) -> str:
    """Return a query for the values, each after a number."""
    statement = "SELECT 1, x::%s FROM unnest(%s::text[]) WITH ORDINALITY AS t(x, n) ORDER BY n"
    return source.statement(statement, extensions.AsIs(sql_type), list(values))


def same(value: object, expected: object) -> bool:
    if expected is None:
        return value is np.ma.masked or (isinstance(value, float | np.floating) and math.isnan(value))
    if isinstance(expected, float) and math.isnan(expected):
        return value is np.ma.masked or math.isnan(float(value))  # type: ignore[arg-type]
    if isinstance(expected, list):
        return len(expected) == len(value) and all(map(same, value, expected))  # type: ignore[arg-type, call-overload]
    return bool(value == expected)


def spelt(value: object) -> str:
    """Return a value as the delimited formats write it."""
    if isinstance(value, list):
        return " ".join(map(spelt, value))
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


@pytest.mark.parametrize("encoder", VOTABLES)
@EACH_TYPE
def test_numbers_reach_the_client(
    source: Source,
    encoder: Make,
    datatype: str,
    arraysize: str | None,
    sql_type: str,
    values: list[str | None],
    expected: list,
) -> None:
    columns = [Column("id", "int"), Column("x", datatype, arraysize)]
    table = parsed(source.document(query(source, sql_type, values), columns, encoder()))
    assert list(table["id"]) == [1] * len(expected)
    for value, wanted in zip(table["x"], expected, strict=True):
        assert same(value, wanted), (value, wanted)


@EACH_TYPE
def test_numbers_are_spelt_in_csv(
    source: Source,
    datatype: str,
    arraysize: str | None,
    sql_type: str,
    values: list[str | None],
    expected: list,
) -> None:
    columns = [Column("id", "int"), Column("x", datatype, arraysize)]
    text = source.document(query(source, sql_type, values), columns, Csv()).decode()
    cells = [row["x"] for row in csv.DictReader(io.StringIO(text))]
    assert cells == [spelt(value) for value in expected]


@pytest.mark.parametrize("encoder", VOTABLES)
def test_a_null_array_is_empty(source: Source, encoder: Make) -> None:
    columns = [Column("v", "double", "*"), Column("f", "int", "2"), Column("n", "int")]
    table = parsed(source.document("SELECT NULL::float8[], NULL::int[], 7", columns, encoder()))
    assert len(table["v"][0]) == 0
    assert np.ma.getmaskarray(table["f"])[0].all()
    assert table["n"][0] == 7


def test_a_byte_out_of_range_becomes_null(source: Source) -> None:
    columns = [Column("b", "unsignedByte")]
    table = parsed(
        source.document("SELECT x::smallint FROM (VALUES (256), (-1), (9)) AS t(x)", columns, Binary2())
    )
    assert table["b"].tolist() == [None, None, 9]


def read_votable(document: bytes) -> list[str]:
    return ["" if value is np.ma.masked else str(value) for value in parsed(document)["x"]]


def read_cells(document: bytes) -> list[str]:
    """As any XML reader sees them; astropy strips the ends of cells."""
    return [row[1].text or "" for row in etree.fromstring(document).iterfind(".//{*}TR")]


def read_delimited(delimiter: str) -> Callable[[bytes], list[str]]:
    def read(document: bytes) -> list[str]:
        rows = csv.reader(io.StringIO(document.decode(), newline=""), delimiter=delimiter)
        return [row[1] for row in rows][1:]

    return read


def for_xml(text: str) -> str:
    kept = (c if c in "\t\n\r" or " " <= c < "\ufffe" or c > "\uffff" else "\ufffd" for c in text)
    return "".join(kept)


def ascii_only(text: str) -> str:
    return text.encode("ascii", "replace").decode()


FREE_TEXT: dict[str, Form] = {
    "BINARY2": (Binary2, read_votable, lambda text: "".join(c if c <= "\uffff" else "\ufffd" for c in text)),
    "TABLEDATA": (TableData, read_cells, for_xml),
    "CSV": (Csv, read_delimited(","), str),
    "TSV": (Tsv, read_delimited("\t"), str),
}
PLAIN_TEXT: dict[str, Form] = {
    "BINARY2": (Binary2, read_votable, ascii_only),
    "TABLEDATA": (TableData, read_cells, lambda text: ascii_only(for_xml(text))),
    "CSV": (Csv, read_delimited(","), str),
}


@pytest.mark.parametrize("form", FREE_TEXT)
def test_free_text_reaches_the_client(source: Source, form: str) -> None:
    encoder, read, expected = FREE_TEXT[form]
    sql = query(source, "text", [*TEXTS, "", None])
    document = source.document(sql, [Column("id", "int"), Column("x", "unicodeChar")], encoder())
    assert read(document) == [expected(text) for text in [*TEXTS, "", ""]]


@pytest.mark.parametrize("form", PLAIN_TEXT)
def test_char_columns_hold_ascii_in_votables(source: Source, form: str) -> None:
    encoder, read, expected = PLAIN_TEXT[form]
    sql = query(source, "text", [*TEXTS, "", None])
    document = source.document(sql, [Column("id", "int"), Column("x", "char")], encoder())
    assert read(document) == [expected(text) for text in [*TEXTS, "", ""]]


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("form", FREE_TEXT)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT | st.none(), min_size=1, max_size=8))
def test_any_text_reaches_the_client(source: Source, form: str, texts: list[str | None]) -> None:
    encoder, read, expected = FREE_TEXT[form]
    sql = query(source, "text", texts)
    document = source.document(sql, [Column("id", "int"), Column("x", "unicodeChar")], encoder())
    assert read(document) == [expected(text or "") for text in texts]


@pytest.mark.parametrize("encoder", DELIMITED)
def test_delimited_nulls_differ_from_empty_strings(source: Source, encoder: Make) -> None:
    columns = [Column("a", "char"), Column("b", "unicodeChar")]
    assert source.document("SELECT NULL, ''", columns, encoder()).splitlines()[1] in (b',""', b'\t""')


def test_delimited_headers_are_quoted_where_needed() -> None:
    columns = [Column('a,"b"', "int"), Column("c\td", "int"), Column("é", "int")]
    assert Csv().begin(columns).decode() == '"a,""b""",c\td,é\n'
    assert Tsv().begin(columns).decode() == '"a,""b"""\t"c\td"\té\n'


@pytest.mark.parametrize("encoder", VOTABLES)
@pytest.mark.parametrize("datatype", ["char", "unicodeChar"])
@pytest.mark.parametrize(
    ("arraysize", "expected"),
    [("4", ["", "ab", "abcd", "abcd", "a\nb?"]), ("4*", ["", "ab", "abcd", "abcd", "a\nb?"])],
)
def test_strings_fit_their_arraysize(
    source: Source, encoder: Make, datatype: str, arraysize: str, expected: list[str]
) -> None:
    sql = query(source, "text", [None, "ab", "abcd", "abcdef", "a\nbéè"])
    columns = [Column("n", "int"), Column("x", datatype, arraysize)]
    table = parsed(source.document(sql, columns, encoder()))
    values = [str(value) if value is not np.ma.masked else "" for value in table["x"]]
    assert [value.replace("é", "?") for value in values] == expected
    assert list(table["n"]) == [1] * len(expected)


# Every kind of column, with nulls, for what concerns the stream rather than the values.
COLUMNS = [
    Column("i", "int"),
    Column("t", "unicodeChar"),
    Column("c", "char"),
    Column("d", "double"),
    Column("a", "double", "*"),
    Column("b", "boolean"),
    Column("f", "char", "5"),
    Column("u", "unsignedByte"),
    Column("s", "short"),
]
MIXED = """
    SELECT i, E'n\\u00e4 "\\n\\t,' || i, repeat('x<', i), 1.0::float8 / i,
           CASE WHEN i % 3 = 0 THEN NULL ELSE ARRAY[i, NULL, 0.5]::float8[] END,
           i % 2 = 0, CASE WHEN i % 4 > 0 THEN 'f' || i END, (i % 256)::smallint, NULL::smallint
    FROM generate_series(1, {rows}) AS i
"""


def encoded(encoder: Encoder, pieces: Iterator[bytes]) -> bytes:
    parts = [encoder.begin(COLUMNS)]
    parts.extend(encoder.feed(piece) for piece in pieces)
    parts.append(encoder.end())
    return b"".join(parts)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("encoder", ALL)
@pytest.mark.parametrize("limit", [None, 12, 13, 14])
def test_where_the_stream_is_cut_does_not_matter(source: Source, encoder: Make, limit: int | None) -> None:
    data = source.copied(MIXED.format(rows=13), encoder())
    whole = encoded(encoder(limit), iter([data]))
    for size in (*range(1, 40), 1000):
        one = encoder(limit)
        assert encoded(one, cut(data, size)) == whole
        assert one.rows == min(13, limit or 13)
        assert one.overflowed == (limit == 12)


@pytest.mark.parametrize("encoder", ALL)
@pytest.mark.parametrize(("limit", "rows"), [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (200, 200), (200, 201)])
def test_the_row_beyond_the_limit_is_not_sent(source: Source, encoder: Make, limit: int, rows: int) -> None:
    one = encoder(limit)
    document = source.document(MIXED.format(rows=rows), COLUMNS, one)
    assert one.rows == min(rows, limit)
    assert one.overflowed == (rows > limit or limit == 0)
    if encoder in VOTABLES:
        assert len(parsed(document)) == one.rows
        assert [value for value, _ in statuses(document)] == ["OK", *(["OVERFLOW"] if one.overflowed else [])]
    else:
        lines = list(csv.reader(io.StringIO(document.decode()), delimiter="\t" if encoder is Tsv else ","))
        assert len(lines) == one.rows + 1


def test_all_formats_hold_the_same_rows(source: Source, schema: etree.XMLSchema) -> None:
    documents = {encoder: source.document(MIXED.format(rows=60), COLUMNS, encoder()) for encoder in ALL}
    binary, text = parsed(documents[Binary2]), parsed(documents[TableData])
    for name in ("i", "c", "d", "b", "f", "u", "s"):
        assert binary[name].tolist() == text[name].tolist()
    assert [str(value).strip() for value in binary["t"]] == [str(value).strip() for value in text["t"]]
    assert list(map(str, binary["a"])) == list(map(str, text["a"]))
    rows = list(csv.DictReader(io.StringIO(documents[Csv].decode(), newline="")))
    assert [row["t"] for row in rows] == [str(value) for value in binary["t"]]
    assert [float(row["d"]) for row in rows] == binary["d"].tolist()
    for encoder in VOTABLES:
        schema.assertValid(etree.fromstring(documents[encoder]))


def test_values_larger_than_a_chunk(source: Source) -> None:
    sql = "SELECT 1, repeat('ab', 400000), NULL, NULL::float8[], repeat('&', 300000)"
    names = [
        ("i", "int", None),
        ("w", "unicodeChar", "*"),
        ("f", "char", "90000"),
        ("a", "double", "20000"),
        ("c", "char", "*"),
    ]
    columns = [Column(*name) for name in names]
    for encoder in VOTABLES:
        row = parsed(source.document(sql, columns, encoder()))[0]
        assert (len(row["w"]), len(row["a"]), len(row["c"])) == (800000, 20000, 300000)


@pytest.mark.parametrize("encoder", ALL)
def test_more_or_fewer_columns_than_declared_are_a_fault(source: Source, encoder: Make) -> None:
    for sql in ("SELECT 1", "SELECT 1, 2, 3"):
        with pytest.raises(FatalFault, match="A row of the result"):
            source.document(sql, [Column("a", "int"), Column("b", "int")], encoder())


@pytest.mark.parametrize(
    ("sql", "datatype", "arraysize"),
    [
        ("1::bigint", "int", None),
        ("'x'::text", "double", None),
        ("ARRAY[1]", "long", "*"),
        ("ARRAY[[1],[2]]", "int", "*"),
    ],
)
def test_another_type_than_declared_is_a_fault(
    source: Source, sql: str, datatype: str, arraysize: str | None
) -> None:
    columns = [Column("good", "int"), Column("odd", datatype, arraysize)]
    with pytest.raises(FatalFault, match="Column odd"):
        source.document(f"SELECT 1, {sql}", columns, Binary2())


def test_a_type_that_changes_midway_ends_a_well_formed_document(source: Source) -> None:
    columns = [Column("n", "char"), Column("a", "int", "*")]
    sql = (
        "SELECT repeat('x', (i % 7)::int), CASE WHEN i < 5000 THEN ARRAY[i]::int[] ELSE ARRAY[[1],[2]] END "
        "FROM generate_series(1, 9000) AS i"
    )
    one = Binary2()
    document = source.document(sql, columns, one)
    assert len(parsed(document)) == one.rows > 0
    assert statuses(document)[-1][0] == "ERROR"


def test_an_error_ends_a_votable_and_breaks_off_the_others() -> None:
    fault = TransientFault("Too late.", "Try again.")
    for encoder in VOTABLES:
        one = encoder()
        document = one.begin(COLUMNS) + one.end(error=fault)
        assert statuses(document) == [("OK", ""), ("ERROR", "TransientFault: Too late. Try again.")]
    for encoder in DELIMITED:
        with pytest.raises(TransientFault):
            encoder().end(error=fault)
