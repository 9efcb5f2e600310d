"""The lineage of a product as a drawing: generations from left to right."""

from __future__ import annotations

from dataclasses import dataclass

from ost_vo.services.products import Family

_WIDE, _HIGH = 190, 30  # of a product [pixel]
_APART, _BELOW = 60, 12  # between generations, and between products of one [pixel]
_LETTERS = 24


@dataclass(frozen=True, slots=True)
class Box:
    """A product in a drawing: its upper left corner [pixel], names of it, and whether it is the one."""

    x: int
    y: int
    identifier: str
    name: str
    short: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """A drawing.

    Attributes:
        boxes: the products.
        lines: from what something was made from to it, as paths of SVG.
        width, height: [pixel].
        box: width and height of a product.
    """

    boxes: list[Box]
    lines: list[str]
    width: int
    height: int
    box: tuple[int, int] = (_WIDE, _HIGH)


def tree(family: Family) -> Tree | None:
    """Return the drawing of a family, None where the product has none."""
    if not family.links:
        return None
    columns: dict[int, list[str]] = {}
    for identifier, generation in family.generations.items():
        columns.setdefault(generation, []).append(identifier)
    tallest = max(map(len, columns.values()))
    places: dict[str, tuple[int, int]] = {}
    for k, generation in enumerate(sorted(columns)):
        members = columns[generation]
        top = (tallest - len(members)) * (_HIGH + _BELOW) // 2
        for j, identifier in enumerate(members):
            places[identifier] = (k * (_WIDE + _APART) + 1, top + j * (_HIGH + _BELOW) + 1)
    boxes = []
    for identifier, (x, y) in places.items():
        name = family.names.get(identifier, identifier.rsplit("?", 1)[-1])
        short = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
        boxes.append(Box(x, y, identifier, name, short, identifier == family.identifier))
    lines = []
    for made, source in family.links:
        (x1, y1), (x2, y2) = places[source], places[made]
        x1, y1, y2 = x1 + _WIDE, y1 + _HIGH // 2, y2 + _HIGH // 2
        bend = (x1 + x2) // 2
        lines.append(f"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}")
    width = len(columns) * (_WIDE + _APART) - _APART + 2
    return Tree(boxes, lines, width, tallest * (_HIGH + _BELOW) - _BELOW + 2)
