"""Who may change a product's level, validity and existence: the tables of `reference/privileges.md`.

Nothing here reads or writes anything. The store hands in the products as they are, locked, and writes down
what is decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ost_vo.faults import AuthorizationFault, ConflictFault, Fault, NotFoundFault, UsageFault

MYDB, PROJECT, ARCHIVE, WORLD, VO = 1, 2, 3, 4, 5

# What each may raise: from one of these levels to one of those. By whether the project is public.
_CREATOR = {False: ({MYDB}, {PROJECT}), True: ({MYDB, PROJECT, ARCHIVE}, {PROJECT, ARCHIVE, WORLD})}
_MANAGER = ({PROJECT, ARCHIVE, WORLD}, {ARCHIVE, WORLD, VO})

# Above this, only the product itself is raised; what it was made from follows up to here.
RECURSIVE = ARCHIVE

# A refusal names so many of what stands in its way.
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Held:
    """A product, and what the caller is to it.

    Attributes:
        product_id, identifier: its number, and the identifier that the world knows it by.
        privileges: its level.
        is_valid: False where it was invalidated.
        is_released: whether its release date has come, so that everybody sees it.
        project_id, project: where it belongs.
        is_public, max_privileges: of the project.
        is_creator, is_member, is_manager: the caller to the product and to its project.
        is_visible: whether the caller may see it, in the widest context that the caller can choose.
    """

    product_id: int
    identifier: str
    privileges: int
    is_valid: bool
    is_released: bool
    project_id: int
    project: str
    is_public: bool
    max_privileges: int
    is_creator: bool
    is_member: bool
    is_manager: bool
    is_visible: bool

    @property
    def effective(self) -> int:
        """The level at which others see it: what is released is seen by everybody."""
        return VO if self.is_released else self.privileges

    def may_reach(self, level: int) -> bool:
        """Say whether the caller may raise the product to a level, in one step or in several."""
        reached = {self.privileges}
        for below in range(self.privileges, level):
            if below in reached:
                reached |= {above for above in range(below + 1, VO + 1) if self._may_step(below, above)}
        return level in reached

    def _may_step(self, below: int, above: int) -> bool:
        sources, goals = _CREATOR[self.is_public]
        as_creator = self.is_creator and self.is_member and below in sources and above in goals
        as_manager = self.is_manager and below in _MANAGER[0] and above in _MANAGER[1]
        return (as_creator and above <= self.max_privileges) or as_manager

    def may_lower(self, level: int) -> bool:
        """Say whether the caller may lower the product to a level: whoever may raise it back again."""
        sources, goals = _CREATOR[self.is_public]
        as_creator = self.is_creator and self.is_member and self.privileges in goals and level in sources
        as_manager = self.is_manager and self.privileges in _MANAGER[1] and level in _MANAGER[0]
        return (as_creator and self.privileges <= self.max_privileges) or as_manager

    def may_invalidate(self) -> bool:
        """Say whether the caller may change the validity: creators up to level 2, managers always."""
        return self.is_manager or (self.is_creator and self.is_member and self.privileges <= PROJECT)

    def may_delete(self) -> bool:
        """Say whether the caller may delete it: its creator at level 1, the manager above."""
        if self.privileges == MYDB:
            return self.is_creator and self.is_member
        return self.is_manager


def raised(products: Sequence[Held], dependencies: Sequence[Held], level: int) -> list[Held]:
    """Return what has to be raised, to publish some products to a level.

    Up to level 3, what they were made from is raised with them. A dependency of the same project follows,
    since who may publish the product may publish what it shows; but for the level 1 of somebody else, which
    nobody but its creator may show. One of another project follows where the caller may do that there.

    Args:
        products: to publish.
        dependencies: what they were made from, directly and indirectly.
        level: 2 to 5.

    Raises:
        UsageFault: a product is at a higher level already.
        NotFoundFault: a product is not the caller's to see.
        AuthorizationFault: the caller may not do it, for one of the products; none is raised then.
    """
    _check_visible(products)
    for product in products:
        if product.privileges > level:
            raise UsageFault(
                f"{product.identifier} is at level {product.privileges}, above {level}.",
                "Unpublish lowers it.",
            )
    denied = [product for product in products if not product.may_reach(level)]
    if denied:
        raise _denied(denied[0], level)
    floor = min(level, RECURSIVE)
    below = [held for held in dependencies if held.privileges < floor]
    projects = {product.project_id for product in products}
    in_the_way = [held for held in below if not _follows(held, floor, projects)]
    if in_the_way:
        raise AuthorizationFault(
            f"What it was made from would have to be raised to level {floor}, too, and you may not do that "
            f"for {_names(in_the_way)}.",
            "Ask their creators or the managers of their projects to publish them first.",
        )
    return [*(product for product in products if product.privileges < level), *below]


def lowered(products: Sequence[Held], referrers: Sequence[Held], level: int) -> list[Held]:
    """Return what has to be lowered, to unpublish some products to a level.

    Args:
        products: to unpublish.
        referrers: what was made from them directly.
        level: 2 to 4.

    Raises:
        UsageFault: the level is below 2, or above that of a product.
        NotFoundFault: a product is not the caller's to see.
        AuthorizationFault: the caller may not publish one of them.
        ConflictFault: its release date has come; or others of level 3 or higher were made from it.
    """
    _check_visible(products)
    if level < PROJECT:
        raise UsageFault(
            "Unpublishing goes down to level 2 at the lowest.", "Delete or invalidate it instead."
        )
    for product in products:
        if product.privileges < level:
            raise UsageFault(
                f"{product.identifier} is at level {product.privileges}, below {level}.", "Publish raises it."
            )
    changing = [product for product in products if product.privileges > level]
    for product in changing:
        if not product.may_lower(level):
            raise _denied(product, level)
        if product.is_released:
            raise ConflictFault(
                f"{product.identifier} has been released: everybody sees it whatever its level.",
                "A manager of its project can take its release date away first.",
            )
    above = [held for held in referrers if held.effective >= ARCHIVE]
    if changing and above:
        raise ConflictFault(
            f"Others of level 3 or higher were made from it: {_names(above)}.",
            "Unpublish those first, or invalidate it instead.",
        )
    return changing


def check_validity(products: Sequence[Held]) -> None:
    """Refuse to change the validity of products that the caller may not change.

    Raises:
        NotFoundFault: a product is not the caller's to see.
        AuthorizationFault: it is at level 3 or higher, or somebody else's, and the caller no manager.
    """
    _check_visible(products)
    for product in products:
        if not product.may_invalidate():
            raise AuthorizationFault(
                f"You may not change the validity of {product.identifier}, which is at level "
                f"{product.privileges}.",
                f"Its creator may up to level 2, the managers of {product.project} at any.",
            )


def check_release(products: Sequence[Held]) -> None:
    """Refuse to change the release date of products: that publishes to level 5, so only managers may.

    Raises:
        NotFoundFault: a product is not the caller's to see.
        AuthorizationFault: the caller is no manager; or it is the level 1 of somebody else.
    """
    _check_visible(products)
    for product in products:
        if not product.is_manager:
            raise AuthorizationFault(
                f"You may not change the release date of {product.identifier}.",
                f"The managers of {product.project} may.",
            )


def check_deletion(products: Sequence[Held], referrers: Sequence[Held]) -> None:
    """Refuse to delete products that the caller may not delete, or that others were made from.

    Args:
        products: to delete.
        referrers: what was made from them directly, those to delete left out.

    Raises:
        NotFoundFault: a product is not the caller's to see.
        AuthorizationFault: the caller may not delete one of them.
        ConflictFault: others were made from it.
    """
    _check_visible(products)
    for product in products:
        if not product.may_delete():
            raise AuthorizationFault(
                f"You may not delete {product.identifier}, which is at level {product.privileges}.",
                f"Its creator may at level 1, the managers of {product.project} above that.",
            )
    if referrers:
        raise ConflictFault(
            f"Others were made from it: {_names(referrers)}.", "Delete those first, or invalidate it instead."
        )


def check_lineage(product: Held, progenitors: Iterable[Held]) -> None:
    """Refuse a change of what a product was made from.

    Raises:
        NotFoundFault: one of them is not the caller's to see.
        AuthorizationFault: the caller is neither the product's creator nor a manager of its project.
        ConflictFault: the product is at level 3 or higher, and a progenitor below: it would have to follow.
    """
    progenitors = list(progenitors)
    _check_visible([product, *progenitors])
    if not (product.is_manager or (product.is_creator and product.is_member)):
        raise AuthorizationFault(
            f"You may not say what {product.identifier} was made from.",
            f"Its creator and the managers of {product.project} may.",
        )
    below = [held for held in progenitors if held.privileges < ARCHIVE <= product.privileges]
    if below:
        raise ConflictFault(
            f"{product.identifier} is at level {product.privileges}, and what it was made from must be at "
            f"level 3 or higher; these are not: {_names(below)}.",
            "Publish those first.",
        )


def check_creation(
    project: str, level: int, *, is_public: bool, max_privileges: int, is_member: bool, is_manager: bool
) -> None:
    """Refuse a creation scope: where new products belong, and at which level.

    Raises:
        AuthorizationFault: the creator is no member of the project, or the level is above its maximum.
    """
    if not is_member:
        raise AuthorizationFault(
            f"Only members of {project} can create data in it.", "A manager of the project can take you in."
        )
    # Members of public projects create at levels 1 to 4, of private ones at 1 and 2.
    most = min(max_privileges, WORLD if is_public else PROJECT)
    if level > most and not is_manager:
        raise AuthorizationFault(
            f"Level {level} is above the maximum of {project}, {most}.", "Its managers may go beyond."
        )


def _follows(held: Held, level: int, projects: Collection[int]) -> bool:
    if held.may_reach(level):
        return True
    return held.project_id in projects and held.privileges >= PROJECT


def _check_visible(products: Iterable[Held]) -> None:
    for product in products:
        if not product.is_visible:
            raise NotFoundFault(
                f"There is no data product {product.identifier}.", "Look it up in ost.products."
            )


def _denied(product: Held, level: int) -> Fault:
    if product.is_creator and product.is_member and product.max_privileges < level:
        return AuthorizationFault(
            f"Level {level} is above the maximum of {product.project}, {product.max_privileges}.",
            "A manager of the project may go beyond.",
        )
    kind, most = ("public", WORLD) if product.is_public else ("private", PROJECT)
    return AuthorizationFault(
        f"You may not take {product.identifier} from level {product.privileges} to {level}.",
        f"In the {kind} project {product.project}, its creator may go up to level "
        f"{min(product.max_privileges, most)}; from level 2 on, managers may go further.",
    )


def _names(products: Sequence[Held]) -> str:
    """Name products; of those that the caller may not see, only how many there are."""
    seen = [held.identifier for held in products if held.is_visible]
    hidden = len(products) - len(seen)
    parts = seen[:_NAMED]
    if len(seen) > _NAMED:
        parts.append(f"{len(seen) - _NAMED} more")
    if hidden:
        parts.append(f"{hidden} that you may not see")
    return ", ".join(parts)
