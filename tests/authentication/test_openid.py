"""Logging in through a provider: there and back, and everything that may come back instead."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import uvicorn
from joserfc.jwk import OctKey, RSAKey

from ost_vo.access.actor import OPERATOR
from ost_vo.faults import AuthorizationFault, UsageFault
from ost_vo.services import openid, people
from ost_vo.settings import Settings
from ost_vo.web.app import create_app
from tests.authentication.asgi import answers, changed
from tests.authentication.conftest import Caller, Office, Person
from tests.authentication.provider import CLIENT, SECRET, Provider

COOKIE, ATTEMPT = "ost_session", "ost_login"
BEGIN, CALLBACK = "/login/openid", "/login/openid/callback"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def provider(running_provider: Provider) -> Provider:
    running_provider.reset()
    return running_provider


@contextmanager
def serving(settings: Settings, **values: Any) -> Iterator[str]:
    """Yield the URL of the archive with other settings, answered by this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = create_app(changed(settings, public_url=url, **values))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", proxy_headers=False))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the archive has not started"
                thread.join(0.02)
            yield url
        finally:
            server.should_exit = True
            thread.join(30)


def at(provider: Provider, **values: Any) -> dict[str, Any]:
    """Return the settings for a provider."""
    return {
        "openid_issuer": provider.issuer,
        "openid_client_id": CLIENT,
        "openid_client_secret": SECRET,
        **values,
    }


Gate = Callable[..., str]


@pytest.fixture
def gate(office: Office, provider: Provider) -> Iterator[Gate]:
    """Return what starts an archive that trusts the provider, and returns its URL."""
    with ExitStack() as stack:
        yield lambda **values: stack.enter_context(serving(office.settings, **at(provider, **values)))


class Browser(Caller):
    """Somebody's browser, which is told where to go next."""

    def begin(self, query: str = "") -> str:
        """Begin a log-in, and return where the provider is."""
        response = self.get(f"{BEGIN}{query}")
        assert response.status_code == 303, response.text
        return response.headers["Location"]

    def authorized(self, where: str) -> str:
        """Log in at the provider, and return where it sends the browser."""
        response = self.get(where)
        assert response.status_code == 302, response.text
        return response.headers["Location"]

    def log_in(self, query: str = "") -> requests.Response:
        """Go there and back."""
        return self.get(self.authorized(self.begin(query)))


def is_refused(browser: Browser, response: requests.Response, status: int = 403) -> bool:
    """Say whether nobody was let in, without a window for a password over it."""
    assert (response.status_code, COOKIE in browser.cookies()) == (status, False), response.text
    assert "WWW-Authenticate" not in response.headers
    return True


def test_there_and_back(gate: Gate, provider: Provider, person: Person, office: Office) -> None:
    url, browser = gate(), Browser("")
    browser.url = url
    provider.user = {"sub": "1", "preferred_username": person.name}
    where = browser.begin("?next=/tap/tables")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == f"{url}{CALLBACK}"
    assert asked["scope"] == "openid profile"
    assert len(asked["state"]) >= 43
    assert len(asked["nonce"]) >= 43
    response = browser.get(browser.authorized(where))
    assert (response.status_code, response.headers["Location"]) == (303, f"{url}/tap/tables")
    assert response.headers["X-VO-Authenticated"] == person.name
    session = next(part for part in response.raw.headers.getlist("Set-Cookie") if COOKIE in part)
    assert {"httponly", "samesite=lax", "path=/"} <= {word.strip().lower() for word in session.split(";")}
    # What was begun is over, and a session is one like any other.
    assert ATTEMPT not in browser.cookies()
    assert browser.get("/tap/capabilities").headers["X-VO-Authenticated"] == person.name
    people.set_active(office.database, OPERATOR, person.name, False)
    assert "X-VO-Authenticated" not in browser.get("/tap/capabilities").headers


def test_the_session_before_ends(gate: Gate, provider: Provider, person: Person, office: Office) -> None:
    url = gate()
    before = office.session(office.person())
    browser = Browser(url)
    browser._session.cookies.set(COOKIE, before)
    provider.user = {"sub": "1", "preferred_username": person.name}
    assert browser.log_in().status_code == 303
    stale = Caller(url, headers={"Cookie": f"{COOKIE}={before}"})
    assert "X-VO-Authenticated" not in stale.get("/tap/capabilities").headers


def test_the_form_leads_there_where_there_is_a_provider(gate: Gate, office: Office) -> None:
    url = gate()
    assert f'href="{url}{BEGIN}"' in Caller(url).get("/login").text
    own = Caller(office.settings.base_url)
    assert BEGIN not in own.get("/login").text
    for path in (BEGIN, CALLBACK):
        assert own.get(path).status_code == 404


def test_the_cookie_of_an_attempt(gate: Gate, provider: Provider, office: Office) -> None:
    begun = Caller(gate()).get(BEGIN)
    words = {word.strip().lower() for word in begun.headers["Set-Cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", f"path={BEGIN}", "max-age=600"} <= words
    assert "no-store" in begun.headers["Cache-Control"]
    settings = changed(office.settings, public_url="https://archive.example/ost", **at(provider))
    ((status, headers),) = answers(settings, {"path": BEGIN})
    words = {word.strip().lower() for word in headers["set-cookie"][0].split(";")[1:]}
    assert (status, words >= {"secure", f"path=/ost{BEGIN}"}) == (303, True)


def test_all_processes_know_what_one_has_begun(provider: Provider, office: Office) -> None:
    settings = changed(office.settings, **at(provider))
    one, other = (openid.Provider(office.database, settings) for _ in range(2))
    where, cookie = one.begin("/login")
    state = parse_qs(urlsplit(where).query)["state"][0]
    assert other.attempt(cookie, state).target == "/login"
    # An archive with another secret has not begun it.
    stranger = changed(settings, openid_client_secret="x" * 20)
    with pytest.raises(AuthorizationFault):
        openid.Provider(office.database, stranger).attempt(cookie, state)


def test_it_goes_on_here_and_nowhere_else(gate: Gate) -> None:
    browser = Browser(gate())
    for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example", "/%0d%0aX: y", "", "tap"):
        assert is_refused(browser, browser.get(f"{BEGIN}?next={elsewhere}"), 400)


def test_users_whom_nobody_knows_here(gate: Gate, provider: Provider, office: Office) -> None:
    name = f"novel_{secrets.token_hex(4)}"
    provider.user = {"sub": "2", "preferred_username": name}
    browser = Browser(gate())
    assert is_refused(browser, browser.log_in())
    browser = Browser(gate(openid_create=True, openid_role="staff"))
    assert browser.log_in().headers["X-VO-Authenticated"] == name
    ((role, is_superuser),) = office.execute(
        "SELECT role, is_superuser FROM archive.users WHERE name = %s", name
    )
    assert (role, is_superuser) == ("staff", False)
    people.set_active(office.database, OPERATOR, name, False)
    browser = Browser(browser.url)
    assert is_refused(browser, browser.log_in())


@pytest.mark.parametrize("name", [None, "", 7, ["x"], "two words", "x" * 65, "a\nb", "na\u00efve"])
def test_names_that_are_none(gate: Gate, provider: Provider, name: Any) -> None:
    provider.user = {"sub": "3", "preferred_username": name}
    browser = Browser(gate(openid_create=True))
    assert is_refused(browser, browser.log_in())


def test_the_name_may_be_in_the_user_information(gate: Gate, provider: Provider, person: Person) -> None:
    url = gate()
    provider.user = {"sub": "4"}
    provider.information = {"sub": "4", "preferred_username": person.name}
    assert Browser(url).log_in().headers["X-VO-Authenticated"] == person.name
    provider.information = {"sub": "5", "preferred_username": person.name}
    browser = Browser(url)
    assert is_refused(browser, browser.log_in())


def test_an_address_counts_once_it_is_verified(gate: Gate, provider: Provider, office: Office) -> None:
    name = f"{secrets.token_hex(4)}@archive.example"
    people.create(office.database, OPERATOR, name)
    browser = Browser(gate(openid_claim="email", openid_scope="openid email"))
    for verified in ({}, {"email_verified": False}, {"email_verified": "true"}):
        provider.user = {"sub": "6", "email": name, **verified}
        assert is_refused(browser, browser.log_in())
    provider.user["email_verified"] = True
    assert browser.log_in().headers["X-VO-Authenticated"] == name


def test_what_comes_back_belongs_to_who_went(gate: Gate, provider: Provider, person: Person) -> None:
    """The parameters of one log-in are of no use in another browser, or with another state."""
    url = gate()
    provider.user = {"sub": "7", "preferred_username": person.name}
    attacker, victim = Browser(url), Browser(url)
    sent = attacker.authorized(attacker.begin())
    assert is_refused(victim, victim.get(sent))
    victim.begin()
    assert is_refused(victim, victim.get(sent))
    assert ATTEMPT not in victim.cookies()
    state = parse_qs(urlsplit(sent).query)["state"][0]
    for changed_state in ("", "x", state[:-1], state.swapcase()):
        victim.begin()
        assert is_refused(victim, victim.get(sent.replace(state, changed_state)))
    assert provider.tokens == 0
    assert attacker.get(sent).status_code == 303


def test_a_cookie_that_was_made_up_or_is_too_old(
    gate: Gate, provider: Provider, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = gate()
    provider.user = {"sub": "8", "preferred_username": person.name}
    browser = Browser(url)
    sent = browser.authorized(browser.begin())
    cookie = browser.cookies()[ATTEMPT]
    head, body, signature = cookie.split(".")
    for forged in ("x", "", f"{head}.{body}.", f"{head}.{body}x.{signature}", "eyJhbGciOiJub25lIn0.e30."):
        forger = Browser(url, headers={"Cookie": f"{ATTEMPT}={forged}"})
        assert is_refused(forger, forger.get(sent))
    assert provider.tokens == 0
    assert browser.get(sent).status_code == 303
    monkeypatch.setattr(openid, "ATTEMPT_SECONDS", -1)
    late = Browser(url)
    assert is_refused(late, late.log_in())
    assert provider.tokens == 1


def test_a_code_is_good_once(gate: Gate, provider: Provider, person: Person) -> None:
    url = gate()
    provider.user = {"sub": "9", "preferred_username": person.name}
    browser = Browser(url)
    sent = browser.authorized(browser.begin())
    kept = {"Cookie": f"{ATTEMPT}={browser.cookies()[ATTEMPT]}"}
    assert browser.get(sent).status_code == 303
    again = Browser(url)
    assert is_refused(again, again.get(sent))
    thief = Browser(url, headers=kept)
    assert is_refused(thief, thief.get(sent))
    assert provider.tokens == 2


def test_a_code_of_another_log_in_does_not_fit(gate: Gate, provider: Provider, person: Person) -> None:
    """PKCE: the provider gives no token to who has not begun."""
    url = gate()
    provider.user = {"sub": "10", "preferred_username": person.name}
    victim, attacker = Browser(url), Browser(url)
    code = parse_qs(urlsplit(victim.authorized(victim.begin())).query)["code"][0]
    own = attacker.authorized(attacker.begin())
    stolen = own.replace(parse_qs(urlsplit(own).query)["code"][0], code)
    assert is_refused(attacker, attacker.get(stolen))
    assert provider.tokens == 1


def test_a_token_for_another_log_in(gate: Gate, provider: Provider, person: Person) -> None:
    """Whoever asks the provider with our challenge and a nonce of his own gets a token that is none here."""
    provider.user = {"sub": "11", "preferred_username": person.name}
    browser = Browser(gate())
    where = browser.begin()
    nonce = parse_qs(urlsplit(where).query)["nonce"][0]
    assert is_refused(browser, browser.get(browser.authorized(where.replace(nonce, "another"))))
    assert provider.tokens == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "http://127.0.0.1:1"},
        {"aud": ["somebody else"]},
        {"aud": ["somebody else"], "azp": CLIENT},
        {"aud": [CLIENT, "somebody else"], "azp": "somebody else"},
        {"exp": 1_000_000_000},
        {"iat": 4_000_000_000},
        {"nonce": None},
        {"at_hash": "x"},
    ],
)
def test_tokens_that_are_not_for_us(
    gate: Gate, provider: Provider, person: Person, wrong: dict[str, Any]
) -> None:
    provider.user = {"sub": "12", "preferred_username": person.name, **wrong}
    browser = Browser(gate())
    assert is_refused(browser, browser.log_in())


def test_tokens_that_somebody_else_has_signed(gate: Gate, provider: Provider, person: Person) -> None:
    provider.user = {"sub": "13", "preferred_username": person.name}
    browser = Browser(gate())
    # The last is one that the archive has, too: nothing that it could have signed itself is believed.
    for key in (RSAKey.generate_key(2048, {"kid": "tests"}), OctKey.import_key(SECRET, {"kid": "tests"})):
        provider.key = key
        assert is_refused(browser, browser.log_in())


def test_another_provider_answers(gate: Gate, provider: Provider, person: Person) -> None:
    provider.user = {"sub": "14", "preferred_username": person.name}
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    browser = Browser(gate())
    assert is_refused(browser, browser.log_in())
    provider.answer = {"iss": "http://127.0.0.1:1"}
    assert is_refused(browser, browser.log_in())
    provider.answer = {"iss": provider.issuer}
    assert provider.tokens == 0
    assert browser.log_in().status_code == 303


def test_a_refusal_of_the_provider(gate: Gate) -> None:
    browser = Browser(gate())
    state = parse_qs(urlsplit(browser.begin()).query)["state"][0]
    response = browser.get(f"{CALLBACK}?error=%3Cscript%3E&state={state}", headers=HTML)
    assert is_refused(browser, response)
    assert "<form" in response.text
    assert "<script>" not in response.text


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://127.0.0.1:1"},
        {"issuer": "https://provider.example"},
        {"authorization_endpoint": "http://provider.example/authorize"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_metadata_that_cannot_be_used(gate: Gate, provider: Provider, metadata: dict[str, Any]) -> None:
    provider.metadata = metadata
    browser = Browser(gate())
    assert is_refused(browser, browser.get(BEGIN), 503)


def test_a_provider_that_is_down(gate: Gate, provider: Provider, person: Person, office: Office) -> None:
    url = gate()
    provider.user = {"sub": "15", "preferred_username": person.name}
    browser = Browser(url)
    sent = browser.authorized(browser.begin())
    provider.is_down = True
    assert is_refused(browser, browser.get(sent), 503)
    # Passwords of ours still do.
    answer = Caller(url).post("/login", data={"username": person.name, "password": person.password})
    assert answer.status_code == 200
    assert office.execute("SELECT count(*) FROM archive.login_failures") == [(0,)]
    browser = Browser(gate())
    assert is_refused(browser, browser.get(BEGIN), 503)


def test_guessing_codes_ends(gate: Gate, provider: Provider, person: Person, office: Office) -> None:
    url = gate()
    provider.user = {"sub": "16", "preferred_username": person.name}
    guesser = Browser(url, "127.0.0.2")
    for _ in range(office.settings.login_failures_account):
        state = parse_qs(urlsplit(guesser.begin()).query)["state"][0]
        assert is_refused(guesser, guesser.get(f"{CALLBACK}?code=guess&state={state}"))
    state = parse_qs(urlsplit(guesser.begin()).query)["state"][0]
    asked = provider.tokens
    refused = guesser.get(f"{CALLBACK}?code=guess&state={state}", headers=HTML)
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (429, True)
    assert provider.tokens == asked
    assert Browser(url, "127.0.0.3").log_in().status_code == 303


@pytest.mark.parametrize(
    "values",
    [
        {"openid_issuer": "http://provider.example", "openid_client_id": "x", "openid_client_secret": SECRET},
        {"openid_issuer": "https://provider.example", "openid_client_id": "x"},
        {"openid_issuer": "https://provider.example", "openid_client_secret": SECRET},
        {"openid_issuer": "https://", "openid_client_id": "x", "openid_client_secret": SECRET},
    ],
)
def test_settings_that_do_not_go_together(values: dict[str, str]) -> None:
    with pytest.raises(UsageFault, match="OST_VO_OPENID"):
        Settings(**values)


def test_the_secret_is_not_shown_with_the_settings() -> None:
    assert SECRET not in repr(Settings(openid_client_secret=SECRET))
