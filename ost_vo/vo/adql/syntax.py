"""Text to tree: the parser, and what it says about a query that is not ADQL 2.1."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, UnexpectedToken

from ost_vo.vo.adql import tree, udf
from ost_vo.vo.adql.builder import TreeBuilder
from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.lexer import AdqlLexer
from ost_vo.vo.adql.words import RESERVED

_SIGNS = {
    "_LPAR": "(",
    "_RPAR": ")",
    "_COMMA": "a comma",
    "_DOT": "a dot",
    "_CONCAT": "||",
    "STAR": "*",
    "COMPARE": "a comparison",
    "UNSIGNED": "a whole number",
    "NUMBER": "a number",
    "STRING": "a string",
    "NAME": "a name",
    "TYPE": "a type",
    "$END": "the end of the query",
}
# Terminals that a list of what may follow leaves out: with "a name" and "a number" said, they are understood.
_UNDERSTOOD = frozenset(
    ("DELIMITED", "PLUS", "MINUS", "SLASH", "NUMBER", "STRING", "FUNCTION", "AGGREGATE", "CAST")
)

# Reserved words that nobody means as names.
_NOT_NAMES = frozenset(("SELECT", "FROM", "WHERE", "WITH", "CASE", "UNION", "CROSS"))


@cache
def _parser() -> Lark:
    """Return the parser, built at the first query (0.1 s)."""
    grammar = files("ost_vo.vo.adql").joinpath("adql.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        start="query",
        parser="lalr",
        lexer=AdqlLexer,
        transformer=TreeBuilder(),
        maybe_placeholders=True,
    )


def parse(query: str) -> tree.Query:
    """Return the tree of a query.

    Raises:
        Flaw: the text is not a query of ADQL 2.1; the position is that of the first token that does not fit.
    """
    try:
        return _parser().parse(query or " ")  # type: ignore[return-value]
    except UnexpectedToken as unexpected:
        raise _explained(query, unexpected) from None


def _explained(query: str, unexpected: UnexpectedToken) -> Flaw:
    """Say what was found, what could stand there instead, and what to do."""
    token = unexpected.token
    accepted = frozenset(unexpected.accepts or unexpected.expected)
    at_end = token.type == "$END"
    position = len(query.rstrip()) if at_end else token.start_pos or 0
    if not at_end and "NAME" in accepted and token.upper() in RESERVED and token.upper() not in _NOT_NAMES:
        return _reserved(token)
    before = unexpected.interactive_parser.parser_state.value_stack[-1:]
    if accepted == {"_LPAR"} and before and before[0].type in ("FUNCTION", "AGGREGATE"):
        return _reserved(before[0])
    found = "The query ends here" if at_end else f"{_shown(token)} does not fit here"
    advice = _advice(query[:position], token, accepted)
    return Flaw(position, f"{found}; expected {_listed(accepted)}.", advice)


def _reserved(word: Token) -> Flaw:
    """Say that a reserved word stands where a name may stand."""
    return Flaw(
        word.start_pos or 0,
        f"'{word}' is a reserved word; it cannot be a name here.",
        f'If a name is meant, write it as "{word}".',
    )


def _shown(token: Token) -> str:
    """Return the token as the message quotes it, at most 40 characters."""
    return f"'{token}'" if len(token) <= 40 else f"'{token[:37]}...'"


def _listed(accepted: frozenset[str]) -> str:
    """Return the terminals that would fit, in words."""
    names = {_SIGNS.get(name, name.removeprefix("_")) for name in accepted - _UNDERSTOOD}
    if not names:
        names = {_SIGNS.get(name, name.removeprefix("_").lower()) for name in accepted}
    ordered = sorted(names, key=lambda name: (name.isupper(), name))
    return ordered[0] if len(ordered) == 1 else f"{', '.join(ordered[:-1])} or {ordered[-1]}"


def _advice(before: str, token: Token, accepted: frozenset[str]) -> str:
    """Return what to do in the cases that users meet most."""
    word = token.upper()
    if before.rstrip().upper().endswith(" LIMIT"):
        return "The number of rows stands behind SELECT: SELECT TOP 10 ..."
    if "COMPARE" in accepted and word != "CASE":
        return "A value alone is no condition: compare it with another, as in CONTAINS(a, b) = 1."
    if {"_ON", "_USING"} <= accepted:
        return "A JOIN needs ON or USING; or write NATURAL JOIN, or a comma for all pairs of rows."
    if word == "WITH":
        return "WITH may stand only at the beginning of the whole query."
    if word == "SELECT":
        return "A subquery stands in parentheses behind FROM, IN or EXISTS."
    if word == "CROSS":
        return "Write a comma between the tables instead of CROSS JOIN."
    if word == "CASE":
        return "ADQL has no CASE; COALESCE(value, other) replaces nulls."
    if accepted <= {"UNSIGNED"}:
        return "The number of rows is a whole number without a sign."
    return ""


def check(query: str, functions: Collection[str]) -> None:
    """Raise Flaw unless a text is ADQL 2.1 and calls only functions of udf.py and the given names."""
    names = {name.lower() for name in functions}
    pending: list[Any] = [parse(query)]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif hasattr(node, "position"):
            if isinstance(node, tree.UserCall) and node.name not in names:
                udf.require_known(node)
            pending.extend(getattr(node, field) for field in node.__slots__)
