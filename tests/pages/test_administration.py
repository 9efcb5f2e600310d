"""The pages of administration, tags and notes: each takes its permission, and does what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest
import requests

from ost_vo.services.administration import SECTIONS
from tests.blues import PASSWORD, Blues
from tests.conftest import execute


@pytest.fixture
def browsers(blues: Blues) -> Iterator[dict[str, requests.Session]]:
    """Browsers that root and bob have logged in with."""
    opened = {}
    for user in ("root", "bob"):
        browser = opened[user] = requests.Session()
        browser.headers["Accept"] = "text/html"
        login = {"username": user, "password": PASSWORD}
        assert browser.post(f"{blues.service.url}/login", data=login, timeout=60).status_code == 200
    yield opened
    for browser in opened.values():
        browser.close()
    execute(
        blues.service.settings.dsn("postgres"),
        "UPDATE archive.role_permissions SET is_granted = permission IN ('users_view', 'system_health_view')"
        " WHERE role = 'student'; DELETE FROM archive.banner; DELETE FROM archive.tags;"
        " UPDATE archive.runs SET note = '', reduction_status = 'not', photometry = false;"
        " DELETE FROM archive.users WHERE name = 'dora'",
    )


def post(
    blues: Blues, browser: requests.Session, path: str, form: dict[str, object], **headers: str
) -> requests.Response:
    return browser.post(f"{blues.service.url}/{path}", data=form, headers=headers, timeout=60)


def test_each_section_takes_its_permission(blues: Blues, browsers: dict[str, requests.Session]) -> None:
    url = f"{blues.service.url}/administration"
    for language, word in (("en", "Audit log"), ("de", "Protokoll")):
        page = browsers["root"].get(url, headers={"Accept-Language": language}, timeout=60)
        assert (page.status_code, word in page.text) == (200, True)
    for section in SECTIONS:
        shown = browsers["root"].get(f"{url}/{section}", timeout=60)
        assert shown.status_code == 200, shown.text
        assert not re.search(r"<style|<[^>]*\sstyle=|<script(?! src=)|<[^>]*\son\w+=", shown.text)
        refused = browsers["bob"].get(f"{url}/{section}", timeout=60)
        assert refused.status_code == (200 if section in ("health", "users") else 403)
        unknown = requests.get(f"{url}/{section}", allow_redirects=False, timeout=60)
        assert unknown.headers["Location"] == f"{blues.service.url}/login"
    links = re.findall(r'href="[^"]*/administration/(\w+)"', browsers["bob"].get(url, timeout=60).text)
    assert set(links) == {"health", "users"}
    assert browsers["root"].get(f"{url}/nothing", timeout=60).status_code == 404


ACTIONS = {
    "users/add": {"name": "dora", "role": "student"},
    "users/role": {"name": "eve", "role": "staff"},
    "users/active": {"name": "eve", "is_active": "0"},
    "users/delete": {"name": "eve"},
    "users/permission": {"role": "student", "permission": "runs_edit", "is_granted": "1"},
    "discrepancies/dismiss": {"ID": "ivo://x/y?1", "keyword": "K"},
    "discrepancies/override": {"ID": "ivo://x/y?1", "field": "exposure_type", "value": "dark"},
    "solving/again": {"ID": "ivo://x/y?1"},
    "targets/resolve": {},
    "maintenance/compare": {"rehearse": "1"},
    "maintenance/cleanup": {},
    "banner/put": {"message": "hello", "severity": "info"},
}


@pytest.mark.parametrize("action", ACTIONS)
def test_no_form_works_without_permission_or_from_another_site(
    blues: Blues, browsers: dict[str, requests.Session], action: str
) -> None:
    path, form = f"administration/{action}", ACTIONS[action]
    before = blues.rows("SELECT count(*), max(audit_id) FROM archive.audit")
    jobs = blues.rows("SELECT count(*) FROM archive.jobs WHERE kind = 'reconcile'")
    assert post(blues, browsers["bob"], path, form).status_code == 403
    assert requests.post(f"{blues.service.url}/{path}", data=form, timeout=60).status_code == 401
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert post(blues, browsers["root"], path, form, **headers).status_code == 403
    assert blues.rows("SELECT count(*), max(audit_id) FROM archive.audit") == before
    assert blues.rows("SELECT count(*) FROM archive.jobs WHERE kind = 'reconcile'") == jobs


def test_users_are_looked_after(blues: Blues, browsers: dict[str, requests.Session]) -> None:
    root = browsers["root"]
    form = {"name": "dora", "full_name": "Dora", "role": "student", "password": PASSWORD, "reason": "new"}
    assert "dora" in post(blues, root, "administration/users/add", form).text
    again = post(blues, root, "administration/users/add", form)
    assert (again.status_code, 'role="alert"' in again.text) == (409, True)
    post(blues, root, "administration/users/role", {"name": "dora", "role": "supervisor"})
    post(blues, root, "administration/users/active", {"name": "dora", "is_active": "0"})
    found = blues.rows("SELECT role, is_active FROM archive.users WHERE name = 'dora'")
    assert found == [("supervisor", False)]
    form = {"role": "student", "permission": "runs_edit", "is_granted": "1"}
    assert "runs_edit" in post(blues, root, "administration/users/permission", form).text
    assert browsers["bob"].get(f"{blues.service.url}/runs/blues", timeout=60).text.count('name="state"') == 1
    assert "dora" not in post(blues, root, "administration/users/delete", {"name": "dora"}).text


def test_a_discrepancy_is_solved(blues: Blues, browsers: dict[str, requests.Session]) -> None:
    dsn = blues.service.settings.dsn("postgres")
    execute(
        dsn,
        "UPDATE archive.products SET privileges = 4 WHERE path = 'blues/raw1';"
        "INSERT INTO archive.discrepancies SELECT product_id, 'IMAGETYP', 'What is Drak?'"
        " FROM archive.products WHERE path = 'blues/raw1'",
    )
    root, url = browsers["root"], f"{blues.service.url}/administration/discrepancies?run=blues"
    assert "What is Drak?" in root.get(url, timeout=60).text
    path, did = "administration/discrepancies", blues.did("raw1")
    post(blues, root, f"{path}/override", {"ID": did, "field": "exposure_type", "value": "dark"})
    post(blues, root, f"{path}/dismiss", {"ID": did, "keyword": "IMAGETYP", "reason": "A dark frame"})
    assert "What is Drak?" not in root.get(url, timeout=60).text
    found = blues.rows("SELECT exposure_type FROM archive.products WHERE path = 'blues/raw1'")
    assert found == [("dark",)]
    log = root.get(f"{blues.service.url}/administration/audit?subject={did.replace('?', '%3F')}", timeout=60)
    assert "A dark frame" in log.text
    assert "discrepancies delete" in log.text


def test_the_banner_is_on_every_page(blues: Blues, browsers: dict[str, requests.Session]) -> None:
    form = {"message": "Maintenance <b>tonight</b>", "severity": "warning"}
    post(blues, browsers["root"], "administration/banner/put", form)
    for path in ("/", "/runs", "/nothing-here", "/query"):
        page = requests.get(f"{blues.service.url}{path}", headers={"Accept": "text/html"}, timeout=60)
        if page.status_code == 200:
            assert "Maintenance &lt;b&gt;tonight&lt;/b&gt;" in page.text
    post(blues, browsers["root"], "administration/banner/put", {"message": "", "severity": "info"})
    assert "tonight" not in requests.get(f"{blues.service.url}/", timeout=60).text


def test_notes_and_tags_are_written_in_the_page(blues: Blues, browsers: dict[str, requests.Session]) -> None:
    root, bob = browsers["root"], browsers["bob"]
    tag = {"do": "add", "name": "good seeing", "colour": "#00ff00", "description": "below 2 arcsec"}
    assert "good seeing" in post(blues, root, "tags/change", tag).text
    twice = post(blues, root, "tags/change", tag)
    assert (twice.status_code, 'role="alert"' in twice.text) == (409, True)
    execute(
        blues.service.settings.dsn("postgres"),
        "UPDATE archive.role_permissions SET is_granted = true WHERE role = 'student' AND permission IN"
        " ('run_detail_edit_notes', 'run_detail_edit_tags', 'runs_edit')",
    )
    form = {
        "run": "blues",
        "note": "clouds at two",
        "has_tags": "1",
        "tag": "good seeing",
        "state": "fully",
        "photometry": "1",
    }
    page = post(blues, bob, "notes/run", form)
    assert page.url == f"{blues.service.url}/runs/blues"
    for shown in ("clouds at two", "good seeing", "fully reduced", "Photometry"):
        assert shown in page.text
    assert "good seeing" in bob.get(f"{blues.service.url}/tags", timeout=60).text
    assert "/runs/blues" in bob.get(f"{blues.service.url}/runs?tag=good+seeing", timeout=60).text
    cleared = post(blues, bob, "notes/run", {"run": "blues", "note": "", "has_tags": "1", "state": "not"})
    assert "clouds at two" not in unescape(cleared.text)
    assert blues.rows("SELECT note, photometry FROM archive.runs WHERE name = 'blues'") == [("", False)]
    # What one does not see is not there, for the form as for the page.
    assert post(blues, root, "notes/run", {"run": "blues", "note": "x"}).status_code == 404
    renamed = {"do": "change", "name": "good seeing", "new_name": "great", "colour": "#00ff00"}
    assert "great" in post(blues, root, "tags/change", renamed).text
    assert "great" not in post(blues, root, "tags/change", {"do": "remove", "name": "great"}).text
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert post(blues, root, "tags/change", tag, **headers).status_code == 403
        assert post(blues, bob, "notes/run", form, **headers).status_code == 403
    assert requests.post(f"{blues.service.url}/tags/change", data=tag, timeout=60).status_code == 401


def test_archive_and_disk_are_compared_from_the_page(
    blues: Blues, browsers: dict[str, requests.Session]
) -> None:
    path = "administration/maintenance"
    page = post(blues, browsers["root"], f"{path}/compare", {"rehearse": "1"})
    (job,) = re.findall(r"\?job=([0-9a-f]+)", page.text)
    # What comes of it, tests/api tells.
    shown = browsers["root"].get(f"{blues.service.url}/{path}?job={job}", timeout=60)
    assert shown.status_code == 200
    assert browsers["bob"].get(f"{blues.service.url}/{path}?job={job}", timeout=60).status_code == 403
    assert post(blues, browsers["root"], f"{path}/cleanup", {}).status_code == 200
    execute(blues.service.settings.dsn("postgres"), "DELETE FROM archive.jobs WHERE job_id = %s", job)
