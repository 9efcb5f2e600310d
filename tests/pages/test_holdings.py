"""How much there is: the numbers of each caller, and where on the sky."""

from __future__ import annotations

import re
import time
from typing import Any

import requests

from tests.blues import PASSWORD, Blues
from tests.conftest import Service, execute


def holdings(service: Service, user: str | None = None, path: str = "") -> dict[str, Any]:
    auth = (user, PASSWORD) if user else None
    answer = requests.get(f"{service.url}/api/v1/holdings{path}", auth=auth, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_numbers_are_those_of_queries(service: Service) -> None:
    found = holdings(service)
    rows = requests.get(
        f"{service.url}/tap/sync",
        params={
            "LANG": "ADQL",
            "FORMAT": "json",
            "QUERY": "SELECT instrument_name, COUNT(*), SUM(file_size) FROM ost.products"
            " GROUP BY instrument_name",
        },
        timeout=60,
    ).json()["data"]
    assert found["files"] == sum(row[1] for row in rows) == service.products
    assert found["size"] == sum(row[2] for row in rows)
    assert {(g["value"], g["files"], g["size"]) for g in found["groups"]["instrument"]} == {
        tuple(row) for row in rows
    }
    for name in ("format", "filter", "kind", "calib_level", "position", "month"):
        assert sum(group["files"] for group in found["groups"][name]) == service.products
    assert found["runs"] == len(requests.get(f"{service.url}/api/v1/runs", timeout=60).json()["runs"])


def test_nothing_hidden_is_counted(blues: Blues) -> None:
    service = blues.service
    dsn = service.settings.dsn("postgres")
    everybodys = holdings(service)["files"]
    assert holdings(service, "bob")["files"] == everybodys + 4
    assert holdings(service, "eve")["files"] == everybodys
    execute(dsn, "UPDATE archive.products SET privileges = 3 WHERE path = 'blues/raw1'")
    assert holdings(service, "eve")["files"] == everybodys + 1
    assert holdings(service)["files"] == everybodys
    execute(dsn, "UPDATE archive.products SET privileges = 1 WHERE path = 'blues/raw1'")
    assert holdings(service, "eve")["files"] == everybodys


def test_nothing_hidden_is_on_the_map(blues: Blues) -> None:
    service = blues.service
    before = holdings(service, path="/sky")
    execute(
        service.settings.dsn("postgres"),
        "UPDATE archive.products SET s_ra = 200, s_dec = -60 WHERE path = 'blues/raw1'",
    )
    assert holdings(service, path="/sky") == before
    mine = holdings(service, "bob", "/sky")
    assert mine["order"] == before["order"]
    (further,) = {tuple(cell) for cell in mine["cells"]} - {tuple(cell) for cell in before["cells"]}
    assert further[1] == 1


def test_overview_shows_the_numbers_of_the_caller(blues: Blues) -> None:
    url = f"{blues.service.url}/overview"
    everybodys = requests.get(url, timeout=60).text
    mine = requests.get(url, auth=("bob", PASSWORD), timeout=60).text
    files = blues.service.products
    assert f"<dd>{files}</dd>" in everybodys
    assert f"<dd>{files + 4}</dd>" in mine
    assert everybodys.count("<svg") > 2


def test_earlier_numbers_are_shown_until_somebody_sees_less(blues: Blues) -> None:
    service = blues.service
    dsn = service.settings.dsn("postgres")

    def shown() -> tuple[int, bool]:
        page = requests.get(f"{service.url}/overview", auth=("eve", PASSWORD), timeout=60).text
        return int(re.findall(r"<dd>(\d+)</dd>", page)[0]), "Counted at" not in page

    execute(dsn, "UPDATE archive.products SET privileges = 3 WHERE path LIKE 'blues/%%'")
    before = service.products + 4
    assert shown() == (before, True)
    # More to see: what was counted stands until it is counted again.
    execute(
        dsn,
        "INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id,"
        " calib_level, obs_id, obs_publisher_did, creator_id, project_id, privileges)"
        " SELECT 'blues/new', 0, sha256('y'),"
        " now(), 'image/fits', run_id, 1, 'blues new', %s, creator_id, project_id, 3 FROM archive.products"
        " WHERE path = 'blues/raw1'",
        blues.did("new"),
    )
    assert shown() in {(before, False), (before + 1, True)}
    deadline = time.monotonic() + 60
    while (found := shown()) != (before + 1, True):
        assert found == (before, False)
        assert time.monotonic() < deadline
    # Less to see: not one answer tells of what was there.
    execute(dsn, "UPDATE archive.products SET privileges = 1 WHERE path = 'blues/raw1'")
    assert {shown() for _ in range(4)} == {(before, True)}
    execute(dsn, "DELETE FROM archive.products WHERE path = 'blues/new'")
    assert {shown() for _ in range(4)} == {(before - 1, True)}
    # Another caller is told nothing of what was counted for this one.
    mine = requests.get(f"{service.url}/overview", auth=("bob", PASSWORD), timeout=60).text
    assert f"<dd>{before}</dd>" in mine
