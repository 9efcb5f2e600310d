"""The Python client, as an astronomer uses it."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time

from ost_vo import faults
from ost_vo.client import Archive
from tests.blues import Blues
from tests.conftest import Service


@pytest.fixture
def bob(blues: Blues) -> Iterator[Archive]:
    with blues.archive("bob") as archive:
        yield archive


@pytest.fixture
def anna(blues: Blues) -> Iterator[Archive]:
    with blues.archive("anna") as archive:
        yield archive


def test_queries_see_what_the_login_may_see(blues: Blues, bob: Archive) -> None:
    query = "SELECT obs_id FROM ost.products WHERE run_name = 'blues'"
    assert set(bob.search(query)["obs_id"]) == {f"blues {name}" for name in ("raw1", "raw2", "sum", "other")}
    assert len(blues.archive().search(query)) == 0
    assert isinstance(bob.search(query), Table)


def test_pyvo_services_carry_the_login(service: Service, bob: Archive) -> None:
    job = bob.tap.run_async("SELECT COUNT(*) AS n FROM ost.products")
    assert job[0]["n"] == service.products + 4
    assert len(bob.sia.search(maxrec=1)) == 1


def test_the_context_is_set_as_in_astro_wise(bob: Archive) -> None:
    bob.context.set_project("BLUES", privileges=2)
    assert (bob.context.get_current_project(), bob.context.get_current_privileges()) == ("BLUES", 2)
    assert len(bob.products.search(run="blues")) == 0
    bob.context.set_privileges(1)
    assert (bob.context.get_current_project(), bob.context.get_current_privileges()) == ("BLUES", 1)
    assert len(bob.products.search(run="blues")) == 4
    bob.context.set_project(None)
    assert bob.context.get_current_project() is None


def test_publishing_takes_products_in_any_form(blues: Blues, bob: Archive, anna: Archive) -> None:
    rows = bob.products.search(run="blues", creator="bob")
    row = rows[[str(value) == blues.did("other") for value in rows["obs_publisher_did"]]][0]
    assert bob.publish(row, privileges=2) == [blues.did("other")]
    assert len(bob.publish(bob.products[blues.did("sum")], privileges=2, reason="done")) == 3
    assert set(anna.publish(blues.did("sum"), 4)) == {blues.did(name) for name in ("sum", "raw1", "raw2")}
    table = anna.products.search(project="BLUES", is_valid=1)
    assert len(anna.update_is_valid(table, 0)) == 4
    assert len(anna.products.search(project="BLUES", is_valid=1)) == 0
    assert len(anna.update_is_valid([blues.did("raw1"), anna.products[blues.did("raw2")]], 1)) == 2
    assert anna.unpublish(blues.did("sum"), 3) == [blues.did("sum")]


def test_a_product_knows_where_it_belongs(blues: Blues, bob: Archive) -> None:
    product = bob.products[blues.did("sum")]
    assert (product.creator, product.project, product.privileges, product.is_valid) == ("bob", "BLUES", 1, 1)
    assert product.progenitors == [bob.products[blues.did("raw1")], bob.products[blues.did("raw2")]]
    assert product.progenitors[0].derivations == [product]
    product.set_progenitors([blues.did("raw1")])
    assert [found.identifier for found in product.progenitors] == [blues.did("raw1")]
    bob.publish(product, 2)
    assert product.privileges == 2


def test_release_and_delete(blues: Blues, bob: Archive, anna: Archive) -> None:
    other = blues.did("other")
    bob.publish(other, 2)
    anna.release(other, Time("2020-01-01"))
    assert blues.archive().products[other].row["obs_release_date"] == "2020-01-01T00:00:00Z"
    anna.release(other, datetime(2999, 1, 1, tzinfo=UTC))
    with pytest.raises(faults.NotFoundFault):
        blues.archive().products[other]
    assert anna.delete(other, "no use") == [other]


def test_projects_are_a_table(bob: Archive) -> None:
    found = bob.projects()
    (blues_row,) = found[found["name"] == "BLUES"]
    assert (blues_row["is_public"], blues_row["max_privileges"], blues_row["is_member"]) == (False, 2, True)
    assert blues_row["instrument"] is np.ma.masked


@pytest.mark.parametrize(
    ("act", "fault"),
    [
        (lambda bob, did: bob.publish(did("sum"), 5), faults.AuthorizationFault),
        (lambda bob, did: bob.publish(did("nothing"), 2), faults.NotFoundFault),
        (lambda bob, did: bob.delete(did("raw1")), faults.ConflictFault),
        (lambda bob, did: bob.unpublish(did("raw1"), 1), faults.UsageFault),
        (lambda bob, _: bob.publish(42, 2), faults.UsageFault),
        (lambda bob, _: bob.publish([], 2), faults.UsageFault),
        (lambda bob, did: bob.products[did("nothing")], faults.NotFoundFault),
        (lambda bob, _: bob.context.set_project("NOTHING"), faults.AuthorizationFault),
        (lambda bob, _: bob.search("SELECT nothing"), faults.UsageFault),
    ],
)
def test_refusals_are_faults(
    blues: Blues,
    bob: Archive,
    act: Callable[[Archive, Callable[[str], str]], object],
    fault: type[faults.Fault],
) -> None:
    with pytest.raises(fault) as caught:
        act(bob, blues.did)
    assert caught.value.detail


@pytest.mark.parametrize("login", [{}, {"user": "bob", "password": "wrong"}, {"token": "wrong"}])
def test_a_login_that_is_none_is_told(service: Service, login: dict[str, str]) -> None:
    with pytest.raises(faults.AuthenticationFault):
        Archive(service.url, **login).me()


def test_a_query_with_a_wrong_login_is_no_anonymous_one(service: Service) -> None:
    with pytest.raises(faults.AuthenticationFault):
        Archive(service.url, "bob", "wrong").search("SELECT TOP 1 * FROM ivoa.obscore")


def test_half_a_login_is_refused(service: Service) -> None:
    with pytest.raises(faults.UsageFault, match="password"):
        Archive(service.url, "bob")


def test_an_archive_that_does_not_answer() -> None:
    archive = Archive("http://127.0.0.1:9")
    for act in (archive.me, archive.projects, lambda: archive.search("SELECT 1")):
        with pytest.raises(faults.TransientFault, match=r"127\.0\.0\.1:9"):
            act()


def test_a_token_and_a_prefix_do_as_well(blues: Blues, bob: Archive) -> None:
    made = bob.call("POST", "me/tokens", json={"name": "client", "scopes": ["read"]})
    with Archive(f"{blues.service.url}/context/OST/2", token=made["token"]) as archive:
        assert archive.me()["scopes"] == ["read"]
        assert len(archive.products.search(run="blues")) == 0
        with pytest.raises(faults.AuthorizationFault, match="write"):
            archive.publish(blues.did("sum"), 2)


def test_the_password_goes_to_the_archive_alone(blues: Blues) -> None:
    seen: list[str | None] = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server, blues.archive("bob") as archive:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        archive.session.get(f"http://127.0.0.1:{server.server_port}/", timeout=60)
        server.shutdown()
    assert seen == [None]


def test_the_client_loads_nothing_of_the_server() -> None:
    program = (
        "import sys, ost_vo.client;"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " {'starlette', 'fastapi', 'psycopg2', 'sqlalchemy', 'numba', 'lark'}"
        " or name.startswith('ost_vo.') and name not in {'ost_vo.client', 'ost_vo.faults'}])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_password_with_all_kinds_of_characters(blues: Blues) -> None:
    with blues.archive("root") as root:
        password = "ü: ñandú ☄ \t100 %"
        root.call("POST", "users", json={"name": "dora", "password": password})
        assert Archive(blues.service.url, "dora", password).me()["name"] == "dora"
        root.call("DELETE", "users/dora")
