"""Where frames point and what they cover, as directions in space and as text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.synthetic_rows.texts import Integers, Texts, decimals, joined

Vectors = NDArray[np.float64]

SCATTER = 5e-4  # rad, of pointings about their target
MICRO = 1_000_000  # positions are rounded to 1e-6 deg


def unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> Vectors:
    """Return directions of shape (n, 3) for angles [rad]."""
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def pointings(random: np.random.Generator, targets: Vectors, is_survey: NDArray[np.bool_]) -> Vectors:
    """Return where frames point: near their targets, or anywhere on the whole sphere where a survey goes on.

    Args:
        random: where the scatter comes from; the draws do not depend on `is_survey`.
        targets: directions of the targets; shape (n, 3).
        is_survey: shape (n,).
    """
    draws = random.standard_normal((len(targets), 3))
    vectors = np.where(is_survey[:, None], draws, targets + SCATTER * draws)
    return vectors / np.sqrt((vectors**2).sum(axis=1))[:, None]


def coordinates(vectors: Vectors, between: bytes) -> list[Texts | bytes]:
    """Return longitude, a text between, latitude, in degrees with six decimals."""
    x, y, z = vectors.T
    ra = np.rint(np.degrees(np.arctan2(y, x)) * MICRO).astype(np.int64) % (360 * MICRO)
    dec = np.rint(np.degrees(np.arctan2(z, np.hypot(x, y))) * MICRO).astype(np.int64)
    return [decimals(ra, 6), between, decimals(dec, 6)]


def outline(centres: Vectors, half_sizes: NDArray[np.float64], turns: Integers) -> Texts:
    """Return rectangles on the sky as STC-S, a tab, and as pg_sphere's spoly.

    Args:
        centres: directions; shape (n, 3).
        half_sizes: half width and half height on the tangential plane; shape (n, 2).
        turns: position angles of the upward direction [1e-3 deg].
    """
    right, up = _axes(centres, np.radians(turns * 1e-3))
    right *= half_sizes[:, :1]
    up *= half_sizes[:, 1:]
    corners = (centres + right + up, centres - right + up, centres - right - up, centres + right - up)
    texts = [coordinates(corner, b"") for corner in corners]
    region: list[Texts | bytes] = [b"Polygon ICRS"]
    polygon: list[Texts | bytes] = []
    for ra, _, dec in texts:
        region += [b" ", ra, b" ", dec]
        polygon += [b",(", ra, b"d,", dec, b"d)"]
    return joined([*region, b"\t{(", *polygon[1:], b"}"], len(centres))


def _axes(centres: Vectors, turns: NDArray[np.float64]) -> tuple[Vectors, Vectors]:
    """Return the directions of a frame's right and upward edges, at its centre."""
    x, y, z = centres.T
    rho = np.maximum(np.hypot(x, y), 1e-12)
    east = np.column_stack([-y / rho, x / rho, np.zeros_like(x)])
    north = np.column_stack([-z * x / rho, -z * y / rho, rho])
    sine, cosine = np.sin(turns)[:, None], np.cos(turns)[:, None]
    return east * cosine - north * sine, east * sine + north * cosine
