"""Frames whose pixels contradict the exposure type of their header."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ingest.load import ingest
from ost_vo.services.analysis import Analyst
from ost_vo.settings import Settings
from tests.previews.conftest import query, write_image

CAMERA = {"INSTRUME": "QHY600M", "DATE-OBS": "2026-02-14T20:00:00"}


def frame(kind: str, level: float, number: int, **cards: Any) -> tuple[Any, dict[str, Any]]:
    """Return pixels with a level, and the cards that go with them."""
    pixels = np.random.default_rng(number).normal(level, 8, (100, 120)).clip(0, 65535)
    exposure = 0.0 if kind == "Bias" else 30.0
    return pixels.astype("uint16"), {"IMAGETYP": kind, "EXPTIME": exposure, **CAMERA, **cards}


def starry() -> tuple[Any, dict[str, Any]]:
    pixels, cards = frame("Light", 30_000, 99)
    pixels[20:23, 20:23] = 60_000
    return pixels, cards


@pytest.fixture
def doubts(settings: Settings, analyst: Analyst) -> dict[str, list[str]]:
    """What is said of the frames of a night, by their names; the bias frames were seen to first."""
    biases = {f"bias{number}": frame("Bias", 300 + number, number) for number in range(6)}
    others = {
        "open": frame("Bias", 5000, 10),
        "long": frame("Bias", 301, 11, EXPTIME=10.0),
        "other-camera": frame("Bias", 5000, 12, INSTRUME="ST-8"),
        "flat": frame("Flat", 25_000, 13),
        "dark-flat": frame("Flat", 302, 14),
        "full-flat": frame("Flat", 70_000, 15),
        "dark": frame("Dark", 600, 16),
        "bright-dark": frame("Dark", 40_000, 17),
        "light": frame("Light", 900, 18),
        "twilight": frame("Light", 30_000, 19),
        "moonlight": starry(),
        "lamp": frame("Arc", 65_000, 20),
        "unnamed": frame("", 302, 21),
    }
    for frames in (biases, others):
        for name, (pixels, cards) in frames.items():
            write_image(settings.data / f"run/{name}.fits", pixels, **cards)
        ingest([settings.data], settings)
        analyst.work()
    rows = query(
        settings,
        "SELECT path, reason FROM archive.discrepancies JOIN archive.products USING (product_id)"
        " WHERE keyword = 'IMAGETYP' AND starts_with(reason, 'By its pixels: ') ORDER BY reason",
    )
    found: dict[str, list[str]] = {}
    for path, reason in rows:
        found.setdefault(path.removeprefix("run/").removesuffix(".fits"), []).append(reason)
    return found


def test_contradictions_are_said_with_their_figures(doubts: dict[str, list[str]]) -> None:
    said = {
        "open": ("bias frame of this camera has a median of 30", "of 6 others"),
        "long": ("exposed for 10 s",),
        "dark-flat": ("light in it", "bias frames"),
        "full-flat": ("100%", "saturated"),
        "bright-dark": ("dark frame", "65535"),
        "twilight": ("bright", "no stars"),
    }
    assert set(doubts) == set(said)
    for name, words in said.items():
        (reason,) = doubts[name]
        for word in words:
            assert word in reason, reason


def test_a_doubt_goes_with_its_cause(settings: Settings, analyst: Analyst) -> None:
    path = settings.data / "run/a.fits"
    count = "SELECT count(*) FROM archive.discrepancies WHERE starts_with(reason, 'By its pixels')"
    for kind, expected in (("Dark", 1), ("Flat", 0)):
        pixels, cards = frame(kind, 40_000, 1)
        write_image(path, pixels, **cards)
        ingest([settings.data], settings)
        analyst.work()
        assert query(settings, count) == [(expected,)]
