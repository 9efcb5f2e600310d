"""Looking after the archive over HTTP: each thing takes its permission, and shows no more than it may."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from html import unescape

import pytest
import requests

from ost_vo.services import administration
from ost_vo.services.archive import Archive
from ost_vo.settings import Settings
from tests.blues import PASSWORD, Blues
from tests.conftest import Service, execute

Call = Callable[..., requests.Response]

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"
# (method, path, body) to the permission that it takes, and the status with it.
GUARDED = {
    ("GET", "admin/health", None): ("system_health_view", 200),
    ("GET", "admin/alarms", None): ("system_health_view", 200),
    ("GET", "admin/settings", None): ("system_settings_view", 200),
    ("GET", "admin/quarantine", None): ("datafiles_reevaluate", 200),
    ("GET", "admin/missing", None): ("maintenance_orphans", 200),
    ("GET", "file-events", None): ("maintenance_orphans", 200),
    ("GET", "admin/solving", None): ("datafiles_plate_solve", 200),
    ("POST", "admin/solving", '{"identifiers": ["ivo://x/y?1"]}'): ("datafiles_plate_solve", 409),
    ("GET", "admin/reconcile", None): ("maintenance_reconcile", 200),
    ("GET", "admin/reconcile/00", None): ("maintenance_orphans", 404),
    ("POST", "admin/reconcile", '{"is_rehearsal": "no"}'): ("maintenance_reconcile", 400),
    ("POST", "admin/cleanup", None): ("maintenance_cleanup", 204),
    ("PUT", "banner", '{"message": "x"}'): ("banner_manage", 200),
    ("DELETE", "banner", None): ("banner_manage", 204),
    ("POST", "discrepancies/dismiss", '{"identifier": "ivo://x/y?1", "keyword": "K"}'): (
        "datafiles_reevaluate",
        404,
    ),
}


@pytest.fixture
def call(blues: Blues) -> Iterator[Call]:
    def send(user: str | None, method: str, path: str, **request: object) -> requests.Response:
        login = (user, PASSWORD) if user else None
        url = f"{blues.service.url}/api/v1/{path}"
        return requests.request(method, url, timeout=60, **{"auth": login, **request})

    yield send
    execute(
        blues.service.settings.dsn("postgres"),
        "UPDATE archive.role_permissions SET is_granted = permission IN ('users_view', 'system_health_view')"
        " WHERE role = 'student'; DELETE FROM archive.banner; DELETE FROM archive.quarantine;"
        " DELETE FROM archive.alarms; DELETE FROM archive.analyses WHERE kind = 'solution' AND product_id IN"
        " (SELECT product_id FROM archive.products WHERE path LIKE 'blues/%%')",
    )


def grant(call: Call, permission: str, is_granted: bool = True) -> None:
    path = f"permissions/student/{permission}"
    assert call("root", "PUT", path, json={"is_granted": is_granted}).status_code == 200


@pytest.mark.parametrize("guarded", GUARDED, ids=lambda guarded: f"{guarded[0]} {guarded[1]}")
def test_each_takes_its_permission(call: Call, guarded: tuple[str, str, str | None]) -> None:
    method, path, body = guarded
    permission, status = GUARDED[guarded]
    request = {"data": body, "headers": {"Content-Type": "application/json"}} if body else {}
    if status == 400:
        request["data"] = '{"is_rehearsal": false}'
    assert call(None, method, path, **request).status_code == 401
    grant(call, permission, is_granted=False)
    refused = call("bob", method, path, **request)
    assert refused.status_code == 403
    assert "permission" in refused.json()["detail"]
    grant(call, permission)
    if status == 400:
        request["data"] = body
    assert call("bob", method, path, **request).status_code == status


def test_a_token_for_reading_administers_nothing(call: Call) -> None:
    made = call("root", "POST", "me/tokens", json={"name": "look", "scopes": ["read", "write"]}).json()
    bearer = {"auth": None, "headers": {"Authorization": f"Bearer {made['token']}"}}
    for path in ("admin/health", "admin/settings", "admin/quarantine", "admin/missing", "admin/solving"):
        assert call(None, "GET", path, **bearer).status_code == 403
    call("root", "DELETE", "me/tokens/look")


def test_health_says_what_is_wrong(blues: Blues, call: Call) -> None:
    sound = call("bob", "GET", "admin/health").json()
    assert (sound["is_sound"], sound["findings"]) == (True, [])
    told = {part["name"]: part["told"] for part in sound["parts"]}
    assert told.keys() >= {"database", "DaCHS", "workers", "watcher", "disk"}
    assert (told["replicas"], sound["replicas"]) == ("none", [])
    assert all(part["is_sound"] for part in sound["parts"])
    assert {"ost_vo", "PostgreSQL", "pg_sphere", "DaCHS"} <= sound["versions"].keys()
    assert all(0 < disk["free"] <= disk["total"] for disk in sound["disks"])
    dsn = blues.service.settings.dsn("postgres")
    execute(dsn, "INSERT INTO archive.alarms VALUES ('data root', %s, 'Mount it.')", HOSTILE)
    ill = call("bob", "GET", "admin/health").json()
    assert not ill["is_sound"]
    assert [part["name"] for part in ill["parts"] if not part["is_sound"]] == ["data root"]
    (alarm,) = call("bob", "GET", "admin/alarms").json()
    assert (alarm["problem"], alarm["remedy"]) == (HOSTILE, "Mount it.")


def test_settings_tell_no_secret(blues: Blues, call: Call) -> None:
    listed = {one["name"]: one for one in call("root", "GET", "admin/settings").json()}
    assert listed.keys() == {f"OST_VO_{name.upper()}" for name in Settings.model_fields}
    assert listed["OST_VO_PORT"]["value"] == str(blues.service.settings.port)
    secret = "hunter2-and-more"
    settings = blues.service.settings.model_copy(
        update={
            "database": f"host=db password={secret} user=x",
            "ldap_bind_password": Settings(
                ldap_url="ldaps://x", ldap_base="x", ldap_bind_dn="x", ldap_bind_password=secret
            ).ldap_bind_password,
            "simbad_url": f"https://me:{secret}@simbad.example/tap",
        }
    )
    archive = Archive.open(blues.service.settings)
    try:
        from dataclasses import replace

        from ost_vo.access.actor import OPERATOR

        shown = administration.settings_of(replace(archive, settings=settings), OPERATOR)
    finally:
        archive.close()
    assert not any(secret in one.value for one in shown)
    values = {one.name: one.value for one in shown}
    assert values["OST_VO_DATABASE"] == f"host=db password={administration.MASK} user=x"
    assert values["OST_VO_SIMBAD_URL"].endswith("@simbad.example/tap")


def test_quarantine_comes_in_pages(blues: Blues, call: Call) -> None:
    dsn = blues.service.settings.dsn("postgres")
    for name in ("a", "b", HOSTILE):
        execute(dsn, "INSERT INTO archive.quarantine VALUES (%s, 1, now(), 'It is broken.')", name)
    grant(call, "datafiles_reevaluate")
    first = call("bob", "GET", "admin/quarantine?limit=2").json()
    assert [file["path"] for file in first["files"]] == [HOSTILE, "a"]
    second = call("bob", "GET", "admin/quarantine", params={"limit": 2, "cursor": first["next"]}).json()
    assert ([file["path"] for file in second["files"]], second["next"]) == (["b"], None)


def test_missing_files_are_those_that_one_sees(blues: Blues, call: Call) -> None:
    grant(call, "maintenance_orphans")
    dsn = blues.service.settings.dsn("postgres")
    execute(dsn, "UPDATE archive.products SET missing_since = now() WHERE path LIKE 'blues/raw%%'")
    first = call("bob", "GET", "admin/missing?limit=1").json()
    second = call("bob", "GET", "admin/missing", params={"limit": 1, "cursor": first["next"]}).json()
    found = [page["files"][0]["path"] for page in (first, second)]
    assert (found, second["next"]) == (["blues/raw1", "blues/raw2"], None)
    # Not even a superuser sees what is somebody else's alone.
    for user in ("eve", "root"):
        assert call(user, "GET", "admin/missing").json()["files"] == []


def test_problems_with_files_are_told_to_those_who_see_the_product(blues: Blues, call: Call) -> None:
    grant(call, "maintenance_orphans")
    dsn = blues.service.settings.dsn("postgres")
    execute(
        dsn,
        "SELECT archive.note_file_event(obs_publisher_did, 'changed', %s) FROM archive.products"
        " WHERE path LIKE 'blues/raw%%'",
        HOSTILE,
    )
    execute(dsn, "SELECT archive.note_file_event(%s, 'missing', 'gone')", blues.did("raw1"))
    found, cursor = [], {}
    while True:
        page = call("bob", "GET", "file-events", params={"limit": 1, **cursor}).json()
        found += [(event["path"], event["problem"], event["detail"]) for event in page["events"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found[0] == ("blues/raw1", "missing", "gone")
    assert sorted(found[1:]) == [(f"blues/{name}", "changed", HOSTILE) for name in ("raw1", "raw2")]
    for user in ("eve", "root"):
        assert call(user, "GET", "file-events").json() == {"events": [], "next": None}
    for wrong in ("nothing", "2026-01-01 1", "x 1 missing", "2026-01-01 99999999999999999999 missing"):
        assert call("bob", "GET", "file-events", params={"cursor": wrong}).status_code == 400
    page = requests.get(
        f"{blues.service.url}/administration/missing",
        auth=("bob", PASSWORD),
        headers={"Accept": "text/html"},
        timeout=60,
    ).text
    assert (page.count("blues/raw"), "<script>alert" in page, HOSTILE in unescape(page)) == (3, False, True)


def test_plate_solving_is_listed_for_those_who_see_the_product(blues: Blues, call: Call) -> None:
    grant(call, "datafiles_plate_solve")
    execute(
        blues.service.settings.dsn("postgres"),
        "INSERT INTO archive.analyses (product_id, kind, settings, sha256, state, reason)"
        " SELECT product_id, 'solution', 'x', sha256,"
        " CASE path WHEN 'blues/raw1' THEN 'failed' ELSE 'done' END,"
        " CASE path WHEN 'blues/raw1' THEN 'No stars.' END"
        " FROM archive.products WHERE path LIKE 'blues/raw%%'",
    )
    first = call("bob", "GET", "admin/solving?limit=1").json()
    second = call("bob", "GET", f"admin/solving?limit=1&cursor={first['next']}").json()
    assert {page["attempts"][0]["path"] for page in (first, second)} == {"blues/raw1", "blues/raw2"}
    (failed,) = call("bob", "GET", "admin/solving?state=failed").json()["attempts"]
    assert (failed["path"], failed["reason"]) == ("blues/raw1", "No stars.")
    assert call("eve", "GET", "admin/solving").json()["attempts"] == []


def test_plates_are_solved_again(blues: Blues, call: Call) -> None:
    """In a process that solves plates; the one of these tests does not, which is a conflict."""
    from dataclasses import replace

    from ost_vo.faults import NotFoundFault
    from ost_vo.services import people

    assert call("root", "POST", "admin/solving", json={"identifiers": [blues.did("raw1")]}).status_code == 409
    grant(call, "datafiles_plate_solve")
    dsn = blues.service.settings.dsn("postgres")
    execute(
        dsn,
        "INSERT INTO archive.analyses (product_id, kind, settings, sha256, state, reason)"
        " SELECT product_id, 'solution', 'x', sha256, 'failed', 'No stars.' FROM archive.products"
        " WHERE path = 'blues/raw1';"
        " DELETE FROM archive.analysis_queue",
    )
    archive = Archive.open(blues.service.settings)
    try:
        solving = replace(archive, settings=archive.settings.model_copy(update={"solve": True}))
        bob, eve = (people.actor_named(archive.accounts_database, name) for name in ("bob", "eve"))
        with pytest.raises(NotFoundFault):
            administration.solve_again(solving, eve, [blues.did("raw1")])
        assert administration.solve_again(solving, bob, [blues.did("raw1")]) == [blues.did("raw1")]
    finally:
        archive.close()
    queued = execute(
        dsn,
        "SELECT path FROM archive.analysis_queue JOIN archive.products USING (product_id) WHERE attempts = 0",
    )
    assert queued == [("blues/raw1",)]
    assert (
        execute(
            dsn,
            "SELECT FROM archive.analyses a JOIN archive.products p USING (product_id)"
            " WHERE path = 'blues/raw1' AND kind = 'solution'",
        )
        == []
    )


def test_archive_and_disk_are_compared(blues: Blues, call: Call) -> None:
    grant(call, "maintenance_orphans")
    assert call("bob", "POST", "admin/reconcile", json={"is_rehearsal": False}).status_code == 403
    begun = call("bob", "POST", "admin/reconcile", json={})
    assert (begun.status_code, begun.json()["is_rehearsal"]) == (202, True)
    path = f"admin/reconcile/{begun.json()['job_id']}"
    ended = _ended(call, path)
    assert (ended["phase"], ended["error"]) == ("COMPLETED", None)
    # Those products have no files.
    assert "missing: blues/raw1" in ended["report"]
    assert blues.rows("SELECT count(*) FROM archive.products WHERE missing_since IS NOT NULL") == [(0,)]
    (listed,) = call("bob", "GET", "admin/reconcile").json()
    assert (listed["job_id"], listed["report"]) == (begun.json()["job_id"], None)
    assert call("root", "GET", path).status_code == 403
    assert call("root", "GET", "admin/reconcile").json() == []


def _ended(call: Call, path: str) -> dict[str, object]:
    for _ in range(600):
        found = call("bob", "GET", path).json()
        if found["phase"] in ("COMPLETED", "ERROR", "ABORTED"):
            return found
        threading.Event().wait(0.1)
    raise AssertionError(found)


def test_the_banner_is_for_everybody(call: Call) -> None:
    nothing = {"message": None, "severity": None, "since": None}
    assert call(None, "GET", "banner").json() == nothing
    grant(call, "banner_manage")
    for wrong in (
        {"message": ""},
        {"message": " "},
        {"message": "x" * 2001},
        {"message": "x", "severity": "y"},
    ):
        assert call("bob", "PUT", "banner", json=wrong).status_code == 400
    said = {"message": HOSTILE, "severity": "warning", "reason": "because"}
    assert call("bob", "PUT", "banner", json=said).status_code == 200
    assert call(None, "GET", "banner").json()["message"] == HOSTILE
    assert call("bob", "DELETE", "banner").status_code == 204
    assert call(None, "GET", "banner").json() == nothing
    log = call("root", "GET", "audit?action=banner&limit=2").json()["entries"]
    assert [entry["action"] for entry in log] == ["banner delete", "banner insert"]
    assert log[1]["reason"] == "because"


def test_a_discrepancy_is_solved(blues: Blues, call: Call) -> None:
    grant(call, "datafiles_reevaluate")
    dsn = blues.service.settings.dsn("postgres")
    execute(
        dsn,
        "INSERT INTO archive.discrepancies SELECT product_id, 'FILTER', 'What is X?' FROM archive.products"
        " WHERE path = 'blues/raw1'",
    )
    (found,) = call("bob", "GET", "discrepancies?run=blues").json()["discrepancies"]
    solved = {"identifier": found["identifier"], "keyword": "FILTER", "reason": "It is R."}
    assert call("eve", "POST", "discrepancies/dismiss", json=solved).status_code == 404
    assert call("bob", "POST", "discrepancies/dismiss", json=solved).status_code == 204
    assert call("bob", "POST", "discrepancies/dismiss", json=solved).status_code == 404
    assert call("bob", "GET", "discrepancies?run=blues").json()["discrepancies"] == []
    entry = call("root", "GET", "audit?action=discrepancies&limit=1").json()["entries"][0]
    assert (entry["subject"], entry["project"], entry["reason"]) == (found["identifier"], "BLUES", "It is R.")
    assert entry["old_value"] == {"keyword": "FILTER", "reason": "What is X?"}


def test_unresolved_targets_are_looked_up_again(blues: Blues, call: Call) -> None:
    dsn = blues.service.settings.dsn("postgres")
    execute(dsn, "INSERT INTO archive.targets (name) VALUES ('Nobodys star')")
    try:
        found = call("root", "POST", "targets/resolve", json={}).json()
        assert ("Nobodys star", None) in {(one["target_name"], one["catalogue"]) for one in found}
        assert call("bob", "POST", "targets/resolve", json={}).status_code == 403
    finally:
        execute(dsn, "DELETE FROM archive.targets WHERE name = 'Nobodys star'")


def test_the_log_is_narrowed(call: Call) -> None:
    call("root", "PUT", "permissions/student/runs_edit", json={"is_granted": True, "reason": "one"})
    call("root", "PUT", "permissions/student/runs_edit", json={"is_granted": False, "reason": "two"})
    asked = "audit?action=role_permissions update&actor=root"
    first = call("root", "GET", f"{asked}&limit=1").json()
    second = call("root", "GET", f"{asked}&limit=1&cursor={first['next']}").json()
    assert [page["entries"][0]["reason"] for page in (first, second)] == ["two", "one"]
    moment = first["entries"][0]["moment"].replace("+", "%2B")
    until = call("root", "GET", f"{asked}&limit=1&until={moment}").json()
    assert until["entries"] == second["entries"]
    assert call("root", "GET", f"{asked}&until=2020-01-01T00:00:00Z").json()["entries"] == []


def test_a_permission_that_was_taken_stays_taken(call: Call) -> None:
    grant(call, "system_health_view", is_granted=False)
    assert call("bob", "GET", "admin/health").status_code == 403
    matrix = call("root", "GET", "permissions").json()
    assert matrix["student"]["system_health_view"] is False


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ("exposure_type=light", lambda p: p["exposure_type"] == "light"),
        ("dataproduct_type=spectrum", lambda p: p["dataproduct_type"] == "spectrum"),
        ("target_name=M 45", lambda p: p["target_name"] == "M 45"),
        ("t_exptime_min=30&t_exptime_max=60", lambda p: 30 <= (p["t_exptime"] or 0) <= 60),
        ("t_min=61086", lambda p: (p["t_max"] or 0) >= 61086),
        ("t_max=61086", lambda p: p["t_min"] is not None and p["t_min"] <= 61086),
        ("calib_level=1&data_rights=public", lambda p: p["calib_level"] == 1),
    ],
)
def test_products_are_chosen_by_the_columns_of_obscore(
    service: Service, asked: str, matches: Callable[[dict], bool]
) -> None:
    url = f"{service.url}/api/v1/products?creator=ingest"
    every = requests.get(url, timeout=60).json()["products"]
    found = requests.get(f"{url}&{asked}", timeout=60).json()["products"]
    assert [p["path"] for p in found] == [p["path"] for p in every if matches(p)]


def test_products_are_chosen_by_a_circle(service: Service) -> None:
    url = f"{service.url}/api/v1/products"
    query = "SELECT s_ra, s_dec, obs_publisher_did FROM ost.products WHERE s_ra IS NOT NULL"
    tap = {"LANG": "ADQL", "FORMAT": "json", "QUERY": query}
    rows = requests.get(f"{service.url}/tap/sync", params=tap, timeout=60).json()["data"]
    ra, dec, did = rows[0]
    circle = {"s_ra": ra, "s_dec": dec, "radius": 0.01}
    found = requests.get(url, params=circle, timeout=60).json()["products"]
    assert did in {p["obs_publisher_did"] for p in found}
    assert len(found) < len(rows)
    assert requests.get(f"{url}?s_ra=1", timeout=60).status_code == 400


def test_files_of_a_run_come_in_pages(service: Service) -> None:
    url = f"{service.url}/api/v1/runs"
    run = max(requests.get(url, timeout=60).json()["runs"], key=lambda one: one["files"])
    every = requests.get(f"{url}/{run['name']}/files", timeout=60).json()
    assert every["next"] is None
    found: list[dict[str, object]] = []
    cursor = None
    while True:
        page = requests.get(
            f"{url}/{run['name']}/files", params={"limit": 7, "cursor": cursor}, timeout=60
        ).json()
        found += page["files"]
        if (cursor := page["next"]) is None:
            break
    assert found == every["files"]
    assert requests.get(f"{url}/{run['name']}/files?cursor=x y", timeout=60).status_code == 400
