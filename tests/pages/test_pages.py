"""The pages, as a browser gets them: what they show, in which language, to whom, and what their forms do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape
from io import BytesIO
from urllib.parse import urlencode

import pytest
import requests
from astropy.io.votable import parse_single_table

from tests.blues import PASSWORD, Blues
from tests.conftest import Service, execute

PAGES = (
    "/",
    "/overview",
    "/runs",
    "/targets",
    "/darks",
    "/darks?exposure_type=dark",
    "/query",
    "/login",
    "/search?q=M+31",
    "/search?q=10.68+41.27",
)
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


def get(service: Service, path: str, **headers: str) -> requests.Response:
    return requests.get(service.url + path, headers={"Accept": "text/html", **headers}, timeout=60)


@pytest.fixture
def session(blues: Blues) -> Iterator[requests.Session]:
    """A browser that bob has logged in with."""
    with requests.Session() as browser:
        browser.headers["Accept"] = "text/html"
        answer = browser.post(
            f"{blues.service.url}/login", data={"username": "bob", "password": PASSWORD}, timeout=60
        )
        assert answer.status_code == 200
        yield browser


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_nothing_from_elsewhere(service: Service, path: str) -> None:
    answer = get(service, path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    addresses = re.findall(r'(?:src|href|action)="(https?://[^"]*)"', answer.text)
    assert all(address.startswith(service.url) for address in addresses)
    # What the policy would stop.
    assert not re.search(r"<style|style=|<script(?! src=)|\son\w+=", answer.text)


def test_first_page_shows_the_latest_night(service: Service) -> None:
    runs = requests.get(f"{service.url}/api/v1/runs", timeout=60).json()["runs"]
    assert f"/runs/{runs[0]['name']}" in get(service, "/").text


def test_night_shows_its_files_and_narrows_them(service: Service) -> None:
    run = max(requests.get(f"{service.url}/api/v1/runs", timeout=60).json()["runs"], key=lambda r: r["files"])
    every = get(service, f"/runs/{run['name']}").text
    assert every.count("/product?ID=") == run["files"]
    darks = get(service, f"/runs/{run['name']}?exposure_type=dark").text
    answer = requests.get(
        f"{service.url}/api/v1/runs/{run['name']}/files", params={"exposure_type": "dark"}, timeout=60
    )
    assert darks.count("/product?ID=") == len(answer.json()["files"]) > 0


def test_product_shows_facts_header_and_links(service: Service) -> None:
    did = requests.get(f"{service.url}/api/v1/products?limit=1", timeout=60).json()["products"][0]
    page = unescape(get(service, f"/product?{urlencode({'ID': did['obs_publisher_did']})}").text)
    assert did["path"].rsplit("/", 1)[-1] in page
    assert "SIMPLE" in page
    assert f"/datalink/links?{urlencode({'ID': did['obs_publisher_did']})}" in page


def test_a_product_has_the_links_of_datalink_in_words(service: Service) -> None:
    query = (
        "SELECT obs_publisher_did FROM ost.products"
        " WHERE exposure_type = 'light' AND instrument_name LIKE 'SBIG%' AND t_exptime = 60"
    )
    asked = {"LANG": "ADQL", "FORMAT": "json", "QUERY": query}
    found = requests.get(f"{service.url}/tap/sync", params=asked, timeout=60).json()["data"]
    identifier = {"ID": found[0][0]}
    answer = requests.get(f"{service.url}/datalink/links", params=identifier, timeout=60)
    rows = parse_single_table(BytesIO(answer.content)).to_table()
    page = get(service, f"/product?{urlencode(identifier)}", **{"Accept-Language": "de"}).text
    table = page[page.index('class="rows links"') :].partition("</table>")[0]
    assert unescape(table).count("<tr><td>") == len(rows)
    for row in rows:
        assert not row["access_url"] or f'href="{escape(row["access_url"])}"' in table
        assert row["description"] in unescape(table)
    for semantics, words in {"#this": "Die Datei", "#dark": "Passende Dunkelbilder"}.items():
        assert semantics in rows["semantics"]
        assert words in table


def test_darks_for_a_frame_are_those_of_its_camera(service: Service) -> None:
    lights = requests.get(
        f"{service.url}/tap/sync",
        params={
            "LANG": "ADQL",
            "FORMAT": "json",
            "QUERY": "SELECT obs_publisher_did, instrument_name FROM ost.products"
            " WHERE exposure_type = 'light' AND instrument_name LIKE 'SBIG%' AND t_exptime = 60",
        },
        timeout=60,
    ).json()["data"]
    did, camera = lights[0]
    page = unescape(get(service, f"/darks?{urlencode({'ID': did})}").text)
    assert "<td>dark</td>" in page
    assert set(re.findall(r"<td>((?:SBIG|QHY|ZWO)[^<]*)</td>", page)) == {camera}


def test_darks_by_values_that_are_none(service: Service) -> None:
    answer = get(service, "/darks?t_exptime=long")
    assert answer.status_code == 400
    assert "t_exptime" in answer.text


@pytest.mark.parametrize("path", ["/product?ID=ivo://x/archive?1", "/runs/nowhere", "/targets/nothing"])
def test_what_is_not_there_is_a_page_that_says_so(service: Service, path: str) -> None:
    answer = get(service, path)
    assert answer.status_code == 404
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.6847 41.2690", True),
        ("00:42:44.3 +41:16:09", True),
        ("0h42m44s +41d16m09s r=10'", True),
        ("10.6847 41.2690 r=200", False),
        ("2026-11", None),
        ("2026-11-22", None),
        ("10.6847+41.2690", True),
        ("cone 10.6847 41.2690 0.2", True),
        ("Circle(00:42:44.3, +41:16:09, 10')", True),
        ("cone 10.6847 95 0.2", False),
        ("Cone Nebula", None),
    ],
    ids=[
        *("degrees", "colons", "letters", "radius", "month", "night", "sign"),
        *("cone", "circle", "no cone", "nebula"),
    ],
)
def test_search_understands_places(service: Service, text: str, found: bool | None) -> None:
    answer = get(service, f"/search?{urlencode({'q': text})}")
    assert answer.status_code == (400 if found is False else 200)
    assert ("ICRS" in answer.text) == (found is True)


def test_all_files_of_a_target_that_was_found_are_a_query(service: Service) -> None:
    page = unescape(get(service, "/search?q=M+45").text)
    query = "SELECT * FROM ost.products WHERE target_name = 'M 45' ORDER BY t_min"
    assert query in page


def test_language_is_the_browsers_or_the_chosen(service: Service) -> None:
    assert "Letzte Nächte" in get(service, "/", **{"Accept-Language": "de-DE,en;q=0.5"}).text
    with requests.Session() as browser:
        chosen = browser.post(f"{service.url}/language", data={"language": "de", "back": "/runs"}, timeout=60)
        assert chosen.url == f"{service.url}/runs"
        assert "Nächte" in chosen.text


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_forms_lead_back_to_this_archive_alone(service: Service, back: str) -> None:
    answer = requests.post(
        f"{service.url}/language", data={"language": "en", "back": back}, allow_redirects=False, timeout=60
    )
    assert answer.headers["Location"] == f"{service.url}/"


def test_login_shows_more_and_the_context(blues: Blues, session: requests.Session) -> None:
    page = f"{blues.service.url}/runs/blues"
    assert requests.get(page, timeout=60).status_code == 404
    mine = session.get(page, timeout=60)
    assert mine.text.count("/product?ID=") == 4
    narrowed = session.post(
        f"{blues.service.url}/account/context",
        data={"project": "BLUES", "privileges": "2", "back": "/runs/blues"},
        timeout=60,
    )
    # All are at level 1.
    assert narrowed.status_code == 404
    assert "<option selected>BLUES</option>" in narrowed.text


def test_publishing_from_the_page(blues: Blues, session: requests.Session) -> None:
    form = {"ID": blues.did("raw1"), "privileges": "2", "reason": "it is good"}
    answer = session.post(f"{blues.service.url}/product/publish", data=form, timeout=60)
    assert answer.status_code == 200
    assert blues.levels()["raw1"] == 2
    refused = session.post(f"{blues.service.url}/product/publish", data=form, timeout=60)
    assert 'role="alert"' in refused.text or refused.status_code == 200
    assert blues.levels()["raw1"] == 2


def test_invalidating_and_deleting_from_the_page(blues: Blues, session: requests.Session) -> None:
    form = {"ID": blues.did("other"), "is_valid": "0"}
    page = session.post(f"{blues.service.url}/product/validity", data=form, timeout=60).text
    assert "declared invalid" in page
    session.post(f"{blues.service.url}/product/delete", data={"ID": blues.did("other")}, timeout=60)
    assert "other" not in blues.levels()


@pytest.mark.parametrize("path", ["publish", "validity", "delete"])
def test_nobody_changes_a_product_without_a_login(blues: Blues, path: str) -> None:
    before = blues.levels()
    form = {"ID": blues.did("raw1"), "privileges": "5", "is_valid": "0"}
    answer = requests.post(f"{blues.service.url}/product/{path}", data=form, timeout=60)
    assert answer.status_code == 401
    assert blues.levels() == before


def test_page_of_another_site_changes_nothing(blues: Blues, session: requests.Session) -> None:
    answer = session.post(
        f"{blues.service.url}/product/publish",
        data={"ID": blues.did("raw1"), "privileges": "2"},
        headers={"Origin": "https://evil.example"},
        timeout=60,
    )
    assert answer.status_code == 403
    assert blues.levels()["raw1"] == 1


def test_tokens_are_made_shown_once_and_revoked(blues: Blues, session: requests.Session) -> None:
    url = f"{blues.service.url}/account"
    made = session.post(f"{url}/tokens", data={"name": "laptop", "scope": "read", "days": "3"}, timeout=60)
    secret = re.search(r"<pre>([^<]+)</pre>", made.text)[1]
    me = {"Authorization": f"Bearer {secret}"}
    assert requests.get(f"{blues.service.url}/api/v1/me", headers=me, timeout=60).json()["name"] == "bob"
    assert secret not in session.get(url, timeout=60).text
    session.post(f"{url}/tokens/revoke", data={"name": "laptop"}, timeout=60)
    assert requests.get(f"{blues.service.url}/api/v1/me", headers=me, timeout=60).status_code == 401


def test_hostile_words_stay_words(blues: Blues, session: requests.Session) -> None:
    dsn = blues.service.settings.dsn("postgres")
    execute(
        dsn,
        "UPDATE archive.products SET filter_name = %s, instrument_name = %s, observer = %s, software = %s"
        " WHERE path = 'blues/raw1'",
        *[HOSTILE] * 4,
    )
    pages = (
        "/runs/blues",
        f"/product?{urlencode({'ID': blues.did('raw1')})}",
        f"/search?{urlencode({'q': HOSTILE})}",
    )
    for path in pages:
        text = session.get(blues.service.url + path, timeout=60).text
        assert "<script>alert" not in text
        assert "alert(1)" in text
        assert "{{7*7}}" in unescape(text)
