"""Passwords that a directory knows: who gets in with them, and what must never."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ost_vo.access.actor import OPERATOR, Actor
from ost_vo.faults import AuthenticationFault, ThrottledFault, TransientFault, UsageFault
from ost_vo.services import directory, people
from ost_vo.services.logins import Logins
from ost_vo.settings import Settings
from tests.authentication.asgi import answers, changed
from tests.authentication.conftest import PASSWORD, Office
from tests.authentication.slapd import (
    PEOPLE,
    READER,
    READER_PASSWORD,
    STAFF,
    Slapd,
    password_of,
    running,
)

_RUN = "ldap"
ADA, BEN, CY, DEE, EVE, TWIN, STEF = (
    f"{name}_{_RUN}" for name in ("ada", "ben", "cy", "dee", "eve", "twin", "stef")
)
ADDRESS = "192.0.2.1"


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    everybody = [(PEOPLE, uid) for uid in (ADA, BEN, CY, DEE, EVE, TWIN)]
    others = [(STAFF, STEF), (f"uid={BEN},{PEOPLE}", TWIN)]
    with running(tmp_path_factory.mktemp("slapd"), iter(everybody + others)) as slapd:
        yield slapd


@pytest.fixture(scope="module", autouse=True)
def ada(office: Office) -> None:
    """Make the users that the operators have made, without passwords of ours."""
    for name in (ADA, TWIN, STEF):
        people.create(office.database, OPERATOR, name)


Chain = Callable[..., Logins]


@pytest.fixture
def chain(office: Office, slapd: Slapd) -> Chain:
    """Return what logs in by the archive's own passwords, then by those of the directory."""

    def made(**values: Any) -> Logins:
        chosen = {"ldap_url": slapd.url, "ldap_base": "dc=example", **values}
        settings = changed(office.settings, **chosen)
        return Logins(office.database, settings, directory.verifiers(office.database, settings))

    return made


def enter(logins: Logins, name: str, password: str | None = None) -> Actor:
    return logins.by_password(name, password_of(name) if password is None else password, ADDRESS)


def failures(office: Office) -> int:
    return office.execute("SELECT count(*) FROM archive.login_failures WHERE address = %s", ADDRESS)[0][0]


def is_account(office: Office, name: str) -> bool:
    return bool(office.execute("SELECT FROM archive.users WHERE name = %s", name))


def test_somebody_whom_the_directory_knows_gets_in(chain: Chain, office: Office) -> None:
    logins = chain()
    assert enter(logins, ADA).name == ADA
    assert failures(office) == 0
    # It is not asked again for minutes; a session is one like any other.
    known = logins.remembered(ADA, password_of(ADA))
    assert known is not None
    assert logins.by_session(logins.start_session(known)) == known
    for wrong in ("wrong", password_of(BEN), ""):
        with pytest.raises(AuthenticationFault):
            enter(logins, ADA, wrong)


def test_over_http(office: Office, slapd: Slapd) -> None:
    settings = changed(office.settings, ldap_url=slapd.url, ldap_base=PEOPLE)
    request = {"path": "/login", "method": "POST"}
    (right, headers), (wrong, _) = answers(
        settings,
        {**request, "form": {"username": ADA, "password": password_of(ADA)}},
        {**request, "form": {"username": ADA, "password": "wrong"}},
    )
    assert (right, wrong) == (200, 401)
    assert headers["x-vo-authenticated"] == [ADA]
    assert headers["set-cookie"][0].startswith("ost_session=")


def test_a_bind_that_says_nothing_lets_nobody_in(chain: Chain) -> None:
    """The directory of these tests lets everybody bind who shows no password at all."""
    logins = chain()
    # The last two are nothing once they are prepared (RFC 4013).
    for nothing in ("", "\0", "\u00ad", "\u200b\ufeff"):
        with pytest.raises(AuthenticationFault):
            enter(logins, ADA, nothing)


@pytest.mark.parametrize(
    "name",
    [
        "*",
        f"{ADA[:-1]}*",
        f"{ADA})(uid=*",
        f"{ADA})(|(uid=*",
        f"{ADA}\0",
        f"{ADA}\\2a",
        "",
        f"uid={ADA},{PEOPLE}",
    ],
)
def test_a_name_is_nothing_but_a_name(chain: Chain, name: str) -> None:
    with pytest.raises(AuthenticationFault):
        enter(chain(ldap_create=True), name, password_of(ADA))


def test_each_user_has_one_spelling(chain: Chain, office: Office) -> None:
    for name in (ADA.upper(), ADA.title(), CY.upper()):
        with pytest.raises(AuthenticationFault):
            enter(chain(ldap_create=True), name, password_of(name.lower()))
        assert not is_account(office, name)


def test_a_name_of_several_entries_is_nobodys(chain: Chain) -> None:
    with pytest.raises(AuthenticationFault):
        enter(chain(), TWIN)


def test_users_are_made_where_the_operators_want_it(chain: Chain, office: Office) -> None:
    with pytest.raises(AuthenticationFault):
        enter(chain(), BEN)
    assert not is_account(office, BEN)
    logins = chain(ldap_create=True, ldap_role="supervisor")
    with pytest.raises(AuthenticationFault):
        enter(logins, BEN, "wrong")
    assert not is_account(office, BEN)
    made = enter(logins, BEN)
    assert (made.name, made.role, made.is_superuser) == (BEN, "supervisor", False)
    assert enter(chain(), BEN) == made


def test_two_first_log_ins_at_once_make_one_user(chain: Chain) -> None:
    logins = chain(ldap_create=True)
    with ThreadPoolExecutor(4) as pool:
        assert len({actor.user_id for actor in pool.map(lambda _: enter(logins, CY), range(4))}) == 1


def test_who_has_a_password_of_ours_has_no_other(chain: Chain, office: Office) -> None:
    people.create(office.database, OPERATOR, DEE, PASSWORD)
    assert enter(chain(), DEE, PASSWORD).name == DEE
    with pytest.raises(AuthenticationFault):
        enter(chain(), DEE)


def test_who_is_not_active_stays_out(chain: Chain, office: Office) -> None:
    logins = chain(ldap_create=True)
    people.create(office.database, OPERATOR, EVE)
    assert enter(logins, EVE).name == EVE
    people.set_active(office.database, OPERATOR, EVE, False)
    assert logins.remembered(EVE, password_of(EVE)) is None
    with pytest.raises(AuthenticationFault, match="not active"):
        enter(logins, EVE)


def test_guessing_ends_as_with_passwords_of_ours(chain: Chain, office: Office) -> None:
    logins = chain()
    for number in range(office.settings.login_failures_account):
        with pytest.raises(AuthenticationFault):
            enter(logins, ADA, f"wrong {number}")
    with pytest.raises(ThrottledFault):
        enter(logins, ADA)
    assert logins.by_password(ADA, password_of(ADA), "192.0.2.2").name == ADA


def test_where_people_are_looked_for(chain: Chain) -> None:
    reader = {"ldap_bind_dn": READER, "ldap_bind_password": READER_PASSWORD}
    assert enter(chain(**reader), STEF).name == STEF
    assert enter(chain(**reader, ldap_filter=f"(cn={STEF})"), STEF).name == STEF
    for elsewhere in (
        {},
        {**reader, "ldap_base": PEOPLE},
        {**reader, "ldap_filter": "(objectClass=domain)"},
        {**reader, "ldap_attribute": "mail"},
    ):
        with pytest.raises(AuthenticationFault):
            enter(chain(**elsewhere), STEF)


def test_tls(chain: Chain, slapd: Slapd) -> None:
    for url in (slapd.url, slapd.tls_url):
        assert enter(chain(ldap_url=url, ldap_ca=slapd.ca), ADA).name == ADA
    for unbelievable in (
        {"ldap_url": slapd.tls_url},
        {"ldap_url": slapd.tls_url.replace("localhost", "127.0.0.1"), "ldap_ca": slapd.ca},
        {"ldap_url": slapd.url.replace("localhost", "127.0.0.1"), "ldap_ca": slapd.ca},
    ):
        with pytest.raises(TransientFault):
            enter(chain(**unbelievable), ADA)


class Stranger:
    """Something that listens, and notes what it is sent."""

    def __init__(self, answer: bytes | None) -> None:
        """Answer the first message so, and hang up; without an answer, say nothing."""
        self.received = b""
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(120)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(4096):
                    self.received += data
                    if self._answer is not None:
                        connection.sendall(self._answer)
                        break


def test_without_tls_nothing_is_sent_to_another_machine(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that refuses StartTLS gets neither the archive's password nor anybody's."""
    # The extended response to message 1: protocolError.
    stranger = Stranger(bytes.fromhex("300c02010178070a010204000400"))
    found = socket.getaddrinfo

    def lookup(host: str, *rest: Any, **options: Any) -> Any:
        return found("127.0.0.1" if host == "directory.example" else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    logins = chain(
        ldap_url=f"ldap://directory.example:{stranger.port}",
        ldap_bind_dn=READER,
        ldap_bind_password=READER_PASSWORD,
    )
    with pytest.raises(TransientFault):
        enter(logins, ADA)
    stranger.close()
    assert b"1.3.6.1.4.1.1466.20037" in stranger.received
    for secret in (READER, READER_PASSWORD, ADA, password_of(ADA)):
        assert secret.encode() not in stranger.received


def test_a_directory_that_says_nothing_is_not_waited_for(chain: Chain, office: Office) -> None:
    stranger = Stranger(None)

    def seconds(scheme: str) -> float:
        logins = chain(ldap_url=f"{scheme}://localhost:{stranger.port}")
        began = time.monotonic()
        with pytest.raises(TransientFault):
            enter(logins, ADA)
        first = time.monotonic() - began
        # Others do not wait the same again.
        with pytest.raises(TransientFault):
            enter(logins, ADA, "another")
        assert time.monotonic() - began < 1.8 * first
        return first

    for scheme in ("ldap", "ldaps"):
        assert seconds(scheme) < 30
    stranger.close()
    assert failures(office) == 0


def test_while_the_directory_is_down(chain: Chain, office: Office, slapd: Slapd) -> None:
    own = office.person()
    with pytest.raises(AuthenticationFault):
        enter(chain(), ADA, "wrong")
    slapd.stop()
    try:
        logins = chain(ldap_create=True)
        for _ in range(office.settings.login_failures_account + 1):
            with pytest.raises(TransientFault) as raised:
                enter(logins, ADA)
            assert not isinstance(raised.value, ThrottledFault)
        for name in (BEN, "nobody"):
            with pytest.raises(TransientFault):
                enter(chain(), name, "x")
        # What was wrong before still counts, and nothing besides.
        assert failures(office) == 1
        assert enter(logins, own.name, own.password).name == own.name
        with pytest.raises(AuthenticationFault):
            enter(logins, own.name, "wrong password")
    finally:
        slapd.start()
    assert enter(chain(), ADA).name == ADA


def test_a_directory_that_does_not_let_the_archive_in(chain: Chain) -> None:
    for values in (
        {"ldap_bind_dn": READER, "ldap_bind_password": "wrong"},
        {"ldap_base": "dc=other"},
        {"ldap_filter": "(nonsense"},
    ):
        with pytest.raises(TransientFault):
            enter(chain(**values), ADA)


@pytest.mark.parametrize(
    "values",
    [
        {"ldap_url": "ldaps://directory.example"},
        {"ldap_url": "https://directory.example", "ldap_base": "dc=example"},
        {"ldap_url": "ldaps://", "ldap_base": "dc=example"},
        {"ldap_url": "ldaps://directory.example", "ldap_base": "dc=example", "ldap_bind_dn": READER},
        {"ldap_url": "ldaps://directory.example", "ldap_base": "dc=example", "ldap_bind_password": "x"},
    ],
)
def test_settings_that_do_not_go_together(values: dict[str, str]) -> None:
    with pytest.raises(UsageFault, match="OST_VO_LDAP"):
        Settings(**values)


def test_passwords_are_not_shown_with_the_settings(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, ldap_bind_password="it is secret")
    assert "it is secret" not in repr(settings)
