"""Jobs of people: whose they are, and in which context they run."""

from __future__ import annotations

import pytest
from lxml import etree

from ost_vo.access.actor import OPERATOR
from ost_vo.services import people
from tests.authentication.conftest import Caller, Office, Person
from tests.conftest import Service

CHILDREN = ("", "/phase", "/parameters", "/results", "/results/result", "/error", "/owner", "/quote")


def create(caller: Caller, query: str = "SELECT TOP 1 obs_id FROM ivoa.obscore", **fields: str) -> str:
    response = caller.post("/tap/async", data={"LANG": "ADQL", "QUERY": query, "FORMAT": "csv", **fields})
    assert response.status_code == 303, response.text
    return response.headers["Location"]


def listed(caller: Caller) -> list[str]:
    document = etree.fromstring(caller.get("/tap/async").content)
    return [job.get("id") for job in document]


def ended(caller: Caller, url: str) -> str:
    while (phase := etree.fromstring(caller.get(f"{url}?WAIT=10").content).findtext("{*}phase")) in (
        "QUEUED",
        "EXECUTING",
    ):
        continue
    return phase


@pytest.fixture
def other(service: Service, office: Office) -> Caller:
    return Caller(service.url, auth=office.person().basic)


def test_a_job_is_its_owners_alone(service: Service, person: Person, other: Caller) -> None:
    owner = Caller(service.url, auth=person.basic)
    url = create(owner, PHASE="RUN")
    job_id = url.rsplit("/", 1)[-1]
    assert ended(owner, url) == "COMPLETED"
    assert owner.get(f"{url}/owner").text == person.name
    assert listed(owner) == [job_id]
    for stranger, challenged in ((other, False), (Caller(service.url), True)):
        for child in CHILDREN:
            response = stranger.get(url + child)
            assert (response.status_code, "WWW-Authenticate" in response.headers) == (403, challenged)
        assert stranger.post(f"{url}/phase", data={"PHASE": "ABORT"}).status_code == 403
        assert stranger.post(f"{url}/parameters", data={"QUERY": "x"}).status_code == 403
        assert stranger.request("DELETE", url).status_code == 403
        assert listed(stranger) == []
    assert owner.get(f"{url}/results/result").status_code == 200
    assert owner.request("DELETE", url).status_code == 303


def test_every_way_in_leads_to_the_same_jobs(service: Service, office: Office, person: Person) -> None:
    url = create(Caller(service.url, auth=person.basic))
    for headers in (
        {"Authorization": f"Bearer {office.token(person)}"},
        {"Cookie": f"ost_session={office.session(person)}"},
    ):
        assert Caller(service.url, headers=headers).get(url).status_code == 200
    project = office.project(person)
    inside = Caller(f"{service.url}/context/{project}/2", auth=person.basic)
    assert listed(inside) == [url.rsplit("/", 1)[-1]]


def test_nobody_sees_a_list_of_anonymous_jobs(anonymous: Caller, other: Caller) -> None:
    url = create(anonymous, PHASE="RUN")
    assert listed(anonymous) == listed(other) == []
    # Who knows its 128 random bits has been told them.
    assert ended(anonymous, url) == "COMPLETED"
    assert anonymous.get(f"{url}/results/result").status_code == 200


def test_a_job_runs_in_the_context_of_its_url(service: Service, office: Office, person: Person) -> None:
    red, blue = office.project(person), office.project(person)
    in_red, in_blue = office.product(person, red, 2), office.product(person, blue, 2)
    prefix = f"{service.url}/context/{red}/2"
    inside = Caller(prefix, auth=person.basic)
    query = f"SELECT obs_id, access_url FROM ost.products WHERE obs_id IN ('{in_red}', '{in_blue}')"
    for fields, expected in (({}, in_red), ({"OST_PROJECT": blue, "OST_PRIVILEGES": "2"}, in_blue)):
        url = create(inside, query, PHASE="RUN", **fields)
        assert url.startswith(f"{prefix}/tap/async/")
        assert ended(inside, url) == "COMPLETED"
        assert f"{url}/results/result" in inside.get(url).text
        rows = inside.get(f"{url}/results/result").text.splitlines()[1:]
        assert [row.split(",")[0] for row in rows] == [expected]
        assert f",{prefix}/" in rows[0]


def test_parameters_that_come_later_choose_too(service: Service, office: Office, person: Person) -> None:
    project = office.project(person)
    hidden = office.product(person, office.project(person), 2)
    owner = Caller(service.url, auth=person.basic)
    url = create(owner, f"SELECT obs_id FROM ost.products WHERE obs_id = '{hidden}'")
    assert owner.post(f"{url}/parameters", data={"OST_PROJECT": "NOSUCH"}).status_code == 403
    assert owner.post(f"{url}/parameters", data={"OST_PROJECT": project}).status_code == 303
    owner.post(f"{url}/phase", data={"PHASE": "RUN"})
    assert ended(owner, url) == "COMPLETED"
    assert owner.get(f"{url}/results/result").text.split() == ["obs_id"]


def test_a_job_runs_with_the_memberships_of_that_moment(
    service: Service, office: Office, person: Person
) -> None:
    project = office.project(person)
    hidden = office.product(person, project, 2)
    owner = Caller(service.url, auth=person.basic)
    query = f"SELECT obs_id FROM ost.products WHERE obs_id = '{hidden}'"
    plain, chosen = create(owner, query), create(owner, query, OST_PROJECT=project)
    office.leave(person, project)
    for url in (plain, chosen):
        owner.post(f"{url}/phase", data={"PHASE": "RUN"})
    assert (ended(owner, plain), ended(owner, chosen)) == ("COMPLETED", "ERROR")
    assert owner.get(f"{plain}/results/result").text.split() == ["obs_id"]
    assert f"not a member of a project {project}" in owner.get(f"{chosen}/error").text


def test_a_job_of_who_is_not_active_any_more_fails(service: Service, office: Office, person: Person) -> None:
    owner = Caller(service.url, auth=person.basic)
    url = create(owner)
    job_id = url.rsplit("/", 1)[-1]
    people.set_active(office.database, OPERATOR, person.name, False)
    office.execute(
        "UPDATE archive.jobs SET phase = 'QUEUED', queued = now(), heartbeat = now() WHERE job_id = %s",
        job_id,
    )
    phase, message = "QUEUED", None
    while phase in ("QUEUED", "EXECUTING"):
        ((phase, message, _),) = office.execute(
            "SELECT phase, failure_message, pg_sleep(0.05) FROM archive.jobs WHERE job_id = %s", job_id
        )
    assert phase == "ERROR"
    assert "not active" in message


def test_a_job_of_before_there_were_people_runs(office: Office, anonymous: Caller) -> None:
    url = create(anonymous)
    office.execute(
        "UPDATE archive.jobs SET context = %s WHERE job_id = %s",
        '{"user_id": 0, "scope_project_ids": [], "member_project_ids": [], "min_privileges": 1}',
        url.rsplit("/", 1)[-1],
    )
    anonymous.post(f"{url}/phase", data={"PHASE": "RUN"})
    assert ended(anonymous, url) == "COMPLETED"


def test_no_parameter_makes_a_job_somebody_elses(service: Service, office: Office, person: Person) -> None:
    """Neither the names of columns nor those of settings mean anything in a request."""
    hidden = office.product(person, office.project(person), 1)
    query = f"SELECT obs_id FROM ost.products WHERE obs_id = '{hidden}'"
    forged = {"USER_ID": "1", "ost.user_id": "1", "OWNER": person.name, "X-VO-Authenticated": person.name}
    caller = Caller(service.url, headers={"X-VO-Authenticated": person.name, "X-Remote-User": person.name})
    assert caller.query(query, **forged).text.split() == ["obs_id"]
    url = create(caller, query, PHASE="RUN", **forged)
    assert ended(caller, url) == "COMPLETED"
    assert caller.get(f"{url}/results/result").text.split() == ["obs_id"]
