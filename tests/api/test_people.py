"""Users, tokens, projects and the kept context over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
import requests

from tests.blues import PASSWORD, Blues
from tests.conftest import execute

Call = Callable[..., requests.Response]


@pytest.fixture
def call(blues: Blues) -> Call:
    def send(user: str | None, method: str, path: str, **request: object) -> requests.Response:
        login = (user, PASSWORD) if user else None
        url = f"{blues.service.url}/api/v1/{path}"
        return requests.request(method, url, timeout=60, **{"auth": login, **request})

    return send


def bearer(token: str) -> dict[str, dict[str, str] | None]:
    return {"headers": {"Authorization": f"Bearer {token}"}, "auth": None}


def test_me_says_who_i_am(call: Call) -> None:
    me = call("bob", "GET", "me").json()
    assert (me["name"], me["role"], me["is_superuser"]) == ("bob", "student", False)
    assert me["permissions"] == ["system_health_view", "users_view"]
    assert me["scopes"] == ["admin", "read", "write"]
    assert me["context"] == {"project": None, "privileges": 1}


def test_the_context_is_kept(call: Call) -> None:
    wanted = {"project": "BLUES", "privileges": 2}
    assert call("bob", "PUT", "me/context", json=wanted).json() == wanted
    assert call("bob", "GET", "me/context").json() == wanted
    assert call("bob", "PUT", "me/context", json={"project": "BLUES"}).json()["privileges"] == 1
    assert call("bob", "PUT", "me/context", json={}).json() == {"project": None, "privileges": 1}
    assert call("eve", "PUT", "me/context", json=wanted).status_code == 403


def test_a_token_is_good_for_its_scopes_until_it_is_revoked(blues: Blues, call: Call) -> None:
    made = call("bob", "POST", "me/tokens", json={"name": "a/b", "scopes": ["read"], "days": 1}).json()
    token = made["token"]
    assert call(None, "GET", "me", **bearer(token)).json()["scopes"] == ["read"]
    body = {"identifiers": [blues.did("sum")], "privileges": 2}
    refused = call(None, "POST", "products/publish", json=body, **bearer(token))
    assert (refused.status_code, refused.json()["code"]) == (403, "AuthorizationFault")
    more = {"name": "more", "scopes": ["write"]}
    assert call(None, "POST", "me/tokens", json=more, **bearer(token)).status_code == 403
    listed = call("bob", "GET", "me/tokens").json()["tokens"]
    assert [(item["name"], item["revoked"], "token" in item) for item in listed] == [("a/b", None, False)]
    assert call("bob", "DELETE", "me/tokens/a%2Fb").status_code == 204
    assert call(None, "GET", "me", **bearer(token)).status_code == 401


def test_users_are_made_changed_and_deleted(call: Call) -> None:
    wanted = {"name": "dora", "password": PASSWORD, "role": "staff"}
    assert call("bob", "POST", "users", json=wanted).status_code == 403
    made = call("root", "POST", "users", json=wanted)
    assert (made.status_code, made.json()["role"]) == (201, "staff")
    assert call("root", "POST", "users", json=wanted).status_code == 409
    assert call("root", "PATCH", "users/dora", json={"role": "student"}).json()["role"] == "student"
    both = {"role": "staff", "is_active": False}
    assert call("root", "PATCH", "users/dora", json=both).status_code == 400
    assert (
        call("dora", "PUT", "me/password", json={"current": "wrong", "password": "x" * 12}).status_code == 401
    )
    assert not call("root", "PATCH", "users/dora", json={"is_active": False}).json()["is_active"]
    assert call("dora", "GET", "me").status_code == 401
    assert call("root", "DELETE", "users/dora?reason=test").status_code == 204
    assert "dora" not in {user["name"] for user in call("bob", "GET", "users").json()["users"]}


def test_a_password_is_changed_by_its_owner(call: Call) -> None:
    call("root", "POST", "users", json={"name": "dora", "password": PASSWORD})
    new = "another long password"
    change = {"current": PASSWORD, "password": new}
    assert call("dora", "PUT", "me/password", json=change).status_code == 204
    assert call("dora", "GET", "me").status_code == 401
    assert call(None, "GET", "me", auth=("dora", new)).status_code == 200
    assert call("root", "DELETE", "users/dora").status_code == 204


def test_the_matrix_is_for_those_who_may(call: Call) -> None:
    assert call("bob", "GET", "permissions").json()["student"]["users_view"]
    path = "permissions/supervisor/tags_manage"
    assert call("bob", "PUT", path, json={"is_granted": False}).status_code == 403
    assert not call("root", "PUT", path, json={"is_granted": False}).json()["supervisor"]["tags_manage"]
    assert call("root", "PUT", path, json={"is_granted": True}).json()["supervisor"]["tags_manage"]
    assert call("root", "PUT", "permissions/student/flying", json={"is_granted": True}).status_code == 404


def test_a_private_project_is_known_to_its_members(call: Call) -> None:
    names = {
        user: {p["name"] for p in call(user, "GET", "projects").json()["projects"]}
        for user in ("bob", "eve", None)
    }
    assert "BLUES" in names["bob"]
    assert "BLUES" not in names["eve"] | names[None]
    assert call("eve", "GET", "projects/BLUES").status_code == 404
    assert call("eve", "GET", "projects/BLUES/members").status_code == 404
    assert call(None, "GET", "projects/OST").json()["is_member"] is False


def test_projects_are_made_changed_and_deleted(call: Call) -> None:
    assert call("bob", "POST", "projects", json={"name": "BLUES2"}).status_code == 403
    made = call("root", "POST", "projects", json={"name": "BLUES2", "is_public": True, "manager": "anna"})
    assert (made.status_code, made.json()["max_privileges"]) == (201, 4)
    changed = call("anna", "PATCH", "projects/BLUES2", json={"description": "second"}).json()
    assert (changed["description"], changed["is_manager"]) == ("second", True)
    assert call("anna", "PATCH", "projects/BLUES2", json={"is_public": False}).status_code == 403
    assert call("root", "PATCH", "projects/BLUES2", json={"max_privileges": 5}).status_code == 400
    assert call("root", "DELETE", "projects/BLUES2").status_code == 204
    assert call("root", "DELETE", "projects/BLUES").status_code == 409


def test_managers_take_members_in_and_out(call: Call) -> None:
    path = "projects/BLUES/members/eve"
    assert call("bob", "PUT", path, json={}).status_code == 403
    assert call("anna", "PUT", path, json={"is_manager": False}).json() == {
        "user": "eve",
        "is_manager": False,
    }
    members = call("eve", "GET", "projects/BLUES/members").json()
    assert {member["user"] for member in members} == {"anna", "bob", "eve"}
    assert call("eve", "DELETE", path).status_code == 204
    assert call("eve", "GET", "projects/BLUES").status_code == 404
    assert call("anna", "DELETE", "projects/BLUES/members/anna").status_code == 409
    assert call("anna", "PUT", "projects/BLUES/members/nobody", json={}).status_code == 404


def test_creation_scopes_are_set_by_keepers(call: Call) -> None:
    wanted = {"directory": "blues/raw", "project": "BLUES", "creator": "bob", "privileges": 2}
    assert call("anna", "PUT", "creation-scopes", json=wanted).status_code == 403
    assert call("root", "PUT", "creation-scopes", json=wanted).json() == wanted
    assert wanted in call("root", "GET", "creation-scopes").json()
    assert call("root", "PUT", "creation-scopes", json={**wanted, "creator": "eve"}).status_code == 403
    assert call("root", "DELETE", "creation-scopes?directory=blues/raw").status_code == 204
    assert call("root", "DELETE", "creation-scopes?directory=blues/raw").status_code == 404


def test_the_log_is_paged(call: Call) -> None:
    first = call("root", "GET", "audit?limit=2").json()
    second = call("root", "GET", f"audit?limit=2&cursor={first['next']}").json()
    numbers = [entry["audit_id"] for entry in first["entries"] + second["entries"]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 4


def test_a_page_of_another_site_cannot_act_in_a_users_name(blues: Blues, call: Call) -> None:
    body = {"identifiers": [blues.did("sum")], "privileges": 2}
    headers = {"Origin": "https://elsewhere.example"}
    assert call("bob", "POST", "products/publish", json=body, headers=headers).status_code == 403
    assert blues.levels()["sum"] == 1


@pytest.mark.parametrize("path", ["users", "projects", "tags", "me/tokens"])
def test_what_is_listed_by_name_comes_in_pages(blues: Blues, call: Call, path: str) -> None:
    dsn = blues.service.settings.dsn("postgres")
    execute(dsn, "INSERT INTO archive.tags (name) VALUES ('Blue'), ('azure'), ('cyan')")
    names = [f"{path} {number}" for number in range(3)] if path == "me/tokens" else []
    for name in names:
        assert call("root", "POST", "me/tokens", json={"name": name, "scopes": ["read"]}).status_code == 201
    key = path.removeprefix("me/")
    whole = call("root", "GET", path).json()
    found, cursor = [], ""
    while cursor is not None:
        page = call("root", "GET", path, params={"limit": 1, "cursor": cursor}).json()
        assert len(page[key]) == 1
        found += page[key]
        cursor = page["next"]
    assert (found, whole["next"]) == (whole[key], None)
    assert len(found) > 1
    assert call("root", "GET", path, params={"limit": 0}).status_code == 400
    for name in names:
        call("root", "DELETE", f"me/tokens/{name}")
    execute(dsn, "DELETE FROM archive.tags")


@pytest.mark.parametrize(
    ("path", "body", "meanwhile"),
    [
        ("users/eve", {"is_active": False}, "UPDATE archive.users SET full_name = 'E' WHERE name = 'eve'"),
        (
            "projects/BLUES",
            {"instrument": "CCD"},
            "UPDATE archive.projects SET description = 'x' WHERE name = 'BLUES'",
        ),
    ],
)
def test_nothing_changes_between_looking_and_changing(
    blues: Blues, call: Call, path: str, body: dict[str, object], meanwhile: str
) -> None:
    """A change waits for another one that has begun before, and then sees it."""
    seen = call("root", "GET", path)
    headers = {"If-Match": seen.headers["ETag"]}
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'ost_accounts'"
    )
    dsn = blues.service.settings.dsn("postgres")
    with ThreadPoolExecutor(1) as pool, closing(psycopg2.connect(dsn)) as other:
        with other, other.cursor() as cursor:
            cursor.execute(meanwhile)
            answer = pool.submit(call, "root", "PATCH", path, json=body, headers=headers)
            while blues.rows(waiting) == [(0,)]:
                assert not answer.done()
        assert answer.result().status_code == 412
    headers = {"If-Match": call("root", "GET", path).headers["ETag"]}
    assert call("root", "PATCH", path, json=body, headers=headers).status_code == 200
    call("root", "PATCH", path, json={name: seen.json()[name] for name in body})
