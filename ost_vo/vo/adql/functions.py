"""Maths, string and conversion functions of ADQL (sections 2.3, 4.4, 4.8, 4.9) in PostgreSQL's language."""

from __future__ import annotations

import math
from collections.abc import Callable

from ost_vo.vo.adql import types, units
from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.values import Value, as_double, combined

Function = Callable[[list[Value], int], Value]

# Functions of doubles to a double: name in ADQL to (SQL, unit of the result).
_DOUBLES: dict[str, tuple[str, str | None]] = {
    "ACOS": ("acos({})", "rad"),
    "ASIN": ("asin({})", "rad"),
    "ATAN": ("atan({})", "rad"),
    "ATAN2": ("atan2({}, {})", "rad"),
    "COS": ("cos({})", None),
    "COT": ("cot({})", None),
    "EXP": ("exp({})", None),
    "LOG": ("ln({})", None),
    "LOG10": ("log({})", None),
    "PI": ("pi()", None),
    "RAND": ("random()", None),
    "SIN": ("sin({})", None),
    "TAN": ("tan({})", None),
    "DEGREES": ("degrees({})", "deg"),
    "RADIANS": ("radians({})", "rad"),
}


def require_numbers(name: str, values: list[Value]) -> None:
    """Raise Flaw unless all arguments are numbers (or NULL)."""
    for value in values:
        if value.type not in types.NUMBERS and value.type != types.NULL:
            hint = (
                "CAST(value AS DOUBLE PRECISION) makes a string a number." if value.type == types.TEXT else ""
            )
            raise Flaw(value.position, f"{name} takes numbers, not {types.named(value.type)}.", hint)


def require_texts(name: str, values: list[Value]) -> None:
    """Raise Flaw unless all arguments are strings (or NULL)."""
    for value in values:
        if value.type not in (types.TEXT, types.NULL):
            raise Flaw(
                value.position,
                f"{name} takes strings, not {types.named(value.type)}.",
                "CAST(value AS VARCHAR) makes it a string.",
            )


def text(value: Value) -> str:
    """Return the SQL of a string, with a type also where it is NULL."""
    return f"{value.sql}::text" if value.type == types.NULL else value.sql


def call(name: str, values: list[Value], position: int) -> Value:
    """Return a call of a function that is not geometrical.

    Raises:
        Flaw: an argument is of the wrong type, or a unit does not convert.
    """
    special = _SPECIAL.get(name)
    if special is not None:
        return special(values, position)
    require_numbers(name, values)
    template, unit = _DOUBLES[name]
    sql = template.format(*(as_double(value) for value in values))
    return combined(sql, types.DOUBLE, position, values, unit=unit, name=name.lower())


def _absolute(values: list[Value], position: int) -> Value:
    require_numbers("ABS", values)
    (value,) = values
    kind = types.DOUBLE if value.type == types.NULL else value.type
    return combined(f"abs({_number(value)})", kind, position, values, unit=value.unit, name="abs")


def _number(value: Value) -> str:
    """Return the SQL of a number, with a type also where it is NULL."""
    return f"{value.sql}::float8" if value.type == types.NULL else value.sql


def _whole(function: str) -> Function:
    """Return CEILING or FLOOR, which keep the unit."""
    name = {"ceil": "ceiling"}.get(function, function)

    def build(values: list[Value], position: int) -> Value:
        require_numbers(name.upper(), values)
        sql = f"{function}({as_double(values[0])})"
        return combined(sql, types.DOUBLE, position, values, unit=values[0].unit, name=name)

    return build


def _rounded(function: str, name: str) -> Function:
    """Return ROUND or TRUNCATE, with or without a number of decimals."""

    def build(values: list[Value], position: int) -> Value:
        require_numbers(name.upper(), values)
        sql = f"{function}({as_double(values[0])})"
        if len(values) == 2:
            # PostgreSQL rounds to decimals in numeric only.
            sql = f"{function}({values[0].sql}::numeric, {values[1].sql})::float8"
        return combined(sql, types.DOUBLE, position, values, unit=values[0].unit, name=name)

    return build


def _remainder(values: list[Value], position: int) -> Value:
    require_numbers("MOD", values)
    if all(value.type in types.INTEGERS for value in values):
        kind = types.wider(values[0].type, values[1].type)
        sql = f"mod({values[0].sql}, {values[1].sql})"
        return combined(sql, kind, position, values, unit=values[0].unit, name="mod")
    # PostgreSQL has no remainder of doubles; numeric is exact.
    sql = f"mod({values[0].sql}::numeric, {values[1].sql}::numeric)::float8"
    return combined(sql, types.DOUBLE, position, values, unit=values[0].unit, name="mod")


def _power(values: list[Value], position: int) -> Value:
    require_numbers("POWER", values)
    sql = f"power({as_double(values[0])}, {as_double(values[1])})"
    unit = units.of_power(values[0].unit, values[1].literal)
    return combined(sql, types.DOUBLE, position, values, unit=unit, name="power")


def _root(values: list[Value], position: int) -> Value:
    require_numbers("SQRT", values)
    unit = units.of_root(values[0].unit)
    return combined(f"sqrt({as_double(values[0])})", types.DOUBLE, position, values, unit=unit, name="sqrt")


def _folded(function: str) -> Function:
    """Return LOWER or UPPER."""

    def build(values: list[Value], position: int) -> Value:
        require_texts(function.upper(), values)
        sql = f"{function}({text(values[0])})"
        return combined(sql, types.TEXT, position, values, datatype=values[0].datatype, name=function)

    return build


def _coalesce(values: list[Value], position: int) -> Value:
    kind = types.NULL
    for value in values:
        shared = types.common(kind, value.type)
        if shared is None:
            raise Flaw(
                value.position,
                f"COALESCE takes values of one type; this is {types.named(value.type)}, before it is "
                f"{types.named(kind)}.",
                "CAST one of them.",
            )
        kind = shared
    if kind == types.NULL:
        return combined("NULL", types.NULL, position, values, name="coalesce")
    known = {value.unit for value in values if value.literal is None}
    datatype = "unicodeChar" if any(value.datatype for value in values) else None
    sql = f"COALESCE({', '.join(value.sql for value in values)})"
    return combined(
        sql, kind, position, values,
        unit=known.pop() if len(known) == 1 else None, datatype=datatype, name="coalesce",
        column=types.redeclared(values[0].column, values[0].type, kind) if values[0].column else None,
    )  # fmt: skip


def _in_unit(values: list[Value], position: int) -> Value:
    value, target = values[0], str(values[1].literal)
    require_numbers("IN_UNIT", [value])
    if value.unit is None:
        raise Flaw(
            value.position, "The value has no known unit to convert from.", "Multiply by a factor instead."
        )
    try:
        factor = units.factor(value.unit, target)
    except ValueError as error:
        raise Flaw(values[1].position, f"No conversion from '{value.unit}' to '{target}': {error}.") from None
    sql = (
        as_double(value)
        if math.isclose(factor, 1.0, rel_tol=1e-15)
        else f"({as_double(value)} * {factor!r}::float8)"
    )
    known = {"unit": target, "name": value.name or "in_unit", "geometry": (), "scale": 1.0}
    if value.type == types.DOUBLE and factor > 0:  # a DISTANCE stays one
        known |= {"geometry": value.geometry, "scale": value.scale * factor}
    return combined(sql, types.DOUBLE, position, [value], **known)


_SPECIAL: dict[str, Function] = {
    "ABS": _absolute,
    "CEILING": _whole("ceil"),
    "FLOOR": _whole("floor"),
    "ROUND": _rounded("round", "round"),
    "TRUNCATE": _rounded("trunc", "truncate"),
    "MOD": _remainder,
    "POWER": _power,
    "SQRT": _root,
    "LOWER": _folded("lower"),
    "UPPER": _folded("upper"),
    "COALESCE": _coalesce,
    "IN_UNIT": _in_unit,
    "RAND": lambda _values, position: Value("random()", types.DOUBLE, position, name="rand"),
}
