"""Products over HTTP: who sees which, and what changes that."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.blues import PASSWORD, Blues


class Caller:
    """Somebody who calls the API: a user, or nobody."""

    def __init__(self, blues: Blues, user: str | None) -> None:
        self._blues = blues
        self._login = (user, PASSWORD) if user else None

    def __call__(self, method: str, path: str, **request: Any) -> requests.Response:
        url = f"{self._blues.service.url}/api/v1/{path}"
        return requests.request(method, url, auth=self._login, timeout=60, **request)

    def seen(self, **parameters: object) -> set[str]:
        """Return which products of the project are listed."""
        response = self("GET", "products", params={"run": "blues", **parameters})
        assert response.status_code == 200, response.text
        return {row["obs_publisher_did"].partition("blues-")[2] for row in response.json()["products"]}

    def change(self, action: str, *names: str, **values: object) -> requests.Response:
        identifiers = [self._blues.did(name) for name in names]
        return self("POST", f"products/{action}", json={"identifiers": identifiers, **values})


@pytest.fixture
def bob(blues: Blues) -> Caller:
    return Caller(blues, "bob")


@pytest.fixture
def anna(blues: Blues) -> Caller:
    return Caller(blues, "anna")


@pytest.fixture
def eve(blues: Blues) -> Caller:
    return Caller(blues, "eve")


@pytest.fixture
def nobody(blues: Blues) -> Caller:
    return Caller(blues, None)


def test_publishing_raises_what_a_product_was_made_from(
    blues: Blues, bob: Caller, anna: Caller, eve: Caller, nobody: Caller
) -> None:
    assert (bob.seen(), anna.seen()) == ({"raw1", "raw2", "sum", "other"}, set())
    response = bob.change("publish", "sum", privileges=2, reason="for the group")
    assert sorted(response.json()["changed"]) == [blues.did("raw1"), blues.did("raw2"), blues.did("sum")]
    assert (anna.seen(), eve.seen()) == ({"raw1", "raw2", "sum"}, set())
    assert anna.change("publish", "sum", privileges=4).status_code == 200
    assert blues.levels() == {"raw1": 3, "raw2": 3, "sum": 4, "other": 1}
    assert (eve.seen(), nobody.seen()) == ({"raw1", "raw2", "sum"}, {"sum"})


@pytest.mark.parametrize(
    ("user", "action", "values", "status"),
    [
        ("bob", "publish", {"privileges": 3}, 403),
        ("bob", "publish", {"privileges": 1}, 400),
        ("anna", "publish", {"privileges": 2}, 404),
        ("eve", "publish", {"privileges": 2}, 404),
        ("root", "publish", {"privileges": 2}, 404),
        ("eve", "validity", {"is_valid": False}, 404),
        ("eve", "release", {"release_date": "2027-01-01T00:00:00Z"}, 404),
        ("eve", "delete", {}, 404),
        ("bob", "release", {"release_date": "2027-01-01T00:00:00Z"}, 403),
        ("bob", "release", {"release_date": "2027-01-01T00:00:00"}, 400),
        ("bob", "release", {"release_date": 0}, 400),
        ("bob", "validity", {"is_valid": "no"}, 400),
        ("bob", "validity", {"is_valid": 0}, 400),
        ("bob", "unpublish", {"privileges": 1}, 400),
    ],
)
def test_who_may_not_changes_nothing(
    blues: Blues, user: str, action: str, values: dict[str, object], status: int
) -> None:
    """`other` alone would be possible for bob; with `sum` in the call it stays, too."""
    response = Caller(blues, user).change(action, "other", "sum", **values)
    assert response.status_code == status, response.text
    assert set(blues.levels().values()) == {1}


def test_unpublish_names_what_refers_to_a_product(blues: Blues, bob: Caller, anna: Caller) -> None:
    bob.change("publish", "sum", privileges=2)
    anna.change("publish", "sum", privileges=3)
    response = anna.change("unpublish", "raw1")
    assert response.status_code == 409
    assert blues.did("sum") in response.json()["detail"]
    assert anna.change("unpublish", "sum").json() == {"changed": [blues.did("sum")]}


def test_validity_is_seen_and_filtered_by(bob: Caller) -> None:
    assert bob.change("validity", "other", is_valid=False).status_code == 200
    assert bob.seen(is_valid="false") == {"other"}
    assert bob.seen(is_valid="true") == {"raw1", "raw2", "sum"}
    assert bob.change("validity", "other", is_valid=False).json() == {"changed": []}


def test_a_release_date_shows_a_product_to_everybody(bob: Caller, anna: Caller, nobody: Caller) -> None:
    bob.change("publish", "other", privileges=2)
    assert anna.change("release", "other", release_date="2020-01-01T00:00:00+01:00").status_code == 200
    row = nobody("GET", "products", params={"run": "blues"}).json()["products"][0]
    assert row["obs_release_date"] == "2019-12-31T23:00:00Z"
    assert (row["data_rights"], row["privileges"]) == ("public", 2)
    assert anna.change("release", "other", release_date=None).status_code == 200
    assert nobody.seen() == set()


def test_delete_refuses_what_others_were_made_from(blues: Blues, bob: Caller) -> None:
    assert bob.change("delete", "raw1").status_code == 409
    assert bob.change("delete", "raw1", "sum").status_code == 200
    assert set(blues.levels()) == {"raw2", "other"}


def test_lineage_shows_what_the_caller_may_see(blues: Blues, bob: Caller, anna: Caller, eve: Caller) -> None:
    assert bob("GET", "products/lineage", params={"id": blues.did("raw1")}).json() == {
        "identifier": blues.did("raw1"),
        "progenitors": [],
        "derivations": [blues.did("sum")],
    }
    body = {"identifier": blues.did("other"), "progenitors": [blues.did("sum")]}
    assert bob("PUT", "products/lineage", json=body).status_code == 204
    found = bob("GET", "products/lineage", params={"id": blues.did("other")}).json()
    assert found["progenitors"] == [blues.did("sum")]
    cycle = {"identifier": blues.did("raw1"), "progenitors": [blues.did("other")]}
    assert bob("PUT", "products/lineage", json=cycle).status_code == 409
    assert eve("GET", "products/lineage", params={"id": blues.did("other")}).status_code == 404
    assert anna("PUT", "products/lineage", json=body).status_code == 404


def test_pages_follow_each_other(blues: Blues, bob: Caller) -> None:
    names, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        parameters = {"run": "blues", "limit": 3, **({"cursor": cursor} if cursor else {})}
        page = bob("GET", "products", params=parameters).json()
        names += [row["obs_publisher_did"] for row in page["products"]]
        cursor, pages = page["next"], pages + 1
    assert pages == 2
    assert names == sorted(blues.did(name) for name in ("raw1", "raw2", "sum", "other"))


def test_filters_narrow(blues: Blues, bob: Caller) -> None:
    bob.change("publish", "other", privileges=2)
    assert bob.seen(privileges=2) == {"other"}
    assert bob.seen(creator="bob", project="BLUES") == {"raw1", "raw2", "sum", "other"}
    assert bob.seen(creator="anna") == set()
    assert bob.seen(id=[blues.did("raw1"), blues.did("sum"), "ivo://nothing"]) == {"raw1", "sum"}


def test_parameters_choose_a_context_for_one_request(bob: Caller, eve: Caller) -> None:
    bob.change("publish", "sum", privileges=2)
    assert bob.seen(OST_PRIVILEGES=2) == {"raw1", "raw2", "sum"}
    assert bob.seen(OST_PROJECT="OST") == {"other"}
    assert bob.seen(OST_PROJECT="OST", OST_PRIVILEGES=2) == set()
    assert bob.seen() == {"raw1", "raw2", "sum", "other"}
    for project, status in (("BLUES", 403), ("NOTHING", 403), ("\0", 400), ("ü", 400)):
        assert eve("GET", "products", params={"OST_PROJECT": project}).status_code == status


def test_the_audit_log_tells_who_and_why(blues: Blues, bob: Caller, anna: Caller) -> None:
    bob.change("publish", "other", privileges=2, reason="ready")
    parameters = {"project": "BLUES", "subject": blues.did("other"), "limit": 1}
    entry = anna("GET", "audit", params=parameters).json()["entries"][0]
    assert (entry["actor"], entry["action"], entry["reason"]) == ("bob", "products update", "ready")
    assert (entry["old_value"], entry["new_value"]) == ({"privileges": 1}, {"privileges": 2})
    assert bob("GET", "audit", params=parameters).status_code == 403
