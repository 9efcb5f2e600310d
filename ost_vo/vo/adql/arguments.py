"""Numbers and kinds of arguments that the grammar asks for (ADQL 2.1 appendix A), before names are known."""

from __future__ import annotations

from lark import Token

from ost_vo.vo.adql import tree
from ost_vo.vo.adql.flaws import Flaw

# Values of one IN list: planning time grows with it, and an upload does the same in less.
MAX_LIST = 20_000
# Operands of one chain of operators: PostgreSQL nests them, and its stack is limited.
MAX_CHAIN = 1000
# Rows that TOP and OFFSET can name: PostgreSQL counts them in 64 bits.
MAX_ROWS = 2**63 - 1

# Function to (fewest, most) arguments; the optional coordinate system of geometries is counted apart.
_COUNTS = {
    **dict.fromkeys(
        [
            "ABS",
            "ACOS",
            "ASIN",
            "ATAN",
            "CEILING",
            "COS",
            "COT",
            "DEGREES",
            "EXP",
            "FLOOR",
            "LOG",
            "LOG10",
            "RADIANS",
            "SIN",
            "SQRT",
            "TAN",
        ],
        (1, 1),
    ),
    **dict.fromkeys(["AREA", "CENTROID", "COORD1", "COORD2", "COORDSYS", "REGION", "LOWER", "UPPER"], (1, 1)),
    **dict.fromkeys(["ATAN2", "MOD", "POWER", "CONTAINS", "INTERSECTS", "IN_UNIT", "POINT"], (2, 2)),
    **dict.fromkeys(["ROUND", "TRUNCATE"], (1, 2)),
    "PI": (0, 0),
    "RAND": (0, 1),
    "COALESCE": (1, 100),
    "DISTANCE": (2, 4),
    "CIRCLE": (2, 3),
    "BOX": (3, 4),
    "POLYGON": (3, 4000),
}
_NUMERIC = frozenset(
    [
        "ABS",
        "ACOS",
        "ASIN",
        "ATAN",
        "ATAN2",
        "CEILING",
        "COS",
        "COT",
        "DEGREES",
        "EXP",
        "FLOOR",
        "LOG",
        "LOG10",
        "MOD",
        "POWER",
        "RADIANS",
        "ROUND",
        "SIN",
        "SQRT",
        "TAN",
        "TRUNCATE",
    ]
)
_FRAMED = frozenset(("POINT", "CIRCLE", "BOX", "POLYGON"))
_POINTS = (tree.ColumnName, tree.UserCall, tree.Cast)


def row_count(token: Token) -> int:
    """Return the number of rows that TOP or OFFSET names."""
    rows = int(token) if len(token) <= 19 else MAX_ROWS + 1
    if rows > MAX_ROWS:
        raise Flaw(token.start_pos or 0, f"{token[:30]} rows are more than a table can have.", "Name fewer.")
    return rows


def checked_list(values: list[tree.Value]) -> list[tree.Value]:
    """Return the values of an IN list unless there are too many."""
    if len(values) > MAX_LIST:
        raise Flaw(
            values[MAX_LIST].position,
            f"The list has {len(values)} values; the limit is {MAX_LIST}.",
            "Upload them as a table (TAP_UPLOAD) and join with it.",
        )
    return values


def check_chain(operands: list[tree.Value]) -> None:
    """Raise Flaw when a chain of arithmetic or concatenation has too many operands."""
    if len(operands) > MAX_CHAIN:
        raise Flaw(
            operands[-1].position, f"The expression has more than {MAX_CHAIN} operands.", "Shorten it."
        )


def checked_path(names: list[tree.Identifier]) -> list[tree.Identifier]:
    """Return the identifiers of a name unless a part is empty or there are more than four."""
    for name in names:
        if not name.text:
            raise Flaw(name.position, "A name between double quotes needs at least one character.")
    if len(names) > 4:
        raise Flaw(names[4].position, "A name has four parts at most: catalogue.schema.table.column.")
    return names


def check_star(name: Token) -> None:
    """Raise Flaw unless the function before ``(*)`` is COUNT."""
    if name.upper() != "COUNT":
        raise Flaw(
            name.start_pos or 0, f"Only COUNT takes an asterisk, {name.upper()} does not.", "Name a column."
        )


def cast_target(name: Token, length: Token | None) -> tuple[str, int | None]:
    """Return target type (upper case) and length in characters of a CAST (section 4.7.1)."""
    target = "DOUBLE PRECISION" if name.type == "DOUBLE" else str(name.upper())
    if name.type == "FUNCTION" and target not in ("POINT", "CIRCLE", "POLYGON"):
        raise Flaw(name.start_pos or 0, f"{target} is no type to cast to.", _CAST_HINT)
    if length is None:
        return target, None
    if target not in ("CHAR", "VARCHAR"):
        raise Flaw(length.start_pos or 0, f"{target} has no length.", f"Write {target} alone.")
    if len(length) > 8 or not 0 < int(length) <= 10_485_760:
        raise Flaw(length.start_pos or 0, "The length lies between 1 and 10485760 characters.")
    return target, int(length)


_CAST_HINT = (
    "Types are SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, CHAR, VARCHAR, TIMESTAMP, POINT, CIRCLE, "
    "POLYGON."
)


def check(call: tree.Call) -> None:
    """Raise Flaw unless number and kinds of the arguments are those of the grammar."""
    arguments = call.arguments
    if call.name in _FRAMED and arguments and isinstance(arguments[0], tree.String | tree.Null):
        arguments = arguments[1:]
    fewest, most = _COUNTS[call.name]
    if not fewest <= len(arguments) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise Flaw(
            call.position,
            f"{call.name} takes {wanted} argument{'s' * (wanted != '1')}, not {len(arguments)}.",
            _FORMS.get(call.name, ""),
        )
    _check_kinds(call, arguments)


def _check_kinds(call: tree.Call, arguments: list[tree.Value]) -> None:
    """Raise Flaw for a literal where the function needs another kind of value."""
    if call.name in _NUMERIC or call.name in _FRAMED:
        for argument in arguments:
            if isinstance(argument, tree.String | tree.Null | tree.Concatenation):
                raise Flaw(argument.position, f"{call.name} takes numbers here.", _FORMS.get(call.name, ""))
    if call.name in ("ROUND", "TRUNCATE") and len(arguments) == 2:
        digits = arguments[1].operand if isinstance(arguments[1], tree.Signed) else arguments[1]
        if not (isinstance(digits, tree.Number) and digits.whole and len(digits.text) < 4):
            raise Flaw(arguments[1].position, f"The number of decimals of {call.name} is a whole number.")
    if (
        call.name == "RAND"
        and arguments
        and not (isinstance(arguments[0], tree.Number) and arguments[0].whole)
    ):
        raise Flaw(arguments[0].position, "The argument of RAND is a whole number.", "Or write RAND().")
    literal = {"REGION": 0, "IN_UNIT": 1}.get(call.name)
    if literal is not None and not isinstance(arguments[literal], tree.String):
        raise Flaw(
            arguments[literal].position,
            f"{call.name} takes a string literal here.",
            _FORMS[call.name],
        )
    if call.name in _CENTRES:
        _check_points(call, arguments)


# Arguments of the form that begins with a POINT; one more in the form with two coordinates.
_CENTRES = {"CIRCLE": 2, "BOX": 3, "DISTANCE": 2, "POLYGON": 0}
_FORMS = {
    "POINT": "Write POINT(longitude, latitude), in degrees.",
    "CIRCLE": "Write CIRCLE(longitude, latitude, radius) or CIRCLE(point, radius), in degrees.",
    "BOX": "Write BOX(longitude, latitude, width, height) or BOX(point, width, height), in degrees.",
    "POLYGON": "Write POLYGON(longitude, latitude, ...) with three vertices or more, or POLYGON(point, ...).",
    "DISTANCE": "Write DISTANCE(point, point) or DISTANCE(longitude, latitude, longitude, latitude).",
    "REGION": "Write REGION('Circle ICRS 10 20 1').",
    "IN_UNIT": "Write IN_UNIT(value, 'unit').",
    "COALESCE": "Name at least one value.",
}


def _check_points(call: tree.Call, arguments: list[tree.Value]) -> None:
    """Raise Flaw when the number of arguments asks for points and something else stands there."""
    count = len(arguments)
    if call.name == "POLYGON":
        if count >= 6 and count % 2 == 0:
            return
        points = count
    elif call.name == "DISTANCE":
        if count == 3:
            raise Flaw(call.position, "DISTANCE takes 2 or 4 arguments, not 3.", _FORMS["DISTANCE"])
        points = 2 if count == 2 else 0
    else:
        points = int(count == _CENTRES[call.name])
    for argument in arguments[:points]:
        if not _may_be_point(argument):
            raise Flaw(argument.position, f"{call.name} takes a point here.", _FORMS[call.name])


def _may_be_point(argument: tree.Value) -> bool:
    """Tell whether the grammar lets a value be a point: constructed, computed, cast, or in a column."""
    if isinstance(argument, tree.Call):
        return argument.name in ("POINT", "CENTROID", "COALESCE")
    return isinstance(argument, _POINTS)
