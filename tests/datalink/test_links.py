"""Links of data sets over HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator

import psycopg2
import pytest
import pyvo
import requests
from astropy.io.votable import parse
from astropy.io.votable.tree import VOTableFile

from tests.conftest import Service

MEDIA_TYPE = "application/x-votable+xml;content=datalink"


@pytest.fixture(scope="module")
def identifiers(service: Service) -> list[str]:
    """The identifiers of the demo night, in order."""
    return [row[0] for row in _select(service, "SELECT obs_publisher_did FROM archive.products ORDER BY 1")]


@pytest.fixture
def hidden(service: Service, identifiers: list[str]) -> Iterator[str]:
    """The identifier of a product that only its project sees for now."""
    yield from _changed(service, identifiers[0], "privileges = 2", "privileges = 5")


@pytest.fixture
def lost(service: Service, identifiers: list[str]) -> Iterator[str]:
    """The identifier of a product whose file is recorded as missing."""
    yield from _changed(service, identifiers[0], "missing_since = '2026-01-02'", "missing_since = NULL")


def _changed(service: Service, identifier: str, change: str, back: str) -> Iterator[str]:
    connection = psycopg2.connect(service.settings.dsn("ost_owner"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE archive.products SET {change} WHERE obs_publisher_did = %s", (identifier,))
        yield identifier
        cursor.execute(f"UPDATE archive.products SET {back} WHERE obs_publisher_did = %s", (identifier,))
    connection.close()


def _select(service: Service, query: str) -> list[tuple[str, ...]]:
    connection = psycopg2.connect(service.settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        rows = cursor.fetchall()
    connection.close()
    return rows


def ask(service: Service, *identifiers: str, **parameters: object) -> VOTableFile:
    response = requests.post(
        f"{service.url}/datalink/links", data={"ID": identifiers, **parameters}, timeout=60
    )
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == MEDIA_TYPE
    return parse(io.BytesIO(response.content), verify="exception")


def test_the_table_is_that_of_the_standard(service: Service, identifiers: list[str]) -> None:
    document = ask(service, identifiers[0])
    results = document.resources[0]
    assert results.type == "results"
    assert {info.name: info.value for info in results.infos}["standardID"] == (
        "ivo://ivoa.net/std/DataLink#links-1.1"
    )
    fields = {field.name: (field.datatype, field.ucd) for field in results.tables[0].fields}
    assert fields == {
        "ID": ("char", "meta.id;meta.main"),
        "access_url": ("char", "meta.ref.url"),
        "service_def": ("char", "meta.ref"),
        "error_message": ("char", "meta.code.error"),
        "description": ("unicodeChar", "meta.note"),
        "semantics": ("char", "meta.code"),
        "content_type": ("char", "meta.code.mime"),
        "content_length": ("long", "phys.size;meta.file"),
        "content_qualifier": ("char", None),
        "local_semantics": ("char", "meta.id.assoc"),
        "link_auth": ("char", "meta.code"),
        "link_authorized": ("boolean", "meta.code"),
    }
    assert str(results.tables[0].get_field_by_id("content_length").unit) == "byte"


def test_every_file_can_be_had_by_its_link(service: Service, identifiers: list[str]) -> None:
    rows = ask(service, *identifiers).get_first_table().array
    assert sorted(rows["ID"]) == identifiers
    assert set(rows["semantics"]) == {"#this"}
    for row in rows:
        answer = requests.head(str(row["access_url"]), timeout=60)
        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) == row["content_length"]
        assert answer.headers["Content-Type"] == row["content_type"]
        assert row["link_authorized"]


def test_no_identifier_gives_no_row_and_a_description(service: Service) -> None:
    document = ask(service)
    assert len(document.get_first_table().array) == 0
    described = document.resources[1]
    assert described.name == "this"
    assert {param.name for param in described.groups[0].entries} == {"ID", "RESPONSEFORMAT"}


@pytest.mark.parametrize("identifier", ["ivo://nowhere/x?1", "nonsense", "a'b\"<&", "x\0y"])
def test_an_unknown_identifier_gets_a_row_that_says_so(service: Service, identifier: str) -> None:
    (row,) = ask(service, identifier).get_first_table().array
    assert row["error_message"].startswith("NotFoundFault: ")
    assert row["semantics"] == "#this"
    assert not row["access_url"]


def test_what_one_may_not_see_does_not_exist(service: Service, hidden: str) -> None:
    (row,) = ask(service, hidden).get_first_table().array
    (unknown,) = ask(service, "ivo://nowhere/x?1").get_first_table().array
    assert row["error_message"].replace(hidden, "ivo://nowhere/x?1") == unknown["error_message"]


def test_a_missing_file_has_no_link(service: Service, lost: str) -> None:
    (row,) = ask(service, lost).get_first_table().array
    assert row["error_message"].startswith("NotFoundFault: ")
    assert "2026-01-02" in row["error_message"]


def test_known_and_unknown_come_in_the_order_asked_for(service: Service, identifiers: list[str]) -> None:
    wanted = [identifiers[3], "ivo://nowhere/x?1", identifiers[1], identifiers[3]]
    assert list(ask(service, *wanted).get_first_table().array["ID"]) == wanted[:3]


def test_the_registry_part_has_no_case(service: Service, identifiers: list[str]) -> None:
    (row,) = ask(service, identifiers[0].replace("ivo://ost", "ivo://OST")).get_first_table().array
    assert row["ID"].startswith("ivo://OST")
    assert row["access_url"]


@pytest.mark.parametrize(
    ("maxrec", "rows", "overflow"), [(0, 0, True), (2, 2, True), (3, 3, False), (9, 3, False)]
)
def test_results_end_between_identifiers(
    service: Service, identifiers: list[str], maxrec: int, rows: int, overflow: bool
) -> None:
    results = ask(service, *identifiers[:3], MAXREC=maxrec).resources[0]
    assert len(results.tables[0].array) == rows
    assert ("OVERFLOW" in [info.value for info in (*results.infos, *results.tables[0].infos)]) == overflow


@pytest.mark.parametrize(
    ("wanted", "media_type"),
    [
        ("votable", MEDIA_TYPE),
        ("application/x-votable+xml", MEDIA_TYPE),
        ("application/x-votable+xml; content=datalink", MEDIA_TYPE),
        ("text/xml", "text/xml"),
    ],
)
def test_formats(service: Service, wanted: str, media_type: str) -> None:
    response = requests.get(f"{service.url}/datalink/links", params={"RESPONSEFORMAT": wanted}, timeout=60)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == media_type


@pytest.mark.parametrize("parameters", [{"RESPONSEFORMAT": "csv"}, {"MAXREC": "many"}])
def test_faults_are_documents(service: Service, parameters: dict[str, str]) -> None:
    response = requests.get(f"{service.url}/datalink/links", params=parameters, timeout=60)
    assert response.status_code == 400
    info = parse(io.BytesIO(response.content)).resources[0].infos[0]
    assert info.value == "ERROR"
    assert info.content.startswith("UsageFault: ")


def test_pyvo_follows_the_links_of_a_search(service: Service) -> None:
    results = pyvo.dal.SIA2Service(f"{service.url}/sia").search(maxrec=1)
    # Without the vocabulary, for which pyvo would ask the IVOA.
    (link,) = results[0].getdatalink().bysemantics("#this", include_narrower=False)
    assert requests.head(link["access_url"], timeout=60).status_code == 200
