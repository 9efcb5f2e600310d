"""Which footprints a region meets: pgSphere's answers against points sampled on the sphere with numpy.

Footprints are tangent-plane rectangles from 0.1 to 20 degrees, many of them at the poles and at longitude 0.
A sample of a footprint that lies inside a region proves that the two meet; when all samples are further away
than their spacing, the two do not. In between, either answer passes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psycopg2
import pytest
from numpy.typing import NDArray
from psycopg2.extensions import cursor as Cursor

from ost_vo.vo import coverage, regions
from ost_vo.vo.regions import Circle, Range, unit_vectors

Vectors = NDArray[np.float64]

COUNT = 120
GRID = np.linspace(-1, 1, 31)
RNG = np.random.default_rng(20260214)
# Of decimals lost on the way, and of the borders, which belong to a region [deg].
TIGHT = 1e-6


def _places(vectors: Vectors) -> tuple[Vectors, Vectors]:
    longitude = np.degrees(np.arctan2(vectors[..., 1], vectors[..., 0])) % 360
    return longitude, np.degrees(np.arcsin(np.clip(vectors[..., 2], -1, 1)))


def _normalised(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


def _rectangle(longitude: float, latitude: float, size: float, angle: float) -> tuple[Vectors, Vectors]:
    """Return the corners, shape (4, 3), and samples, (n, 3), of a footprint; size and position in degrees."""
    centre = unit_vectors([(longitude, latitude)])[0]
    east = np.array([-np.sin(np.radians(longitude)), np.cos(np.radians(longitude)), 0])
    north = np.cross(centre, east)
    first = (east * np.cos(angle) + north * np.sin(angle)) * np.tan(np.radians(size / 2))
    second = (north * np.cos(angle) - east * np.sin(angle)) * np.tan(np.radians(size / 3))
    x, y = (part.reshape(-1, 1) for part in np.meshgrid(GRID, GRID))
    samples = centre + x * first + y * second
    corners = centre + np.array([[-1], [1], [1], [-1]]) * first + np.array([[-1], [-1], [1], [1]]) * second
    return _normalised(corners), _normalised(samples)


def _footprint() -> tuple[Vectors, Vectors, float]:
    latitude = RNG.choice([RNG.uniform(-90, 90), 89.9, -89.8, RNG.uniform(-3, 3)])
    longitude = RNG.choice([RNG.uniform(0, 360), 0.05, 359.9, RNG.uniform(0, 20)])
    size = 10 ** RNG.uniform(-1, 1.3)
    corners, samples = _rectangle(longitude, latitude, size, RNG.uniform(0, 2 * np.pi))
    return corners, samples, 1.5 * size * (GRID[1] - GRID[0])


FOOTPRINTS = [_footprint() for _ in range(COUNT)]


@pytest.fixture
def observations(scratch_dsn: str) -> Iterator[Cursor]:
    """A table of numbered footprints, and of their centres as positions alone (number + COUNT)."""
    connection = psycopg2.connect(scratch_dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.t (number int, footprint spoly, pos spoint)")
        for number, (corners, samples, _) in enumerate(FOOTPRINTS):
            longitudes, latitudes = (np.radians(part) for part in _places(corners))
            outline = ",".join(f"({a:.17f},{b:.17f})" for a, b in zip(longitudes, latitudes, strict=True))
            a, b = (float(np.radians(part)) for part in _places(samples[len(samples) // 2]))
            cursor.execute("INSERT INTO public.t VALUES (%s, %s::spoly, NULL)", (number, f"{{{outline}}}"))
            cursor.execute("INSERT INTO public.t VALUES (%s, NULL, spoint(%s, %s))", (number + COUNT, a, b))
        cursor.execute("INSERT INTO public.t VALUES (-1, NULL, NULL)")
        yield cursor
    connection.close()


def _found(cursor: Cursor, *texts: str) -> set[int]:
    conditions = coverage.meets_any([regions.parse(text) for text in texts], "footprint", "pos")
    cursor.execute("SELECT number FROM public.t WHERE {}".format(" AND ".join(conditions)))
    return {row[0] for row in cursor.fetchall()}


def _inside(region: regions.Region, samples: Vectors, tolerance: float) -> NDArray[np.bool_]:
    """Say of samples whether they are inside a circle or range widened by a tolerance [deg], or narrowed."""
    if isinstance(region, Circle):
        centre = unit_vectors([(region.longitude, region.latitude)])[0]
        chord = np.linalg.norm(samples - centre, axis=1)
        return np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) <= region.radius + tolerance
    assert isinstance(region, Range)
    longitude, latitude = _places(samples)
    aside = tolerance / np.maximum(np.cos(np.radians(latitude)), 1e-9)
    from_west = (longitude - region.west + aside) % 360
    in_width = (region.width == 360) | (from_west <= region.width + 2 * aside) | (aside >= 180)
    if tolerance < 0:
        in_width &= (region.width == 360) | (region.width + 2 * aside > 0)
    return in_width & (latitude >= region.south - tolerance) & (latitude <= region.north + tolerance)


def _random_texts() -> list[str]:
    texts = []
    for _ in range(25):
        west, east = RNG.uniform(0, 360, 2)
        south, north = np.sort(RNG.uniform(-90, 90, 2))
        texts.append(f"RANGE {west} {east} {south} {north}")
        width, height = 10 ** RNG.uniform(-1, 1.5, 2)
        texts.append(f"RANGE {west} {(west + width) % 360} {south} {min(90, south + height)}")
        texts.append(f"CIRCLE {west} {south} {RNG.uniform(0, 180)}")
        texts.append(
            f"CIRCLE {RNG.choice([0, 10, 359.9])} {RNG.choice([0, 89.9])} {10 ** RNG.uniform(-2, 1)}"
        )
    return texts


TEXTS = [
    *_random_texts(),
    *(f"CIRCLE 5 {latitude} {radius}" for latitude in (0, 90) for radius in (0, 89, 90, 91, 179.5, 180)),
    "RANGE 0 360 -2 2",
    "RANGE 0 360 89 +Inf",
    "RANGE 0 360 -Inf -89.7",
    "RANGE -Inf +Inf -Inf +Inf",
    "RANGE 359 1 -1 1",
    "RANGE 350 10 -90 90",
    "RANGE 360 2 -1 1",
    "RANGE 0 180 -90 90",
    "RANGE 90 270 -90 90",
    "RANGE 10 200 80 90",
    "RANGE 180 0 80 90",
    "RANGE 351.995 20.001 -83.047 -80.781",
    "RANGE 10 10 -5 5",
    "RANGE 0 0 -90 90",
    "RANGE 0 360 10 10",
    "RANGE 10 20 0 0",
]


def test_regions_meet_the_footprints_that_reach_into_them(observations: Cursor) -> None:
    for text in TEXTS:
        region, found = regions.parse(text), _found(observations, text)
        for number, (_, samples, spacing) in enumerate(FOOTPRINTS):
            if _inside(region, samples, -TIGHT).any():
                assert number in found, f"{text} misses {number}"
            elif not _inside(region, samples, spacing).any():
                assert number not in found, f"{text} finds {number}"


def test_without_a_footprint_the_position_decides(observations: Cursor) -> None:
    for text in TEXTS:
        region, found = regions.parse(text), _found(observations, text)
        for number, (_, samples, _) in enumerate(FOOTPRINTS):
            centre = samples[len(samples) // 2][None, :]
            if _inside(region, centre, -TIGHT).all():
                assert number + COUNT in found, f"{text} misses {number}"
            elif not _inside(region, centre, TIGHT).any():
                assert number + COUNT not in found, f"{text} finds {number}"


def test_what_has_neither_is_never_found(observations: Cursor) -> None:
    assert all(-1 not in _found(observations, text) for text in TEXTS)


def test_several_regions_are_alternatives(observations: Cursor) -> None:
    for group in (TEXTS[:3], TEXTS[2:8], TEXTS[-6:], TEXTS[40:44]):
        assert _found(observations, *group) == set().union(*(_found(observations, text) for text in group))


@pytest.mark.parametrize(
    "vertices", ["0 0 20 0 20 10 0 10", "350 -20 15 -20 20 20 355 15", "0 80 120 80 240 80"]
)
def test_polygons_have_no_direction(observations: Cursor, vertices: str) -> None:
    numbers = vertices.split()
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    backwards = " ".join(" ".join(pair) for pair in reversed(pairs))
    found = _found(observations, f"POLYGON {vertices}")
    assert found == _found(observations, f"POLYGON {backwards}")
    assert 0 < len(found) < 2 * COUNT
    corners = unit_vectors([(float(longitude), float(latitude)) for longitude, latitude in pairs])
    normals = np.cross(corners, np.roll(corners, -1, axis=0))
    for number, (_, samples, _) in enumerate(FOOTPRINTS):
        if ((samples @ normals.T) > 1e-8).all(axis=1).any():
            assert number in found


def test_the_database_takes_every_polygon_that_the_parser_takes(observations: Cursor) -> None:
    taken = 0
    for _ in range(300):
        centre = RNG.uniform((0, -90), (360, 90))
        spread = 10 ** RNG.uniform(-5, 2)
        corners = centre + RNG.normal(0, spread, (RNG.integers(3, 7), 2))
        places = np.clip(corners, (0, -90), (360, 90)).round(int(RNG.integers(0, 6))).tolist()
        text = "POLYGON " + " ".join(f"{longitude!r} {latitude!r}" for longitude, latitude in places)
        try:
            regions.parse(text)
        except regions.UsageFault:
            continue
        taken += 1
        _found(observations, text)
    assert taken > 50
