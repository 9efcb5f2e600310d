"""Every format read back by a reader that others wrote."""

from __future__ import annotations

import io
import json
import math
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import lxml.html
import numpy as np
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table
from lxml import etree

from ost_vo.faults import TransientFault, UsageFault
from ost_vo.vo.binary import Binary
from ost_vo.vo.columns import Column
from ost_vo.vo.encoder import Encoder
from ost_vo.vo.fitstable import FitsTable
from ost_vo.vo.hypertext import HyperText
from ost_vo.vo.parquet import Parquet
from ost_vo.vo.plaintext import PlainText
from ost_vo.vo.rowjson import RowJson
from ost_vo.vo.votable import Info
from tests.formats.results import COLUMNS, INF, NAMES, QUERY, ROWS, TEXT
from tests.results.conftest import Source, parsed, statuses

NUMBERS = [Column("n", "int"), Column("text", "char")]
INFOS = (Info("QUERY", "SELECT <everything>\nFROM ünknown"),)
ALL: list[Callable[..., Encoder]] = [Binary, RowJson, PlainText, HyperText, FitsTable, Parquet]


def plain(value: object) -> object:
    """Return a value from numpy as Python has it, with None for masked values and for NaN."""
    if value is np.ma.masked or value is None:
        return None
    if isinstance(value, np.ndarray | list):
        return [plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value


def same(found: list, expected: list) -> bool:
    return len(found) == len(expected) and all(
        same(a, b)
        if isinstance(b, list) and isinstance(a, list)
        else (a == pytest.approx(b, rel=1e-6) if isinstance(b, float) else a == b)
        for a, b in zip(found, expected, strict=True)
    )


def numbers(rows: int) -> str:
    return f"SELECT n::integer, 'row ' || n FROM generate_series(1, {rows}) AS n"


def test_binary_holds_everything_but_the_difference_of_null_and_empty(
    source: Source, schema: etree.XMLSchema
) -> None:
    document = source.document(QUERY, COLUMNS, Binary(infos=INFOS))
    schema.assertValid(etree.fromstring(document))
    table = parsed(document)
    found = [[plain(value) for value in row] for row in table]
    expected = [list(row) for row in ROWS]
    expected[0][1] = TEXT.replace("🔭", "\ufffd")
    expected[1] = [2, "", "", "", None, None, None, None, None, None, [], [None, None]]
    assert all(map(same, found, expected)), found
    assert str(table["ra"].unit) == "deg"
    assert b"<BINARY>" in document
    assert b"BINARY2" not in document


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (Column("x", "char", "3"), "'abcd'", "abc"),
        (Column("x", "char", "2*"), "'äbc'", "?b"),
        (Column("x", "unicodeChar", "4"), "'äb'", "äb"),
        (Column("x", "short", "3"), "'{1,2}'::smallint[]", [1, 2, None]),
        (Column("x", "double", "2*"), "'[0:2]={1,2,3}'::float8[]", [1.0, 2.0]),
        (Column("x", "boolean", "2"), "'{t,f}'::boolean[]", [True, False]),
    ],
)
@pytest.mark.parametrize("encoder", [Binary, FitsTable])
def test_sizes_that_columns_declare(
    source: Source, encoder: Callable[..., Encoder], column: Column, value: str, expected: object
) -> None:
    document = source.document(f"SELECT {value}", [column], encoder())
    if encoder is Binary:
        found = plain(parsed(document)["x"][0])
    else:
        table = Table.read(io.BytesIO(document), hdu=1)
        found = plain(table["x"][0])
        expected = "?b" if expected == "äb" else expected
    assert found == expected


def test_json_holds_everything_but_numbers_that_are_not_finite(source: Source) -> None:
    document = json.loads(source.document(QUERY, COLUMNS, RowJson()))
    expected = [[None if value in (INF, -INF) else value for value in row] for row in ROWS]
    expected[2][10] = [None, None]
    assert all(map(same, document["data"], expected)), document["data"]
    assert [column["name"] for column in document["metadata"]] == NAMES
    assert document["metadata"][4] == {
        "name": "ra",
        "datatype": "double",
        "arraysize": None,
        "xtype": None,
        "unit": "deg",
        "ucd": "pos.eq.ra",
        "utype": "Char.SpatialAxis",
        "description": None,
    }
    assert document["status"] == {"value": "OK", "message": ""}


AWKWARD = [
    "",
    " a\tb\nc\r",
    "\x01\x08\x0b\x0c\x1f\x7f",
    '"q" \\n \\',
    "\\N",
    "\ufffe\uffff",
    "naïve 🔭",
    "a\u202eb",
]


def awkward(source: Source, encoder: Encoder) -> str:
    """Return the document of awkward texts, each in a row before one that is null."""
    query = source.statement("SELECT t, NULL::integer[] FROM unnest(%s) AS t", AWKWARD)
    return source.document(query, [Column("t", "unicodeChar"), Column("n", "int", "*")], encoder).decode()


def test_json_keeps_awkward_texts(source: Source) -> None:
    assert json.loads(awkward(source, RowJson()))["data"] == [[text, None] for text in AWKWARD]


def test_plain_text_shows_what_cannot_be_printed(source: Source) -> None:
    lines = awkward(source, PlainText()).splitlines()[2:-1]
    assert lines[1:3] == [r" a\tb\nc\r", r"\x01\x08\x0b\x0c\x1f\x7f"]
    assert lines[3:] == ['"q" \\n \\', "\\N", r"\ufffe\uffff", "naïve 🔭", r"a\u202eb"]


def test_html_replaces_what_a_document_may_not_hold(source: Source) -> None:
    page = lxml.html.document_fromstring(awkward(source, HyperText()))
    found = [cell.text_content() for cell in page.xpath("//td[1]")]
    bad = "\ufffd"
    assert found[:3] == ["", " a\tb\nc\r", f"{bad * 5}\x7f"]
    assert found[3:] == ['"q" \\n \\', "\\N", bad * 2, "naïve 🔭", "a\u202eb"]


def test_people_see_the_nulls_of_arrays(source: Source) -> None:
    columns = [Column("i", "int", "3"), Column("b", "boolean", "*"), Column("d", "double", "*")]
    query = "SELECT '{1,NULL}'::integer[], '{t,NULL}'::boolean[], '[0:1]={NULL,2}'::float8[]"
    page = lxml.html.document_fromstring(source.document(query, columns, HyperText()))
    assert [cell.text for cell in page.iter("td")] == ["1 null", "true ?", "NaN 2"]


def test_plain_text_is_aligned(source: Source) -> None:
    lines = source.document(QUERY, COLUMNS, PlainText()).decode().splitlines()
    names, units, rule, *rows, count = lines
    assert names.split() == NAMES
    assert units.split() == ["deg", "Jy", "byte"]
    assert len(rows) == 4
    assert count == "(4 rows)"
    ends = [i for i, mark in enumerate(f"{rule} ") if mark == " "]
    assert all(len(row) <= ends[-1] for row in rows)
    column = rule.index("-", rule.index(" "))
    assert rows[0][column:].startswith(TEXT.replace("\t", "\\t").replace("\n", "\\n"))
    assert rows[3][column:].startswith("plain")
    assert "+Inf" in rows[2]
    assert rows[1].split() == ["2"]


def test_plain_text_keeps_the_layout_of_the_first_rows(source: Source) -> None:
    query = "SELECT n::integer, repeat('x', n / 100) FROM generate_series(1, 1000) AS n"
    lines = source.document(query, NUMBERS, PlainText()).decode().splitlines()
    assert lines[0].split() == ["n", "text"]
    assert len(lines) == 1003
    assert lines[-2].split() == ["1000", "xxxxxxxxxx"]


def test_html_is_escaped_and_readable(source: Source) -> None:
    query = QUERY.replace("'plain'", "'https://example.org/?a=1&b=\"2'").replace(
        "'null'", "'https://a.b/?c&d'"
    )
    page = lxml.html.document_fromstring(source.document(query, COLUMNS, HyperText(infos=INFOS)))
    rows = [[cell.text_content() for cell in row.iter("td")] for row in page.iter("tr")][1:]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0][1] == TEXT
    assert rows[1][1:] == [""] * (len(COLUMNS) - 1)
    assert rows[2][4:7] == ["+Inf", "-Inf", "false"]
    assert rows[0][10] == "1.5 -2"
    assert [heading.text for heading in page.iter("th")] == NAMES
    assert page.xpath("//th/@title") == ["Number of the row", "When it began, < & >"]
    assert [link.get("href") for link in page.iter("a")] == ["https://a.b/?c&d"]
    assert page.findtext(".//pre") == INFOS[0].value
    assert not page.xpath("//script | //link | //img | //b")


def test_fits_holds_everything_but_letters_outside_ascii(source: Source) -> None:
    document = source.document(QUERY, COLUMNS, FitsTable(infos=INFOS))
    assert len(document) % 2880 == 0
    with fits.open(io.BytesIO(document), checksum=True) as file:
        file.verify("exception")
        header = file[1].header
        assert (header["TTYPE5"], header["TUNIT5"], header["TUCD5"]) == ("ra", "deg", "pos.eq.ra")
        assert (header["TFORM1"], header["TFORM3"], header["TFORM11"], header["TFORM12"]) == (
            "J",
            "4A",
            "1QD",
            "2J",
        )
        assert (header["TCOMM1"], header["QSTATUS"]) == ("Number of the row", "OK")
        assert "".join(file[0].header["HISTORY"]) == "QUERY: SELECT <everything> FROM ?nknown"
    table = Table.read(io.BytesIO(document), hdu=1)
    found = [[plain(value) for value in row] for row in table]
    expected = [list(row) for row in ROWS]
    expected[0][1] = "".join(letter if letter.isascii() else "?" for letter in TEXT)
    # astropy reads the truth value that is null as False.
    expected[1] = [2, None, None, None, None, None, False, None, None, None, [], [None, None]]
    expected[2][1] = None
    for row, wanted in zip(found, expected, strict=True):
        assert same(row, wanted), (row, wanted)


def test_fits_has_room_for_999_columns_only() -> None:
    with pytest.raises(UsageFault, match="1000 columns"):
        FitsTable().begin([Column(f"c{n}", "int") for n in range(1000)])


class _SmallFits(FitsTable):
    largest = 1_000_000


def test_a_fits_table_that_the_disk_has_no_room_for_is_refused(source: Source) -> None:
    with pytest.raises(UsageFault, match="larger than 1 MB"):
        source.document(numbers(100_000), NUMBERS, _SmallFits())


def test_parquet_holds_everything(source: Source) -> None:
    document = source.document(QUERY, COLUMNS, Parquet(infos=INFOS))
    table = pyarrow.parquet.read_table(io.BytesIO(document))
    assert table.column_names == NAMES
    types = [str(field.type) for field in table.schema]
    assert types[:4] == ["int32", "string", "string", "string"]
    assert types[4:10] == ["double", "float", "bool", "uint8", "int16", "int64"]
    assert types[10:] == ["list<element: double>", "list<element: int32>"]
    found = [[plain(value) for value in row.values()] for row in table.to_pylist()]
    assert all(map(same, found, ROWS)), found


def test_parquet_tells_its_metadata_as_the_convention_has_it(source: Source, schema: etree.XMLSchema) -> None:
    document = source.document(QUERY, COLUMNS, Parquet(infos=INFOS))
    metadata = pyarrow.parquet.read_metadata(io.BytesIO(document)).metadata
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    content = metadata[b"IVOA.VOTable-Parquet.content"]
    schema.assertValid(etree.fromstring(content))
    assert b"<DATA" not in content
    fields = parse(io.BytesIO(content), verify="exception").get_first_table().fields
    assert [field.name for field in fields] == NAMES
    assert (str(fields[4].unit), fields[4].ucd) == ("deg", "pos.eq.ra")
    assert fields[3].xtype == "timestamp"


def test_astropy_reads_units_from_parquet(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "result.parquet"
    columns = [Column("ra", "double", unit="deg", ucd="pos.eq.ra"), Column("n", "int")]
    path.write_bytes(source.document("SELECT 12.5::float8, 3", columns, Parquet()))
    table = Table.read(path, format="parquet.votable")
    assert str(table["ra"].unit) == "deg"
    assert table["ra"].meta["ucd"] == "pos.eq.ra"
    assert (table["ra"][0], table["n"][0]) == (12.5, 3)


@pytest.mark.parametrize("encoder", ALL)
@pytest.mark.parametrize(
    ("limit", "rows", "overflowed"), [(None, 5, False), (5, 5, False), (3, 3, True), (0, 0, True)]
)
def test_limits(
    source: Source, encoder: Callable[..., Encoder], limit: int | None, rows: int, overflowed: bool
) -> None:
    made = encoder(limit)
    document = source.document(numbers(5), NUMBERS, made)
    assert (made.rows, made.overflowed) == (rows, overflowed)
    assert count(encoder, document) == rows
    assert tells_overflow(encoder, document) is overflowed


def count(encoder: Callable[..., Encoder], document: bytes) -> int:
    """Return how many rows a reader finds."""
    if encoder is Binary:
        return len(parse(io.BytesIO(document)).get_first_table().array)
    if encoder is RowJson:
        return len(json.loads(document)["data"])
    if encoder is PlainText:
        return document.count(b"row ")
    if encoder is HyperText:
        return len(list(lxml.html.document_fromstring(document).iter("tr"))) - 1
    if encoder is FitsTable:
        with fits.open(io.BytesIO(document)) as file:
            return len(file[1].data)
    return pyarrow.parquet.read_table(io.BytesIO(document)).num_rows


def tells_overflow(encoder: Callable[..., Encoder], document: bytes) -> bool:
    """Return whether the document says that there are more rows."""
    if encoder is Binary:
        return ("OVERFLOW", "") in statuses(document)
    if encoder is RowJson:
        return json.loads(document)["status"]["value"] == "OVERFLOW"
    if encoder is PlainText:
        return b"there are more" in document.splitlines()[-1]
    if encoder is HyperText:
        return lxml.html.document_fromstring(document).xpath("//p/@data-status") == ["OVERFLOW"]
    if encoder is FitsTable:
        return fits.getval(io.BytesIO(document), "QSTATUS", 1) == "OVERFLOW"
    metadata = pyarrow.parquet.read_metadata(io.BytesIO(document)).metadata
    return ("OVERFLOW", "") in statuses(metadata[b"IVOA.VOTable-Parquet.content"])


@pytest.mark.parametrize("encoder", ALL)
def test_chunks_may_be_cut_anywhere(source: Source, encoder: Callable[..., Encoder]) -> None:
    copied = source.copied(QUERY, encoder())
    whole, pieces = encoder(), encoder()
    at_once = whole.begin(COLUMNS) + whole.feed(copied) + whole.end()
    begin = pieces.begin(COLUMNS)
    fed = b"".join(pieces.feed(copied[i : i + 1]) for i in range(len(copied)))
    assert begin + fed + pieces.end() == at_once


@pytest.mark.parametrize("encoder", [Binary, RowJson, PlainText, HyperText])
def test_a_fault_after_the_first_rows_is_told(source: Source, encoder: Callable[..., Encoder]) -> None:
    made = encoder()
    made.begin(NUMBERS)
    made.feed(source.copied(numbers(3), made))
    assert b"out of time" in made.end(error=TransientFault("It is <b>out of time</b>."))[-300:]


@pytest.mark.parametrize("encoder", [FitsTable, Parquet])
def test_a_fault_is_raised_where_the_file_cannot_tell_it(
    source: Source, encoder: Callable[..., Encoder]
) -> None:
    made = encoder()
    made.begin(NUMBERS)
    made.feed(source.copied(numbers(3), made))
    with pytest.raises(TransientFault, match="out of time"):
        made.end(error=TransientFault("It is out of time."))


@pytest.mark.parametrize("encoder", [Binary, RowJson, PlainText, HyperText, Parquet])
def test_memory_does_not_grow_with_the_result(encoder: Callable[..., Encoder]) -> None:
    """What an encoder keeps stays small while 60 MB pass through it."""
    made = encoder()
    made.begin([Column("text", "char")])
    if made.copy_options == "FORMAT BINARY":
        made.feed(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        block = b"".join(struct.pack(">hi120s", 1, 120, b"%06d" % n * 20) for n in range(10_000))
    else:
        block = b"".join(b"%06d" % n * 20 + b"\n" for n in range(10_000))
    largest = 0
    for _ in range(50):
        largest = max(largest, len(made.feed(block)))
    assert made.rows == 500_000
    assert largest < 12 * 1024 * 1024
    assert len(made.end()) < 12 * 1024 * 1024


def test_stilts_reads_fits_and_binary(source: Source, tmp_path: Path) -> None:
    for encoder in (FitsTable(), Binary()):
        path = tmp_path / "result"
        path.write_bytes(source.document(QUERY, COLUMNS, encoder))
        command = ["/usr/bin/stilts", "tpipe", f"in={path}", "cmd=keepcols 'id level size flag'", "ofmt=csv"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert result.stdout.splitlines()[1:] == [
            "1,255,9007199254740993,true",
            "2,,,",
            "3,0,-5,false",
            "4,7,0,true",
        ]
