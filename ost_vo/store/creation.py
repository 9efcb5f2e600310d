"""What new products are created as: by the creation scope of their directory, a rule of their run, or else.

A scope or a rule that does not hold keeps a file out of the archive: it never falls through to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from psycopg2.extensions import cursor as Cursor

from ost_vo.access import rules
from ost_vo.access.publishing import check_creation
from ost_vo.access.rules import Rule
from ost_vo.faults import Fault
from ost_vo.store.ingesting import Rejected

if TYPE_CHECKING:
    from ost_vo.settings import Settings

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_MOST_MJD = 100_000.0  # the year 2132

_SCOPES = """
SELECT path, s.project_id, s.creator_id, s.privileges, j.name, j.is_public, j.max_privileges,
    j.is_public OR m.user_id IS NOT NULL, coalesce(m.is_manager, false)
FROM unnest(%s::text[]) AS f (path)
    CROSS JOIN LATERAL (
        SELECT * FROM archive.creation_scopes WHERE starts_with(path, directory || '/')
        ORDER BY length(directory) DESC LIMIT 1) s
    JOIN archive.projects j ON j.project_id = s.project_id
    LEFT JOIN archive.project_members m ON m.project_id = s.project_id AND m.user_id = s.creator_id
"""

_OF_RULES = """
SELECT n.number, j.project_id, u.user_id, j.is_public, j.max_privileges,
    j.is_public OR m.user_id IS NOT NULL, coalesce(m.is_manager, false)
FROM unnest(%s::int[], %s::text[], %s::text[]) AS n (number, project, creator)
    LEFT JOIN archive.projects j ON j.name = n.project
    LEFT JOIN archive.users u ON u.name = n.creator
    LEFT JOIN archive.project_members m ON m.project_id = j.project_id AND m.user_id = u.user_id
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a new product is created as: project, creator, level, and when the world may see it."""

    project_id: int
    creator_id: int
    privileges: int
    release_date: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is no product yet.

    Attributes:
        path: relative to the data root.
        run, night: name of its run, and the date that the name says.
        t_min: when its exposure began [MJD, UTC].
    """

    path: str
    run: str
    night: date | None
    t_min: float | None


class Scopes:
    """What new files are created as, in one installation.

    Args:
        cursor: of the role ost_ingest; user and project of the settings are made where they are not there.
        settings: of the installation.

    Raises:
        UsageFault: the table of rules cannot be used.
    """

    def __init__(self, cursor: Cursor, settings: Settings) -> None:
        self._rules = rules.read(settings.run_rules)
        self._ingest_user = settings.ingest_user
        creator_id = _creator_id(cursor, settings.ingest_user)
        project_id = _project_id(cursor, settings.ingest_project, creator_id)
        self._default = Scope(project_id, creator_id, settings.ingest_privileges)

    def of(self, cursor: Cursor, files: Sequence[NewFile]) -> dict[str, Scope]:
        """Return what files are created as, by path.

        Raises:
            Rejected: the creation scope of a file's directory, or the rule of its run, does not hold.
        """
        if not files:
            return {}
        found = _creation_scopes(cursor, [file.path for file in files])
        matches = {
            file.path: rule
            for file in files
            if file.path not in found and (rule := rules.first_match(self._rules, file.run))
        }
        of_rules = self._of_rules(cursor, set(matches.values()))
        for file in files:
            if rule := matches.get(file.path):
                found[file.path] = replace(of_rules[rule], release_date=_release_date(rule, file))
        return {file.path: found.get(file.path, self._default) for file in files}

    def _of_rules(self, cursor: Cursor, used: Iterable[Rule]) -> dict[Rule, Scope]:
        by_number = {rule.number: rule for rule in used}
        if not by_number:
            return {}
        cursor.execute(
            _OF_RULES,
            (
                list(by_number),
                [rule.project for rule in by_number.values()],
                [rule.creator or self._ingest_user for rule in by_number.values()],
            ),
        )
        return {by_number[number]: _of_rule(by_number[number], *row) for number, *row in cursor.fetchall()}


def _of_rule(
    rule: Rule,
    project_id: int | None,
    creator_id: int | None,
    is_public: bool,
    most: int,
    is_member: bool,
    is_manager: bool,
) -> Scope:
    if project_id is None:
        raise Rejected(f"The run's rule ({rule}) does not hold: there is no project {rule.project}.")
    if creator_id is None:
        raise Rejected(f"The run's rule ({rule}) does not hold: there is no user {rule.creator}.")
    try:
        check_creation(
            rule.project,
            rule.privileges,
            is_public=is_public,
            max_privileges=most,
            # The account of ingest creates for others, whoever the operator's rule says.
            is_member=is_member or rule.creator is None,
            is_manager=is_manager,
        )
    except Fault as fault:
        raise Rejected(f"The run's rule ({rule}) does not hold: {fault.detail}") from fault
    return Scope(project_id, creator_id, rule.privileges)


def _release_date(rule: Rule, file: NewFile) -> datetime | None:
    """Return when the world may see a file: so long after its night or its start, whichever is later."""
    if rule.release_days is None:
        return None
    begins = [datetime.combine(file.night, time(), UTC)] if file.night else []
    if file.t_min is not None and 0 <= file.t_min <= _MOST_MJD:
        begins.append(_MJD_EPOCH + timedelta(days=file.t_min))
    return max(begins, default=datetime.now(UTC)) + timedelta(days=rule.release_days)


def _creation_scopes(cursor: Cursor, paths: Sequence[str]) -> dict[str, Scope]:
    """Return what the managers of projects say, for the paths that lie below a directory of theirs."""
    cursor.execute(_SCOPES, (list(paths),))
    found = {}
    for (
        path,
        project_id,
        creator_id,
        level,
        name,
        is_public,
        most,
        is_member,
        is_manager,
    ) in cursor.fetchall():
        try:
            check_creation(
                name,
                level,
                is_public=is_public,
                max_privileges=most,
                is_member=is_member,
                is_manager=is_manager,
            )
        except Fault as fault:
            raise Rejected(f"The creation scope of its directory does not hold: {fault.detail}") from fault
        found[path] = Scope(project_id, creator_id, level)
    return found


def _creator_id(cursor: Cursor, name: str) -> int:
    cursor.execute("INSERT INTO archive.users (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
    cursor.execute("SELECT user_id FROM archive.users WHERE name = %s", (name,))
    return _only(cursor)


def _project_id(cursor: Cursor, name: str, manager_id: int) -> int:
    cursor.execute(
        "INSERT INTO archive.projects (name, is_public, max_privileges) VALUES (%s, true, 4)"
        " ON CONFLICT DO NOTHING",
        (name,),
    )
    is_new = cursor.rowcount > 0
    cursor.execute("SELECT project_id FROM archive.projects WHERE name = %s", (name,))
    project_id = _only(cursor)
    if is_new:
        cursor.execute(
            "INSERT INTO archive.project_members (project_id, user_id, is_manager) VALUES (%s, %s, true)",
            (project_id, manager_id),
        )
    return project_id


def _only(cursor: Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
