"""What a hostile user tries, over HTTP, to learn of a product that only its creator may see."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
import requests

from ost_vo.access.actor import OPERATOR
from ost_vo.services import people, projects
from ost_vo.store.connections import Database
from tests.conftest import Service

SECRET = "secret of mallory's neighbour"

_INSERT = """
INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id, calib_level, obs_id,
    obs_publisher_did, creator_id, project_id, privileges, target_name, t_exptime)
SELECT r.name || '/secret.fits', 0, sha256('x'), now(), 'image/fits', run_id, 1, %(secret)s,
    'ivo://attack/secret', user_id, j.project_id, 1, %(secret)s, 4242
FROM archive.runs r, archive.projects j, archive.users u
WHERE j.name = 'NEIGHBOURS' AND u.name = 'neighbour' ORDER BY run_id LIMIT 1
"""
_REMOVE = """
DELETE FROM archive.products WHERE obs_publisher_did = 'ivo://attack/secret';
DELETE FROM archive.project_members USING archive.projects j
    WHERE j.project_id = project_members.project_id AND j.name IN ('NEIGHBOURS', 'MALLORYS');
DELETE FROM archive.users WHERE name IN ('neighbour', 'mallory');
DELETE FROM archive.projects WHERE name IN ('NEIGHBOURS', 'MALLORYS');
"""


@pytest.fixture(scope="module")
def mallory(service: Service) -> Iterator[requests.Session]:
    """A user who manages a project, but not that of the secret."""
    database = Database(service.settings.dsn("ost_accounts"), 2)
    for name in ("neighbour", "mallory"):
        people.create(database, OPERATOR, name, role="staff")
    projects.create(database, OPERATOR, "NEIGHBOURS", manager="neighbour")
    projects.create(database, OPERATOR, "MALLORYS", manager="mallory")
    _execute(service, _INSERT)
    actor = people.actor_named(database, "mallory")
    token, _ = people.create_token(database, service.settings, actor, "t", ["read", "write", "admin"], 1)
    database.close()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    yield session
    _execute(service, _REMOVE)


def _execute(service: Service, statement: str) -> None:
    connection = psycopg2.connect(service.settings.dsn("postgres"))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, {"secret": SECRET})
    connection.close()


def ask(service: Service, session: requests.Session, query: str, **more: str) -> requests.Response:
    parameters = {"LANG": "ADQL", "QUERY": query, "FORMAT": "csv", **more}
    return session.post(f"{service.url}/tap/sync", data=parameters, timeout=60)


def test_the_secret_is_there_for_its_creator(service: Service, mallory: requests.Session) -> None:
    del mallory
    database = Database(service.settings.dsn("ost_accounts"), 1)
    actor = people.actor_named(database, "neighbour")
    token, _ = people.create_token(database, service.settings, actor, "t", ["read"], 1)
    database.close()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    answer = ask(service, session, "SELECT target_name FROM ost.products WHERE t_exptime = 4242")
    assert SECRET in answer.text


@pytest.mark.parametrize(
    "condition",
    [
        # Each would fail on the secret's row alone, if it were ever tried there.
        "1 / (t_exptime - 4242) > 0",
        "CAST(target_name AS INTEGER) = 1 AND t_exptime = 4242",
        "EXP(t_exptime) > 0 AND t_exptime > 4000",
        "POWER(10, t_exptime) > 0 AND t_exptime > 4000",
        "SQRT(4241 - t_exptime) > 0 AND t_exptime > 4000",
        "LOG(4242 - t_exptime) > 0 AND t_exptime > 4000",
        "MOD(1, CAST(t_exptime AS INTEGER) - 4242) = 5",
        "1 = CONTAINS(POINT(t_exptime / 0.0, 0), CIRCLE(0, 0, 1)) AND t_exptime > 4000",
    ],
)
def test_errors_are_no_oracles(service: Service, mallory: requests.Session, condition: str) -> None:
    answer = ask(
        service, mallory, f"SELECT obs_publisher_did FROM ost.products WHERE t_exptime > 4000 AND {condition}"
    )
    assert (answer.status_code, len(answer.text.split())) == (200, 1), answer.text


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) AS n FROM ost.products WHERE t_exptime = 4242",
        "SELECT count(*) AS n FROM (SELECT t_exptime FROM ost.products) AS x WHERE t_exptime = 4242",
        "SELECT count(*) AS n FROM ost.products AS a JOIN ost.products AS b ON a.obs_id = b.obs_id"
        " WHERE b.t_exptime = 4242",
        "SELECT count(*) AS n FROM ost.lineage WHERE progenitor_did = 'ivo://attack/secret'",
        "SELECT count(*) AS n FROM ost.projects WHERE project = 'NEIGHBOURS'",
        "SELECT count(*) AS n FROM ost.products WHERE creator = 'neighbour'",
        "SELECT count(*) AS n FROM ost.products WHERE target_name LIKE 'secret%'",
        "WITH x AS (SELECT * FROM ost.products) SELECT count(*) AS n FROM x WHERE t_exptime = 4242",
    ],
)
@pytest.mark.parametrize("scope", [{}, {"OST_PRIVILEGES": "1"}, {"OST_PROJECT": "MALLORYS"}])
def test_counts_do_not_count_it(
    service: Service, mallory: requests.Session, query: str, scope: dict[str, str]
) -> None:
    answer = ask(service, mallory, query, **scope)
    assert answer.text.split() == ["n", "0"], answer.text


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM archive.products",
        "SELECT * FROM archive.users",
        "SELECT * FROM archive.tokens",
        "SELECT * FROM context.products",
        "SELECT * FROM pg_catalog.pg_stats",
        "SELECT * FROM pg_stat_activity",
        "SELECT * FROM information_schema.tables",
        "SELECT set_config('ost.user_id', '1', true) FROM ost.products",
        "SELECT current_setting('ost.user_id') FROM ost.products",
        "SELECT context.user_id() FROM ost.products",
        "SELECT pg_sleep(10) FROM ost.products",
        "SELECT pg_read_file('/etc/passwd') FROM ost.products",
        "SELECT 1 AS x FROM ost.products; SET ROLE ost_owner",
        "SET ROLE ost_owner",
        "SELECT ctid FROM ost.products",
        "SELECT tableoid FROM ost.products",
        "SELECT pos FROM ost.products",
    ],
)
def test_nothing_else_can_be_asked(service: Service, mallory: requests.Session, query: str) -> None:
    answer = ask(service, mallory, query)
    assert answer.status_code == 400
    assert "QUERY_STATUS" in answer.text


@pytest.mark.parametrize("table", ["tables", "columns", "schemas", "keys"])
def test_tap_schema_tells_of_columns_and_no_rows(
    service: Service, mallory: requests.Session, table: str
) -> None:
    mine = ask(service, mallory, f"SELECT * FROM tap_schema.{table}").text
    assert mine == ask(service, requests.Session(), f"SELECT * FROM tap_schema.{table}").text
    assert "archive" not in {name for line in mine.splitlines() for name in line.split(",")}


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"OST_PROJECT": "NEIGHBOURS"}, 403),
        ({"OST_PROJECT": "NOBODYS"}, 403),
        ({"ost_project": "NEIGHBOURS", "OST_PRIVILEGES": "2"}, 403),
        ({"OST_PROJECT": "' OR 1=1 --"}, 400),
        ({"OST_PROJECT": "{1,2,3}"}, 400),
        ({"OST_PRIVILEGES": "0"}, 400),
        ({"OST_PRIVILEGES": "-1"}, 400),
        ({"OST_PRIVILEGES": "6"}, 400),
        ({"OST_PRIVILEGES": "1; SET ROLE ost_owner"}, 400),
        ({"OST_PRIVILEGES": ["1", "2"]}, 400),
    ],
)
@pytest.mark.parametrize("path", ["/tap/sync", "/sia/query", "/datalink/links", "/api/v1/products"])
def test_forged_contexts(
    service: Service, mallory: requests.Session, path: str, parameters: dict[str, str], status: int
) -> None:
    query = {"LANG": "ADQL", "QUERY": f"SELECT obs_id FROM ost.products WHERE obs_id = '{SECRET[:6]}'"}
    asked = {**parameters, **(query if path == "/tap/sync" else {})}
    answer = mallory.get(service.url + path, params=asked, timeout=60)
    assert answer.status_code == status, answer.text
    assert SECRET not in answer.text


@pytest.mark.parametrize("path", ["/tap/sync", "/sia/query", "/datalink/links", "/api/v1/products"])
def test_nobody_names_another_user(service: Service, mallory: requests.Session, path: str) -> None:
    query = {"LANG": "ADQL", "QUERY": "SELECT obs_id, target_name FROM ost.products", "MAXREC": "1000"}
    forged = {"OST_USER": "neighbour", "ost.user_id": "1", "USER": "neighbour", "RUN": "1"}
    asked = {**forged, **(query if path == "/tap/sync" else {})}
    answer = mallory.get(service.url + path, params=asked, timeout=60)
    assert answer.status_code in (200, 400)
    assert SECRET not in answer.text


@pytest.mark.parametrize("name", ["NEIGHBOURS", "NOBODYS"])
def test_a_project_of_others_looks_like_none(service: Service, mallory: requests.Session, name: str) -> None:
    def normal(text: str) -> str:
        return text.replace(name, "X")

    first = mallory.get(f"{service.url}/context/{name}/2/tap/sync", params={"QUERY": "x"}, timeout=60)
    second = mallory.get(f"{service.url}/context/NEVERWAS/2/tap/sync", params={"QUERY": "x"}, timeout=60)
    assert first.status_code == second.status_code == 403
    assert normal(first.text) == second.text.replace("NEVERWAS", "X")


@pytest.mark.parametrize(
    "path",
    [
        "/context/NEIGHBOURS/1/../../../tap/sync",
        "/context/%2e%2e/tap/sync",
        "/context/MALLORYS%2f..%2fNEIGHBOURS/tap/sync",
        "/context/NEIGHBOURS%00/1/tap/sync",
        "/context/MALLORYS/1/context/NEIGHBOURS/1/tap/sync",
    ],
)
def test_path_tricks(service: Service, mallory: requests.Session, path: str) -> None:
    request = requests.Request("GET", service.url, params={}).prepare()
    request.url = f"{service.url}{path}?LANG=ADQL&QUERY=SELECT+obs_id+FROM+ost.products&FORMAT=csv"
    request.headers.update(mallory.headers)
    answer = mallory.send(request, timeout=60)
    assert SECRET not in answer.text
    assert answer.status_code < 500


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "products/publish", {"privileges": 2}),
        ("POST", "products/unpublish", {"privileges": 2}),
        ("POST", "products/validity", {"is_valid": False}),
        ("POST", "products/release", {"release_date": "2020-01-01T00:00:00Z"}),
        ("POST", "products/delete", {}),
    ],
)
def test_what_cannot_be_seen_cannot_be_told_from_what_is_not(
    service: Service, mallory: requests.Session, method: str, path: str, body: dict[str, object]
) -> None:
    answers = []
    for identifier in ("ivo://attack/secret", "ivo://attack/nothing"):
        answer = mallory.request(
            method, f"{service.url}/api/v1/{path}", json={"identifiers": [identifier], **body}, timeout=60
        )
        answers.append((answer.status_code, answer.text.replace(identifier, "X")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
