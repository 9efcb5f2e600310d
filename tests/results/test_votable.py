"""Documents: well-formed, valid by the schema and read by clients, whatever the metadata hold."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from astropy.io import votable as reader
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pyvo.dal.adhoc import DatalinkResults

from ost_vo.faults import FatalFault, UsageFault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.votable import Info, Link, Param, ServiceDescriptor
from tests.results.conftest import parsed, statuses

NAUGHTY = "a<b> & \"c\" 'd' \x00\x0b\ufffe \ud800 é 🔭"
SODA = ServiceDescriptor(
    id="soda",
    description="cut-outs",
    params=(
        Param("standardID", "ivo://ivoa.net/std/SODA#sync-1.0"),
        Param("accessURL", "https://archive.example/soda/sync?a=1&b=2"),
    ),
    inputs=(
        Param("ID", ref="obs_publisher_did"),
        Param("CIRCLE", "", "double", "3", unit="deg", xtype="circle", maximum="10 20 1"),
        Param("POL", options=("I", "Q")),
    ),
)


def valid(document: bytes, schema: etree.XMLSchema) -> etree._Element:
    root = etree.fromstring(document)
    schema.assertValid(root)
    return root


def test_a_document_with_everything_is_valid(schema: etree.XMLSchema) -> None:
    document = votable.document(
        [
            Column("obs_publisher_did", "char", ucd="meta.id", description=NAUGHTY),
            Column("x", "double", unit="deg"),
        ],
        [["ivo://a", 1.5]],
        status="OVERFLOW",
        message="more",
        infos=[Info("standardID", "ivo://ivoa.net/std/DataLink#links-1.1", NAUGHTY)],
        params=[Param("night", "2024-03-01", xtype="timestamp")],
        links=[Link("https://archive.example/?a&b", "doc", "text/html", NAUGHTY)],
        resources_before=[SODA],
        resources_after=[ServiceDescriptor(None, (Param("accessURL", "x"),), name="this")],
        table={"name": "result", "utype": NAUGHTY},
        description=NAUGHTY,
    )
    root = valid(document, schema)
    assert root.get("version") == "1.4"
    assert etree.QName(root).namespace == "http://www.ivoa.net/xml/VOTable/v1.3"
    assert statuses(document) == [("OK", ""), ("OVERFLOW", "more")]
    assert parsed(document)["x"][0] == 1.5


def test_the_overflow_follows_the_table_in_the_same_resource(schema: etree.XMLSchema) -> None:
    document = votable.document([Column("x", "int")], [[1]], status="OVERFLOW")
    children = valid(document, schema).iterfind("{*}RESOURCE/*")
    assert [etree.QName(child).localname for child in children] == ["INFO", "TABLE", "INFO"]


def test_clients_find_the_service_descriptor() -> None:
    columns = [Column("ID", "char"), Column("service_def", "char"), Column("semantics", "char")]
    document = votable.document(columns, [["ivo://a", "soda", "#cutout"]], resources_before=[SODA])
    links = DatalinkResults(reader.parse(io.BytesIO(document)), url="https://archive.example/links")
    params = {param.name: param.value for param in links.get_adhocservice_by_id("soda").params}
    assert params["accessURL"] == "https://archive.example/soda/sync?a=1&b=2"


def test_an_error_document_is_valid_and_tells(schema: etree.XMLSchema) -> None:
    document = votable.error_document(f"UsageFault: {NAUGHTY}", infos=[Info("a", "b")])
    valid(document, schema)
    ((status, message),) = statuses(document)
    assert status == "ERROR"
    assert message.startswith("UsageFault: a<b> & \"c\" 'd'")


@pytest.mark.parametrize(
    ("overflowed", "error", "expected"),
    [
        (False, None, ("OK", "")),
        (True, None, ("OVERFLOW", "")),
        (True, UsageFault("Bad.", "Do."), ("ERROR", "UsageFault: Bad. Do.")),
    ],
)
def test_outcomes(overflowed: bool, error: UsageFault | None, expected: tuple[str, str]) -> None:
    assert votable.outcome(overflowed, error) == expected


def test_values_in_python_are_spelt_as_in_votable() -> None:
    cases = [
        (Column("a", "double"), float("nan"), "NaN"),
        (Column("a", "double"), float("-inf"), "-Inf"),
        (Column("a", "float"), np.float32(0.1), "0.1"),
        (Column("a", "double"), 0.1, "0.1"),
        (Column("a", "long"), 2**62, str(2**62)),
        (Column("a", "boolean"), True, "true"),
        (Column("a", "boolean"), np.False_, "false"),
        (Column("a", "char"), "é<🔭\x01", "?<??"),
        (Column("a", "unicodeChar"), "é\r\x01🔭", "é\r\ufffd🔭"),
        (Column("a", "double", "*"), [1.5, None, float("inf")], "1.5 NaN +Inf"),
        (Column("a", "int", "2"), np.array([1, 2]), "1 2"),
        (Column("a", "int", "*"), (1, None), "1 0"),
        (Column("a", "char", xtype="timestamp"), datetime(2024, 3, 1, 2, 3, 4), "2024-03-01T02:03:04"),
        (
            Column("a", "char", xtype="timestamp"),
            datetime(2024, 3, 1, 2, 3, 4, 500_000, timezone(timedelta(hours=2))),
            "2024-03-01T00:03:04.500",
        ),
        (Column("a", "char"), datetime(2024, 3, 1, tzinfo=UTC), "2024-03-01T00:00:00"),
        (Column("a", "int"), None, None),
    ]
    for column, value, text in cases:
        (cell,) = etree.fromstring(votable.document([column], [[value]])).iterfind(".//{*}TD")
        assert cell.text == text, (column, value)


def test_strings_always_have_an_arraysize() -> None:
    columns = [
        Column("a", "char"),
        Column("b", "unicodeChar"),
        Column("c", "char", "8"),
        Column("d", "int", "1"),
    ]
    fields = etree.fromstring(votable.document(columns, [])).findall(".//{*}FIELD")
    assert [field.get("arraysize") for field in fields] == ["*", "*", "8", None]


@pytest.mark.parametrize(("datatype", "arraysize"), [("int", "many"), ("int", "x3"), ("double", "2x")])
def test_columns_that_cannot_be_written_are_named(datatype: str, arraysize: str | None) -> None:
    with pytest.raises(FatalFault, match="Column odd"):
        votable.shape(Column("odd", datatype, arraysize))


def test_ids_keep_legal_names_and_avoid_those_taken() -> None:
    columns = [Column(name, "int") for name in ("s_ra", "1st", "a b", "a_b", "S_RA", "s_ra", "", "é")]
    ids = votable.field_ids(columns, taken={"S_RA"})
    assert ids == ["s_ra", "_1st", "a_b", "a_b_2", "S_RA_2", "s_ra_2", "_", "__2"]


def test_ids_of_params_and_services_are_taken() -> None:
    document = votable.document([Column("soda", "int")], [], resources_before=[SODA])
    (field,) = etree.fromstring(document).iterfind(".//{*}FIELD")
    assert field.get("ID") == "soda_2"


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5), st.text(max_size=40))
def test_any_metadata_make_a_valid_document(schema: etree.XMLSchema, names: list[str], text: str) -> None:
    columns = [Column(name, "unicodeChar", unit=text, description=text) for name in names]
    document = votable.document(columns, [[text] * len(names)], infos=[Info(text, text, text)])
    root = etree.fromstring(document)
    ids = [field.get("ID", "") for field in root.iterfind(".//{*}FIELD")]
    assert len(set(ids)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) for name in ids)
    schema.assertValid(root)
