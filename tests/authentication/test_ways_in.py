"""Every way in, and every wrong one."""

from __future__ import annotations

import base64

import pytest

from ost_vo.access.actor import OPERATOR
from ost_vo.services import people
from tests.authentication.conftest import Caller, Office, Person
from tests.conftest import Service

QUERY = "SELECT TOP 1 obs_id FROM ivoa.obscore"
ENDPOINTS = ("/tap/capabilities", "/sia/query?MAXREC=0", "/datalink/links", "/tap/async")


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_a_password_with_each_request(service: Service, person: Person) -> None:
    caller = Caller(service.url, auth=person.basic)
    for endpoint in (*ENDPOINTS, "/", *ENDPOINTS):
        response = caller.get(endpoint)
        assert (response.status_code, response.headers["X-VO-Authenticated"]) == (200, person.name), endpoint
        assert "WWW-Authenticate" not in response.headers
        assert "private" in response.headers["Cache-Control"]
        assert "Authorization" in response.headers["Vary"]


def test_a_token(service: Service, office: Office, person: Person) -> None:
    caller = Caller(service.url, headers={"Authorization": f"Bearer {office.token(person)}"})
    response = caller.query(QUERY)
    assert (response.status_code, response.headers["X-VO-Authenticated"]) == (200, person.name)


def test_a_session(service: Service, person: Person) -> None:
    caller = Caller(service.url)
    response = caller.post("/login", data={"username": person.name, "password": person.password})
    assert (response.status_code, response.headers["X-VO-Authenticated"]) == (200, person.name)
    assert caller.query(QUERY).headers["X-VO-Authenticated"] == person.name
    out = caller.post("/logout")
    assert (out.status_code, caller.cookies()) == (200, {})


def test_anonymous_callers_are_told_how_to_log_in(service: Service, anonymous: Caller) -> None:
    for endpoint in (*ENDPOINTS, "/tap/sync", "/files/nothing"):
        response = anonymous.get(endpoint)
        challenge = response.headers["WWW-Authenticate"]
        assert 'standard_id="ivo://ivoa.net/sso#tls-with-password"' in challenge
        assert f'access_url="{service.url}/login"' in challenge
        assert "Basic realm=" in challenge
        assert "X-VO-Authenticated" not in response.headers
        assert {"Authorization", "Cookie"} <= {word.strip() for word in response.headers["Vary"].split(",")}
    assert anonymous.query(QUERY).status_code == 200
    assert "WWW-Authenticate" not in anonymous.get("/").headers


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !",
        "Basic bm9ib2R5",
        "Basic //8=",
        "Basic \u00e9",
        "Bearer ost_\u00e9",
        "Bearer",
        "Bearer x",
        "Bearer ost_x",
        "Bearer ost_" + "x" * 5000,
        "Digest username=a",
        "ost_x",
        "",
    ],
)
@pytest.mark.parametrize("endpoint", ["/tap/capabilities", "/", "/login", "/tap/sync"])
def test_what_shows_nobody_is_refused(anonymous: Caller, endpoint: str, header: str) -> None:
    response = anonymous.get(endpoint, headers={"Authorization": header})
    assert response.status_code == 401
    assert "ivoa_cookie" in response.headers["WWW-Authenticate"]
    assert "AuthenticationFault" in response.text or "QUERY_STATUS" in response.text


def test_a_wrong_password_is_refused(service: Service, person: Person) -> None:
    for wrong in (person.password + "x", "", "x" * 5000):
        response = Caller(service.url).get("/tap/capabilities", headers=basic(f"{person.name}:{wrong}"))
        assert response.status_code == 401
    # A right one is still right, and a wrong one still wrong, when the right one is remembered.
    for password, status in ((person.password, 200), ("wrong password", 401), (person.password, 200)):
        response = Caller(service.url).get("/tap/capabilities", headers=basic(f"{person.name}:{password}"))
        assert response.status_code == status


def test_the_keyboard_does_not_matter(service: Service, office: Office) -> None:
    person = office.person("Stra\u00dfe mit \u00e9")
    response = Caller(service.url).get(
        "/tap/capabilities", headers=basic(f"{person.name}:Stra\u00dfe mit e\u0301")
    )
    assert response.status_code == 200


def test_two_authorizations_are_none(service: Service, office: Office, person: Person) -> None:
    import http.client

    connection = http.client.HTTPConnection(service.settings.host, service.settings.port)
    connection.putrequest("GET", "/tap/capabilities")
    for _ in range(2):
        connection.putheader("Authorization", f"Bearer {office.token(person)}")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_a_new_password_ends_what_was_remembered_and_the_sessions(
    service: Service, office: Office, person: Person
) -> None:
    caller, guest = Caller(service.url, auth=person.basic), Caller(service.url)
    guest.post("/login", data={"username": person.name, "password": person.password})
    assert [caller.get("/tap/capabilities").status_code for _ in range(6)] == [200] * 6
    people.set_password(office.database, OPERATOR, person.name, "another password")
    assert [caller.get("/tap/capabilities").status_code for _ in range(2)] == [401] * 2
    assert "X-VO-Authenticated" not in guest.get("/tap/capabilities").headers
    renewed = Caller(service.url, auth=(person.name, "another password"))
    assert renewed.get("/tap/capabilities").status_code == 200


def test_who_is_not_active_is_nobody(service: Service, office: Office, person: Person) -> None:
    token, cookie = office.token(person), office.session(person)
    people.set_active(office.database, OPERATOR, person.name, False)
    assert Caller(service.url, auth=person.basic).get("/tap/capabilities").status_code == 401
    bearer = Caller(service.url, headers={"Authorization": f"Bearer {token}"})
    assert bearer.get("/tap/capabilities").status_code == 401
    stale = Caller(service.url, cookies=cookie_jar(cookie)).get("/tap/capabilities")
    assert (stale.status_code, "X-VO-Authenticated" in stale.headers) == (200, False)


def test_many_requests_at_once_with_a_password_not_seen_before(service: Service, person: Person) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def status(_: int) -> int:
        return Caller(service.url, auth=person.basic).get("/tap/capabilities").status_code

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(status, range(36))) == {200}


def test_a_token_is_good_for_its_scopes(service: Service, office: Office, person: Person) -> None:
    caller = Caller(service.url, headers={"Authorization": f"Bearer {office.token(person, 'write')}"})
    for response in (caller.query(QUERY), caller.get("/tap/async"), caller.get("/sia/query?MAXREC=0")):
        assert response.status_code == 403
        assert "WWW-Authenticate" not in response.headers
        assert "not for read" in response.text
    assert caller.get("/tap/capabilities").status_code == 200


def test_an_expired_or_revoked_token_is_refused(service: Service, office: Office, person: Person) -> None:
    expired, revoked, good = office.token(person), office.token(person), office.token(person)
    actor = people.actor_named(office.database, person.name)
    first, second, _ = sorted(
        people.tokens(office.database, actor), key=lambda token: int(token.name.split()[-1])
    )
    office.execute("UPDATE archive.tokens SET expires = now() WHERE name = %s", first.name)
    people.revoke_token(office.database, actor, second.name)
    for token, status in ((expired, 401), (revoked, 401), (good, 200), (good.upper(), 401)):
        caller = Caller(service.url, headers={"Authorization": f"Bearer {token}"})
        assert caller.get("/tap/capabilities").status_code == status


def test_secrets_are_nowhere_in_the_database(office: Office, person: Person) -> None:
    token, cookie = office.token(person), office.session(person)
    for table in ("users", "tokens", "sessions", "audit"):
        text = str(office.execute(f"SELECT t::text FROM archive.{table} t"))
        for secret in (token, token[4:], cookie, person.password):
            assert secret not in text
    assert "argon2" not in str(office.execute("SELECT t::text FROM archive.audit t"))


def cookie_jar(*values: str) -> object:
    import requests

    jar = requests.cookies.RequestsCookieJar()
    for number, value in enumerate(values):
        jar.set("ost_session", value, path="/" if number == 0 else "/tap")
    return jar
