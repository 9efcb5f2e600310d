"""Looking after the archive: health, settings, what ingest left over, maintenance, and the banner."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ost_vo.services import administration, banner, overrides, reconciling
from ost_vo.services.engine import Engine
from ost_vo.services.reconciling import Comparison
from ost_vo.store.alarms import Alarm
from ost_vo.vo.uws import Phase
from ost_vo.web.api.callers import Accounts, ArchiveOf, Scoped, ScopeOf, User
from ost_vo.web.api.fields import Body, Changed, Flag, Identifier, Reason, ReasonQuery, Text
from ost_vo.web.api.problems import refusals

router = APIRouter(tags=["administration"])

_Limit = Annotated[int, Field(ge=1, le=administration.MAX_PAGE, description="Entries on a page.")]
_Next = "`cursor` of the next page; null on the last."
_Job = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]


class Part(BaseModel):
    """A part of the archive."""

    name: str
    is_sound: bool
    told: str


class Finding(BaseModel):
    """Something that is wrong, and what to do."""

    subject: str
    problem: str
    remedy: str


class ListedAlarm(Finding):
    """Something that the watcher has found to be wrong."""

    since: datetime


class Space(BaseModel):
    """What room there is on a disk."""

    name: Literal["state", "data"]
    free: int = Field(description="[byte]")
    total: int = Field(description="[byte]")


class PhaseCount(BaseModel):
    """How many jobs of a kind are in a phase."""

    kind: str
    phase: str
    jobs: int


class Numbers(BaseModel):
    """What the database tells."""

    jobs: list[PhaseCount]
    queue_seconds: dict[str, float] = Field(
        description="By the kind of job: how long the first one in the queue has waited [s]."
    )
    products: int = Field(description="About how many there are.")
    quarantine: int = Field(description="Files that could not be ingested.")
    ingest_lag_seconds: float | None = Field(
        description="Median time from a file's change to its ingest [s]."
    )
    ingest_age_seconds: float | None = Field(description="Since the newest product was ingested [s].")
    bytes: int = Field(description="Size of the database [byte].")


class Replica(BaseModel):
    """A server that follows the database."""

    name: str
    state: str = Field(description="Of the stream: startup, catchup, streaming, backup or stopping.")
    lag_bytes: int | None = Field(description="Log that it has not replayed [byte].")
    lag_seconds: float | None = Field(
        description="How long after the database it replayed the last change [s]; null without one lately."
    )


class Health(BaseModel):
    """How the archive is."""

    is_sound: bool
    parts: list[Part]
    findings: list[Finding]
    alarms: list[ListedAlarm]
    disks: list[Space]
    numbers: Numbers | None = Field(description="Null where the database does not answer.")
    replicas: list[Replica]
    versions: dict[str, str]


class ListedSetting(BaseModel):
    """A setting; secrets are masked."""

    name: str
    value: str
    description: str
    is_default: bool


class PageQuery(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: _Limit = 100
    cursor: Text | None = Field(None, description="`next` of the page before.")


class MissingQuery(Scoped):
    """Which page of the missing files, in which context."""

    limit: _Limit = 100
    cursor: Identifier | None = Field(None, description="`next` of the page before.")


class SolvingQuery(BaseModel):
    """Which attempts of plate solving to list."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["done", "failed", "none", "absent"] | None = Field(
        None, description="In that state alone."
    )
    limit: _Limit = 100
    cursor: int | None = Field(None, ge=1, le=2**63 - 1, description="`next` of the page before.")


class QuarantinedFile(BaseModel):
    """A file that could not be ingested."""

    path: str
    reason: str
    since: datetime


class QuarantinePage(BaseModel):
    """Some files in quarantine, by path."""

    files: list[QuarantinedFile]
    next: str | None = Field(description=_Next)


class MissingFile(BaseModel):
    """A product whose file is missing."""

    identifier: str
    path: str
    file_size: int = Field(description="[byte]")
    since: datetime


class MissingPage(BaseModel):
    """Some products whose files are missing, by identifier."""

    files: list[MissingFile]
    next: str | None = Field(description=_Next)


class ListedEvent(BaseModel):
    """A problem that was met with the file of a product."""

    identifier: str
    path: str
    problem: Literal["missing", "changed", "unreadable"]
    detail: str
    times: int = Field(description="How often it was met.")
    first_seen: datetime
    last_seen: datetime


class EventPage(BaseModel):
    """Some problems with files, the latest first."""

    events: list[ListedEvent]
    next: str | None = Field(description=_Next)


class Attempt(BaseModel):
    """What came of plate solving of a product."""

    identifier: str
    path: str
    state: str = Field(description="done, failed, none or absent.")
    reason: str | None
    moment: datetime


class AttemptPage(BaseModel):
    """What came of plate solving of some products."""

    attempts: list[Attempt]
    next: int | None = Field(description=_Next)


class Chosen(Body):
    """Products to do something with."""

    identifiers: Annotated[list[Identifier], Field(min_length=1, max_length=overrides.MAX_PRODUCTS)]
    reason: Reason = ""


class NewComparison(Body):
    """How to compare archive and disk."""

    is_rehearsal: Flag = Field(True, description="Only say what would be done.")


class ListedComparison(BaseModel):
    """A comparison of archive and disk."""

    job_id: str
    phase: Phase
    is_rehearsal: bool
    created: datetime
    started: datetime | None
    ended: datetime | None
    error: str | None
    report: str | None = Field(description="What differed; null before it has ended, and in lists.")


class ShownBanner(BaseModel):
    """What stands at the top of every page; nulls where there is nothing to say."""

    message: str | None
    severity: banner.Severity | None
    since: datetime | None


class NewBanner(Body):
    """What is to stand at the top of every page."""

    message: Annotated[Text, Field(min_length=1, max_length=banner.MAX_MESSAGE)]
    severity: banner.Severity = "info"
    reason: Reason = ""


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


_EngineOf = Annotated[Engine, Depends(_engine)]


@router.get("/admin/health", responses=refusals(401, 403))
def get_health(archive: ArchiveOf, actor: User) -> Health:
    """Look the archive over, with the permission system_health_view."""
    found = administration.health(archive, actor)
    numbers = found.measures
    return Health(
        is_sound=found.is_sound,
        parts=[Part(name=part.name, is_sound=part.is_sound, told=part.told) for part in found.parts],
        findings=[
            Finding(subject=one.subject, problem=one.problem, remedy=one.remedy) for one in found.findings
        ],
        alarms=[_alarm(alarm) for alarm in found.alarms],
        disks=[Space.model_validate(disk, from_attributes=True) for disk in found.disks],
        numbers=Numbers(
            jobs=[
                PhaseCount(kind=kind, phase=phase, jobs=count)
                for (kind, phase), count in numbers.jobs.items()
            ],
            queue_seconds=dict(numbers.queue_seconds),
            products=numbers.products,
            quarantine=numbers.quarantine,
            ingest_lag_seconds=numbers.ingest_lag_seconds,
            ingest_age_seconds=numbers.ingest_age_seconds,
            bytes=numbers.bytes,
        )
        if numbers
        else None,
        replicas=[Replica.model_validate(one, from_attributes=True) for one in found.replicas],
        versions=dict(found.versions),
    )


@router.get("/admin/alarms", responses=refusals(401, 403))
def list_alarms(actor: User, database: Accounts) -> list[ListedAlarm]:
    """List what the watcher has found to be wrong, with the permission system_health_view."""
    return [_alarm(alarm) for alarm in administration.alarms_of(database, actor)]


@router.get("/admin/settings", responses=refusals(401, 403))
def list_settings(archive: ArchiveOf, actor: User) -> list[ListedSetting]:
    """List the settings, secrets masked, with the permission system_settings_view."""
    return [
        ListedSetting.model_validate(setting, from_attributes=True)
        for setting in administration.settings_of(archive, actor)
    ]


@router.get("/admin/quarantine", responses=refusals(400, 401, 403))
def list_quarantine(actor: User, database: Accounts, wanted: Annotated[PageQuery, Query()]) -> QuarantinePage:
    """List the files that could not be ingested, with the permission datafiles_reevaluate."""
    found, following = administration.quarantine(database, actor, wanted.cursor, wanted.limit)
    files = [QuarantinedFile.model_validate(entry, from_attributes=True) for entry in found]
    return QuarantinePage(files=files, next=following)


@router.get("/admin/missing", responses=refusals(400, 401, 403))
def list_missing(
    archive: ArchiveOf, context: ScopeOf, actor: User, wanted: Annotated[MissingQuery, Query()]
) -> MissingPage:
    """List products whose files are missing, with the permission maintenance_orphans."""
    found, following = administration.missing(archive, context, actor, wanted.cursor, wanted.limit)
    files = [MissingFile.model_validate(lost, from_attributes=True) for lost in found]
    return MissingPage(files=files, next=following)


@router.get("/file-events", responses=refusals(400, 401, 403))
def list_file_events(actor: User, database: Accounts, wanted: Annotated[PageQuery, Query()]) -> EventPage:
    """List files that were missing, changed or unreadable when somebody wanted them.

    Those of products that the caller sees, with the permission maintenance_orphans.
    """
    found, following = administration.events_of_files(database, actor, wanted.cursor, wanted.limit)
    events = [ListedEvent.model_validate(event, from_attributes=True) for event in found]
    return EventPage(events=events, next=following)


@router.get("/admin/solving", responses=refusals(400, 401, 403))
def list_attempts(actor: User, database: Accounts, wanted: Annotated[SolvingQuery, Query()]) -> AttemptPage:
    """List what came of plate solving, with the permission datafiles_plate_solve."""
    found, following = administration.attempts(
        database, actor, state=wanted.state, after=wanted.cursor, limit=wanted.limit
    )
    attempts = [Attempt.model_validate(attempt, from_attributes=True) for attempt in found]
    return AttemptPage(attempts=attempts, next=following)


@router.post("/admin/solving", responses=refusals(400, 401, 403, 404, 409))
def solve_again(archive: ArchiveOf, actor: User, wanted: Chosen) -> Changed:
    """Try plate solving of products anew, with the permission datafiles_plate_solve; all or none."""
    return Changed(changed=administration.solve_again(archive, actor, wanted.identifiers, wanted.reason))


@router.get("/admin/reconcile", responses=refusals(401, 403))
def list_comparisons(actor: User, engine: _EngineOf) -> list[ListedComparison]:
    """List the caller's comparisons of archive and disk, the latest first."""
    return [_comparison(one) for one in reconciling.listing(engine.jobs, actor)]


@router.post("/admin/reconcile", status_code=202, responses=refusals(400, 401, 403))
def compare(actor: User, engine: _EngineOf, wanted: NewComparison) -> ListedComparison:
    """Have archive and disk compared, and made to agree where it is no rehearsal.

    It takes the permission maintenance_reconcile; for a rehearsal, maintenance_orphans will do.
    """
    job_id = reconciling.begin(engine.jobs, actor, rehearse=wanted.is_rehearsal)
    return _comparison(reconciling.get(engine.jobs, actor, job_id))


@router.get("/admin/reconcile/{job_id}", responses=refusals(400, 401, 403, 404))
def get_comparison(actor: User, engine: _EngineOf, job_id: _Job) -> ListedComparison:
    """Return a comparison of the caller's, with its report where it has ended."""
    return _comparison(reconciling.get(engine.jobs, actor, job_id))


@router.post("/admin/cleanup", status_code=204, response_class=Response, responses=refusals(401, 403))
def clean_up(actor: User, engine: _EngineOf) -> None:
    """Destroy the jobs that are due with their results, with the permission maintenance_cleanup."""
    administration.clean_up(engine.worker, actor)


@router.get("/banner", responses=refusals())
def get_banner(database: Accounts) -> ShownBanner:
    """Return what stands at the top of every page."""
    return _banner(database)


@router.put("/banner", responses=refusals(400, 401, 403))
def put_banner(actor: User, database: Accounts, wanted: NewBanner) -> ShownBanner:
    """Say something at the top of every page, with the permission banner_manage."""
    banner.put(database, actor, wanted.message, wanted.severity, wanted.reason)
    return _banner(database)


@router.delete("/banner", status_code=204, response_class=Response, responses=refusals(400, 401, 403))
def clear_banner(actor: User, database: Accounts, reason: ReasonQuery = "") -> None:
    """Say nothing any more, with the permission banner_manage."""
    banner.clear(database, actor, reason)


def _banner(database: Accounts) -> ShownBanner:
    found = banner.get(database)
    if found is None:
        return ShownBanner(message=None, severity=None, since=None)
    return ShownBanner.model_validate(found, from_attributes=True)


def _alarm(alarm: Alarm) -> ListedAlarm:
    return ListedAlarm.model_validate(alarm, from_attributes=True)


def _comparison(one: Comparison) -> ListedComparison:
    job = one.job
    return ListedComparison(
        job_id=job.id,
        phase=job.phase,
        is_rehearsal=one.is_rehearsal,
        created=job.created,
        started=job.started,
        ended=job.ended,
        error=job.failure.message if job.failure else None,
        report=one.report,
    )
