"""Who sees which targets, and who may say what: over HTTP and by commands, on the running archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
import requests
from click.testing import Result
from typer.testing import CliRunner

from ingest.load import ingest
from ost_vo import faults
from ost_vo.access.actor import OPERATOR
from ost_vo.cli import app
from ost_vo.services import people
from ost_vo.store.connections import Database
from tests.blues import PASSWORD, Blues
from tests.targets.frames import write_light

HIDDEN = "Secret One"
# Prominent, but nobody else looks there.
HIDDEN_GALAXY = "NGC 891"
ANONYMOUS = None

_REMOVE = """
DELETE FROM archive.products WHERE path LIKE 'sky-%%';
DELETE FROM archive.runs WHERE name LIKE 'sky-%%';
DELETE FROM archive.targets WHERE target_id > %s;
"""


@dataclass(frozen=True)
class Sky:
    """Two runs, one that all see and one of the project BLUES, with users who see both, or one.

    Attributes:
        blues: the project, its archive and its people.
    """

    blues: Blues

    def ask(self, user: str | None, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request to the API."""
        login = (user, PASSWORD) if user else None
        url = f"{self.blues.service.url}/api/v1/{path}"
        return requests.request(method, url, auth=login, timeout=60, **arguments)

    def get(self, user: str | None, path: str, **parameters: Any) -> Any:
        """Return the answer to a request that succeeds."""
        answer = self.ask(user, "GET", path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def names(self, user: str | None, **parameters: Any) -> set[str]:
        """Return the names of the targets that somebody is shown, page by page."""
        found: set[str] = set()
        page = self.get(user, "targets", limit=2, **parameters)
        while True:
            found |= {target["target_name"] for target in page["targets"]}
            if page["next"] is None:
                return found
            page = self.get(user, "targets", limit=2, cursor=page["next"], **parameters)

    def query(self, user: str | None, query: str) -> list[list[str]]:
        """Return the rows of an ADQL query, as text."""
        login = (user, PASSWORD) if user else None
        asked = {"LANG": "ADQL", "QUERY": query, "FORMAT": "csv"}
        answer = requests.post(f"{self.blues.service.url}/tap/sync", data=asked, auth=login, timeout=60)
        assert answer.status_code == 200, answer.text
        return [line.split(",") for line in answer.text.split()[1:]]

    def did(self, path: str) -> str:
        """Return the identifier of a product."""
        rows = self.blues.rows(f"SELECT obs_publisher_did FROM archive.products WHERE path = '{path}'")
        return str(rows[0][0])

    def number(self, name: str) -> int:
        """Return the number of a target."""
        return int(self.blues.rows(f"SELECT target_id FROM archive.targets WHERE name = '{name}'")[0][0])

    def command(self, *words: str) -> Result:
        """Give a command; return how it ended."""
        settings = self.blues.service.settings
        environment = {"OST_VO_STATE": str(settings.state), "OST_VO_PORT": str(settings.port)}
        return CliRunner().invoke(app, list(words), env=environment)


@pytest.fixture(scope="module")
def sky(blues_project: Blues) -> Iterator[Sky]:
    settings = blues_project.service.settings
    secret = settings.model_copy(
        update={"ingest_project": "BLUES", "ingest_user": "bob", "ingest_privileges": 2}
    )
    database = Database(settings.dsn("ost_accounts"), 1)
    people.create(database, OPERATOR, "dora", PASSWORD, role="staff")
    database.close()
    ((last,),) = blues_project.rows("SELECT max(target_id) FROM archive.targets")
    write_light(settings.data / "sky-open" / "1.fits", (150.0, 20.0), OBJECT="EY UMa")
    write_light(settings.data / "sky-open" / "2.fits", (150.0, 20.0), OBJECT="NGC 7331")
    write_light(settings.data / "sky-blue" / "1.fits", (35.0, 42.0), OBJECT=HIDDEN)
    write_light(settings.data / "sky-blue" / "2.fits", (160.0, 20.0), OBJECT=HIDDEN_GALAXY)
    ingest([settings.data / "sky-open"], settings)
    ingest([secret.data / "sky-blue"], secret)
    yield Sky(blues_project)
    connection = psycopg2.connect(settings.dsn("postgres"))
    with connection, connection.cursor() as cursor:
        cursor.execute(_REMOVE, (last,))
    connection.close()
    for path in settings.data.glob("sky-*/*"):
        path.unlink()


def test_targets_are_seen_with_their_products(sky: Sky) -> None:
    for user, sees in ((ANONYMOUS, False), ("eve", False), ("bob", True), ("dora", True), ("root", True)):
        found = sky.names(user)
        assert {"EY UMa", "NGC 7331", "M 45"} <= found
        assert ({HIDDEN, HIDDEN_GALAXY} <= found) == sees, user
        assert ({HIDDEN, HIDDEN_GALAXY} & found == set()) != sees, user
        assert sky.names(user, name=HIDDEN.lower()) == ({HIDDEN} if sees else set())
        assert (HIDDEN in sky.names(user, unresolved=True)) == sees
        assert sky.ask(user, "GET", f"targets/{sky.number(HIDDEN)}").status_code == (200 if sees else 404)


def test_hidden_and_missing_targets_look_the_same(sky: Sky) -> None:
    hidden, missing = sky.number(HIDDEN), 2**31 - 1
    for user in (ANONYMOUS, "eve"):
        answers = [sky.ask(user, "GET", f"targets/{number}") for number in (hidden, missing)]
        texts = [
            answer.text.replace(str(n), "N") for answer, n in zip(answers, (hidden, missing), strict=True)
        ]
        assert texts[0] == texts[1]
    for user in ("eve", "bob"):
        answers = [
            sky.ask(user, "POST", f"targets/{number}/aliases", json={"alias": "mine"})
            for number in (hidden, missing)
        ]
        assert [answer.status_code for answer in answers] == [403, 403]


def test_queries_see_what_the_api_shows(sky: Sky) -> None:
    hidden = f"WHERE target_name = '{HIDDEN}'"
    for user, count in ((ANONYMOUS, "0"), ("eve", "0"), ("bob", "1")):
        assert sky.query(user, f"SELECT count(*) AS n FROM ost.targets {hidden}") == [[count]]
        assert sky.query(user, f"SELECT count(*) AS n FROM ost.product_targets {hidden}") == [[count]]
        assert sky.query(
            user, "SELECT count(*) AS n FROM ost.target_aliases WHERE alias_key = 'secretone'"
        ) == [[count]]
    # Through a name of its own, to the frames of an object.
    assert sky.query(
        ANONYMOUS,
        "SELECT p.path FROM ost.target_aliases AS a JOIN ost.products AS p ON p.target_id = a.target_id"
        " WHERE alias_key = 'ugc12113'",
    ) == [["sky-open/2.fits"]]
    assert sky.query(
        ANONYMOUS,
        "SELECT TOP 1 s_ra, s_dec FROM ost.targets"
        " WHERE DISTANCE(POINT(s_ra, s_dec), POINT(339.27, 34.42)) < 0.1 AND target_class = 'galaxy'",
    )


def test_a_secret_name_stays_secret_when_targets_are_merged(sky: Sky) -> None:
    hidden, open_one = sky.number(HIDDEN), sky.number("EY UMa")
    body = {"sources": [hidden], "into": open_one, "reason": "the same"}
    assert sky.ask(ANONYMOUS, "POST", "targets/merge", json=body).status_code == 401
    for user in ("eve", "bob", "anna"):
        assert sky.ask(user, "POST", "targets/merge", json=body).status_code == 403
    assert sky.ask("dora", "POST", "targets/merge", json=body).status_code == 204
    for user, sees in ((ANONYMOUS, False), ("eve", False), ("bob", True), ("dora", True)):
        found = sky.get(user, f"targets/{hidden}")
        assert (found["target_id"], found["target_name"]) == (open_one, "EY UMa")
        assert (HIDDEN in found["aliases"]) == sees, user
        assert sky.names(user, name=HIDDEN) == ({"EY UMa"} if sees else set())
    (entry,) = sky.get("dora", "audit", subject=HIDDEN, limit=1)["entries"]
    assert (entry["actor"], entry["reason"]) == ("dora", "the same")
    body = {"target": open_one, "aliases": [HIDDEN]}
    assert sky.ask("bob", "POST", "targets/split", json=body).status_code == 403
    assert sky.ask("dora", "POST", "targets/split", json=body).json() == {"target_id": hidden}
    assert sky.ask("eve", "GET", f"targets/{hidden}").status_code == 404
    assert sky.names("bob", name=HIDDEN) == {HIDDEN}


def test_names_of_people(sky: Sky) -> None:
    number = sky.number("EY UMa")
    path = f"targets/{number}/aliases"
    assert sky.ask("eve", "POST", path, json={"alias": "Eye"}).status_code == 403
    assert sky.ask("dora", "POST", path, json={"alias": "Eye"}).status_code == 204
    assert "Eye" in sky.get(ANONYMOUS, f"targets/{number}")["aliases"]
    assert (
        sky.ask(
            "dora", "POST", f"targets/{sky.number('NGC 7331')}/aliases", json={"alias": "EYE"}
        ).status_code
        == 409
    )
    assert sky.ask("bob", "DELETE", path, params={"alias": "Eye"}).status_code == 403
    assert sky.ask("dora", "DELETE", path, params={"alias": "Eye"}).status_code == 204
    assert sky.get(ANONYMOUS, f"targets/{number}")["aliases"] == ["EY UMa"]
    added = sky.ask("dora", "POST", "targets", json={"name": "NGC 2403"})
    assert added.status_code == 201
    assert sky.get("dora", f"targets/{added.json()['target_id']}")["target_class"] == "galaxy"
    # Nobody sees it in a product yet.
    assert sky.names(ANONYMOUS, name="NGC 2403") == set()


def test_words_over_http(sky: Sky) -> None:
    open_one, hidden = sky.did("sky-open/1.fits"), sky.did("sky-blue/1.fits")
    word = {"identifiers": [open_one], "field": "exposure_type", "value": "flat", "reason": "twilight"}
    assert sky.ask(ANONYMOUS, "PUT", "overrides", json=word).status_code == 401
    assert sky.ask("bob", "PUT", "overrides", json=word).status_code == 403
    assert sky.ask("dora", "PUT", "overrides", json=word).status_code == 204
    kind = f"SELECT exposure_type FROM ost.products WHERE obs_publisher_did = '{open_one}'"
    assert sky.query(ANONYMOUS, kind) == [["flat"]]
    (said,) = sky.get("eve", "overrides", id=open_one)["overrides"]
    assert (said["value"], said["automatic"], said["user"]) == ("flat", "light", "dora")
    assert sky.ask(ANONYMOUS, "GET", "overrides").status_code == 401
    # All or none, and what one may not see is not there.
    for missing in (hidden, "ivo://nowhere/none"):
        answer = sky.ask("dora", "PUT", "overrides", json=word | {"identifiers": [open_one, missing]})
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"There is no data product {missing}."
        assert sky.ask("dora", "POST", "overrides/clear", json={"identifiers": [missing]}).status_code == 404
    assert sky.ask("root", "PUT", "overrides", json=word | {"value": "fog"}).status_code == 400
    target = word | {"field": "target", "value": "NGC 7331"}
    assert sky.ask("dora", "PUT", "overrides", json=target).status_code == 204
    assert sky.ask("dora", "PUT", "overrides", json=target | {"value": "none"}).status_code == 204
    assert sky.ask("bob", "POST", "overrides/clear", json={"identifiers": [open_one]}).status_code == 403
    cleared = sky.ask("dora", "POST", "overrides/clear", json={"identifiers": [open_one]})
    assert cleared.json() == {"changed": [open_one]}
    assert sky.query(ANONYMOUS, kind) == [["light"]]
    found = sky.query(ANONYMOUS, kind.replace("exposure_type", "target_id"))
    assert found == [[str(sky.number("EY UMa"))]]
    log = sky.get("dora", "audit", subject=open_one)["entries"]
    assert [entry["action"] for entry in log][-1] == "overrides insert"
    assert {entry["actor"] for entry in log} == {"dora"}


def test_words_of_hidden_products_are_hidden(sky: Sky) -> None:
    hidden = sky.did("sky-blue/1.fits")
    assert sky.command("override", "set", "exposure_type", "dark", hidden).exit_code == 0
    for user, count in (("eve", 0), ("dora", 0), ("bob", 1)):
        assert len(sky.get(user, "overrides", id=hidden)["overrides"]) == count
        assert len([o for o in sky.get(user, "overrides")["overrides"] if o["identifier"] == hidden]) == count
    assert "sky-blue/1.fits" in sky.command("override", "list").stdout
    assert "1 products" in sky.command("override", "clear", hidden, "--field", "exposure_type").stdout


def test_doubts_of_visible_products_alone(sky: Sky) -> None:
    """The galaxies of both runs are not where the files looked."""
    assert sky.ask(ANONYMOUS, "GET", "discrepancies").status_code == 401
    assert sky.ask("bob", "GET", "discrepancies").status_code == 403
    found = sky.get("dora", "discrepancies", keyword="TARGET")["discrepancies"]
    assert {doubt["path"] for doubt in found} == {"sky-open/2.fits"}
    assert sky.get("dora", "discrepancies", run="sky-blue") == {"discrepancies": [], "next": None}
    told = sky.command("discrepancies", "--run", "sky-blue").stdout
    assert HIDDEN_GALAXY in told


def test_commands(sky: Sky) -> None:
    assert HIDDEN in sky.command("target", "unresolved").stdout
    assert HIDDEN not in sky.command("target", "list", "--as", "eve").stdout
    assert "Deer Lick" not in sky.command("target", "show", "secret-one").stdout
    assert "UGC 12113" in sky.command("target", "show", "ngc7331").stdout
    assert isinstance(sky.command("target", "show", HIDDEN, "--as", "eve").exception, faults.NotFoundFault)
    assert sky.command("target", "alias", "EY UMa", "Eye", "--reason", "short").exit_code == 0
    assert sky.command("target", "merge", HIDDEN, "--into", "eye").exit_code == 0
    assert sky.command("target", "split", "EY UMa", HIDDEN).exit_code == 0
    assert sky.command("target", "alias", "EY UMa", "Eye", "--remove").exit_code == 0
    assert sky.command("target", "add", "NGC 4565").exit_code == 0
    assert isinstance(
        sky.command("target", "add", "NGC 4559", "--as", "bob").exception, faults.AuthorizationFault
    )
    assert isinstance(sky.command("target", "resolve", "--simbad").exception, faults.UsageFault)
    assert sky.command("target", "resolve").exit_code == 0
