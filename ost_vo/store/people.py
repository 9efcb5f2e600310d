"""People: their accounts, and what each role may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extras import DictCursor, DictRow

from ost_vo.access.actor import SCOPES, Actor


@dataclass(frozen=True, slots=True)
class User:
    """A user as those who may view users see one.

    Attributes:
        user_id, name, full_name: who it is.
        role: staff, supervisor or student.
        is_superuser: whether every permission is held without being granted.
        is_active: whether the user can log in, and whether jobs of the user run.
        has_password: whether there is a password of ours to log in with.
        created: when the account was made.
    """

    user_id: int
    name: str
    full_name: str | None
    role: str
    is_superuser: bool
    is_active: bool
    has_password: bool
    created: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """What is needed of an active user to log in.

    Attributes:
        actor: the user, with all scopes.
        password_hash: None where there is no password of ours.
    """

    actor: Actor
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class Ties:
    """What keeps a user from being deleted.

    Attributes:
        products: how many the user has created.
        directories: whose new products the user is the creator of.
        projects: that no other manager is left in.
    """

    products: int
    directories: tuple[str, ...]
    projects: tuple[str, ...]


_USERS = """
SELECT user_id, name, full_name, role, is_superuser, is_active, password_hash IS NOT NULL AS has_password,
    created
FROM archive.users"""

# Also the beginning of what sessions and tokens are looked up with.
ACCOUNTS = """
SELECT u.user_id, u.name, u.role, u.is_superuser, u.password_hash,
    ARRAY(SELECT permission FROM archive.role_permissions p WHERE p.role = u.role AND p.is_granted)
        AS permissions
FROM archive.users u"""


def listing(cursor: DictCursor, after: str, limit: int | None) -> list[User]:
    """Return users by name: those whose names follow a text, so many at the most, all for None."""
    cursor.execute(f"{_USERS} WHERE name > %s ORDER BY name LIMIT %s", (after, limit))
    return [User(**row) for row in cursor.fetchall()]


def get(cursor: DictCursor, name: str, *, locked: bool = False) -> User | None:
    """Return a user, None if there is none of that name; locked, nobody else changes it meanwhile."""
    if "\0" in name:
        return None
    cursor.execute(f"{_USERS} WHERE name = %s {'FOR UPDATE' if locked else ''}", (name,))
    row = cursor.fetchone()
    return User(**row) if row else None


def account(cursor: DictCursor, name: str) -> Account | None:
    """Return the account of an active user, None if there is none of that name."""
    cursor.execute(f"{ACCOUNTS} WHERE u.name = %s AND u.is_active", (name,))
    row = cursor.fetchone()
    return Account(actor_of(row), row["password_hash"]) if row else None


def actor_by_id(cursor: DictCursor, user_id: int) -> Actor | None:
    """Return the active user with an id as somebody who wants to do something."""
    cursor.execute(f"{ACCOUNTS} WHERE u.user_id = %s AND u.is_active", (user_id,))
    row = cursor.fetchone()
    return actor_of(row) if row else None


def actor_of(row: DictRow, scopes: frozenset[str] = frozenset(SCOPES)) -> Actor:
    """Return the actor that a row of :data:`ACCOUNTS` is."""
    return Actor(
        row["user_id"], row["name"], row["role"], row["is_superuser"], frozenset(row["permissions"]), scopes
    )


def create(
    cursor: DictCursor,
    name: str,
    password_hash: str | None,
    full_name: str | None,
    role: str,
    is_superuser: bool,
) -> None:
    """Add a user."""
    cursor.execute(
        "INSERT INTO archive.users (name, password_hash, full_name, role, is_superuser) "
        "VALUES (%s, %s, %s, %s, %s)",
        (name, password_hash, full_name, role, is_superuser),
    )


def set_password(cursor: DictCursor, user_id: int, password_hash: str) -> None:
    """Give a user a password, and end the user's sessions."""
    cursor.execute("UPDATE archive.users SET password_hash = %s WHERE user_id = %s", (password_hash, user_id))
    end_sessions(cursor, user_id)


def replace_hash(cursor: DictCursor, user_id: int, old: str, new: str) -> None:
    """Store another hash of the same password, unless the password has changed meanwhile."""
    cursor.execute(
        "UPDATE archive.users SET password_hash = %s WHERE user_id = %s AND password_hash = %s",
        (new, user_id, old),
    )


def set_role(cursor: DictCursor, user_id: int, role: str) -> None:
    """Give a user another role."""
    cursor.execute("UPDATE archive.users SET role = %s WHERE user_id = %s", (role, user_id))


def set_superuser(cursor: DictCursor, user_id: int, is_superuser: bool) -> None:
    """Make a user a superuser, or not."""
    cursor.execute("UPDATE archive.users SET is_superuser = %s WHERE user_id = %s", (is_superuser, user_id))


def set_active(cursor: DictCursor, user_id: int, is_active: bool) -> None:
    """Let a user log in, or not; the sessions end with that."""
    cursor.execute("UPDATE archive.users SET is_active = %s WHERE user_id = %s", (is_active, user_id))
    if not is_active:
        end_sessions(cursor, user_id)


def end_sessions(cursor: DictCursor, user_id: int) -> None:
    """End all sessions of a user."""
    cursor.execute("DELETE FROM archive.sessions WHERE user_id = %s", (user_id,))


def has_other_superusers(cursor: DictCursor, user_id: int) -> bool:
    """Say whether somebody else is an active superuser; nobody changes that until the transaction ends."""
    cursor.execute(
        "SELECT user_id FROM archive.users WHERE is_superuser AND is_active ORDER BY user_id FOR UPDATE"
    )
    return any(row["user_id"] != user_id for row in cursor.fetchall())


def ties(cursor: DictCursor, user_id: int) -> Ties:
    """Return what a user has left in the archive."""
    cursor.execute(
        """
        SELECT (SELECT count(*) FROM archive.products WHERE creator_id = %(user)s) AS products,
            ARRAY(SELECT directory FROM archive.creation_scopes WHERE creator_id = %(user)s ORDER BY 1)
                AS directories,
            ARRAY(SELECT j.name FROM archive.project_members m JOIN archive.projects j USING (project_id)
                WHERE m.user_id = %(user)s AND m.is_manager AND NOT EXISTS (
                    SELECT FROM archive.project_members o
                    WHERE o.project_id = m.project_id AND o.is_manager AND o.user_id <> m.user_id)
                ORDER BY 1) AS projects""",
        {"user": user_id},
    )
    return next(Ties(row["products"], tuple(row["directories"]), tuple(row["projects"])) for row in cursor)


def delete(cursor: DictCursor, user_id: int) -> None:
    """Remove a user with memberships, tokens, sessions and jobs."""
    cursor.execute("DELETE FROM archive.project_members WHERE user_id = %s", (user_id,))
    cursor.execute("DELETE FROM archive.users WHERE user_id = %s", (user_id,))


def permissions(cursor: DictCursor) -> dict[str, dict[str, bool]]:
    """Return for each role which permissions there are, and whether it has them."""
    cursor.execute("SELECT role, permission, is_granted FROM archive.role_permissions ORDER BY 1, 2")
    matrix: dict[str, dict[str, bool]] = {}
    for row in cursor.fetchall():
        matrix.setdefault(row["role"], {})[row["permission"]] = row["is_granted"]
    return matrix


def set_permission(cursor: DictCursor, role: str, permission: str, is_granted: bool) -> bool:
    """Change an entry of the matrix; return whether there is one."""
    cursor.execute(
        "UPDATE archive.role_permissions SET is_granted = %s WHERE role = %s AND permission = %s",
        (is_granted, role, permission),
    )
    return cursor.rowcount > 0
