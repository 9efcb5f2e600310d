"""What people write of runs and targets: notes, tags, the state of reduction, what the data are good for.

Whoever changes it must see the run or the target: what a caller does not see does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from ost_vo.access.actor import WRITE, Actor
from ost_vo.access.context import Context
from ost_vo.faults import AuthorizationFault, UsageFault
from ost_vo.services import runs, targets
from ost_vo.services.archive import Archive
from ost_vo.services.tags import EDIT_RUNS as EDIT_RUN_TAGS
from ost_vo.services.tags import EDIT_TARGETS as EDIT_TARGET_TAGS
from ost_vo.services.targets import Described
from ost_vo.store import tags as store
from ost_vo.store import target_records
from ost_vo.store.runs import Run
from ost_vo.store.tags import RUN, TARGET
from ost_vo.store.transactions import Cursor, writing

# What may be written, and the permission that it takes.
RUN_PERMISSIONS = {
    "note": "run_detail_edit_notes",
    "tags": EDIT_RUN_TAGS,
    "reduction_status": "runs_edit",
    "photometry": "runs_edit",
    "spectroscopy": "runs_edit",
}
TARGET_PERMISSIONS = {"note": "object_detail_edit_notes", "tags": EDIT_TARGET_TAGS}
REDUCTION_STATES = ("not", "partly", "fully", "error")

MAX_NOTE = 10_000
MAX_TAGS = 50
# In a text for people, only these characters do more than being seen.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def edit_run(
    archive: Archive,
    context: Context,
    actor: Actor,
    name: str,
    changes: Mapping[str, object],
    reason: str = "",
    expect: Callable[[Run], None] | None = None,
) -> Run:
    """Write of a run what people say of it, and return the run as it is then.

    Args:
        archive: the open archive.
        context: in which the actor sees runs.
        actor: who writes.
        name: of the run.
        changes: any of `RUN_PERMISSIONS`: note, a text; tags, their names; reduction_status, one of
            `REDUCTION_STATES`; photometry and spectroscopy, whether it is good for them.
        reason: why, for the audit log.
        expect: called with the run when nobody else can write of it any more; raises to refuse.

    Raises:
        AuthorizationFault: the caller has not the permission for one of them; nothing is changed.
        NotFoundFault: there is no such run that the caller sees.
        UsageFault: a value will not do, or nothing is to be changed.
    """
    checked = _checked(actor, changes, RUN_PERMISSIONS)
    with writing(archive.accounts_database, actor, reason) as cursor:
        key = store.lock_run(cursor, name)
        found = runs.get(archive, context, name)
        if expect:
            expect(found)
        assert key is not None  # it was seen just now
        _write(cursor, RUN, key, checked)
    return runs.get(archive, context, name)


def edit_target(
    archive: Archive,
    context: Context,
    actor: Actor,
    target_id: int,
    changes: Mapping[str, object],
    reason: str = "",
    expect: Callable[[Described], None] | None = None,
) -> Described:
    """Write of a target what people say of it: note and tags; return the target as it is then.

    Arguments and faults are those of :func:`edit_run`, with `TARGET_PERMISSIONS`.
    """
    checked = _checked(actor, changes, TARGET_PERMISSIONS)
    with writing(archive.accounts_database, actor, reason) as cursor:
        # Before it is looked at, so that it stays as it is seen.
        target_records.lock(cursor, [target_id])
        found = targets.get(archive, context, actor, target_id)
        if expect:
            expect(found)
        _write(cursor, TARGET, found.target.target_id, checked)
    return targets.get(archive, context, actor, target_id)


def _write(cursor: Cursor, kind: str, key: int, changes: Mapping[str, object]) -> None:
    store.write(cursor, kind, key, {name: value for name, value in changes.items() if name != "tags"})
    names = changes.get("tags")
    if isinstance(names, list):
        known = {tag.name for tag in store.listing(cursor, names)}
        if unknown := [name for name in names if name not in known]:
            raise UsageFault(f"There is no tag {unknown[0]}.", "Whoever may manage tags can make it.")
        store.set_tags(cursor, kind, key, names)


def _checked(
    actor: Actor, changes: Mapping[str, object], permissions: Mapping[str, str]
) -> dict[str, object]:
    actor.require_scope(WRITE)
    if not changes:
        raise UsageFault("Nothing is to be changed.", f"Give {', '.join(permissions)}.")
    for name in changes:
        if name not in permissions:
            raise UsageFault(f"{name!r} cannot be written here.", f"Give {', '.join(permissions)}.")
        if not actor.may(permissions[name]):
            raise AuthorizationFault(
                f"{actor.name} has not the permission {permissions[name]}.",
                "A superuser can grant it to your role.",
            )
    checked = dict(changes)
    if "note" in changes:
        checked["note"] = _note(str(changes["note"]))
    if "tags" in changes:
        checked["tags"] = _names(changes["tags"])
    if checked.get("reduction_status", "not") not in REDUCTION_STATES:
        raise UsageFault(
            f"{checked['reduction_status']!r} is no state of reduction.",
            f"Give {', '.join(REDUCTION_STATES)}.",
        )
    return checked


def _note(text: str) -> str:
    note = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(note) > MAX_NOTE:
        raise UsageFault("The note is too long.", f"Give at most {MAX_NOTE} characters.")
    if found := _CONTROL.search(note):
        raise UsageFault(f"The note has the control character {found[0]!r}.", "Leave it out.")
    return note


def _names(value: object) -> list[str]:
    names = list(dict.fromkeys(map(str, value))) if isinstance(value, Iterable) else []
    if len(names) > MAX_TAGS:
        raise UsageFault(f"{len(names)} tags are too many.", f"Give at most {MAX_TAGS}.")
    return names
