"""From the parser's reductions to the nodes of tree.py; called by lark while it parses."""

from __future__ import annotations

from typing import Any

from lark import Token, Transformer, v_args

from ost_vo.vo.adql import arguments, tree


def _unquoted(token: Token) -> str:
    """Return the text between the quotes of a literal or delimited name, doubled quotes undone."""
    quote = token[0]
    return token[1:-1].replace(quote * 2, quote)


def _start(token: Token) -> int:
    """Return the offset of a token in the query."""
    return token.start_pos or 0


def _identifier(token: Token) -> tree.Identifier:
    """Return the name that a token is."""
    if token.type == "DELIMITED":
        return tree.Identifier(_start(token), _unquoted(token), True)
    return tree.Identifier(_start(token), str(token), False)


@v_args(inline=True)
class TreeBuilder(Transformer):
    """One method a grammar rule; holds no state, so one instance serves all threads."""

    def query(self, ctes: list[tree.CommonTable] | None, expression: tree.Expression) -> tree.Query:
        return tree.Query(expression.position, ctes or [], expression)

    def ctes(self, *ctes: tree.CommonTable) -> list[tree.CommonTable]:
        return list(ctes)

    def cte(self, name: tree.Identifier, query: tree.Expression) -> tree.CommonTable:
        return tree.CommonTable(name.position, name, query)

    def expression(
        self, body: Any, order: list[tree.OrderTerm] | None, offset: int | None
    ) -> tree.Expression:
        return tree.Expression(body.position, body, order or [], offset)

    def set_operation(self, left: Any, operator: Token, every: Token | None, right: Any) -> tree.SetOperation:
        return tree.SetOperation(_start(operator), operator.upper(), every is not None, left, right)

    def select(
        self,
        start: Token,
        quantifier: Token | None,
        top: int | None,
        items: list[tree.Item | tree.AllColumns],
        tables: list[tree.TableReference],
        where: tree.Condition | None,
        group_by: list[tree.Value] | None,
        having: tree.Condition | None,
    ) -> tree.Select:
        distinct = quantifier is not None and quantifier.type == "DISTINCT"
        return tree.Select(_start(start), distinct, top, items, tables, where, group_by or [], having)

    def top(self, rows: Token) -> int:
        return arguments.row_count(rows)

    def offset(self, rows: Token) -> int:
        return arguments.row_count(rows)

    def items(self, *items: tree.Item | tree.AllColumns) -> list[tree.Item | tree.AllColumns]:
        return list(items)

    def item(self, value: tree.Value, label: tree.Identifier | None) -> tree.Item:
        return tree.Item(value.position, value, label)

    def all_columns(self, star: Token) -> tree.AllColumns:
        return tree.AllColumns(_start(star), [])

    def columns_of(self, path: list[tree.Identifier], _star: Token) -> tree.AllColumns:
        return tree.AllColumns(path[0].position, path)

    def label(self, name: tree.Identifier) -> tree.Identifier:
        return name

    def where(self, condition: tree.Condition) -> tree.Condition:
        return condition

    def group_by(self, values: list[tree.Value]) -> list[tree.Value]:
        return values

    def having(self, condition: tree.Condition) -> tree.Condition:
        return condition

    def order_by(self, *terms: tree.OrderTerm) -> list[tree.OrderTerm]:
        return list(terms)

    def order_term(self, value: tree.Value, direction: Token | None) -> tree.OrderTerm:
        return tree.OrderTerm(value.position, value, direction is not None and direction.type == "DESC")

    def from_clause(self, *tables: tree.TableReference) -> list[tree.TableReference]:
        return list(tables)

    def table(self, path: list[tree.Identifier], label: tree.Identifier | None) -> tree.TableName:
        return tree.TableName(path[0].position, path, label)

    def derived_table(self, query: tree.Expression, label: tree.Identifier) -> tree.DerivedTable:
        return tree.DerivedTable(query.position, query, label)

    def join_type(self, kind: Token) -> str:
        return kind.type

    def on_condition(self, condition: tree.Condition) -> tree.Condition:
        return condition

    def using_columns(self, *columns: tree.Identifier) -> list[tree.Identifier]:
        return list(columns)

    def joined_table(
        self,
        left: tree.TableReference,
        kind: str | None,
        right: tree.TableReference,
        link: tree.Condition | list[tree.Identifier],
    ) -> tree.Join:
        kind = kind or "INNER"
        if isinstance(link, list):
            return tree.Join(left.position, kind, left, right, using=link)
        return tree.Join(left.position, kind, left, right, condition=link)

    def natural_join(
        self, left: tree.TableReference, kind: str | None, right: tree.TableReference
    ) -> tree.Join:
        return tree.Join(left.position, kind or "INNER", left, right, natural=True)

    def logical(self, left: tree.Condition, operator: Token, right: tree.Condition) -> tree.Logical:
        if isinstance(left, tree.Logical) and left.operator == operator.type:
            left.operands.append(right)
            return left
        return tree.Logical(left.position, operator.type, [left, right])

    def negation(self, start: Token, operand: tree.Condition) -> tree.Not:
        return tree.Not(_start(start), operand)

    def comparison(self, left: tree.Value, operator: Token, right: tree.Value) -> tree.Comparison:
        return tree.Comparison(left.position, "<>" if operator == "!=" else str(operator), left, right)

    def between(
        self, value: tree.Value, negated: Token | None, low: tree.Value, _and: Token, high: tree.Value
    ) -> tree.Between:
        return tree.Between(value.position, negated is not None, value, low, high)

    def in_list(self, value: tree.Value, negated: Token | None, values: list[tree.Value]) -> tree.InList:
        return tree.InList(value.position, negated is not None, value, arguments.checked_list(values))

    def in_query(self, value: tree.Value, negated: Token | None, query: tree.Expression) -> tree.InQuery:
        return tree.InQuery(value.position, negated is not None, value, query)

    def like(
        self, value: tree.Value, negated: Token | None, operator: Token, pattern: tree.Value
    ) -> tree.Like:
        return tree.Like(value.position, negated is not None, operator.type == "ILIKE", value, pattern)

    def is_null(self, value: tree.Value, negated: Token | None, _null: Token) -> tree.IsNull:
        return tree.IsNull(value.position, negated is not None, value)

    def exists(self, start: Token, query: tree.Expression) -> tree.Exists:
        return tree.Exists(_start(start), query)

    def values(self, *values: tree.Value) -> list[tree.Value]:
        return list(values)

    def null(self, token: Token) -> tree.Null:
        return tree.Null(_start(token))

    def arithmetic(self, left: tree.Value, operator: Token, right: tree.Value) -> tree.Arithmetic:
        sums = operator.type in ("PLUS", "MINUS")
        if isinstance(left, tree.Arithmetic) and (left.operators[-1] in "+-") == sums:
            left.operators.append(str(operator))
            left.operands.append(right)
            arguments.check_chain(left.operands)
            return left
        return tree.Arithmetic(left.position, [str(operator)], [left, right])

    def signed(self, sign: Token, operand: tree.Value) -> tree.Signed:
        return tree.Signed(_start(sign), str(sign), operand)

    def concatenation(self, left: tree.Value, right: tree.Value) -> tree.Concatenation:
        if isinstance(left, tree.Concatenation):
            left.operands.append(right)
            arguments.check_chain(left.operands)
            return left
        return tree.Concatenation(left.position, [left, right])

    def number(self, token: Token) -> tree.Number:
        return tree.Number(_start(token), str(token), token.type == "UNSIGNED")

    def string(self, token: Token) -> tree.String:
        return tree.String(_start(token), _unquoted(token))

    def column(self, path: list[tree.Identifier]) -> tree.ColumnName:
        return tree.ColumnName(path[0].position, path)

    def count_rows(self, name: Token, _star: Token) -> tree.Aggregate:
        arguments.check_star(name)
        return tree.Aggregate(_start(name), "COUNT", False, None)

    def aggregate(self, name: Token, quantifier: Token | None, argument: tree.Value) -> tree.Aggregate:
        distinct = quantifier is not None and quantifier.type == "DISTINCT"
        return tree.Aggregate(_start(name), name.upper(), distinct, argument)

    def function(self, name: Token, values: list[tree.Value] | None) -> tree.Call:
        call = tree.Call(_start(name), name.upper(), values or [])
        arguments.check(call)
        return call

    def user_function(self, name: Token, values: list[tree.Value] | None) -> tree.UserCall:
        return tree.UserCall(_start(name), name.lower(), values or [])

    def cast(self, start: Token, operand: tree.Value, target: tuple[str, int | None]) -> tree.Cast:
        return tree.Cast(_start(start), operand, *target)

    def cast_target(self, name: Token, length: Token | None = None) -> tuple[str, int | None]:
        return arguments.cast_target(name, length)

    def path(self, first: Any, last: Token | None = None) -> list[tree.Identifier]:
        if last is None:
            return arguments.checked_path([_identifier(first)])
        return arguments.checked_path([*first, _identifier(last)])

    def identifier(self, token: Token) -> tree.Identifier:
        return _identifier(token)
