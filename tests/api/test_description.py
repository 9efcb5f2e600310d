"""The OpenAPI document, and the form of refusals."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from openapi_spec_validator import validate

from tests.blues import PASSWORD, Blues
from tests.conftest import Service


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{service.url}/api/v1/openapi.json", timeout=60).json()
    return found


def test_the_document_is_valid_and_names_the_server(document: dict[str, Any], service: Service) -> None:
    validate(document)
    assert document["servers"] == [{"url": f"{service.url}/api/v1"}]


def test_every_operation_says_what_it_does_and_how_it_refuses(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            assert "422" not in operation["responses"]
            refusal = operation["responses"]["default"]["content"]
            assert refusal == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }


def test_a_product_is_described_as_it_is_listed(document: dict[str, Any], service: Service) -> None:
    described = document["components"]["schemas"]["Product"]["properties"]
    row = requests.get(f"{service.url}/api/v1/products?limit=1", timeout=60).json()["products"][0]
    assert list(row) == list(described)
    types = {int: "integer", float: "number", str: "string", type(None): "null"}
    assert all(types[type(value)] in described[name]["type"] for name, value in row.items())
    assert described["t_exptime"]["x-unit"] == "s"


@pytest.mark.parametrize("page", ["docs", "redoc", "docs/oauth2-redirect"])
def test_no_page_loads_scripts_from_elsewhere(service: Service, page: str) -> None:
    assert requests.get(f"{service.url}/api/v1/{page}", timeout=60).status_code == 404


def test_every_endpoint_answers_as_it_says(document: dict[str, Any], blues: Blues) -> None:
    """Whoever asks, without a body: the document tells of the status, which is no error of the archive."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            address = f"{blues.service.url}/api/v1{re.sub('{.*?}', 'nothing', path)}"
            for login in (None, ("eve", PASSWORD)):
                response = requests.request(method, address, auth=login, timeout=60)
                assert response.status_code < 500, (method, path)
                if response.status_code >= 400:
                    problem(response, response.status_code)
                else:
                    assert str(response.status_code) in operation["responses"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing", 404),
        ("GET", "projects/NOTHING", 404),
        ("GET", "projects/", 404),
        ("PUT", "products", 405),
        ("GET", "products?limit=0", 400),
        ("GET", "products?limit=many", 400),
        ("GET", "products?colour=blue", 400),
        ("GET", "products?OST_PRIVILEGES=9", 400),
        ("GET", "products?id=%00", 400),
        ("GET", "products?OST_PROJECT=BLUES", 401),
        ("GET", "me", 401),
        ("GET", "users", 401),
        ("GET", "audit", 401),
        ("POST", "products/publish", 401),
    ],
)
def test_anonymous_refusals_are_problems(service: Service, method: str, path: str, status: int) -> None:
    response = requests.request(method, f"{service.url}/api/v1/{path}", timeout=60)
    problem(response, status)
    challenges = response.headers.get("WWW-Authenticate", "")
    assert ("Basic realm=" in challenges) == (status == 401)


def test_a_connection_goes_on_after_an_answer_without_content(blues: Blues) -> None:
    url = f"{blues.service.url}/api/v1/products/lineage"
    body = {"identifier": blues.did("sum"), "progenitors": []}
    with requests.Session() as session:
        session.auth = ("bob", PASSWORD)
        for _ in range(2):
            response = session.put(url, json=body, timeout=60)
            assert (response.status_code, response.content) == (204, b"")
            assert "Content-Type" not in response.headers


@pytest.mark.parametrize("path", ["/api/nothing", "/api/runs/nothing"])
def test_what_is_not_there_is_a_problem_everywhere_below_api(service: Service, path: str) -> None:
    problem(requests.get(f"{service.url}{path}", timeout=60), 404)


def test_405_names_all_methods_of_an_address(service: Service) -> None:
    response = requests.post(f"{service.url}/api/v1/projects/OST", timeout=60)
    assert response.status_code == 405
    assert response.headers["Allow"] == "DELETE, GET, HEAD, PATCH"


def test_head_is_get_without_a_body(service: Service) -> None:
    response = requests.head(f"{service.url}/api/v1/projects", timeout=60)
    assert (response.status_code, response.content) == (200, b"")


def test_a_wrong_password_is_a_problem_too(blues: Blues) -> None:
    url = f"{blues.service.url}/api/v1/me"
    problem(requests.get(url, auth=("bob", "wrong"), timeout=60), 401)


def test_a_body_that_is_too_large_is_refused(blues: Blues) -> None:
    url = f"{blues.service.url}/api/v1/products/publish"
    for body in (b" " * 3_000_000, iter([b" " * 1_000_000] * 3)):
        response = requests.post(
            url, data=body, auth=("bob", PASSWORD), headers={"Content-Type": "application/json"}, timeout=30
        )
        problem(response, 413)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '{"identifiers": [], "privileges": 3}',
        '{"identifiers": "ivo://x/y?1", "privileges": 3}',
        '{"identifiers": ["ivo://x/y?1"], "privileges": true}',
        '{"identifiers": ["ivo://x/y?1"], "privileges": 6}',
        '{"identifiers": ["ivo://x/y?1"], "privileges": 3, "force": true}',
        '{"identifiers": ["a\\u0000b"], "privileges": 3}',
        '{"identifiers": ["\\ud800"], "privileges": 3}',
        '{"identifiers": ["ivo://x/y?1"], "privileges": 3, "reason": "\\u0000"}',
    ],
)
def test_a_body_that_is_not_valid_is_refused(blues: Blues, body: str) -> None:
    response = requests.post(
        f"{blues.service.url}/api/v1/products/publish",
        data=body,
        auth=("bob", PASSWORD),
        headers={"Content-Type": "application/json"},
        timeout=60,
    )
    problem(response, 400)


def test_a_refusal_tells_no_password(blues: Blues) -> None:
    response = requests.put(
        f"{blues.service.url}/api/v1/me/password",
        json={"current": PASSWORD, "password": ["secret words"]},
        auth=("bob", PASSWORD),
        timeout=60,
    )
    problem(response, 400)
    assert PASSWORD not in response.text
    assert "secret words" not in response.text


def problem(response: requests.Response, status: int) -> None:
    """Check that an answer is a problem with a status, and says what to do."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    told = response.json()
    assert set(told) == {"type", "title", "status", "detail", "code", "hint"}
    assert told["status"] == status
    assert told["detail"]
