"""Links of data sets over HTTP."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator

import psycopg2
import pytest
import pyvo
import requests
from astropy import units
from astropy.io.votable import parse
from astropy.io.votable.tree import VOTableFile

from tests.conftest import Service, execute

MEDIA_TYPE = "application/x-votable+xml;content=datalink"


# Without the network, stilts knows a vocabulary that is older than these.
_NEWER = re.compile(r".* Unknown predicate '(?:detached-header|documentation)' from core DataLink voc").match


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
    rows = rows[rows["semantics"] == "#this"]
    assert sorted(rows["ID"]) == identifiers
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
    row, *others = ask(service, lost).get_first_table().array
    assert row["error_message"].startswith("NotFoundFault: ")
    assert "2026-01-02" in row["error_message"]
    assert {other["semantics"] for other in others} == {"#detached-header"}


def test_known_and_unknown_come_in_the_order_asked_for(service: Service, identifiers: list[str]) -> None:
    wanted = [identifiers[3], "ivo://nowhere/x?1", identifiers[1], identifiers[3]]
    assert list(dict.fromkeys(ask(service, *wanted).get_first_table().array["ID"])) == wanted[:3]


def test_the_registry_part_has_no_case(service: Service, identifiers: list[str]) -> None:
    row = ask(service, identifiers[0].replace("ivo://ost", "ivo://OST")).get_first_table().array[0]
    assert row["ID"].startswith("ivo://OST")
    assert row["access_url"]


def test_results_end_between_identifiers(service: Service, identifiers: list[str]) -> None:
    of_each = [len(ask(service, identifier).get_first_table().array) for identifier in identifiers[:3]]
    ends = [sum(of_each[:count]) for count in range(4)]
    for maxrec in range(ends[3] + 2):
        results = ask(service, *identifiers[:3], MAXREC=maxrec).resources[0]
        assert len(results.tables[0].array) == max(end for end in ends if end <= maxrec)
        said = [info.value for info in (*results.infos, *results.tables[0].infos)]
        assert ("OVERFLOW" in said) == (maxrec < ends[3])


@pytest.fixture
def related(service: Service, identifiers: list[str]) -> Iterator[tuple[str, str, str]]:
    """Three products of the demo: the second was made from the first, the third from the second."""
    connection = psycopg2.connect(service.settings.dsn("ost_owner"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for made, source in (identifiers[1::-1], identifiers[2:0:-1]):
            cursor.execute(
                "INSERT INTO archive.lineage SELECT p.product_id, q.product_id FROM archive.products p,"
                " archive.products q WHERE p.obs_publisher_did = %s AND q.obs_publisher_did = %s",
                (made, source),
            )
        yield identifiers[0], identifiers[1], identifiers[2]
        cursor.execute("DELETE FROM archive.lineage")
    connection.close()


def linked(service: Service, identifier: str) -> dict[str, list[str]]:
    """Return the paths that an identifier has links to, by semantics."""
    found: dict[str, list[str]] = {}
    for row in ask(service, identifier).get_first_table().array:
        _, _, path = str(row["access_url"]).partition("/files/")
        found.setdefault(str(row["semantics"]), []).append(path)
    return found


def paths(service: Service) -> dict[str, str]:
    return dict(_select(service, "SELECT obs_publisher_did, path FROM archive.products"))


def test_lineage_is_linked_one_step_each_way(service: Service, related: tuple[str, str, str]) -> None:
    first, second, third = related
    of = paths(service)
    links = linked(service, second)
    assert (links["#progenitor"], links["#derivation"]) == ([of[first]], [of[third]])
    assert "#progenitor" not in linked(service, first)


@pytest.fixture
def twins(service: Service, identifiers: list[str]) -> Iterator[list[str]]:
    """Four products: the second and third were made from the first, the fourth from the first two."""
    connection = psycopg2.connect(service.settings.dsn("ost_owner"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for made, source in ((1, 0), (2, 0), (3, 0), (3, 1)):
            cursor.execute(
                "INSERT INTO archive.lineage SELECT p.product_id, q.product_id FROM archive.products p,"
                " archive.products q WHERE p.obs_publisher_did = %s AND q.obs_publisher_did = %s",
                (identifiers[made], identifiers[source]),
            )
        yield identifiers[:4]
        cursor.execute("DELETE FROM archive.lineage")
    connection.close()


def test_what_was_made_from_the_same_is_linked(service: Service, twins: list[str]) -> None:
    of = paths(service)
    assert linked(service, twins[1])["#coderived"] == [of[twins[2]]]
    assert linked(service, twins[2])["#coderived"] == [of[twins[1]]]
    assert "#coderived" not in linked(service, twins[3])
    for _ in _changed(service, twins[2], "privileges = 2", "privileges = 5"):
        assert "#coderived" not in linked(service, twins[1])


def test_the_documentation_is_linked(service: Service, identifiers: list[str]) -> None:
    rows = ask(service, identifiers[0]).get_first_table().array
    (row,) = (row for row in rows if row["semantics"] == "#documentation")
    answer = requests.get(str(row["access_url"]), timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_lineage_that_one_may_not_see_is_not_linked(service: Service, related: tuple[str, str, str]) -> None:
    first, second, _ = related
    for _ in _changed(service, first, "privileges = 2", "privileges = 5"):
        assert "#progenitor" not in linked(service, second)


def test_calibration_frames_fit(service: Service) -> None:
    """Asked in another way: the frames of the same camera and setting, from the plain table."""
    fits = """
        SELECT c.path FROM archive.products c, archive.products l
        WHERE l.obs_publisher_did = '{}' AND c.exposure_type = '{}' AND c.instrument_name = l.instrument_name
            AND (c.s_xel1, c.s_xel2) = (l.s_xel1, l.s_xel2) AND c.binning_x IS NOT DISTINCT FROM l.binning_x
            AND c.gain IS NOT DISTINCT FROM l.gain AND {}"""
    alike = {
        "bias": "abs(c.ccd_temperature - l.ccd_temperature) <= 2",
        "dark": "abs(c.ccd_temperature - l.ccd_temperature) <= 2 AND abs(c.t_exptime - l.t_exptime) < 0.01",
        "flat": "c.filter_name = l.filter_name",
    }
    lights = _select(service, "SELECT obs_publisher_did FROM archive.products WHERE exposure_type = 'light'")
    kinds = set()
    for (identifier,) in lights:
        links = linked(service, identifier)
        for kind, condition in alike.items():
            expected = {path for (path,) in _select(service, fits.format(identifier, kind, condition))}
            assert set(links.get(f"#{kind}", [])) == expected
            kinds |= {kind} if expected else set()
    assert kinds == {"bias", "dark", "flat"}


def test_a_bias_frame_needs_no_calibration(service: Service) -> None:
    ((identifier,), *_) = _select(
        service, "SELECT obs_publisher_did FROM archive.products WHERE exposure_type = 'bias'"
    )
    assert set(linked(service, identifier)) == {"#this", "#detached-header", "#documentation"}


def test_the_header_by_itself(service: Service, identifiers: list[str]) -> None:
    rows = ask(service, identifiers[0]).get_first_table().array
    url_of = {str(row["content_type"]): str(row["access_url"]) for row in rows}
    text = requests.get(url_of["text/plain"], timeout=60)
    document = requests.get(url_of["application/json"], timeout=60)
    assert text.headers["Content-Type"].startswith("text/plain")
    stored = _select(
        service,
        "SELECT header FROM archive.headers JOIN archive.products USING (product_id)"
        f" WHERE obs_publisher_did = '{identifiers[0]}' ORDER BY hdu",
    )
    for (header,) in stored:
        assert header in text.text
    cards = {card["keyword"]: card["value"] for unit in document.json() for card in unit["cards"]}
    assert {"SIMPLE", "BITPIX", "NAXIS"} <= set(cards)
    assert cards["SIMPLE"] is True


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({}, 400), ({"ID": "ivo://nowhere/x?1"}, 404), ({"ID": "{}", "RESPONSEFORMAT": "xml"}, 400)],
)
def test_headers_that_cannot_be_had(
    service: Service, identifiers: list[str], parameters: dict[str, str], status: int
) -> None:
    asked = {name: value.format(identifiers[0]) for name, value in parameters.items()}
    answer = requests.get(f"{service.url}/datalink/header", params=asked, timeout=60)
    assert answer.status_code == status


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


@pytest.mark.parametrize(
    "query",
    [
        "SELECT TOP 3 * FROM ivoa.obscore",
        "SELECT TOP 3 s_ra, obs_publisher_did AS datalink FROM ivoa.obscore",
        "SELECT TOP 3 path, obs_publisher_did FROM ost.products",
    ],
)
def test_pyvo_follows_the_links_of_a_query(service: Service, query: str) -> None:
    tap = pyvo.dal.TAPService(f"{service.url}/tap")
    for results in (tap.search(query), tap.run_async(query)):
        links = list(results.iter_datalinks())
        assert len(links) == 3
        assert all("#this" in link["semantics"] for link in links)
    assert "#this" in results[0].getdatalink()["semantics"]


@pytest.mark.parametrize("table", ["ost.products", "ivoa.obscore", "SIA"])
def test_pyvo_gets_data_sets_and_cutouts_of_rows(
    service: Service, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    # As the IVOA publishes it: nothing is narrower than these.
    vocabulary = {"terms": {"this": {"narrower": []}}}
    monkeypatch.setattr("pyvo.dal.adhoc.vocabularies.get_vocabulary", lambda *_, **__: vocabulary)
    if table == "SIA":
        found = pyvo.dal.SIA2Service(f"{service.url}/sia").search(data_type="image", maxrec=50)
        record = next(row for row in found if row["s_region"])
        assert len(list(found.iter_datalinks())) == len(found)
    else:
        tap = pyvo.dal.TAPService(f"{service.url}/tap")
        (record,) = tap.search(
            f"SELECT TOP 1 * FROM {table} WHERE s_region IS NOT NULL AND dataproduct_type = 'image'"
        )
    ((size,),) = execute(
        service.settings.dsn("ost_owner"),
        "SELECT file_size FROM archive.products WHERE obs_publisher_did = %s",
        record["obs_publisher_did"],
    )
    assert len(record.getdataset().read()) == size
    circle = (record["s_ra"] * units.deg, record["s_dec"] * units.deg, 0.01 * units.deg)
    assert record.processed(circle=circle).read(6) == b"SIMPLE"


def test_stilts_finds_no_fault(service: Service, identifiers: list[str], related: tuple[str, ...]) -> None:
    """The links of every file, of one that is not there, and by the address that a query gives."""
    del related
    (row,) = pyvo.dal.TAPService(f"{service.url}/tap").search(
        "SELECT TOP 1 access_url FROM ivoa.obscore WHERE s_region IS NOT NULL ORDER BY obs_publisher_did"
    )
    every = requests.Request(
        "GET", f"{service.url}/datalink/links", params={"ID": [*identifiers, f"{identifiers[0]}x"]}
    )
    linting = [
        subprocess.Popen(
            ["/usr/bin/stilts", "datalinklint", "report=EWF", "maxrepeat=1000", f"votable={url}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for url in (row["access_url"], every.prepare().url)
    ]
    for process in linting:
        said = process.communicate(timeout=540)[0]
        assert process.returncode == 0, said
        assert not [
            line for line in said.splitlines() if line.startswith(("E-", "W-", "F-")) and not _NEWER(line)
        ]
