"""Predicates of ADQL (section 2.2.3): what compares with what, and the forms that an index serves."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from ost_vo.vo.adql import functions, geometry, tree, types
from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.values import Value, combined, quoted_text

_MIRRORED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
# DALI 1.1 section 3.1.2, with a blank in place of the T allowed.
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?))?Z?", re.ASCII)


def compare(left: Value, operator: str, right: Value, position: int) -> Value:
    """Return a comparison; 1 = CONTAINS(...) becomes the containment, DISTANCE < r can use an index."""
    if left.literal is not None and right.literal is None:
        left, right, operator = right, left, _MIRRORED[operator]
    if left.condition is not None and operator in ("=", "<>") and right.literal in (0, 1):
        holds = (right.literal == 1) == (operator == "=")
        sql = left.condition if holds else f"(NOT {left.condition})"
        return combined(sql, types.BOOLEAN, position, [left], links=left.links if holds else ())
    if operator in ("<", "<=") and left.type == types.DOUBLE and left.geometry:
        radius = right.literal
        within = geometry.near(left, operator, radius) if isinstance(radius, int | float) else None
        if within is not None:
            return within
    left, right = aligned(left, right, operator, position)
    is_hashable = operator == "=" and left.type not in types.GEOMETRIES
    equalities = ((left.fields, right.fields),) if is_hashable else ()
    sql = f"({left.sql} {operator} {right.sql})"
    return combined(sql, types.BOOLEAN, position, [left, right], equalities=equalities)


def aligned(left: Value, right: Value, operator: str, position: int) -> tuple[Value, Value]:
    """Return two values in the forms in which PostgreSQL compares them.

    Raises:
        Flaw: they do not compare.
    """
    left, right = _adapted(left, right), _adapted(right, left)
    require_comparable(left, right, position)
    if operator not in ("=", "<>") and (
        left.type in (*types.GEOMETRIES, types.BOOLEAN) or right.type in (*types.GEOMETRIES, types.BOOLEAN)
    ):
        raise Flaw(position, f"{types.named(left.type).capitalize()} has no order.", "Compare with = or <>.")
    if operator == "<>" and left.type in types.REGIONS:
        raise Flaw(position, "Regions compare with = only.", "Write NOT (a = b).")
    return left, right


def _adapted(value: Value, other: Value) -> Value:
    """Return a constant in the type of what it is compared with."""
    literal = value.literal
    if literal is None or value.type == types.NULL:
        return value
    if other.type == types.TIMESTAMP and value.type == types.TEXT:
        return moment(value)
    if other.type == types.BOOLEAN and value.type in (types.INTEGER, types.TEXT):
        return _truth(value)
    if (
        other.type in types.INTEGERS
        and isinstance(literal, float)
        and literal.is_integer()
        and abs(literal) < 2**31
    ):
        # Keeps the comparison within integers, where an index on the column serves it.
        return replace(value, sql=f"({int(literal)})", type=types.INTEGER)
    return value


def moment(value: Value) -> Value:
    """Return a string literal as a constant timestamp; UTC, as DALI has it.

    Raises:
        Flaw: the string is not a date.
    """
    text = str(value.literal).strip()
    found = _MOMENT.fullmatch(text)
    if found is None or not _exists(found[1], found[2]):
        raise Flaw(
            value.position,
            f"'{text[:40]}' is no timestamp.",
            "Write '2026-11-21' or '2026-11-21T22:13:00.5'.",
        )
    sql = f"'{found[1]} {found[2] or '00:00:00'}+00'::timestamptz"
    return replace(value, sql=sql, type=types.TIMESTAMP, datatype=None, literal=text)


def _exists(day: str, time: str | None) -> bool:
    """Tell whether a date and a time of day exist in the calendar."""
    try:
        datetime.fromisoformat(f"{day}T{(time or '00:00')[:8]}")
    except ValueError:
        return False
    return True


def _truth(value: Value) -> Value:
    """Return 0, 1, 'true' or 'false' as a boolean constant."""
    word = str(value.literal).strip().lower()
    truth = {"1": "true", "0": "false", "true": "true", "false": "false", "t": "true", "f": "false"}.get(word)
    if truth is None:
        raise Flaw(
            value.position, f"{word[:40]!r} is no truth value.", "Compare with 1 or 0, 'true' or 'false'."
        )
    return replace(value, sql=truth, type=types.BOOLEAN)


def require_comparable(left: Value, right: Value, position: int) -> None:
    """Raise Flaw unless values of both types compare."""
    if types.common(left.type, right.type) is not None:
        return
    hint = "CAST one of them."
    strings = [value for value in (left, right) if value.type == types.TEXT]
    if strings and (left.type in types.NUMBERS or right.type in types.NUMBERS):
        hint = "Write the number without quotes." if strings[0].literal is not None else hint
    if types.TIMESTAMP in (left.type, right.type):
        hint = "CAST('2026-11-21T00:00:00' AS TIMESTAMP) makes a string a timestamp."
    what = f"{types.named(left.type).capitalize()} and {types.named(right.type)}"
    raise Flaw(position, f"{what} do not compare.", hint)


def between(value: Value, low: Value, high: Value, negated: bool, position: int) -> Value:
    """Return value [NOT] BETWEEN low AND high."""
    if value.type == types.DOUBLE and value.geometry and isinstance(high.literal, int | float):
        parts = [compare(value, ">=", low, position), compare(value, "<=", high, position)]
        sql = f"({'NOT ' * negated}({parts[0].sql} AND {parts[1].sql}))"
        return combined(sql, types.BOOLEAN, position, parts, links=() if negated else parts[1].links)
    low, high = aligned(value, low, "<", low.position)[1], aligned(value, high, "<", high.position)[1]
    require_comparable(low, high, high.position)
    sql = f"({functions.text(value)} {'NOT ' * negated}BETWEEN {low.sql} AND {high.sql})"
    if value.type == types.NULL:
        value, low = aligned(value, low, "<", position)
        sql = f"({value.sql} {'NOT ' * negated}BETWEEN {low.sql} AND {high.sql})"
    return combined(sql, types.BOOLEAN, position, [value, low, high])


def in_list(value: Value, values: list[Value], negated: bool, position: int) -> Value:
    """Return value [NOT] IN (values)."""
    if value.type in types.GEOMETRIES:
        raise Flaw(value.position, f"{types.named(value.type).capitalize()} cannot stand before IN.")
    kind = value.type
    members = []
    for each in values:
        member = _adapted(each, value)
        shared = types.common(kind, member.type)
        if shared is None:
            require_comparable(value, member, member.position)
            raise Flaw(member.position, "The values of the list have different types.", "Use one type.")
        kind = shared
        members.append(member)
    operator = "NOT IN" if negated else "IN"
    sql = f"({value.sql} {operator} ({', '.join(member.sql for member in members)}))"
    return combined(sql, types.BOOLEAN, position, [value, *members])


def like(value: Value, pattern: Value, node: tree.Like) -> Value:
    """Return value [NOT] LIKE or ILIKE pattern; a backslash is an ordinary character in ADQL."""
    operator = "ILIKE" if node.folded else "LIKE"
    functions.require_texts(operator, [value, pattern])
    if isinstance(pattern.literal, str):
        matched = f"{quoted_text(pattern.literal.replace(chr(92), chr(92) * 2))}::text"
    else:
        matched = f"{functions.text(pattern)} ESCAPE ''"
    sql = f"({functions.text(value)} {'NOT ' * node.negated}{operator} {matched})"
    return combined(sql, types.BOOLEAN, node.position, [value, pattern])
