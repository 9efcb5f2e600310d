"""People with passwords and projects on the running archive, and clients of theirs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from ost_vo.access.actor import OPERATOR
from ost_vo.services import people
from ost_vo.services.logins import Logins
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from tests.conftest import Service, execute

_numbers = itertools.count(1)
_RUN = "login"
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    """A user.

    Attributes:
        name: of the account.
        password: that was right when the account was made.
    """

    name: str
    password: str

    @property
    def basic(self) -> tuple[str, str]:
        """For Basic authentication."""
        return self.name, self.password


class Office:
    """What makes people, projects and products, on the database of the running archive."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.dsn("ost_accounts"), 4)

    def person(self, password: str = PASSWORD, **values: Any) -> Person:
        """Make an account with a name of its own."""
        name = f"person{next(_numbers)}_{_RUN}"
        people.create(self.database, OPERATOR, name, password, **values)
        return Person(name, password)

    def session(self, person: Person) -> str:
        """Begin a session and return its cookie's value."""
        actor = people.actor_named(self.database, person.name)
        return Logins(self.database, self.settings).start_session(actor)

    def token(self, person: Person, *scopes: str, days: float = 1) -> str:
        """Make a token."""
        actor = people.actor_named(self.database, person.name)
        name = f"token {next(_numbers)}"
        return people.create_token(self.database, self.settings, actor, name, scopes or ("read",), days)[0]

    def project(self, *members: Person) -> str:
        """Make a private project and return its name."""
        name = f"PROJECT{next(_numbers)}_{_RUN}"
        self.execute("INSERT INTO archive.projects (name) VALUES (%s)", name)
        for member in members:
            self.execute(
                "INSERT INTO archive.project_members (project_id, user_id) "
                "SELECT project_id, user_id FROM archive.projects j, archive.users u "
                "WHERE j.name = %s AND u.name = %s",
                name,
                member.name,
            )
        return name

    def leave(self, person: Person, project: str) -> None:
        """Take somebody out of a project."""
        self.execute(
            "DELETE FROM archive.project_members m USING archive.users u, archive.projects j "
            "WHERE m.user_id = u.user_id AND m.project_id = j.project_id AND u.name = %s AND j.name = %s",
            person.name,
            project,
        )

    def product(self, creator: Person, project: str, privileges: int) -> str:
        """Make a product that has no file, and return its obs_id."""
        name = f"product{next(_numbers)}_{_RUN}"
        self.execute(
            "INSERT INTO archive.runs (name, project_id) SELECT %s, project_id FROM archive.projects "
            "WHERE name = %s",
            name,
            project,
        )
        self.execute(
            "INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id, "
            "calib_level, obs_id, obs_publisher_did, creator_id, project_id, privileges) "
            "SELECT 'people/' || r.name, 0, sha256('x'), now(), 'image/fits', run_id, 1, r.name, "
            "'ivo://people/' || r.name, user_id, project_id, %s FROM archive.runs r, archive.users u "
            "WHERE r.name = %s AND u.name = %s",
            privileges,
            name,
            creator.name,
        )
        return name

    def execute(self, statement: str, *values: object) -> list[tuple]:
        """Run a statement as the database's superuser."""
        return execute(self.settings.dsn("postgres"), statement, *values)

    def clear(self) -> None:
        """Remove what would show in other tests."""
        self.execute("DELETE FROM archive.products WHERE path LIKE 'people/%%'")
        self.execute("DELETE FROM archive.runs WHERE name LIKE 'product%%' || %s", _RUN)
        self.database.close()


class Caller:
    """A client that follows no redirection.

    Attributes:
        url: of the archive, with the prefix of a context where there is one.
    """

    def __init__(self, url: str, address: str = "127.0.0.1", **session: Any) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", _From(address))
        for name, value in session.items():
            setattr(self._session, name, value)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request; a path is below the archive's URL."""
        url = path if path.startswith("http") else self.url + path
        return self._session.request(method, url, timeout=60, allow_redirects=False, **options)

    def query(self, query: str, **parameters: str) -> requests.Response:
        """Run a query, for CSV."""
        fields = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv", **parameters}
        return self.post("/tap/sync", data=fields)

    def seen(self, *names: str, **parameters: str) -> set[str]:
        """Return which of some products the client sees."""
        listed = ", ".join(f"'{name}'" for name in names)
        response = self.query(f"SELECT obs_id FROM ost.products WHERE obs_id IN ({listed})", **parameters)
        assert response.status_code == 200, response.text
        return set(response.text.split()[1:])

    def cookies(self) -> Mapping[str, str]:
        """Return the cookies that the client has."""
        return dict(self._session.cookies)


class _From(HTTPAdapter):
    """Connects from an address of the loopback network."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **{**options, "source_address": (self._address, 0)})


@pytest.fixture(scope="module")
def office(service: Service) -> Iterator[Office]:
    office = Office(service.settings)
    yield office
    office.clear()


@pytest.fixture(autouse=True)
def nobody_has_failed(office: Office) -> None:
    """All tests log in from a few addresses."""
    office.execute("DELETE FROM archive.login_failures")


@pytest.fixture
def person(office: Office) -> Person:
    return office.person()


@pytest.fixture
def anonymous(service: Service) -> Caller:
    return Caller(service.url)
