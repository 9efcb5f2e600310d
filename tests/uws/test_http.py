"""Jobs of /tap/async by plain HTTP: every resource, every request, every answer that is refused."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
import requests
from lxml import etree

from ost_vo.access.actor import OPERATOR
from ost_vo.services import people
from ost_vo.services.logins import Logins
from ost_vo.store.connections import Database
from ost_vo.web.uws import WAIT_SECONDS
from tests.conftest import Service, execute

SCHEMATA = Path("/usr/lib/python3/dist-packages/gavo/resources/schemata")
QUERY = "SELECT TOP 5 obs_id FROM ivoa.obscore ORDER BY obs_id"
WAIT = 120


class Client:
    """A client that follows no redirection.

    Attributes:
        url: of the job list.
        settings: of the archive.
        session: of the client.
    """

    def __init__(self, service: Service) -> None:
        self.url = f"{service.url}/tap/async"
        self.settings = service.settings
        self.session = requests.Session()

    def become(self, name: str) -> None:
        """Make an account of that name, and log in."""
        database = Database(self.settings.dsn("ost_accounts"), 1)
        people.create(database, OPERATOR, name)
        session = Logins(database, self.settings).start_session(people.actor_named(database, name))
        database.close()
        self.session.cookies.set("ost_session", session)

    def get(self, url: str, **parameters: object) -> requests.Response:
        return self.session.get(url, params=parameters, timeout=60, allow_redirects=False)

    def post(self, url: str, **fields: object) -> requests.Response:
        return self.session.post(url, data=fields, timeout=60, allow_redirects=False)

    def request(self, method: str, url: str, **headers: str) -> requests.Response:
        return self.session.request(method, url, headers=headers, timeout=60, allow_redirects=False)

    def create(self, **fields: object) -> str:
        """Create a job and return its URL."""
        response = self.post(self.url, **{"LANG": "ADQL", "QUERY": QUERY, **fields})
        assert response.status_code == 303, response.text
        return response.headers["Location"]

    def document(self, url: str, **parameters: object) -> etree._Element:
        response = self.get(url, **parameters)
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"].startswith("text/xml")
        return etree.fromstring(response.content)

    def phase(self, url: str) -> str:
        return self.get(f"{url}/phase").text

    def ended(self, url: str) -> str:
        """Wait for a job and return its last phase."""
        deadline = time.monotonic() + WAIT
        while (phase := self.document(url, WAIT=5).findtext("{*}phase")) in (
            "PENDING",
            "QUEUED",
            "EXECUTING",
        ):
            assert time.monotonic() < deadline
        return phase

    def listed(self, **filters: object) -> list[str]:
        """Return the ids of a job list."""
        return [job.get("id") for job in self.document(self.url, **filters)]

    def execute(self, statement: str, *values: object) -> list[tuple]:
        return execute(self.settings.dsn("ost_owner"), statement, *values)


@pytest.fixture(scope="module")
def client(service: Service) -> Client:
    return Client(service)


@pytest.fixture(scope="module")
def owner(service: Service) -> Client:
    """A client that has logged in: only then a list has jobs."""
    owner = Client(service)
    owner.become(f"u{uuid.uuid4().hex[:8]}")
    return owner


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    class Local(etree.Resolver):
        """Finds imported schemas on disk, so that no test reaches the network."""

        def resolve(self, url: str, public_id: str, context: object) -> object:
            del public_id
            path = SCHEMATA / url.rsplit("/", 1)[-1]
            return self.resolve_filename(str(path), context) if path.exists() else None

    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Local())
    return etree.XMLSchema(etree.parse(SCHEMATA / "UWS.xsd", parser))


def slow(mark: str = "") -> str:
    """Return a query that takes longer than any test."""
    tables = ", ".join(f"ivoa.obscore AS t{number}" for number in range(9))
    condition = f"t0.obs_id <> 'x{mark}' AND t1.obs_id <> t2.obs_id"
    return " ".join(["SELECT COUNT(*) AS n FROM", tables, "WHERE", condition])


def seconds_from_now(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


def test_a_new_job_waits_to_be_run(client: Client) -> None:
    url = client.create(RUNID="mine", MAXREC=3)
    job = client.document(url)
    assert job.get("version") == "1.1"
    assert job.findtext("{*}phase") == "PENDING"
    assert job.findtext("{*}runId") == "mine"
    assert job.findtext("{*}creationTime").endswith("Z")
    assert job.find("{*}ownerId").get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"
    parameters = {item.get("id"): item.text for item in job.find("{*}parameters")}
    assert parameters == {"LANG": "ADQL", "QUERY": QUERY, "MAXREC": "3"}
    assert len(url.rsplit("/", 1)[-1]) == 32


def test_every_child(client: Client) -> None:
    url = client.create()
    plain = {
        name: client.get(f"{url}/{name}")
        for name in ("phase", "quote", "owner", "executionduration", "destruction")
    }
    for response in plain.values():
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/plain")
    assert plain["phase"].text == "PENDING"
    assert plain["quote"].text == plain["owner"].text == ""
    assert plain["executionduration"].text == str(client.settings.job_seconds)
    assert plain["destruction"].text.endswith("Z")
    days = seconds_from_now(plain["destruction"].text) / 86_400
    assert days == pytest.approx(client.settings.job_days, abs=0.01)
    assert [item.get("id") for item in client.document(f"{url}/parameters")] == ["LANG", "QUERY"]
    assert len(client.document(f"{url}/results")) == 0
    assert client.get(f"{url}/error").status_code == 404
    assert client.get(f"{url}/results/result").status_code == 404
    assert client.get(f"{url}/nothing").status_code == 404


def test_run_at_once_and_fetch(client: Client) -> None:
    url = client.create(PHASE="RUN", FORMAT="csv")
    assert client.phase(url) != "PENDING"
    assert client.ended(url) == "COMPLETED"
    job = client.document(url)
    assert job.findtext("{*}creationTime") <= job.findtext("{*}startTime") <= job.findtext("{*}endTime")
    (result,) = job.find("{*}results")
    href = result.get("{http://www.w3.org/1999/xlink}href")
    assert (result.get("id"), href) == ("result", f"{url}/results/result")
    response = client.get(href)
    assert response.headers["Content-Type"] == result.get("mime-type") == "text/csv;header=present"
    assert len(response.content) == int(result.get("size"))
    assert len(response.text.splitlines()) == 6
    assert client.get(f"{url}/error").status_code == 404


def test_the_result_has_ranges_and_head(client: Client) -> None:
    url = client.create(PHASE="RUN")
    assert client.ended(url) == "COMPLETED"
    whole = client.get(f"{url}/results/result")
    assert whole.headers["Content-Type"] == "application/x-votable+xml"
    part = client.request("GET", f"{url}/results/result", Range="bytes=5-14")
    assert (part.status_code, part.content) == (206, whole.content[5:15])
    head = client.request("HEAD", f"{url}/results/result", **{"Accept-Encoding": "identity"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole.content))


def test_the_result_is_that_of_a_synchronous_query(client: Client) -> None:
    url = client.create(PHASE="RUN", RESPONSEFORMAT="votable/td", MAXREC=2)
    assert client.ended(url) == "COMPLETED"
    parameters = {"LANG": "ADQL", "QUERY": QUERY, "RESPONSEFORMAT": "votable/td", "MAXREC": 2}
    sync = client.get(client.url.replace("async", "sync"), **parameters)
    assert client.get(f"{url}/results/result").content == sync.content
    assert b"OVERFLOW" in sync.content


def test_control_answers_with_the_job(client: Client) -> None:
    url = client.create()
    for child, name, value in (
        ("parameters", "MAXREC", 1),
        ("executionduration", "EXECUTIONDURATION", 60),
        ("destruction", "DESTRUCTION", "2020-01-01T00:00:00Z"),
        ("destruction", "DESTRUCTION", "2999-01-01T00:00:00Z"),
        ("phase", "PHASE", "RUN"),
        ("phase", "PHASE", "ABORT"),
    ):
        response = client.post(f"{url}/{child}", **{name: value})
        assert (response.status_code, response.headers["Location"]) == (303, url)
    assert client.get(f"{url}/executionduration").text == "60"
    days = seconds_from_now(client.get(f"{url}/destruction").text) / 86_400
    assert days == pytest.approx(client.settings.job_max_days, abs=0.01)


@pytest.mark.parametrize(("asked", "given"), [("0", None), ("999999999", None), ("7", "7")])
def test_the_execution_duration_has_a_limit(client: Client, asked: str, given: str | None) -> None:
    url = client.create()
    assert client.post(f"{url}/executionduration", EXECUTIONDURATION=asked).status_code == 303
    assert client.get(f"{url}/executionduration").text == (given or str(client.settings.job_max_seconds))


def test_parameters_change_while_pending_only(client: Client) -> None:
    url = client.create(RUNID="first")
    query = "SELECT TOP 2 obs_id FROM ivoa.obscore"
    client.post(f"{url}/parameters", query=query, RUNID="second", FORMAT="csv")
    job = client.document(url)
    assert job.findtext("{*}runId") == "second"
    assert [item.text for item in job.find("{*}parameters") if item.get("id") == "QUERY"] == [query]
    client.post(f"{url}/phase", PHASE="RUN")
    assert client.ended(url) == "COMPLETED"
    assert len(client.get(f"{url}/results/result").text.splitlines()) == 3
    refused = client.post(f"{url}/parameters", QUERY="SELECT 1")
    assert refused.status_code == 400
    assert "PENDING" in refused.text
    assert client.post(f"{url}/executionduration", EXECUTIONDURATION=5).status_code == 400
    assert client.post(f"{url}/phase", PHASE="RUN").status_code == 400


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"QUERY": "SELECT nothing FROM ivoa.obscore"}, "Line 1, column 8"),
        ({"QUERY": ""}, "QUERY is missing"),
        ({"LANG": "SQL"}, "SQL"),
        ({"FORMAT": "papyrus"}, "papyrus"),
        ({"MAXREC": "many"}, "MAXREC"),
        ({"QUERY": "SELECT 1/(calib_level-calib_level) AS x FROM ivoa.obscore"}, "divides by zero"),
    ],
)
def test_errors_are_found_when_the_query_runs(client: Client, fields: dict[str, str], message: str) -> None:
    url = client.create(**fields)
    assert client.phase(url) == "PENDING"
    client.post(f"{url}/phase", PHASE="RUN")
    assert client.ended(url) == "ERROR"
    job = client.document(url)
    summary = job.find("{*}errorSummary")
    assert message in summary.findtext("{*}message")
    assert (summary.get("type"), summary.get("hasDetail")) == ("fatal", "true")
    response = client.get(f"{url}/error")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/x-votable+xml")
    info = etree.fromstring(response.content).find(".//{*}INFO")
    assert (info.get("name"), info.get("value")) == ("QUERY_STATUS", "ERROR")
    assert message in info.text
    assert len(client.document(f"{url}/results")) == 0
    assert client.get(f"{url}/results/result").status_code == 404


@pytest.mark.parametrize(
    ("child", "fields"),
    [
        ("", {"PHASE": "RUN"}),
        ("", {"QUERY": QUERY}),
        ("/phase", {"PHASE": "FLY"}),
        ("/phase", {}),
        ("/executionduration", {"EXECUTIONDURATION": "long"}),
        ("/executionduration", {}),
        ("/destruction", {"DESTRUCTION": "never"}),
        ("/destruction", {}),
        ("/parameters", {"QUERY": "a\0b"}),
    ],
)
def test_what_makes_no_sense_is_refused(client: Client, child: str, fields: dict[str, str]) -> None:
    url = client.create()
    response = client.post(url + child, **fields)
    assert response.status_code == 400
    assert response.text.startswith("UsageFault: ")
    assert client.phase(url) == "PENDING"


def test_abort_stops_the_query(client: Client) -> None:
    mark = uuid.uuid4().hex
    url = client.create(PHASE="RUN", QUERY=slow(mark))
    running = "SELECT count(*), pg_sleep(0.05) FROM pg_stat_activity WHERE query LIKE %s AND state = 'active'"
    # As the role of the service, which alone may see the text of its queries.
    connection = psycopg2.connect(client.settings.dsn("ost_web"))
    connection.autocommit = True

    def queries() -> int:
        with connection.cursor() as cursor:
            cursor.execute(running, (f"COPY%{mark}%",))
            return cursor.fetchone()[0]

    deadline = time.monotonic() + WAIT
    while queries() == 0:
        assert time.monotonic() < deadline, client.get(url).text
    assert client.phase(url) == "EXECUTING"
    aborted = time.monotonic()
    assert client.post(f"{url}/phase", PHASE="ABORT").status_code == 303
    assert client.phase(url) == "ABORTED"
    while queries():
        assert time.monotonic() < aborted + WAIT
    connection.close()
    assert client.post(f"{url}/phase", PHASE="ABORT").status_code == 303
    assert client.phase(url) == "ABORTED"


def test_a_query_beyond_its_execution_duration_is_aborted(client: Client) -> None:
    url = client.create(QUERY=slow())
    client.post(f"{url}/executionduration", EXECUTIONDURATION=1)
    client.post(f"{url}/phase", PHASE="RUN")
    assert client.ended(url) == "ABORTED"
    assert "execution duration of 1 s" in client.document(url).findtext("{*}errorSummary/{*}message")
    assert client.get(f"{url}/error").status_code == 200


@pytest.mark.parametrize("by", ["DELETE", "POST"])
def test_deleting_leads_to_a_short_list(client: Client, by: str) -> None:
    url = client.create(PHASE="RUN")
    client.ended(url)
    response = client.request("DELETE", url) if by == "DELETE" else client.post(url, ACTION="DELETE")
    assert response.status_code == 303
    assert response.headers["Location"].startswith(f"{client.url}?LAST=")
    assert client.get(response.headers["Location"]).status_code == 200
    assert client.get(url).status_code == 404
    assert client.get(f"{url}/results/result").status_code == 404
    assert client.request("DELETE", url).status_code == 404


def test_the_list_has_filters(owner: Client) -> None:
    client = owner
    before = client.document(client.create()).findtext("{*}creationTime")
    pending, aborted, done = (client.create(RUNID=name) for name in ("one", "two", "three"))
    client.post(f"{aborted}/phase", PHASE="ABORT")
    client.post(f"{done}/phase", PHASE="RUN")
    client.ended(done)
    ids = [url.rsplit("/", 1)[-1] for url in (pending, aborted, done)]
    assert client.listed(AFTER=before) == ids[::-1]
    assert client.listed(LAST=2) == ids[:0:-1]
    assert client.listed(AFTER=before, PHASE=["PENDING", "ABORTED"]) == ids[1::-1]
    assert client.listed(AFTER=before, PHASE=["PENDING", "COMPLETED"], LAST=1) == ids[2:]
    assert client.listed(AFTER=before, PHASE="EXECUTING") == []
    document = client.document(client.url, AFTER=before)
    assert document.get("version") == "1.1"
    assert [job.findtext("{*}runId") for job in document] == ["three", "two", "one"]
    assert document[0].get("{http://www.w3.org/1999/xlink}href") == done
    for wrong in ({"PHASE": "FLYING"}, {"AFTER": "yesterday"}, {"LAST": "-1"}):
        assert client.get(client.url, **wrong).status_code == 400


def test_archived_jobs_are_listed_only_when_asked_for(owner: Client) -> None:
    client = owner
    url = client.create()
    job_id = url.rsplit("/", 1)[-1]
    client.execute("UPDATE archive.jobs SET phase = 'ARCHIVED' WHERE job_id = %s", job_id)
    assert job_id not in client.listed()
    assert client.listed(PHASE="ARCHIVED") == [job_id]


def test_somebody_elses_job_is_forbidden(client: Client) -> None:
    url = client.create()
    job_id = url.rsplit("/", 1)[-1]
    name = f"u{uuid.uuid4().hex[:8]}"
    client.execute("INSERT INTO archive.users (name) VALUES (%s)", name)
    client.execute(
        "UPDATE archive.jobs SET owner_id = user_id FROM archive.users WHERE name = %s AND job_id = %s",
        name,
        job_id,
    )
    for child in ("", "/phase", "/parameters", "/results", "/results/result", "/error", "/owner"):
        assert client.get(url + child).status_code == 403
    assert client.post(f"{url}/phase", PHASE="RUN").status_code == 403
    assert client.request("DELETE", url).status_code == 403
    assert job_id not in client.listed()
    assert client.get(f"{client.url}/{'0' * 32}").status_code == 404
    assert client.get(f"{client.url}/ä").status_code == 404


def test_wait_returns_when_the_phase_changes(client: Client) -> None:
    url = client.create(PHASE="RUN", QUERY=slow())
    while client.phase(url) == "QUEUED":
        client.get(url, WAIT=5, PHASE="QUEUED")
    began = time.monotonic()
    assert client.document(url, WAIT=1).findtext("{*}phase") == "EXECUTING"
    assert 0.9 < time.monotonic() - began < WAIT_SECONDS / 2
    began = time.monotonic()
    client.get(url, WAIT=-1, PHASE="QUEUED")
    client.get(f"{url}/phase", WAIT=-1)
    assert time.monotonic() - began < WAIT_SECONDS
    client.post(f"{url}/phase", PHASE="ABORT")
    began = time.monotonic()
    assert client.document(url, WAIT=-1).findtext("{*}phase") == "ABORTED"
    assert time.monotonic() - began < WAIT_SECONDS
    assert client.get(url, WAIT="long").status_code == 400


def test_wait_hears_of_what_another_client_does(client: Client, service: Service) -> None:
    import threading

    url = client.create(QUERY=slow())
    answers: list[str] = []
    other = Client(service)
    waiter = threading.Thread(
        target=lambda: answers.append(other.document(url, WAIT=-1).findtext("{*}phase"))
    )
    waiter.start()
    waiter.join(0.5)
    assert waiter.is_alive()
    client.post(f"{url}/phase", PHASE="ABORT")
    waiter.join(WAIT_SECONDS / 2)
    assert answers == ["ABORTED"]


def test_a_trivial_job_is_done_in_a_moment(client: Client) -> None:
    def duration() -> float:
        began = time.perf_counter()
        url = client.create(PHASE="RUN")
        assert client.ended(url) == "COMPLETED"
        return time.perf_counter() - began

    # A worker that looked for it now and then, and did not hear of it, would take seconds.
    assert min(duration() for _ in range(20)) < 1


def test_documents_validate(owner: Client, schema: etree.XMLSchema) -> None:
    client = owner
    pending, done, wrong = (
        client.create(RUNID="a < b"),
        client.create(PHASE="RUN"),
        client.create(QUERY="<&\r\n>"),
    )
    client.post(f"{wrong}/phase", PHASE="RUN")
    assert (client.ended(done), client.ended(wrong)) == ("COMPLETED", "ERROR")
    for url in (pending, done, wrong):
        for child in ("", "/parameters", "/results"):
            schema.assertValid(client.document(url + child))
    schema.assertValid(client.document(client.url))
    schema.assertValid(client.document(client.url, PHASE="SUSPENDED"))


def test_head_and_cross_origin(client: Client) -> None:
    url = client.create()
    for path in (client.url, url, f"{url}/phase", f"{url}/parameters"):
        assert client.request("HEAD", path).status_code == 200
    response = client.request("GET", url, Origin="https://example.org")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_destroyed_job_goes_by_itself(client: Client) -> None:
    url = client.create()
    past = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    client.post(f"{url}/destruction", DESTRUCTION=past)
    deadline = time.monotonic() + 4 * client.settings.job_lost_seconds
    while (status := client.get(url, WAIT=2).status_code) == 200:
        assert time.monotonic() < deadline
    assert status == 404
