"""The search for files by their names: from the beginning, by any part, and for who may see them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
import requests

from ost_vo.access.context import ANONYMOUS
from ost_vo.services import search
from ost_vo.services.archive import Archive
from tests.blues import PASSWORD, PRODUCTS, Blues, blues, blues_project
from tests.conftest import execute

__all__ = ["blues", "blues_project"]

# Of files that bob may see, and of one that its creator alone may.
NAMES = ("Light_M45_100%_001.fits", "light_m45_dither_001.fit.fz", "FLAT_B_002.FITS")
HIDDEN = "Light_M45_secret.fits"

Search = Callable[..., set[str]]


@pytest.fixture
def named(blues: Blues) -> Search:
    """Files with names that people look for; what a caller's search shows of them."""
    dsn = blues.service.settings.dsn("postgres")
    for product, name in zip(PRODUCTS, (*NAMES, HIDDEN), strict=True):
        execute(
            dsn,
            "UPDATE archive.products SET path = 'blues/' || %s, privileges = %s,"
            " creator_id = (SELECT user_id FROM archive.users WHERE name = 'anna')"
            " WHERE path = 'blues/' || %s",
            name,
            1 if name == HIDDEN else 2,
            product,
        )

    def shown(text: str, user: str | None = "bob") -> set[str]:
        auth = (user, PASSWORD) if user else None
        page = requests.get(f"{blues.service.url}/search", {"q": text}, auth=auth, timeout=60)
        assert page.status_code == 200
        return {name for name in (*NAMES, HIDDEN) if f">{name}</a>" in page.text}

    return shown


FOUND = {
    "Light_M45": {NAMES[0], NAMES[1]},
    "light_m45": {NAMES[1]},
    "LIGHT_M45_100%": {NAMES[0]},
    "flat_b_002.fits": {NAMES[2]},
    "light_m45_dither_001.fit.fz": {NAMES[1]},
    "blues/light_m45": {NAMES[1]},
    "b_00": {NAMES[2]},
    "m45_": {NAMES[0], NAMES[1]},
    "light%001.fits": set(),
    "\\.fits": set(),
}


def test_files_are_found_by_their_names(named: Search) -> None:
    assert {text: named(text) for text in FOUND} == FOUND
    assert named("Light_M45_s") == set()
    assert named("Light_M45_s", "anna") == {HIDDEN}
    assert named("M45_secret.f", "anna") == {HIDDEN}
    assert {text for text in FOUND if named(text, None)} == set()


def test_a_search_within_all_names_ends_in_time(blues: Blues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_WITHIN_SECONDS", 0.05)
    archive = Archive.open(blues.service.settings)
    try:
        assert not search.search(archive, ANONYMOUS, "nobody's.fits").is_unfinished
        with closing(psycopg2.connect(blues.service.settings.dsn("postgres"))) as other:
            other.cursor().execute("LOCK TABLE archive.products IN ACCESS EXCLUSIVE MODE")
            monkeypatch.setattr(search.listings, "named", lambda *_: [])
            monkeypatch.setattr(search, "targets", lambda *_: [])
            monkeypatch.setattr(search, "_runs", lambda *_: [])
            unfinished = search.search(archive, ANONYMOUS, "nobody's.fits")
        assert unfinished.is_unfinished
        assert unfinished.products == []
    finally:
        archive.close()
