"""What administrators may do to jobs of others, and what nobody else may."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from click.testing import Result
from typer.testing import CliRunner

from ost_vo.access.actor import OPERATOR
from ost_vo.cli import app
from ost_vo.services import people
from ost_vo.store.connections import Database
from ost_vo.vo.uws import public_name
from tests.blues import PASSWORD
from tests.conftest import execute
from tests.downloads.conftest import SECRET, Client, Night, blues_project, night

__all__ = ["blues_project", "night"]

# Who may see all jobs, and who may do everything to them.
LOOKER, STAFF = "jobs-looker", "jobs-staff"


@pytest.fixture(scope="module")
def office(night: Night) -> Iterator[Night]:
    """The run, with a supervisor and somebody of the staff."""
    settings = night.service.settings
    database = Database(settings.dsn("ost_accounts"), 1)
    people.create(database, OPERATOR, LOOKER, PASSWORD, role="supervisor")
    people.create(database, OPERATOR, STAFF, PASSWORD, role="staff")
    database.close()
    yield night
    execute(settings.dsn("ost_owner"), "DELETE FROM archive.users WHERE name IN (%s, %s)", LOOKER, STAFF)


class Administration:
    """The API of jobs, as somebody uses it."""

    def __init__(self, office: Night, user: str | None) -> None:
        self._url = f"{office.service.url}/api/v1/jobs"
        self._session = requests.Session()
        self._session.auth = (user, PASSWORD) if user else None

    def ask(self, path: str = "", method: str = "GET", **body: object) -> requests.Response:
        """Send a request; a GET has its parameters in the query."""
        fields = {"params": body} if method in ("GET", "DELETE") else {"json": body}
        return self._session.request(method, f"{self._url}{path}", timeout=60, **fields)

    def listed(self, **query: object) -> dict[str, dict[str, object]]:
        """Return the jobs of all pages, by their ids."""
        found: dict[str, dict[str, object]] = {}
        cursor: dict[str, object] = {}
        while True:
            answer = self.ask(**{"limit": 2, **query, **cursor})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found |= {job["job_id"]: job for job in page["jobs"]}
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}


def waiting(client: Client) -> str:
    """Create a query that waits to be started; return its URL."""
    answer = client.session.post(
        f"{client.base}/tap/async", {"QUERY": "SELECT 1 AS a FROM tap_schema.tables"}, timeout=60
    )
    return answer.url


def id_of(job: str) -> str:
    return job.rsplit("/", 1)[1]


def log(office: Night, subject: str) -> list[tuple]:
    return office.execute(
        "SELECT actor, action, old_value ->> 'owner', old_value ->> 'phase', new_value ->> 'phase', reason"
        " FROM archive.audit WHERE subject = %s ORDER BY audit_id",
        subject,
    )


def test_own_jobs_of_all_kinds_are_listed_with_their_progress(office: Night) -> None:
    bob = Client(office.service, "bob")
    query, download = waiting(bob), bob.completed(ID=office.did("light 1.fits"))
    cutouts = bob.session.post(f"{bob.base}/soda/async", {"ID": "x"}, timeout=60).url
    jobs = Administration(office, "bob").listed()
    assert {"tap", "soda", "download"} == {job["kind"] for job in jobs.values()}
    assert {jobs[id_of(url)]["url"] for url in (query, download, cutouts)} == {query, download, cutouts}
    made = jobs[id_of(download)]
    assert (made["owner"], made["phase"], made["progress"]["files_done"]) == ("bob", "COMPLETED", 1)
    assert "archive" in {result["id"] for result in made["results"]}
    assert Administration(office, "bob").listed(kind="tap", phase="PENDING").keys() >= {id_of(query)}
    assert not Administration(office, "eve").listed()
    whole = Administration(office, "bob").ask(f"/{id_of(download)}").json()
    assert ["ID", office.did("light 1.fits")] in whole["parameters"]


def test_others_see_and_change_nothing(office: Night) -> None:
    bob = Client(office.service, "bob")
    job = waiting(bob)
    for user, status in ((None, 401), ("eve", 403)):
        other = Administration(office, user)
        for path, method, body in (
            (f"/{id_of(job)}", "GET", {}),
            (f"/{id_of(job)}/cancel", "POST", {}),
            (f"/{id_of(job)}/destruction", "PUT", {"destruction": "2026-01-01T00:00:00Z"}),
            (f"/{id_of(job)}", "DELETE", {}),
            ("", "GET", {"everybody": "true"}),
        ):
            assert other.ask(path, method, **body).status_code == status, (user, path, method)
    assert bob.document(job).findtext("{*}phase") == "PENDING"


def test_who_may_see_all_jobs_may_not_change_them(office: Night) -> None:
    bob, looker = Client(office.service, "bob"), Client(office.service, LOOKER)
    api = Administration(office, LOOKER)
    job = waiting(bob)
    assert api.listed(everybody="true", owner="bob").keys() >= {id_of(job)}
    assert looker.document(job).findtext("{*}phase") == "PENDING"
    assert looker.document(job).findtext("{*}ownerId") == "bob"
    for path, fields in (
        ("/phase", {"PHASE": "ABORT"}),
        ("/phase", {"PHASE": "RUN"}),
        ("/destruction", {"DESTRUCTION": "2026-01-01"}),
        ("/parameters", {"QUERY": "x"}),
        ("/executionduration", {"EXECUTIONDURATION": "1"}),
        ("", {"ACTION": "DELETE"}),
    ):
        assert looker.session.post(job + path, fields, timeout=60).status_code == 403, path
    assert api.ask(f"/{id_of(job)}/cancel", "POST").status_code == 403
    assert bob.document(job).findtext("{*}phase") == "PENDING"
    assert log(office, id_of(job)) == []


def test_the_staff_aborts_keeps_and_destroys_jobs_and_the_log_tells(office: Night) -> None:
    bob, api = Client(office.service, "bob"), Administration(office, STAFF)
    job = waiting(bob)
    until = f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%dT00:00:00Z}"
    kept = api.ask(f"/{id_of(job)}/destruction", "PUT", destruction=until, reason="a week more")
    assert kept.json()["destruction"].startswith(until[:-1])
    assert api.ask(f"/{id_of(job)}/cancel", "POST", reason="too long").json()["phase"] == "ABORTED"
    assert bob.document(job).findtext("{*}phase") == "ABORTED"
    assert api.ask(f"/{id_of(job)}", "DELETE", reason="gone").status_code == 204
    assert bob.get(job).status_code == 404
    assert log(office, id_of(job)) == [
        (STAFF, "jobs update", "bob", "PENDING", "PENDING", "a week more"),
        (STAFF, "jobs update", "bob", "PENDING", "ABORTED", "too long"),
        (STAFF, "jobs delete", "bob", "ABORTED", None, "gone"),
    ]
    own = waiting(bob)
    bob.session.post(f"{own}/phase", {"PHASE": "ABORT"}, timeout=60)
    assert log(office, id_of(own)) == []


def test_an_anonymous_job_is_met_without_its_key(office: Night) -> None:
    somebody, api = Client(office.service), Administration(office, STAFF)
    key = id_of(waiting(somebody))
    jobs = api.listed(everybody="true", owner="")
    name = public_name(key)
    assert (jobs[name]["owner"], jobs[name]["url"]) == (None, None)
    assert key not in str(jobs)
    assert api.ask(f"/{name}/cancel", "POST").json()["phase"] == "ABORTED"
    assert [entry[:2] for entry in log(office, name)] == [(STAFF, "jobs update")]
    assert Administration(office, "bob").ask(f"/{name}").status_code == 404


def test_an_administrator_gets_archives_of_what_he_sees_himself(office: Night) -> None:
    bob, staff = Client(office.service, "bob"), Client(office.service, STAFF)
    seen, unseen = bob.completed(ID=office.did("light 1.fits")), bob.completed(ID=office.did(SECRET))
    archive = zipfile.ZipFile(io.BytesIO(staff.result(seen)))
    assert any(name.endswith("light 1.fits") for name in archive.namelist())
    assert Client(office.service, "eve").get(f"{seen}/results/archive").status_code == 403
    for name in ("archive", "manifest", "script"):
        answer = staff.get(f"{unseen}/results/{name}")
        assert answer.status_code == 403
        assert "You may not see all" in answer.text
    cutouts = f"{bob.base}/soda/async"
    job = bob.session.post(cutouts, {"ID": [office.did("light 1.fits")] * 2, "PHASE": "RUN"}, timeout=60).url
    bob.ended(job)
    assert staff.document(job).findtext("{*}phase") in ("COMPLETED", "ERROR")
    assert staff.get(f"{job}/results/manifest.csv").status_code == 403


def test_the_command_lists_shows_and_cancels(office: Night) -> None:
    bob, somebody = Client(office.service, "bob"), Client(office.service)
    job, hidden = id_of(waiting(bob)), public_name(id_of(waiting(somebody)))
    settings = office.service.settings
    environment = {"OST_VO_STATE": str(settings.state), "OST_VO_PORT": str(settings.port)}

    def say(*words: str) -> Result:
        return CliRunner().invoke(app, ["jobs", *words], env=environment)

    assert {job, hidden} <= set(say("list").stdout.split())
    assert job not in say("list", "--as", "eve").stdout
    assert "SELECT 1" in say("show", job).stdout
    assert say("show", job, "--as", "eve").exception is not None
    for name in (job, hidden):
        assert say("cancel", name, "--yes", "--reason", "maintenance").stdout == f"{name} is ABORTED.\n"
        assert [(entry[0], entry[5]) for entry in log(office, name)] == [("(operator)", "maintenance")]
