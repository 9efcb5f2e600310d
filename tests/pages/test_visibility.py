"""How high targets stand in a night: what geometry and almanacs say."""

from __future__ import annotations

import pytest

from ost_vo.catalogues.visibility import Place, Site, night

POTSDAM = Site(52.4, 13.0, 39.0)
# The total eclipse of 2026-08-12 (NASA): New Moon at 17:37 UT; full Moon on 2026-08-28 at 04:18 UT.
NEW_MOON, FULL_MOON = 61264.73, 61280.18


@pytest.mark.parametrize("moment", [61045.0, 61100.3, 61200.9])
def test_the_pole_star_is_as_high_as_the_latitude(moment: float) -> None:
    (polaris,) = night(POTSDAM, moment, [Place("Polaris", 37.95, 89.264)]).tracks
    assert all(51.6 < altitude < 53.2 for altitude in polaris.altitudes)


def test_a_target_culminates_at_the_altitude_of_its_declination() -> None:
    # In a night of December, M 45 crosses the meridian of Potsdam.
    found = night(POTSDAM, 61023.9, [Place("M 45", 56.87, 24.12)])
    (pleiades,) = found.tracks
    assert pleiades.highest == pytest.approx(90 - 52.4 + 24.2, abs=0.3)
    assert max(found.sun) < 0
    assert min(found.sun) < -18
    assert found.times[0] < pleiades.best < found.times[-1]


def test_the_moon_is_new_and_full() -> None:
    sun = Place("the Sun's place", 142.4, 14.7)
    new, full = (night(POTSDAM, moment, [sun]) for moment in (NEW_MOON, FULL_MOON))
    assert new.moon_phase < 0.02
    assert full.moon_phase > 0.98
    assert new.tracks[0].moon_distance < 15
    assert full.tracks[0].moon_distance > 150


def test_the_midnight_sun_has_a_whole_day() -> None:
    june = 61212.0
    found = night(Site(75.0, 15.0, 0.0), june, [Place("Vega", 279.23, 38.78)])
    assert found.times[-1] - found.times[0] == pytest.approx(1.0)
    assert min(found.sun) > 0
    assert len(found.tracks[0].altitudes) == len(found.times) == len(found.moon)
