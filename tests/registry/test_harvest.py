"""The registry as harvesters see it: OAI-PMH, the records, their capabilities, coverage and dates."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from astropy import units
from lxml import etree
from mocpy import MOC
from sickle import Sickle
from typer.testing import CliRunner

from ost_vo.cli import app
from ost_vo.deployment import accounts, publisher
from ost_vo.services import records
from ost_vo.services.registry import lacks
from ost_vo.settings import Settings
from ost_vo.store import registry as store
from tests.authentication.asgi import changed
from tests.conftest import Service, execute
from tests.moc.places import holds
from tests.registry.conftest import OAI, PUBLIC, XSI_TYPE, Registry

KINDS = {
    "": "vg:Authority",
    "organisation": "vr:Organisation",
    "registry": "vg:Registry",
    "archive": "vs:CatalogResource",
    "tap": "vs:CatalogService",
    "sia": "vs:DataService",
    "datalink": "vs:DataService",
    "soda": "vs:DataService",
}
SERVICES = ("tap", "sia", "datalink", "soda")
FORMATS = ("ivo_vor", "oai_dc")


@pytest.fixture(scope="module")
def sickle(registry_here: Registry) -> Sickle:
    return Sickle(f"{registry_here.url}/oai.xml", timeout=60)


@pytest.fixture
def hidden(service: Service) -> Iterator[Callable[[str], None]]:
    """Takes products that meet a condition away from the world, until the end of the test."""

    dsn, taken = service.settings.dsn("postgres"), []

    def hide(condition: str) -> None:
        taken.extend(
            execute(
                dsn,
                "UPDATE archive.products SET privileges = 2"
                f" WHERE privileges = 5 AND {condition} RETURNING product_id",
            )
        )

    yield hide
    identifiers = [identifier for (identifier,) in taken]
    execute(dsn, "UPDATE archive.products SET privileges = 5 WHERE product_id = ANY (%s)", identifiers)


@pytest.mark.parametrize(
    "query",
    [
        "verb=Identify",
        "verb=ListSets",
        "verb=ListMetadataFormats",
        *(
            f"verb={verb}&metadataPrefix={form}"
            for verb in ("ListRecords", "ListIdentifiers")
            for form in FORMATS
        ),
        *(
            f"verb=GetRecord&metadataPrefix={form}&identifier=ivo://ost.uni-potsdam.de/{name}".rstrip("/")
            for form in FORMATS
            for name in KINDS
        ),
        "verb=ListRecords&metadataPrefix=ivo_vor&until=2000-01-01",
        "verb=Nonsense",
    ],
)
def test_answers_validate(registry_here: Registry, schema: etree.XMLSchema, query: str) -> None:
    answer = requests.get(f"{registry_here.url}/oai.xml?{query}", timeout=60)
    schema.assertValid(etree.fromstring(answer.content))


def test_a_client_harvests_every_set_piece_by_piece(registry_here: Registry, sickle: Sickle) -> None:
    expected = {registry_here.identifier(name) for name in KINDS}
    sets = [item.setSpec for item in sickle.ListSets()]
    assert sets == ["ivo_managed"]
    for name in [*sets, None]:
        for form in FORMATS:
            asked = {"metadataPrefix": form} | ({"set": name} if name else {})
            assert sorted(item.header.identifier for item in sickle.ListRecords(**asked)) == sorted(expected)
            assert sorted(item.identifier for item in sickle.ListIdentifiers(**asked)) == sorted(expected)
    assert sickle.Identify().baseURL == f"{PUBLIC}/oai.xml"


def test_a_list_says_how_long_it_is_and_where_it_goes_on(registry_here: Registry) -> None:
    first = registry_here.ask("ListIdentifiers", metadataPrefix="ivo_vor")
    token = first.find(f".//{OAI}resumptionToken")
    assert len(first.findall(f".//{OAI}header")) == 3
    assert (token.get("completeListSize"), token.get("cursor")) == (str(len(KINDS)), "0")
    last = registry_here.ask("ListIdentifiers", resumptionToken=token.text)
    last = registry_here.ask(
        "ListIdentifiers", resumptionToken=last.findtext(f".//{OAI}resumptionToken") or ""
    )
    assert len(last.findall(f".//{OAI}header")) == len(KINDS) - 6
    assert last.find(f".//{OAI}resumptionToken").get("cursor") == "6"
    assert not last.findtext(f".//{OAI}resumptionToken")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "badVerb"),
        ("verb=Identify&verb=Identify", "badVerb"),
        ("verb=Identify&set=ivo_managed", "badArgument"),
        ("verb=ListRecords", "badArgument"),
        ("verb=ListRecords&metadataPrefix=ivo_vor&until=tomorrow", "badArgument"),
        ("verb=ListRecords&metadataPrefix=ivo_vor&from=2026-02-30", "badArgument"),
        ("verb=ListRecords&metadataPrefix=ivo_vor&from=2026-01-02&until=2026-01-01", "badArgument"),
        (
            "verb=ListRecords&metadataPrefix=ivo_vor&from=2026-01-02&until=2026-02-01T00:00:00Z",
            "badArgument",
        ),
        ("verb=ListRecords&metadataPrefix=marc21", "cannotDisseminateFormat"),
        ("verb=ListRecords&metadataPrefix=ivo_vor&set=nothing", "noRecordsMatch"),
        ("verb=ListRecords&metadataPrefix=ivo_vor&until=2000-01-01", "noRecordsMatch"),
        ("verb=GetRecord&metadataPrefix=ivo_vor&identifier=ivo://nobody/nothing", "idDoesNotExist"),
        ("verb=ListMetadataFormats&identifier=ivo://nobody/nothing", "idDoesNotExist"),
        ("verb=ListRecords&resumptionToken=nonsense", "badResumptionToken"),
        ("verb=ListRecords&resumptionToken=e30", "badResumptionToken"),
        ("verb=ListRecords&resumptionToken=e30&set=ivo_managed", "badArgument"),
    ],
)
def test_errors_are_those_of_the_protocol(registry_here: Registry, query: str, code: str) -> None:
    root = etree.fromstring(requests.get(f"{registry_here.url}/oai.xml?{query}", timeout=60).content)
    assert root.find(f"{OAI}error").get("code") == code


def test_requests_may_be_posted(registry_here: Registry) -> None:
    answer = requests.post(f"{registry_here.url}/oai.xml", data={"verb": "ListSets"}, timeout=60)
    assert etree.fromstring(answer.content).findtext(f".//{OAI}setSpec") == "ivo_managed"


@pytest.mark.parametrize("name", KINDS)
def test_each_record_is_of_its_kind(registry_here: Registry, name: str) -> None:
    resource = registry_here.resource(name)
    assert resource.get(XSI_TYPE) == KINDS[name]
    assert resource.findtext("identifier") == registry_here.identifier(name)
    assert resource.findtext("curation/contact/email")


@pytest.mark.parametrize("name", SERVICES)
def test_capabilities_are_those_of_the_service_itself(registry_here: Registry, name: str) -> None:
    document = requests.get(f"{registry_here.url}/{name}/capabilities", timeout=60).content
    parser = etree.XMLParser(remove_blank_text=True)
    served = etree.fromstring(document, parser).findall("capability")
    recorded = registry_here.resource(name).findall("capability")
    assert list(map(plain, recorded)) == list(map(plain, served))


def test_the_data_are_found_through_tap(registry_here: Registry) -> None:
    resource = registry_here.resource("archive")
    (capability,) = resource.findall("capability")
    assert capability.get("standardID") == "ivo://ivoa.net/std/TAP#aux"
    assert capability.findtext("interface/accessURL") == f"{PUBLIC}/tap"
    assert [table.findtext("name") for table in resource.iter("table")] == ["ivoa.obscore"]
    related = {item.get("ivo-id") for item in resource.iter("relatedResource")}
    assert related == {registry_here.identifier("tap"), registry_here.identifier("sia")}


def test_addresses_are_the_public_ones(registry_here: Registry) -> None:
    found = [
        address.text
        for name in KINDS
        for address in registry_here.resource(name).iter("accessURL", "footprint")
    ]
    assert len(found) > 20
    assert all(address.startswith(f"{PUBLIC}/") for address in found)


def test_terms_of_use_are_told(registry_here: Registry) -> None:
    rights = registry_here.resource("tap").find("rights")
    assert rights.text == registry_here.settings.rights
    assert rights.get("rightsURI") == registry_here.settings.rights_url


def test_the_archive_answers_of_dublin_core(registry_here: Registry) -> None:
    record = registry_here.record("archive", "oai_dc")
    assert record.findtext(".//{http://purl.org/dc/elements/1.1/}identifier") == registry_here.identifier(
        "archive"
    )


def test_coverage_is_of_what_the_world_sees(
    registry_here: Registry, service: Service, hidden: Callable[[str], None]
) -> None:
    rows = execute(
        service.settings.dsn("adql"),
        "SELECT s_ra, s_dec, t_min, em_min FROM ivoa.obscore"
        " WHERE s_ra IS NOT NULL AND t_min IS NOT NULL AND em_min IS NOT NULL",
    )
    assert rows
    before = coverage(registry_here)
    for ra, dec, mjd, wavelength in rows:
        assert holds(before.sky, ra, dec)
        # TDB is 69 seconds ahead of UTC.
        assert any(first <= mjd + 69.2 / 86400 <= last for first, last in before.temporal)
        energy = 1.98644586e-25 / wavelength
        assert any(first * 0.9999 <= energy <= last * 1.0001 for first, last in before.spectral)
    hidden("s_ra IS NOT NULL")
    assert registry_here.refresh() == ["archive", "datalink", "sia", "soda", "tap"]
    assert coverage(registry_here).sky.sky_fraction == 0
    assert coverage(registry_here).temporal
    hidden("true")
    registry_here.refresh()
    assert not coverage(registry_here).temporal
    assert not coverage(registry_here).spectral


def test_what_is_there_again_is_covered_again(registry_here: Registry) -> None:
    registry_here.refresh()
    assert coverage(registry_here).sky.sky_fraction > 0


def test_a_date_changes_with_its_record_and_not_before(registry_here: Registry, service: Service) -> None:
    assert registry_here.refresh() == []
    before = {name: date(registry_here, name) for name in KINDS}
    backdate(service)
    archive = registry_here.archive
    published = {item.identifier: item for item in records.published(service.publisher_url)}
    settings = changed(registry_here.settings, rights="Ask before you publish.")
    other = type(archive)(**{**vars(archive), "settings": settings})
    draft = records.draft(other, published[registry_here.identifier("tap")], None)
    assert store.save(archive.database, [draft]) == [registry_here.identifier("tap")]
    now = datetime.now(UTC)
    assert now - date(registry_here, "tap") < timedelta(minutes=1)
    assert all(date(registry_here, name) < before[name] for name in KINDS if name != "tap")
    # A harvester that comes back gets this one alone.
    since = f"{now - timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}"
    news = registry_here.ask("ListIdentifiers", **{"metadataPrefix": "ivo_vor", "from": since})
    assert [item.text for item in news.iter(f"{OAI}identifier")] == [registry_here.identifier("tap")]
    assert registry_here.refresh() == ["tap"]


def test_a_withdrawn_record_stays_as_deleted(
    registry_here: Registry, service: Service, schema: etree.XMLSchema
) -> None:
    settings = service.settings
    account = accounts.account(settings.state)
    descriptor = publisher.root(settings) / "inputs" / "registry" / "q.rd"
    root = etree.parse(descriptor)
    (soda,) = (element for element in root.iter("resRec") if element.get("id") == "soda")
    soda.getparent().remove(soda)
    descriptor.write_bytes(etree.tostring(root))
    try:
        publisher.publish(settings, account)
        assert changed_at_last(registry_here) == ["soda"]
        assert registry_here.refresh() == []
        record = registry_here.record("soda")
        assert record.find(f"{OAI}header").get("status") == "deleted"
        assert record.find(f"{OAI}metadata") is None
        assert any("soda" in lack.problem for lack in lacks(registry_here.archive))
        token, states = {"metadataPrefix": "ivo_vor"}, {}
        while token:
            page = registry_here.ask("ListRecords", **token)
            schema.assertValid(page)
            for head in page.iter(f"{OAI}header"):
                states[head.findtext(f"{OAI}identifier")] = head.get("status")
            text = page.findtext(f".//{OAI}resumptionToken")
            token = {"resumptionToken": text} if text else {}
        assert states == {
            registry_here.identifier(name): "deleted" if name == "soda" else None for name in KINDS
        }
    finally:
        shutil.copy(publisher.descriptors() / "registry" / "q.rd", descriptor)
        publisher.publish(settings, account)
    assert changed_at_last(registry_here) == ["soda"]
    assert registry_here.resource("soda").get(XSI_TYPE) == "vs:DataService"


def test_dachs_finds_nothing_wrong_with_the_descriptors(service: Service) -> None:
    said = publisher.validate(service.settings, accounts.account(service.settings.state))
    assert said == "".join(f"{name} -- OK\n" for name in (*publisher.DESCRIPTORS, publisher.RECORDS[0]))


def test_every_unit_is_one_that_clients_know(service: Service) -> None:
    rows = execute(
        service.settings.dsn("adql"),
        "SELECT DISTINCT unit FROM tap_schema.columns WHERE unit <> '' AND table_name ~ '^(ivoa|ost)[.]'",
    )
    assert len(rows) > 5
    for (unit,) in rows:
        assert units.Unit(unit, format="vounit").to_string("vounit"), unit


def test_check_says_what_is_missing(registry_here: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(registry_here.settings).items():
        monkeypatch.setenv(name, value)
    for name in ("PUBLIC_URL", "CONTACT_EMAIL", "RIGHTS", "RIGHTS_URL"):
        monkeypatch.delenv(f"OST_VO_{name}")
    result = CliRunner().invoke(app, ["registry", "check"])
    assert result.exit_code == 1
    for setting in ("OST_VO_PUBLIC_URL", "OST_VO_CONTACT_EMAIL", "OST_VO_RIGHTS"):
        assert setting in result.output


def test_nothing_is_missing_of_settings_and_records(registry_here: Registry) -> None:
    remedies = [lack.remedy for lack in lacks(registry_here.archive)]
    # That example.org is not here is all that can be wrong.
    assert [remedy for remedy in remedies if "answers there" not in remedy] == []


def changed_at_last(registry: Registry) -> list[str]:
    """Return what changes once DaCHS reads a new descriptor: not within ten seconds after it read one."""
    for _ in range(120):
        if names := registry.refresh():
            return names
        threading.Event().wait(0.5)
    raise AssertionError("nothing changes")


class coverage:
    """What the record of the data says it covers."""

    def __init__(self, registry: Registry) -> None:
        element = registry.resource("archive").find("coverage")
        self.sky = MOC.from_string(element.findtext("spatial"), "ascii")
        self.temporal = [tuple(map(float, item.text.split())) for item in element.iterfind("temporal")]
        self.spectral = [tuple(map(float, item.text.split())) for item in element.iterfind("spectral")]


def plain(element: etree._Element) -> tuple:
    """Return an element without what its document declares."""
    return (
        element.tag,
        dict(element.attrib),
        (element.text or "").strip(),
        [plain(child) for child in element],
    )


def date(registry: Registry, name: str) -> datetime:
    """Return when a record last changed, by its head; the record itself says the same."""
    text = registry.record(name).findtext(f"{OAI}header/{OAI}datestamp")
    resource = registry.resource(name)
    assert resource.get("updated") == text
    assert resource.get("created") <= text
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def backdate(service: Service) -> None:
    """Let all records have changed an hour ago."""
    execute(
        service.settings.dsn("postgres"),
        "UPDATE archive.registry_records SET updated = updated - interval '1 hour'",
    )


def environment(settings: Settings) -> dict[str, str]:
    values = settings.model_dump()
    return {f"OST_VO_{name.upper()}": str(value) for name, value in values.items() if value is not None}
