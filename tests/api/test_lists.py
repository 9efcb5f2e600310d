"""Lists show what the views show, in their order: their keys are picked from the tables."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
import requests

from tests.blues import PASSWORD, Blues

# Parameters of the list to the same in ADQL.
CONDITIONS = {
    "": "1 = 1",
    "project=OST": "project = 'OST'",
    "creator=bob": "creator = 'bob'",
    "run=20260214": "run_name = '20260214'",
    "run=blues&privileges=1": "run_name = 'blues' AND \"privileges\" = 1",
    "is_valid=true": "is_valid = 1",
    "is_valid=false": "is_valid = 0",
    "data_rights=public": "data_rights = 'public'",
    "data_rights=proprietary": "data_rights = 'proprietary'",
    "exposure_type=dark&calib_level=1": "exposure_type = 'dark' AND calib_level = 1",
    "target_name=M 45": "target_name = 'M 45'",
    "t_exptime_min=30&t_exptime_max=60": "t_exptime BETWEEN 30 AND 60",
    "t_min=61086&t_max=61086.8": "t_max >= 61086 AND t_min <= 61086.8",
    "s_ra=56.75&s_dec=24.12&radius=5": "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(56.75, 24.12, 5))",
}
CALLERS = (None, "bob", "anna", "eve")

Ask = Callable[[str | None, str], requests.Response]
_CHOSEN = re.compile(r'name="ID" value="([^"]+)"')
_AS_CSV = re.compile(r'href="([^"]*/tap/sync\?[^"]*FORMAT=csv[^"]*)"')


@pytest.fixture
def ask(blues: Blues) -> Ask:
    """Ask the archive for a path as a user, or as nobody."""

    def asked(user: str | None, path: str) -> requests.Response:
        login = (user, PASSWORD) if user else None
        answer = requests.get(f"{blues.service.url}/{path}", auth=login, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer

    return asked


def rows(ask: Ask, user: str | None, query: str) -> list[list[str]]:
    """Return the rows of a query."""
    answer = ask(user, f"tap/sync?LANG=ADQL&FORMAT=csv&QUERY={quote(query)}")
    return list(csv.reader(io.StringIO(answer.text)))[1:]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_products_are_those_of_the_view(ask: Ask, condition: str) -> None:
    for user in CALLERS:
        query = f"SELECT obs_publisher_did FROM ost.products WHERE {CONDITIONS[condition]}"
        listed, cursor = [], ""
        while cursor is not None:
            page = ask(user, f"api/v1/products?limit=7&{condition}{cursor}").json()
            listed += [row["obs_publisher_did"] for row in page["products"]]
            cursor = f"&cursor={quote(page['next'])}" if page["next"] else None
        assert listed == sorted(row[0] for row in rows(ask, user, query)), user


@pytest.mark.parametrize("text", ["", "2026", "BLU", "02-14", "nothing"])
def test_runs_are_those_of_the_view(ask: Ask, text: str) -> None:
    for user in CALLERS:
        seen = rows(ask, user, "SELECT run_name, night FROM ost.runs")
        wanted = [(night, name) for name, night in seen if text.lower() in name.lower() or text in night]
        listed, cursor = [], ""
        while cursor is not None:
            page = ask(user, f"api/v1/runs?limit=1&text={text}{cursor}").json()
            listed += [(run["night"] or "", run["name"]) for run in page["runs"]]
            cursor = f"&cursor={quote(page['next'])}" if page["next"] else None
        assert listed == sorted(wanted, reverse=True), user


def test_what_a_run_comes_to_is_that_of_its_files(ask: Ask) -> None:
    columns = "file_size, t_min, t_max, exposure_type, t_exptime, target_name, instrument_name"
    for run in ask("bob", "api/v1/runs").json()["runs"]:
        files = rows(ask, "bob", f"SELECT {columns} FROM ost.products WHERE run_name = '{run['name']}'")
        sizes, starts, ends, kinds, exposures, targets, instruments = zip(*files, strict=True)
        light = (float(e) for kind, e in zip(kinds, exposures, strict=True) if kind == "light" and e)
        assert (run["files"], run["size"]) == (len(files), sum(map(int, sizes)))
        assert run["t_min"] == min(map(float, filter(None, starts)), default=None)
        assert run["t_max"] == max(map(float, filter(None, ends)), default=None)
        assert run["light_seconds"] == pytest.approx(sum(light))
        assert run["targets"] == sorted({name for name in targets if name})
        assert run["instruments"] == sorted({name for name in instruments if name})


@pytest.mark.parametrize("asked", ["exposure_type=dark", "exposure_type=flat&filter_name=V", "t_exptime=60"])
def test_calibration_frames_are_those_of_the_query_that_the_page_offers(ask: Ask, asked: str) -> None:
    page = ask("bob", f"darks?{asked}").text
    shown = _CHOSEN.findall(page)
    offered = _AS_CSV.search(page)
    assert bool(offered) == bool(shown)
    if offered:
        found = requests.get(html.unescape(offered[1]), auth=("bob", PASSWORD), timeout=60).text
        listed = csv.DictReader(io.StringIO(found))
        assert sorted(shown) == sorted(row["obs_publisher_did"] for row in listed)
    assert shown or "filter_name" in asked
