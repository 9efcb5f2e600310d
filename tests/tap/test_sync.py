"""TAP by its users: pyvo, and plain HTTP for what pyvo does not let one do."""

from __future__ import annotations

import io
import math
import urllib.request

import pytest
import pyvo
import requests
from astropy.io import fits
from astropy.io.votable import parse
from astropy.io.votable.tree import VOTableFile

from tests.conftest import Service

OBSCORE = "SELECT obs_id, s_ra, s_dec, calib_level, t_exptime FROM ivoa.obscore"


@pytest.fixture(scope="module")
def tap(service: Service) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(f"{service.url}/tap")


def get(service: Service, **parameters: object) -> requests.Response:
    return requests.get(f"{service.url}/tap/sync", params=parameters, timeout=60)


def votable(response: requests.Response) -> VOTableFile:
    return parse(io.BytesIO(response.content), verify="exception")


def statuses(document: VOTableFile) -> list[str]:
    return [info.value for info in document.resources[0].infos if info.name == "QUERY_STATUS"]


def test_pyvo_reads_the_demo_night(tap: pyvo.dal.TAPService, service: Service) -> None:
    result = tap.search("SELECT COUNT(*) AS n FROM ivoa.obscore")
    assert result[0]["n"] == service.products


def test_pyvo_sees_units_and_ucds(tap: pyvo.dal.TAPService) -> None:
    table = tap.search("SELECT TOP 3 t_exptime, s_ra AS longitude FROM ivoa.obscore").to_table()
    assert str(table["t_exptime"].unit) == "s"
    assert str(table["longitude"].unit) == "deg"
    assert table["longitude"].meta["ucd"] == "pos.eq.ra"


def test_pyvo_lists_the_tables(tap: pyvo.dal.TAPService) -> None:
    assert {"ivoa.obscore", "ost.products", "ost.runs", "ost.targets", "tap_schema.columns"} <= set(
        tap.tables.keys()
    )
    assert "s_ra" in {column.name for column in tap.tables["ivoa.obscore"].columns}


def test_from_a_row_to_the_pixels(tap: pyvo.dal.TAPService) -> None:
    rows = tap.search(
        "SELECT TOP 1 * FROM ivoa.obscore WHERE target_name IS NOT NULL AND dataproduct_type = 'image'"
    )
    this = next(rows[0].getdatalink().bysemantics("#this", include_narrower=False))
    with (
        urllib.request.urlopen(this["access_url"]) as response,
        fits.open(io.BytesIO(response.read())) as file,
    ):
        assert any(hdu.data is not None and hdu.data.ndim == 2 for hdu in file)


@pytest.mark.parametrize("form", ["votable/td", "votable/b2", "votable", "csv", "tsv"])
def test_formats_hold_the_same_rows(service: Service, form: str) -> None:
    response = get(service, QUERY=f"{OBSCORE} ORDER BY obs_id", LANG="ADQL", RESPONSEFORMAT=form)
    assert response.status_code == 200
    if form.startswith("votable"):
        table = votable(response).get_first_table().to_table()
        ids = [str(value) for value in table["obs_id"]]
    else:
        separator = "," if form == "csv" else "\t"
        ids = [line.split(separator)[0] for line in response.text.splitlines()[1:]]
    assert len(ids) == service.products
    assert ids == sorted(ids)


def test_media_types_come_back_as_asked(service: Service) -> None:
    for asked in ("text/xml", "application/x-votable+xml;serialization=TABLEDATA", "text/csv"):
        response = get(
            service, QUERY="SELECT TOP 1 obs_id FROM ivoa.obscore", LANG="ADQL", RESPONSEFORMAT=asked
        )
        assert response.headers["Content-Type"] == asked


@pytest.mark.parametrize(
    ("limits", "rows", "overflow"),
    [
        ({"MAXREC": 3}, 3, True),
        ({"MAXREC": 0}, 0, True),
        ({"maxrec": "3", "TOP": 5}, 3, True),
        ({"MAXREC": 100_000}, None, False),
    ],
)
def test_maxrec_and_overflow(service: Service, limits: dict, rows: int | None, overflow: bool) -> None:
    for form in ("votable/td", "votable/b2"):
        document = votable(get(service, QUERY=OBSCORE, LANG="ADQL", RESPONSEFORMAT=form, **limits))
        assert len(document.get_first_table().array) == (service.products if rows is None else rows)
        assert ("OVERFLOW" in statuses(document)) is overflow


def test_top_below_maxrec_is_no_overflow(service: Service) -> None:
    document = votable(get(service, QUERY="SELECT TOP 2 obs_id FROM ivoa.obscore", LANG="ADQL", MAXREC=2))
    assert statuses(document) == ["OK"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "QUERY"),
        ({"QUERY": "SELECT s_raa FROM ivoa.obscore"}, "did you mean s_ra"),
        ({"QUERY": "SELECT s_raa FROM ivoa.obscore"}, "Line 1, column 8"),
        ({"QUERY": "SELECT * FROM nowhere"}, "nowhere"),
        ({"QUERY": "SELEKT 1"}, "SELEKT"),
        ({"QUERY": OBSCORE, "LANG": "SQL"}, "LANG"),
        ({"QUERY": OBSCORE, "MAXREC": "-1"}, "MAXREC"),
        ({"QUERY": OBSCORE, "MAXREC": "many"}, "MAXREC"),
        ({"QUERY": OBSCORE, "RESPONSEFORMAT": "papyrus"}, "papyrus"),
        ({"QUERY": "SELECT 1/(calib_level-calib_level) AS x FROM ivoa.obscore"}, "divides by zero"),
        ({"QUERY": "SELECT * FROM archive.users"}, "archive.users"),
    ],
)
def test_errors_are_votables_that_say_what_is_wrong(service: Service, parameters: dict, message: str) -> None:
    response = get(service, **{"LANG": "ADQL", **parameters})
    assert response.status_code == 400
    document = votable(response)
    assert statuses(document) == ["ERROR"]
    info = next(info for info in document.resources[0].infos if info.name == "QUERY_STATUS")
    assert message in info.content


def test_post_form_and_multipart(service: Service) -> None:
    fields = {"lang": "ADQL", "query": "SELECT TOP 1 obs_id FROM ivoa.obscore", "Format": "csv"}
    url = f"{service.url}/tap/sync"
    form = requests.post(url, data=fields, timeout=60, allow_redirects=False)
    multipart = requests.post(url, files={k: (None, v) for k, v in fields.items()}, timeout=60)
    assert form.status_code == multipart.status_code == 200
    assert form.text == multipart.text
    assert form.text.startswith("obs_id\n")


def test_head_and_cross_origin(service: Service) -> None:
    url = f"{service.url}/tap/capabilities"
    assert requests.head(url, timeout=60).status_code == 200
    response = requests.get(url, headers={"Origin": "https://example.org"}, timeout=60)
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("header", "coding"), [({"Accept-Encoding": None}, None), ({"Accept-Encoding": "gzip"}, "gzip")]
)
def test_nothing_is_compressed_unasked(service: Service, header: dict, coding: str | None) -> None:
    response = requests.get(
        f"{service.url}/tap/sync", params={"QUERY": OBSCORE, "LANG": "ADQL"}, headers=header, timeout=30
    )
    assert response.headers.get("Content-Encoding") == coding
    assert len(votable(response).get_first_table().array) == service.products


def test_cone_agrees_with_the_sphere(tap: pyvo.dal.TAPService) -> None:
    """CONTAINS and DISTANCE give what a haversine of every position gives."""
    everything = tap.search("SELECT obs_id, s_ra, s_dec FROM ivoa.obscore WHERE s_ra IS NOT NULL").to_table()
    ra, dec = everything["s_ra"][0], everything["s_dec"][0]

    def distance(row: object) -> float:
        a, b = math.radians(dec), math.radians(row["s_dec"])
        h = math.sin((b - a) / 2) ** 2
        h += math.cos(a) * math.cos(b) * math.sin(math.radians(row["s_ra"] - ra) / 2) ** 2
        return math.degrees(2 * math.asin(math.sqrt(h)))

    expected = {str(row["obs_id"]) for row in everything if distance(row) < 2}
    for condition in (
        f"CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {ra}, {dec}, 2)) = 1",
        f"DISTANCE(POINT(s_ra, s_dec), POINT({ra}, {dec})) < 2",
    ):
        found = tap.search(f"SELECT obs_id FROM ivoa.obscore WHERE {condition}").to_table()
        assert {str(value) for value in found["obs_id"]} == expected


def test_a_geometry_that_cannot_be_is_the_queries_fault(service: Service) -> None:
    circle = "CIRCLE(1, 1, 80 + calib_level * 20)"
    query = f"SELECT TOP 1 obs_id FROM ivoa.obscore WHERE 1 = CONTAINS(POINT(1, 1), {circle})"
    response = get(service, QUERY=query, LANG="ADQL")
    assert response.status_code == 400
    assert "radius must" in response.text
