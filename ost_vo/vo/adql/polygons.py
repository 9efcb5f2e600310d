"""Polygons in SQL by their vertices, which no function of pgSphere returns: their text, their centroid."""

from __future__ import annotations

from ost_vo.vo.adql.values import select

# Decimals of degrees in the text of a region: 10 of them are 0.4 microarcseconds.
_DECIMALS = 10


def degrees_text(radians: str) -> str:
    """Return SQL for an angle in radians as text in degrees."""
    return f"trim_scale(round(degrees({radians})::numeric, {_DECIMALS}))::text"


def _vertices(polygon: str) -> str:
    """Return SQL for a table v(vertex, place) of longitudes and latitudes, as text in radians, in order."""
    pattern = r"'\(([^ ,()]+) , ([^ ,()]+)\)'"
    return f"regexp_matches({polygon}::text, {pattern}, 'g') WITH ORDINALITY AS v(vertex, place)"


def text(polygon: str) -> str:
    """Return SQL for the STC-S text of an spoly."""
    longitude, latitude = (degrees_text(f"v.vertex[{i}]::float8") for i in (1, 2))
    listed = f"string_agg({longitude} || ' ' || {latitude}, ' ' ORDER BY v.place)"
    label = "'Polygon ICRS '"
    return f"({select(f'{label} || {listed}', _vertices(polygon))})"


def centroid(polygon: str) -> str:
    """Return SQL for the centroid of an spoly, as spoint.

    The integral of the position vector over a spherical polygon is half the sum, over the edges, of the
    edge's length times the normal of its great circle. Its sign depends on the sense in which the vertices
    run, so the side of their mean is taken.
    """
    corners = select("place, xyz(spoint(vertex[1]::float8, vertex[2]::float8)) AS a", _vertices(polygon))
    following = "coalesce(lead(a) OVER (ORDER BY place), first_value(a) OVER (ORDER BY place))"
    edges = select(f"a, {following} AS b", f"({corners}) AS corner")
    normals = select(
        "a, a[2]*b[3]-a[3]*b[2] AS x, a[3]*b[1]-a[1]*b[3] AS y, a[1]*b[2]-a[2]*b[1] AS z, "
        "a[1]*b[1]+a[2]*b[2]+a[3]*b[3] AS c",
        f"({edges}) AS edge",
    )
    weight = "atan2(sqrt(x*x+y*y+z*z), c) / nullif(sqrt(x*x+y*y+z*z), 0)"
    weighted = select(f"a, x, y, z, {weight} AS w", f"({normals}) AS normal")
    sums = select(
        "sum(w*x) AS x, sum(w*y) AS y, sum(w*z) AS z, sum(a[1]) AS mx, sum(a[2]) AS my, sum(a[3]) AS mz",
        f"({weighted}) AS weighted",
    )
    signed = select("x, y, z, sign(x*mx+y*my+z*mz) AS s", f"({sums}) AS total")
    return f"({select('spoint(atan2(s*y, s*x), atan2(s*z, sqrt(x*x+y*y)))', f'({signed}) AS side')})"
