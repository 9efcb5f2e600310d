"""Looking after the archive: its health and settings, what ingest left over, and putting that right.

All of it is for those who have a permission for it, and with a token for the scope admin. Files in quarantine
belong to nobody yet, so all are shown; of products, those that the caller sees.
"""

from __future__ import annotations

import platform
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr

import ost_vo
from ost_vo.access.actor import Actor
from ost_vo.access.context import Context
from ost_vo.faults import ConflictFault, Fault, UsageFault
from ost_vo.services import doctor, overrides
from ost_vo.services.archive import Archive
from ost_vo.services.worker import Worker
from ost_vo.settings import Settings
from ost_vo.store import alarms, file_events, leftovers, schema
from ost_vo.store import overrides as words
from ost_vo.store.alarms import Alarm
from ost_vo.store.connections import Database
from ost_vo.store.diagnosis import Finding
from ost_vo.store.file_events import FileEvent, Place
from ost_vo.store.leftovers import Attempt, Lost
from ost_vo.store.measures import Measures, measures
from ost_vo.store.quarantine import Entry
from ost_vo.store.replication import Replica, replicas
from ost_vo.store.transactions import reading

HEALTH, SETTINGS = "system_health_view", "system_settings_view"
QUARANTINE, ORPHANS, CLEANUP = "datafiles_reevaluate", "maintenance_orphans", "maintenance_cleanup"
SOLVE = "datafiles_plate_solve"

# What there is to look after, and the permissions of which one opens it.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "health": (HEALTH,),
    "users": ("users_view",),
    "quarantine": (QUARANTINE,),
    "discrepancies": (QUARANTINE,),
    "missing": (ORPHANS,),
    "solving": (SOLVE,),
    "targets": ("objects_merge",),
    "maintenance": ("maintenance_reconcile", ORPHANS, CLEANUP),
    "audit": ("admin_audit_log_view",),
    "banner": ("banner_manage",),
    "settings": (SETTINGS,),
}

# Of a list.
MAX_PAGE = 1000
ANSWER_SECONDS = 5
MASK = "********"
# Those of a bigint, 19 at the most.
_KEY_DIGITS = 19
# Where passwords are within other values: in connection strings, and before the @ of a URL.
_SECRETS = (
    re.compile(r"(?<=password=)('(?:[^'\\]|\\.)*'|\S+)"),
    re.compile(r"(?<=://)[^/@\s]+(?=@)"),
)


@dataclass(frozen=True, slots=True)
class Space:
    """A disk: whose it is (state or data), what is free on it and its size [byte]."""

    name: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the archive: whether it is in order, and what is to be said of it."""

    name: str
    is_sound: bool
    told: str


@dataclass(frozen=True, slots=True)
class Health:
    """How the archive is.

    Attributes:
        parts: the database, Redis, workers, watcher, DaCHS and so on, as far as the archive has them.
        findings: what is wrong, and what to do about it, as `ost-vo doctor` says.
        alarms: what the watcher has found to be wrong.
        disks: what room there is.
        measures: numbers of the database; None where it does not answer.
        replicas: servers that follow the database.
        versions: of the archive and of what it stands on.
    """

    parts: list[Part]
    findings: list[Finding]
    alarms: list[Alarm]
    disks: list[Space]
    measures: Measures | None
    replicas: list[Replica]
    versions: Mapping[str, str]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: its variable, its value as a text, what it means, and whether it is the default."""

    name: str
    value: str
    description: str
    is_default: bool


def sections(actor: Actor | None) -> list[str]:
    """Return which of the `SECTIONS` somebody may look into; what is done there asks for itself again."""
    if actor is None:
        return []
    return [name for name, permissions in SECTIONS.items() if any(map(actor.may, permissions))]


def health(archive: Archive, actor: Actor) -> Health:
    """Look the archive over, with the permission system_health_view.

    Raises:
        AuthorizationFault: the caller has not the permission.
    """
    actor.require(HEALTH)
    settings = archive.settings
    findings = doctor.examine(settings)
    found, sounding, following, versions = _told_by_database(settings)
    publisher = _publisher(archive)
    versions = {
        "ost_vo": ost_vo.__version__,
        "Python": platform.python_version(),
        "tables": schema.head(),
        **versions,
        **({"DaCHS": publisher} if publisher else {}),
    }
    disks = [
        Space(name, usage.free, usage.total)
        for name, path in (("state", settings.state), ("data", settings.data))
        if path.exists() and (usage := shutil.disk_usage(path))
    ]
    parts = _parts(settings, findings, found, following)
    return Health(parts, findings, sounding, disks, found, following, versions)


def _told_by_database(
    settings: Settings,
) -> tuple[Measures | None, list[Alarm], list[Replica], dict[str, str]]:
    database = Database(settings.dsn("ost_owner"), 1)
    try:
        with database.connection() as connection:
            return (
                measures(connection),
                alarms.sounding(connection),
                replicas(connection),
                leftovers.versions(connection),
            )
    except Fault:
        return None, [], [], {}  # among the findings
    finally:
        database.close()


def _publisher(archive: Archive) -> str:
    """Return what DaCHS calls itself; '' where it does not answer."""
    if not archive.settings.publisher_url:
        return ""
    try:
        url = f"{archive.settings.publisher_url}/tap/availability"
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            return str(answer.headers.get("Server", "it answers"))
    except (OSError, ValueError):
        return ""  # among the findings


def _parts(
    settings: Settings, findings: Sequence[Finding], found: Measures | None, following: Sequence[Replica]
) -> list[Part]:
    problems: dict[str, str] = {}
    for finding in findings:
        problems.setdefault(finding.subject, finding.problem)
    running = sum(count for (_, phase), count in found.jobs.items() if phase == "EXECUTING") if found else 0
    waiting = sum(count for (_, phase), count in found.jobs.items() if phase == "QUEUED") if found else 0
    told = {
        "database": f"{found.products} products, {found.bytes / 1e6:.0f} MB" if found else "",
        "workers": f"{running} jobs run, {waiting} wait",
        "watcher": "watches" if settings.watch else "is not wanted",
        "Redis": "answers" if settings.broker else "is not wanted",
        "analyst": "is up with its work" if settings.previews else "is not wanted",
        "replicas": f"{len(following)} follow" if following else "none",
        "registrar": "is up with its work",
        "disk": "has room",
        "data root": "is there",
    }
    services = ("web service", "DaCHS", "registrar", "Redis", "workers", "watcher", "analyst")
    names = ("database", "replicas", *services, "disk", "data root")
    # Jobs that nobody takes, or whose workers are silent, are told of by these.
    subjects = {"workers": ("jobs", "queue")}
    parts = []
    for name in names:
        problem = next((problems[s] for s in subjects.get(name, (name,)) if s in problems), "")
        parts.append(Part(name, not problem, problem or told.get(name, "answers")))
    return parts


def alarms_of(database: Database, actor: Actor) -> list[Alarm]:
    """Return what the watcher has found to be wrong, the oldest first, with system_health_view.

    Raises:
        AuthorizationFault: the caller has not the permission.
    """
    actor.require(HEALTH)
    with database.connection() as connection:
        return alarms.sounding(connection)


def settings_of(archive: Archive, actor: Actor) -> list[Setting]:
    """Return all settings, secrets masked, with the permission system_settings_view.

    Raises:
        AuthorizationFault: the caller has not the permission.
    """
    actor.require(SETTINGS)
    listed = []
    for name, field in Settings.model_fields.items():
        value = getattr(archive.settings, name)
        listed.append(
            Setting(f"OST_VO_{name.upper()}", _shown(value), field.description or "", value == field.default)
        )
    return listed


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    text = str(value)
    for pattern in _SECRETS:
        text = pattern.sub(MASK, text)
    return text


def quarantine(
    database: Database, actor: Actor, after: str | None = None, limit: int = 100
) -> tuple[list[Entry], str | None]:
    """Return files that could not be ingested, by path, and where the next page begins.

    Args:
        database: of the role ost_accounts.
        actor: who asks, with the permission datafiles_reevaluate.
        after: the path that they follow.
        limit: the most files, 1 to 1000.

    Raises:
        AuthorizationFault: the caller has not the permission.
        UsageFault: the limit is another one.
    """
    actor.require(QUARANTINE)
    _check_limit(limit)
    with reading(database) as cursor:
        found = leftovers.quarantine(cursor, after or "", limit + 1)
    return found[:limit], found[limit - 1].path if len(found) > limit else None


def missing(
    archive: Archive, context: Context, actor: Actor, after: str | None = None, limit: int = 100
) -> tuple[list[Lost], str | None]:
    """Return the products that the context covers and whose files are missing, by identifier.

    Arguments and faults are those of :func:`quarantine`; the permission is maintenance_orphans.
    """
    actor.require(ORPHANS)
    _check_limit(limit)
    with archive.database.connection() as connection:
        found = leftovers.missing(connection, archive.transaction_settings(context), after or "", limit + 1)
    return found[:limit], found[limit - 1].identifier if len(found) > limit else None


def events_of_files(
    database: Database, actor: Actor, after: str | None = None, limit: int = 100
) -> tuple[list[FileEvent], str | None]:
    """Return the problems that were met with files of products that the caller sees, the latest first.

    Arguments and faults are those of :func:`quarantine`; the permission is maintenance_orphans.

    Raises:
        UsageFault: ``after`` is no cursor.
    """
    actor.require(ORPHANS)
    _check_limit(limit)
    with words.seeing(database, actor) as cursor:
        found = file_events.page(cursor, actor, _place(after) if after else None, limit + 1)
    events = [event for event, _ in found[:limit]]
    if len(found) <= limit:
        return events, None
    moment, product_id, problem = found[limit - 1][1]
    return events, f"{moment.isoformat()} {product_id} {problem}"


def _place(cursor: str) -> Place:
    match cursor.split(" "):
        case [moment, number, problem] if number.isascii() and number.isdigit() and len(number) < _KEY_DIGITS:
            with suppress(ValueError):
                return datetime.fromisoformat(moment), int(number), problem
    raise UsageFault(f"{cursor[:80]!r} is no cursor.", "Take `next` of the page before.")


def clean_up(worker: Worker, actor: Actor) -> None:
    """Destroy the jobs that are due, with their results, and remove files that belong to no job.

    The archive does so now and then by itself. It takes the permission maintenance_cleanup.

    Raises:
        AuthorizationFault: the caller has not the permission.
    """
    actor.require(CLEANUP)
    worker.sweep()


def attempts(
    database: Database, actor: Actor, *, state: str | None = None, after: int | None = None, limit: int = 100
) -> tuple[list[Attempt], int | None]:
    """Return what came of plate solving of products that the caller sees, by product.

    Args:
        database: of the role ost_accounts.
        actor: who asks, with the permission datafiles_plate_solve.
        state: done, failed, none or absent; None for all.
        after: the key of the product that they follow.
        limit: the most, 1 to 1000.

    Raises:
        AuthorizationFault: the caller has not the permission.
        UsageFault: the limit is another one.
    """
    actor.require(SOLVE)
    _check_limit(limit)
    with words.seeing(database, actor) as cursor:
        found = leftovers.attempts(cursor, state, after or 0, limit + 1)
    return found[:limit], found[limit - 1].product_id if len(found) > limit else None


def solve_again(archive: Archive, actor: Actor, identifiers: Sequence[str], reason: str = "") -> list[str]:
    """Try plate solving of products anew, as if it had not been tried; all of them or none.

    Returns:
        The identifiers of the products that wait for it now.

    Raises:
        AuthorizationFault: the caller has not the permission datafiles_plate_solve.
        ConflictFault: the archive solves no plates.
        NotFoundFault: there is no such product that the caller sees.
        UsageFault: none is named, or too many.
    """
    actor.require(SOLVE)
    if not archive.settings.solve:
        raise ConflictFault("This archive solves no plates.", "Operators can set OST_VO_SOLVE.")
    with words.changing(archive.accounts_database, actor, reason) as cursor:
        ids = overrides.found(cursor, actor, identifiers)
        leftovers.solve_again(cursor, list(ids.values()))
    return list(ids)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE:
        raise UsageFault(f"A page cannot have {limit} entries.", f"Ask for 1 to {MAX_PAGE}.")
