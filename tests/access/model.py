"""The rules of `docs/access.md` once more, as short as they can be said, for comparison with the archive."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Project:
    public: bool
    maximum: int
    members: set[str] = field(default_factory=set)
    managers: set[str] = field(default_factory=set)


@dataclass
class Product:
    creator: str
    project: str
    level: int
    valid: bool = True
    released: bool = False
    made_from: set[str] = field(default_factory=set)


class Refused(Exception):
    pass


class Model:
    def __init__(self, users: set[str], projects: dict[str, Project], products: dict[str, Product]) -> None:
        self.users, self.projects, self.products = users, projects, products

    def member(self, user: str, project: str) -> bool:
        return user in self.users and (
            self.projects[project].public or user in self.projects[project].members
        )

    def sees(self, user: str, product: Product, project: str | None = None, lowest: int = 1) -> bool:
        covered = [project] if project else [name for name in self.projects if self.member(user, name)]
        return (
            product.released
            or product.level == 5
            or (product.level == 4 and lowest <= 4)
            or (user in self.users and product.level == 3 and lowest <= 3)
            or (product.level == 2 and lowest <= 2 and product.project in covered)
            or (
                product.level == lowest == 1 == product.creator.count(user)
                and self.member(user, product.project)
            )
        )

    def in_obscore(self, user: str, product: Product, project: str | None = None, lowest: int = 1) -> bool:
        published = product.released or product.level == 5
        seen = self.sees(user, product, project, lowest) if user in self.users else published
        return seen and product.valid

    def steps(self, user: str, product: Product) -> set[tuple[int, int]]:
        """The pairs of levels between which a user may raise a product."""
        project = self.projects[product.project]
        pairs = set()
        if user == product.creator and self.member(user, product.project):
            top = min(4 if project.public else 2, project.maximum)
            pairs |= {(low, high) for low in range(1, top) for high in range(low + 1, top + 1)}
        if user in project.managers:
            pairs |= {(low, high) for low in (2, 3, 4) for high in range(max(3, low + 1), 6)}
        # What can be had in two steps can be had in one call.
        return pairs | {(a, d) for a, b in pairs for c, d in pairs if b == c}

    def ancestors(self, name: str) -> set[str]:
        direct = self.products[name].made_from
        return direct.union(*(self.ancestors(other) for other in direct))

    def publish(self, user: str, name: str, level: int) -> None:
        product = self._found(user, name)
        rest = [self.products[other] for other in self.ancestors(name)]
        below = [held for held in rest if held.level < min(level, 3)]
        if product.level > level or not 2 <= level <= 5:
            raise Refused
        if product.level < level and (product.level, level) not in self.steps(user, product):
            raise Refused
        for held in below:
            own = (held.level, min(level, 3)) in self.steps(user, held)
            if not own and (held.project != product.project or held.level == 1):
                raise Refused
        for held in below:
            held.level = min(level, 3)
        product.level = level

    def unpublish(self, user: str, name: str, level: int) -> None:
        product = self._found(user, name)
        if not 2 <= level <= product.level:
            raise Refused
        if level == product.level:
            return
        if product.released or (level, product.level) not in self.steps(user, product):
            raise Refused
        if any(held.level >= 3 or held.released for held in self._referrers(name)):
            raise Refused
        product.level = level

    def set_valid(self, user: str, name: str, valid: bool) -> None:
        product = self._found(user, name)
        is_manager = user in self.projects[product.project].managers
        is_creator = user == product.creator and self.member(user, product.project)
        if not (is_manager or (is_creator and product.level <= 2)):
            raise Refused
        product.valid = valid

    def release(self, user: str, name: str, released: bool) -> None:
        product = self._found(user, name)
        if user not in self.projects[product.project].managers:
            raise Refused
        product.released = released

    def delete(self, user: str, name: str) -> None:
        product = self._found(user, name)
        is_creator = user == product.creator and self.member(user, product.project)
        if not (is_creator if product.level == 1 else user in self.projects[product.project].managers):
            raise Refused
        if self._referrers(name):
            raise Refused
        del self.products[name]

    def derive(self, user: str, name: str, sources: set[str]) -> None:
        product, held = self._found(user, name), [self._found(user, source) for source in sources]
        is_creator = user == product.creator and self.member(user, product.project)
        if not (is_creator or user in self.projects[product.project].managers):
            raise Refused
        if product.level >= 3 and any(source.level < 3 for source in held):
            raise Refused
        if name in sources or any(name in self.ancestors(source) for source in sources):
            raise Refused
        product.made_from = set(sources)

    def _found(self, user: str, name: str) -> Product:
        product = self.products.get(name)
        if product is None or not self.sees(user, product):
            raise Refused
        return product

    def _referrers(self, name: str) -> list[Product]:
        return [product for product in self.products.values() if name in product.made_from]
