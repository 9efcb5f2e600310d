"""Image searches over HTTP, on the demo night and a few rows that try the rules."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg2
import pytest
import pyvo
import requests
from astropy.io.votable import parse
from astropy.io.votable.tree import VOTableFile
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from ost_vo.store.observations import FEW
from ost_vo.vo.votable import DATALINK_CONTENT_TYPE
from tests.conftest import Service

SEARCH_PARAMETERS = {
    *("POS", "BAND", "TIME", "POL", "FOV", "SPATRES", "SPECRP", "EXPTIME", "TIMERES"),
    *("ID", "COLLECTION", "FACILITY", "INSTRUMENT", "DPTYPE", "CALIB", "TARGET", "FORMAT"),
}

# Rows far from the demo night: path, then the columns that matter for a search.
ROWS: dict[str, dict[str, Any]] = {
    "full": {
        "s_ra": 200.0, "s_dec": -60.0, "s_fov": 1.5, "s_resolution": 2.0, "t_min": 40000.0, "t_max": 40000.5,
        "t_exptime": 77.0, "t_resolution": 7.0, "em_min": 2e-4, "em_max": 3e-4, "em_res_power": 4321.0,
        "pol_states": "/I/Q/", "calib_level": 3, "target_name": "Ünïcode's \\ target",
        "instrument_name": "Probe", "dataproduct_type": "cube",
        "s_region": "Polygon ICRS 199 -61 201 -61 201 -59 199 -59",
        "region": "{(199d,-61d),(201d,-61d),(201d,-59d),(199d,-59d)}",
    },
    "position": {"s_ra": 200.0, "s_dec": -60.0, "target_name": "probe"},
    "nothing": {"target_name": "probe"},
    "spectrum": {"s_ra": 200.0, "s_dec": -60.0, "dataproduct_type": "spectrum"},
    "private": {"s_ra": 200.0, "s_dec": -60.0, "privileges": 4},
    "invalid": {"s_ra": 200.0, "s_dec": -60.0, "is_valid": False},
    "lost": {"s_ra": 200.0, "s_dec": -60.0, "missing_since": "2026-01-01"},
}  # fmt: skip
# More at one place than are searched for at first.
CROWD = FEW + 20
ROWS |= {
    f"crowd-{number}": {"s_ra": 150.0, "s_dec": -80.0, "facility_name": "Crowd"} for number in range(CROWD)
}
DEFAULTS = {"dataproduct_type": "image", "calib_level": 1, "privileges": 5, "facility_name": "Elsewhere"}


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    """The search's URL, while the rows above are in the archive."""
    connection = psycopg2.connect(service.settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        for name, values in ROWS.items():
            row = {**DEFAULTS, **values, "path": f"sia-test/{name}.fits", "obs_id": f"sia-test/{name}"}
            row["obs_publisher_did"] = f"ivo://{service.settings.authority}/archive?sia-{name}"
            _insert(cursor, row)
    yield f"{service.url}/sia/query"
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM archive.products WHERE path LIKE 'sia-test/%'")
    connection.close()


def _insert(cursor: Cursor, row: dict[str, Any]) -> None:
    """Insert a product with what it needs besides taken from one of the demo night."""
    statement = sql.SQL(
        "INSERT INTO archive.products ({}, file_size, sha256, file_modified, media_type, run_id, project_id, "
        "creator_id) SELECT {}, 1000, sha256(''), now(), 'image/fits', run_id, project_id, creator_id "
        "FROM archive.products ORDER BY product_id LIMIT 1"
    )
    names = sql.SQL(", ").join(map(sql.Identifier, row))
    cursor.execute(
        statement.format(names, sql.SQL(", ").join(sql.Placeholder() * len(row))), list(row.values())
    )


def ask(url: str, **parameters: object) -> VOTableFile:
    response = requests.get(url, params=parameters, timeout=60)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return parse(io.BytesIO(response.content), verify="exception")


def found(url: str, **parameters: object) -> set[str]:
    """Return which of the rows above a search finds, and how often others as ``other``."""
    rows = ask(url, **{"MAXREC": 10000, **parameters}).get_first_table().array
    names = [str(name) for name in rows["obs_id"]]
    return {name.removeprefix("sia-test/") if name.startswith("sia-test/") else "other" for name in names}


def test_only_valid_published_images_and_cubes_are_found(url: str) -> None:
    assert found(url, FACILITY="Elsewhere") == {"full", "position", "nothing"}


def test_without_parameters_everything_is_found(url: str, service: Service) -> None:
    rows = ask(url).get_first_table().array
    assert 0 < len(rows) <= service.products + 3 + CROWD
    assert set(rows["dataproduct_type"]) == {"image", "cube"}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"POS": "CIRCLE 200 -60 0.1"}, {"full", "position"}),
        ({"POS": "CIRCLE 201.1 -60 0.2"}, {"full"}),
        ({"POS": "CIRCLE 203 -60 0.2"}, set()),
        ({"POS": ["CIRCLE 203 -60 0.2", "RANGE 199.9 200.1 -60.1 -59.9"]}, {"full", "position"}),
        ({"POS": "RANGE 200.5 202 -60.1 -59.9"}, {"full"}),
        ({"POS": "POLYGON 200.5 -60 202 -60 202 -59.5 200.5 -59.5"}, {"full"}),
        ({"POS": "POLYGON 200.5 -59.5 202 -59.5 202 -60 200.5 -60"}, {"full"}),
        ({"POS": "CIRCLE 20 60 179"}, {"full"}),
        ({"POS": "RANGE -Inf +Inf -Inf +Inf"}, {"full", "position"}),
        ({"BAND": "2.5e-4"}, {"full"}),
        ({"BAND": "-Inf 2e-4"}, {"full"}),
        ({"BAND": "3.1e-4 +Inf"}, set()),
        ({"BAND": "-Inf +Inf"}, {"full"}),
        ({"TIME": "40000.25"}, {"full"}),
        ({"TIME": "40000.5 40001"}, {"full"}),
        ({"TIME": ["30000 30001", "39999 40000.1"]}, {"full"}),
        ({"TIME": "40000.6 40001"}, set()),
        ({"POL": "Q"}, {"full"}),
        ({"POL": ["V", "I"]}, {"full"}),
        ({"POL": "V"}, set()),
        ({"FOV": "1 2"}, {"full"}),
        ({"FOV": "1.5"}, {"full"}),
        ({"FOV": "1.6 +Inf"}, set()),
        ({"SPATRES": "-Inf 2"}, {"full"}),
        ({"SPECRP": "4000 5000"}, {"full"}),
        ({"EXPTIME": "77"}, {"full"}),
        ({"EXPTIME": "-Inf +Inf"}, {"full"}),
        ({"TIMERES": "6 8"}, {"full"}),
        ({"INSTRUMENT": "Probe"}, {"full"}),
        ({"INSTRUMENT": "probe"}, set()),
        ({"TARGET": "probe"}, {"position", "nothing"}),
        ({"TARGET": "Ünïcode's \\ target"}, {"full"}),
        ({"TARGET": "probe' OR '1'='1"}, set()),
        ({"DPTYPE": "cube"}, {"full"}),
        ({"DPTYPE": ["cube", "image"]}, {"full", "position", "nothing"}),
        ({"DPTYPE": "spectrum"}, set()),
        ({"CALIB": 3}, {"full"}),
        ({"CALIB": [1, 3]}, {"full", "position", "nothing"}),
        ({"FORMAT": DATALINK_CONTENT_TYPE}, {"full", "position", "nothing"}),
        ({"FORMAT": "image/fits"}, set()),
        ({"pos": "CIRCLE 200 -60 0.1", "Dptype": "cube"}, {"full"}),
        ({"POS": "CIRCLE 200 -60 0.1", "BAND": "1"}, set()),
        ({"POS": "", "UNKNOWN": "x"}, {"full", "position", "nothing"}),
    ],
)
def test_parameters_restrict(url: str, parameters: dict[str, object], expected: set[str]) -> None:
    assert found(url, FACILITY="Elsewhere", **parameters) == expected


def test_identifiers_have_no_case_in_their_registry_part(url: str, service: Service) -> None:
    identifier = f"ivo://{service.settings.authority}/archive?sia-full"
    assert found(url, ID=identifier) == {"full"}
    assert found(url, ID=identifier.replace("ivo://ost", "IVO://OST").replace("archive", "Archive")) == {
        "full"
    }
    assert found(url, ID=[identifier, "ivo://elsewhere/x?1"]) == {"full"}


def test_post_asks_the_same(url: str) -> None:
    response = requests.post(url, data={"FACILITY": "Elsewhere", "DPTYPE": "cube"}, timeout=60)
    rows = parse(io.BytesIO(response.content)).get_first_table().array
    assert list(rows["obs_id"]) == ["sia-test/full"]


def test_columns_are_those_of_obscore(url: str, service: Service) -> None:
    described = requests.get(
        f"{service.url}/tap/sync",
        params={"LANG": "ADQL", "QUERY": "SELECT * FROM ivoa.obscore WHERE obs_id = 'sia-test/full'"},
        timeout=60,
    )
    expected = parse(io.BytesIO(described.content)).get_first_table()
    table = ask(url, FACILITY="Elsewhere", DPTYPE="cube").get_first_table()
    keys = ("name", "datatype", "arraysize", "unit", "ucd", "utype", "xtype", "description")
    assert [[getattr(field, key) for key in keys] for field in table.fields] == [
        [getattr(field, key) for key in keys] for field in expected.fields
    ]
    assert [str(value) for value in table.array[0]] == [str(value) for value in expected.array[0]]


@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/b2", "application/x-votable+xml"])
def test_serialisations_hold_the_same(url: str, form: str) -> None:
    table = ask(url, TARGET="Ünïcode's \\ target", RESPONSEFORMAT=form).get_first_table()
    assert table.array["target_name"][0] == "Ünïcode's \\ target"
    assert table.array["em_min"][0] == 2e-4


def test_more_rows_than_wanted_overflow(url: str) -> None:
    response = requests.get(url, params={"FACILITY": "Elsewhere", "MAXREC": "2"}, timeout=60)
    assert len(parse(io.BytesIO(response.content)).get_first_table().array) == 2
    assert 'value="OVERFLOW"' in response.text
    exact = requests.get(url, params={"FACILITY": "Elsewhere", "MAXREC": "3"}, timeout=60)
    assert 'value="OVERFLOW"' not in exact.text


@pytest.mark.parametrize("form", ["csv", "votable/td", "votable/b2"])
@pytest.mark.parametrize("limit", [1, FEW - 1, FEW, FEW + 1, CROWD - 1, CROWD])
def test_a_cone_is_answered_as_any_search(url: str, form: str, limit: int) -> None:
    parameters = {"POS": "CIRCLE 150 -80 0.01", "MAXREC": str(limit), "RESPONSEFORMAT": form}
    # The second one restricts nothing; a cone alone is planned once, and then tried for its first rows.
    for more in ({}, {"DPTYPE": ["image", "cube"]}):
        response = requests.get(url, params={**parameters, **more}, timeout=60)
        if form == "csv":
            names = [row["obs_id"] for row in csv.DictReader(io.StringIO(response.text))]
        else:
            names = list(parse(io.BytesIO(response.content)).get_first_table().array["obs_id"])
            assert ('value="OVERFLOW"' in response.text) == (limit < CROWD)
        assert len(set(names)) == len(names) == limit
        assert all(name.startswith("sia-test/crowd-") for name in names)


@pytest.mark.parametrize(("place", "size"), [("200 -60 0.5", 2), ("20 60 0.5", 0), ("150 -80 1e-9", CROWD)])
def test_a_cone_finds_the_same_each_time(url: str, place: str, size: int) -> None:
    parameters = {"POS": f"CIRCLE {place}", "RESPONSEFORMAT": "csv"}
    answers = [requests.get(url, params=parameters, timeout=60).text for _ in range(3)]
    assert [len(list(csv.DictReader(io.StringIO(answer)))) for answer in answers] == [size] * 3


def test_no_rows_describe_the_service(url: str) -> None:
    document = ask(url, MAXREC=0, POS="CIRCLE 1 2 3")
    results = document.resources[0]
    assert results.type == "results"
    assert len(results.tables[0].array) == 0
    assert {f"INPUT:{name}" for name in SEARCH_PARAMETERS} <= {param.name for param in results.params}


def test_every_result_says_how_to_ask_and_where_the_links_are(url: str, service: Service) -> None:
    document = ask(url, TARGET="none such")
    described = {resource.name or resource.ID: resource for resource in document.resources[1:]}
    params = {param.name: param.value for param in described["this"].params}
    assert params["standardID"] == "ivo://ivoa.net/std/SIA#query-2.0"
    assert params["accessURL"] == url
    assert {param.name for param in described["this"].groups[0].entries} >= SEARCH_PARAMETERS
    links = {param.name: param.value for param in described["datalink"].params}
    assert links["accessURL"] == f"{service.url}/datalink/links"
    assert described["datalink"].groups[0].entries[0].ref == "obs_publisher_did"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"POS": "BOX 1 2 3"}, "known shape"),
        ({"POS": ["CIRCLE 1 2 3", "CIRCLE 1 2"]}, "3 numbers"),
        ({"POS": "POLYGON 0 0 2 2 2 0 0 2"}, "crosses itself"),
        ({"BAND": "-2"}, "BAND='-2' goes below 0"),
        ({"TIME": "2 1"}, "ends below its beginning"),
        ({"FOV": "wide"}, "not a number"),
        ({"POL": "X"}, "Values: I, Q"),
        ({"CALIB": "raw"}, "Values: 0, 1"),
        ({"TARGET": "a\0b"}, "NUL"),
        ({"MAXREC": "-1"}, "MAXREC"),
        ({"RESPONSEFORMAT": "jpeg"}, "There is no format"),
        ({"TARGET": [str(n) for n in range(501)]}, "more than 500"),
    ],
)
def test_faults_are_documents(url: str, parameters: dict[str, object], told: str) -> None:
    response = requests.post(url, data=parameters, timeout=60)
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("application/x-votable+xml")
    info = parse(io.BytesIO(response.content)).resources[0].infos[0]
    assert (info.name, info.value) == ("QUERY_STATUS", "ERROR")
    assert info.content.startswith("UsageFault: ")
    assert told in info.content


def test_many_alternatives_are_answered(url: str) -> None:
    circles = [f"CIRCLE {n * 0.3} {n * 0.05} 0.1" for n in range(500)]
    response = requests.post(url, data={"POS": [*circles[1:], "CIRCLE 200 -60 0.1"]}, timeout=60)
    names = parse(io.BytesIO(response.content)).get_first_table().array["obs_id"]
    assert {"sia-test/full", "sia-test/position"} <= set(names)


def test_pyvo_finds_and_reads(url: str) -> None:
    archive = pyvo.dal.SIA2Service(url.removesuffix("/query"))
    results = archive.search(pos=(200, -60, 0.1), band=(2e-4, 3e-4), facility=["Elsewhere"])
    assert [row["obs_id"] for row in results] == ["sia-test/full"]
    assert np.isclose(results[0]["t_exptime"], 77)
