"""The page of jobs: one's own, everybody's with the permission, and what may be done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests

from tests.blues import PASSWORD, Blues
from tests.conftest import execute

Open = Callable[[str | None], requests.Session]


@pytest.fixture
def browsing(blues: Blues) -> Iterator[Open]:
    """Open a browser in which a user has logged in, or nobody."""
    opened: dict[str | None, requests.Session] = {}

    def browser(user: str | None) -> requests.Session:
        if user not in opened:
            session = opened[user] = requests.Session()
            session.headers["Accept"] = "text/html"
            if user:
                login = {"username": user, "password": PASSWORD}
                assert session.post(f"{blues.service.url}/login", data=login, timeout=60).status_code == 200
        return opened[user]

    yield browser
    for session in opened.values():
        session.close()
    execute(
        blues.service.settings.dsn("postgres"),
        "DELETE FROM archive.jobs USING archive.users"
        " WHERE user_id = owner_id AND users.name IN ('anna', 'bob', 'eve', 'root')",
    )


@pytest.fixture
def job(blues: Blues, browsing: Open) -> str:
    """The id of a query of bob's that has been run."""
    query = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 obs_id FROM ost.products", "PHASE": "RUN"}
    url = browsing("bob").post(f"{blues.service.url}/tap/async", data=query, timeout=60).url
    while (phase := browsing("bob").get(f"{url}/phase", timeout=60).text) in ("QUEUED", "EXECUTING"):
        browsing("bob").get(url, params={"WAIT": "30", "PHASE": phase}, timeout=60)
    assert phase == "COMPLETED"
    return url.rsplit("/", 1)[-1]


def test_jobs_are_listed_with_their_results(blues: Blues, browsing: Open, job: str) -> None:
    url = blues.service.url
    result = f"{url}/tap/async/{job}/results/result"
    for path in ("/jobs", "/jobs?kind=tap&phase=COMPLETED", f"/jobs/{job}"):
        page = browsing("bob").get(f"{url}{path}", timeout=60)
        assert (page.status_code, f'href="{result}"' in page.text) == (200, True), path
    assert job not in browsing("bob").get(f"{url}/jobs?phase=ABORTED", timeout=60).text
    assert "SELECT TOP 1 obs_id" in browsing("bob").get(f"{url}/jobs/{job}", timeout=60).text
    assert browsing("bob").get(f"{url}/jobs?phase=NOTHING", timeout=60).status_code == 400
    assert browsing("bob").get(result, timeout=60).status_code == 200


def test_jobs_of_others_are_for_those_with_the_permission(blues: Blues, browsing: Open, job: str) -> None:
    url = blues.service.url
    for path in ("/jobs", "/jobs?owner=bob"):
        assert job not in browsing("eve").get(f"{url}{path}", timeout=60).text
    assert browsing("eve").get(f"{url}/jobs?everybody=1", timeout=60).status_code == 403
    assert browsing("eve").get(f"{url}/jobs/{job}", timeout=60).status_code == 403
    assert browsing("eve").post(f"{url}/jobs/{job}", data={"do": "delete"}, timeout=60).status_code == 403
    listed = browsing("root").get(f"{url}/jobs?everybody=1&owner=bob", timeout=60).text
    assert (job in listed, "<td>bob</td>" in listed) == (True, True)
    assert job not in browsing("root").get(f"{url}/jobs", timeout=60).text
    to = browsing(None).get(f"{url}/jobs", allow_redirects=False, timeout=60).headers["Location"]
    assert to == f"{url}/login"
    assert browsing(None).get(f"{url}/jobs/{job}", timeout=60).status_code == 401
    assert browsing(None).post(f"{url}/jobs/{job}", data={"do": "delete"}, timeout=60).status_code == 401
    assert browsing("bob").get(f"{url}/jobs/{job}", timeout=60).status_code == 200


def test_jobs_are_stopped_and_deleted(blues: Blues, browsing: Open, job: str) -> None:
    url, bob, root = blues.service.url, browsing("bob"), browsing("root")
    query = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 obs_id FROM ost.products"}
    waiting = bob.post(f"{url}/tap/async", data=query, timeout=60).url.rsplit("/", 1)[-1]
    foreign = {"Origin": "https://evil.example"}
    answer = bob.post(f"{url}/jobs/{waiting}", data={"do": "cancel"}, headers=foreign, timeout=60)
    assert answer.status_code == 403
    form = {"do": "cancel", "reason": "in the way"}
    assert "aborted" in root.post(f"{url}/jobs/{waiting}", data=form, timeout=60).text.lower()
    assert bob.get(f"{url}/tap/async/{waiting}/phase", timeout=60).text == "ABORTED"
    assert "in the way" in root.get(f"{url}/administration/audit", timeout=60).text
    assert bob.post(f"{url}/jobs/{job}", data={"do": "dance"}, timeout=60).status_code == 400
    left = bob.post(f"{url}/jobs/{job}", data={"do": "delete"}, timeout=60)
    assert (left.url, job in left.text, waiting in left.text) == (f"{url}/jobs", False, True)
    assert bob.get(f"{url}/jobs/{job}", timeout=60).status_code == 404
