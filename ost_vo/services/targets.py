"""Targets: who may see which, what they are called, merging and splitting them, asking catalogues again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ost_vo.access.actor import READ, WRITE, Actor
from ost_vo.access.context import Context
from ost_vo.catalogues import lookup
from ost_vo.catalogues.entries import Entry
from ost_vo.catalogues.names import key
from ost_vo.faults import AuthorizationFault, ConflictFault, NotFoundFault, UsageFault
from ost_vo.services.archive import Archive
from ost_vo.store import target_records as records
from ost_vo.store.connections import Database
from ost_vo.store.target_records import Sight, Target
from ost_vo.store.transactions import Cursor, reading, writing

VIEW_ALL = "objects_view_private"
EDIT, MERGE, DELETE_ALIASES = "objects_edit", "objects_merge", "object_delete_aliases"

# Targets on one page.
MAX_PAGE = 1000
# Of a name.
MAX_NAME = 200

# Asks a catalogue elsewhere what it has of a name; None where it knows none.
Ask = Callable[[str], Entry | None]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which targets to list; None leaves it open.

    Attributes:
        name: the one with that name or alias, in any spelling.
        is_unresolved: those that no catalogue knows, or the others.
        tag: those that have it.
    """

    name: str | None = None
    is_unresolved: bool | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some targets in the order of their numbers; where the next page begins, None where there is none."""

    targets: list[Target]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class Described:
    """A target, and its names. Its number is not that asked for where that one was merged into it."""

    target: Target
    aliases: list[str]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of a target that catalogues were asked about.

    Attributes:
        target: as it was.
        catalogue: which one knows it; None where none does.
        merged_into: the target that it turned out to be, None where it stays one of its own.
    """

    target: Target
    catalogue: str | None
    merged_into: int | None


def page(
    archive: Archive, context: Context, actor: Actor | None, filters: Filters, after: int | None, limit: int
) -> Page:
    """Return a page of the targets that the caller may see.

    These are the targets of products that the context covers, and well-known objects in their fields; with
    the permission objects_view_private, all.

    Raises:
        UsageFault: the limit is none of 1 to 1000.
        TransientFault: out of time or connections.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise UsageFault(f"A page cannot have {limit} targets.", f"Ask for 1 to {MAX_PAGE}.")
    with _sight(archive, context, actor) as sight:
        found = sight.listing(
            name=filters.name,
            is_unresolved=filters.is_unresolved,
            tag=filters.tag,
            after=after or 0,
            limit=limit + 1,
        )
    return Page(found[:limit], found[limit - 1].target_id if len(found) > limit else None)


def get(archive: Archive, context: Context, actor: Actor | None, target_id: int) -> Described:
    """Return a target, or the one that it was merged into.

    Raises:
        NotFoundFault: there is none of that number that the caller may see.
        TransientFault: out of time or connections.
    """
    kept = records.survivor(archive.accounts_database, target_id)
    with _sight(archive, context, actor) as sight:
        if (target := sight.find(kept)) is None:
            raise _unknown(target_id)
        return Described(target, [alias.name for alias in sight.names(kept)])


def find(archive: Archive, context: Context, actor: Actor | None, wanted: str) -> int:
    """Return the number of a target by its number or a name in any spelling.

    Raises:
        NotFoundFault: there is none that the caller may see.
    """
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= 9:
        return get(archive, context, actor, int(wanted)).target.target_id
    with _sight(archive, context, actor) as sight:
        if (target := sight.named(wanted)) is None:
            raise _unknown(wanted)
    return target.target_id


def add(database: Database, actor: Actor, name: str, reason: str = "") -> int:
    """Add a target before any file names it, with what catalogues have of it; return its number.

    Raises:
        AuthorizationFault: the caller has not the permissions objects_edit and objects_view_private.
        ConflictFault: there is a target of that name.
    """
    _require(actor, EDIT)
    _check_name(name)
    with writing(database, actor, reason) as cursor:
        if (taken := records.owner(cursor, key(name))) is not None:
            raise _taken(name, taken)
        return _make(cursor, name)


def merge(database: Database, actor: Actor, sources: Sequence[int], into: int, reason: str = "") -> None:
    """Make targets one: their names and products go to the last one, and their numbers lead to it.

    Raises:
        AuthorizationFault: the caller has not the permissions objects_merge and objects_view_private.
        NotFoundFault: there is no such target.
        UsageFault: none is named, or one is to be merged into itself.
        ConflictFault: it was merged already; or it is what catalogues know, and the other is not.
    """
    _require(actor, MERGE)
    if not sources or into in sources:
        raise UsageFault("A target cannot be merged into itself.", "Name another one, and at least one.")
    with writing(database, actor, reason) as cursor:
        records.lock(cursor, [*sources, into])
        kept = _held(cursor, into)
        for source in [_held(cursor, number) for number in dict.fromkeys(sources)]:
            if source.resolved_by and not kept.resolved_by:
                raise ConflictFault(
                    f"{source.resolved_by} knows {source.target_name}, and no catalogue {kept.target_name}.",
                    "Merge them the other way round.",
                )
        records.merge(cursor, sources, into)


def split(database: Database, actor: Actor, target_id: int, aliases: Sequence[str], reason: str = "") -> int:
    """Let names of a target be another one's, with the products whose files have one of them.

    A target that was merged and had one of the names is itself again, with its number.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        target_id: the target.
        aliases: the names that leave it; the first one is the new target's, unless it is one of old.
        reason: why, for the audit log.

    Returns:
        The number of the target that has the names now.

    Raises:
        AuthorizationFault: the caller has not the permissions objects_edit and objects_view_private.
        NotFoundFault: there is no such target.
        UsageFault: it has no such name, or that is its own.
    """
    _require(actor, EDIT)
    with writing(database, actor, reason) as cursor:
        records.lock(cursor, [target_id])
        target = _held(cursor, target_id)
        names = {alias.key: alias.name for alias in records.of_all(cursor).names(target_id)}
        leaving = _leaving(target, names, aliases)
        other = records.former(cursor, target_id, leaving)
        if other is not None:
            records.revive(cursor, other)
        else:
            first = names[leaving[0]]
            entry = lookup.named(first)
            other = records.add(cursor, first, entry if entry and key(entry.name) in leaving else None)
        records.move(cursor, target_id, other, leaving)
        return other


def add_alias(database: Database, actor: Actor, target_id: int, alias: str, reason: str = "") -> None:
    """Call a target by a further name: files that have it are of that target from then on.

    Raises:
        AuthorizationFault: the caller has not the permissions objects_edit and objects_view_private.
        NotFoundFault: there is no such target.
        ConflictFault: another target has that name.
    """
    _require(actor, EDIT)
    _check_name(alias)
    with writing(database, actor, reason) as cursor:
        records.lock(cursor, [target_id])
        _held(cursor, target_id)
        taken = records.owner(cursor, key(alias))
        if taken not in (None, target_id):
            raise _taken(alias, taken)
        records.add_names(cursor, target_id, [alias], "person")


def remove_alias(database: Database, actor: Actor, target_id: int, alias: str, reason: str = "") -> None:
    """Let a name be nobody's; the target keeps its products.

    Raises:
        AuthorizationFault: the caller has not the permissions object_delete_aliases and objects_view_private.
        NotFoundFault: there is no such target.
        UsageFault: it has no such name, or that is its own.
    """
    _require(actor, DELETE_ALIASES)
    with writing(database, actor, reason) as cursor:
        records.lock(cursor, [target_id])
        target = _held(cursor, target_id)
        names = {found.key: found.name for found in records.of_all(cursor).names(target_id)}
        records.remove_name(cursor, _leaving(target, names, [alias])[0])


def resolve(
    database: Database, actor: Actor, ask: Ask | None = None, reason: str = ""
) -> Iterator[Resolution]:
    """Ask catalogues again about the targets that none knew, each in a transaction of its own.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        ask: a catalogue elsewhere, asked where those here know nothing.
        reason: why, for the audit log.

    Raises:
        AuthorizationFault: the caller has not the permissions objects_merge and objects_view_private.
        TransientFault: the catalogue elsewhere does not answer; those before are resolved.
    """
    _require(actor, MERGE)
    with reading(database) as cursor:
        waiting = records.unresolved(cursor)
    for target in waiting:
        # Before the transaction: an answer may take a minute.
        entry = lookup.named(target.target_name) or (ask(target.target_name) if ask else None)
        if entry is None:
            yield Resolution(target, None, None)
            continue
        with writing(database, actor, reason) as cursor:
            yield Resolution(target, entry.catalogue, _settle(cursor, target, entry))


def _settle(cursor: Cursor, target: Target, entry: Entry) -> int | None:
    """Write down what a target is; return the target that has its name already, None where none has."""
    records.lock(cursor, [target.target_id])
    if records.of_all(cursor).find(target.target_id) is None:
        return records.owner(cursor, key(target.target_name))
    taken = records.owner(cursor, key(entry.name))
    if taken not in (None, target.target_id):
        records.merge(cursor, [target.target_id], taken)
        return taken
    if entry.catalogue in lookup.CATALOGUES:
        # As it would be called if they had known it from the first; what others call it is for machines.
        records.rename(cursor, target.target_id, entry.name)
    records.resolve(cursor, target.target_id, entry)
    records.add_names(cursor, target.target_id, [entry.name, *entry.aliases], "catalogue")
    return None


def _make(cursor: Cursor, name: str) -> int:
    entry = lookup.named(name)
    if entry and (taken := records.owner(cursor, key(entry.name))) is not None:
        raise _taken(entry.name, taken)
    called = entry.name if entry else name
    target_id = records.add(cursor, called, entry)
    records.add_names(cursor, target_id, [called, name], "person")
    if entry:
        records.add_names(cursor, target_id, entry.aliases, "catalogue")
    return target_id


@contextmanager
def _sight(archive: Archive, context: Context, actor: Actor | None) -> Iterator[Sight]:
    if actor is not None and READ in actor.scopes and actor.may(VIEW_ALL):
        with reading(archive.accounts_database) as cursor:
            yield records.of_all(cursor)
        return
    with (
        archive.database.connection() as connection,
        records.as_caller(connection, archive.transaction_settings(context)) as sight,
    ):
        yield sight


def _require(actor: Actor, permission: str) -> None:
    """Refuse without a permission, and without seeing all targets: names of hidden ones are in the way."""
    actor.require_scope(WRITE)
    for needed in (permission, VIEW_ALL):
        if not actor.may(needed):
            raise AuthorizationFault(
                f"{actor.name} has not the permission {needed}.", "A superuser can grant it to your role."
            )


def _held(cursor: Cursor, target_id: int) -> Target:
    target = records.of_all(cursor).find(target_id)
    if target is None:
        raise _unknown(target_id)
    return target


def _leaving(target: Target, names: dict[str, str], aliases: Sequence[str]) -> list[str]:
    """Return the keys of names that are to leave a target."""
    if not aliases:
        raise UsageFault("No name is given.", "Give at least one that is to leave the target.")
    leaving = list(dict.fromkeys(key(alias) for alias in aliases))
    for alias in aliases:
        if key(alias) not in names:
            raise UsageFault(
                f"{target.target_name} is not called {alias}.", "Its record lists what it is called."
            )
        if key(alias) == key(target.target_name):
            raise UsageFault(f"{alias} is its own name, which it keeps.", "Name the others.")
    return leaving


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME:
        raise UsageFault(
            f"A target cannot be called {name[:50]!r}.", f"Give 1 to {MAX_NAME} characters that can be seen."
        )


def _taken(name: str, target_id: int | None) -> ConflictFault:
    return ConflictFault(
        f"{name} is a name of the target {target_id}.", "Merge the two, or split it off there first."
    )


def _unknown(wanted: int | str) -> NotFoundFault:
    return NotFoundFault(f"There is no target {wanted}.", "ost.targets lists those that you may see.")
