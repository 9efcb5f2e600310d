"""What of ADQL 2.1 works here beyond the core, as TAPRegExt 1.0 section 2.3 declares it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ost_vo.vo.adql import udf

_PREFIX = "ivo://ivoa.net/std/TAPRegExt#features-"
_GEOMETRY = (
    ("AREA", "Area in square degrees."),
    ("BOX", "Box around a centre, bounded by great circles."),
    ("CENTROID", "Centre of mass of a region."),
    ("CIRCLE", "Circle of up to 90 degrees radius."),
    ("CONTAINS", "1 where the first geometry lies inside the second one."),
    ("COORD1", "Longitude of a point in degrees."),
    ("COORD2", "Latitude of a point in degrees."),
    ("COORDSYS", "Coordinate system of a geometry."),
    (
        "DISTANCE",
        "Distance of two points in degrees, in both forms; compared with a constant it uses an index.",
    ),
    ("INTERSECTS", "1 where two geometries overlap."),
    ("POINT", "Point; the frames ICRS, FK5, FK4, GALACTIC and ECLIPTIC are converted to ICRS."),
    ("POLYGON", "Polygon of up to a hemisphere."),
    ("REGION", "Position, Circle, Box or Polygon in STC-S."),
)
_OTHERS = {
    "adql-string": (
        ("LOWER", "String in lower case."),
        ("UPPER", "String in upper case."),
        ("ILIKE", "LIKE without regard to case."),
    ),
    "adql-common-table": (("WITH", "Named queries in front of the main one."),),
    "adql-sets": (
        ("UNION", "Rows of both queries."),
        ("EXCEPT", "Rows of the first query that the second one lacks."),
        ("INTERSECT", "Rows that both queries have."),
    ),
    "adql-type": (("CAST", "Conversion to numbers, strings, timestamps, and of DALI text to geometries."),),
    # COALESCE works, too; validators of before 2023 take the feature adql-conditional for an error.
    "adql-unit": (("IN_UNIT", "Conversion of values whose unit is known."),),
    "adql-offset": (("OFFSET", "Rows to skip."),),
}

# Identifier of each group of features to its features: (form, description). The user defined functions appear
# with their signatures.
LANGUAGE_FEATURES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        f"{_PREFIX}udf": tuple(
            (form.form, form.description) for forms in udf.SIGNATURES.values() for form in forms
        ),
        f"{_PREFIX}adqlgeo": _GEOMETRY,
        **{f"{_PREFIX}{group}": features for group, features in _OTHERS.items()},
    }
)
