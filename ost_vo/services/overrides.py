"""The user's word over the machine's: what people say of products, and what ingest found doubtful in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ost_vo.access.actor import READ, WRITE, Actor
from ost_vo.access.context import Context
from ost_vo.faults import AuthorizationFault, NotFoundFault, UsageFault
from ost_vo.services import targets
from ost_vo.services.archive import Archive
from ost_vo.store import overrides as store
from ost_vo.store.connections import Database
from ost_vo.store.overrides import Discrepancy, Override
from ost_vo.store.transactions import Cursor

Field = Literal["exposure_type", "spectrograph", "target"]
VALUES: dict[str, tuple[str, ...]] = {
    "exposure_type": ("bias", "dark", "flat", "light", "wave"),
    "spectrograph": ("DADOS", "BACHES", "EINSTEIN_TOWER", "none"),
}
TARGET = "target"
FIELDS = (*VALUES, TARGET)
# In place of a target: the product is of none.
NONE = "none"

SET_EXPOSURE_TYPE, SET_SPECTROGRAPH = "datafiles_exposure_type_user", "datafiles_spectrograph"
LINK, UNLINK = "datafiles_link_object", "datafiles_unlink_object"
CLEAR, LOOK = "datafiles_clear_overrides", "datafiles_reevaluate"

# Products that one call may name, and on one page.
MAX_PRODUCTS = 10_000
MAX_PAGE = 1000


def put(
    archive: Archive,
    context: Context,
    actor: Actor,
    identifiers: Sequence[str],
    field: str,
    value: str,
    reason: str = "",
) -> None:
    """Say what products are; ingest leaves that alone from then on. All of them or none.

    Args:
        archive: the open archive.
        context: in which the actor sees targets.
        actor: who says it.
        identifiers: of the products.
        field: exposure_type, spectrograph or target.
        value: one of `VALUES`; of a target, its number or a name of it, or none.
        reason: why, for the audit log.

    Raises:
        UsageFault: there is no such field, or the value is none of its.
        AuthorizationFault: the caller has not the permission for it.
        NotFoundFault: there is no such product or target that the caller may see.
    """
    if field not in FIELDS:
        raise _no_field(field)
    _require(actor, _permission(field, value))
    if field == TARGET and value != NONE:
        value = str(targets.find(archive, context, actor, value))
    elif field != TARGET and value not in VALUES[field]:
        raise UsageFault(f"{value!r} is no {field}.", f"Give {', '.join(VALUES[field])}.")
    with store.changing(archive.accounts_database, actor, reason) as cursor:
        ids = found(cursor, actor, identifiers)
        store.put(cursor, actor, list(ids.values()), field, value)


def clear(
    database: Database,
    actor: Actor,
    identifiers: Sequence[str],
    field: str | None = None,
    reason: str = "",
) -> list[str]:
    """Take back what was said of products: they are what ingest found again. All of them or none.

    Returns:
        The identifiers of those of which something had been said.

    Raises:
        UsageFault: there is no such field.
        AuthorizationFault: the caller has not the permission datafiles_clear_overrides.
        NotFoundFault: there is no such product that the caller may see.
    """
    if field is not None and field not in FIELDS:
        raise _no_field(field)
    _require(actor, CLEAR)
    with store.changing(database, actor, reason) as cursor:
        ids = found(cursor, actor, identifiers)
        cleared = store.clear(cursor, list(ids.values()), field)
    return [identifier for identifier, product_id in ids.items() if product_id in cleared]


def found(cursor: Cursor, actor: Actor, identifiers: Sequence[str]) -> dict[str, int]:
    """Return the keys of products by their identifiers, locked; the cursor sees what the actor sees.

    Raises:
        NotFoundFault: there is no such product that the actor may see.
        UsageFault: none is named, or too many.
    """
    ids = store.products(cursor, actor, _checked(identifiers))
    for identifier in identifiers:
        if identifier not in ids:
            raise NotFoundFault(f"There is no data product {identifier}.", "Look it up in ost.products.")
    return ids


def dismiss(database: Database, actor: Actor, identifier: str, keyword: str, reason: str = "") -> None:
    """Strike out a discrepancy that somebody has looked at; it comes back when the file says so again.

    Raises:
        AuthorizationFault: the caller has not the permission datafiles_reevaluate.
        NotFoundFault: there is no such product that the caller may see, or nothing doubtful of that keyword.
    """
    _require(actor, LOOK)
    with store.changing(database, actor, reason) as cursor:
        (product_id,) = found(cursor, actor, [identifier]).values()
        if not store.dismiss(cursor, product_id, keyword):
            raise NotFoundFault(
                f"Nothing is doubtful in {keyword} of {identifier}.", "Look at the list of discrepancies."
            )


def listing(
    database: Database,
    actor: Actor,
    *,
    identifiers: Sequence[str] | None = None,
    field: str | None = None,
    after: int | None = None,
    limit: int = 100,
) -> tuple[list[Override], int | None]:
    """Return what was said of products that the caller may see, and where the next page begins.

    Raises:
        UsageFault: the limit is none of 1 to 1000.
    """
    actor.require_scope(READ)
    _check_limit(limit)
    return store.overrides(
        database, actor, identifiers=identifiers, field=field, after=after or 0, limit=limit
    )


def discrepancies(
    database: Database,
    actor: Actor,
    *,
    run: str | None = None,
    keyword: str | None = None,
    after: int | None = None,
    limit: int = 100,
) -> tuple[list[Discrepancy], int | None]:
    """Return what is doubtful in products that the caller may see, and where the next page begins.

    Raises:
        AuthorizationFault: the caller has not the permission datafiles_reevaluate.
        UsageFault: the limit is none of 1 to 1000.
    """
    actor.require_scope(READ)
    if not actor.may(LOOK):
        raise _denied(actor, LOOK)
    _check_limit(limit)
    return store.discrepancies(database, actor, run=run, keyword=keyword, after=after or 0, limit=limit)


def _permission(field: str, value: str) -> str:
    """Return the permission that it takes to say that."""
    if field == TARGET:
        return UNLINK if value == NONE else LINK
    return SET_EXPOSURE_TYPE if field == "exposure_type" else SET_SPECTROGRAPH


def _no_field(field: str) -> UsageFault:
    return UsageFault(f"{field!r} cannot be said of a product.", f"Give {', '.join(FIELDS)}.")


def _require(actor: Actor, needed: str) -> None:
    actor.require_scope(WRITE)
    if not actor.may(needed):
        raise _denied(actor, needed)


def _denied(actor: Actor, needed: str) -> AuthorizationFault:
    return AuthorizationFault(
        f"{actor.name} has not the permission {needed}.", "A superuser can grant it to your role."
    )


def _checked(identifiers: Sequence[str]) -> Sequence[str]:
    if not identifiers:
        raise UsageFault("No data product is named.", "Give its identifier, as obs_publisher_did has it.")
    if len(identifiers) > MAX_PRODUCTS:
        raise UsageFault(f"More than {MAX_PRODUCTS} products are named.", "Name fewer at a time.")
    return identifiers


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE:
        raise UsageFault(f"A page cannot have {limit} products.", f"Ask for 1 to {MAX_PAGE}.")
