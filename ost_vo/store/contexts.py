"""From a user and a choice to a context: memberships are read at that moment, never remembered."""

from __future__ import annotations

from ost_vo.access.context import LOWEST, Choice, Context
from ost_vo.access.publishing import WORLD
from ost_vo.faults import AuthenticationFault, AuthorizationFault
from ost_vo.store.connections import Database
from ost_vo.store.transactions import reading

_MEMBERSHIPS = """
SELECT u.context_project_id, u.context_privileges,
    coalesce((SELECT array_agg(j.project_id ORDER BY j.project_id) FROM archive.projects j
        WHERE j.is_public OR EXISTS (SELECT FROM archive.project_members m
            WHERE m.project_id = j.project_id AND m.user_id = u.user_id)), '{}') AS member_project_ids,
    (SELECT project_id FROM archive.projects WHERE name = %(project)s) AS chosen
FROM archive.users u WHERE u.user_id = %(user)s AND u.is_active
"""


def resolve(database: Database, user_id: int, choice: Choice, base_url: str) -> Context:
    """Return the context that a user's query runs in.

    A user's own context covers no more than the user may see now: where the user has left its current
    project, no project's level 2 is covered.

    Args:
        database: of the role ost_accounts.
        user_id: the user; 0 is anonymous, who may choose a level, but no project.
        choice: what the request or the job asks for.
        base_url: the archive's public URL.

    Raises:
        AuthenticationFault: an anonymous caller chose a project, or came in by a URL with a level below 4;
            or the user is no longer active.
        AuthorizationFault: the project is not one that the user is a member of, or there is none such.
    """
    prefix_url = f"{base_url}{choice.prefix}" if choice.prefix else ""
    if not user_id:
        if choice.project:
            raise AuthenticationFault(f"The project {choice.project} is for its members.", "Log in first.")
        if choice.prefix and choice.privileges is not None and choice.privileges < WORLD:
            # So that clients that log in only where they must have a URL that makes them.
            raise AuthenticationFault("Levels below 4 are for users of the archive.", "Log in first.")
        return Context(min_privileges=choice.privileges or LOWEST, base_url=prefix_url, choice=choice)
    with reading(database) as cursor:
        cursor.execute(_MEMBERSHIPS, {"user": user_id, "project": choice.project or None})
        row = cursor.fetchone()
    if row is None:
        raise AuthenticationFault("This account is not active any more.", "Ask the operators.")
    members = tuple(row["member_project_ids"])
    if choice.project and row["chosen"] not in members:
        raise no_member(choice.project)
    scope, lowest = members, row["context_privileges"]
    current = row["chosen"] if choice.project else row["context_project_id"]
    if choice.project is not None:
        lowest = LOWEST
    if choice.project == "":
        current = None
    if current is not None:
        scope = (current,) if current in members else ()
    return Context(user_id, scope, members, choice.privileges or lowest, prefix_url, choice)


def no_member(project: str) -> AuthorizationFault:
    """Return the refusal of a project that the caller is no member of, or that there is none of."""
    return AuthorizationFault(
        f"You are not a member of a project {project}.",
        "ost.projects lists the projects that you may choose; a manager of the project can take you in.",
    )
