"""Guessing comes to an end, and nobody else is locked out by it."""

from __future__ import annotations

import math
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ost_vo.web.addresses import counted_address, networks
from tests.authentication.asgi import answers, changed
from tests.authentication.conftest import PASSWORD, Caller, Office, Person
from tests.conftest import Service

WRONG = "wrong password"


def status(service: Service, name: str, password: str, address: str = "127.0.0.1", **headers: str) -> int:
    caller = Caller(service.url, address)
    return caller.post("/login", data={"username": name, "password": password}, headers=headers).status_code


def fail(office: Office, account: str, address: str, count: int) -> None:
    """Count wrong passwords without trying them."""
    office.execute(
        "INSERT INTO archive.login_failures (account, address) SELECT %s, %s FROM generate_series(1, %s)",
        account,
        address,
        count,
    )


def test_an_account_listens_no_more_to_who_guesses(service: Service, office: Office, person: Person) -> None:
    limit = service.settings.login_failures_account
    for name in (person.name, f"nobody{secrets.token_hex(4)}", f"no user\0{secrets.token_hex(4)}"):
        guesses = [status(service, name, f"{WRONG} {number}", "127.0.0.2") for number in range(limit + 2)]
        assert guesses == [401] * limit + [429] * 2
    caller = Caller(service.url, "127.0.0.2")
    for refused in (
        caller.post("/login", data={"username": person.name, "password": PASSWORD}),
        caller.get("/tap/capabilities", auth=person.basic),
    ):
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= service.settings.login_window
    # From elsewhere the right password is right, and it is not remembered for the one who guesses.
    assert status(service, person.name, PASSWORD, "127.0.0.3") == 200
    for headers in (
        {"Authorization": f"Bearer {office.token(person)}"},
        {"Cookie": f"ost_session={office.session(person)}"},
    ):
        assert caller.get("/tap/capabilities", headers=headers).headers["X-VO-Authenticated"] == person.name
    office.execute("UPDATE archive.login_failures SET moment = moment - make_interval(secs => %s)", 901)
    assert status(service, person.name, PASSWORD, "127.0.0.2") == 200


def test_an_address_that_guesses_at_everybody(service: Service, office: Office, person: Person) -> None:
    for number in range(service.settings.login_failures_address):
        fail(office, f"somebody{number}", "127.0.0.4", 1)
    assert status(service, person.name, PASSWORD, "127.0.0.4") == 429
    assert status(service, person.name, PASSWORD, "127.0.0.5") == 200


def test_an_attack_from_everywhere_leaves_the_user_a_few_mistakes(
    service: Service, office: Office, person: Person
) -> None:
    for number in range(100):
        fail(office, person.name, f"192.0.2.{number}", 3)
    assert [status(service, person.name, f"{WRONG} {number}") for number in range(2)] == [401] * 2
    assert status(service, person.name, PASSWORD) == 200
    assert [status(service, person.name, f"{WRONG} again {n}") for n in range(4)] == [401] * 3 + [429]


def test_success_forgets_the_mistakes(service: Service, person: Person) -> None:
    assert [status(service, person.name, f"{WRONG} {n}") for n in range(5)] == [401] * 5
    assert status(service, person.name, PASSWORD) == 200
    # With the five of before, these would be too many.
    assert [status(service, person.name, f"{WRONG} again {n}") for n in range(9)] == [401] * 9


def test_the_same_guess_again_is_none(service: Service, person: Person) -> None:
    """Java sends a password that was refused twenty times over."""
    caller = Caller(service.url, "127.0.0.8", auth=(person.name, WRONG))
    answered = [caller.get("/tap/capabilities").status_code for _ in range(20)]
    assert answered == [401] * 20
    assert status(service, person.name, PASSWORD, "127.0.0.8") == 200


def test_guesses_at_the_same_time_are_counted_all(service: Service, person: Person) -> None:
    def guess(number: int) -> int:
        return status(service, person.name, f"{WRONG} {number}", "127.0.0.6")

    with ThreadPoolExecutor(20) as pool:
        answered = list(pool.map(guess, range(40)))
    assert answered.count(401) == service.settings.login_failures_account
    assert answered.count(429) == 40 - service.settings.login_failures_account


def test_strangers_do_not_choose_their_address(service: Service, person: Person) -> None:
    limit = service.settings.login_failures_account
    guesses = [
        status(
            service,
            person.name,
            f"{WRONG} {number}",
            "127.0.0.7",
            **{"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"},
        )
        for number in range(limit + 1)
    ]
    assert guesses == [401] * limit + [429]


def test_a_trusted_proxy_tells_the_address(service: Service, office: Office, person: Person) -> None:
    settings = changed(service.settings, trusted_proxies="192.0.2.0/24")
    fail(office, person.name, "198.51.100.1", 50)
    request = {
        "path": "/login",
        "method": "POST",
        "form": {"username": person.name, "password": PASSWORD},
    }
    told = (("x-forwarded-for", "203.0.113.9, 198.51.100.1"),)
    (by_proxy, _), (by_stranger, _) = answers(
        settings,
        {**request, "client": "192.0.2.1", "headers": told},
        {**request, "client": "203.0.113.1", "headers": told},
    )
    assert (by_proxy, by_stranger) == (429, 200)


@pytest.mark.parametrize(
    ("client", "forwarded", "counted"),
    [
        ("203.0.113.1", ["198.51.100.1"], "203.0.113.1"),
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "198.51.100.1"),
        ("192.0.2.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("192.0.2.1", ["1.1.1.1", "198.51.100.1, 192.0.2.2"], "198.51.100.1"),
        ("192.0.2.1", ["192.0.2.2"], "192.0.2.2"),
        ("192.0.2.1", ["198.51.100.1:4000"], "198.51.100.1"),
        ("192.0.2.1", ["198.51.100.1, nonsense"], "192.0.2.1"),
        ("192.0.2.1", ["[2001:db8:1:2::3]:4000"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.1", ["198.51.100.1"], "203.0.113.1"),
        ("::ffff:192.0.2.1", ["198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], "unknown"),
    ],
)
def test_the_address_that_counts(client: str | None, forwarded: list[str], counted: str) -> None:
    scope = {
        "type": "http",
        "client": (client, 1) if client else None,
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }
    assert counted_address(scope, networks("192.0.2.0/24, 2001:db8:ffff::/48")) == counted


def test_an_unknown_account_takes_as_long_as_a_wrong_password(
    service: Service, office: Office, person: Person
) -> None:
    shortest = {"nobody": math.inf, person.name: math.inf}
    # What else the machine does makes some longer, and none shorter.
    for number in range(60):
        for name in shortest:
            began = time.perf_counter()
            assert status(service, name, secrets.token_hex()) == 401
            shortest[name] = min(shortest[name], time.perf_counter() - began)
        office.execute("DELETE FROM archive.login_failures")
        if number >= 3 and 0.5 < shortest["nobody"] / shortest[person.name] < 2:
            return
    raise AssertionError(shortest)
