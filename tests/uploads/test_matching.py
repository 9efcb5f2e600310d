"""Joins of uploads by position give the same pairs as a comparison of all rows does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from astropy.table import Table

from tests.conftest import Service
from tests.uploads.test_uploads import asked, read, written

CONTAINS = "1 = CONTAINS(POINT(a.ra, a.dec), CIRCLE(POINT(b.ra, b.dec), {}))"
DISTANCE = "DISTANCE(POINT(b.ra, b.dec), POINT(a.ra, a.dec)) < {}"


@cache
def tables() -> tuple[Table, Table]:
    """Return 12,000 positions and 1,000 near to some of them: at the poles, the seam and elsewhere."""
    random = np.random.default_rng(11)
    ra = random.uniform(0, 360, 12_000)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, 12_000)))
    dec[:200], dec[200:400] = 90 - random.uniform(0, 0.02, 200), -90 + random.uniform(0, 0.02, 200)
    ra[400:600] = random.uniform(-0.005, 0.005, 200) % 360
    dec[600] = np.nan
    chosen = np.arange(0, 12_000, 12)
    near = (dec[chosen] + random.uniform(-0.005, 0.005, 1000)).clip(-90, 90)
    return (
        Table({"n": np.arange(12_000), "ra": ra, "dec": dec}),
        Table({"m": np.arange(1000), "ra": ra[chosen], "dec": near}),
    )


@cache
def documents() -> tuple[bytes, bytes]:
    """Return the same as they are uploaded."""
    one, other = tables()
    return written(one), written(other)


@cache
def angles() -> np.ndarray:
    """Return how far all rows are from all rows, by the formula of Vincenty [rad]."""
    one, other = tables()
    la, pa = np.radians(one["ra"])[:, None], np.radians(one["dec"])[:, None]
    lb, pb = np.radians(other["ra"])[None, :], np.radians(other["dec"])[None, :]
    cross = np.hypot(
        np.cos(pb) * np.sin(la - lb), np.cos(pa) * np.sin(pb) - np.sin(pa) * np.cos(pb) * np.cos(la - lb)
    )
    return np.arctan2(cross, np.sin(pa) * np.sin(pb) + np.cos(pa) * np.cos(pb) * np.cos(la - lb))


def pairs(radius: float) -> set[tuple[int, int]]:
    """Return the pairs of rows that are nearer to each other than a radius [deg]."""
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(angles() < np.radians(radius)), strict=True)}


def found(service: Service, source: str, condition: str) -> set[tuple[int, int]]:
    one, other = documents()
    query = f"SELECT a.n, b.m FROM {source} {condition}"
    response = asked(service, query, a=one, b=other)
    rows = read(response).get_first_table().to_table()
    return {(int(n), int(m)) for n, m in zip(rows["n"].filled(-1), rows["m"].filled(-1), strict=True)}


@pytest.mark.parametrize("radius", [0.003, 0.09, 0.5])
@pytest.mark.parametrize("condition", [CONTAINS, DISTANCE])
@pytest.mark.parametrize(
    "source", ["TAP_UPLOAD.a AS a JOIN TAP_UPLOAD.b AS b ON", "TAP_UPLOAD.b AS b, TAP_UPLOAD.a AS a WHERE"]
)
def test_all_pairs_are_found(service: Service, source: str, condition: str, radius: float) -> None:
    assert found(service, source, condition.format(radius)) == pairs(radius)


@pytest.mark.parametrize("condition", [CONTAINS, DISTANCE])
@pytest.mark.parametrize(("kind", "kept"), [("LEFT", "a"), ("RIGHT", "b")])
def test_outer_joins_keep_rows_without_a_match(
    service: Service, kind: str, kept: str, condition: str
) -> None:
    matched = pairs(0.003)
    source = f"TAP_UPLOAD.a AS a {kind} JOIN TAP_UPLOAD.b AS b ON"
    if kept == "a":
        alone = {(n, -1) for n in set(range(12_000)) - {n for n, _ in matched}}
    else:
        alone = {(-1, m) for m in set(range(1000)) - {m for _, m in matched}}
    assert found(service, source, condition.format(0.003)) == matched | alone


def test_large_uploads_meet_the_archive(service: Service) -> None:
    query = (
        "SELECT a.n, o.obs_id FROM ivoa.obscore AS o LEFT JOIN TAP_UPLOAD.a AS a "
        "ON DISTANCE(POINT(a.ra, a.dec), POINT(o.s_ra, o.s_dec)) < 0.01"
    )
    rows = read(asked(service, query, a=documents()[0])).get_first_table().array
    assert len(rows) == service.products
