"""The MOC of the archive: its formats, what each caller sees of it, and when it is computed anew."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests
from mocpy import MOC

from ost_vo.access.context import Context
from ost_vo.faults import TransientFault
from ost_vo.services.archive import Archive
from ost_vo.services.coverage import Footprint, Footprints
from ost_vo.settings import Settings
from ost_vo.store import coverage as store
from ost_vo.store.coverage import Field
from ost_vo.vo.moc import Sky, merged, parse, shortened, write
from tests.blues import PASSWORD, PROJECT, Blues
from tests.conftest import Service, execute
from tests.moc.places import holds

# Where nothing of the demo night is [deg].
PLACES = {"raw1": (200.0, -60.0), "raw2": (210.0, -60.0), "sum": (220.0, -60.0), "other": (230.0, -60.0)}
READERS = {
    "fits": (MOC.from_fits, "application/fits"),
    "json": (MOC.from_json, "application/json"),
    "ascii": (MOC.from_string, "text/plain"),
}


def fetched(service: Service, user: str | None = None, **parameters: str) -> requests.Response:
    auth = (user, PASSWORD) if user else None
    return requests.get(f"{service.url}/moc", params=parameters, auth=auth, timeout=120)


def moc(service: Service, user: str | None = None, **parameters: str) -> MOC:
    answer = fetched(service, user, responseformat="ascii", **parameters)
    assert answer.status_code == 200, answer.text
    return MOC.from_string(answer.text, "ascii")


def place(blues: Blues, name: str, privileges: int) -> None:
    """Give a product a position of its own, and a level."""
    ra, dec = PLACES[name]
    execute(
        blues.service.settings.dsn("postgres"),
        "UPDATE archive.products SET s_ra = %s, s_dec = %s, s_fov = 0.5, privileges = %s"
        f" WHERE path = 'blues/{name}'",
        ra,
        dec,
        privileges,
    )


def seen(service: Service, user: str | None = None, **parameters: str) -> set[str]:
    found = moc(service, user, **parameters)
    return {name for name, (ra, dec) in PLACES.items() if holds(found, ra, dec)}


@pytest.mark.parametrize("form", READERS)
def test_all_formats_say_the_same(service: Service, form: str) -> None:
    answer = fetched(service, RESPONSEFORMAT=form)
    read, media_type = READERS[form]
    assert answer.headers["Content-Type"].split(";")[0] == media_type
    found = read(
        answer.json() if form == "json" else answer.text if form == "ascii" else io.BytesIO(answer.content)
    )
    assert found == moc(service)
    assert found.max_order == 10


def test_fits_is_what_comes_unasked(service: Service) -> None:
    assert fetched(service).headers["Content-Type"] == "application/fits"
    assert fetched(service, format="text/plain").headers["Content-Type"].startswith("text/plain")


def test_larger_cells_cover_no_less(service: Service) -> None:
    coarse = moc(service, order="5")
    assert coarse.max_order == 5
    assert coarse == moc(service).degrade_to_order(5)
    assert fetched(service, ORDER="11").status_code == 400


def test_an_unknown_format_is_refused(service: Service) -> None:
    answer = fetched(service, RESPONSEFORMAT="png")
    assert answer.status_code == 400
    assert "fits, json or ascii" in answer.text


def test_it_covers_the_outlines(service: Service) -> None:
    rows = execute(
        service.settings.dsn("adql"), "SELECT s_region FROM ivoa.obscore WHERE s_region IS NOT NULL"
    )
    found = moc(service)
    for (region,) in rows:
        numbers = list(map(float, region.split()[2:]))
        for ra, dec in zip(numbers[0::2], numbers[1::2], strict=True):
            assert holds(found, ra, dec)


def test_each_caller_has_his_own(blues: Blues) -> None:
    service = blues.service
    for name, privileges in {"raw1": 1, "raw2": 2, "sum": 3, "other": 5}.items():
        place(blues, name, privileges)
    assert seen(service) == {"other"}
    assert seen(service, "eve") == {"sum", "other"}
    assert seen(service, "anna") == {"raw2", "sum", "other"}
    assert seen(service, "bob") == {"raw1", "raw2", "sum", "other"}
    assert seen(service, "bob", OST_PRIVILEGES="3") == {"sum", "other"}
    assert seen(service, "bob", OST_PROJECT=PROJECT, OST_PRIVILEGES="2") == {"raw2", "sum", "other"}


def test_what_changes_is_seen_at_once(blues: Blues) -> None:
    service = blues.service
    place(blues, "raw1", 5)
    assert seen(service) == {"raw1"}
    place(blues, "raw1", 2)
    assert seen(service) == set()
    execute(
        service.settings.dsn("postgres"),
        "UPDATE archive.products SET release_date = now() - interval '1 s' WHERE path = 'blues/raw1'",
    )
    assert seen(service) == {"raw1"}
    execute(
        service.settings.dsn("postgres"),
        "UPDATE archive.products SET is_valid = false WHERE path = 'blues/raw1'",
    )
    assert seen(service) == set()


def test_a_client_that_has_it_gets_it_not_again(blues: Blues) -> None:
    url = f"{blues.service.url}/moc"
    tag = requests.get(url, timeout=120).headers["ETag"]
    again = requests.get(url, headers={"If-None-Match": tag}, timeout=120)
    assert (again.status_code, again.content) == (304, b"")
    assert requests.get(f"{url}?format=json", headers={"If-None-Match": tag}, timeout=120).status_code == 200
    place(blues, "raw1", 5)
    changed = requests.get(url, headers={"If-None-Match": tag}, timeout=120)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_shapes_of_all_kinds_are_united() -> None:
    sky = Sky()
    # Across the meridian; a pole; a point; a triangle beside a square.
    sky.add_polygons([(359.5, -0.5, 0.5, -0.5, 0.5, 0.5, 359.5, 0.5), (40, 10, 41, 10, 40.5, 11)])
    sky.add_circles([(0, 90, 1), (100, 20, 1 / 3600)])
    found = sky.moc()
    for ra, dec in ((0, 0), (359.6, 0.4), (40.5, 10.3), (123, 89.5), (100, 20)):
        assert holds(found, ra, dec)
    for ra, dec in ((1, 0), (42, 10.3), (0, 88), (100.2, 20)):
        assert not holds(found, ra, dec)


def test_nothing_is_an_empty_moc() -> None:
    assert parse(write(Sky().moc(), "ascii").decode()).sky_fraction == 0


def test_a_short_moc_holds_the_long_one() -> None:
    sky = Sky()
    sky.add_circles([(float(ra), float(dec), 0.3) for ra in range(0, 360, 7) for dec in range(-80, 81, 7)])
    text = shortened(sky.moc(), 20_000)
    assert len(text) < 20_000
    assert 6 <= parse(text).max_order < 10
    assert sky.moc().difference(parse(text)).sky_fraction == 0


@pytest.mark.parametrize(
    ("most", "expected"),
    [(9, [(1, 4), (5, 6), (10, 11), (10.5, 10.5)]), (2, [(1, 6), (10, 11)]), (1, [(1, 11)])],
)
def test_intervals_are_united_and_their_gaps_closed(most: int, expected: list[tuple[float, float]]) -> None:
    found = merged([(5, 6), (1, 3), (2, 4), (10, 11), (10.5, 10.5)], most)
    assert found == [interval for interval in expected if interval != (10.5, 10.5)]


def computed(footprints: Footprints, archive: Archive, caller: Context) -> Footprint:
    """Ask again while it goes on: a busy machine may need longer than the second that is waited here."""
    for _ in range(60):
        with suppress(TransientFault):
            return footprints.computed(archive, caller)
    raise AssertionError("it goes on for ever")


def test_what_takes_longer_than_a_request_goes_on_and_is_there_for_all_processes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive.open(Settings(**{**service.settings.model_dump(), "sync_seconds": 1}))
    caller = Context(user_id=987_654_321)
    fields, going = store.fields, threading.Event()

    def slow(*arguments: object) -> Iterator[list[Field]]:
        assert going.wait(60)
        yield from fields(*arguments)

    monkeypatch.setattr(store, "fields", slow)
    here, there = Footprints(), Footprints()
    with pytest.raises(TransientFault, match="goes on"):
        here.computed(archive, caller)
    assert there.known(archive, caller) is None
    going.set()
    found = computed(here, archive, caller)
    monkeypatch.setattr(store, "fields", None)
    assert there.computed(archive, caller).text == found.text
    assert parse(found.text) == moc(service)
    here.close()
    there.close()
    archive.close()
