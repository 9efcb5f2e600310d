"""Jobs of the Universal Worker Service: their phases, what may follow on what, and their XML documents.

Source: UWS 1.1 (sections 2.1.3 phases, 2.2.2 representations, appendix B schema).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from lxml import etree

from ost_vo.faults import UsageFault

CONTENT_TYPE = "text/xml"
# Of the public name of a job, which tells nothing of its id.
PUBLIC_NAME_DIGITS = 32
VERSION = "1.1"

_UWS = "http://www.ivoa.net/xml/UWS/v1.0"
_XLINK = "http://www.w3.org/1999/xlink"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NAMESPACES = {"uws": _UWS, "xlink": _XLINK, "xsi": _XSI}


class Phase(StrEnum):
    """Where a job is in its life (UWS 1.1 section 2.1.3)."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    HELD = "HELD"
    SUSPENDED = "SUSPENDED"
    UNKNOWN = "UNKNOWN"
    ARCHIVED = "ARCHIVED"


# The phases in which a request with WAIT may block (UWS 1.1 section 2.2.1.2).
ACTIVE = frozenset({Phase.PENDING, Phase.QUEUED, Phase.EXECUTING})
# The phases after which nothing of a job changes but that it is archived.
FINAL = frozenset({Phase.COMPLETED, Phase.ERROR, Phase.ABORTED, Phase.ARCHIVED})

_NEXT = {
    Phase.PENDING: {Phase.QUEUED, Phase.HELD, Phase.ERROR, Phase.ABORTED},
    Phase.HELD: {Phase.QUEUED, Phase.ERROR, Phase.ABORTED},
    Phase.QUEUED: {Phase.EXECUTING, Phase.HELD, Phase.ERROR, Phase.ABORTED},
    # Back to QUEUED when the worker dies.
    Phase.EXECUTING: {Phase.COMPLETED, Phase.SUSPENDED, Phase.QUEUED, Phase.ERROR, Phase.ABORTED},
    Phase.SUSPENDED: {Phase.EXECUTING, Phase.QUEUED, Phase.ERROR, Phase.ABORTED},
    Phase.UNKNOWN: set(Phase) - {Phase.UNKNOWN},
    Phase.COMPLETED: {Phase.ARCHIVED},
    Phase.ERROR: {Phase.ARCHIVED},
    Phase.ABORTED: {Phase.ARCHIVED},
    Phase.ARCHIVED: set(),
}


def may_follow(after: Phase, before: Phase) -> bool:
    """Say whether a job may go from the phase ``before`` to the phase ``after``."""
    return after in _NEXT[before]


def sources(phase: Phase) -> list[Phase]:
    """Return the phases from which a job may come to this one."""
    return [before for before in Phase if phase in _NEXT[before]]


@dataclass(frozen=True, slots=True)
class Result:
    """A result of a job.

    Attributes:
        id: its name below ``/results``.
        media_type: of the file.
        size: of the file [bytes], None if unknown.
    """

    id: str
    media_type: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed.

    Attributes:
        code: the name of the kind of fault, as DALI has it.
        message: for the person who asked.
        transient: whether the same job may succeed later.
    """

    code: str
    message: str
    transient: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its owner sees it.

    Attributes:
        id: 128 random bits in hexadecimal digits.
        kind: what it does (``tap``); each kind has an endpoint of its own.
        phase: where it is.
        owner_id: the user who created it, None for an anonymous job.
        owner: that user's name.
        run_id: the creator's own mark, None if there is none.
        created, started, ended: UTC; None where that has not happened.
        execution_duration: how long it may run [s].
        destruction: when it will be destroyed with its results, UTC.
        parameters: names in upper case, and values, in order.
        results: what it has produced.
        failure: why it failed, None if it has not.
        progress: how far it has come, name to number; None where its kind does not tell.
    """

    id: str
    kind: str
    phase: Phase
    owner_id: int | None
    owner: str | None
    run_id: str | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    execution_duration: int
    destruction: datetime
    parameters: tuple[tuple[str, str], ...] = ()
    results: tuple[Result, ...] = ()
    failure: Failure | None = None
    progress: Mapping[str, int] | None = None

    @property
    def shown_id(self) -> str:
        """What those get to see who may see other people's jobs: the id of an anonymous one is its key."""
        return self.id if self.owner_id is not None else public_name(self.id)


def public_name(job_id: str) -> str:
    """Return the name of an anonymous job, from which its id cannot be found."""
    return hashlib.sha256(job_id.encode()).hexdigest()[:PUBLIC_NAME_DIGITS]


def timestamp(moment: datetime | None) -> str:
    """Return a moment in UTC with milliseconds and a Z; empty for None (UWS 1.1 section 2.2.1)."""
    if moment is None:
        return ""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def moment(text: str, name: str) -> datetime:
    """Return the moment that a parameter of this name gives, in UTC; UTC, too, where it has no time zone.

    Raises:
        UsageFault: it is not a date and time of ISO 8601.
    """
    try:
        given = datetime.fromisoformat(text.strip())
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageFault(
            f"{name}={text!r} is not a date and time.", "Give UTC as in 2026-01-31T12:00:00Z."
        ) from None


def phase(text: str) -> Phase:
    """Return the phase of that name.

    Raises:
        UsageFault: there is none.
    """
    try:
        return Phase(text.strip().upper())
    except ValueError:
        raise UsageFault(f"PHASE={text!r} is unknown.", f"Phases: {', '.join(Phase)}.") from None


def check_text(name: str, value: str) -> None:
    """Refuse a parameter that no XML document could give back (XML 1.0 section 2.2).

    Raises:
        UsageFault: the name or the value holds a control character.
    """
    try:
        etree.Element("parameter", id=name).text = value
    except ValueError:
        raise UsageFault(
            f"The parameter {name!r} holds a character that XML does not allow.", "Remove control characters."
        ) from None


def job_list(jobs: Iterable[Job], url: str) -> bytes:
    """Return the document of a job list (section 2.2.2.1); ``url`` is that of the list."""
    root = _root("jobs")
    root.set("version", VERSION)
    for job in jobs:
        reference = _add(root, "jobref", id=job.id)
        _link(reference, f"{url}/{job.id}")
        _add(reference, "phase", job.phase)
        if job.run_id is not None:
            _add(reference, "runId", job.run_id)
        _add_nillable(reference, "ownerId", job.owner)
        _add(reference, "creationTime", timestamp(job.created))
    return _serialised(root)


def job(job: Job, url: str) -> bytes:
    """Return the document of a job (section 2.2.2.2); ``url`` is that of the job."""
    root = _root("job")
    root.set("version", VERSION)
    _add(root, "jobId", job.id)
    if job.run_id is not None:
        _add(root, "runId", job.run_id)
    _add_nillable(root, "ownerId", job.owner)
    _add(root, "phase", job.phase)
    _add_nillable(root, "quote", None)
    _add(root, "creationTime", timestamp(job.created))
    _add_nillable(root, "startTime", timestamp(job.started))
    _add_nillable(root, "endTime", timestamp(job.ended))
    _add(root, "executionDuration", str(job.execution_duration))
    _add(root, "destruction", timestamp(job.destruction))
    _fill_parameters(_add(root, "parameters"), job)
    _fill_results(_add(root, "results"), job, url)
    if job.failure:
        kind = "transient" if job.failure.transient else "fatal"
        _add(_add(root, "errorSummary", type=kind, hasDetail="true"), "message", job.failure.message)
    if job.progress:
        info = _add(root, "jobInfo")
        for name, count in job.progress.items():
            etree.SubElement(info, name).text = str(count)
    return _serialised(root)


def parameters(job: Job) -> bytes:
    """Return the document of a job's parameters (section 2.2.2.4)."""
    root = _root("parameters")
    _fill_parameters(root, job)
    return _serialised(root)


def results(job: Job, url: str) -> bytes:
    """Return the document of a job's results (section 2.2.2.3); ``url`` is that of the job."""
    root = _root("results")
    _fill_results(root, job, url)
    return _serialised(root)


def _fill_parameters(element: etree._Element, job: Job) -> None:
    for name, value in job.parameters:
        _add(element, "parameter", value, id=name)


def _fill_results(element: etree._Element, job: Job, url: str) -> None:
    for result in job.results:
        reference = _add(element, "result", id=result.id)
        _link(reference, f"{url}/results/{result.id}")
        reference.set("mime-type", result.media_type)
        if result.size is not None:
            reference.set("size", str(result.size))


def _root(name: str) -> etree._Element:
    return etree.Element(f"{{{_UWS}}}{name}", nsmap=_NAMESPACES)


def _add(parent: etree._Element, name: str, text: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{_UWS}}}{name}", attributes)
    element.text = text
    return element


def _add_nillable(parent: etree._Element, name: str, text: str | None) -> None:
    element = _add(parent, name, text or None)
    if not text:
        element.set(f"{{{_XSI}}}nil", "true")


def _link(element: etree._Element, url: str) -> None:
    element.set(f"{{{_XLINK}}}type", "simple")
    element.set(f"{{{_XLINK}}}href", url)


def _serialised(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
