"""Whole queries: SELECT, set operations, common tables, limits (ADQL 2.1 sections 2.2, 4.5, 4.6, 4.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ost_vo.vo.adql import projection, tables, tree, types
from ost_vo.vo.adql.expressions import Expressions, Subquery
from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.scopes import Field, Relation, Scope
from ost_vo.vo.adql.tables import Source, TableFinder
from ost_vo.vo.adql.values import Value, quoted_name, select, typed
from ost_vo.vo.columns import Catalogue, Column

# Columns of a result: PostgreSQL's limit for the entries of a target list.
MAX_COLUMNS = 1600
# Bytes of a name that PostgreSQL keeps.
_MAX_NAME = 63


@dataclass(slots=True, eq=False)
class SelectPlan:
    """One SELECT, resolved; names and values of its result, and the clauses as SQL.

    Attributes:
        outer: the columns of surrounding queries that it reads.
        hidden: stored geometries of the selected columns, which a query around this one may want.
    """

    columns: list[tuple[str, Value]]
    tables: str
    where: str = ""
    grouping: str = ""
    order: list[str] = field(default_factory=list)
    distinct: bool = False
    top: int | None = None
    offset: int | None = None
    outer: list[Field] = field(default_factory=list)

    def nested(self, kinds: list[str], hidden: Sequence[str] = ()) -> str:
        """Return the SQL as a subquery with columns c1, c2, ... of the given types, hidden ones h1, ..."""
        listed = [
            f"{typed(value, kind if kind != types.NULL else types.TEXT)} AS c{place}"
            for place, ((_, value), kind) in enumerate(zip(self.columns, kinds, strict=True), 1)
        ]
        listed += [f"{sql} AS h{place}" for place, sql in enumerate(hidden, 1)]
        return self._sql(listed, self.top)

    def final(self, limit: int | None) -> tuple[str, tuple[Column, ...]]:
        """Return the SQL as the whole query, of ``limit`` rows at most, with its columns as they leave."""
        results = [projection.result(name, value) for name, value in self.columns]
        listed = [f"{sql} AS {_output_name(column.name)}" for sql, column in results]
        return self._sql(listed, limit), tuple(column for _, column in results)

    def _sql(self, listed: list[str], limit: int | None) -> str:
        distinct = "DISTINCT " * self.distinct
        order = f" ORDER BY {', '.join(self.order)}" if self.order else ""
        rows = f" LIMIT {limit}" if limit is not None else ""
        skipped = f" OFFSET {self.offset}" if self.offset else ""
        clauses = f"{self.where}{self.grouping}{order}{rows}{skipped}"
        return select(f"{distinct}{', '.join(listed)}", self.tables, clauses)


@dataclass(slots=True, eq=False)
class SetPlan:
    """UNION, EXCEPT or INTERSECT of two queries; names and metadata are those of the left one."""

    operator: str
    left: Plan
    right: Plan
    columns: list[tuple[str, Value]]
    outer: list[Field]

    def nested(self, kinds: list[str], _hidden: Sequence[str] = ()) -> str:
        """Return the SQL as a subquery with columns c1, c2, ... of the given types; it has no hidden ones."""
        return f"({self.left.nested(kinds)}) {self.operator} ({self.right.nested(kinds)})"


Plan = SelectPlan | SetPlan


def _output_name(name: str) -> str:
    """Return the name of a result column, cut where PostgreSQL would cut it."""
    return quoted_name(name.encode()[:_MAX_NAME].decode(errors="ignore").replace("\0", ""))


class Resolver:
    """Turns the tree of one query into SQL over a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.finder = TableFinder(catalogue)

    def query(self, node: tree.Query, limit: int | None) -> tuple[str, tuple[Column, ...], int | None]:
        """Return the SQL of a whole query, its columns, and its TOP.

        Args:
            limit: rows that are wanted at most, or None; a smaller TOP goes first.
        """
        ctes = [self._common_table(place, cte) for place, cte in enumerate(node.ctes, 1)]
        plan = self._expression(node.expression, None)
        if isinstance(plan, SetPlan):
            plan = self._around(plan, node.expression, None)
        rows = plan.top if limit is None or (plan.top is not None and plan.top < limit) else limit
        sql, columns = plan.final(rows)
        return (f"WITH {', '.join(ctes)} {sql}" if ctes else sql), columns, plan.top

    def _common_table(self, place: int, cte: tree.CommonTable) -> str:
        """Resolve one query of WITH, make its name known, and return its SQL."""
        name = cte.name.text.lower()
        if name in self.finder.common:
            raise Flaw(cte.name.position, f"WITH defines {cte.name.text} twice.", "Give one another name.")
        plan = self._expression(cte.query, None)
        sql, build = self._as_table(plan)
        stored = f"w{place}"

        def source(alias: str, label: tree.Identifier) -> Source:
            relation = build(alias, label)
            return Source(f"{stored} AS {alias}", [relation], relation.fields, alias)

        self.finder.common[name] = source
        return f"{stored} AS ({sql})"

    def _as_table(self, plan: Plan) -> tuple[str, Callable[[str, tree.Identifier], Relation]]:
        """Return the SQL of a plan as a table, and what makes a relation of it under an alias."""
        columns = [
            (name, value if value.type != types.NULL else replace(value, type=types.TEXT))
            for name, value in plan.columns
        ]
        kinds = [value.type for _, value in columns]
        shown = _Hidden.of(plan)
        sql = plan.nested(kinds, shown.sql)

        def build(alias: str, label: tree.Identifier) -> Relation:
            relation = Relation(label.text, None, label.delimited)
            relation.fields = [
                Field(_derived(name, value), f"{alias}.c{place}", value.type, relation, value.datatype)
                for place, (name, value) in enumerate(columns, 1)
            ]
            shown.attach(relation, alias)
            return relation

        return sql, build

    def _derived_table(
        self, query: tree.Expression, alias: str, label: tree.Identifier, outer: Scope | None
    ) -> Source:
        plan = self._expression(query, outer)
        sql, build = self._as_table(plan)
        relation = build(alias, label)
        return Source(f"({sql}) AS {alias}", [relation], relation.fields, alias)

    def _subquery(
        self, node: tree.Expression, outer: Scope, kind: str | None
    ) -> tuple[str, list[Value], list[Field]]:
        """Return a subquery of a condition: SQL, columns, and what it reads of the queries around it.

        Args:
            kind: type of the value that it is compared with; None where its columns do not matter.
        """
        plan = self._expression(node, outer)
        columns = [value for _, value in plan.columns]
        kinds = [value.type for value in columns]
        if kind is not None and kinds == [types.NULL]:
            kinds = [kind]
        return plan.nested(kinds), columns, plan.outer

    def _expression(self, node: tree.Expression, outer: Scope | None) -> Plan:
        body = node.body
        if isinstance(body, tree.Select):
            return self._select(body, node.order, node.offset, outer)
        plan = (
            self._set_operation(body, outer)
            if isinstance(body, tree.SetOperation)
            else self._expression(body, outer)
        )
        if node.order or node.offset is not None:
            return self._around(plan, node, outer)
        return plan

    def _operand(self, node: tree.Expression | tree.Select | tree.SetOperation, outer: Scope | None) -> Plan:
        if isinstance(node, tree.Select):
            return self._select(node, [], None, outer)
        if isinstance(node, tree.SetOperation):
            return self._set_operation(node, outer)
        return self._expression(node, outer)

    def _set_operation(self, node: tree.SetOperation, outer: Scope | None) -> SetPlan:
        left, right = self._operand(node.left, outer), self._operand(node.right, outer)
        if len(left.columns) != len(right.columns):
            raise Flaw(
                node.position,
                f"{node.operator} stands between {len(left.columns)} and {len(right.columns)} columns.",
                "Select the same number of columns in both.",
            )
        columns = [
            (name, _merged(node, value, other, place))
            for place, ((name, value), (_, other)) in enumerate(
                zip(left.columns, right.columns, strict=True), 1
            )
        ]
        return SetPlan(
            f"{node.operator}{' ALL' * node.all}", left, right, columns, [*left.outer, *right.outer]
        )

    def _around(self, plan: Plan, node: tree.Expression, outer: Scope | None) -> SelectPlan:
        """Return a SELECT of all columns of a plan, with the order and offset that stand behind it."""
        alias = self.finder.alias(node.position)
        sql, build = self._as_table(plan)
        relation = build(alias, tree.Identifier(node.position, alias, True))
        scope = Scope([relation], relation.fields, outer)
        columns = [
            (name, item.value(value.position))
            for (name, value), item in zip(plan.columns, relation.fields, strict=True)
        ]
        around = SelectPlan(columns, f"({sql}) AS {alias}", offset=node.offset, outer=plan.outer)
        expressions = Expressions(scope, "ORDER BY", self._subquery)
        around.order = _ordered(node.order, around, expressions, grouped=False)
        return around

    def _select(
        self, node: tree.Select, order: list[tree.OrderTerm], offset: int | None, outer: Scope | None
    ) -> SelectPlan:
        sources = self._from(node.tables, outer)
        relations = [relation for source in sources for relation in source.relations]
        scope = Scope(relations, [item for source in sources for item in source.fields], outer)
        read: list[Field] = []
        plan = SelectPlan([], "", distinct=node.distinct, top=node.top, offset=offset)
        where = None
        if node.where is not None:
            where = Expressions(scope, "WHERE", self._subquery).condition(node.where)
            read += where.fields
            plan.where = f" WHERE {where.sql}"
        plan.tables = _listed(sources, where)
        groups = _Grouping(node, scope, self._subquery)
        values = Expressions(scope, "SELECT", self._subquery, aggregates=True)
        values.groups = groups.terms
        plan.columns = _columns(node, scope, values)
        groups.finish(plan, values)
        values = Expressions(scope, "ORDER BY", self._subquery, aggregates=groups.present)
        values.groups = groups.terms
        plan.order = _ordered(order, plan, values, grouped=groups.present)
        read += [item for _, value in plan.columns for item in value.fields]
        plan.outer = [item for item in (*read, *groups.read) if item not in scope]
        return plan

    def _from(self, references: list[tree.TableReference], outer: Scope | None) -> list[Source]:
        def derived(query: tree.Expression, alias: str, label: tree.Identifier) -> Source:
            return self._derived_table(query, alias, label, outer)

        def on(condition: tree.Condition, scope: Scope) -> Value:
            return Expressions(scope, "ON", self._subquery).condition(condition)

        sources = [tables.resolve(node, self.finder, derived, on, outer) for node in references]
        relations = [relation for source in sources for relation in source.relations]
        tables.require_distinct(relations, references[-1].position)
        return sources


def _listed(sources: list[Source], where: Value | None) -> str:
    """Return the tables behind FROM; one whose stored geometry WHERE links to the others goes last."""
    listed = [source.sql for source in sources]
    if where is None or len(sources) == 1:
        return ", ".join(listed)
    for place in range(len(sources) - 1, -1, -1):
        filtered = tables.lateral(sources[place], where)
        if filtered is not None:
            return ", ".join([*listed[:place], *listed[place + 1 :], filtered])
    return ", ".join(listed)


class _Hidden:
    """Stored geometries that accompany the plain columns of a subquery."""

    def __init__(self) -> None:
        self.sql: list[str] = []
        self._regions: dict[str, int] = {}
        self._point: tuple[str, str, int] | None = None

    @classmethod
    def of(cls, plan: Plan) -> _Hidden:
        """Return those of a plan; none where rows are merged, since geometries do not compare."""
        hidden = cls()
        if isinstance(plan, SelectPlan) and not plan.distinct and not plan.grouping:
            for name, value in plan.columns:
                if value.source is not None and value.source.relation is not None:
                    hidden._add(name, value.source, value.source.relation, plan)
        return hidden

    def _add(self, name: str, source: Field, relation: Relation, plan: SelectPlan) -> None:
        column = source.column.name.lower()
        stored = relation.regions.get(column)
        if stored is not None:
            self.sql.append(stored)
            self._regions[name.lower()] = len(self.sql)
        if relation.point is not None and relation.point[0] == column and self._point is None:
            latitude = relation.point[1]
            for other, value in plan.columns:
                found = value.source
                if found is not None and found.relation is relation and found.column.name.lower() == latitude:
                    self.sql.append(relation.point[2])
                    self._point = (name.lower(), other.lower(), len(self.sql))
                    return

    def attach(self, relation: Relation, alias: str) -> None:
        """Tell a relation made of the plan where its stored geometries are."""
        relation.regions = {name: f"{alias}.h{place}" for name, place in self._regions.items()}
        if self._point is not None:
            longitude, latitude, place = self._point
            relation.point = (longitude, latitude, f"{alias}.h{place}")


class _Grouping:
    """GROUP BY and HAVING of one SELECT, and the rule that goes with them.

    Attributes:
        terms: SQL of the GROUP BY terms.
        present: whether the rows are grouped at all.
        read: columns that the terms and HAVING read.
    """

    def __init__(self, node: tree.Select, scope: Scope, subquery: Subquery) -> None:
        self._node = node
        self._scope = scope
        self._expressions = Expressions(scope, "GROUP BY", subquery)
        values = [self._term(term) for term in node.group_by]
        self._listed = [value.sql for value in values]
        self.terms = frozenset(self._listed)
        self.present = bool(values) or node.having is not None
        self.read = [item for value in values for item in value.fields]

    def _term(self, term: tree.Value) -> Value:
        """Return one GROUP BY term: an expression, or a name or place in the select list."""
        items = self._node.items
        if isinstance(term, tree.Number) and term.whole:
            place = int(term.text) if len(term.text) < 6 else 0
            item = items[place - 1] if 0 < place <= len(items) else None
            if not isinstance(item, tree.Item):
                raise Flaw(
                    term.position, f"There is no value at place {term.text} of the select list to group by."
                )
            term = item.value
        elif (
            isinstance(term, tree.ColumnName) and len(term.path) == 1 and not self._scope.lookup(term.path[0])
        ):
            name = term.path[0].text.lower()
            labelled = [
                i for i in items if isinstance(i, tree.Item) and i.label and i.label.text.lower() == name
            ]
            term = labelled[0].value if labelled else term
        value = self._expressions.value(term)
        if value.type in types.GEOMETRIES or value.type == types.NULL or value.literal is not None:
            raise Flaw(
                term.position, f"Rows cannot be grouped by {types.named(value.type)} here.", "Name a column."
            )
        return value

    def finish(self, plan: SelectPlan, values: Expressions) -> None:
        """Write GROUP BY and HAVING into the plan.

        Raises:
            Flaw: a selected column is neither grouped nor inside an aggregate function.
        """
        having = None
        if self._node.having is not None:
            having = values.condition(self._node.having)
            self.read += having.fields
        self.present = self.present or any(value.aggregates for _, value in plan.columns)
        if self.present:
            for value in [value for _, value in plan.columns] + ([having] if having else []):
                require_grouped(value, self._scope)
        plan.grouping = f" GROUP BY {', '.join(self._listed)}" if self._listed else ""
        if having is not None:
            plan.grouping += f" HAVING {having.sql}"
        elif self.present and not self._listed:
            # An aggregate makes one row of all, so nothing of a single row can be shown beside it.
            plan.grouping = " GROUP BY ()"


def require_grouped(value: Value, scope: Scope) -> None:
    """Raise Flaw when a value of a grouped query reads a column that differs within a group."""
    loose = next((item for item in value.fields if item in scope), None)
    if loose is not None:
        name = loose.column.name
        raise Flaw(
            value.position,
            f"The column {name} differs within a group.",
            f"Add {name} to GROUP BY, or take MIN({name}) or MAX({name}).",
        )


def _columns(node: tree.Select, scope: Scope, values: Expressions) -> list[tuple[str, Value]]:
    """Return names and values of the select list, asterisks expanded."""
    columns: list[tuple[str, Value]] = []
    for item in node.items:
        if isinstance(item, tree.AllColumns):
            columns += [
                (each.column.name, _grouped(each, item.position, values)) for each in _all(item, scope)
            ]
            continue
        value = values.value(item.value)
        name = item.label.text if item.label is not None else value.name or f"column{len(columns) + 1}"
        columns.append((name, value))
    if len(columns) > MAX_COLUMNS:
        raise Flaw(node.position, f"The query selects {len(columns)} columns; the limit is {MAX_COLUMNS}.")
    return columns


def _grouped(item: Field, position: int, values: Expressions) -> Value:
    value = item.value(position)
    if value.sql in values.groups:
        value.fields = ()
    return value


def _all(item: tree.AllColumns, scope: Scope) -> list[Field]:
    """Return the columns that an asterisk stands for."""
    if not item.path:
        return scope.fields
    relation = scope.relation(item.path)
    if relation is None:
        written = ".".join(part.text for part in item.path)
        raise Flaw(
            item.position,
            f"No table {written} in FROM.",
            "A table with a correlation name is known by that only.",
        )
    return relation.fields


def _ordered(
    terms: list[tree.OrderTerm], plan: SelectPlan, values: Expressions, *, grouped: bool
) -> list[str]:
    """Return the ORDER BY terms as SQL: places and names of the select list first, then expressions."""
    listed = []
    for term in terms:
        place = _place(term, plan)
        value = values.value(term.value) if place is None else plan.columns[place][1]
        if value.type in types.GEOMETRIES:
            raise Flaw(
                term.position,
                f"{types.named(value.type).capitalize()} has no order.",
                "Sort by a coordinate.",
            )
        if value.literal is not None or value.type == types.NULL:
            continue
        if place is None and grouped:
            require_grouped(value, values.scope)
        sql = value.sql
        if plan.distinct:
            sql = _distinct_place(value, place, plan, term.position)
        listed.append(f"{sql} DESC" if term.descending else sql)
    return listed


def _place(term: tree.OrderTerm, plan: SelectPlan) -> int | None:
    """Return which column of the result an ORDER BY term names, from 0, or None for an expression."""
    node = term.value
    if isinstance(node, tree.Number) and node.whole:
        place = int(node.text) if len(node.text) < 6 else 0
        if not 0 < place <= len(plan.columns):
            raise Flaw(
                term.position, f"The select list has no column {node.text}; it has {len(plan.columns)}."
            )
        return place - 1
    if isinstance(node, tree.ColumnName) and len(node.path) == 1:
        name = node.path[0]
        found = [i for i, (label, _) in enumerate(plan.columns) if label.lower() == name.text.lower()]
        exact = [i for i in found if plan.columns[i][0] == name.text]
        if name.delimited or exact:
            found = exact
        if len({plan.columns[i][1].sql for i in found}) == 1:
            return found[0]
    return None


def _distinct_place(value: Value, place: int | None, plan: SelectPlan, position: int) -> str:
    """Return the place of an ORDER BY term in the select list, where DISTINCT wants all of them to be."""
    if place is None:
        place = next((i for i, (_, each) in enumerate(plan.columns) if each.sql == value.sql), None)
    if place is None:
        raise Flaw(position, "With DISTINCT, ORDER BY takes selected values only.", "Select the value, too.")
    return str(place + 1)


def _merged(node: tree.SetOperation, left: Value, right: Value, place: int) -> Value:
    """Return one column of a set operation: the left one, in a type that holds both."""
    kind = types.common(left.type, right.type)
    if kind is None:
        raise Flaw(
            right.position,
            f"Column {place} is {types.named(left.type)} before {node.operator}, behind it "
            f"{types.named(right.type)}.",
            "CAST one of them.",
        )
    if kind in types.GEOMETRIES and not (node.operator == "UNION" and node.all):
        raise Flaw(
            left.position,
            f"{node.operator} cannot compare {types.named(kind)}.",
            "UNION ALL needs no comparison.",
        )
    column = left.column if left.type != types.NULL else right.column
    if column is not None:
        column = types.redeclared(column, left.type if left.type != types.NULL else kind, kind)
    return Value(
        "", kind, left.position, column=column, unit=left.unit, datatype=left.datatype or right.datatype
    )


def _derived(name: str, value: Value) -> Column:
    """Return the description of a column of a subquery."""
    _, described = projection.result(name, value)
    return replace(described, sql_type=value.type) if described.sql_type != value.type else described
