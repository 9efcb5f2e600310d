"""Tags, notes and the state of reduction of runs and targets: who may write them, and who sees them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.blues import PASSWORD, Blues
from tests.conftest import execute

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"
GRANTS = (
    "runs_edit",
    "tags_manage",
    "run_detail_edit_notes",
    "run_detail_edit_tags",
    "object_detail_edit_notes",
    "object_detail_edit_tags",
)


@pytest.fixture
def words(blues: Blues) -> Iterator[Blues]:
    """The project, a target of one of its products, and nothing written yet; what is written goes again."""
    dsn = blues.service.settings.dsn("postgres")
    execute(
        dsn,
        "WITH made AS (INSERT INTO archive.targets (name) VALUES ('Bluestar') RETURNING target_id)"
        " INSERT INTO archive.target_aliases SELECT 'bluestar', 'Bluestar', target_id, 'header' FROM made",
    )
    execute(
        dsn,
        "UPDATE archive.products SET target_id = (SELECT target_id FROM archive.targets"
        " WHERE name = 'Bluestar') WHERE path = 'blues/raw1'",
    )
    yield blues
    execute(
        dsn,
        "UPDATE archive.products SET target_id = NULL, target_name = NULL WHERE path = 'blues/raw1';"
        "DELETE FROM archive.targets WHERE name = 'Bluestar'; DELETE FROM archive.tags;"
        "UPDATE archive.runs SET note = '', reduction_status = 'not', photometry = false,"
        " spectroscopy = false;"
        "UPDATE archive.role_permissions SET is_granted = false WHERE role = 'student'"
        " AND permission NOT IN ('users_view', 'system_health_view')",
    )


def send(blues: Blues, user: str | None, method: str, path: str, **request: object) -> requests.Response:
    login = (user, PASSWORD) if user else None
    url = f"{blues.service.url}/api/v1/{path}"
    return requests.request(method, url, timeout=60, auth=login, **request)


def grant(blues: Blues, *permissions: str) -> None:
    for permission in permissions:
        path = f"permissions/student/{permission}"
        assert send(blues, "root", "PUT", path, json={"is_granted": True}).status_code == 200


def target_id(blues: Blues) -> int:
    (found,) = send(blues, "bob", "GET", "targets?name=Bluestar").json()["targets"]
    return int(found["target_id"])


def test_a_run_is_written_of_and_shows_it(words: Blues) -> None:
    grant(words, *GRANTS)
    made = send(words, "bob", "POST", "tags", json={"name": "nice night", "colour": "#1f77b4"})
    assert (made.status_code, made.json()["runs"]) == (201, 0)
    changes = {
        "note": f" {HOSTILE}\r\nclouds ",
        "tags": ["nice night"],
        "reduction_status": "partly",
        "photometry": True,
        "reason": "looked at it",
    }
    run = send(words, "bob", "PATCH", "runs/blues", json=changes).json()
    assert run["note"] == f"{HOSTILE}\nclouds"
    assert (run["tags"], run["reduction_status"]) == (["nice night"], "partly")
    assert (run["photometry"], run["spectroscopy"]) == (True, False)
    assert send(words, "bob", "GET", "runs/blues").json() == run
    for filters in ({"tag": "nice night"}, {"reduction_status": "partly"}):
        listed = send(words, "bob", "GET", "runs", params=filters).json()["runs"]
        assert [one["name"] for one in listed] == ["blues"]
    assert send(words, "bob", "GET", "tags/nice night").json()["runs"] == 1
    rows = words.archive("bob").search("SELECT note, tags, photometry FROM ost.runs WHERE run_name = 'blues'")
    assert [tuple(row) for row in rows] == [(run["note"], "nice night", 1)]
    log = send(words, "root", "GET", "audit", params={"subject": "blues"}).json()["entries"]
    assert [entry["action"] for entry in log[:2]] == ["run_tags insert", "runs update"]
    assert {(entry["actor"], entry["reason"], entry["project"]) for entry in log[:2]} == {
        ("bob", "looked at it", "BLUES")
    }
    assert send(words, "bob", "DELETE", "tags/nice night").status_code == 204
    assert send(words, "bob", "GET", "runs/blues").json()["tags"] == []


def test_a_target_is_written_of_and_shows_it(words: Blues) -> None:
    grant(words, *GRANTS)
    send(words, "bob", "POST", "tags", json={"name": "blue"})
    path = f"targets/{target_id(words)}"
    target = send(words, "bob", "PATCH", path, json={"note": HOSTILE, "tags": ["blue", "blue"]}).json()
    assert (target["note"], target["tags"]) == (HOSTILE, ["blue"])
    assert send(words, "bob", "GET", path).json() == target
    (listed,) = send(words, "bob", "GET", "targets?tag=blue").json()["targets"]
    assert listed["target_name"] == "Bluestar"
    assert send(words, "bob", "PATCH", path, json={"tags": []}).json()["tags"] == []
    log = send(words, "root", "GET", "audit", params={"subject": "Bluestar"}).json()["entries"]
    assert [entry["action"] for entry in log[:2]] == ["target_tags delete", "target_tags insert"]


def test_what_is_merged_keeps_its_words(words: Blues) -> None:
    grant(words, *GRANTS)
    send(words, "bob", "POST", "tags", json={"name": "blue"})
    target = target_id(words)
    send(words, "bob", "PATCH", f"targets/{target}", json={"note": "first", "tags": ["blue"]})
    into = send(words, "root", "POST", "targets", json={"name": "Bluer star"}).json()["target_id"]
    send(words, "root", "PATCH", f"targets/{into}", json={"note": "second"})
    send(words, "root", "POST", "targets/merge", json={"sources": [target], "into": into})
    kept = send(words, "root", "GET", f"targets/{target}").json()
    assert (kept["target_id"], kept["note"], kept["tags"]) == (into, "second\nfirst", ["blue"])
    execute(
        words.service.settings.dsn("postgres"),
        "UPDATE archive.products SET target_id = NULL, target_name = NULL WHERE target_id = %s;"
        "UPDATE archive.targets SET merged_into = NULL WHERE merged_into = %s;"
        "DELETE FROM archive.targets WHERE target_id = %s",
        into,
        into,
        into,
    )


@pytest.mark.parametrize(
    ("permission", "changes"),
    [
        ("run_detail_edit_notes", {"note": "x"}),
        ("run_detail_edit_tags", {"tags": []}),
        ("runs_edit", {"reduction_status": "fully"}),
        ("runs_edit", {"photometry": True}),
        ("runs_edit", {"spectroscopy": True}),
    ],
)
def test_each_change_takes_its_permission(words: Blues, permission: str, changes: dict[str, object]) -> None:
    grant(words, *(name for name in GRANTS if name != permission))
    refused = send(words, "bob", "PATCH", "runs/blues", json={**changes, "reason": "r"})
    assert refused.status_code == 403
    assert permission in refused.json()["detail"]
    grant(words, permission)
    assert send(words, "bob", "PATCH", "runs/blues", json=changes).status_code == 200


def test_what_one_does_not_see_cannot_be_written_of(words: Blues) -> None:
    """Eve has every permission, and sees nothing of the project; she learns nothing by her errors."""
    grant(words, *GRANTS)
    target = target_id(words)
    send(words, "bob", "POST", "tags", json={"name": "secret plan"})
    send(words, "bob", "PATCH", "runs/blues", json={"note": "secret", "tags": ["secret plan"]})
    send(words, "bob", "PATCH", f"targets/{target}", json={"note": "secret", "tags": ["secret plan"]})
    for path, nothing in (("runs/blues", "runs/nothing"), (f"targets/{target}", "targets/999999")):
        for method, body in (("GET", None), ("PATCH", {"note": "x"})):
            hidden = send(words, "eve", method, path, json=body)
            absent = send(words, "eve", method, nothing, json=body)
            assert hidden.status_code == absent.status_code == 404
            assert hidden.json()["hint"] == absent.json()["hint"]
    assert send(words, "bob", "GET", "runs/blues").json()["note"] == "secret"
    for user in (None, "eve"):
        for view in ("ost.runs", "ost.targets"):
            rows = words.archive(user).search(f"SELECT tags, note FROM {view} WHERE tags IS NOT NULL")
            assert len(rows) == 0
        assert "secret" not in send(words, user, "GET", "runs?tag=secret plan").text
    # Whoever may give tags knows the words, and not what has them; others know none that they do not see.
    assert send(words, "eve", "GET", "tags/secret plan").json()["runs"] == 0
    assert send(words, None, "GET", "tags").json() == {"tags": [], "next": None}
    assert send(words, None, "GET", "tags/secret plan").status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reason": "none"},
        {"note": "x" * 10_001},
        {"note": "a\u0000b"},
        {"note": "a\u0007b"},
        {"tags": ["nobody's"]},
        {"tags": ["a"] * 51},
        {"tags": "a"},
        {"reduction_status": "perhaps"},
        {"photometry": 1},
        {"name": "other"},
    ],
)
def test_what_will_not_do_is_refused_and_changes_nothing(words: Blues, changes: dict[str, object]) -> None:
    grant(words, *GRANTS)
    before = send(words, "bob", "GET", "runs/blues").json()
    body = changes if changes.keys() <= {"reason"} else {"spectroscopy": True, **changes}
    assert send(words, "bob", "PATCH", "runs/blues", json=body).status_code == 400
    assert send(words, "bob", "GET", "runs/blues").json() == before


@pytest.mark.parametrize(
    "tag",
    [
        {"name": ""},
        {"name": "a,b"},
        {"name": " a"},
        {"name": "a\nb"},
        {"name": "x" * 65},
        {"name": "a", "colour": "red"},
        {"name": "a", "description": "x" * 1001},
    ],
)
def test_a_tag_that_will_not_do(words: Blues, tag: dict[str, str]) -> None:
    assert send(words, "root", "POST", "tags", json=tag).status_code == 400


def test_tags_are_managed_with_the_permission(words: Blues) -> None:
    assert send(words, "bob", "POST", "tags", json={"name": "a"}).status_code == 403
    assert send(words, None, "POST", "tags", json={"name": "a"}).status_code == 401
    grant(words, "tags_manage")
    for name in ("a", "b"):
        assert send(words, "bob", "POST", "tags", json={"name": name}).status_code == 201
    assert send(words, "bob", "POST", "tags", json={"name": "a"}).status_code == 409
    assert send(words, "bob", "PATCH", "tags/a", json={"name": "b"}).status_code == 409
    renamed = send(words, "bob", "PATCH", "tags/a", json={"name": HOSTILE, "colour": "#ff0000"})
    assert (renamed.json()["name"], renamed.json()["colour"]) == (HOSTILE, "#ff0000")
    assert send(words, "bob", "PATCH", "tags/a", json={"colour": "#ff0000"}).status_code == 404
    assert [tag["name"] for tag in send(words, "bob", "GET", "tags").json()["tags"]] == [HOSTILE, "b"]


def test_conditions_save_answers_and_lost_updates(words: Blues) -> None:
    """RFC 9110 section 13: 304 for what is known, 412 for what somebody else has changed."""
    grant(words, *GRANTS)
    seen = send(words, "bob", "GET", "runs/blues")
    tag = seen.headers["ETag"]
    known = send(words, "bob", "GET", "runs/blues", headers={"If-None-Match": f'"other", {tag}'})
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", tag)
    plain = send(words, "bob", "GET", "runs/blues", headers={"Accept-Encoding": "identity"})
    assert plain.headers["ETag"] != tag
    first = send(words, "bob", "PATCH", "runs/blues", json={"note": "a"}, headers={"If-Match": tag})
    assert first.status_code == 200
    again = send(words, "bob", "PATCH", "runs/blues", json={"note": "b"}, headers={"If-Match": tag})
    assert (again.status_code, again.json()["code"]) == (412, "PreconditionFault")
    assert send(words, "bob", "GET", "runs/blues").json()["note"] == "a"
    newer = first.headers["ETag"]
    assert send(words, "bob", "GET", "runs/blues").headers["ETag"] == newer
    done = send(words, "bob", "PATCH", "runs/blues", json={"note": "b"}, headers={"If-Match": newer})
    assert done.status_code == 200
    listed = send(words, None, "GET", "products?limit=5")
    same = send(words, None, "GET", "products?limit=5", headers={"If-None-Match": listed.headers["ETag"]})
    assert same.status_code == 304


@pytest.mark.parametrize(
    ("user", "path", "change"),
    [("anna", "projects/BLUES", {"description": "bluer"}), ("root", "users/eve", {"role": "supervisor"})],
)
def test_other_changes_heed_conditions_too(
    blues: Blues, user: str, path: str, change: dict[str, str]
) -> None:
    seen = send(blues, user, "GET", path)
    for tag, status in (('"another"', 412), (f"W/{seen.headers['ETag']}", 412)):
        refused = send(blues, user, "PATCH", path, json=change, headers={"If-Match": tag})
        assert refused.status_code == status
        assert send(blues, user, "GET", path).json() == seen.json()
    for tag in (seen.headers["ETag"], "*"):
        assert send(blues, user, "PATCH", path, json=change, headers={"If-Match": tag}).status_code == 200
    send(blues, user, "PATCH", path, json={name: seen.json()[name] for name in change})
