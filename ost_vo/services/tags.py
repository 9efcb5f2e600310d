"""Tags: the observatory's own words for runs and targets, and who may say which there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from ost_vo.access.actor import READ, WRITE, Actor
from ost_vo.access.context import Context
from ost_vo.faults import AuthorizationFault, ConflictFault, NotFoundFault, UsageFault
from ost_vo.services.archive import Archive
from ost_vo.store import tags as store
from ost_vo.store.connections import Database
from ost_vo.store.tags import Tag
from ost_vo.store.transactions import reading, writing

MANAGE = "tags_manage"
EDIT_RUNS, EDIT_TARGETS = "run_detail_edit_tags", "object_detail_edit_tags"

MAX_NAME, MAX_DESCRIPTION = 64, 1000
COLOUR = "#777777"
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def listing(
    archive: Archive, context: Context, actor: Actor | None, after: str = "", limit: int | None = None
) -> list[Tag]:
    """Return tags by name: those of the runs and targets that the caller sees.

    Whoever may give tags sees all there are, with how often each is there for them.

    Args:
        archive: the open archive.
        context: who asks, in which scope.
        actor: who asks; None is anonymous.
        after: the name that they follow.
        limit: the most tags; None for all.

    Raises:
        TransientFault: out of time or connections.
    """
    with archive.database.connection() as connection:
        uses = store.uses(connection, archive.transaction_settings(context))
    with reading(archive.accounts_database) as cursor:
        found = store.listing(cursor, None if _knows_all(actor) else uses, after, limit)
    return [
        replace(tag, runs=uses.get(tag.name, (0, 0))[0], targets=uses.get(tag.name, (0, 0))[1])
        for tag in found
    ]


def get(archive: Archive, context: Context, actor: Actor | None, name: str) -> Tag:
    """Return a tag.

    Raises:
        NotFoundFault: there is none of that name that the caller may know of.
    """
    for tag in listing(archive, context, actor):
        if tag.name == name:
            return tag
    raise _unknown(name)


def add(
    database: Database, actor: Actor, name: str, colour: str = COLOUR, description: str = "", reason: str = ""
) -> None:
    """Make a tag, with the permission tags_manage.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        name: 1 to 64 characters that can be seen, without commas.
        colour: as in '#1f77b4'.
        description: what it is for, at most 1000 characters.
        reason: why, for the audit log.

    Raises:
        AuthorizationFault: the caller has not the permission.
        ConflictFault: there is a tag of that name.
        UsageFault: a value will not do.
    """
    _require(actor)
    _check({"name": name, "colour": colour, "description": description})
    with writing(database, actor, reason) as cursor:
        if store.lock(cursor, name):
            raise _taken(name)
        store.add(cursor, name, colour, description)


def update(
    database: Database,
    actor: Actor,
    name: str,
    changes: Mapping[str, str],
    reason: str = "",
    expect: Callable[[], None] | None = None,
) -> None:
    """Change name, colour or description of a tag, with the permission tags_manage.

    Args:
        database, actor, reason: as for :func:`add`.
        name: of the tag until now.
        changes: new values by name.
        expect: called when nobody else can change the tag any more; raises to refuse.

    Raises:
        AuthorizationFault, ConflictFault, UsageFault: as for :func:`add`.
        NotFoundFault: there is no such tag.
    """
    _require(actor)
    _check(changes)
    with writing(database, actor, reason) as cursor:
        if store.lock(cursor, name) is None:
            raise _unknown(name)
        if expect:
            expect()
        renamed = changes.get("name", name)
        if renamed != name and store.lock(cursor, renamed):
            raise _taken(renamed)
        store.update(cursor, name, changes)


def remove(database: Database, actor: Actor, name: str, reason: str = "") -> None:
    """Delete a tag, with the permission tags_manage; nothing has it any more.

    Raises:
        AuthorizationFault: the caller has not the permission.
        NotFoundFault: there is no such tag.
    """
    _require(actor)
    with writing(database, actor, reason) as cursor:
        if store.lock(cursor, name) is None:
            raise _unknown(name)
        store.remove(cursor, name)


def _knows_all(actor: Actor | None) -> bool:
    if actor is None or READ not in actor.scopes:
        return False
    return any(actor.may(permission) for permission in (MANAGE, EDIT_RUNS, EDIT_TARGETS))


def _require(actor: Actor) -> None:
    actor.require_scope(WRITE)
    if not actor.may(MANAGE):
        raise AuthorizationFault(
            f"{actor.name} has not the permission {MANAGE}.", "A superuser can grant it to your role."
        )


def _check(values: Mapping[str, str]) -> None:
    name = values.get("name", "tag")
    if not name.isprintable() or name != name.strip() or "," in name or not 0 < len(name) <= MAX_NAME:
        raise UsageFault(
            f"A tag cannot be called {name[:80]!r}.",
            f"Give 1 to {MAX_NAME} characters that can be seen, without commas.",
        )
    if not _COLOUR.fullmatch(values.get("colour", COLOUR)):
        raise UsageFault(f"{values['colour'][:20]!r} is no colour.", "Give one as in #1f77b4.")
    if len(values.get("description", "")) > MAX_DESCRIPTION:
        raise UsageFault("The description is too long.", f"Give at most {MAX_DESCRIPTION} characters.")


def _taken(name: str) -> ConflictFault:
    return ConflictFault(f"There is a tag {name} already.", "Choose another name.")


def _unknown(name: str) -> NotFoundFault:
    return NotFoundFault(f"There is no tag {name}.", "Look at the list of tags.")
