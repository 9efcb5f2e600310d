"""Names of filters and targets."""

from __future__ import annotations

import pytest

from ingest.filters import band
from ingest.targets import target_name


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("U", 333.8, 398.8),
        ("B", 391.6, 480.6),
        ("V", 502.8, 586.8),
        ("R", 561.7, 719.7),
        ("I", 721.0, 875.0),
        ("Johnson B", 391.6, 480.6),
        ("Bessell_V", 502.8, 586.8),
        ("Rc", 561.7, 719.7),
        ("r", 557.0, 695.2),
        ("g'", 413.6, 551.4),
        ("SDSS i", 690.4, 844.0),
        ("sloan-z", 841.2, 978.2),
        ("Stroemgren b", 459.6, 478.0),
        ("y", 536.7, 559.3),
        ("Ha", 652.78, 659.78),
        ("H-alpha", 652.78, 659.78),
        ("H_ALPHA 3nm", 654.78, 657.78),
        ("Ha 6.5 nm", 653.03, 659.53),
        ("OIII", 497.18, 504.18),
        ("[O III]", 497.18, 504.18),
        ("SII", 668.9, 675.9),
        ("L", 400.0, 700.0),
        ("Luminance", 400.0, 700.0),
        ("IRCUT", 400.0, 700.0),
        ("Red", 590.0, 690.0),
        ("G", 490.0, 580.0),
        ("blue", 400.0, 510.0),
    ],
)
def test_band(name: str, low: float, high: float) -> None:
    found = band(name)
    assert (found.em_min, found.em_max) == pytest.approx((low * 1e-9, high * 1e-9))
    assert found.remark is None


@pytest.mark.parametrize("name", ["None", "Clear", "open", "No Filter"])
def test_no_filter_is_no_discrepancy(name: str) -> None:
    found = band(name)
    assert (found.em_min, found.em_max, found.remark) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("OG590", "no filter that is known"), ("v", "Johnson or Stroemgren"), ("b", "Johnson or")],
)
def test_unknown_and_ambiguous_filters_are_left_open(name: str, reason: str) -> None:
    found = band(name)
    assert (found.em_min, found.em_max) == (None, None)
    assert reason in str(found.remark)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("M31", "M 31"),
        ("m_031", "M 31"),
        ("Messier 31", "M 31"),
        ("ngc-6946", "NGC 6946"),
        ("NGC 6027A", "NGC 6027A"),
        ("ic434", "IC 434"),
        ("hd 189733", "HD 189733"),
        ("HD61421_", "HD 61421"),
        ("wasp12b", "WASP-12b"),
        ("Sh2-155", "SH2-155"),
        ("BD+20 307", "BD+20 307"),
        ("ey-uma", "ey-uma"),
        ("Jupiter  moons", "Jupiter moons"),
        ("M31 field 2", "M31 field 2"),
        ("Moon", "Moon"),
        ("", None),
        ("unknown", None),
        ("Dark", None),
        ("x", None),
    ],
)
def test_target_name(header: str, name: str | None) -> None:
    assert target_name(header) == name
