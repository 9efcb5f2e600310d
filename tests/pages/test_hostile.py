"""Hostile words in every field stay words, and no form does anything that another site's page has sent."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from urllib.parse import quote, urlencode, urljoin

import pytest
import requests
from lxml import html
from starlette.routing import Route

from ost_vo.services.administration import SECTIONS
from ost_vo.web import pages
from tests.blues import PASSWORD, Blues
from tests.conftest import execute

# Without a slash, so that a run can be called so. It ends texts, attributes, scripts and templates.
HOSTILE = "<img src=x onerror=alert(1)>\"'&lt;{{7*7}}javascript:1"
# Columns of archive.products that take any text.
COLUMNS = (
    "obs_title",
    "header_target",
    "header_instrument",
    "header_telescope",
    "header_filter",
    "header_observer",
    "filter_name",
    "instrument_name",
    "telescope_name",
    "facility_name",
    "readout_mode",
    "observer",
    "software",
    "proposal_id",
    "obs_id",
)
_FILL = f"""
UPDATE archive.runs SET name = %(text)s, note = %(text)s WHERE name = 'blues';
WITH made AS (INSERT INTO archive.targets (name, note) VALUES (%(text)s, %(text)s) RETURNING target_id)
INSERT INTO archive.target_aliases SELECT 'hostile', %(text)s, target_id, 'header' FROM made;
UPDATE archive.products SET {", ".join(f"{name} = %(text)s" for name in COLUMNS)},
    path = 'blues/' || %(text)s, exposure_type = 'light',
    target_id = (SELECT target_id FROM archive.targets WHERE name = %(text)s)
WHERE path = 'blues/raw1';
INSERT INTO archive.headers SELECT product_id, 0, 'OBJECT  = ''' || %(text)s || '''' FROM archive.products
    WHERE path = 'blues/' || %(text)s;
INSERT INTO archive.discrepancies SELECT product_id, %(text)s, %(text)s FROM archive.products
    WHERE path = 'blues/' || %(text)s;
INSERT INTO archive.analyses (product_id, kind, settings, sha256, state, reason)
    SELECT product_id, 'solution', 'x', sha256, 'failed', %(text)s FROM archive.products
    WHERE path = 'blues/' || %(text)s;
UPDATE archive.products SET missing_since = now() WHERE path = 'blues/raw2';
INSERT INTO archive.tags (name, description) VALUES (%(text)s, %(text)s);
INSERT INTO archive.run_tags SELECT run_id, tag_id FROM archive.runs r, archive.tags
    WHERE r.name = %(text)s;
INSERT INTO archive.target_tags SELECT target_id, tag_id FROM archive.targets t, archive.tags
    WHERE t.name = %(text)s;
INSERT INTO archive.quarantine VALUES (%(text)s, 1, now(), %(text)s);
INSERT INTO archive.alarms VALUES (%(text)s, %(text)s, %(text)s);
INSERT INTO archive.banner (message, severity) VALUES (%(text)s, 'error');
UPDATE archive.users SET full_name = %(text)s WHERE name = 'bob';
UPDATE archive.projects SET description = %(text)s, instrument = %(text)s WHERE name = 'BLUES';
SELECT set_config('ost.actor', %(text)s, true), set_config('ost.reason', %(text)s, true);
UPDATE archive.users SET full_name = %(text)s || '!' WHERE name = 'bob';
"""
_MEND = """
UPDATE archive.runs SET name = 'blues', note = '' WHERE name = %(text)s;
DELETE FROM archive.products WHERE path = 'blues/' || %(text)s;
DELETE FROM archive.targets WHERE name = %(text)s;
DELETE FROM archive.tags;
DELETE FROM archive.quarantine WHERE path = %(text)s;
DELETE FROM archive.alarms WHERE subject = %(text)s;
DELETE FROM archive.banner;
UPDATE archive.users SET full_name = NULL WHERE name = 'bob';
UPDATE archive.role_permissions SET is_granted = permission IN ('users_view', 'system_health_view')
    WHERE role = 'student';
"""


@pytest.fixture
def browser(blues: Blues) -> Iterator[requests.Session]:
    """A browser that bob has logged in with; he may do whatever there is a permission for."""
    dsn = blues.service.settings.dsn("postgres")
    # The lineage of the product that gets another path goes with it.
    execute(dsn, "DELETE FROM archive.lineage")
    _run(dsn, _FILL)
    execute(dsn, "UPDATE archive.role_permissions SET is_granted = true WHERE role = 'student'")
    with requests.Session() as opened:
        opened.headers["Accept"] = "text/html"
        login = {"username": "bob", "password": PASSWORD}
        assert opened.post(f"{blues.service.url}/login", data=login, timeout=60).status_code == 200
        yield opened
    _run(dsn, "DELETE FROM archive.lineage; " + _MEND)


def _run(dsn: str, statements: str) -> None:
    import psycopg2

    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(statements, {"text": HOSTILE})
    connection.close()


def test_hostile_words_stay_words_on_every_page(blues: Blues, browser: requests.Session) -> None:
    url = blues.service.url
    asked = urlencode({"q": HOSTILE})
    did = urlencode({"ID": blues.did("raw1")})
    # A page, and whether it shows what was planted, or repeats what was asked for.
    paths = {
        "/": True,
        "/runs": True,
        f"/runs?{urlencode({'text': HOSTILE, 'tag': HOSTILE})}": True,
        f"/runs/{quote(HOSTILE, safe='')}": True,
        f"/runs/{quote(HOSTILE, safe='')}?{urlencode({'filter_name': HOSTILE})}": True,
        f"/product?{did}": True,
        "/targets": True,
        f"/targets/{quote(HOSTILE)}": True,
        f"/search?{asked}": True,
        f"/query?{urlencode({'query': HOSTILE})}": True,
        f"/darks?{urlencode({'instrument_name': HOSTILE})}": True,
        "/tags": True,
        "/account": False,
        **{f"/administration/{section}": False for section in SECTIONS},
        "/administration/users": True,
        "/administration/quarantine": True,
        "/administration/health": True,
        f"/administration/discrepancies?{urlencode({'run': HOSTILE, 'keyword': HOSTILE})}": True,
        f"/administration/audit?{urlencode({'actor': HOSTILE})}": True,
        "/administration/solving": True,
        f"/administration/{quote(HOSTILE)}": False,
    }
    for path, is_shown in paths.items():
        answer = browser.get(url + path, timeout=60)
        assert answer.status_code in (200, 404), (path, answer.status_code, answer.text)
        assert not is_shown or "7*7" in answer.text, path
        _check(answer, url)


def _check(answer: requests.Response, url: str) -> None:
    """Check that a page has no element, attribute or address that somebody has planted."""
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "'unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    document = html.fromstring(answer.content)
    for element in document.iter():
        if not isinstance(element.tag, str):
            continue
        assert not any(name.startswith("on") for name in element.attrib), (answer.url, element.tag)
        assert element.get("src") != "x", answer.url
        if element.tag == "script":
            assert not (element.text or "").strip(), answer.url
        for name in ("href", "src", "action", "formaction"):
            if (address := element.get(name)) is not None:
                assert urljoin(answer.url, address).startswith(url), (answer.url, address)
    # A template that had been filled with a template would have reckoned.
    assert "{{7*7}}" in unescape(answer.text) or "7*7" not in answer.text


def test_hostile_words_stay_words_in_the_api(blues: Blues, browser: requests.Session) -> None:
    browser.headers["Accept"] = "*/*"
    for path in (
        "runs",
        f"runs/{quote(HOSTILE, safe='')}",
        f"runs/{quote(HOSTILE, safe='')}/files",
        f"products?{urlencode({'run': HOSTILE})}",
        f"products?{urlencode({'colour': HOSTILE})}",
        f"targets?{urlencode({'tag': HOSTILE})}",
        "tags",
        f"tags/{quote(HOSTILE, safe='')}",
        "banner",
        "discrepancies",
        "admin/quarantine",
        "admin/alarms",
        "admin/solving",
        "users",
        f"audit?{urlencode({'actor': HOSTILE})}",
        f"nothing/{quote(HOSTILE, safe='')}",
    ):
        answer = browser.get(f"{blues.service.url}/api/v1/{path}", timeout=60)
        assert answer.status_code in (200, 400, 404), (path, answer.text)
        # No browser takes it for a page.
        kind = "application/json" if answer.status_code == 200 else "application/problem+json"
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer.json()
        if answer.status_code == 200:
            assert "7*7" in answer.text, path


FORMS = sorted(
    route.path for route in pages.routes if isinstance(route, Route) and "POST" in (route.methods or ())
)


@pytest.mark.parametrize("path", FORMS)
def test_no_form_does_what_another_site_sends(blues: Blues, browser: requests.Session, path: str) -> None:
    address = path.replace("{section}", "banner").replace("{action}", "put")
    before = blues.rows("SELECT count(*), max(audit_id) FROM archive.audit")
    fields = {
        "ID": blues.did("raw1"),
        "privileges": "2",
        "is_valid": "0",
        "message": "x",
        "severity": "info",
        "name": "x",
        "run": HOSTILE,
        "note": "",
        "do": "add",
        "language": "de",
    }
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = browser.post(f"{blues.service.url}{address}", data=fields, headers=headers, timeout=60)
        assert answer.status_code == 403, (address, headers)
    assert blues.rows("SELECT count(*), max(audit_id) FROM archive.audit") == before
