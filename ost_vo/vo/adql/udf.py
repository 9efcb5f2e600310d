"""User defined functions: those of the IVOA catalogue (version 1.2) in PostgreSQL and pgSphere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from ost_vo.vo.adql import comparisons, frames, geometry, tree, types, units
from ost_vo.vo.adql.flaws import Flaw, suggestion
from ost_vo.vo.adql.values import Value, as_double, combined, quoted_text, select

# HEALPix orders of pgSphere: at 29 a cell is 0.4 milliarcseconds wide, and its number fills 60 bits.
_MAX_ORDER = 29
# Bins of one histogram: each becomes an aggregate of its own.
_MAX_BINS = 400
# km/s of one astronomical unit per Julian year.
_AU_PER_YEAR = 4.740470446

Builder = Callable[[list[Value], int], Value]


@dataclass(frozen=True, slots=True)
class Signature:
    """One form of a function.

    Attributes:
        form: the signature as TAPRegExt has it, ``name(argument TYPE, ...) -> TYPE``.
        description: what it returns, in a sentence for people.
        kinds: kind of each argument, a key of ``_ACCEPTED``.
        build: makes the value from the arguments.
    """

    form: str
    description: str
    kinds: tuple[str, ...]
    build: Builder


def require_known(node: tree.UserCall) -> None:
    """Raise Flaw unless there is a function of that name."""
    if node.name not in SIGNATURES:
        raise Flaw(
            node.position,
            f"There is no function {node.name}{suggestion(node.name, SIGNATURES)}",
            "The capabilities of this service list its functions.",
        )


def is_aggregate(name: str) -> bool:
    """Tell whether a function computes one value from all rows of a group."""
    return name in ("ivo_string_agg", "ivo_histogram")


def call(node: tree.UserCall, arguments: list[Value]) -> Value:
    """Return a call of a user defined function.

    Raises:
        Flaw: there is no such function, or none of its forms takes these arguments.
    """
    require_known(node)
    forms = [form for form in SIGNATURES[node.name] if len(form.kinds) == len(arguments)]
    known = " or ".join(form.form for form in SIGNATURES[node.name])
    if not forms:
        raise Flaw(node.position, f"{node.name} does not take {len(arguments)} arguments.", f"Write {known}.")
    wrong: Value | None = None
    for form in forms:
        fitted = [_ACCEPTED[kind](value) for kind, value in zip(form.kinds, arguments, strict=True)]
        accepted = [value for value in fitted if value is not None]
        if len(accepted) == len(arguments):
            result = form.build(accepted, node.position)
            result.name = node.name
            return result
        wrong = wrong or arguments[fitted.index(None)]
    kind, position = (types.named(wrong.type), wrong.position) if wrong else ("this", node.position)
    raise Flaw(position, f"{node.name} does not take {kind} here.", f"Write {known}.")


def _typed_null(value: Value, kind: str) -> Value | None:
    return Value(f"NULL::{kind}", kind, value.position) if value.type == types.NULL else None


def _integer(value: Value) -> Value | None:
    return value if value.type in types.INTEGERS else _typed_null(value, types.INTEGER)


def _double(value: Value) -> Value | None:
    return value if value.type in types.NUMBERS else _typed_null(value, types.DOUBLE)


def _string(value: Value) -> Value | None:
    return value if value.type == types.TEXT else _typed_null(value, types.TEXT)


def _literal(value: Value) -> Value | None:
    return value if value.type == types.TEXT and isinstance(value.literal, str) else None


def _moment(value: Value) -> Value | None:
    if value.type == types.TEXT and isinstance(value.literal, str):
        return comparisons.moment(value)
    return value if value.type == types.TIMESTAMP else _typed_null(value, types.TIMESTAMP)


def _point(value: Value) -> Value | None:
    return geometry.as_point(value) if value.type == types.POINT or value.type.endswith("[]") else None


def _shape(value: Value) -> Value | None:
    return None if value.type in types.NUMBERS else geometry.geometry(value)


_ACCEPTED: dict[str, Callable[[Value], Value | None]] = {
    "INTEGER": _integer,
    "DOUBLE": _double,
    "VARCHAR": _string,
    "LITERAL": _literal,
    "TIMESTAMP": _moment,
    "POINT": _point,
    "GEOMETRY": _shape,
}


def _order(value: Value) -> str:
    """Return the SQL of a HEALPix order."""
    if isinstance(value.literal, int) and not 0 <= value.literal <= _MAX_ORDER:
        raise Flaw(value.position, f"The HEALPix order {value.literal} is outside 0 to {_MAX_ORDER}.")
    return value.sql if value.type == types.INTEGER else f"{value.sql}::integer"


def _healpix_of_point(values: list[Value], position: int) -> Value:
    sql = f"healpix_nest({_order(values[0])}, {values[1].sql})"
    return combined(sql, types.BIGINT, position, values)


def _healpix_of_position(values: list[Value], position: int) -> Value:
    place = geometry.point(values[1], values[2], position)
    return _healpix_of_point([values[0], place], position)


def _healpix_centre(values: list[Value], position: int) -> Value:
    sql = f"center_of_healpix_nest({_order(values[0])}, {values[1].sql}::bigint)"
    return combined(sql, types.POINT, position, values)


def _moved(values: list[Value], position: int) -> Value:
    """Return the position after linear motion in space (Lindegren 1997, without relativistic terms).

    In the tangent plane at the first epoch, in units of the distance then, the star moves by its proper
    motion and, towards or away from us, by radial velocity times parallax.
    """
    ra, dec, parallax, pm_ra, pm_dec, velocity, start, end = (as_double(value) for value in values)
    years, mas = f"({end} - {start})", f"{math.radians(1 / 3_600_000)!r}::float8"
    outward = f"COALESCE({parallax} * {velocity} / {_AU_PER_YEAR}, 0)"
    motion = (
        f"1 + {outward} * {mas} * {years} AS x, COALESCE({pm_ra}, 0) * {mas} * {years} AS y, "
        f"COALESCE({pm_dec}, 0) * {mas} * {years} AS z, radians({ra}) AS a, radians({dec}) AS d"
    )
    turned = select(
        "x * cos(d) - z * sin(d) AS x, y, x * sin(d) + z * cos(d) AS z, a", f"(SELECT {motion}) AS motion"
    )
    place = select("spoint(a + atan2(y, x), atan2(z, sqrt(x * x + y * y)))", f"({turned}) AS turned")
    sql = f"({place})"
    return combined(sql, types.POINT, position, values)


def _transformed(values: list[Value], position: int) -> Value:
    names = [str(value.literal) for value in values[:2]]
    for name, value in zip(names, values, strict=False):
        if name not in frames.NAMES:
            raise Flaw(
                value.position, f"The frame '{name}' is not known.", f"Known are {', '.join(frames.NAMES)}."
            )
    shape = values[2]
    sql = frames.rotated(shape.sql, *names)
    return combined(sql, shape.type, position, [shape], frame=names[1])


def _julian(days: float, unit: str) -> Builder:
    """Return a builder of days since an epoch, given the date of 1970-01-01 in them."""

    def build(values: list[Value], position: int) -> Value:
        sql = f"(extract(epoch FROM {values[0].sql})::float8 / 86400 + {days!r}::float8)"
        return combined(sql, types.DOUBLE, position, values, unit=unit)

    return build


def _joined(values: list[Value], position: int) -> Value:
    sql = f"string_agg({values[0].sql}, {values[1].sql})"
    datatype = "unicodeChar" if values[0].datatype or values[1].datatype else None
    return Value(sql, types.TEXT, position, aggregates=True, datatype=datatype)


def _indicator(template: str) -> Builder:
    """Return a builder of a function that is 1 where a condition holds and 0 elsewhere."""

    def build(values: list[Value], position: int) -> Value:
        condition = template.format(*(value.sql for value in values))
        return combined(
            f"({condition})::integer", types.INTEGER, position, values, condition=f"({condition})"
        )

    return build


def _histogram(values: list[Value], position: int) -> Value:
    value, lower, upper, bins = values
    numbers = [part.literal for part in (lower, upper, bins)]
    if not all(isinstance(number, int | float) for number in numbers):
        raise Flaw(lower.position, "Limits and number of bins of ivo_histogram are constants.")
    low, high, count = float(numbers[0] or 0), float(numbers[1] or 0), int(numbers[2] or 0)
    if not (low < high and 0 < count <= _MAX_BINS):
        raise Flaw(lower.position, f"ivo_histogram takes lower < upper and 1 to {_MAX_BINS} bins.")
    edges = [low + (high - low) * i / count for i in range(count)] + [high]
    x = as_double(value)
    conditions = [f"{x} IS NULL OR {x} < {edges[0]!r}::float8"]
    conditions += [f"{x} >= {a!r}::float8 AND {x} < {b!r}::float8" for a, b in pairwise(edges[:-1])]
    conditions += [
        f"{x} BETWEEN {edges[-2]!r}::float8 AND {edges[-1]!r}::float8",
        f"{x} > {edges[-1]!r}::float8",
    ]
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions)
    return Value(f"(ARRAY[{counts}]::integer[])", "integer[]", position, aggregates=True)


def _normal(values: list[Value], position: int) -> Value:
    # Box and Muller's transformation; 1 - random() is never 0.
    drawn = "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())"
    sql = f"({as_double(values[0])} + {as_double(values[1])} * {drawn})"
    return combined(sql, types.DOUBLE, position, values, unit=values[0].unit)


def _sexagesimal(sign: str, whole: str, mark: str, scale: int) -> Builder:
    """Return a builder that reads sexagesimal text; NULL where the text is none."""
    pattern = (
        rf"^\s*({sign})(?:({whole})[:{mark}]\s*(\d{{1,2}})[:m]\s*(\d{{1,2}}(?:\.\d*)?)s?"
        rf"|(\d\d)(\d\d)(\d\d(?:\.\d*)?))\s*$"
    )

    def build(values: list[Value], position: int) -> Value:
        parts = [f"COALESCE(m[{i}], m[{i + 3}])::float8" for i in (2, 3, 4)]
        magnitude = f"({parts[0]} + {parts[1]} / 60 + {parts[2]} / 3600) * {scale}"
        matched = f"SELECT regexp_match({values[0].sql}, {quoted_text(pattern)}, 'i') AS m"
        signed = select(f"CASE m[1] WHEN '-' THEN -1 ELSE 1 END * {magnitude}", f"({matched}) AS matched")
        return combined(f"({signed})", types.DOUBLE, position, values, unit="deg")

    return build


def _spectral(values: list[Value], position: int) -> Value:
    """Return a wavelength, frequency or energy in another spectral unit."""
    value, target = values[0], values[-1]
    unit = str(values[1].literal) if len(values) == 3 else value.unit
    if not unit:
        raise Flaw(
            value.position, "The value has no known unit.", "Give it: ivo_specconv(value, 'unit', 'unit')."
        )
    try:
        factor, inverted = units.spectral_conversion(unit, str(target.literal))
    except ValueError as error:
        raise Flaw(target.position, f"No conversion from '{unit}' to '{target.literal}': {error}.") from None
    sql = f"({factor!r}::float8 {'/' if inverted else '*'} {as_double(value)})"
    return combined(sql, types.DOUBLE, position, [value], unit=str(target.literal))


# Forms and descriptions as TAPRegExt has them, kinds of the arguments, and what builds the value.
_ALL = (
    Signature(
        "ivo_healpix_index(hpxOrder INTEGER, long DOUBLE, lat DOUBLE) -> BIGINT",
        "Number of the HEALPix cell (nested scheme) of the given order that holds a position in degrees.",
        ("INTEGER", "DOUBLE", "DOUBLE"),
        _healpix_of_position,
    ),
    Signature(
        "ivo_healpix_index(hpxOrder INTEGER, point POINT) -> BIGINT",
        "Number of the HEALPix cell (nested scheme) of the given order that holds a point.",
        ("INTEGER", "POINT"),
        _healpix_of_point,
    ),
    Signature(
        "ivo_healpix_center(hpxOrder INTEGER, hpxIndex BIGINT) -> POINT",
        "Centre of a HEALPix cell (nested scheme).",
        ("INTEGER", "INTEGER"),
        _healpix_centre,
    ),
    Signature(
        "ivo_epoch_prop_pos(ra DOUBLE, dec DOUBLE, parallax DOUBLE, pmra DOUBLE, pmdec DOUBLE, "
        "radial_velocity DOUBLE, ref_epoch DOUBLE, out_epoch DOUBLE) -> POINT",
        "Position at another epoch after linear motion; degrees, mas, mas/yr (pmra with cos(dec)), "
        "km/s, Julian years.",
        ("DOUBLE",) * 8,
        _moved,
    ),
    Signature(
        "ivo_geom_transform(from_sys VARCHAR, to_sys VARCHAR, geo POINT) -> POINT",
        "Geometry (point, circle or polygon) rotated into another frame; the frames are "
        f"{', '.join(frames.NAMES)}.",
        ("LITERAL", "LITERAL", "GEOMETRY"),
        _transformed,
    ),
    Signature(
        "ivo_to_jd(d TIMESTAMP) -> DOUBLE",
        "Julian date of a timestamp.",
        ("TIMESTAMP",),
        _julian(2440587.5, "d"),
    ),
    Signature(
        "ivo_to_mjd(d TIMESTAMP) -> DOUBLE",
        "Modified Julian date of a timestamp.",
        ("TIMESTAMP",),
        _julian(40587.0, "d"),
    ),
    Signature(
        "ivo_string_agg(expression VARCHAR, delimiter VARCHAR) -> VARCHAR",
        "Aggregate function that joins the strings of a group with a delimiter.",
        ("VARCHAR", "VARCHAR"),
        _joined,
    ),
    Signature(
        "ivo_nocasematch(value VARCHAR, pattern VARCHAR) -> INTEGER",
        "1 where the value matches the LIKE pattern without regard to case, 0 elsewhere.",
        ("VARCHAR", "VARCHAR"),
        _indicator("{0} ILIKE {1} ESCAPE ''"),
    ),
    Signature(
        "ivo_hasword(haystack VARCHAR, needle VARCHAR) -> INTEGER",
        "1 where the text holds all the words (English word stems, no regard to case), 0 elsewhere.",
        ("VARCHAR", "VARCHAR"),
        _indicator("to_tsvector('english', {0}) @@ plainto_tsquery('english', {1})"),
    ),
    Signature(
        "ivo_hashlist_has(hashlist VARCHAR, item VARCHAR) -> INTEGER",
        "1 where the item is one of the words that hash signs separate in the list (no regard to "
        "case), 0 elsewhere.",
        ("VARCHAR", "VARCHAR"),
        _indicator("lower({1}) = ANY (string_to_array(lower({0}), '#'))"),
    ),
    Signature(
        "ivo_histogram(val DOUBLE, lower DOUBLE, upper DOUBLE, nbins INTEGER) -> INTEGER",
        "Aggregate function that counts values in bins of equal width; an array with underflow (and "
        "NULL) first, overflow last.",
        ("DOUBLE", "DOUBLE", "DOUBLE", "INTEGER"),
        _histogram,
    ),
    Signature(
        "ivo_normal_random(mu DOUBLE, sigma DOUBLE) -> DOUBLE",
        "Random number from a normal distribution.",
        ("DOUBLE", "DOUBLE"),
        _normal,
    ),
    Signature(
        "ivo_interval_overlaps(a1 DOUBLE, b1 DOUBLE, a2 DOUBLE, b2 DOUBLE) -> INTEGER",
        "1 where the intervals [a1, b1] and [a2, b2] have a common point, 0 elsewhere.",
        ("DOUBLE",) * 4,
        _indicator("{0} <= {3} AND {2} <= {1} AND {0} <= {1} AND {2} <= {3}"),
    ),
    Signature(
        "ivo_hms_to_degrees(hms VARCHAR) -> DOUBLE",
        "Hours, minutes, seconds (h:m:s, hhmmss, 1h2m3s) in degrees.",
        ("VARCHAR",),
        _sexagesimal("", r"\d{1,2}", "h", 15),
    ),
    Signature(
        "ivo_dms_to_degrees(dms VARCHAR) -> DOUBLE",
        "Degrees, minutes, seconds (d:m:s, ddmmss, 1d2m3s) in degrees.",
        ("VARCHAR",),
        _sexagesimal("[+-]?", r"\d{1,3}", "d", 1),
    ),
    Signature(
        "ivo_specconv(expr DOUBLE, dest_unit VARCHAR) -> DOUBLE",
        "A wavelength, frequency or energy with a known unit in another spectral unit.",
        ("DOUBLE", "LITERAL"),
        _spectral,
    ),
    Signature(
        "ivo_specconv(expr DOUBLE, expr_unit VARCHAR, dest_unit VARCHAR) -> DOUBLE",
        "A wavelength, frequency or energy in the given unit in another spectral unit.",
        ("DOUBLE", "LITERAL", "LITERAL"),
        _spectral,
    ),
)

# Name of each function to its forms.
SIGNATURES: dict[str, list[Signature]] = {}
for _signature in _ALL:
    SIGNATURES.setdefault(_signature.form.partition("(")[0], []).append(_signature)
