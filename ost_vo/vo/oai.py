"""OAI-PMH: what a request asks for, and the documents that answer it.

Source: OAI-PMH 2.0; IVOA Registry Interfaces 1.1 section 3 (metadata format ``ivo_vor``, set
``ivo_managed``). Moments are in UTC, to the second.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lxml import etree

CONTENT_TYPE = "text/xml"
NAMESPACE = "http://www.openarchives.org/OAI/2.0/"
MANAGED = "ivo_managed"

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_PREFIXES = {"oai": NAMESPACE, "xsi": _XSI}
_LOCATION = f"{NAMESPACE} http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd"

RESOURCE, DUBLIN_CORE = "ivo_vor", "oai_dc"
# Schema and namespace of the formats that records are given in.
FORMATS = {
    DUBLIN_CORE: (
        "http://www.openarchives.org/OAI/2.0/oai_dc.xsd",
        "http://www.openarchives.org/OAI/2.0/oai_dc/",
    ),
    RESOURCE: (
        "http://www.ivoa.net/xml/RegistryInterface/v1.0",
        "http://www.ivoa.net/xml/RegistryInterface/v1.0",
    ),
}

# Of each verb: the arguments that it needs, and those that it may have (section 4).
_LISTING = frozenset({"from", "until", "set"})
_ARGUMENTS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "GetRecord": (frozenset({"identifier", "metadataPrefix"}), frozenset()),
    "Identify": (frozenset(), frozenset()),
    "ListIdentifiers": (frozenset({"metadataPrefix"}), _LISTING),
    "ListMetadataFormats": (frozenset(), frozenset({"identifier"})),
    "ListRecords": (frozenset({"metadataPrefix"}), _LISTING),
    "ListSets": (frozenset(), frozenset()),
}
_RESUMED = frozenset({"ListIdentifiers", "ListRecords"})
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class ProtocolError(Exception):
    """An error that the protocol has a code for (section 3.6).

    Attributes:
        code: as in ``badArgument``.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Position:
    """Where a list of records goes on: after the record of a moment and an identifier."""

    updated: datetime
    identifier: str
    number: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        verb: of the protocol.
        arguments: as they were given, without the verb.
        prefix: the metadata format; '' where the verb has none.
        identifier: of the record that is asked for; '' for none.
        set_name: the set that records must be in; '' for any.
        since, until: limits of the records' dates, both included.
        after: where a list goes on.
    """

    verb: str
    arguments: Mapping[str, str]
    prefix: str = ""
    identifier: str = ""
    set_name: str = ""
    since: datetime | None = None
    until: datetime | None = None
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Head of a record: its identifier, when it last changed, its sets, and whether it was withdrawn."""

    identifier: str
    updated: datetime
    sets: Sequence[str]
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class Repository:
    """What Identify tells.

    Attributes:
        name: for people.
        base_url: where requests go.
        email: of its operators.
        earliest: date of the oldest record.
        description: the registry's own record.
    """

    name: str
    base_url: str
    email: str
    earliest: datetime
    description: etree._Element


def read(pairs: Iterable[tuple[str, str]]) -> Request:
    """Return what the arguments of a request ask for.

    Raises:
        ProtocolError: they are no request of the protocol.
    """
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise ProtocolError("badVerb" if name == "verb" else "badArgument", f"{name} is given twice.")
        given[name] = value
    verb = given.pop("verb", "")
    if verb not in _ARGUMENTS:
        raise ProtocolError("badVerb", f"The verb is one of {', '.join(_ARGUMENTS)}.")
    if verb in _RESUMED and "resumptionToken" in given:
        if len(given) > 1:
            raise ProtocolError("badArgument", "resumptionToken goes with no other argument.")
        return _resumed(verb, given)
    needed, possible = _ARGUMENTS[verb]
    if missing := needed - given.keys():
        raise ProtocolError("badArgument", f"{', '.join(sorted(missing))} is missing.")
    if unknown := given.keys() - needed - possible:
        raise ProtocolError("badArgument", f"{verb} has no argument {', '.join(sorted(unknown))}.")
    return _request(verb, given, given)


def formats() -> etree._Element:
    """Return the element of the formats, which are the same for all records."""
    element = _element("ListMetadataFormats")
    for prefix, (schema, namespace) in FORMATS.items():
        one = _child(element, "metadataFormat")
        _child(one, "metadataPrefix", prefix)
        _child(one, "schema", schema)
        _child(one, "metadataNamespace", namespace)
    return element


def sets(names: Mapping[str, str]) -> etree._Element:
    """Return the element of the sets, from their specifications and names."""
    element = _element("ListSets")
    for specification, name in names.items():
        one = _child(element, "set")
        _child(one, "setSpec", specification)
        _child(one, "setName", name)
    return element


def identify(repository: Repository) -> etree._Element:
    """Return the element that tells of the repository; it keeps withdrawn records for good."""
    element = _element("Identify")
    _child(element, "repositoryName", repository.name)
    _child(element, "baseURL", repository.base_url)
    _child(element, "protocolVersion", "2.0")
    _child(element, "adminEmail", repository.email)
    _child(element, "earliestDatestamp", moment(repository.earliest))
    _child(element, "deletedRecord", "persistent")
    _child(element, "granularity", "YYYY-MM-DDThh:mm:ssZ")
    _child(element, "description").append(repository.description)
    return element


def record(header: Header, metadata: etree._Element | None) -> etree._Element:
    """Return the element of a record; a withdrawn one has no metadata."""
    element = _element("record")
    element.append(head(header))
    if metadata is not None and not header.is_deleted:
        _child(element, "metadata").append(metadata)
    return element


def head(header: Header) -> etree._Element:
    """Return the element of a record's head."""
    element = _element("header")
    if header.is_deleted:
        element.set("status", "deleted")
    _child(element, "identifier", header.identifier)
    _child(element, "datestamp", moment(header.updated))
    for name in header.sets:
        _child(element, "setSpec", name)
    return element


def listing(verb: str, items: Iterable[etree._Element]) -> etree._Element:
    """Return the element of a verb with what it lists."""
    element = _element(verb)
    element.extend(items)
    return element


def add_token(
    element: etree._Element, request: Request, last: Header | None, total: int, number: int
) -> None:
    """Say where a list goes on, or that it ends, where it does not come in one piece (section 3.5).

    Args:
        element: of the list.
        request: what was asked for.
        last: the last record of this piece; None where the list ends with it.
        total: records of the whole list.
        number: of those, how many came before this piece.
    """
    if last is None and request.after is None:
        return
    size = sum(1 for _ in element)
    text = "" if last is None else _token(request, Position(last.updated, last.identifier, number + size))
    token = _child(element, "resumptionToken", text)
    token.set("completeListSize", str(total))
    token.set("cursor", str(number))


def answer(base_url: str, request: Request, content: etree._Element) -> bytes:
    """Return the document that answers a request."""
    return _document(base_url, {"verb": request.verb, **request.arguments}, content)


def refusal(base_url: str, verb: str, error: ProtocolError) -> bytes:
    """Return the document that says what is wrong; the arguments of a bad request are not repeated."""
    content = _element("error", str(error))
    content.set("code", error.code)
    echo = {} if error.code in ("badVerb", "badArgument") else {"verb": verb}
    return _document(base_url, echo, content)


def moment(when: datetime) -> str:
    """Write a moment as the protocol does (section 3.3)."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _request(verb: str, arguments: Mapping[str, str], given: Mapping[str, str]) -> Request:
    prefix = given.get("metadataPrefix", "")
    if "metadataPrefix" in given and prefix not in FORMATS:
        raise ProtocolError("cannotDisseminateFormat", f"metadataPrefix is {' or '.join(FORMATS)}.")
    since, until = _limit(given, "from"), _limit(given, "until")
    if since and until:
        if len(given["from"]) != len(given["until"]):
            raise ProtocolError("badArgument", "from and until must both be days, or both be moments.")
        if since > until:
            raise ProtocolError("badArgument", "from is later than until.")
    identifier, set_name = given.get("identifier", ""), given.get("set", "")
    return Request(verb, dict(arguments), prefix, identifier, set_name, since, until)


def _limit(given: Mapping[str, str], name: str) -> datetime | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        if _SECOND.fullmatch(text):
            return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if _DAY.fullmatch(text):
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
            return day + timedelta(days=1, seconds=-1) if name == "until" else day
    except (ValueError, OverflowError):
        pass
    raise ProtocolError("badArgument", f"{name} is no date, as in 2026-11-22 or 2026-11-22T20:00:00Z.")


def _token(request: Request, position: Position) -> str:
    given = {key: value for key, value in request.arguments.items() if key != "resumptionToken"}
    if request.after is not None:
        given = _unpacked(request.arguments["resumptionToken"])["given"]
    fields = {
        "verb": request.verb,
        "given": given,
        "after": [position.updated.timestamp(), position.identifier, position.number],
    }
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def _unpacked(token: str) -> dict[str, dict[str, str]]:
    text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    fields: dict[str, dict[str, str]] = json.loads(text)
    return fields


def _resumed(verb: str, arguments: Mapping[str, str]) -> Request:
    try:
        fields = _unpacked(arguments["resumptionToken"])
        given = {str(key): str(value) for key, value in fields["given"].items()}
        seconds, identifier, number = fields["after"]
        after = Position(datetime.fromtimestamp(float(seconds), UTC), str(identifier), int(number))
        is_ours = fields["verb"] == verb and given.keys() <= {"metadataPrefix", *_LISTING}
        request = _request(verb, arguments, given)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, binascii.Error) as error:
        raise ProtocolError("badResumptionToken", "This resumptionToken is none of ours.") from error
    except ProtocolError as error:
        raise ProtocolError("badResumptionToken", "This resumptionToken is none of ours.") from error
    if not is_ours or not request.prefix:
        raise ProtocolError("badResumptionToken", "This resumptionToken is of another request.")
    return Request(
        verb, dict(arguments), request.prefix, "", request.set_name, request.since, request.until, after
    )


def _document(base_url: str, echo: Mapping[str, str], content: etree._Element) -> bytes:
    root = etree.Element(f"{{{NAMESPACE}}}OAI-PMH", nsmap=_PREFIXES)
    root.set(f"{{{_XSI}}}schemaLocation", _LOCATION)
    _child(root, "responseDate", moment(datetime.now(UTC)))
    request = _child(root, "request", base_url)
    for name, value in echo.items():
        request.set(name, value)
    root.append(content)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _element(tag: str, text: str | None = None) -> etree._Element:
    element = etree.Element(f"{{{NAMESPACE}}}{tag}", nsmap=_PREFIXES)
    element.text = text
    return element


def _child(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}")
    child.text = text
    return child
