"""Projects: making and changing them, who belongs to them, and the context that a user keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from ost_vo.access.actor import READ, WRITE, Actor
from ost_vo.access.context import HIGHEST, LOWEST, Choice, Context
from ost_vo.access.publishing import PROJECT, WORLD, check_creation
from ost_vo.faults import AuthorizationFault, ConflictFault, NotFoundFault, UsageFault
from ost_vo.store import audit, contexts, projects
from ost_vo.store.connections import Database
from ost_vo.store.projects import CreationScope, Member, Project
from ost_vo.store.transactions import Cursor, reading, writing

MANAGE = "projects_manage"
AUDIT = "admin_audit_log_view"

# Entries of the audit log in one answer.
MAX_ENTRIES = 1000

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SETTABLE = ("description", "instrument", "is_public", "max_privileges")


def listing(
    database: Database, actor: Actor | None, after: str = "", limit: int | None = None
) -> list[Project]:
    """Return projects by name that the caller may know of: public and own ones; with projects_manage, all.

    Args:
        database: of the role ost_accounts.
        actor: who asks; None is anonymous.
        after: the name that they follow.
        limit: the most projects; None for all.
    """
    if actor is not None:
        actor.require_scope(READ)
    caller = _caller(database, actor)
    with reading(database) as cursor:
        return projects.listing(cursor, caller, after, limit, of_all=_keeps_all(actor))


def get(database: Database, actor: Actor | None, name: str) -> Project:
    """Return a project.

    Raises:
        NotFoundFault: there is none of that name that the caller may know of.
    """
    if actor is not None:
        actor.require_scope(READ)
    caller = _caller(database, actor)
    with reading(database) as cursor:
        return _find(cursor, caller, actor, name)


def members(database: Database, actor: Actor, name: str) -> list[Member]:
    """Return the members of a project, for its members.

    Raises:
        NotFoundFault: there is no such project that the caller may know of.
    """
    actor.require_scope(READ)
    caller = _caller(database, actor)
    with reading(database) as cursor:
        return projects.members(cursor, _find(cursor, caller, actor, name).project_id)


def create(
    database: Database,
    actor: Actor,
    name: str,
    *,
    description: str | None = None,
    instrument: str | None = None,
    is_public: bool = False,
    max_privileges: int | None = None,
    manager: str | None = None,
    reason: str = "",
) -> None:
    """Make a project.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        name: of letters, digits, '.', '_' and '-'.
        description, instrument: free text; no instrument is any.
        is_public: whether every user of the archive is to be a member.
        max_privileges: the highest level that members may give; 4 in public projects, 2 in private ones.
        manager: name of its first manager; whoever makes it, where none is given.
        reason: why, for the audit log.

    Raises:
        AuthorizationFault: the caller has not the permission projects_manage.
        NotFoundFault: there is no such user.
        UsageFault, ConflictFault: the values do not fit, or there is a project of that name.
    """
    _require_keeper(actor)
    level = max_privileges if max_privileges is not None else WORLD if is_public else PROJECT
    _check_maximum(level, is_public=is_public)
    if not _NAME.fullmatch(name) or set(name) <= {"."} or name == "-":
        raise UsageFault(
            f"A project cannot be called {name!r}.", "Take letters, digits, '_', '.' and '-', at most 64."
        )
    values = {"name": name, "description": description, "instrument": instrument}
    with writing(database, actor, reason) as cursor:
        if projects.exists(cursor, name):
            raise ConflictFault(f"There is a project {name} already.", "Choose another name.")
        project_id = projects.create(cursor, {**values, "is_public": is_public, "max_privileges": level})
        first = _user(cursor, manager) if manager else actor.user_id
        if first:
            projects.set_member(cursor, project_id, first, is_manager=True)


def update(
    database: Database,
    actor: Actor,
    name: str,
    changes: dict[str, object],
    reason: str = "",
    expect: Callable[[Project], None] | None = None,
) -> Project:
    """Change description, instrument, is_public or max_privileges of a project.

    Managers may change the first two. The others decide over what all users see: that needs the permission
    projects_manage.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        name: of the project.
        changes: name of a value to the value.
        reason: why, for the audit log.
        expect: called with the project, which nobody else can change any more; raises to refuse.

    Raises:
        AuthorizationFault: the caller may not.
        NotFoundFault: there is no such project that the caller may know of.
        UsageFault: a value does not fit, or something else is to be changed.
    """
    actor.require_scope(WRITE)
    unknown = sorted(set(changes) - set(_SETTABLE))
    if unknown or not changes:
        what = f"{', '.join(unknown)} of a project cannot be changed" if unknown else "There is no change"
        raise UsageFault(f"{what}.", f"Change {', '.join(_SETTABLE)}.")
    caller = _caller(database, actor)
    with writing(database, actor, reason) as cursor:
        project = _managed(cursor, caller, actor, name)
        if expect:
            expect(project)
        if {"is_public", "max_privileges"} & set(changes):
            _require_keeper(actor)
            is_public = bool(changes.get("is_public", project.is_public))
            _check_maximum(
                int(str(changes.get("max_privileges", project.max_privileges))), is_public=is_public
            )
        projects.update(cursor, project.project_id, changes)
        return _find(cursor, caller, actor, name)


def delete(database: Database, actor: Actor, name: str, reason: str = "") -> None:
    """Delete a project that nothing belongs to.

    Raises:
        AuthorizationFault: the caller has not the permission projects_manage.
        NotFoundFault: there is no such project.
        ConflictFault: products, runs or directories belong to it.
    """
    _require_keeper(actor)
    caller = _caller(database, actor)
    with writing(database, actor, reason) as cursor:
        project = _find(cursor, caller, actor, name)
        if holdings := projects.holdings(cursor, project.project_id):
            raise ConflictFault(
                f"{holdings} belong to the project {name}.", "Give or publish them elsewhere first."
            )
        projects.delete(cursor, project.project_id)


def set_member(
    database: Database, actor: Actor, name: str, user: str, *, is_manager: bool = False, reason: str = ""
) -> None:
    """Take a user into a project, or change what the user is in it.

    Raises:
        AuthorizationFault: the caller is no manager of it.
        NotFoundFault: there is no such project that the caller may know of, or no such user.
        ConflictFault: it would be left without a manager.
    """
    actor.require_scope(WRITE)
    caller = _caller(database, actor)
    with writing(database, actor, reason) as cursor:
        project = _managed(cursor, caller, actor, name)
        projects.set_member(cursor, project.project_id, _user(cursor, user), is_manager=is_manager)
        _check_managers(cursor, project)


def remove_member(database: Database, actor: Actor, name: str, user: str, reason: str = "") -> None:
    """Take a user out of a project; everybody may leave.

    Raises:
        AuthorizationFault: the caller is no manager of it.
        NotFoundFault: there is no such project that the caller may know of, or no such member.
        ConflictFault: it would be left without a manager.
    """
    actor.require_scope(WRITE)
    caller = _caller(database, actor)
    with writing(database, actor, reason) as cursor:
        is_leaving = user == actor.name and not actor.is_operator
        look_up = _find if is_leaving else _managed
        project = look_up(cursor, caller, actor, name)
        if user not in {member.user for member in projects.members(cursor, project.project_id)}:
            raise NotFoundFault(f"{user} is not a named member of {name}.")
        projects.remove_member(cursor, project.project_id, user)
        _check_managers(cursor, project)


def set_context(
    database: Database, actor: Actor, project: str | None, privileges: int | None = None
) -> tuple[str | None, int]:
    """Keep a context for a user, and return it: the current project and the lowest level.

    Args:
        database: of the role ost_accounts.
        actor: the user.
        project: the project to make current; '' for none, which covers all of the user's; None leaves it.
        privileges: the lowest level; 1 where a project comes without one.

    Raises:
        AuthorizationFault: the user is not a member of such a project.
        UsageFault: the level is none of 1 to 5.
    """
    actor.require_scope(WRITE)
    if privileges is not None and not LOWEST <= privileges <= HIGHEST:
        raise UsageFault(f"{privileges} is no privileges level.", f"Give {LOWEST} to {HIGHEST}.")
    chosen = contexts.resolve(database, actor.user_id, Choice(project, privileges), "")
    with writing(database, actor) as cursor:
        if project is None:
            current = projects.kept_project_id(cursor, actor.user_id)
        else:
            current = chosen.scope_project_ids[0] if project else None
        projects.set_context(cursor, actor.user_id, current, chosen.min_privileges)
        return projects.kept_context(cursor, actor.user_id)


def get_context(database: Database, actor: Actor) -> tuple[str | None, int]:
    """Return the context that is kept for a user: the current project, None for all; the lowest level."""
    actor.require_scope(READ)
    with reading(database) as cursor:
        return projects.kept_context(cursor, actor.user_id)


def creation_scopes(database: Database, actor: Actor) -> list[CreationScope]:
    """Return which directories have new products of their own project, creator and level.

    Raises:
        AuthorizationFault: the caller has not the permission projects_manage.
    """
    _require_keeper(actor)
    with reading(database) as cursor:
        return projects.creation_scopes(cursor)


def set_creation_scope(
    database: Database, actor: Actor, scope: CreationScope, reason: str = ""
) -> CreationScope:
    """Say what new products below a directory are created as; those that there are stay what they are.

    Raises:
        AuthorizationFault: the caller has not the permission projects_manage; or the creator may not create
            in that project, or not at that level.
        NotFoundFault: there is no such project or user.
        UsageFault: the directory is not one below the data root.
    """
    _require_keeper(actor)
    directory = scope.directory.strip("/")
    if not directory or {"..", "."} & set(directory.split("/")):
        raise UsageFault(
            f"{scope.directory!r} is no directory below the data root.", "Give it as in 2026-11-21."
        )
    caller = _caller(database, actor)
    with writing(database, actor, reason) as cursor:
        project = _find(cursor, caller, actor, scope.project)
        creator = _user(cursor, scope.creator)
        is_member, is_manager = projects.standing(cursor, project.project_id, creator)
        check_creation(
            project.name,
            scope.privileges,
            is_public=project.is_public,
            max_privileges=project.max_privileges,
            is_member=is_member,
            is_manager=is_manager,
        )
        projects.set_creation_scope(cursor, directory, project.project_id, creator, scope.privileges)
    return CreationScope(directory, scope.project, scope.creator, scope.privileges)


def remove_creation_scope(database: Database, actor: Actor, directory: str, reason: str = "") -> None:
    """Let a directory be like those around it.

    Raises:
        AuthorizationFault: the caller has not the permission projects_manage.
        NotFoundFault: it has no creation scope of its own.
    """
    _require_keeper(actor)
    with writing(database, actor, reason) as cursor:
        if not projects.remove_creation_scope(cursor, directory.strip("/")):
            raise NotFoundFault(f"{directory} has no creation scope of its own.")


def audit_log(
    database: Database,
    actor: Actor,
    *,
    by: str | None = None,
    subject: str | None = None,
    project: str | None = None,
    before: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    action: str | None = None,
    limit: int = 100,
) -> list[audit.Entry]:
    """Return entries of the audit log, the newest first.

    Who has the permission admin_audit_log_view sees all; managers of a project those of the project.

    Raises:
        AuthorizationFault: the caller is neither.
        NotFoundFault: there is no such project that the caller may know of.
        UsageFault: more than 1000 entries are asked for.
    """
    actor.require_scope(READ)
    if not 1 <= limit <= MAX_ENTRIES:
        raise UsageFault(f"{limit} entries cannot be had at a time.", f"Ask for 1 to {MAX_ENTRIES}.")
    caller = _caller(database, actor)
    with reading(database) as cursor:
        if not actor.may(AUDIT):
            if project is None:
                raise AuthorizationFault(
                    f"{actor.name} has not the permission {AUDIT}.",
                    "Managers may ask for their project's part.",
                )
            _managed(cursor, caller, actor, project)
        return audit.entries(
            cursor,
            actor=by,
            subject=subject,
            project=project,
            before=before,
            since=since,
            until=until,
            action=action,
            limit=limit,
        )


def _caller(database: Database, actor: Actor | None) -> Context:
    if actor is None or actor.is_operator:
        return Context()
    return contexts.resolve(database, actor.user_id, Choice("", LOWEST), "")


def _keeps_all(actor: Actor | None) -> bool:
    return actor is not None and (actor.is_operator or actor.may(MANAGE))


def _require_keeper(actor: Actor) -> None:
    actor.require_scope(WRITE)
    if not _keeps_all(actor):
        raise AuthorizationFault(
            f"{actor.name} has not the permission {MANAGE}.", "A superuser can grant it to your role."
        )


def _find(cursor: Cursor, caller: Context, actor: Actor | None, name: str) -> Project:
    project = projects.find(cursor, caller, name, of_all=_keeps_all(actor))
    if project is None:
        raise NotFoundFault(f"There is no project {name}.", "ost.projects lists those that you may know of.")
    return project


def _managed(cursor: Cursor, caller: Context, actor: Actor, name: str) -> Project:
    project = _find(cursor, caller, actor, name)
    if not (project.is_manager or _keeps_all(actor)):
        raise AuthorizationFault(f"You do not manage the project {name}.", "Its managers may do this.")
    return project


def _user(cursor: Cursor, name: str) -> int:
    user_id = projects.user_id(cursor, name)
    if user_id is None:
        raise NotFoundFault(f"There is no active user {name}.")
    return user_id


def _check_managers(cursor: Cursor, project: Project) -> None:
    if not any(member.is_manager for member in projects.members(cursor, project.project_id)):
        raise ConflictFault(
            f"The project {project.name} would be left without a manager.", "Name another manager first."
        )


def _check_maximum(level: int, *, is_public: bool) -> None:
    most = WORLD if is_public else PROJECT
    if not LOWEST <= level <= most:
        kind = "public" if is_public else "private"
        raise UsageFault(f"A {kind} project cannot let its members give level {level}.", f"Give 1 to {most}.")
