"""FROM: tables, subqueries and joins (ADQL 2.1 sections 2.2.1, 2.2.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ost_vo.vo.adql import comparisons, matching, tree, types
from ost_vo.vo.adql.flaws import Flaw, suggestion
from ost_vo.vo.adql.scopes import Field, Relation, Scope, table_relation
from ost_vo.vo.adql.values import Value, quoted_name, select
from ost_vo.vo.columns import Catalogue, Table
from ost_vo.vo.uploads import UploadedTable

# Table references in one query: PostgreSQL plans joins of dozens of tables in milliseconds, not of thousands.
MAX_TABLES = 100


@dataclass(slots=True, eq=False)
class Source:
    """A table reference: its SQL, what qualifiers can name in it, and the columns that an asterisk means.

    Attributes:
        alias: the SQL's name of a single table or subquery; None for a join.
    """

    sql: str
    relations: list[Relation]
    fields: list[Field]
    alias: str | None = None


# Resolvers of a subquery in FROM (alias, correlation name) and of the condition of a join.
Derived = Callable[[tree.Expression, str, tree.Identifier], Source]
On = Callable[[tree.Condition, Scope], Value]


class TableFinder:
    """Finds tables by name and counts the aliases of one query.

    Attributes:
        used: (schema, name) of the tables found so far.
        common: correlation name of each common table, in lower case, to what it yields.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.used: set[tuple[str, str]] = set()
        self.common: dict[str, Callable[[str, tree.Identifier], Source]] = {}
        self._catalogue = catalogue
        self._aliases = 0

    def alias(self, position: int) -> str:
        """Return a new name for a table of the SQL."""
        self._aliases += 1
        if self._aliases > MAX_TABLES:
            raise Flaw(position, f"The query names more than {MAX_TABLES} tables.", "Split the query.")
        return f"t{self._aliases}"

    def source(self, node: tree.TableName) -> Source:
        """Return the table that a name in FROM means.

        Raises:
            Flaw: there is no such table, or there are several.
        """
        alias = self.alias(node.position)
        if len(node.path) == 1 and (common := self.common.get(node.path[0].text.lower())) is not None:
            return common(alias, node.label or node.path[0])
        table = self._table(node)
        self.used.add((table.schema, table.name))
        relation = table_relation(table, alias, node.label)
        if isinstance(table, UploadedTable):
            relation = matching.uploaded(relation, table, alias)
        sql_name = table.sql_name or f"{quoted_name(table.schema)}.{quoted_name(table.name)}"
        return Source(f"{sql_name} AS {alias}", [relation], relation.fields, alias)

    def _table(self, node: tree.TableName) -> Table:
        path = node.path
        if len(path) > 2:
            raise Flaw(node.position, "There are no catalogues here.", "Write schema.table.")
        schema = path[0].text if len(path) == 2 else None
        found = [
            table
            for table in self._catalogue.find(path[-1].text, schema)
            if (not path[-1].delimited or table.name == path[-1].text)
            and (schema is None or not path[0].delimited or table.schema == schema)
        ]
        written = ".".join(part.text for part in path)
        if not found:
            names = [f"{t.schema}.{t.name}" if schema else t.name for t in self._catalogue]
            hint = "SELECT table_name FROM TAP_SCHEMA.tables lists the tables."
            raise Flaw(node.position, f"No table {written}{suggestion(written, names)}", hint)
        if len(found) > 1:
            schemas = " and ".join(sorted(table.schema for table in found))
            raise Flaw(
                node.position,
                f"The table name {written} is ambiguous: it is in {schemas}.",
                "Write schema.table.",
            )
        return found[0]


def resolve(
    node: tree.TableReference, finder: TableFinder, derived: Derived, on: On, outer: Scope | None
) -> Source:
    """Return a table reference with everything joined to it; raises Flaw."""
    if isinstance(node, tree.TableName):
        return finder.source(node)
    if isinstance(node, tree.DerivedTable):
        return derived(node.query, finder.alias(node.position), node.label)
    left = resolve(node.left, finder, derived, on, outer)
    right = resolve(node.right, finder, derived, on, outer)
    relations = [*left.relations, *right.relations]
    require_distinct(relations, node.right.position)
    if node.condition is not None:
        return _joined_on(
            node, left, right, on(node.condition, Scope(relations, [*left.fields, *right.fields], outer))
        )
    names = node.using if node.using is not None else _shared(left, right, node.position)
    return _joined_using(node, left, right, names)


def require_distinct(relations: Iterable[Relation], position: int) -> None:
    """Raise Flaw when two relations of one FROM have the same name."""
    seen: set[tuple[str, str]] = set()
    for relation in relations:
        key = (relation.schema or "", relation.name if relation.exact else relation.name.lower())
        if key in seen:
            raise Flaw(
                position,
                f"The table name {relation.name} occurs twice in FROM.",
                "Give one of them another name with AS.",
            )
        seen.add(key)


def _joined_on(node: tree.Join, left: Source, right: Source, condition: Value) -> Source:
    if node.kind == "FULL" and not _hashable(condition, left, right):
        raise Flaw(
            node.right.position,
            "A FULL JOIN needs an equality between a column of each table.",
            "Use LEFT JOIN, or join on the equality of two columns.",
        )
    kind, first, second = node.kind, left.sql, right.sql
    for outer, inner in _orders(kind, left, right):
        if filtered := lateral(inner, condition):
            kind = "LEFT" if kind == "RIGHT" else kind
            first, second = outer.sql, filtered
            break
    sql = f"({first} {kind} JOIN {second} ON {condition.sql})"
    return Source(sql, [*left.relations, *right.relations], [*left.fields, *right.fields])


def _orders(kind: str, left: Source, right: Source) -> list[tuple[Source, Source]]:
    """Return the orders (outer, inner) in which a join can look up one table for each row of the other.

    An uploaded table is looked up last: it has an index only where a query needs one.
    """
    if kind == "INNER":
        return sorted([(left, right), (right, left)], key=lambda order: _is_upload(order[1]))
    return {"LEFT": [(left, right)], "RIGHT": [(right, left)]}.get(kind, [])


def _is_upload(source: Source) -> bool:
    return isinstance(source.relations[0], matching.UploadedRelation)


def lateral(source: Source, condition: Value) -> str | None:
    """Return a table as a subquery that looks up its stored geometry for each row of the other tables.

    PostgreSQL does not take a join condition into a security_barrier view, so that every pair of rows would
    be compared. OFFSET 0 keeps it from undoing the subquery. Returns None where the condition links no stored
    geometry.
    """
    if source.alias is None:
        return None
    relation = source.relations[0]
    if found := matching.lookup(relation, source.sql, source.alias, condition):
        return f"LATERAL ({found}) AS {source.alias}"
    links = [sql for owner, sql in condition.links if owner is relation]
    if not links:
        return None
    matching.require_index(relation)
    return f"LATERAL ({select('*', source.sql, f' WHERE {links[0]} OFFSET 0')}) AS {source.alias}"


def _hashable(condition: Value, left: Source, right: Source) -> bool:
    """Tell whether PostgreSQL can do a FULL JOIN on the condition: it implies an equality of both sides."""
    orders = ((left, right), (right, left))
    return any(
        _reads_only(one, first) and _reads_only(other, second)
        for one, other in condition.equalities
        for first, second in orders
    )


def _reads_only(fields: tuple[Field, ...], source: Source) -> bool:
    """Tell whether there are fields, and all of them are the source's."""
    return bool(fields) and all(any(item is own for own in source.fields) for item in fields)


def _shared(left: Source, right: Source, position: int) -> list[tree.Identifier]:
    """Return the column names that a natural join joins on: those in both tables."""
    names = {item.column.name.lower() for item in right.fields}
    shared = [item.column.name for item in left.fields if item.column.name.lower() in names]
    return [tree.Identifier(position, name, False) for name in shared]


def _joined_using(node: tree.Join, left: Source, right: Source, names: list[tree.Identifier]) -> Source:
    """Join on equality of the named columns, each of which the result has once, in front."""
    conditions, merged, gone = [], [], []
    for name in names:
        one, other = _only(name, left, "left"), _only(name, right, "right")
        values = comparisons.aligned(one.value(name.position), other.value(name.position), "=", name.position)
        conditions.append(f"{values[0].sql} = {values[1].sql}")
        merged.append(_merged(node.kind, one, other))
        gone += [one, other]
    kept = [item for item in (*left.fields, *right.fields) if item not in gone]
    sql = f"({left.sql} {node.kind} JOIN {right.sql} ON {' AND '.join(conditions) or 'true'})"
    return Source(sql, [*left.relations, *right.relations], [*merged, *kept])


def _only(name: tree.Identifier, source: Source, side: str) -> Field:
    found = Scope(source.relations, source.fields, None).lookup(name)
    if found is None:
        known = [item.column.name for item in source.fields]
        raise Flaw(
            name.position,
            f"No column {name.text} in the table on the {side} of the join{suggestion(name.text, known)}",
        )
    return found


def _merged(kind: str, left: Field, right: Field) -> Field:
    """Return the one column that stands for both; in an outer join that of the side that is never empty."""
    if kind == "RIGHT":
        return right
    if kind != "FULL":
        return left
    shared = types.common(left.type, right.type) or left.type
    sql = f"COALESCE({left.sql}, {right.sql})"
    column = types.redeclared(left.column, left.type, shared)
    return Field(column, sql, shared, None, left.datatype or right.datatype)
