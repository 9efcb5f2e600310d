"""The archive is found in a searchable registry, by the queries that pyvo writes."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from lxml import etree
from pyvo.registry import Datamodel, Freetext, Servicetype, Spatial
from pyvo.registry.regtap import get_RegTAP_query
from pyvo.registry.rtcons import Constraint
from sickle import Sickle

from tests.conftest import Service, execute
from tests.registry.conftest import PUBLIC, Registry
from tests.registry.regtap import RegTAP


@pytest.fixture(scope="module")
def regtap(registry_here: Registry, service: Service) -> Iterator[RegTAP]:
    """A searchable registry that has harvested this one."""
    superuser = service.settings.dsn("postgres")
    one_by_one(superuser, "DROP DATABASE IF EXISTS regtap", "CREATE DATABASE regtap")
    registry = RegTAP(f"{superuser} dbname=regtap")
    client = Sickle(f"{registry_here.url}/oai.xml", timeout=60)
    registry.load(
        etree.fromstring(etree.tostring(record.xml)).find(
            ".//{http://www.ivoa.net/xml/RegistryInterface/v1.0}Resource"
        )
        for record in client.ListRecords(metadataPrefix="ivo_vor", set="ivo_managed")
    )
    yield registry
    registry.close()
    one_by_one(superuser, "DROP DATABASE regtap")


FINDS = {
    "a keyword of the description": (Freetext("comets"), {"archive"}),
    "two keywords": (Freetext("cutouts", "cubes"), {"soda"}),
    "a word of the title": (Freetext("SODA"), {"soda"}),
    "a subject": (Freetext("spectroscopy"), {"archive"}),
    "TAP": (Servicetype("tap"), {"tap"}),
    "TAP, and data behind it": (Servicetype("tap").include_auxiliary_services(), {"tap", "archive"}),
    "SIA 2": (Servicetype("sia2"), {"sia"}),
    "SODA by its standard": (Servicetype("ivo://ivoa.net/std/soda#sync-1.0"), {"soda"}),
    "DataLink": (Servicetype("ivo://ivoa.net/std/datalink#links-1.1"), {"datalink"}),
    "no cone search": (Servicetype("conesearch"), set()),
    "ObsCore": (Datamodel("obscore"), {"tap"}),
    "tables of ObsCore": (Datamodel("obscore_new"), {"archive"}),
    "no planets": (Datamodel("epntap"), set()),
}


@pytest.mark.parametrize("what", FINDS)
def test_it_is_found_by(regtap: RegTAP, registry_here: Registry, what: str) -> None:
    constraint, expected = FINDS[what]
    assert found(regtap, constraint) == {registry_here.identifier(name) for name in expected}


def test_it_is_found_by_position(regtap: RegTAP, registry_here: Registry, service: Service) -> None:
    ((ra, dec),) = execute(
        service.settings.dsn("adql"),
        "SELECT s_ra, s_dec FROM ivoa.obscore WHERE s_region IS NOT NULL LIMIT 1",
    )
    for place in ((ra, dec), (20.0, -80.0)):
        regtap.know(*place)
    everything = {registry_here.identifier(name) for name in ("archive", "tap", "sia", "datalink", "soda")}
    assert found(regtap, Spatial((ra, dec))) == everything
    assert found(regtap, Spatial((20.0, -80.0))) == set()
    assert found(regtap, Spatial((ra, dec)), Servicetype("sia2")) == {registry_here.identifier("sia")}


def test_what_is_found_leads_to_the_service(regtap: RegTAP) -> None:
    (row,) = regtap.rows(get_RegTAP_query(Servicetype("tap"), service=regtap))
    at = row["standard_ids"].split(":::py VO sep:::").index("ivo://ivoa.net/std/tap")
    assert row["access_urls"].split(":::py VO sep:::")[at] == f"{PUBLIC}/tap"


def found(regtap: RegTAP, *constraints: Constraint) -> set[str]:
    """Return what `pyvo.registry.search` would find."""
    return regtap.found(get_RegTAP_query(*constraints, service=regtap))


def one_by_one(dsn: str, *statements: str) -> None:
    """Run statements that must not be in a transaction."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()
