"""Publishing: raising and lowering levels, validity, release dates, lineage, deletion. All or nothing.

The rules are those of `access.publishing`. Every function changes all of the products named, or none, and the
audit log keeps who did it and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ost_vo.access import publishing
from ost_vo.access.actor import WRITE, Actor
from ost_vo.access.publishing import ARCHIVE, PROJECT, VO, Held
from ost_vo.faults import ConflictFault, UsageFault
from ost_vo.store.connections import Database
from ost_vo.store.publishing import publication

# Products that one call may name; their lineage may be longer.
MAX_PRODUCTS = 10_000


def publish(
    database: Database,
    actor: Actor,
    identifiers: Sequence[str],
    level: int,
    reason: str = "",
    *,
    is_rehearsal: bool = False,
) -> list[str]:
    """Raise products to a level, up to level 3 with everything that they were made from.

    Args:
        database: of the role ost_accounts.
        actor: who does it.
        identifiers: of the products.
        level: 2 to 5.
        reason: why, for the audit log.
        is_rehearsal: whether to say only what would be raised.

    Returns:
        The identifiers of what was raised.

    Raises:
        UsageFault, NotFoundFault, AuthorizationFault: as `access.publishing.raised` says.
    """
    actor.require_scope(WRITE)
    _check(identifiers)
    if not PROJECT <= level <= VO:
        raise UsageFault(f"{level} is no level to publish to.", "Give 2, 3, 4 or 5.")
    with publication(database, actor, reason, is_rehearsal=is_rehearsal) as archive:
        products = archive.products(identifiers)
        changing = publishing.raised(products, archive.dependencies(products), level)
        named = {product.product_id for product in products}
        archive.set_privileges(
            changing, lambda held: level if held.product_id in named else min(level, ARCHIVE)
        )
    return _identifiers(changing)


def unpublish(
    database: Database,
    actor: Actor,
    identifiers: Sequence[str],
    level: int = PROJECT,
    reason: str = "",
    *,
    is_rehearsal: bool = False,
) -> list[str]:
    """Lower products to a level, 2 at the lowest; return the identifiers of what was lowered.

    Raises:
        UsageFault, NotFoundFault, AuthorizationFault, ConflictFault: as `access.publishing.lowered` says.
    """
    actor.require_scope(WRITE)
    _check(identifiers)
    with publication(database, actor, reason, is_rehearsal=is_rehearsal) as archive:
        products = archive.products(identifiers)
        changing = publishing.lowered(products, archive.referrers(products), level)
        archive.set_privileges(changing, lambda _: level)
    return _identifiers(changing)


def update_is_valid(
    database: Database,
    actor: Actor,
    identifiers: Sequence[str],
    is_valid: bool,
    reason: str = "",
    *,
    is_rehearsal: bool = False,
) -> list[str]:
    """Invalidate products, or make them valid again; return the identifiers of what changed.

    Raises:
        UsageFault, NotFoundFault, AuthorizationFault: as `access.publishing.check_validity` says.
    """
    actor.require_scope(WRITE)
    _check(identifiers)
    with publication(database, actor, reason, is_rehearsal=is_rehearsal) as archive:
        products = archive.products(identifiers)
        publishing.check_validity(products)
        changing = [product for product in products if product.is_valid != is_valid]
        archive.set_valid(changing, is_valid)
    return _identifiers(changing)


def release(
    database: Database,
    actor: Actor,
    identifiers: Sequence[str],
    moment: datetime | None,
    reason: str = "",
    *,
    is_rehearsal: bool = False,
) -> list[str]:
    """Say from when on everybody sees products; None takes that back, and so hides what was released by it.

    Raises:
        UsageFault, NotFoundFault, AuthorizationFault: as `access.publishing.check_release` says.
    """
    actor.require_scope(WRITE)
    _check(identifiers)
    if moment is not None and moment.tzinfo is None:
        raise UsageFault("The release date has no time zone.", "Give UTC, as in 2027-01-01T00:00:00Z.")
    with publication(database, actor, reason, is_rehearsal=is_rehearsal) as archive:
        products = archive.products(identifiers)
        publishing.check_release(products)
        archive.set_release_date(products, moment)
    return _identifiers(products)


def delete(
    database: Database,
    actor: Actor,
    identifiers: Sequence[str],
    reason: str = "",
    *,
    is_rehearsal: bool = False,
) -> list[str]:
    """Delete the records of products. Their files stay on disk, and are not ingested again as they are.

    Raises:
        NotFoundFault, AuthorizationFault, ConflictFault: as `access.publishing.check_deletion` says.
    """
    actor.require_scope(WRITE)
    _check(identifiers)
    with publication(database, actor, reason, is_rehearsal=is_rehearsal) as archive:
        products = archive.products(identifiers)
        publishing.check_deletion(products, archive.referrers(products))
        archive.delete(products)
    return _identifiers(products)


def set_progenitors(
    database: Database, actor: Actor, identifier: str, progenitors: Sequence[str], reason: str = ""
) -> None:
    """Say what a product was made from, in place of what was said before.

    Raises:
        NotFoundFault, AuthorizationFault: as `access.publishing.check_lineage` says.
        ConflictFault: that, or the product would be made from itself.
    """
    actor.require_scope(WRITE)
    if identifier in progenitors:
        raise ConflictFault(f"{identifier} cannot be made from itself.", "Leave it out.")
    with publication(database, actor, reason) as archive:
        product, *sources = archive.products([identifier, *progenitors])
        publishing.check_lineage(product, sources)
        archive.set_progenitors(product, sources)


def _check(identifiers: Sequence[str]) -> None:
    if not identifiers:
        raise UsageFault("No data product is named.", "Give its identifier, as obs_publisher_did has it.")
    if len(identifiers) > MAX_PRODUCTS:
        raise UsageFault(f"More than {MAX_PRODUCTS} products are named.", "Name fewer at a time.")


def _identifiers(products: Sequence[Held]) -> list[str]:
    return [product.identifier for product in products]
