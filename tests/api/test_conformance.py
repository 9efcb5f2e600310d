"""The service does what its OpenAPI document says: schemathesis sends it good requests and bad ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks

from tests.blues import PASSWORD, Blues
from tests.conftest import execute

# Requests of each operation: good ones, and with a token bad ones.
EXAMPLES = {GenerationMode.POSITIVE: 2, GenerationMode.NEGATIVE: 1}
# What a request may not combine, and what there must be of what it names, no schema can say.
NOT_SAID = [openapi_checks.positive_data_acceptance]
# Wrong guesses of a password count against everybody who comes from here.
LEFT_OUT = {"/me/password"}


# What bob may do besides: nothing that others would feel.
HARMLESS = (
    "admin_audit_log_view",
    "banner_manage",
    "datafiles_plate_solve",
    "datafiles_reevaluate",
    "objects_view_private",
    "system_settings_view",
    "tags_manage",
)


@pytest.fixture
def token(blues: Blues) -> Iterator[str]:
    """A token of bob for everything that he may do."""
    url = f"{blues.service.url}/api/v1"
    for permission in HARMLESS:
        path = f"{url}/permissions/student/{permission}"
        requests.put(path, json={"is_granted": True}, auth=("root", PASSWORD), timeout=60)
    body = {"name": "conformance", "scopes": ["read", "write", "admin"], "days": 1}
    yield requests.post(f"{url}/me/tokens", json=body, auth=("bob", PASSWORD), timeout=60).json()["token"]
    execute(
        blues.service.settings.dsn("postgres"),
        "DELETE FROM archive.tags; DELETE FROM archive.banner; DELETE FROM archive.tokens;"
        " UPDATE archive.role_permissions SET is_granted = permission IN ('users_view', 'system_health_view')"
        " WHERE role = 'student'",
    )


@pytest.mark.parametrize("is_known", [False, True], ids=["anonymous", "token"])
def test_the_document_is_true(blues: Blues, token: str, is_known: bool) -> None:
    url = f"{blues.service.url}/api/v1"
    document = requests.get(f"{url}/openapi.json", timeout=60).json()
    found: list[str] = []
    made = 0
    with requests.Session() as session:
        if is_known:
            session.headers["Authorization"] = f"Bearer {token}"
        for result in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = result.ok()
            # Anonymous callers may only look.
            if operation.path in LEFT_OUT or not (is_known or operation.method.upper() == "GET"):
                continue
            for mode in EXAMPLES if is_known else (GenerationMode.POSITIVE,):

                @settings(
                    max_examples=EXAMPLES[mode],
                    derandomize=True,
                    database=None,
                    deadline=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def ask(case: schemathesis.Case) -> None:
                    nonlocal made
                    made += 1
                    try:
                        case.call_and_validate(
                            base_url=url, session=session, timeout=60, excluded_checks=NOT_SAID
                        )
                    except* checks.Failure as failures:
                        found.extend(f"{case.operation.label}: {failure}" for failure in failures.exceptions)

                try:
                    ask()
                except Unsatisfiable:
                    # Nothing can be wrong with a request that takes nothing.
                    assert mode is GenerationMode.NEGATIVE
    assert not found, "\n\n".join(found)
    assert made > (100 if is_known else 20)
