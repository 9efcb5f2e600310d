"""Jobs in the database. A phase changes by compare-and-set only: an UPDATE that names the phase it expects.

So of two that want to change a job, one wins and the other learns that it lost. A running attempt is known by
a token; what belongs to an attempt is written only while the job still names that token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extras import DictCursor, DictRow, Json

from ost_vo.faults import FatalFault
from ost_vo.store.connections import Database
from ost_vo.store.database_faults import fault_of
from ost_vo.store.transactions import apply
from ost_vo.vo.uws import PUBLIC_NAME_DIGITS, Failure, Job, Phase, Result, sources

# The channel on which the database tells of every change of phase, as "<job> <phase>", or "<job> DELETED".
CHANNEL = "ost_jobs"
DELETED = "DELETED"

Parameter = tuple[str, str]

NOBODY: Mapping[str, str] = {}
# By what an anonymous job goes where its id, which is its key, must not be shown.
_PUBLIC_NAME = f"left(encode(sha256(job_id::bytea), 'hex'), {PUBLIC_NAME_DIGITS})"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be created.

    Its attributes are those of :class:`Job`, the choice of its context, and the address by which an anonymous
    creator is counted where there is a limit for addresses.
    """

    id: str
    kind: str
    phase: Phase
    owner_id: int | None
    context: Mapping[str, Any]
    run_id: str | None
    parameters: Sequence[Parameter]
    execution_duration: int
    destruction: datetime
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Active:
    """How many jobs of a kind are QUEUED or EXECUTING.

    Attributes:
        total: in all.
        of_owner: of one user, or of all anonymous callers.
        of_address: of anonymous callers from one address.
    """

    total: int
    of_owner: int
    of_address: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What decides in which context a job runs.

    Attributes:
        owner_id: the user who created it, None for anonymous.
        context: what the caller who created it had chosen.
        parameters: names in upper case, and values.
    """

    owner_id: int | None
    context: Mapping[str, Any]
    parameters: Sequence[Parameter]


# Refuses one more job, by a fault, where there are enough.
Admission = Callable[[Active], None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that a worker has taken.

    Attributes:
        job: as it was when it began to execute.
        context: what the caller who created it had chosen.
        token: of this attempt.
    """

    job: Job
    context: Mapping[str, Any]
    token: str


class JobStore:
    """The table of jobs.

    Every method raises a TransientFault when the database cannot be reached.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, job: NewJob, admission: Admission | None = None) -> None:
        """Add a job, PENDING or QUEUED.

        Args:
            job: the job.
            admission: what a QUEUED one needs; nobody else's is let in meanwhile.
        """
        values = {
            **asdict(job),
            "phase": job.phase.value,
            "context": Json(job.context),
            "parameters": Json([list(pair) for pair in job.parameters]),
        }
        statement = """
            INSERT INTO archive.jobs (job_id, kind, phase, owner_id, context, run_id, parameters,
                execution_duration, destruction, address, queued, heartbeat)
            SELECT %(id)s, %(kind)s, %(phase)s, %(owner_id)s, %(context)s, %(run_id)s, %(parameters)s,
                %(execution_duration)s, %(destruction)s, %(address)s, moment, moment
            FROM (SELECT CASE WHEN %(phase)s = 'QUEUED' THEN clock_timestamp() END AS moment) AS queueing"""
        with self._transaction() as cursor:
            if admission and job.phase is Phase.QUEUED:
                admission(_active(cursor, job.kind, job.owner_id, job.address))
            cursor.execute(statement, values)

    def get(self, job_id: str) -> Job | None:
        """Return a job, None if there is none of that id."""
        statement = """
            SELECT jobs.*, users.name AS owner
            FROM archive.jobs LEFT JOIN archive.users ON users.user_id = jobs.owner_id
            WHERE job_id = %s"""
        with self._transaction() as cursor:
            cursor.execute(statement, (job_id,))
            row = cursor.fetchone()
        return _job(row) if row else None

    def listing(
        self,
        kind: str,
        owner_id: int,
        phases: Iterable[Phase],
        after: datetime | None,
        last: int | None,
    ) -> list[Job]:
        """Return jobs of one kind and owner, the newest first (UWS 1.1 section 2.2.2.1).

        Args:
            kind: of the jobs.
            owner_id: whose.
            phases: the phases that count.
            after: only those created later, None for all.
            last: this many at most, None for all.
        """
        values = {
            "kind": kind,
            "owner": owner_id,
            "phases": [phase.value for phase in phases],
            "after": after,
            "last": last,
        }
        statement = """
            SELECT jobs.*, users.name AS owner
            FROM archive.jobs LEFT JOIN archive.users ON users.user_id = jobs.owner_id
            WHERE kind = %(kind)s AND owner_id = %(owner)s AND phase = ANY (%(phases)s)
                AND (%(after)s::timestamptz IS NULL OR jobs.created > %(after)s)
            ORDER BY jobs.created DESC, job_id LIMIT %(last)s"""
        with self._transaction() as cursor:
            cursor.execute(statement, values)
            return [_job(row) for row in cursor.fetchall()]

    def anonymous(self, public_name: str) -> Job | None:
        """Return the anonymous job with a public name, None if there is none."""
        statement = f"""
            SELECT jobs.*, NULL AS owner FROM archive.jobs
            WHERE owner_id IS NULL AND {_PUBLIC_NAME} = %s"""  # noqa: S608 - an expression written here
        with self._transaction() as cursor:
            cursor.execute(statement, (public_name,))
            row = cursor.fetchone()
        return _job(row) if row else None

    def page(
        self,
        owner_id: int | None,
        *,
        kind: str | None = None,
        phases: Iterable[Phase] = tuple(Phase),
        owner: str | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int,
    ) -> list[Job]:
        """Return jobs of all kinds, the newest first.

        Args:
            owner_id: whose; None for everybody's.
            kind: the only kind to list, None for all.
            phases: the phases that count.
            owner: name of the only owner to list, '' for anonymous ones, None for all.
            before: creation time and public name of a job that the listed ones come behind, None for all.
            limit: the most to return.
        """
        moment, name = before or (None, None)
        values = {
            "owner_id": owner_id,
            "kind": kind,
            "phases": [phase.value for phase in phases],
            "owner": owner,
            "moment": moment,
            "name": name,
            "limit": limit,
        }
        statement = f"""
            SELECT jobs.*, users.name AS owner
            FROM archive.jobs LEFT JOIN archive.users ON users.user_id = jobs.owner_id
            WHERE (%(owner_id)s::int IS NULL OR owner_id = %(owner_id)s)
                AND (%(kind)s::text IS NULL OR kind = %(kind)s) AND phase = ANY (%(phases)s)
                AND (%(owner)s::text IS NULL OR coalesce(users.name, '') = %(owner)s)
                AND (%(moment)s::timestamptz IS NULL
                    OR (jobs.created, {_PUBLIC_NAME}) < (%(moment)s::timestamptz, %(name)s))
            ORDER BY jobs.created DESC, {_PUBLIC_NAME} DESC LIMIT %(limit)s"""  # noqa: S608 - as above
        with self._transaction() as cursor:
            cursor.execute(statement, values)
            return [_job(row) for row in cursor.fetchall()]

    def queued(self, kind: str, owner_id: int | None) -> int:
        """Return how many jobs of one kind and owner, None for anonymous callers, wait to be run."""
        statement = """
            SELECT count(*) FROM archive.jobs
            WHERE phase = 'QUEUED' AND kind = %s AND owner_id IS NOT DISTINCT FROM %s"""
        with self._transaction() as cursor:
            cursor.execute(statement, (kind, owner_id))
            return sum(row[0] for row in cursor.fetchall())

    def queue(self, job_id: str, admission: Admission | None = None) -> bool:
        """Commit a job that is PENDING or HELD for execution; return whether it was.

        Args:
            job_id: the job.
            admission: as for :meth:`create`.
        """
        waiting = "job_id = %(job)s AND phase IN ('PENDING', 'HELD')"
        statement = f"""
            UPDATE archive.jobs SET phase = 'QUEUED', queued = clock_timestamp(),
                heartbeat = clock_timestamp()
            WHERE {waiting} RETURNING job_id"""  # noqa: S608 - a condition written here
        with self._transaction() as cursor:
            if admission:
                about = f"SELECT kind, owner_id, address FROM archive.jobs WHERE {waiting}"  # noqa: S608
                cursor.execute(about, {"job": job_id})
                row = cursor.fetchone()
                if row is None:
                    return False
                admission(_active(cursor, *row))
            cursor.execute(statement, {"job": job_id})
            return cursor.fetchone() is not None

    def abort(self, job_id: str, signature: Mapping[str, str] = NOBODY) -> bool:
        """End a job that has not come to an end; return whether there was one to end.

        Args:
            job_id: the job.
            signature: of somebody who is not its owner, for the audit log (``transactions.signature``).
        """
        return self._changed(
            """
            UPDATE archive.jobs SET phase = 'ABORTED', ended = clock_timestamp()
            WHERE job_id = %(job)s AND phase = ANY (%(before)s) RETURNING job_id""",
            {"job": job_id, "before": [phase.value for phase in sources(Phase.ABORTED)]},
            signature,
        )

    def delete(self, job_id: str, signature: Mapping[str, str] = NOBODY) -> bool:
        """Forget a job; return whether there was one. Arguments are those of :meth:`abort`."""
        statement = "DELETE FROM archive.jobs WHERE job_id = %(job)s RETURNING job_id"
        return self._changed(statement, {"job": job_id}, signature)

    def change_parameters(
        self, job_id: str, change: Callable[[Sequence[Parameter]], Sequence[Parameter]], run_id: str | None
    ) -> bool:
        """Change the parameters of a job that is PENDING; return whether it was.

        Args:
            job_id: the job.
            change: from the old parameters to the new ones.
            run_id: a new one, None to keep what there is.
        """
        with self._transaction() as cursor:
            cursor.execute(
                "SELECT parameters FROM archive.jobs WHERE job_id = %s AND phase = 'PENDING' FOR UPDATE",
                (job_id,),
            )
            row = cursor.fetchone()
            if row is None:
                return False
            parameters = change([(name, value) for name, value in row["parameters"]])
            cursor.execute(
                "UPDATE archive.jobs SET parameters = %s, run_id = coalesce(%s, run_id) WHERE job_id = %s",
                (Json([list(pair) for pair in parameters]), run_id, job_id),
            )
            return True

    def set_execution_duration(self, job_id: str, seconds: int) -> bool:
        """Say how long a job may run; return whether it had not begun to."""
        return self._changed(
            """
            UPDATE archive.jobs SET execution_duration = %(seconds)s
            WHERE job_id = %(job)s AND phase IN ('PENDING', 'HELD', 'QUEUED') RETURNING job_id""",
            {"job": job_id, "seconds": seconds},
        )

    def set_destruction(self, job_id: str, moment: datetime, signature: Mapping[str, str] = NOBODY) -> bool:
        """Say when a job will be destroyed; return whether there is such a job.

        Args:
            job_id: the job.
            moment: when, UTC.
            signature: as for :meth:`abort`.
        """
        return self._changed(
            "UPDATE archive.jobs SET destruction = %(moment)s WHERE job_id = %(job)s RETURNING job_id",
            {"job": job_id, "moment": moment},
            signature,
        )

    def first_in_queue(self, kinds: Sequence[str]) -> str | None:
        """Return the job of certain kinds that has been QUEUED longest; None if none is."""
        statement = """
            SELECT job_id FROM archive.jobs WHERE phase = 'QUEUED' AND kind = ANY (%s)
            ORDER BY queued LIMIT 1"""
        with self._transaction() as cursor:
            cursor.execute(statement, (list(kinds),))
            row = cursor.fetchone()
        return row["job_id"] if row else None

    def claim(self, kinds: Sequence[str], token: str) -> Claim | None:
        """Take the job that has been QUEUED longest; None if there is none to take.

        Args:
            kinds: the kinds that the worker can run.
            token: for the attempt that begins.
        """
        statement = """
            UPDATE archive.jobs SET phase = 'EXECUTING', started = clock_timestamp(), worker = %(token)s,
                heartbeat = clock_timestamp(), attempts = attempts + 1
            WHERE phase = 'QUEUED' AND job_id = (
                SELECT job_id FROM archive.jobs
                WHERE phase = 'QUEUED' AND kind = ANY (%(kinds)s)
                ORDER BY queued LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING jobs.*, NULL AS owner"""
        with self._transaction() as cursor:
            cursor.execute(statement, {"kinds": list(kinds), "token": token})
            row = cursor.fetchone()
        return Claim(_job(row), row["context"], token) if row else None

    def beat(self, tokens: Iterable[str]) -> set[str]:
        """Give a sign of life for attempts; return those that still are the ones that run their jobs."""
        statement = """
            UPDATE archive.jobs SET heartbeat = clock_timestamp()
            WHERE phase = 'EXECUTING' AND worker = ANY (%s) RETURNING worker"""
        with self._transaction() as cursor:
            cursor.execute(statement, (list(tokens),))
            return {row["worker"] for row in cursor.fetchall()}

    @contextmanager
    def completing(self, claim: Claim, results: Sequence[Result]) -> Iterator[bool]:
        """Complete a job at the end of the block, which gets to know whether this attempt may do so.

        Meanwhile nobody else can change the job, so that the block can put its results in place.
        """
        statement = """
            UPDATE archive.jobs SET phase = 'COMPLETED', ended = clock_timestamp(), results = %(results)s
            WHERE job_id = %(job)s AND phase = 'EXECUTING' AND worker = %(token)s RETURNING job_id"""
        values = {
            "job": claim.job.id,
            "token": claim.token,
            "results": Json([asdict(result) for result in results]),
        }
        with self._transaction() as cursor:
            cursor.execute(statement, values)
            yield cursor.fetchone() is not None

    def fail(self, claim: Claim, phase: Phase, failure: Failure) -> bool:
        """End an attempt with ERROR or ABORTED; return whether it still ran the job."""
        if phase not in (Phase.ERROR, Phase.ABORTED):
            raise FatalFault(f"A job does not fail into the phase {phase}.")
        return self._changed(
            """
            UPDATE archive.jobs SET phase = %(phase)s, ended = clock_timestamp(), failure_code = %(code)s,
                failure_message = %(message)s, failure_transient = %(transient)s
            WHERE job_id = %(job)s AND phase = 'EXECUTING' AND worker = %(token)s RETURNING job_id""",
            {"job": claim.job.id, "token": claim.token, "phase": phase.value, **asdict(failure)},
        )

    def report(self, claim: Claim, progress: Mapping[str, int]) -> None:
        """Tell how far an attempt has come, if it still runs the job."""
        self._changed(
            """
            UPDATE archive.jobs SET progress = %(progress)s
            WHERE job_id = %(job)s AND phase = 'EXECUTING' AND worker = %(token)s RETURNING job_id""",
            {"job": claim.job.id, "token": claim.token, "progress": Json(progress)},
        )

    def origin(self, job_id: str) -> Origin | None:
        """Return who created a job and how; None if there is no such job."""
        with self._transaction() as cursor:
            cursor.execute(
                "SELECT owner_id, context, parameters FROM archive.jobs WHERE job_id = %s", (job_id,)
            )
            row = cursor.fetchone()
        if row is None:
            return None
        return Origin(row["owner_id"], row["context"], [(name, value) for name, value in row["parameters"]])

    def release(self, job_id: str, token: str) -> bool:
        """Give a job back to the queue, as if this attempt had not been; return whether it ran the job."""
        return self._changed(
            """
            UPDATE archive.jobs SET phase = 'QUEUED', started = NULL, worker = NULL, attempts = attempts - 1
            WHERE job_id = %(job)s AND phase = 'EXECUTING' AND worker = %(token)s RETURNING job_id""",
            {"job": job_id, "token": token},
        )

    def requeue_lost(self, seconds: float, attempts: int, failure: Failure) -> list[tuple[str, Phase]]:
        """Take jobs from workers that give no sign of life: back to the queue, or to ERROR.

        Args:
            seconds: silence after which a worker counts as dead [s].
            attempts: how often a job is tried.
            failure: what a job that used them up ends with.

        Returns:
            The jobs and their new phases.
        """
        statement = """
            UPDATE archive.jobs SET worker = NULL, heartbeat = clock_timestamp(),
                phase = CASE WHEN attempts < %(attempts)s THEN 'QUEUED' ELSE 'ERROR' END,
                started = CASE WHEN attempts < %(attempts)s THEN NULL ELSE started END,
                ended = CASE WHEN attempts < %(attempts)s THEN NULL ELSE clock_timestamp() END,
                failure_code = CASE WHEN attempts < %(attempts)s THEN NULL ELSE %(code)s END,
                failure_message = CASE WHEN attempts < %(attempts)s THEN NULL ELSE %(message)s END,
                failure_transient = CASE WHEN attempts < %(attempts)s THEN NULL ELSE %(transient)s END
            WHERE phase = 'EXECUTING' AND heartbeat < clock_timestamp() - make_interval(secs => %(seconds)s)
            RETURNING job_id, phase"""
        with self._transaction() as cursor:
            cursor.execute(statement, {"seconds": seconds, "attempts": attempts, **asdict(failure)})
            return [(row["job_id"], Phase(row["phase"])) for row in cursor.fetchall()]

    def waiting(self, seconds: float) -> list[str]:
        """Return QUEUED jobs of which workers were told longer ago than this [s]; they count as told now."""
        statement = """
            UPDATE archive.jobs SET heartbeat = clock_timestamp()
            WHERE phase = 'QUEUED' AND heartbeat < clock_timestamp() - make_interval(secs => %s)
            RETURNING job_id"""
        with self._transaction() as cursor:
            cursor.execute(statement, (seconds,))
            return [row["job_id"] for row in cursor.fetchall()]

    def destroy_expired(self) -> list[str]:
        """Forget the jobs whose time of destruction has come, and return them."""
        with self._transaction() as cursor:
            cursor.execute("DELETE FROM archive.jobs WHERE destruction <= clock_timestamp() RETURNING job_id")
            return [row["job_id"] for row in cursor.fetchall()]

    def existing(self, job_ids: Sequence[str]) -> set[str]:
        """Return those of the ids that belong to a job."""
        with self._transaction() as cursor:
            cursor.execute("SELECT job_id FROM archive.jobs WHERE job_id = ANY (%s)", (list(job_ids),))
            return {row["job_id"] for row in cursor.fetchall()}

    def _changed(
        self, statement: str, values: Mapping[str, Any], signature: Mapping[str, str] = NOBODY
    ) -> bool:
        with self._transaction() as cursor:
            apply(cursor, signature)
            cursor.execute(statement, values)
            return cursor.fetchone() is not None

    @contextmanager
    def _transaction(self) -> Iterator[DictCursor]:
        with self._database.connection() as connection:
            try:
                with connection.cursor(cursor_factory=DictCursor) as cursor:
                    yield cursor
                connection.commit()
            except psycopg2.Error as error:
                raise fault_of(error) from error


def _active(cursor: DictCursor, kind: str, owner_id: int | None, address: str | None) -> Active:
    """Count jobs; until the transaction ends, nobody else counts those of that kind."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('archive.jobs ' || %s))", (kind,))
    cursor.execute(
        """
        SELECT count(*), count(*) FILTER (WHERE owner_id IS NOT DISTINCT FROM %(owner)s),
            count(*) FILTER (WHERE owner_id IS NULL AND address = %(address)s)
        FROM archive.jobs WHERE phase IN ('QUEUED', 'EXECUTING') AND kind = %(kind)s""",
        {"kind": kind, "owner": owner_id, "address": address},
    )
    row = cursor.fetchone()
    assert row is not None
    return Active(*row)


def _job(row: DictRow) -> Job:
    failure = None
    if row["failure_message"] is not None:
        failure = Failure(row["failure_code"], row["failure_message"], row["failure_transient"])
    return Job(
        id=row["job_id"],
        kind=row["kind"],
        phase=Phase(row["phase"]),
        owner_id=row["owner_id"],
        owner=row["owner"],
        run_id=row["run_id"],
        created=row["created"],
        started=row["started"],
        ended=row["ended"],
        execution_duration=row["execution_duration"],
        destruction=row["destruction"],
        parameters=tuple((name, value) for name, value in row["parameters"]),
        results=tuple(Result(**result) for result in row["results"]),
        failure=failure,
        progress=row["progress"],
    )
