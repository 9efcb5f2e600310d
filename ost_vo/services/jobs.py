"""The jobs of callers: creating, listing and controlling them.

Source: UWS 1.1 sections 2.1 (objects), 2.2.2.1 (job list filters), 2.2.3 (requests that change a job).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ost_vo.access import jobs as access
from ost_vo.access.actor import Actor
from ost_vo.access.context import Context
from ost_vo.access.jobs import CANCEL_ANY, MODIFY_TTL, VIEW_ALL
from ost_vo.faults import AuthorizationFault, NotFoundFault, TransientFault, UsageFault
from ost_vo.services import policies, uploads
from ost_vo.services.archive import Archive
from ost_vo.services.execution import directory
from ost_vo.services.worker import Dispatch, dispatch_nowhere
from ost_vo.settings import Settings
from ost_vo.store.jobs import JobStore, NewJob
from ost_vo.store.transactions import signature
from ost_vo.vo import uws
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import FINAL, Job, Phase, Result

ID_BYTES = 16
RUN, ABORT = "RUN", "ABORT"
# Parameters that control a job and are none of its own (UWS 1.1 section 2.2.3).
CONTROL = ("PHASE", "RUNID", "ACTION")
RUN_ID_CHARACTERS = 256
# How many jobs a list shows at most: where nothing filters them, and where something does.
LISTED, MOST_LISTED = 1000, 10_000
_BETWEEN = "_"


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks for which job; attributes are the arguments of :meth:`Jobs.one`."""

    kind: str | None
    job_id: str
    caller: Context
    actor: Actor | None


@dataclass(frozen=True, slots=True)
class _Found:
    """A job that somebody may do something to.

    Attributes:
        job: the job.
        signature: of an administrator, for the audit log; nothing for the one whose job it is.
    """

    job: Job
    signature: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_anothers(self) -> bool:
        """Whether it is not the caller's own."""
        return bool(self.signature)


class Jobs:
    """The jobs that a caller may see and control.

    An anonymous job belongs to nobody: whoever knows its id may control it, and no list of callers shows it.
    A job of a user is that user's alone, but for administrators: with the permission jobs_view_all they see
    it, with jobs_cancel_any they may abort it, with jobs_ttl_modify say when it is destroyed. What they do
    goes into the audit log. They meet anonymous jobs by public names, from which no id can be found.

    Args:
        archive: the open archive.
        dispatch: tells a broker of a job that is QUEUED.
    """

    def __init__(self, archive: Archive, dispatch: Dispatch = dispatch_nowhere) -> None:
        self._settings = archive.settings
        self._store = JobStore(archive.jobs_database)
        self._dispatch = dispatch

    def create(self, kind: str, caller: Context, parameters: Parameters, address: str | None = None) -> str:
        """Create a job, and start it where the parameters say PHASE=RUN; return its id.

        Args:
            kind: of the job.
            caller: who asks.
            parameters: of the job, and those that control it.
            address: from where the request comes, for kinds that limit anonymous callers by it.

        Raises:
            UsageFault: a control parameter is wrong. What the job itself gets is looked at when it runs.
            TransientFault: too many jobs of the caller wait to be run.
        """
        phase = _requested_phase(parameters, (RUN,))
        if phase == RUN:
            _admit(self._settings, self._store, kind, caller.user_id or None)
        policy, owner_id = policies.of(self._settings, kind), caller.user_id or None
        job_id = secrets.token_hex(ID_BYTES)
        self._store.create(
            NewJob(
                id=job_id,
                kind=kind,
                phase=Phase.QUEUED if phase == RUN else Phase.PENDING,
                owner_id=owner_id,
                context=asdict(caller.choice),
                run_id=_run_id(parameters),
                parameters=_own_parameters(parameters),
                execution_duration=self._settings.job_seconds,
                destruction=datetime.now(UTC) + timedelta(days=policy.days),
                address=address if policy.counts_addresses and owner_id is None else None,
            ),
            policies.admission(self._settings, kind, owner_id),
        )
        if phase == RUN:
            self._dispatch(job_id)
        return job_id

    def one(self, kind: str | None, job_id: str, caller: Context, actor: Actor | None = None) -> OneJob:
        """Return a job as somebody asks for it, whether or not there is one.

        Args:
            kind: of the job; None for any, and then administrators may give the public name of an anonymous
                job for its id.
            job_id: as it was asked for.
            caller: who asks, in which context.
            actor: who asks, for the permissions; None for nobody who could have one.
        """
        return OneJob(self._settings, self._store, self._dispatch, _Asked(kind, job_id, caller, actor))

    def listing(self, kind: str, caller: Context, filters: Parameters) -> list[Job]:
        """Return the caller's jobs, the newest first, filtered by PHASE, AFTER and LAST.

        There are no more than LISTED where nothing filters them, and no more than MOST_LISTED where something
        does.

        Raises:
            UsageFault: a filter is wrong.
        """
        phases = {uws.phase(text) for text in filters.all("PHASE")} or set(Phase) - {Phase.ARCHIVED}
        after = filters.one("AFTER")
        last = filters.count("LAST")
        most = MOST_LISTED if filters.all("PHASE") or after else LISTED
        if not caller.user_id:
            return []
        return self._store.listing(
            kind,
            caller.user_id,
            phases,
            uws.moment(after, "AFTER") if after else None,
            min(most if last is None else last, MOST_LISTED),
        )

    def page(
        self,
        actor: Actor,
        *,
        everybody: bool = False,
        kind: str | None = None,
        phase: Phase | None = None,
        owner: str | None = None,
        before: str | None = None,
        limit: int = LISTED,
    ) -> list[Job]:
        """Return jobs of all kinds, the newest first: one's own, or with jobs_view_all everybody's.

        Args:
            actor: who asks.
            everybody: whether those of others are listed, too.
            kind: the only kind to list, None for all.
            phase: the only phase to list, None for all.
            owner: name of the only owner to list, '' for anonymous ones, None for all.
            before: ``place`` of the last job of the page before, None for the first page.
            limit: the most to return.

        Raises:
            AuthorizationFault: the permission, or the scope admin of a token, is missing.
            UsageFault: ``before`` is no place.
        """
        if everybody:
            actor.require(VIEW_ALL)
        return self._store.page(
            None if everybody else actor.user_id,
            kind=kind,
            phases=[phase] if phase else list(Phase),
            owner=owner,
            before=_behind(before) if before else None,
            limit=min(limit, MOST_LISTED),
        )


class OneJob:
    """A job that somebody asks for: seen, controlled, destroyed.

    All methods raise a NotFoundFault where there is no such job of that kind, and an AuthorizationFault where
    it is another's and the caller has not the permission. See :meth:`Jobs.one`.
    """

    def __init__(self, settings: Settings, store: JobStore, dispatch: Dispatch, asked: _Asked) -> None:
        self._settings = settings
        self._store = store
        self._dispatch = dispatch
        self._asked = asked

    def get(self) -> Job:
        """Return it."""
        return self._found(self._asked.actor).job

    def control(self, parameters: Parameters) -> None:
        """Start or abort it, as PHASE says; others' jobs can only be aborted.

        Starting a job that runs, and aborting one that has ended, change nothing.

        Raises:
            UsageFault: PHASE is wrong, or the job to start has ended.
            TransientFault: too many jobs of its owner wait to be run.
        """
        if _requested_phase(parameters, (RUN, ABORT), needed=True) == ABORT:
            self.abort()
            return
        job = self._own()
        if job.phase in (Phase.PENDING, Phase.HELD):
            _admit(self._settings, self._store, job.kind, job.owner_id)
        if self._store.queue(job.id, policies.admission(self._settings, job.kind, job.owner_id)):
            self._dispatch(job.id)
        elif (phase := self._own().phase) in FINAL:
            raise UsageFault(f"The job {job.id} has ended with {phase}.", "Create another one.")

    def abort(self, reason: str = "") -> Job:
        """Abort it, and return it as it is then; one that has ended stays as it is.

        Args:
            reason: why, for the audit log.
        """
        found = self._found(self._asked.actor, CANCEL_ANY, reason=reason)
        self._store.abort(found.job.id, found.signature)
        return self._store.get(found.job.id) or found.job

    def delete(self, reason: str = "") -> None:
        """Destroy it with its results and uploads, and abort it where it runs; reason as of :meth:`abort`."""
        found = self._found(self._asked.actor, CANCEL_ANY, MODIFY_TTL, reason=reason)
        job = found.job
        self._store.delete(job.id, found.signature)
        uploads.discard(self._settings, Parameters(job.parameters))
        shutil.rmtree(directory(self._settings, job.id), ignore_errors=True)

    def set_parameters(self, parameters: Parameters) -> None:
        """Give it new parameters; those of other names stay. Nobody does that for somebody else.

        Raises:
            UsageFault: the job is not PENDING any more.
        """
        job = self._own()
        new = _own_parameters(parameters)
        names = {name for name, _ in new}

        def changed(old: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
            return [*((name, value) for name, value in old if name not in names), *new]

        if not self._store.change_parameters(job.id, changed, _run_id(parameters)):
            raise UsageFault(
                f"The job {job.id} is not PENDING: its parameters cannot change any more.",
                "Create another one.",
            )

    def set_execution_duration(self, parameters: Parameters) -> None:
        """Say how long it may run; 0 and what is beyond the limit of the archive become that limit.

        Nobody does that for somebody else.

        Raises:
            UsageFault: EXECUTIONDURATION is no number of seconds, or the job has begun to run.
        """
        job = self._own()
        seconds = parameters.count("EXECUTIONDURATION")
        if seconds is None:
            raise UsageFault("EXECUTIONDURATION is missing.", "Give a number of seconds.")
        limit = self._settings.job_max_seconds
        if not self._store.set_execution_duration(job.id, min(seconds or limit, limit)):
            raise UsageFault(
                f"The job {job.id} has begun to run: its execution duration cannot change any more.",
                "Create another one.",
            )

    def set_destruction(self, parameters: Parameters) -> None:
        """Say by DESTRUCTION when it is destroyed; a time beyond the archive's limit becomes that limit.

        Raises:
            UsageFault: DESTRUCTION is no date and time.
        """
        text = parameters.one("DESTRUCTION")
        if text is None:
            raise UsageFault("DESTRUCTION is missing.", "Give a date and time in UTC.")
        self.keep_until(uws.moment(text, "DESTRUCTION"))

    def keep_until(self, moment: datetime, reason: str = "") -> Job:
        """Say when it is destroyed, and return it as it is then; reason as of :meth:`abort`."""
        found = self._found(self._asked.actor, MODIFY_TTL, reason=reason)
        days = policies.of(self._settings, found.job.kind).max_days
        latest = datetime.now(UTC) + timedelta(days=days)
        self._store.set_destruction(found.job.id, min(moment, latest), found.signature)
        return self._store.get(found.job.id) or found.job

    def result(self, result_id: str) -> tuple[Path, Result]:
        """Return the file of a result, which may be made only when it is sent, and what it is.

        Raises:
            NotFoundFault: the job has no such result.
            AuthorizationFault: it is another's, of a kind whose results nobody looks through.
        """
        found = self._found(self._asked.actor)
        job = found.job
        if found.is_anothers and not policies.of(self._settings, job.kind).is_looked_through:
            raise AuthorizationFault(
                f"The results of the job {self._asked.job_id} are its creator's alone.",
                "Its parameters are in its document: run it yourself.",
            )
        for result in job.results:
            if result.id == result_id:
                return directory(self._settings, job.id) / result.id, result
        raise NotFoundFault(f"The job {job.id} has no result {result_id!r}; its phase is {job.phase}.")

    def _found(self, actor: Actor | None, *permissions: str, reason: str = "") -> _Found:
        """Return the job, which the caller may see, and with these permissions do something to."""
        asked = self._asked
        kind, job_id = asked.kind, asked.job_id
        job = self._store.get(job_id) if job_id.isascii() else None
        if job is None and kind is None and actor is not None and actor.may(VIEW_ALL):
            job = self._store.anonymous(job_id)
            if job is None:
                raise _no_job(job_id)
            return _Found(job, signature(access.require(actor, job_id, *permissions), reason))
        if job is None or kind not in (None, job.kind):
            raise _no_job(job_id)
        if job.owner_id in (None, asked.caller.user_id):
            return _Found(job)
        return _Found(job, signature(access.require(actor, job_id, *permissions), reason))

    def _own(self) -> Job:
        """Return the job of the caller, whatever somebody may do to those of others."""
        return self._found(None).job


def _admit(settings: Settings, store: JobStore, kind: str, owner_id: int | None) -> None:
    """Refuse one more job for the queue where there are enough of its owner.

    Raises:
        TransientFault: there are.
    """
    most = settings.job_queue
    if store.queued(kind, owner_id) >= most:
        whose = "You have" if owner_id else "Callers who have not logged in have"
        raise TransientFault(
            f"{whose} {most} jobs in the queue, as many as may wait.",
            "Try again when some of them have run, or abort those that are not needed.",
        )


def place(job: Job) -> str:
    """Return where a job is in the list of all jobs, for those that come behind it."""
    return f"{uws.timestamp(job.created)}{_BETWEEN}{uws.public_name(job.id)}"


def _behind(text: str) -> tuple[datetime, str]:
    moment, _, name = text.partition(_BETWEEN)
    if "\0" in name:
        raise UsageFault(f"{text!r} is no place in the list.", "Give the one that the page before has told.")
    return uws.moment(moment, "cursor"), name


def _no_job(job_id: str) -> NotFoundFault:
    return NotFoundFault(f"There is no job {job_id}.", "It may have been destroyed.")


def _requested_phase(parameters: Parameters, known: Iterable[str], *, needed: bool = False) -> str | None:
    text = parameters.one("PHASE")
    if text is None and not needed:
        return None
    if text is None or text.strip().upper() not in known:
        raise UsageFault(
            f"PHASE={text or ''!r} asks for nothing that can be done.", f"Give {' or '.join(known)}."
        )
    return text.strip().upper()


def _run_id(parameters: Parameters) -> str | None:
    values = parameters.all("RUNID")
    if not values:
        return None
    uws.check_text("RUNID", values[-1])
    if len(values[-1]) > RUN_ID_CHARACTERS:
        raise UsageFault(f"RUNID has more than {RUN_ID_CHARACTERS} characters.", "Give a shorter one.")
    return values[-1]


def _own_parameters(parameters: Parameters) -> list[tuple[str, str]]:
    own = [(name, value) for name, value in parameters if name not in CONTROL]
    for name, value in own:
        uws.check_text(name, value)
    return own
