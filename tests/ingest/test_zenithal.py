"""The closed form of plain projections gives what astropy gives, and leaves all else to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.random import Generator

from ost_vo.vo.celestial import Vectors, vectors
from ost_vo.vo.wcscards import sound_values
from ost_vo.vo.zenithal import Zenithal, zenithal

Cards = dict[str, Any]

PIXELS = np.array([[0.0, 0.0], [-0.5, -0.5], [1999.5, 1499.5], [1000.0, 750.3], [3.0, 1400.0]])
PLAIN: Cards = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 41.0, "CRPIX1": 1000.0,
    "CRPIX2": 750.0, "CD1_1": -1e-3, "CD1_2": 2e-5, "CD2_1": 1e-5, "CD2_2": 1e-3,
}  # fmt: skip
FRAMES: list[Cards] = [
    {},
    {"RADESYS": "ICRS"},
    {"RADECSYS": "ICRS"},
    {"RADESYS": "ICRS", "EQUINOX": 2000.0},
    {"RADESYS": "FK5"},
    {"RADESYS": "FK5", "EQUINOX": 2000.0},
    {"RADECSYS": "FK5", "EQUINOX": 2000},
    {"EQUINOX": 2000.0},
    {"EPOCH": 2000.0},
    {"EPOCH": 1950.0, "EQUINOX": 2000.0},
]
LEFT_TO_ASTROPY: list[Cards] = [
    {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"},
    {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "A_2_0": 1e-6},
    {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 1, "B_ORDER": 1, "A_1_0": 1e-6},
    {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6},
    {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6},
    {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.0},
    {"PV2_1": 0.3, "CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"},
    {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"},
    {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN"},
    {"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR"},
    {"CTYPE3": "FREQ"},
    {"CUNIT1": "arcsec", "CUNIT2": "arcsec"},
    {"CRVAL2": 90.0},
    {"CRVAL2": 91.0},
    {"LONPOLE": 170.0},
    {"PC1_1": 1.0},
    {"CD1_1": 0.0, "CD1_2": 0.0},
    {"RADESYS": "FK4"},
    {"EQUINOX": 1950.0},
    {"RADESYS": "FK5", "EQUINOX": 1975.0},
    {"RADESYS": "ICRS", "RADECSYS": "FK5"},
    {"RADESYS": "GAPPT"},
]


def by_astropy(cards: Cards) -> Vectors:
    """Return the directions of the pixels in ICRS."""
    wcs = WCS(fits.Header(cards), fix=False)
    world = wcs.all_pix2world(PIXELS, 0)
    sky = SkyCoord(world[:, 0], world[:, 1], unit="deg", frame=wcs_to_celestial_frame(wcs)).icrs
    return vectors(sky.ra.deg, sky.dec.deg)


def linear(random: Generator) -> Cards:
    """Return one of the forms in which headers have scale and rotation."""
    scale = 10 ** random.uniform(-5, -2)
    turn, mirror = random.uniform(-np.pi, np.pi), random.choice([-1.0, 1.0])
    cosine, sine = np.cos(turn), np.sin(turn)
    matrix = {"1_1": mirror * cosine, "1_2": -sine, "2_1": mirror * sine, "2_2": cosine}
    steps = {"CDELT1": mirror * scale, "CDELT2": scale * random.uniform(0.5, 2)}
    turned = {"CROTA1": np.degrees(turn), "CROTA2": np.degrees(turn)}
    cd = {f"CD{place}": scale * value for place, value in matrix.items()}
    forms = (
        cd,
        {"CD1_1": -scale, "CD2_2": scale},
        # As camera programs write it for readers of all ages.
        steps | turned | cd,
        steps,
        steps | turned,
        steps | {"CROTA2": turned["CROTA2"]},
        steps | {"PC1_1": cosine, "PC1_2": -sine, "PC2_1": sine, "PC2_2": cosine},
        steps | {"PC1_2": 0.1},
    )
    return forms[random.integers(len(forms))]


def agreeing(cards: Cards) -> tuple[Zenithal, Vectors]:
    """Return the projection of a header and the directions of the pixels, which are those of astropy."""
    found = zenithal(sound_values(fits.Header(cards)))
    assert found is not None, cards
    ours, theirs = found.directions(PIXELS), by_astropy(cards)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs)), cards
    # 1e-12 rad are 0.2 uas.
    assert np.nanmax(np.abs(ours - theirs), initial=0.0) < 1e-12, cards
    return found, ours


@pytest.mark.filterwarnings("ignore:RADECSYS")
def test_directions_are_those_of_astropy() -> None:
    random = np.random.default_rng(1)
    for number in range(400):
        kind = random.choice(["TAN", "SIN"])
        cards = {
            "CTYPE1": f"RA---{kind}", "CTYPE2": f"DEC--{kind}", "CRVAL1": random.uniform(-180, 360),
            "CRVAL2": np.degrees(np.arcsin(random.uniform(-1, 1))), "CRPIX1": random.uniform(-500, 3000),
            "CRPIX2": random.uniform(-500, 3000), **linear(random), **FRAMES[number % len(FRAMES)],
            **[{}, {"CUNIT1": "deg", "CUNIT2": "deg"}, {"LONPOLE": 180.0, "LATPOLE": 12.0}][number % 3],
        }  # fmt: skip
        agreeing(cards)


@pytest.mark.parametrize("kind", ["TAN", "SIN"])
def test_distortions_of_sip_and_back(kind: str) -> None:
    random = np.random.default_rng(2)
    for _ in range(50):
        cards = linear(random) | {
            "CRPIX1": random.uniform(0, 2000), "CRPIX2": random.uniform(0, 1500),
            "CTYPE1": f"RA---{kind}-SIP", "CTYPE2": f"DEC--{kind}-SIP", "CRVAL1": random.uniform(0, 360),
            "CRVAL2": random.uniform(-89, 89), "A_ORDER": 3, "B_ORDER": 2, "AP_ORDER": 2, "BP_ORDER": 2,
            **{name: random.uniform(-1e-5, 1e-5) for name in ("A_2_0", "A_1_1", "A_0_2", "B_2_0", "B_1_1")},
            "A_2_1": random.uniform(-1e-9, 1e-9), "B_0_1": 1e-4, "AP_2_0": 1e-3,
        }  # fmt: skip
        found, ours = agreeing(cards)
        seen = np.isfinite(ours).all(axis=1)
        # The iteration ends at 1e-4 pixels.
        assert np.abs(found.distorted(found.pixels(ours[seen])) - PIXELS[seen]).max(initial=0.0) < 1e-3, cards


@pytest.mark.parametrize("kind", ["TAN", "SIN"])
def test_pixels_are_those_of_astropy_and_none_are_behind_the_sky(kind: str) -> None:
    cards = PLAIN | {"CTYPE1": f"RA---{kind}", "CTYPE2": f"DEC--{kind}"}
    found = zenithal(sound_values(fits.Header(cards)))
    assert found is not None
    places = np.array([[10.0, 41.0], [10.3, 40.1], [12.0, 44.0], [190.0, -41.0], [100.0, -80.0]])
    theirs = WCS(fits.Header(cards), fix=False).all_world2pix(places, 0)
    ours = found.pixels(vectors(*places.T))
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(np.abs(ours - theirs)) < 1e-8


@pytest.mark.parametrize("place", [(0.0, 0.0), (359.9999, -45.0), (77.0, -89.9999), (77.0, 89.9999)])
def test_near_the_poles_and_across_0_h(place: tuple[float, float]) -> None:
    cards = PLAIN | {"CRVAL1": place[0], "CRVAL2": place[1]}
    found = zenithal(sound_values(fits.Header(cards)))
    assert found is not None
    assert np.abs(found.directions(PIXELS) - by_astropy(cards)).max() < 1e-12


@pytest.mark.parametrize("cards", LEFT_TO_ASTROPY, ids=str)
def test_what_is_not_plain_is_left_to_astropy(cards: Cards) -> None:
    assert zenithal(sound_values(fits.Header(PLAIN | cards))) is None
