"""The tree of a query: what the parser builds and the resolver walks.

Every node carries ``position``, the offset of its first character in the query, for error messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(slots=True, eq=False)
class Identifier:
    """One name; a delimited one stood between double quotes and is matched exactly."""

    position: int
    text: str
    delimited: bool

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True, eq=False)
class Number:
    """A numeric literal as written, without sign; ``whole`` when it is digits only."""

    position: int
    text: str
    whole: bool


@dataclass(slots=True, eq=False)
class String:
    """A character literal, its quotes removed and doubled quotes undone."""

    position: int
    text: str


@dataclass(slots=True, eq=False)
class Null:
    """The value NULL."""

    position: int


@dataclass(slots=True, eq=False)
class ColumnName:
    """A column reference: one to four identifiers, the last one the column's."""

    position: int
    path: list[Identifier]


@dataclass(slots=True, eq=False)
class Signed:
    """A value behind a plus or minus sign."""

    position: int
    sign: str
    operand: Value


@dataclass(slots=True, eq=False)
class Arithmetic:
    """A chain of operators of one precedence (``+ -`` or ``* /``), evaluated from the left."""

    position: int
    operators: list[str]
    operands: list[Value]


@dataclass(slots=True, eq=False)
class Concatenation:
    """Strings joined by ``||``."""

    position: int
    operands: list[Value]


@dataclass(slots=True, eq=False)
class Call:
    """A function of ADQL itself; the name is in upper case."""

    position: int
    name: str
    arguments: list[Value]


@dataclass(slots=True, eq=False)
class UserCall:
    """A user defined function; the name is in lower case."""

    position: int
    name: str
    arguments: list[Value]


@dataclass(slots=True, eq=False)
class Aggregate:
    """AVG, COUNT, MAX, MIN or SUM; no argument stands for COUNT(*)."""

    position: int
    name: str
    distinct: bool
    argument: Value | None


@dataclass(slots=True, eq=False)
class Cast:
    """CAST(operand AS target); ``length`` for CHAR(n) and VARCHAR(n)."""

    position: int
    operand: Value
    target: str
    length: int | None


Value: TypeAlias = (
    Number
    | String
    | Null
    | ColumnName
    | Signed
    | Arithmetic
    | Concatenation
    | Call
    | UserCall
    | Aggregate
    | Cast
)


@dataclass(slots=True, eq=False)
class Comparison:
    """Two values and one of ``= <> < > <= >=`` (``!=`` becomes ``<>``)."""

    position: int
    operator: str
    left: Value
    right: Value


@dataclass(slots=True, eq=False)
class Between:
    """value [NOT] BETWEEN low AND high."""

    position: int
    negated: bool
    value: Value
    low: Value
    high: Value


@dataclass(slots=True, eq=False)
class InList:
    """value [NOT] IN (values)."""

    position: int
    negated: bool
    value: Value
    values: list[Value]


@dataclass(slots=True, eq=False)
class InQuery:
    """value [NOT] IN (query)."""

    position: int
    negated: bool
    value: Value
    query: Expression


@dataclass(slots=True, eq=False)
class Like:
    """value [NOT] LIKE pattern, or ILIKE when case does not matter."""

    position: int
    negated: bool
    folded: bool
    value: Value
    pattern: Value


@dataclass(slots=True, eq=False)
class IsNull:
    """value IS [NOT] NULL."""

    position: int
    negated: bool
    value: Value


@dataclass(slots=True, eq=False)
class Exists:
    """EXISTS (query)."""

    position: int
    query: Expression


@dataclass(slots=True, eq=False)
class Not:
    """NOT condition."""

    position: int
    operand: Condition


@dataclass(slots=True, eq=False)
class Logical:
    """Conditions joined by one of AND and OR."""

    position: int
    operator: str
    operands: list[Condition]


Condition: TypeAlias = Comparison | Between | InList | InQuery | Like | IsNull | Exists | Not | Logical


@dataclass(slots=True, eq=False)
class Item:
    """A value of the select list, with the name that the user gives it."""

    position: int
    value: Value
    label: Identifier | None


@dataclass(slots=True, eq=False)
class AllColumns:
    """An asterisk in the select list; ``path`` names the table when one is given."""

    position: int
    path: list[Identifier]


@dataclass(slots=True, eq=False)
class TableName:
    """A table in FROM: one to three identifiers, and its correlation name."""

    position: int
    path: list[Identifier]
    label: Identifier | None


@dataclass(slots=True, eq=False)
class DerivedTable:
    """A subquery in FROM, under its correlation name."""

    position: int
    query: Expression
    label: Identifier


@dataclass(slots=True, eq=False)
class Join:
    """Two joined table references: natural, or on a condition, or using the named columns."""

    position: int
    kind: str
    left: TableReference
    right: TableReference
    natural: bool = False
    condition: Condition | None = None
    using: list[Identifier] | None = None


TableReference: TypeAlias = TableName | DerivedTable | Join


@dataclass(slots=True, eq=False)
class Select:
    """One SELECT, from its quantifier to HAVING; ``top`` in rows."""

    position: int
    distinct: bool
    top: int | None
    items: list[Item | AllColumns]
    tables: list[TableReference]
    where: Condition | None
    group_by: list[Value]
    having: Condition | None


@dataclass(slots=True, eq=False)
class SetOperation:
    """UNION, EXCEPT or INTERSECT of two queries; ``all`` keeps duplicate rows."""

    position: int
    operator: str
    all: bool
    left: Expression | Select | SetOperation
    right: Expression | Select | SetOperation


@dataclass(slots=True, eq=False)
class OrderTerm:
    """A value to sort by; a whole number is the place of a column in the select list."""

    position: int
    value: Value
    descending: bool


@dataclass(slots=True, eq=False)
class Expression:
    """A query with its ORDER BY and OFFSET (rows)."""

    position: int
    body: Expression | Select | SetOperation
    order: list[OrderTerm]
    offset: int | None


@dataclass(slots=True, eq=False)
class CommonTable:
    """One named query of the WITH clause."""

    position: int
    name: Identifier
    query: Expression


@dataclass(slots=True, eq=False)
class Query:
    """A whole query."""

    position: int
    ctes: list[CommonTable]
    expression: Expression
