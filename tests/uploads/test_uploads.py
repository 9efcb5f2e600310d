"""Queries with uploads: what comes back, what they can join, and what clients and validators make of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg2
import pytest
import pyvo
import requests
from astropy.io.votable import from_table, parse
from astropy.io.votable.tree import VOTableFile
from astropy.table import MaskedColumn, Table
from psycopg2.extensions import cursor

from ost_vo.access.context import ANONYMOUS
from ost_vo.services import uploads
from ost_vo.store import tap_schema
from ost_vo.vo import adql
from ost_vo.vo.parameters import Parameters
from tests.conftest import Service, execute

# Every datatype, scalar and array, with nulls, and names that need quotes.
DOCUMENT = """<?xml version="1.0"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>
<FIELD name="flag" datatype="boolean"/>
<FIELD name="xmin" datatype="unsignedByte" ucd="meta.number"><VALUES null="255"/></FIELD>
<FIELD name="short" datatype="short"><VALUES null="-1"/></FIELD>
<FIELD name="int" datatype="int" unit="s" utype="a:b"><DESCRIPTION>A &lt; B</DESCRIPTION></FIELD>
<FIELD name="long" datatype="long"/>
<FIELD name="my float" datatype="float" unit="mag"/>
<FIELD name="SELECT" datatype="double"/>
<FIELD name="text" datatype="char" arraysize="*"/>
<FIELD name="fixed" datatype="char" arraysize="5"/>
<FIELD name="wide" datatype="unicodeChar" arraysize="10*"/>
<FIELD name="time" datatype="char" arraysize="*" xtype="timestamp"/>
<FIELD name="bytes" datatype="unsignedByte" arraysize="2"/>
<FIELD name="ints" datatype="int" arraysize="*"/>
<FIELD name="point" datatype="double" arraysize="2" xtype="point" unit="deg"/>
<FIELD name="flags" datatype="boolean" arraysize="3"/>
<DATA><TABLEDATA>
<TR><TD>T</TD><TD>200</TD><TD>-32000</TD><TD>0x1F</TD><TD>9223372036854775807</TD><TD>1.5</TD><TD>-Inf</TD>
<TD>a &amp; \\ b</TD><TD>abc</TD><TD>\u00fc\u03b1</TD><TD>2026-11-21T22:13:00.500</TD><TD>0 255</TD>
<TD>1 -2 3</TD><TD>10.5 -20</TD><TD>T F T</TD></TR>
<TR><TD>?</TD><TD>255</TD><TD>-1</TD><TD/><TD></TD><TD>NaN</TD><TD/><TD/><TD/><TD/><TD/><TD/><TD/><TD/><TD/></TR>
</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>
"""


def asked(
    service: Service, query: str, response_format: str = "votable", **documents: object
) -> requests.Response:
    form = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": response_format}
    form["UPLOAD"] = ";".join(f"{name},param:part_{name}" for name in documents)
    files = {f"part_{name}": (name, document) for name, document in documents.items()}
    return requests.post(f"{service.url}/tap/sync", data=form, files=files, timeout=120)


def read(response: requests.Response) -> VOTableFile:
    assert response.status_code == 200, response.text
    return parse(io.BytesIO(response.content))


def written(table: Table, serialisation: str = "binary2") -> bytes:
    file = io.BytesIO()
    from_table(table).to_xml(file, tabledata_format=serialisation)
    return file.getvalue()


def written_sky(rows: int) -> bytes:
    """Return a sky as BINARY2; astropy would write it cell by cell, for a minute if there are a million."""
    cells = np.zeros(rows, [("nulls", "u1"), ("number", ">i8"), ("ra", ">f8"), ("dec", ">f8")])
    table = sky(rows)
    for name in table.colnames:
        cells[name] = table[name]
    begin, _, rest = written(table[:1]).partition(b'<STREAM encoding="base64">')
    end = rest[rest.index(b"</STREAM>") :]
    return b'%s<STREAM encoding="base64">%s%s' % (begin, base64.b64encode(cells.tobytes()), end)


def sky(rows: int) -> Table:
    random = np.random.default_rng(4)
    return Table(
        {
            "number": np.arange(rows),
            "ra": random.uniform(0, 360, rows),
            "dec": np.degrees(np.arcsin(random.uniform(-1, 1, rows))),
        }
    )


@pytest.fixture(scope="module")
def tap(service: Service) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(f"{service.url}/tap")


@pytest.mark.parametrize("response_format", ["votable/td", "votable/b2"])
def test_every_type_comes_back(service: Service, response_format: str) -> None:
    given = parse(io.BytesIO(DOCUMENT.encode())).get_first_table()
    response = asked(service, "SELECT * FROM TAP_UPLOAD.t1", response_format, t1=DOCUMENT.encode())
    table = read(response).get_first_table()
    for one, other in zip(given.fields, table.fields, strict=True):
        for attribute in ("name", "datatype", "arraysize", "unit", "ucd", "utype", "xtype", "description"):
            assert getattr(one, attribute) == getattr(other, attribute), one.name
    for name in given.array.dtype.names:
        assert np.array_equal(given.array[name][0], table.array[name][0]), name
    assert all(
        np.all(table.array.mask[name][1]) for name in ("xmin", "short", "int", "long", "my_float", "SELECT")
    )


@pytest.mark.parametrize("serialisation", ["tabledata", "binary", "binary2"])
def test_every_serialisation_is_read(service: Service, serialisation: str) -> None:
    columns = {
        "i": [1, 2, 3],
        "x": MaskedColumn([0.5, 1.0, 1e300], mask=[False, True, False]),
        "s": ["one", "two", "three"],
        "b": [True, False, True],
        "a": np.arange(6.0).reshape(3, 2),
    }
    document = written(Table(columns, masked=True), serialisation)
    query = "SELECT i, x, s, b, a FROM TAP_UPLOAD.t WHERE x IS NOT NULL ORDER BY i"
    found = read(asked(service, query, t=document)).get_first_table().to_table()
    assert list(found["i"]) == [1, 3]
    assert list(found["x"]) == [0.5, 1e300]
    assert list(found["s"]) == ["one", "three"]
    assert list(found["a"][1]) == [4.0, 5.0]


def test_several_tables_and_delimited_names(service: Service) -> None:
    one, two = written(Table({"k": [1, 2]})), written(Table({"k": [2, 3]}))
    query = 'SELECT a.k FROM TAP_UPLOAD.one AS a JOIN TAP_UPLOAD."My Table" AS b ON a.k = b.k'
    form = {"LANG": "ADQL", "QUERY": query}
    files = {
        "UPLOAD": (None, 'one,param:p1;"My Table",param:p2'),
        "p1": ("one.vot", one),
        "p2": ("two.vot", two),
    }
    response = requests.post(f"{service.url}/tap/sync", data=form, files=files, timeout=60)
    assert list(read(response).get_first_table().array["k"]) == [2]


def test_pyvo_joins_by_position(tap: pyvo.dal.TAPService) -> None:
    own = tap.search(
        "SELECT TOP 5 obs_publisher_did, s_ra AS ra, s_dec AS dec FROM ivoa.obscore WHERE s_ra > 0"
    )
    table = own.to_table()
    conditions = (
        "CONTAINS(POINT(u.ra, u.dec), CIRCLE(POINT(o.s_ra, o.s_dec), 0.01)) = 1",
        "CONTAINS(POINT(o.s_ra, o.s_dec), CIRCLE(POINT(u.ra, u.dec), 0.01)) = 1",
        "DISTANCE(POINT(u.ra, u.dec), POINT(o.s_ra, o.s_dec)) < 0.01",
    )
    found = []
    for condition in conditions:
        tables = f"TAP_UPLOAD.t AS u JOIN ivoa.obscore AS o ON {condition}"
        query = f"SELECT u.obs_publisher_did AS did, o.obs_publisher_did FROM {tables}"
        found.append({tuple(map(str, row.values())) for row in tap.search(query, uploads={"t": table})})
    assert found[0] == found[1] == found[2]
    assert {(did, did) for did in map(str, table["obs_publisher_did"])} <= found[0]


def test_an_asynchronous_job_has_its_uploads_and_leaves_none(
    tap: pyvo.dal.TAPService, service: Service
) -> None:
    kept = service.settings.state / "uploads"
    before = set(kept.glob("*.upload"))
    result = tap.run_async("SELECT COUNT(*) AS n FROM TAP_UPLOAD.t", uploads={"t": sky(1000)})
    assert result[0]["n"] == 1000
    assert set(kept.glob("*.upload")) <= before


def test_a_job_that_is_deleted_before_it_runs_leaves_no_upload(
    tap: pyvo.dal.TAPService, service: Service
) -> None:
    kept = service.settings.state / "uploads"
    before = set(kept.glob("*.upload"))
    job = tap.submit_job("SELECT COUNT(*) AS n FROM TAP_UPLOAD.t", uploads={"t": sky(10)})
    assert len(set(kept.glob("*.upload")) - before) == 1
    job.delete()
    assert set(kept.glob("*.upload")) <= before


@contextmanager
def loaded(service: Service, state: Path, rows: int, join: str) -> Iterator[tuple[cursor, str]]:
    """Give the cursor of a query that joins an upload with others, before it runs, and its SQL."""
    settings = service.settings.model_copy(update={"state": state})
    parameters = Parameters(
        [("UPLOAD", "t,param:p"), ("P", uploads.keep(settings, io.BytesIO(written_sky(rows))))]
    )
    connection = psycopg2.connect(service.settings.dsn("ost_web"))
    with uploads.opened(settings, parameters) as opened, connection.cursor() as made:
        assert opened.load is not None
        catalogue = tap_schema.load(connection).with_tables(opened.tables)
        sql = adql.translate(f"SELECT u.number, o.obs_id FROM TAP_UPLOAD.t AS u {join}", catalogue).sql
        opened.load(made, settings={"statement_timeout": "60s"})
        for name, value in ANONYMOUS.database_settings().items():
            made.execute("SELECT set_config(%s, %s, true)", (name, value))
        yield made, sql
    connection.close()


@pytest.mark.parametrize(
    ("rows", "join", "planned"),
    [
        (100, "JOIN ivoa.obscore AS o ON DISTANCE(POINT(u.ra, u.dec), POINT(o.s_ra, o.s_dec)) < 0.001",
         "products_pos"),
        (100, "JOIN ivoa.obscore AS o ON 1 = CONTAINS(POINT(u.ra, u.dec), CIRCLE(o.s_ra, o.s_dec, 0.1))",
         "products_pos"),
        (50_000, "JOIN ivoa.obscore AS o ON DISTANCE(POINT(u.ra, u.dec), POINT(o.s_ra, o.s_dec)) < 0.001",
         "Hash Cond"),
        (50_000, "RIGHT JOIN ivoa.obscore AS o ON 1 = CONTAINS(POINT(u.ra, u.dec), "
         "CIRCLE(o.s_ra, o.s_dec, o.s_fov))", "upload_1_position"),
    ],
)  # fmt: skip
def test_joins_by_position_use_an_index_or_a_hash(
    service: Service, tmp_path: Path, rows: int, join: str, planned: str
) -> None:
    # Autovacuum does it some time, and other statistics may give other plans.
    execute(service.settings.dsn("postgres"), "ANALYZE archive.products")
    with loaded(service, tmp_path, rows, join) as (cursor, sql):
        cursor.execute("SET LOCAL enable_seqscan TO off")  # the demo night has few rows
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        assert planned in plan
        with pytest.raises(psycopg2.Error, match=r"read-only|permission denied"):
            cursor.execute("DELETE FROM pg_temp.upload_1")


def test_several_processes_may_compare_positions(service: Service) -> None:
    query = (
        "SELECT obs_id FROM ivoa.obscore WHERE DISTANCE(POINT(s_ra, s_dec), POINT(10, 10)) < 1 "
        "AND CONTAINS(POINT(s_ra, s_dec), POLYGON(10, 10, 11, 10, 11, 11)) = 1"
    )
    connection = psycopg2.connect(service.settings.dsn("ost_web"))
    sql = adql.translate(query, tap_schema.load(connection)).sql
    with connection.cursor() as made:
        for name, value in ANONYMOUS.database_settings().items():
            made.execute("SELECT set_config(%s, %s, true)", (name, value))
        made.execute("SET LOCAL force_parallel_mode TO on")
        made.execute(f"EXPLAIN {sql}")
        assert "Gather" in "\n".join(line for (line,) in made.fetchall())
    connection.close()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (DOCUMENT.replace("<TD>1.5</TD>", "<TD>abc</TD>"), "Row 1, column my float of the table t1"),
        (DOCUMENT.replace("<TD>-32000</TD>", "<TD>40000</TD>"), "Row 1, column short of the table t1"),
        (
            DOCUMENT.replace("<TD>2026-11-21T22:13:00.500</TD>", "<TD>soon</TD>"),
            "Row 1, column time of the table t1",
        ),
        (
            DOCUMENT.replace("<TD>T F T</TD></TR>", "</TR>"),
            "Row 1 of the table t1 has 14 cells for 15 FIELDs",
        ),
        ("ra,dec\n1,2\n1,2,3\n", "Row 2 of the table t1 has 3 values for 2 columns"),
    ],
)
def test_errors_name_table_row_and_column(service: Service, document: str, message: str) -> None:
    response = asked(service, "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t1", t1=document.encode())
    assert response.status_code == 400
    assert message in response.text


@pytest.mark.parametrize(
    ("upload", "message"),
    [
        ("t1,param:nothing", "no part"),
        ("t1,file:///etc/passwd", "cannot be read from"),
        ("t1,http://127.0.0.1/table.vot", "not on the public internet"),
        ("t1,upload:0123", "cannot be read from"),
    ],
)
def test_uploads_that_cannot_be_found(service: Service, upload: str, message: str) -> None:
    form = {"LANG": "ADQL", "QUERY": "SELECT * FROM TAP_UPLOAD.t1", "UPLOAD": upload}
    response = requests.post(f"{service.url}/tap/sync", data=form, timeout=60)
    assert response.status_code == 400
    assert message in response.text


def test_uploads_are_gone_after_their_query(service: Service) -> None:
    query = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t"
    assert asked(service, query, t=written(sky(10))).status_code == 200
    for _ in range(20):
        form = {"LANG": "ADQL", "QUERY": query}
        assert requests.post(f"{service.url}/tap/sync", data=form, timeout=60).status_code == 400


def test_a_million_rows(service: Service) -> None:
    query = "SELECT COUNT(*) AS n, MAX(number) AS m FROM TAP_UPLOAD.t"
    table = read(asked(service, query, t=written_sky(1_000_000))).get_first_table()
    assert tuple(table.array[0]) == (1_000_000, 999_999)
