"""Tokens of ADQL 2.1 (section 2.1): words, literals, operators; caps on length and nesting of a query.

ADQL reserves its words everywhere, so one regular expression and one dictionary decide every token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark.lexer import Lexer, LexerState, Token

from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.words import TOKEN_TYPES

# Characters. The longest query seen in the wild is a list of some thousand identifiers of 60 characters.
MAX_LENGTH = 200_000
# SELECT and JOIN in one query: resolving recurses over them, and planning time grows with the joins.
MAX_CLAUSES = 100
# Open parentheses. Resolving recurses; this stays far below the interpreter's limit of 1000 frames.
MAX_NESTING = 50

_TYPES_OF_SIGNS = {
    "(": "_LPAR",
    ")": "_RPAR",
    ",": "_COMMA",
    ".": "_DOT",
    "||": "_CONCAT",
    "*": "STAR",
    "+": "PLUS",
    "-": "MINUS",
    "/": "SLASH",
    **dict.fromkeys(("=", "<>", "!=", "<", ">", "<=", ">="), "COMPARE"),
}
_TOKEN = re.compile(
    r"""(?:\s+|--[^\r\n]*)+
    |(?P<NAME>[A-Za-z][A-Za-z0-9_]*)
    |(?P<NUMBER>(?:[0-9]+\.?[0-9]*|\.[0-9]+)[Ee][+-]?[0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)
    |(?P<UNSIGNED>[0-9]+)
    |(?P<STRING>'[^']*(?:''[^']*)*')
    |(?P<DELIMITED>"[^"]*(?:""[^"]*)*")
    |(?P<SIGN>\|\||<>|!=|<=|>=|[-+*/(),.=<>])""",
    re.VERBOSE,
)


# PostgreSQL's text holds no null characters, and UTF-8 no surrogates.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class AdqlLexer(Lexer):
    """The token source that the grammar's parser reads from."""

    __future_interface__ = 2

    def __init__(self, _configuration: object) -> None:
        """Take no configuration: the terminals are those of this module."""

    def lex(self, lexer_state: LexerState, _parser_state: object) -> Iterator[Token]:
        """Yield the tokens of the query, each with its offset in characters.

        Raises:
            Flaw: the query is too long or nested too deeply, a quote stays open, or a character does
                not belong to the language.
        """
        query = lexer_state.text.text if lexer_state.text is not None else ""
        if len(query) > MAX_LENGTH:
            raise Flaw(
                MAX_LENGTH,
                f"The query has {len(query)} characters; the limit is {MAX_LENGTH}.",
                "Upload long lists as a table (TAP_UPLOAD) and join with it.",
            )
        if forbidden := _UNSTORABLE.search(query):
            raise Flaw(forbidden.start(), "The character here cannot be stored in a database.", "Remove it.")
        position = depth = clauses = 0
        match = _TOKEN.match
        while found := match(query, position):
            kind = found.lastgroup
            start, position = position, found.end()
            if kind is None:
                continue
            text = found.group()
            if kind == "NAME":
                kind = TOKEN_TYPES.get(text.upper(), kind)
                if kind in ("SELECT", "_JOIN"):
                    clauses += 1
                    _limit(clauses, MAX_CLAUSES, "SELECT and JOIN clauses", start)
            elif kind == "SIGN":
                kind = _TYPES_OF_SIGNS[text]
                depth += (text == "(") - (text == ")")
                _limit(depth, MAX_NESTING, "open parentheses", start)
            yield Token(kind, text, start)
        if position < len(query):
            raise _stray_character(query, position)


def _limit(count: int, most: int, what: str, position: int) -> None:
    """Raise Flaw when there is too much of something."""
    if count > most:
        raise Flaw(position, f"The query has more than {most} {what}.", "Split the query.")


def _stray_character(query: str, position: int) -> Flaw:
    """Return what to say about a character at which no token begins."""
    sign = query[position]
    if sign in "'\"":
        what, quote = ("string", "single") if sign == "'" else ("delimited name", "double")
        return Flaw(
            position,
            f"The {what} that begins here has no closing {quote} quote.",
            f"Close it; a {quote} quote inside is written twice.",
        )
    hints = {
        "_": 'Names begin with a letter; others stand between double quotes, as in "_name".',
        ";": "A query ends without a semicolon.",
        "%": "The remainder of a division is MOD(x, y).",
        "`": 'Unusual names stand between double quotes, as in "name".',
    }
    hint = hints.get(sign, "Strings stand between single quotes, unusual names between double quotes.")
    return Flaw(position, f"The character {sign!r} has no meaning here.", hint)
