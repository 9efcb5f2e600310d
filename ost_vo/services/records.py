"""The records that DaCHS makes of `resdir/registry`, and what completes them.

DaCHS knows who runs the archive and what it is about. Of the services it knows nothing, since it does not run
them: their capabilities and tables are those that they themselves tell of (`services/description.py`), and
the coverage is what the world sees in ``ivoa.obscore``. Dates are not DaCHS' either: those are of its files.

Source: VOResource 1.1; VODataService 1.2; VORegistry 1.1; Registry Interfaces 1.1 section 3.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from ost_vo.faults import FatalFault, TransientFault
from ost_vo.services import description
from ost_vo.services.archive import Archive
from ost_vo.store.coverage import Coverage
from ost_vo.store.registry import Draft
from ost_vo.vo import oai, resource
from ost_vo.vo.vosi import Capability, Interface, capability_element

ANSWER_SECONDS = 30

_OAI = f"{{{oai.NAMESPACE}}}"

Describe = Callable[[Archive, str], bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """What is added to one record.

    Attributes:
        kind: its xsi:type, where it is another one than DaCHS gives it.
        path: of the service's endpoints below the public URL; '' for none.
        describe: what writes the service's capabilities; None for none.
        schemas: of the tables that it serves; None for all.
        is_auxiliary: whether the service is only one way to the data, to be found in its own record.
    """

    kind: str
    describe: Describe | None = None
    schemas: tuple[str, ...] | None = ()
    is_auxiliary: bool = False


# The last part of an IVOID to what its record gets.
PARTS: Mapping[str, Part] = {
    "archive": Part("vs:CatalogResource", description.tap_capabilities, ("ivoa",), is_auxiliary=True),
    "tap": Part("vs:CatalogService", description.tap_capabilities, None),
    "sia": Part("vs:DataService", description.sia_capabilities),
    "datalink": Part("vs:DataService", description.datalink_capabilities),
    "soda": Part("vs:DataService", description.soda_capabilities),
}


@dataclass(frozen=True, slots=True)
class Published:
    """A record as DaCHS gives it; the elements are None where it says that it was withdrawn."""

    identifier: str
    sets: tuple[str, ...]
    resource: etree._Element | None
    dublin_core: etree._Element | None


def published(url: str) -> list[Published]:
    """Return all records of a DaCHS server.

    Args:
        url: of the server.

    Raises:
        TransientFault: it does not answer.
        FatalFault: it answers with something else than records.
    """
    resources = {item[0]: item for item in _harvest(url, oai.RESOURCE)}
    texts = {identifier: metadata for identifier, _, metadata in _harvest(url, oai.DUBLIN_CORE)}
    return [
        Published(identifier, sets, metadata, texts.get(identifier))
        for identifier, sets, metadata in resources.values()
    ]


def draft(archive: Archive, found: Published, coverage: Coverage | None) -> Draft:
    """Return a record of DaCHS with everything that it lacks.

    Args:
        archive: whose services it tells of.
        found: the record.
        coverage: of the archive; None where it is not known yet.
    """
    if found.resource is None or found.dublin_core is None:
        return Draft(found.identifier, found.sets, b"", is_deleted=True)
    record = _completed(archive, found, coverage)
    text, dublin_core = _text(record), _text(resource.in_lines(found.dublin_core))
    digest = hashlib.sha256("\n".join([text, dublin_core, *found.sets]).encode()).digest()
    return Draft(found.identifier, found.sets, digest, text, dublin_core)


def _completed(archive: Archive, found: Published, coverage: Coverage | None) -> etree._Element:
    assert found.resource is not None
    record = resource.rebuilt(found.resource)
    name = found.identifier.rpartition("/")[2]
    if record.get(resource.TYPE) == "vg:Registry":
        resource.replace(record, "capability", [_harvesting(archive)])
        resource.replace(record, "tableset", [])
    elif part := PARTS.get(name):
        record.set(resource.TYPE, part.kind)
        resource.replace(record, "rights", list(_rights(archive)))
        resource.replace(record, "capability", list(_capabilities(archive, part)))
        if coverage is not None:
            footprint = f"{archive.settings.base_url}/moc"
            resource.replace(record, "coverage", [resource.coverage(coverage, footprint)])
        if part.schemas != ():
            resource.replace(record, "tableset", [_tables(archive, part)])
    return record


def _capabilities(archive: Archive, part: Part) -> Iterator[etree._Element]:
    """Yield the capabilities that the service's own endpoint gives, word for word."""
    assert part.describe is not None
    document = etree.fromstring(part.describe(archive, archive.settings.base_url), _parser())
    found = [deepcopy(element) for element in document.iter("capability")]
    if not part.is_auxiliary:
        yield from found
        return
    # Discovering Data Collections 1.1 section 3: no details, so that nobody takes it for another service.
    first = found[0]
    standard = f"{first.get('standardID')}#aux"
    addresses = (element.text or "" for element in first.iterfind("interface/accessURL"))
    yield capability_element(Capability(standard, (Interface(next(addresses), use="base", version="1.1"),)))


def _rights(archive: Archive) -> Iterator[etree._Element]:
    """Yield the terms of use of the public data, where the settings have any."""
    text, url = archive.settings.rights, archive.settings.rights_url
    if text or url:
        rights = etree.Element("rights")
        rights.text = text or url
        if url:
            rights.set("rightsURI", url)
        yield rights


def _harvesting(archive: Archive) -> etree._Element:
    """Return the capability of our own `/oai.xml` (VORegistry 1.1 section 3.1)."""
    settings = archive.settings
    most = etree.Element("maxRecords")
    most.text = str(settings.registry_page)
    interface = Interface(f"{settings.base_url}/oai.xml", use="base", kind="vg:OAIHTTP", version="1.1")
    return capability_element(Capability("ivo://ivoa.net/std/Registry", (interface,), "vg:Harvest", (most,)))


def _tables(archive: Archive, part: Part) -> etree._Element:
    document = etree.fromstring(description.tables(archive, "max"), _parser())
    tableset = etree.Element("tableset")
    for schema in document.iterfind("schema"):
        if part.schemas is None or schema.findtext("name") in part.schemas:
            tableset.append(deepcopy(schema))
    return tableset


def _harvest(url: str, prefix: str) -> Iterator[tuple[str, tuple[str, ...], etree._Element | None]]:
    """Yield identifier, sets and element of each record in a format; None for one that was withdrawn."""
    query = urllib.parse.urlencode({"verb": "ListRecords", "metadataPrefix": prefix})
    root = _fetched(f"{url}/oai.xml?{query}")
    error = root.find(f"{_OAI}error")
    if error is not None and error.get("code") != "noRecordsMatch":
        raise FatalFault(f"DaCHS gives no records: {error.text}.", "See its log.")
    if root.findtext(f".//{_OAI}resumptionToken"):
        raise FatalFault("DaCHS gives its records in pieces.", "Set oaipmhPageSize in its configuration.")
    for record in root.iter(f"{_OAI}record"):
        head = record.find(f"{_OAI}header")
        assert head is not None
        identifier = (head.findtext(f"{_OAI}identifier") or "").strip()
        sets = tuple(sorted(item.text or "" for item in head.iterfind(f"{_OAI}setSpec")))
        metadata = record.find(f"{_OAI}metadata")
        has_content = metadata is not None and len(metadata) and head.get("status") != "deleted"
        yield identifier, sets or (oai.MANAGED,), metadata[0] if has_content else None  # type: ignore[index]


def _fetched(url: str) -> etree._Element:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            content = answer.read()
        return etree.fromstring(content, _parser())
    except (OSError, urllib.error.URLError) as error:
        raise TransientFault(f"DaCHS does not answer at {url}: {error}.", "Start it.") from error
    except etree.XMLSyntaxError as error:
        raise FatalFault(f"DaCHS answers at {url} with something else than XML: {error}.") from error


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=True)


def _text(element: etree._Element) -> str:
    return etree.tostring(element, encoding="unicode", with_tail=False)
