"""Projects, their members and managers, and which directories new products come into them from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extras import DictCursor, DictRow

from ost_vo.access.context import Context
from ost_vo.store.transactions import apply


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a project.

    Attributes:
        user: the name.
        is_manager: whether the member manages the project.
    """

    user: str
    is_manager: bool


@dataclass(frozen=True, slots=True)
class Project:
    """A project as the caller sees it.

    Attributes:
        project_id, name, description: what it is.
        instrument: None for any.
        is_public: whether every user of the archive is a member.
        max_privileges: the highest level that a member may give an object.
        is_member, is_manager: the caller in it.
    """

    project_id: int
    name: str
    description: str | None
    instrument: str | None
    is_public: bool
    max_privileges: int
    is_member: bool
    is_manager: bool


@dataclass(frozen=True, slots=True)
class CreationScope:
    """What new products below a directory of the data root are created as."""

    directory: str
    project: str
    creator: str
    privileges: int


_PROJECTS = """
SELECT j.project_id, j.name, j.description, j.instrument, j.is_public, j.max_privileges,
    %(user)s > 0 AND (j.is_public OR m.user_id IS NOT NULL) AS is_member,
    coalesce(m.is_manager, false) AS is_manager
FROM archive.projects j
    LEFT JOIN archive.project_members m ON m.project_id = j.project_id AND m.user_id = %(user)s
WHERE (%(all)s OR context.project_in_scope(j.project_id, j.is_public)) {condition}
ORDER BY j.name LIMIT %(limit)s
"""


def listing(
    cursor: DictCursor, caller: Context, after: str, limit: int | None, *, of_all: bool
) -> list[Project]:
    """Return projects by name that a caller may know of; or of all that there are.

    Those whose names follow a text, so many at the most, all for None.
    """
    apply(cursor, caller.visibility_settings())
    values = {"user": caller.user_id, "all": of_all, "after": after, "limit": limit}
    cursor.execute(_PROJECTS.format(condition="AND j.name > %(after)s"), values)
    return [_project(row) for row in cursor.fetchall()]


def find(cursor: DictCursor, caller: Context, name: str, *, of_all: bool) -> Project | None:
    """Return a project by its name, locked against changes; None where the caller may not know of it."""
    apply(cursor, caller.visibility_settings())
    statement = _PROJECTS.format(condition="AND j.name = %(name)s") + "FOR UPDATE OF j"
    cursor.execute(statement, {"user": caller.user_id, "all": of_all, "name": name, "limit": None})
    row = cursor.fetchone()
    return _project(row) if row else None


def create(cursor: DictCursor, values: Mapping[str, object]) -> int:
    """Create a project with values for its columns; return its number."""
    statement = sql.SQL("INSERT INTO archive.projects ({}) VALUES ({}) RETURNING project_id").format(
        sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Placeholder, values))
    )
    cursor.execute(statement, values)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def update(cursor: DictCursor, project_id: int, changes: Mapping[str, object]) -> None:
    """Change columns of a project."""
    assignments = [sql.SQL("{} = {}").format(sql.Identifier(c), sql.Placeholder(c)) for c in changes]
    statement = sql.SQL("UPDATE archive.projects SET {} WHERE project_id = {}").format(
        sql.SQL(", ").join(assignments), sql.Literal(project_id)
    )
    cursor.execute(statement, changes)


def delete(cursor: DictCursor, project_id: int) -> None:
    """Delete a project with its memberships; what belongs to it stands in the way."""
    cursor.execute("DELETE FROM archive.project_members WHERE project_id = %s", (project_id,))
    cursor.execute("DELETE FROM archive.projects WHERE project_id = %s", (project_id,))


def members(cursor: DictCursor, project_id: int) -> list[Member]:
    """Return the members of a project by name; of a public one, those who were taken in by name."""
    cursor.execute(
        "SELECT u.name, m.is_manager FROM archive.project_members m JOIN archive.users u USING (user_id)"
        " WHERE m.project_id = %s ORDER BY u.name",
        (project_id,),
    )
    return [Member(name, is_manager) for name, is_manager in cursor.fetchall()]


def set_member(cursor: DictCursor, project_id: int, user_id: int, *, is_manager: bool) -> None:
    """Take a user into a project, or change what the user is in it."""
    cursor.execute(
        "INSERT INTO archive.project_members (project_id, user_id, is_manager) VALUES (%s, %s, %s)"
        " ON CONFLICT (project_id, user_id) DO UPDATE SET is_manager = excluded.is_manager",
        (project_id, user_id, is_manager),
    )


def remove_member(cursor: DictCursor, project_id: int, user: str) -> None:
    """Take a user out of a project, whose members are locked until the transaction ends."""
    cursor.execute(
        "DELETE FROM archive.project_members m USING archive.users u"
        " WHERE m.project_id = %s AND m.user_id = u.user_id AND u.name = %s",
        (project_id, user),
    )


def exists(cursor: DictCursor, name: str) -> bool:
    """Say whether there is a project of that name."""
    cursor.execute("SELECT FROM archive.projects WHERE name = %s", (name,))
    return cursor.fetchone() is not None


def holdings(cursor: DictCursor, project_id: int) -> str:
    """Say how much belongs to a project, as in '3 products and 1 runs'; '' for nothing."""
    counts = []
    for table, what in (("products", "products"), ("runs", "runs"), ("creation_scopes", "creation scopes")):
        cursor.execute(
            sql.SQL("SELECT count(*) FROM archive.{} WHERE project_id = %s").format(sql.Identifier(table)),
            (project_id,),
        )
        row = cursor.fetchone()
        if row and row[0]:
            counts.append(f"{row[0]} {what}")
    return " and ".join(counts)


def user_id(cursor: DictCursor, name: str) -> int | None:
    """Return the number of an active user, None where there is none of that name."""
    cursor.execute("SELECT user_id FROM archive.users WHERE name = %s AND is_active", (name,))
    row = cursor.fetchone()
    return int(row[0]) if row else None


def set_context(cursor: DictCursor, user: int, project_id: int | None, privileges: int) -> None:
    """Keep a context for a user."""
    cursor.execute(
        "UPDATE archive.users SET context_project_id = %s, context_privileges = %s WHERE user_id = %s",
        (project_id, privileges, user),
    )


def kept_project_id(cursor: DictCursor, user: int) -> int | None:
    """Return the number of the current project that is kept for a user, None for all."""
    cursor.execute("SELECT context_project_id FROM archive.users WHERE user_id = %s", (user,))
    row = cursor.fetchone()
    return row[0] if row else None


def kept_context(cursor: DictCursor, user: int) -> tuple[str | None, int]:
    """Return the context that is kept for a user: name of the current project, None for all; the level."""
    cursor.execute(
        "SELECT j.name, u.context_privileges FROM archive.users u"
        " LEFT JOIN archive.projects j ON j.project_id = u.context_project_id WHERE u.user_id = %s",
        (user,),
    )
    row = cursor.fetchone()
    return (row[0], row[1]) if row else (None, 1)


def creation_scopes(cursor: DictCursor) -> list[CreationScope]:
    """Return all directories that have a creation scope of their own."""
    cursor.execute(
        "SELECT directory, j.name, u.name, s.privileges FROM archive.creation_scopes s"
        " JOIN archive.projects j USING (project_id) JOIN archive.users u ON u.user_id = s.creator_id"
        " ORDER BY directory"
    )
    return [CreationScope(*row) for row in cursor.fetchall()]


def set_creation_scope(
    cursor: DictCursor, directory: str, project_id: int, creator_id: int, privileges: int
) -> None:
    """Say what new products below a directory are created as."""
    cursor.execute(
        "INSERT INTO archive.creation_scopes (directory, project_id, creator_id, privileges)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (directory) DO UPDATE SET project_id = excluded.project_id,"
        " creator_id = excluded.creator_id, privileges = excluded.privileges",
        (directory, project_id, creator_id, privileges),
    )


def remove_creation_scope(cursor: DictCursor, directory: str) -> bool:
    """Let a directory be like those around it; say whether it was different."""
    cursor.execute("DELETE FROM archive.creation_scopes WHERE directory = %s", (directory,))
    return bool(cursor.rowcount)


def standing(cursor: DictCursor, project_id: int, user: int) -> tuple[bool, bool]:
    """Say whether a user is a member of a project, and whether a manager."""
    cursor.execute(
        "SELECT j.is_public OR m.user_id IS NOT NULL, coalesce(m.is_manager, false) FROM archive.projects j"
        " LEFT JOIN archive.project_members m ON m.project_id = j.project_id AND m.user_id = %s"
        " WHERE j.project_id = %s",
        (user, project_id),
    )
    row = cursor.fetchone()
    return (bool(row[0]), bool(row[1])) if row else (False, False)


def _project(row: DictRow) -> Project:
    return Project(**{name: row[name] for name in Project.__slots__})
