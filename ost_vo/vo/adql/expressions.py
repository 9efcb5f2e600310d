"""Values and conditions of a query in PostgreSQL's language, within the scope of one SELECT."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ost_vo.vo.adql import casts, comparisons, functions, geometry, tree, types, udf, units
from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.scopes import Field, Scope
from ost_vo.vo.adql.values import Value, as_double, combined, quoted_text, typed

# Resolves a subquery, given the scope around it and the type that it is compared with: SQL, columns, and the
# columns that it reads of the queries around it.
Subquery = Callable[[tree.Expression, Scope, str | None], tuple[str, list[Value], list[Field]]]

_CONSTRUCTORS = frozenset(("POINT", "CIRCLE", "BOX", "POLYGON"))


class Expressions:
    """Resolves the values and conditions of one clause.

    Attributes:
        scope: the names that it can use.
        groups: SQL of the GROUP BY terms, once known; a value equal to one of them is constant in its group.
    """

    def __init__(self, scope: Scope, clause: str, subquery: Subquery, *, aggregates: bool = False) -> None:
        self.scope = scope
        self.groups: frozenset[str] = frozenset()
        self._clause = clause
        self._subquery = subquery
        self._aggregates = aggregates

    def value(self, node: tree.Value) -> Value:
        """Return a value with its type.

        Raises:
            Flaw: an unknown name, a value of the wrong type, an aggregate where none can stand.
        """
        result: Value = _VALUES[type(node)](self, node)
        if result.sql in self.groups:
            result.fields = ()
        return result

    def condition(self, node: tree.Condition) -> Value:
        """Return a condition as a boolean value; raises Flaw as ``value`` does."""
        result: Value = _CONDITIONS[type(node)](self, node)
        return result

    def _values(self, nodes: list[tree.Value]) -> list[Value]:
        return [self.value(node) for node in nodes]

    def _number(self, node: tree.Number) -> Value:
        if node.whole:
            whole = int(node.text)
            if whole < 2**63:
                kind = types.INTEGER if whole < 2**31 else types.BIGINT
                return Value(str(whole), kind, node.position, literal=whole)
        number = float(node.text)
        if math.isinf(number):
            raise Flaw(node.position, "The number is larger than double precision can hold.")
        return Value(f"{number!r}::float8", types.DOUBLE, node.position, literal=number)

    def _string(self, node: tree.String) -> Value:
        datatype = None if node.text.isascii() else "unicodeChar"
        sql = f"{quoted_text(node.text)}::text"
        return Value(sql, types.TEXT, node.position, literal=node.text, datatype=datatype)

    def _null(self, node: tree.Null) -> Value:
        return Value("NULL", types.NULL, node.position)

    def _column(self, node: tree.ColumnName) -> Value:
        return self.scope.find(node.path).value(node.position)

    def _signed(self, node: tree.Signed) -> Value:
        operand = self.value(node.operand)
        functions.require_numbers(f"The sign {node.sign}", [operand])
        if node.sign == "+":
            return operand
        literal = -operand.literal if isinstance(operand.literal, int | float) else None
        kind = types.DOUBLE if operand.type == types.NULL else operand.type
        sql = f"(-{typed(operand, kind)})"
        return combined(sql, kind, node.position, [operand], unit=operand.unit, literal=literal)

    def _arithmetic(self, node: tree.Arithmetic) -> Value:
        operands = self._values(node.operands)
        functions.require_numbers("Arithmetic", operands)
        sql = [typed(operands[0], types.DOUBLE) if operands[0].type == types.NULL else operands[0].sql]
        kind, unit, literal = operands[0].type, operands[0].unit, operands[0].literal
        for operator, operand in zip(node.operators, operands[1:], strict=True):
            sql.append(f" {operator} {operand.sql}")
            left, right = (types.DOUBLE if k == types.NULL else k for k in (kind, operand.type))
            kind = types.wider(left, right)
            unit = _UNITS[operator](unit, operand.unit)
            literal = _folded(operator, literal, operand.literal)
        known = {"unit": unit, "literal": literal, **geometry.scaled(node.operators, operands)}
        return combined(f"({''.join(sql)})", kind, node.position, operands, **known)

    def _concatenation(self, node: tree.Concatenation) -> Value:
        operands = self._values(node.operands)
        functions.require_texts("Concatenation (||)", operands)
        sql = " || ".join(functions.text(operand) for operand in operands)
        datatype = "unicodeChar" if any(operand.datatype for operand in operands) else None
        return combined(f"({sql})", types.TEXT, node.position, operands, datatype=datatype)

    def _aggregate(self, node: tree.Aggregate) -> Value:
        self._allow_aggregate(node.position, node.name)
        if node.argument is None:
            return Value("count(*)", types.BIGINT, node.position, aggregates=True, name="count")
        argument = self._inside_aggregate(node.argument)
        return aggregate(node, argument)

    def _allow_aggregate(self, position: int, name: str) -> None:
        if not self._aggregates:
            hint = "Conditions on aggregates stand behind HAVING." if self._clause == "WHERE" else ""
            raise Flaw(position, f"The aggregate function {name} cannot stand in {self._clause}.", hint)

    def _inside_aggregate(self, node: tree.Value) -> Value:
        """Return the argument of an aggregate, in which no other aggregate can stand."""
        groups, self.groups, self._aggregates = self.groups, frozenset(), False
        clause, self._clause = self._clause, "another aggregate function"
        argument = self.value(node)
        self.groups, self._aggregates, self._clause = groups, True, clause
        return argument

    def _cast(self, node: tree.Cast) -> Value:
        return casts.cast(self.value(node.operand), node)

    def _user_call(self, node: tree.UserCall) -> Value:
        if udf.is_aggregate(node.name):
            self._allow_aggregate(node.position, node.name)
            arguments = [self._inside_aggregate(argument) for argument in node.arguments]
        else:
            arguments = self._values(node.arguments)
        return udf.call(node, arguments)

    def _call(self, node: tree.Call) -> Value:
        arguments = self._values(node.arguments)
        name, position = node.name, node.position
        if name in _CONSTRUCTORS:
            return _constructed(name, arguments, position)
        special = _GEOMETRY.get(name)
        if special is not None:
            return special(arguments, position)
        return functions.call(name, arguments, position)

    def _comparison(self, node: tree.Comparison) -> Value:
        return comparisons.compare(
            self.value(node.left), node.operator, self.value(node.right), node.position
        )

    def _between(self, node: tree.Between) -> Value:
        value, low, high = self.value(node.value), self.value(node.low), self.value(node.high)
        return comparisons.between(value, low, high, node.negated, node.position)

    def _in_list(self, node: tree.InList) -> Value:
        return comparisons.in_list(
            self.value(node.value), self._values(node.values), node.negated, node.position
        )

    def _in_query(self, node: tree.InQuery) -> Value:
        value = self.value(node.value)
        sql, columns, outer = self._subquery(node.query, self.scope, value.type)
        if len(columns) != 1:
            raise Flaw(node.query.position, f"The subquery behind IN has {len(columns)} columns, not one.")
        comparisons.require_comparable(value, columns[0], columns[0].position)
        operator = "NOT IN" if node.negated else "IN"
        return self._with_outer(f"({value.sql} {operator} ({sql}))", node.position, [value], outer)

    def _exists(self, node: tree.Exists) -> Value:
        sql, _columns, outer = self._subquery(node.query, self.scope, None)
        return self._with_outer(f"EXISTS ({sql})", node.position, [], outer)

    def _with_outer(self, sql: str, position: int, parts: list[Value], outer: list[Field]) -> Value:
        """Return a condition that also reads what its subquery reads of this query."""
        result = combined(sql, types.BOOLEAN, position, parts)
        result.fields += tuple(field for field in outer if field.sql not in self.groups)
        return result

    def _like(self, node: tree.Like) -> Value:
        return comparisons.like(self.value(node.value), self.value(node.pattern), node)

    def _is_null(self, node: tree.IsNull) -> Value:
        value = self.value(node.value)
        sql = f"({functions.text(value)} IS {'NOT ' * node.negated}NULL)"
        return combined(sql, types.BOOLEAN, node.position, [value])

    def _not(self, node: tree.Not) -> Value:
        operand = self.condition(node.operand)
        return combined(f"(NOT {operand.sql})", types.BOOLEAN, node.position, [operand])

    def _logical(self, node: tree.Logical) -> Value:
        operands = [self.condition(operand) for operand in node.operands]
        sql = f" {node.operator} ".join(operand.sql for operand in operands)
        implied = operands if node.operator == "AND" else []
        links = tuple(link for operand in implied for link in operand.links)
        equalities = tuple(each for operand in implied for each in operand.equalities)
        known = {"links": links, "equalities": equalities}
        return combined(f"({sql})", types.BOOLEAN, node.position, operands, **known)


def _constructed(name: str, arguments: list[Value], position: int) -> Value:
    """Return a geometry from the arguments of its constructor."""
    frame = "ICRS"
    if arguments[0].type == types.NULL or (
        isinstance(arguments[0].literal, str) and arguments[0].type == types.TEXT
    ):
        frame = geometry.coordinate_system(arguments[0])
        arguments = arguments[1:]
    sizes = {"CIRCLE": 1, "BOX": 2}.get(name, 0)
    if name != "POLYGON" or geometry.by_coordinates(arguments):
        by_point = name in ("CIRCLE", "BOX") and len(arguments) == sizes + 1
        functions.require_numbers(name, arguments[1:] if by_point else arguments)
    return geometry.construct(name, arguments, frame, position)


def aggregate(node: tree.Aggregate, argument: Value) -> Value:
    """Return AVG, COUNT, MAX, MIN or SUM of an argument."""
    name, position = node.name, node.position
    if node.distinct and argument.type in types.GEOMETRIES:
        raise Flaw(argument.position, f"{name} cannot tell {types.named(argument.type)} from another.")
    distinct = "DISTINCT " * node.distinct
    known: dict[str, Any] = {"aggregates": True, "name": name.lower()}
    argument_sql = functions.text(argument) if name == "COUNT" else argument.sql
    sql = f"{name.lower()}({distinct}{argument_sql})"
    if name == "COUNT":
        return Value(sql, types.BIGINT, position, **known)
    if name in ("MIN", "MAX"):
        return _extreme(name, sql, argument, position)
    functions.require_numbers(name, [argument])
    known["unit"] = argument.unit
    if name == "SUM" and argument.type in types.INTEGERS:
        return Value(f"{sql}::bigint", types.BIGINT, position, **known)
    return Value(f"{name.lower()}({distinct}{as_double(argument)})", types.DOUBLE, position, **known)


def _extreme(name: str, sql: str, argument: Value, position: int) -> Value:
    """Return MIN or MAX, which keep all that is known about the argument."""
    if argument.type not in (*types.NUMBERS, types.TEXT, types.TIMESTAMP):
        raise Flaw(argument.position, f"{name} has no order for {types.named(argument.type)}.")
    return Value(
        sql, argument.type, position, column=argument.column, unit=argument.unit, aggregates=True,
        datatype=argument.datatype, name=name.lower(),
    )  # fmt: skip


def _folded(operator: str, left: Any, right: Any) -> float | int | None:
    """Return a constant computed as PostgreSQL does, or None where it is no constant."""
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    if operator != "/":
        result = {"+": left + right, "-": left - right, "*": left * right}[operator]
    elif right == 0:
        return None
    elif isinstance(left, int) and isinstance(right, int):
        result = math.trunc(left / right) if abs(left) < 2**53 else None  # type: ignore[assignment]
    else:
        result = left / right
    return result if result is None or math.isfinite(result) else None


_UNITS: dict[str, Callable[[str | None, str | None], str | None]] = {
    "+": units.of_sum,
    "-": units.of_sum,
    "*": units.of_product,
    "/": units.of_ratio,
}
_GEOMETRY: dict[str, Callable[[list[Value], int], Value]] = {
    "AREA": lambda values, position: geometry.area(values[0], position),
    "CENTROID": lambda values, position: geometry.centroid(values[0], position),
    "CONTAINS": lambda values, position: geometry.contains(values[0], values[1], position),
    "INTERSECTS": lambda values, position: geometry.intersects(values[0], values[1], position),
    "COORD1": lambda values, position: geometry.coordinate(values[0], True, position),
    "COORD2": lambda values, position: geometry.coordinate(values[0], False, position),
    "COORDSYS": lambda values, position: geometry.coordinate_system_of(values[0], position),
    "DISTANCE": lambda values, position: _distance(values, position),
    "REGION": lambda values, _position: geometry.region(values[0]),
}


def _distance(values: list[Value], position: int) -> Value:
    """Return DISTANCE in its form of two points or of four numbers."""
    if len(values) == 2:
        return geometry.distance(values[0], values[1], position)
    functions.require_numbers("DISTANCE", values)
    one = geometry.point(values[0], values[1], position)
    other = geometry.point(values[2], values[3], position)
    return geometry.distance(one, other, position)


_VALUES: dict[type, Callable[[Any, Any], Value]] = {
    tree.Number: Expressions._number,
    tree.String: Expressions._string,
    tree.Null: Expressions._null,
    tree.ColumnName: Expressions._column,
    tree.Signed: Expressions._signed,
    tree.Arithmetic: Expressions._arithmetic,
    tree.Concatenation: Expressions._concatenation,
    tree.Call: Expressions._call,
    tree.UserCall: Expressions._user_call,
    tree.Aggregate: Expressions._aggregate,
    tree.Cast: Expressions._cast,
}
_CONDITIONS: dict[type, Callable[[Any, Any], Value]] = {
    tree.Comparison: Expressions._comparison,
    tree.Between: Expressions._between,
    tree.InList: Expressions._in_list,
    tree.InQuery: Expressions._in_query,
    tree.Like: Expressions._like,
    tree.IsNull: Expressions._is_null,
    tree.Exists: Expressions._exists,
    tree.Not: Expressions._not,
    tree.Logical: Expressions._logical,
}
