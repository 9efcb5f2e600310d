"""Reading uploaded VOTables, without a database."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from astropy.io.votable import from_table
from astropy.table import Table

from ost_vo.faults import UsageFault
from ost_vo.vo import upload_rows, uploads

FIELDS = '<FIELD name="a" datatype="int"/><FIELD name="b" datatype="char" arraysize="*"/>'


def document(rows: str, fields: str = FIELDS, root: str = 'VOTABLE version="1.4"') -> io.BytesIO:
    data = f"<DATA><TABLEDATA>{rows}</TABLEDATA></DATA>"
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root}><RESOURCE><TABLE>{fields}{data}</TABLE></RESOURCE>'
    return io.BytesIO(f"{text}</{root.split()[0]}>".encode())


def copied(file: io.BytesIO) -> bytes:
    head = uploads.read_head(file, "t")
    file.seek(0)
    return b"".join(upload_rows.batches(file, head, "t"))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["t1,param:x"], [("t1", "param:x")]),
        (["t1,param:x;t2,https://h/a;b,c"], [("t1", "param:x"), ("t2", "https://h/a;b,c")]),
        (["t1,param:x", "t2,param:y;"], [("t1", "param:x"), ("t2", "param:y")]),
        (['"my ""own"", table",param:x;t2,param:y'], [('my "own", table', "param:x"), ("t2", "param:y")]),
    ],
)
def test_upload_names_tables_and_uris(values: list[str], found: list[tuple[str, str]]) -> None:
    assert [(source.name, source.uri) for source in uploads.sources(values)] == found


@pytest.mark.parametrize("value", ["t1", "t1,x", "a.t1,param:x", "1t,param:x", "t1,param:x;T1,param:y"])
def test_a_wrong_upload_is_refused(value: str) -> None:
    with pytest.raises(UsageFault, match="UPLOAD"):
        uploads.sources([value])


@pytest.mark.parametrize(
    "rows",
    [
        "<TR><TD>1</TD><TD>a&amp;b</TD></TR><TR><TD/><TD>tab\t\\</TD></TR>",
        "\n<TR>\n <TD>1</TD> <TD>a&#38;b</TD>\n</TR> <TR><TD></TD><TD>tab&#x9;\\</TD></TR>\n",
        "<TR><TD>1</TD><TD><![CDATA[a&b]]></TD></TR><!-- no row --><TR><TD /><TD>tab\t\\</TD></TR>",
        '<TR ID="r1"><TD>1</TD><TD>a&amp;b</TD></TR><TR><TD/><TD>tab\t\\</TD></TR>',
    ],
)
def test_the_ways_to_write_a_cell(rows: str) -> None:
    assert copied(document(rows)) == b"1\ta&b\n\ttab\\t\\\\\n"


def test_a_prefix_and_another_encoding() -> None:
    text = document("<TR><TD>1</TD><TD>\u00fc</TD></TR>").getvalue().decode()
    prefixed = text.replace("</", "</v:").replace("<T", "<v:T").replace("<F", "<v:F").replace("<D", "<v:D")
    prefixed = (
        prefixed.replace("<RES", "<v:RES")
        .replace("<VOT", "<v:VOT")
        .replace("E version", 'E xmlns:v="http://x" version')
    )
    assert copied(io.BytesIO(prefixed.encode())) == "1\t\u00fc\n".encode()
    latin = text.replace("UTF-8", "ISO-8859-1").encode("latin-1")
    assert copied(io.BytesIO(latin)) == "1\t\u00fc\n".encode()


def test_plain_rows_go_on_where_a_parser_takes_over() -> None:
    plain = "".join(f"<TR><TD>{i}</TD><TD>x</TD></TR>" for i in range(20_000))
    rows = copied(document(f"{plain}<TR><TD>20000</TD><TD><![CDATA[y]]></TD></TR>")).splitlines()
    assert rows == [b"%d\tx" % i for i in range(20_000)] + [b"20000\ty"]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (document("<TR><TD>1</TD></TR>"), "Row 1 of the table t has 1 cells for 2 FIELDs"),
        (document("<TR><TD>1</TD><TD>x</TD></TR><TR>"), "not well-formed"),
        (document("", root="html"), "root element is html"),
        (document("", fields=""), "no TABLE with FIELDs"),
        (document("", fields='<FIELD name="x" datatype="quark"/>'), "quark"),
        (document("", fields='<FIELD name="x" datatype="int" arraysize="many"/>'), "many"),
        (io.BytesIO(b"ra,dec\n1,2\n"), "not well-formed"),
        (io.BytesIO(b'<!DOCTYPE VOTABLE [<!ENTITY a "b">]><VOTABLE/>'), "declares entities"),
    ],
)
def test_a_document_that_cannot_be_read(file: io.BytesIO, message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        copied(file)


@pytest.mark.parametrize("serialisation", ["binary", "binary2"])
def test_a_stream_that_breaks_off(serialisation: str) -> None:
    file = io.BytesIO()
    from_table(Table({"a": np.arange(100), "b": ["x"] * 100})).to_xml(file, tabledata_format=serialisation)
    head, _, rest = file.getvalue().partition(b"</STREAM>")
    with pytest.raises(UsageFault, match="ends within"):
        copied(io.BytesIO(head.rstrip()[:-5] + b"</STREAM>" + rest))


def test_names_become_distinct_and_are_never_empty() -> None:
    given = ("a", "a", "", "A", "x" * 80, "x" * 90)
    fields = "".join(f'<FIELD name="{name}" datatype="int"/>' for name in given)
    head = uploads.read_head(document("", fields), "t")
    names = [item.column.name for item in head.fields]
    assert names[:4] == ["a", "a_2", "column_3", "A"]
    assert len({name[:63] for name in names}) == 6


@pytest.mark.parametrize(
    ("columns", "position"),
    [
        ([("x", "pos.eq.dec;meta.main"), ("y", "pos.eq.ra;meta.main"), ("ra", "pos.eq.ra")], (1, 0)),
        ([("x", "pos.eq.ra"), ("y", "pos.eq.dec")], (0, 1)),
        ([("RA", ""), ("Dec", "")], (0, 1)),
        ([("x", ""), ("dec", "")], None),
    ],
)
def test_the_main_position(columns: list[tuple[str, str]], position: tuple[int, int] | None) -> None:
    fields = "".join(f'<FIELD name="{name}" ucd="{ucd}" datatype="double"/>' for name, ucd in columns)
    assert uploads.read_head(document("", fields), "t").position == position


def cells(rows: str, fields: str) -> list[str]:
    return copied(document(rows, fields)).decode().splitlines()


@pytest.mark.parametrize(
    ("datatype", "arraysize", "value", "text"),
    [
        ("int", "1", b"\0\0\1\0", "256"),
        ("double", "2", np.array([0.5, -1.0], ">f8").tobytes(), "{0.5,-1.0}"),
        ("short", "*", b"\0\0\0\2\0\1\0\2", "{1,2}"),
        ("short", "*", b"\0\1\0\2", "{1,2}"),
        ("char", "*", b"\0\0\0\2ab", "ab"),
        ("unicodeChar", "*", b"\x03\xb1", "\u03b1"),
        ("boolean", "3", b"TF?", "{T,F,NULL}"),
        ("bit", "10", b"\x80\x40", "{1,0,0,0,0,0,0,0,0,1}"),
        ("floatComplex", "1", np.array([1.5, 2.0], ">f4").tobytes(), "{1.5,2.0}"),
        ("unsignedByte", "2", b"\0\xff", "{0,255}"),
    ],
)
def test_cells_in_base64(datatype: str, arraysize: str, value: bytes, text: str) -> None:
    size = "" if arraysize == "1" else f' arraysize="{arraysize}"'
    field = f'<FIELD name="a" datatype="{datatype}"{size}/>'
    rows = f'<TR><TD encoding="base64">{base64.b64encode(value).decode()}</TD></TR>'
    assert cells(rows, field) == [text]


@pytest.mark.parametrize(
    ("datatype", "cell", "message"),
    [
        ("int", '<TD encoding="base64">AAE=</TD>', "Row 2, column a of the table t"),
        ("int", '<TD encoding="base64">!</TD>', "Row 2, column a of the table t"),
        ("int", '<TD encoding="rot13">1</TD>', "encoding 'rot13' is not known"),
        ("unsignedByte", "<TD>256</TD>", "Row 2, column a of the table t: 256 is out of 0 to 255"),
        ("unsignedByte", "<TD>-1</TD>", "Row 2, column a of the table t: -1 is out of 0 to 255"),
        ("unsignedByte", "<TD>0x1FF</TD>", "Row 2, column a of the table t: 511 is out of 0 to 255"),
    ],
)
def test_cells_that_are_refused(datatype: str, cell: str, message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        cells(f"<TR><TD/></TR><TR>{cell}</TR>", f'<FIELD name="a" datatype="{datatype}"/>')
