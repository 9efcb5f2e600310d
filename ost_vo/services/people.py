"""People: their accounts, roles and tokens, and what each role may do.

Nobody gives more than he has: to change an account, one must hold whatever that account holds, before and
after; only superusers make superusers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ost_vo.access.actor import ROLES, SCOPES, WRITE, Actor
from ost_vo.faults import (
    AuthorizationFault,
    ConflictFault,
    NotFoundFault,
    UsageFault,
)
from ost_vo.services import passwords
from ost_vo.services.logins import TOKEN_PREFIX, Logins, digest, new_secret
from ost_vo.settings import Settings
from ost_vo.store import logins, people
from ost_vo.store.connections import Database
from ost_vo.store.logins import Token
from ost_vo.store.people import User
from ost_vo.store.transactions import reading, writing

VIEW, EDIT, DELETE = "users_view", "users_edit_roles", "users_delete"

_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_TOKEN_NAME_CHARACTERS = 64
_FULL_NAME_CHARACTERS = 200
_DAY = 86_400

# Called with a user, whom nobody else can change any more; raises to refuse a change.
Expect = Callable[[User], None]


def actor_named(database: Database, name: str) -> Actor:
    """Return a user as somebody who wants to do something, for the operator who acts in a user's place.

    Raises:
        NotFoundFault: there is no active user of that name.
    """
    with reading(database) as cursor:
        account = people.account(cursor, name)
    if account is None:
        raise NotFoundFault(f"There is no active user {name}.")
    return account.actor


def listing(database: Database, actor: Actor, after: str = "", limit: int | None = None) -> list[User]:
    """Return users by name, for those with the permission users_view.

    Args:
        database: of the role ost_accounts.
        actor: who asks.
        after: the name that they follow.
        limit: the most users; None for all.
    """
    actor.require(VIEW)
    with reading(database) as cursor:
        return people.listing(cursor, after, limit)


def get(database: Database, actor: Actor, name: str) -> User:
    """Return a user: oneself, or anybody with the permission users_view.

    Raises:
        NotFoundFault: there is none of that name.
    """
    if name != actor.name:
        actor.require(VIEW)
    with reading(database) as cursor:
        return _found(people.get(cursor, name), name)


def create(
    database: Database,
    actor: Actor,
    name: str,
    password: str | None = None,
    *,
    full_name: str | None = None,
    role: str = "student",
    is_superuser: bool = False,
    reason: str = "",
) -> None:
    """Make an account, with the permission users_edit_roles.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        name: of letters, digits, '_', '.', '@' and '-', 64 at most.
        password: at least 10 characters; None where nobody is to log in with a password of ours.
        full_name: for people.
        role: staff, supervisor or student.
        is_superuser: whether every permission is held without being granted.
        reason: why, for the audit log.

    Raises:
        AuthorizationFault: the caller has not the permission, or not all that the user would have.
        ConflictFault: there is a user of that name.
        UsageFault: the name, the full name, the password or the role will not do.
    """
    actor.require(EDIT)
    if not _NAME.fullmatch(name):
        raise UsageFault(
            f"A user cannot be called {name!r}.", "Take letters, digits, '_', '.', '@' and '-', at most 64."
        )
    _check_role(role)
    if full_name is not None and not (full_name.isprintable() and len(full_name) <= _FULL_NAME_CHARACTERS):
        raise UsageFault(
            "The full name is too long, or has characters that cannot be shown.",
            f"Give at most {_FULL_NAME_CHARACTERS}.",
        )
    stored = passwords.hashed(password) if password is not None else None
    with writing(database, actor, reason) as cursor:
        _check_reach(actor, people.permissions(cursor), role, is_superuser=is_superuser)
        if people.get(cursor, name):
            raise ConflictFault(f"There is a user {name} already.", "Choose another name.")
        people.create(cursor, name, stored, full_name, role, is_superuser)


def set_role(
    database: Database,
    actor: Actor,
    name: str,
    role: str,
    reason: str = "",
    expect: Expect | None = None,
) -> None:
    """Give a user another role, with the permission users_edit_roles.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        name: of the user.
        role: the new one.
        reason: why, for the audit log.
        expect: called with the user, whom nobody else can change any more; raises to refuse.

    Raises:
        AuthorizationFault: the caller has not the permission, or not all that goes with either role.
        NotFoundFault: there is no such user.
        UsageFault: there is no such role.
    """
    _check_role(role)
    with _editing(database, actor, name, reason, expect=expect) as (cursor, user):
        _check_reach(actor, people.permissions(cursor), role, is_superuser=user.is_superuser)
        people.set_role(cursor, user.user_id, role)


def set_superuser(
    database: Database,
    actor: Actor,
    name: str,
    is_superuser: bool,
    reason: str = "",
    expect: Expect | None = None,
) -> None:
    """Make a user a superuser, or not any more; only superusers may.

    Raises:
        AuthorizationFault: the caller is none.
        ConflictFault: nobody would be left.
        NotFoundFault: there is no such user.
    """
    with _editing(database, actor, name, reason, expect=expect) as (cursor, user):
        if not actor.is_superuser:
            raise AuthorizationFault("Only superusers say who is a superuser.")
        if not is_superuser:
            _keep_a_superuser(cursor, user)
        people.set_superuser(cursor, user.user_id, is_superuser)


def set_active(
    database: Database,
    actor: Actor,
    name: str,
    is_active: bool,
    reason: str = "",
    expect: Expect | None = None,
) -> None:
    """Let a user log in, or not any more, with the permission users_edit_roles.

    The sessions of a user who is not active end; tokens do not work, and jobs fail, until the user is again.

    Raises:
        AuthorizationFault: the caller has not the permission, or not all that the user has.
        ConflictFault: it is the last active superuser.
        NotFoundFault: there is no such user.
    """
    with _editing(database, actor, name, reason, expect=expect) as (cursor, user):
        if not is_active:
            _keep_a_superuser(cursor, user)
        people.set_active(cursor, user.user_id, is_active)


def set_password(
    database: Database,
    actor: Actor,
    name: str,
    password: str,
    reason: str = "",
    expect: Expect | None = None,
) -> None:
    """Give another user a password, with the permission users_edit_roles; the user's sessions end.

    Raises:
        AuthorizationFault: the caller has not the permission, or not all that the user has.
        NotFoundFault: there is no such user.
        UsageFault: the password will not do.
    """
    stored = passwords.hashed(password)
    with _editing(database, actor, name, reason, expect=expect) as (cursor, user):
        people.set_password(cursor, user.user_id, stored)


def change_own_password(
    database: Database, known: Logins, actor: Actor, current: str, password: str, address: str
) -> None:
    """Change one's own password; one's sessions end.

    Args:
        database: of the role ost_accounts.
        known: that check the current password, and count wrong ones.
        actor: who does it.
        current: the password until now.
        password: the one from now on.
        address: whence, for counting.

    Raises:
        AuthenticationFault: the current password is wrong.
        AuthorizationFault: the caller's token has not the scope write.
        ThrottledFault: too many were wrong.
        UsageFault: the new password will not do.
    """
    actor.require_scope(WRITE)
    stored = passwords.hashed(password)
    owner = known.by_password(actor.name, current, address)
    with writing(database, actor) as cursor:
        people.set_password(cursor, owner.user_id, stored)


def delete(database: Database, actor: Actor, name: str, reason: str = "") -> None:
    """Delete a user who has left nothing behind, with the permission users_delete.

    Raises:
        AuthorizationFault: the caller has not the permission, or not all that the user has.
        ConflictFault: products, directories or projects depend on the user, or nobody would be left.
        NotFoundFault: there is no such user.
    """
    with _editing(database, actor, name, reason, DELETE) as (cursor, user):
        _keep_a_superuser(cursor, user)
        ties = people.ties(cursor, user.user_id)
        reasons = [f"{ties.products} products are {name}'s"] if ties.products else []
        reasons += [f"new products of {directory} are {name}'s" for directory in ties.directories]
        reasons += [f"nobody else manages {project}" for project in ties.projects]
        if reasons:
            raise ConflictFault(
                f"The user {name} cannot be deleted: {'; '.join(reasons)}.", "Deactivate the account instead."
            )
        people.delete(cursor, user.user_id)


def permissions(database: Database, actor: Actor) -> dict[str, dict[str, bool]]:
    """Return for each role which permissions there are, and whether it has them; with users_view."""
    actor.require(VIEW)
    with reading(database) as cursor:
        return people.permissions(cursor)


def set_permission(
    database: Database, actor: Actor, role: str, permission: str, is_granted: bool, reason: str = ""
) -> None:
    """Grant a role a permission or take it away, with users_edit_roles and that permission itself.

    Raises:
        AuthorizationFault: the caller has not both.
        UsageFault: there is no such role.
        NotFoundFault: there is no such permission.
    """
    actor.require(EDIT)
    _check_role(role)
    with writing(database, actor, reason) as cursor:
        if permission not in people.permissions(cursor).get(role, {}):
            raise NotFoundFault(f"There is no permission {permission!r}.")
        actor.require(permission)
        people.set_permission(cursor, role, permission, is_granted)


def create_token(
    database: Database,
    settings: Settings,
    actor: Actor,
    name: str,
    scopes: Sequence[str],
    days: float,
    reason: str = "",
) -> tuple[str, Token]:
    """Make a token for oneself; this is the only time that anybody sees it.

    Args:
        database: of the role ost_accounts.
        settings: of the installation.
        actor: whose token it will be.
        name: to know it by, among one's own.
        scopes: what it is to be good for, of read, write and admin.
        days: after which it expires.
        reason: why, for the audit log.

    Returns:
        The token, and how it is listed.

    Raises:
        AuthorizationFault: the caller's own token has not the scope write, or fewer scopes.
        ConflictFault: the caller has or had a token of that name.
        UsageFault: the name, the scopes or the days will not do.
    """
    actor.require_scope(WRITE)
    _check_token(settings, actor, name, scopes, days)
    for scope in scopes:
        actor.require_scope(scope)
    secret = f"{TOKEN_PREFIX}{new_secret()}"
    with writing(database, actor, reason) as cursor:
        if any(token.name == name for token in logins.tokens(cursor, actor.user_id)):
            raise ConflictFault(f"There is or was a token {name!r}.", "Choose another name.")
        ordered = [scope for scope in SCOPES if scope in scopes]
        made = logins.create_token(cursor, actor.user_id, name, digest(secret), ordered, days * _DAY)
    return secret, made


def tokens(
    database: Database, actor: Actor, owner: str | None = None, after: str = "", limit: int | None = None
) -> list[Token]:
    """Return the tokens of a user by name, as :func:`revoke_token` may revoke them; one's own by default.

    Args:
        database: of the role ost_accounts.
        actor: who asks.
        owner: name of the user; None for oneself.
        after: the name that they follow.
        limit: the most tokens; None for all.
    """
    if owner is None or owner == actor.name:
        with reading(database) as cursor:
            return logins.tokens(cursor, actor.user_id, after, limit)
    with _editing(database, actor, owner, "") as (cursor, user):
        return logins.tokens(cursor, user.user_id, after, limit)


def revoke_token(
    database: Database, actor: Actor, name: str, owner: str | None = None, reason: str = ""
) -> None:
    """Revoke a token: one's own, or, with the permission users_edit_roles, that of another user.

    Raises:
        AuthorizationFault: the caller has not the scope, the permission, or not all that the owner has.
        NotFoundFault: there is no such token or owner.
    """
    missing = NotFoundFault(f"There is no token {name!r}.")
    if not name.isprintable():
        raise missing
    if owner is None or owner == actor.name:
        actor.require_scope(WRITE)
        with writing(database, actor, reason) as cursor:
            if not logins.revoke_token(cursor, actor.user_id, name):
                raise missing
        return
    with _editing(database, actor, owner, reason) as (cursor, user):
        if not logins.revoke_token(cursor, user.user_id, name):
            raise missing


@contextmanager
def _editing(
    database: Database,
    actor: Actor,
    name: str,
    reason: str,
    permission: str = EDIT,
    expect: Expect | None = None,
) -> Iterator[tuple[Any, User]]:
    """Yield a cursor and a user whom the actor may change."""
    actor.require(permission)
    with writing(database, actor, reason) as cursor:
        user = _found(people.get(cursor, name, locked=True), name)
        if expect:
            expect(user)
        _check_reach(actor, people.permissions(cursor), user.role, is_superuser=user.is_superuser)
        yield cursor, user


def _check_reach(actor: Actor, matrix: dict[str, dict[str, bool]], role: str, *, is_superuser: bool) -> None:
    """Refuse to go on where a user has, or would have, what the actor has not.

    Raises:
        AuthorizationFault: so it is.
    """
    if actor.is_superuser:
        return
    if is_superuser:
        raise AuthorizationFault("Only superusers can do this to a superuser, or make one.")
    beyond = sorted(name for name, granted in matrix[role].items() if granted and not actor.may(name))
    if beyond:
        raise AuthorizationFault(
            f"The role {role} has permissions that {actor.name} has not: {', '.join(beyond)}.",
            "Ask a superuser.",
        )


def _keep_a_superuser(cursor: Any, user: User) -> None:
    if user.is_superuser and user.is_active and not people.has_other_superusers(cursor, user.user_id):
        raise ConflictFault(f"{user.name} is the last active superuser.", "Make somebody else one first.")


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise UsageFault(f"There is no role {role!r}.", f"Roles: {', '.join(ROLES)}.")


def _check_token(settings: Settings, actor: Actor, name: str, scopes: Sequence[str], days: float) -> None:
    if actor.is_operator:
        raise UsageFault("The operator has no account that a token could belong to.", "Name a user.")
    if not name.strip() or len(name) > _TOKEN_NAME_CHARACTERS or not name.isprintable():
        raise UsageFault("A token needs a name.", f"Give one of at most {_TOKEN_NAME_CHARACTERS} characters.")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise UsageFault(
            f"A token cannot be good for {', '.join(unknown) or 'nothing'}.", f"Scopes: {', '.join(SCOPES)}."
        )
    if not 0 < days <= settings.token_max_days:
        raise UsageFault(
            f"A token cannot last {days:g} days.", f"Give more than 0 and at most {settings.token_max_days}."
        )


def _found(user: User | None, name: str) -> User:
    if user is None:
        raise NotFoundFault(f"There is no user {name}.")
    return user
