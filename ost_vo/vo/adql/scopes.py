"""Names in a query: which table and column each one means (ADQL 2.1 sections 2.1.6, 2.1.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ost_vo.vo.adql import types
from ost_vo.vo.adql.flaws import Flaw, suggestion
from ost_vo.vo.adql.tree import Identifier
from ost_vo.vo.adql.values import Value, quoted_name
from ost_vo.vo.columns import Column, Table


@dataclass(slots=True, eq=False)
class Field:
    """One column of a table in FROM.

    Attributes:
        column: name and metadata.
        sql: how the query reads it.
        type: one of types.py.
        relation: the table it belongs to; None for a column that USING or NATURAL merged.
        datatype: ``unicodeChar`` where the text may hold more than ASCII.
    """

    column: Column
    sql: str
    type: str
    relation: Relation | None
    datatype: str | None = None

    def value(self, position: int) -> Value:
        """Return the column as an expression."""
        return Value(
            self.sql,
            self.type,
            position,
            column=self.column,
            unit=self.column.unit,
            name=self.column.name,
            fields=(self,),
            datatype=self.datatype,
            source=self,
        )


@dataclass(slots=True, eq=False)
class Relation:
    """A table, subquery or common table in FROM, under the name that the query uses.

    Attributes:
        name, schema: as a qualifier names it; no schema for correlation names.
        exact: whether the name was delimited.
        fields: its columns in order.
        point: (longitude column, latitude column, SQL of the stored spoint), names in lower case.
        regions: name of a text column (lower case) to the SQL of the stored spoly.
    """

    name: str
    schema: str | None
    exact: bool
    fields: list[Field] = field(default_factory=list)
    point: tuple[str, str, str] | None = None
    regions: dict[str, str] = field(default_factory=dict)

    def answers(self, path: list[Identifier]) -> bool:
        """Tell whether a qualifier (``table`` or ``schema.table``) means this relation."""
        if not _same(path[-1], self.name, self.exact):
            return False
        return len(path) == 1 or (self.schema is not None and _same(path[-2], self.schema, False))


def _same(identifier: Identifier, name: str, exact: bool) -> bool:
    """Compare an identifier with a name: exactly where one is delimited, otherwise regardless of case."""
    if identifier.delimited:
        return identifier.text == name
    if exact:
        return identifier.text == name or (name.lower() == name and identifier.text.lower() == name)
    return identifier.text.lower() == name.lower()


def table_relation(table: Table, alias: str, label: Identifier | None) -> Relation:
    """Return a table of the catalogue as a relation that the SQL calls ``alias``."""
    if label is None:
        relation = Relation(table.name, table.schema, False)
    else:
        relation = Relation(label.text, None, label.delimited)
    prefix = f"{alias}."
    for column in table.columns:
        kind, template = types.stored(column)
        sql = prefix + quoted_name(column.name)
        datatype = "unicodeChar" if column.datatype == "unicodeChar" else None
        if template != "{}":
            sql = template.format(sql)
        relation.fields.append(Field(column, sql, kind, relation, datatype))
    if table.point is not None:
        longitude, latitude, stored = table.point
        relation.point = (longitude.lower(), latitude.lower(), f"{alias}.{quoted_name(stored)}")
    relation.regions = {
        name.lower(): f"{alias}.{quoted_name(stored)}" for name, stored in table.regions.items()
    }
    return relation


class Scope:
    """The names that one SELECT, or the condition of one join, can use.

    Attributes:
        relations: what qualifiers can name.
        fields: what an asterisk stands for, in order; also what names without qualifier can mean.
        outer: the scope of the query around a subquery, or None.
    """

    def __init__(self, relations: list[Relation], fields: list[Field], outer: Scope | None) -> None:
        self.relations = relations
        self.fields = fields
        self.outer = outer
        self._by_name: dict[str, list[Field]] = {}
        for item in fields:
            self._by_name.setdefault(item.column.name.lower(), []).append(item)

    def __contains__(self, item: Field) -> bool:
        if item.relation is None:
            return item in self.fields
        return item.relation in self.relations

    def find(self, path: list[Identifier]) -> Field:
        """Return the column that a reference means, looking outwards from this scope.

        Raises:
            Flaw: no such column or table, or several columns of that name.
        """
        scope: Scope | None = self
        while scope is not None:
            found = scope._here(path)
            if found is not None:
                return found
            scope = scope.outer
        raise self._missing(path)

    def lookup(self, name: Identifier) -> Field | None:
        """Return the column of this scope that an unqualified name means, or None."""
        return self._here([name])

    def _here(self, path: list[Identifier]) -> Field | None:
        name = path[-1]
        candidates: Iterable[Field]
        if len(path) == 1:
            candidates = self._by_name.get(name.text.lower(), ())
        else:
            relation = self.relation(path[:-1])
            if relation is None:
                return None
            candidates = (item for item in relation.fields if item.column.name.lower() == name.text.lower())
        found = [item for item in candidates if not name.delimited or item.column.name == name.text]
        if len(found) > 1:
            found = self._exact(path, found)
        return found[0] if found else None

    def _exact(self, path: list[Identifier], found: list[Field]) -> list[Field]:
        """Return the one column spelt as written, or raise Flaw: the name is ambiguous."""
        spelt = [item for item in found if item.column.name == path[-1].text]
        if len(spelt) == 1:
            return spelt
        owners = sorted({item.relation.name for item in found if item.relation is not None})
        where = " and ".join(owners) if len(owners) > 1 else f"{owners[0] if owners else 'the query'} twice"
        raise Flaw(
            path[0].position,
            f"The column name {_dotted(path)} is ambiguous: it is in {where}.",
            "Write the table in front, as in table.column, or give the columns different names.",
        )

    def relation(self, path: list[Identifier]) -> Relation | None:
        """Return the relation of this scope that a qualifier means, or None.

        Raises:
            Flaw: several relations answer to it.
        """
        found = [relation for relation in self.relations if relation.answers(path)]
        if len(found) > 1:
            raise Flaw(
                path[0].position,
                f"The table name {_dotted(path)} is ambiguous.",
                "Give the tables different names with AS.",
            )
        return found[0] if found else None

    def _missing(self, path: list[Identifier]) -> Flaw:
        """Say which name is unknown, and which one may have been meant."""
        name = path[-1]
        relations = list(self._visible())
        if len(path) > 1:
            relation = next((r for r in relations if r.answers(path[:-1])), None)
            if relation is None:
                names = [r.name for r in relations]
                return Flaw(
                    path[0].position,
                    f"No table {_dotted(path[:-1])} in FROM{suggestion(path[-2].text, names)}",
                    "A table with a correlation name is known by that name only.",
                )
            relations = [relation]
        where = _dotted_names(relations[0]) if len(relations) == 1 else "the tables of this query"
        known = [item.column.name for r in relations for item in r.fields]
        hint = "Delimited names are matched exactly." if name.delimited else ""
        return Flaw(name.position, f"No column {name.text} in {where}{suggestion(name.text, known)}", hint)

    def _visible(self) -> Iterator[Relation]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.relations
            scope = scope.outer


def _dotted(path: list[Identifier]) -> str:
    return ".".join(part.text for part in path)


def _dotted_names(relation: Relation) -> str:
    return f"{relation.schema}.{relation.name}" if relation.schema else relation.name
