"""The publishing registry: OAI-PMH over the records of DaCHS, their refreshing, and what is missing."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit

import structlog
from lxml import etree

from ost_vo.faults import FatalFault, Fault, TransientFault
from ost_vo.services import coverage, records
from ost_vo.services.archive import Archive
from ost_vo.settings import Settings, is_loopback
from ost_vo.store import registry as store
from ost_vo.store.registry import Record
from ost_vo.vo import oai, resource

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 10

_SETS = {oai.MANAGED: "Records of this registry's own archive"}
# What every registry has a record of (Registry Interfaces 1.1 section 3.1), and what this archive has.
_NEEDED = ("", "organisation", "registry", *records.PARTS)


@dataclass(frozen=True, slots=True)
class Lack:
    """What stands in the way of registering the archive: what is wrong, and what to do."""

    problem: str
    remedy: str


def refresh(archive: Archive) -> list[str]:
    """Bring coverage and records up to date; return the identifiers of the records that have changed.

    Raises:
        TransientFault: DaCHS or the database does not answer.
        FatalFault: DaCHS gives something else than records; OST_VO_PUBLISHER_URL is not set.
    """
    if not archive.settings.publisher_url:
        raise FatalFault("Nobody has said where DaCHS is.", "Set OST_VO_PUBLISHER_URL to its own URL.")
    extent = coverage.refresh(archive)
    found = records.published(archive.settings.publisher_url)
    return store.save(archive.database, [records.draft(archive, item, extent) for item in found])


def keep(archive: Archive, stopping: threading.Event) -> None:
    """Refresh the registry again and again, until ended."""
    while not stopping.is_set():
        try:
            for identifier in refresh(archive):
                log.info("registry record changed", identifier=identifier)
        except Fault as fault:
            log.warning("registry not refreshed", reason=str(fault))
        except Exception:  # the next look may find what this one did not
            log.exception("registry not refreshed")
        stopping.wait(archive.settings.registry_seconds)


def answer(archive: Archive, pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return the document that answers a request of OAI-PMH.

    Args:
        archive: whose registry is asked.
        pairs: the arguments of the request, as often as they are given.

    Raises:
        TransientFault: the records are not there yet; the database does not answer.
    """
    base_url = f"{archive.settings.base_url}/oai.xml"
    given = list(pairs)
    try:
        request = oai.read(given)
        return oai.answer(base_url, request, _content(archive, request))
    except oai.ProtocolError as error:
        return oai.refusal(base_url, dict(given).get("verb", ""), error)


def lacks(archive: Archive) -> Iterator[Lack]:
    """Yield what is missing before the archive can be registered; nothing where it can."""
    yield from _lacking_settings(archive.settings)
    found = {record.header.identifier: record for record in store.everything(archive.database)}
    authority = f"ivo://{archive.settings.authority}"
    for name in _NEEDED:
        identifier = f"{authority}/{name}".rstrip("/")
        record = found.get(identifier)
        if record is None or record.header.is_deleted:
            yield Lack(f"There is no record {identifier}.", "Run `ost-vo registry refresh`.")
    for identifier in found:
        if not f"{identifier}/".startswith(f"{authority}/"):
            yield Lack(
                f"{identifier} is of another authority.", "Withdraw it, or set OST_VO_AUTHORITY to that one."
            )
    yield from _lacking_coverage(found.get(f"{authority}/archive"))
    yield from _lacking_answer(archive.settings)


def _content(archive: Archive, request: oai.Request) -> etree._Element:
    if request.verb == "Identify":
        return oai.identify(_repository(archive))
    if request.verb == "ListSets":
        return oai.sets(_SETS)
    if request.verb == "ListMetadataFormats":
        if identifier := request.arguments.get("identifier", ""):
            _record(archive, identifier)
        return oai.formats()
    if request.verb == "GetRecord":
        found = _record(archive, request.identifier)
        return oai.listing(request.verb, [_element(found, request)])
    return _page(archive, request)


def _page(archive: Archive, request: oai.Request) -> etree._Element:
    size = archive.settings.registry_page
    found, total = store.listing(archive.database, request, size)
    if not found:
        if store.earliest(archive.database) is None:
            raise _nothing_yet()
        raise oai.ProtocolError("noRecordsMatch", "There is no such record.")
    page, has_more = found[:size], len(found) > size
    element = oai.listing(request.verb, [_element(record, request) for record in page])
    number = request.after.number if request.after else 0
    oai.add_token(element, request, page[-1].header if has_more else None, total, number)
    return element


def _element(record: Record, request: oai.Request) -> etree._Element:
    if request.verb == "ListIdentifiers":
        return oai.head(record.header)
    return oai.record(record.header, _metadata(record, request.prefix))


def _metadata(record: Record, prefix: str) -> etree._Element | None:
    text = record.resource if prefix == oai.RESOURCE else record.dublin_core
    if text is None:
        return None
    element = etree.fromstring(text)
    if prefix == oai.RESOURCE:
        element.set("updated", oai.moment(record.header.updated))
    return element


def _record(archive: Archive, identifier: str) -> Record:
    found = store.record(archive.database, identifier)
    if found is None:
        raise oai.ProtocolError("idDoesNotExist", "There is no record of that identifier.")
    return found


def _repository(archive: Archive) -> oai.Repository:
    settings = archive.settings
    own = store.record(archive.database, f"ivo://{settings.authority}/registry")
    earliest = store.earliest(archive.database)
    description = _metadata(own, oai.RESOURCE) if own else None
    if earliest is None or description is None:
        raise _nothing_yet()
    title = description.findtext("title") or settings.facility
    return oai.Repository(
        title, f"{settings.base_url}/oai.xml", settings.registry_email, earliest, description
    )


def _nothing_yet() -> TransientFault:
    return TransientFault("The registry has no records yet.", "Try again in a minute.")


def _lacking_settings(settings: Settings) -> Iterator[Lack]:
    url = urlsplit(settings.base_url)
    if is_loopback(url.hostname) or not settings.public_url:
        yield Lack(f"{settings.base_url} is no address that the world can reach.", "Set OST_VO_PUBLIC_URL.")
    elif url.scheme != "https":
        yield Lack(f"{settings.base_url} is not encrypted.", "Set OST_VO_PUBLIC_URL to an https URL.")
    if not settings.contact_email:
        yield Lack("Nobody can be asked: there is no mail address.", "Set OST_VO_CONTACT_EMAIL.")
    if not settings.rights and not settings.rights_url:
        yield Lack("The terms of use are not told.", "Set OST_VO_RIGHTS and OST_VO_RIGHTS_URL.")
    if "." not in settings.authority:
        yield Lack(
            f"The authority {settings.authority} is no name in the DNS, and may be somebody else's.",
            "Choose OST_VO_AUTHORITY before the first identifiers are given away.",
        )


def _lacking_answer(settings: Settings) -> Iterator[Lack]:
    url = f"{settings.base_url}/oai.xml?verb=Identify"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as reply:
            content = reply.read()
        is_ours = f"{settings.base_url}/oai.xml".encode() in content
        problem = "" if is_ours else f"{url} is not answered by this archive."
    except (OSError, HTTPException, ValueError) as error:
        problem = f"{url} does not answer: {error}."
    if problem:
        yield Lack(problem, "See that the web server of OST_VO_PUBLIC_URL is up and answers there for ours.")


def _lacking_coverage(record: Record | None) -> Iterator[Lack]:
    if record is None or record.resource is None:
        return
    element = etree.fromstring(record.resource)
    for tag, what in (("spatial", "sky"), ("temporal", "time"), ("spectral", "wavelengths")):
        if not resource.has_coverage(element, tag):
            yield Lack(
                f"The whole world sees no observation that tells its {what}.",
                "Publish some at level 5: `ost-vo publish`.",
            )
