"""What the catalogues know, without a network."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord, get_body, solar_system_ephemeris
from astropy.time import Time

from ost_vo.catalogues import lookup, solar_system
from ost_vo.catalogues.lookup import Field
from ost_vo.catalogues.names import key


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (("NGC 224", "ngc-0224", "NGC224", "NGC_224"), "ngc224"),
        (("Barnard's Star", "barnards star"), "barnardsstar"),
        (("MCG+07-02-016", "mcg +07 02 016"), "mcg+7 2 16"),
        (("TOI-1234.01", "toi 1234.01"), "toi1234.01"),
        (("Bételgeuse", "betelgeuse"), "betelgeuse"),
        (("α Lyr", "alf Lyr", "Alpha-Lyrae", "ALP LYR", "3 alf Lyr", "* alf Lyr"), "alflyr"),
        (("α² CVn", "alf02 CVn", "Alpha-2 Canum Venaticorum"), "alf2cvn"),
        (("ξ Cyg", "Xi Cygni", "ksi_Cyg"), "ksicyg"),
        (("µ Cep", "mu. Cep", "Mu Cephei"), "mucep"),
        (("61 Cyg", "61Cygni", "61_CYG"), "61cyg"),
        (("V* RR Lyr", "RR Lyrae", "rr_lyr"), "rrlyr"),
        (("???",), "???"),
    ],
)
def test_spellings_share_a_key(names: tuple[str, ...], shared: str) -> None:
    assert {key(name) for name in names} == {shared}


def test_different_names_have_different_keys() -> None:
    names = ("BD+12 45", "BD-12 45", "BD+1 245", "NGC 1", "NGC 10", "NGC 1A", "TOI-12.1", "TOI-121")
    assert len({key(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "found", "kind"),
    [
        ("Andromeda Galaxy", "M 31", "galaxy"),
        ("ngc 224", "M 31", "galaxy"),
        ("UGC 454", "M 31", "galaxy"),
        ("M 102", "M 101", "galaxy"),
        ("pleiades", "M 45", "star cluster"),
        ("IC 11", "NGC 281", "nebula"),
        ("NGC 651", "M 76", "nebula"),
        ("C 63", "NGC 7293", "nebula"),
        ("Horsehead Nebula", "B 33", "nebula"),
        ("vega", "Vega", "star"),
        ("Albereo", "Albireo", "star"),
        ("Polarstern", "Polaris", "star"),
        ("alpha Lyrae", "Vega", "star"),
        ("alf Cen", "Rigil Kentaurus", "star"),
        ("α² Cen", "Toliman", "star"),
        ("δ Cephei", "del Cep", "star"),
        ("61 Cygni", "61 Cyg", "star"),
        ("RR Lyrae", "RR Lyr", "star"),
        ("HD172167", "Vega", "star"),
        ("HD 110380", "Porrima", "star"),
        ("HIP 32349", "Sirius", "star"),
        ("hr 7001", "Vega", "star"),
        ("omega Cen", "NGC 5139", "star cluster"),
        ("Mond", "Moon", "solar system"),
        ("jupiter", "Jupiter", "solar system"),
    ],
)
def test_names_of_catalogues(name: str, found: str, kind: str) -> None:
    entry = lookup.named(name)
    assert entry is not None
    assert (entry.name, entry.kind) == (found, kind)


# Two galaxies are called the Eyes; the star HIP 17465 is in IC 348, and not IC 348.
@pytest.mark.parametrize("name", ["EY UMa", "Eyes", "HIP 17465", "IC 67", ""])
def test_names_that_no_catalogue_knows(name: str) -> None:
    assert lookup.named(name) is None


@pytest.mark.parametrize(
    ("name", "ra", "dec"),
    [
        ("M 31", 10.6847, 41.2688),
        ("Vega", 279.2347, 38.7837),
        ("61 Cyg", 316.7247, 38.7494),
        ("HD 209458", 330.7949, 18.8843),
        ("M 13", 250.4235, 36.4613),
    ],
)
def test_positions_are_those_of_the_sky(name: str, ra: float, dec: float) -> None:
    entry = lookup.named(name)
    assert entry is not None
    found = SkyCoord(entry.s_ra, entry.s_dec, unit="deg")
    assert found.separation(SkyCoord(ra, dec, unit="deg")).deg < 0.1


def test_a_field_across_the_zero_of_right_ascension() -> None:
    (found,) = lookup.around([Field(359.9, 16.145, 1.0, None)], [[]])
    assert "NGC 7814" in {one.entry.name for one in found}
    assert [one.least for one in found] == sorted(one.separation for one in found)
    poles = [lookup.around([Field(ra, 90.0, 2.0, None)], [[]]) for ra in (123.0, 303.0)]
    assert [[one.entry.name for one in found] for (found,) in poles] == [["Polaris", "NGC 3172"]] * 2


@pytest.mark.parametrize("moment", [48_000.25, 55_123.9, 61_366.5])
def test_bodies_are_where_astropy_has_them(moment: float) -> None:
    """But for aberration, which moves the stars of the field alike: 21"."""
    time = Time(moment, format="mjd", scale="utc")
    found = solar_system.positions([moment])[0]
    with solar_system_ephemeris.set("builtin"):
        for name, vector in zip(solar_system.BODIES, found, strict=True):
            there = get_body(name.lower(), time).cartesian.xyz.value
            cosine = np.dot(vector, there) / np.linalg.norm(there)
            assert np.degrees(np.arccos(cosine)) * 3600 < 30, name


def test_headers_of_no_time_find_no_body() -> None:
    fields = [Field(10.0, 10.0, 180.0, moment) for moment in (None, 1e9, -1e9)]
    assert lookup.bodies_around(fields) == [[], [], []]
