"""The context of a request or a job: from who asks and what is chosen, as it stands at that moment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ost_vo.access.context import Choice, Context, level
from ost_vo.faults import UsageFault
from ost_vo.services.archive import Archive
from ost_vo.store import contexts
from ost_vo.vo.parameters import Parameters

# The parameters of a request that choose its context, in every service.
PROJECT, PRIVILEGES = "OST_PROJECT", "OST_PRIVILEGES"
# In place of a project's name: none, so that level 2 covers all projects of the user.
NO_PROJECT = "-"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def choose(parameters: Parameters, given: Choice) -> Choice:
    """Return what parameters choose; what they leave open is as the URL has it.

    A project among the parameters comes with its own level, or with 1: a level of the URL went with the
    project of the URL.

    Raises:
        UsageFault: a parameter is given twice, no project can have that name, or the level is none of 1 to 5.
    """
    project, text = parameters.one(PROJECT), parameters.one(PRIVILEGES)
    privileges = level(text, PRIVILEGES) if text is not None else None
    if project is not None:
        if not _NAME.fullmatch(project.strip()):
            raise UsageFault(
                f"{PROJECT}={project!r} is not the name of a project.", "ost.projects lists them."
            )
        return replace(given, project=project_named(project.strip()), privileges=privileges)
    return replace(given, privileges=privileges) if privileges is not None else given


def project_named(text: str) -> str:
    """Return the project of a choice: '' for none."""
    return "" if text == NO_PROJECT else text


def resolve(archive: Archive, user_id: int, choice: Choice) -> Context:
    """Return the context of a user, 0 for anonymous, as memberships are now.

    Raises:
        AuthenticationFault: an anonymous caller chose a project; or the user is not active.
        AuthorizationFault: the user is no member of the project.
    """
    return contexts.resolve(archive.accounts_database, user_id, choice, archive.settings.base_url)


def of_job(
    archive: Archive, owner_id: int | None, parameters: Iterable[tuple[str, str]], stored: Mapping[str, Any]
) -> Context:
    """Return the context of a job, as memberships are now.

    Args:
        archive: the open archive.
        owner_id: who created it, None for anonymous.
        parameters: of the job.
        stored: what was chosen when it was created.

    Raises:
        UsageFault: a parameter is wrong.
        AuthenticationFault: an anonymous caller chose a project; or the user is not active.
        AuthorizationFault: the user is no member of the project.
    """
    return resolve(archive, owner_id or 0, choose(Parameters(parameters), stored_choice(stored)))


def stored_choice(values: Mapping[str, Any]) -> Choice:
    """Return the choice that was stored with a job; jobs of old, of anonymous callers alone, have none."""
    return Choice(values.get("project"), values.get("privileges"), values.get("prefix", ""))


def base_url(archive: Archive, context: Context) -> str:
    """Return what the URLs in an answer begin with: they keep the prefix that the client came in by."""
    return context.base_url or archive.settings.base_url
