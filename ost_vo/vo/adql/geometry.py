"""Geometrical functions of ADQL (section 4.2) in pgSphere's language.

Angles are degrees in ADQL and radians in pgSphere. Constant arguments become constants of the SQL, so that
the planner sees them. All geometries are ICRS; constructors that name another frame are rotated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ost_vo.vo.adql import frames, polygons, stcs, types
from ost_vo.vo.adql.flaws import Flaw
from ost_vo.vo.adql.scopes import Relation
from ost_vo.vo.adql.values import Value, as_double, combined, number, quoted_text, select

# Degrees; pgSphere's circles end at a hemisphere.
MAX_RADIUS = 90.0


def radians(value: Value) -> str:
    """Return SQL for an angle given in degrees."""
    if isinstance(value.literal, int | float):
        return repr(math.radians(value.literal))
    return f"radians({value.sql})"


def coordinate_system(value: Value) -> str:
    """Return the frame that the first argument of a constructor names (section 4.2.5)."""
    name = str(value.literal or "").strip()
    frame = frames.canonical(name)
    if frame is None:
        raise Flaw(
            value.position,
            f"The coordinate system '{name}' is not known.",
            f"Known are {', '.join(frames.NAMES)}; leave the argument out for ICRS.",
        )
    return frame


def point(longitude: Value, latitude: Value, position: int) -> Value:
    """Return a POINT in ICRS; a table's own position columns become its stored, indexed point."""
    _check_latitude(latitude)
    parts = (longitude, latitude)
    stored = _stored_point(longitude, latitude)
    sql = stored or f"spoint({radians(longitude)}, {radians(latitude)})"
    literal = "point" if all(isinstance(part.literal, int | float) for part in parts) else None
    owner = longitude.source.relation if stored and longitude.source else None
    known = {"geometry": parts, "literal": literal, "frame": "ICRS", "name": "point", "stored": owner}
    return combined(sql, types.POINT, position, list(parts), **known)


def _check_latitude(latitude: Value) -> None:
    if isinstance(latitude.literal, int | float) and abs(latitude.literal) > 90:
        raise Flaw(
            latitude.position,
            f"The latitude {latitude.literal} is outside -90 to 90 degrees.",
            "Longitude comes first, latitude second.",
        )


def _stored_point(longitude: Value, latitude: Value) -> str | None:
    """Return the SQL of the stored point when the arguments are the position columns of one table."""
    first, second = longitude.source, latitude.source
    if first is None or second is None or first.relation is None or first.relation is not second.relation:
        return None
    known = first.relation.point
    names = (first.column.name.lower(), second.column.name.lower())
    # Without fields the columns are those of a group, which has no stored point.
    return known[2] if longitude.fields and known is not None and known[:2] == names else None


def circle(centre: Value, radius: Value, position: int) -> Value:
    """Return a CIRCLE of the given radius in degrees."""
    if isinstance(radius.literal, int | float) and not 0 <= radius.literal <= MAX_RADIUS:
        raise Flaw(
            radius.position,
            f"The radius {radius.literal} is outside 0 to {MAX_RADIUS:g} degrees.",
            "For wider circles compare DISTANCE(point, centre) with the radius.",
        )
    literal = "circle" if centre.literal is not None and radius.literal is not None else None
    sql = f"scircle({centre.sql}, {radians(radius)})"
    return combined(
        sql, types.CIRCLE, position, [centre, radius], geometry=(centre, radius), literal=literal,
        frame=centre.frame, name="circle",
    )  # fmt: skip


def polygon(vertices: list[Value], position: int) -> Value:
    """Return a POLYGON through points; any vertex that is NULL makes it NULL."""
    if all(vertex.literal is not None and vertex.geometry for vertex in vertices):
        corners = [(_constant(vertex.geometry[0]), _constant(vertex.geometry[1])) for vertex in vertices]
        return constant_polygon(corners, position)
    # pgSphere 1.2.0 crashes the server when its aggregate meets a NULL; text joined by || turns NULL instead.
    listed = " || ',' || ".join(_vertex_text(vertex) for vertex in vertices)
    sql = f"('{{' || {listed} || '}}')::spoly"
    return combined(f"({sql})", types.POLYGON, position, vertices, frame=vertices[0].frame, name="polygon")


def _vertex_text(vertex: Value) -> str:
    """Return SQL for one vertex in pgSphere's text form; NaN becomes NULL since pgSphere cannot read it."""
    if vertex.geometry:
        parts = [f"NULLIF({as_double(part)}, 'NaN')::text || 'd'" for part in vertex.geometry]
    else:
        parts = [f"NULLIF({name}({vertex.sql}), 'NaN')::text" for name in ("long", "lat")]
    return f"'(' || {parts[0]} || ',' || {parts[1]} || ')'"


def _constant(value: Value) -> float:
    """Return the number that a constant is."""
    return float(value.literal or 0)


def constant_polygon(corners: list[tuple[float, float]], position: int) -> Value:
    """Return a polygon through constant corners (longitude, latitude) in degrees.

    Raises:
        Flaw: pgSphere would not take it.
    """
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners = corners[:-1]
    flaw = stcs.polygon_flaw(corners)
    if flaw:
        raise Flaw(position, f"The polygon {flaw}.", "List the vertices along the border, each one once.")
    listed = ",".join(f"({longitude!r}d,{latitude!r}d)" for longitude, latitude in corners)
    sql = f"spoly '{{{listed}}}'"
    return Value(sql, types.POLYGON, position, literal="polygon", frame="ICRS", name="polygon")


def box(centre: Value, width: Value, height: Value, position: int) -> Value:
    """Return a BOX as polygon: great circles across the ends of the arms of a cross (section 4.2.9)."""
    for size in (width, height):
        if isinstance(size.literal, int | float) and not 0 < size.literal < 180:
            raise Flaw(size.position, f"The size {size.literal} is outside 0 to 180 degrees (both excluded).")
    parts = [*centre.geometry, width, height]
    if len(parts) == 4 and all(isinstance(part.literal, int | float) for part in parts):
        longitude, latitude, wide, high = (_constant(part) for part in parts)
        return constant_polygon(stcs.box_corners(longitude, latitude, wide, high), position)
    corners = [
        Value(_box_corner(centre, width, height, *signs), types.POINT, position) for signs in stcs.BOX_SIGNS
    ]
    sql = polygon(corners, position).sql
    return combined(sql, types.POLYGON, position, [centre, width, height], frame="ICRS", name="box")


def _box_corner(centre: Value, width: Value, height: Value, east: int, north: int) -> str:
    """Return SQL for the corner of a box: a point of the tangent plane at the centre, on the sphere."""
    y, z = f"({east} * tan({radians(width)} / 2))", f"({north} * tan({radians(height)} / 2))"
    lon, lat = f"long({centre.sql})", f"lat({centre.sql})"
    x_rotated = f"cos({lat}) - {z} * sin({lat})"
    z_rotated = f"(sin({lat}) + {z} * cos({lat})) / sqrt(1 + {y} * {y} + {z} * {z})"
    return f"spoint({lon} + atan2({y}, {x_rotated}), asin({z_rotated}))"


def region(text: Value) -> Value:
    """Return the geometry that REGION('...') describes in STC-S (section 4.2.19)."""
    shape = stcs.parse(str(text.literal), text.position)
    numbers = [number(each, text.position) for each in shape.numbers]
    name = "POINT" if shape.kind == "POSITION" else shape.kind
    return construct(name, numbers, shape.frame, text.position)


def from_text(value: Value, target: str) -> Value:
    """Return a geometry cast from its DALI 1.1 text (section 4.7.1), such as '12.3 45.6' for a point."""
    if isinstance(value.literal, str):
        shape = stcs.parse_dali(value.literal, target, value.position)
        return region(Value("", types.TEXT, value.position, literal=shape))
    if value.type != types.TEXT:
        raise Flaw(value.position, f"{types.named(value.type)} cannot be cast to {target}.", "Cast a string.")
    numbers = f"regexp_split_to_array(btrim({value.sql}), '\\s+')::float8[]"
    return from_array(combined(f"({numbers})", "double precision[]", value.position, [value]), target)


def from_array(value: Value, target: str) -> Value:
    """Return the geometry that an array of degrees describes (DALI 1.1 section 3.3.5)."""
    array, position = value.sql, value.position
    centre = f"spoint(radians(({array})[1]), radians(({array})[2]))"
    if target == "POINT":
        return combined(centre, types.POINT, position, [value])
    if target == "CIRCLE":
        return combined(f"scircle({centre}, radians(({array})[3]))", types.CIRCLE, position, [value])
    degrees = "CASE WHEN place % 2 = 1 THEN '(' || degree || 'd,' ELSE degree || 'd)' END"
    listed = f"replace(string_agg({degrees}, '' ORDER BY place), ')(', '),(')"
    sql = select(f"('{{' || {listed} || '}}')::spoly", f"unnest({array}) WITH ORDINALITY AS v(degree, place)")
    return combined(f"({sql})", types.POLYGON, position, [value])


_XTYPES = {"point": "POINT", "circle": "CIRCLE", "polygon": "POLYGON"}


def geometry(value: Value) -> Value:
    """Return a value as a geometry: itself, the stored region of a text column, or a DALI array.

    Raises:
        Flaw: the value is none of these.
    """
    if value.type in types.GEOMETRIES:
        return value
    source = value.source
    if source is not None:
        stored = source.relation.regions.get(source.column.name.lower()) if source.relation else None
        if stored is not None:
            if not value.fields:
                raise Flaw(value.position, "Regions cannot be grouped.", "Use the region before GROUP BY.")
            return combined(stored, types.POLYGON, value.position, [value], stored=source.relation)
        if value.type.endswith("[]") and source.column.xtype in _XTYPES:
            return from_array(value, _XTYPES[source.column.xtype])
    raise Flaw(
        value.position,
        f"A geometry belongs here, not {types.named(value.type)}.",
        "Build one with POINT, CIRCLE, BOX or POLYGON, or name a column that holds a region.",
    )


def as_point(value: Value) -> Value:
    """Return a value as a point, or raise Flaw."""
    found = geometry(value)
    if found.type != types.POINT:
        raise Flaw(
            value.position,
            f"A point belongs here, not {types.named(found.type)}.",
            "Write POINT(longitude, latitude), or take the CENTROID of the region.",
        )
    return found


def contains(inner: Value, outer: Value, position: int) -> Value:
    """Return CONTAINS(inner, outer): 1 where inner lies in or on outer (section 4.2.12)."""
    left, right = geometry(inner), geometry(outer)
    if right.type == types.POINT and left.type != types.POINT:
        raise Flaw(
            outer.position,
            "A region never lies inside a point.",
            "CONTAINS(a, b) asks whether a lies inside b; exchange the arguments.",
        )
    operator = "=" if right.type == types.POINT else "<@"
    return _predicate("contains", left, operator, right, position)


def intersects(one: Value, other: Value, position: int) -> Value:
    """Return INTERSECTS(one, other): 1 where they overlap; a point counts as inside or not (4.2.17)."""
    left, right = geometry(one), geometry(other)
    if left.type == types.POINT == right.type:
        return _predicate("intersects", left, "=", right, position)
    if types.POINT in (left.type, right.type):
        if right.type == types.POINT:
            left, right = right, left
        return _predicate("intersects", left, "<@", right, position)
    return _predicate("intersects", left, "&&", right, position)


def _predicate(name: str, left: Value, operator: str, right: Value, position: int) -> Value:
    condition = f"({left.sql} {operator} {right.sql})"
    sql = f"{condition}::integer"
    links = _links(left, right, condition) + _links(right, left, condition)
    known = {"condition": condition, "name": name, "links": links}
    return combined(sql, types.INTEGER, position, [left, right], **known)


def _links(one: Value, other: Value, condition: str) -> tuple[tuple[Relation, str], ...]:
    """Return the condition as link of ``one``, a stored geometry, to what other tables give for ``other``."""
    owner = one.stored
    if owner is None or not other.fields or any(item.relation in (None, owner) for item in other.fields):
        return ()
    return ((owner, condition),)


def distance(one: Value, other: Value, position: int) -> Value:
    """Return DISTANCE in degrees along the great circle between two points (section 4.2.16)."""
    points = (as_point(one), as_point(other))
    sql = f"degrees({points[0].sql} <-> {points[1].sql})"
    known = {"geometry": points, "unit": "deg", "name": "distance"}
    return combined(sql, types.DOUBLE, position, list(points), **known)


def scaled(operators: Sequence[str], operands: list[Value]) -> dict[str, Any]:
    """Return the points and the scale of arithmetic that is a DISTANCE times a constant, else nothing."""
    places = [i for i, each in enumerate(operands) if each.type == types.DOUBLE and each.geometry]
    others = [each.literal for i, each in enumerate(operands) if i not in places]
    if len(places) != 1 or not all(isinstance(each, int | float) for each in others):
        return {}
    (place,) = places
    # A quotient of integers in front is one in PostgreSQL, too: 1/3600*DISTANCE(...) is 0.
    if not set(operators) <= {"*", "/"} or "/" in operators[:place]:
        return {}
    scale = operands[place].scale * math.prod(map(_constant, operands[:place]))
    for operator, operand in zip(operators[place:], operands[place + 1 :], strict=True):
        factor = _constant(operand)
        scale *= factor if operator == "*" else 1 / factor if factor else 0
    known = {"geometry": operands[place].geometry, "scale": scale}
    return known if 0 < scale < math.inf else {}


def near(distance: Value, operator: str, radius: float) -> Value | None:
    """Return ``DISTANCE < radius`` (or ``<=``) in a form that an index serves, None beyond a hemisphere.

    The radius is in the unit that the distance is scaled to.
    Containment in both orientations lets the planner use the index of either side of a join; it is fuzzy at
    the edge, so the distance itself decides.
    """
    radius /= distance.scale
    if not 0 <= radius <= MAX_RADIUS:
        return None
    one, other = distance.geometry
    limit = repr(math.radians(radius))
    conditions: list[str] = []
    links: tuple[tuple[Relation, str], ...] = ()
    for place, centre in ((one, other), (other, one)):
        if place.literal is None:
            conditions.append(f"{place.sql} <@ scircle({centre.sql}, {limit})")
            links += _links(place, centre, conditions[-1])
    conditions.append(f"({one.sql} <-> {other.sql}) {operator} {limit}")
    sql = f"({' AND '.join(conditions)})"
    return combined(sql, types.BOOLEAN, distance.position, [distance], links=links)


def area(value: Value, position: int) -> Value:
    """Return AREA in square degrees (section 4.2.8)."""
    shape = geometry(value)
    if shape.type == types.POINT:
        sql = f"(CASE WHEN {shape.sql} IS NOT NULL THEN 0 END)::float8"
    else:
        sql = f"degrees(degrees(area({shape.sql})))"
    return combined(sql, types.DOUBLE, position, [shape], unit="deg**2", name="area")


def centroid(value: Value, position: int) -> Value:
    """Return CENTROID, the point nearest to the mean of the points inside (section 4.2.10)."""
    shape = geometry(value)
    if shape.type == types.POINT:
        return shape
    if shape.type == types.CIRCLE:
        if shape.geometry:
            return shape.geometry[0]
        return combined(f"center({shape.sql})", types.POINT, position, [shape], name="centroid")
    return combined(polygons.centroid(shape.sql), types.POINT, position, [shape], name="centroid")


def coordinate(value: Value, first: bool, position: int) -> Value:
    """Return COORD1 or COORD2 in degrees (sections 4.2.13, 4.2.14)."""
    found = as_point(value)
    name = "coord1" if first else "coord2"
    if found.geometry:
        part = found.geometry[0 if first else 1]
        return combined(as_double(part), types.DOUBLE, position, [found], unit="deg", name=name)
    sql = f"degrees({'long' if first else 'lat'}({found.sql}))"
    return combined(sql, types.DOUBLE, position, [found], unit="deg", name=name)


def coordinate_system_of(value: Value, position: int) -> Value:
    """Return COORDSYS: the frame that the constructor named, ICRS for everything stored (section 4.2.15)."""
    shape = geometry(value)
    sql = f"CASE WHEN {shape.sql} IS NOT NULL THEN {quoted_text(shape.frame or 'ICRS')}::text END"
    return combined(f"({sql})", types.TEXT, position, [shape], name="coordsys")


def construct(name: str, values: list[Value], frame: str, position: int) -> Value:
    """Return POINT, CIRCLE, BOX or POLYGON from its arguments behind the coordinate system."""
    shape = _constructed(name, values, position)
    if frame in ("ICRS", "FK5"):
        shape.frame = frame
        return shape
    sql = frames.rotated(shape.sql, frame, "ICRS")
    literal = shape.literal
    return combined(sql, shape.type, position, [shape], frame=frame, literal=literal, name=shape.name)


def by_coordinates(values: list[Value]) -> bool:
    """Tell whether the vertices of a POLYGON are given as pairs of numbers, not as points."""
    return values[0].type in types.NUMBERS and len(values) >= 6 and len(values) % 2 == 0


def _constructed(name: str, values: list[Value], position: int) -> Value:
    """Return a geometry as if its coordinates were ICRS."""
    if name == "POINT":
        return point(values[0], values[1], position)
    if name == "POLYGON":
        if not by_coordinates(values):
            return polygon([as_point(value) for value in values], position)
        pairs = zip(values[::2], values[1::2], strict=True)
        return polygon([point(longitude, latitude, position) for longitude, latitude in pairs], position)
    sizes = 1 if name == "CIRCLE" else 2
    by_point = len(values) == sizes + 1
    centre = as_point(values[0]) if by_point else point(values[0], values[1], position)
    if name == "CIRCLE":
        return circle(centre, values[-1], position)
    return box(centre, values[-2], values[-1], position)
