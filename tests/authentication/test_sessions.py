"""Sessions: whose cookie it is, what it is worth, and who else could use it."""

from __future__ import annotations

import requests

from tests.authentication.asgi import answers, changed
from tests.authentication.conftest import Caller, Office, Person
from tests.conftest import Service

COOKIE = "ost_session"


def with_cookie(service: Service, *values: str) -> Caller:
    """Return a client that shows a cookie, or several."""
    return Caller(service.url, headers={"Cookie": "; ".join(f"{COOKIE}={value}" for value in values)})


def log_in(service: Service, person: Person, **headers: str) -> requests.Response:
    fields = {"username": person.name, "password": person.password}
    return Caller(service.url).post("/login", data=fields, headers=headers)


def is_known(caller: Caller) -> bool:
    return "X-VO-Authenticated" in caller.get("/tap/capabilities").headers


def test_the_cookie_is_for_this_archive_alone(service: Service, person: Person) -> None:
    cookie = log_in(service, person).headers["Set-Cookie"]
    words = {word.strip().lower() for word in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= words
    assert "secure" not in words
    assert "no-store" in log_in(service, person).headers["Cache-Control"]


def test_behind_tls_the_cookie_never_leaves_it(service: Service, person: Person) -> None:
    settings = changed(service.settings, public_url="https://archive.example/ost")
    form = {"username": person.name, "password": person.password}
    (status, headers), (_, challenged) = answers(
        settings, {"path": "/login", "method": "POST", "form": form}, {"path": "/tap/capabilities"}
    )
    words = {word.strip().lower() for word in headers["set-cookie"][0].split(";")[1:]}
    assert (status, words >= {"secure", "httponly", "samesite=lax", "path=/ost"}) == (200, True)
    assert 'access_url="https://archive.example/ost/login"' in challenged["www-authenticate"][0]


def test_a_session_is_never_one_that_the_client_has_chosen(
    service: Service, office: Office, person: Person
) -> None:
    before = office.session(person)
    for chosen in ("chosen", before):
        value = log_in(service, person, Cookie=f"{COOKIE}={chosen}").cookies[COOKIE]
        assert value not in (chosen, before)
        assert len(value) >= 43
        assert is_known(with_cookie(service, value))
        assert not is_known(with_cookie(service, chosen))


def test_a_stale_cookie_is_taken_back_and_its_owner_anonymous(
    service: Service, office: Office, person: Person
) -> None:
    expired = office.session(person)
    office.execute("UPDATE archive.sessions SET expires = now()")
    for value in (expired, "x", "", "x" * 5000, "\u00e9"):
        response = with_cookie(service, value).get(
            "/tap/sync?LANG=ADQL&QUERY=SELECT 1 AS a FROM ivoa.obscore"
        )
        assert response.status_code == 200
        assert "X-VO-Authenticated" not in response.headers
        assert "WWW-Authenticate" in response.headers
        assert f"{COOKIE}=;" in response.headers["Set-Cookie"]
        assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert log_in(service, person, Cookie=f"{COOKIE}={expired}").cookies[COOKIE]


def test_a_second_cookie_may_be_planted(service: Service, office: Office, person: Person) -> None:
    good, other = office.session(person), office.session(office.person())
    assert not is_known(with_cookie(service, good, other))
    assert is_known(with_cookie(service, good, good))


def test_a_session_ends_at_logout(service: Service, office: Office, person: Person) -> None:
    value = office.session(person)
    caller = with_cookie(service, value)
    assert is_known(caller)
    assert caller.post("/logout").status_code == 200
    assert not is_known(caller)
    assert caller.post("/logout").status_code == 200


def test_a_password_that_is_wrong_gives_no_cookie(service: Service, person: Person) -> None:
    for name, password in ((person.name, "wrong password"), ("nobody", person.password)):
        response = log_in(service, Person(name, password))
        assert (response.status_code, COOKIE in response.cookies) == (401, False)
        assert response.text.startswith("AuthenticationFault: The user name or the password is wrong.")
        # A browser would open a window of its own.
        assert "Basic" not in response.headers["WWW-Authenticate"]
    page = log_in(service, Person(person.name, "wrong password"), Accept="text/html")
    assert (page.status_code, "<form" in page.text) == (401, True)


def test_a_password_belongs_into_the_body(service: Service, person: Person) -> None:
    caller = Caller(service.url)
    query = f"username={person.name}&password={person.password}"
    assert caller.post(f"/login?{query}").status_code == 400
    assert caller.post("/login", data={"username": person.name}).status_code == 400
    assert caller.get(f"/login?{query}").cookies.get(COOKIE) is None


def test_the_form(service: Service, office: Office, person: Person) -> None:
    page = Caller(service.url).get("/login")
    assert 'name="username"' in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert person.name in with_cookie(service, office.session(person)).get("/login").text


def test_pages_of_other_sites_do_nothing_in_a_users_name(
    service: Service, office: Office, person: Person
) -> None:
    fields = {"data": {"LANG": "ADQL", "QUERY": "SELECT TOP 1 obs_id FROM ivoa.obscore"}}
    session, basic = with_cookie(service, office.session(person)), Caller(service.url, auth=person.basic)
    bearer = Caller(service.url, headers={"Authorization": f"Bearer {office.token(person)}"})
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": f"{service.url}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://sister.example"},
    ):
        for caller in (session, basic):
            for path in ("/tap/sync", "/tap/async", "/logout"):
                refused = caller.post(path, **fields, headers=headers)
                assert (refused.status_code, "WWW-Authenticate" in refused.headers) == (403, False), headers
            assert caller.get("/tap/capabilities", headers=headers).status_code == 200
        # What no browser adds by itself has been shown on purpose.
        assert bearer.post("/tap/sync", **fields, headers=headers).status_code == 200
        assert Caller(service.url).post("/tap/sync", **fields, headers=headers).status_code == 200
        assert log_in(service, person, **headers).status_code == 403
    for headers in ({"Origin": service.url}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert session.post("/tap/sync", **fields, headers=headers).status_code == 200
        assert log_in(service, person, **headers).status_code == 200


def test_pages_of_other_sites_cannot_read_with_a_cookie(
    service: Service, office: Office, person: Person
) -> None:
    caller = with_cookie(service, office.session(person))
    origin = {"Origin": "https://evil.example"}
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    for response in (
        caller.get("/tap/capabilities", headers=origin),
        caller.request("OPTIONS", "/tap/sync", headers=preflight),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
