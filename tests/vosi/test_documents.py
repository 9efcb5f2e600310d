"""VOSI documents against the schemas of the IVOA, and against each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from lxml import etree

from tests.conftest import Service

# Debian's python3-gavo, which the archive needs anyway, carries the schemas of the IVOA.
SCHEMATA = Path("/usr/lib/python3/dist-packages/gavo/resources/schemata")


class _Local(etree.Resolver):
    """Finds imported schemas on disk, so that no test reaches the network."""

    def resolve(self, url: str, public_id: str, context: object) -> object:
        del public_id
        path = SCHEMATA / url.rsplit("/", 1)[-1]
        return self.resolve_filename(str(path), context) if path.exists() else None


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """One schema made of all that the documents use."""
    parts = {
        "http://www.ivoa.net/xml/VOSICapabilities/v1.0": "VOSICapabilities.xsd",
        "http://www.ivoa.net/xml/VOSIAvailability/v1.0": "VOSIAvailability.xsd",
        "http://www.ivoa.net/xml/VOSITables/v1.0": "VOSITables.xsd",
        "http://www.ivoa.net/xml/VODataService/v1.1": "VODataService.xsd",
        "http://www.ivoa.net/xml/TAPRegExt/v1.0": "TAPRegExt.xsd",
        "http://www.ivoa.net/xml/VOTable/v1.3": "VOTable.xsd",
    }
    lines = [
        f'<xs:import namespace="{space}" schemaLocation="{SCHEMATA / name}"/>'
        for space, name in parts.items()
    ]
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_Local())
    document = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{"".join(lines)}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(document, parser))


@pytest.mark.parametrize(
    "path",
    [
        "/availability",
        "/tap/availability",
        "/tap/capabilities",
        "/tap/tables",
        "/tap/tables?detail=min",
        "/tap/tables/ivoa.obscore",
        "/tap/tables/ost.products",
        "/sia/capabilities",
        "/sia/availability",
        "/datalink/capabilities",
        "/datalink/availability",
        "/soda/capabilities",
        "/soda/availability",
        "/tap/sync?LANG=ADQL&RESPONSEFORMAT=votable/td&QUERY=SELECT * FROM ivoa.obscore",
        "/tap/sync?LANG=ADQL&RESPONSEFORMAT=votable/b2&QUERY=SELECT * FROM ost.products",
        "/tap/sync?LANG=ADQL&QUERY=SELECT * FROM ivoa.obscore&MAXREC=0",
        "/tap/sync?LANG=ADQL&QUERY=nonsense",
        "/sia/query?MAXREC=0",
        "/sia/query?POS=CIRCLE 56.75 24.12 10",
        "/sia/query?POS=TRIANGLE",
        "/datalink/links",
        "/datalink/links?ID=ivo://nobody/nothing",
    ],
)
def test_documents_validate(service: Service, schema: etree.XMLSchema, path: str) -> None:
    response = requests.get(service.url + path, timeout=60)
    schema.assertValid(etree.fromstring(response.content))


def test_unknown_tables_and_endpoints_are_not_found(service: Service) -> None:
    for path in ("/tap/tables/ivoa.nothing", "/tap/nothing", "/tap/tables/archive.users"):
        assert requests.get(service.url + path, timeout=60).status_code == 404


def test_capabilities_name_reachable_urls(service: Service) -> None:
    for prefix in ("/tap", "/sia", "/datalink"):
        root = etree.fromstring(requests.get(f"{service.url}{prefix}/capabilities", timeout=60).content)
        urls = {url.text for url in root.iter("accessURL") if url.get("use") == "full"}
        assert urls
        for url in urls:
            assert requests.head(url, timeout=60).status_code == 200


def test_tables_and_tap_schema_agree(service: Service) -> None:
    root = etree.fromstring(requests.get(f"{service.url}/tap/tables", timeout=60).content)
    listed = {
        (table.findtext("name"), column.findtext("name").strip('"'))
        for table in root.iter("table")
        for column in table.iter("column")
    }
    query = "SELECT table_name, column_name FROM tap_schema.columns"
    response = requests.get(
        f"{service.url}/tap/sync", params={"LANG": "ADQL", "QUERY": query, "FORMAT": "tsv"}, timeout=30
    )
    rows = {tuple(line.split("\t")) for line in response.text.splitlines()[1:]}
    assert listed == {
        (table, column.strip('"').lower() if column.isascii() else column) for table, column in rows
    }
