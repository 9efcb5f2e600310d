"""Who sees what, everywhere: histories over HTTP, and every caller's look through every door after them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from ingest.load import ingest
from ost_vo.access.actor import OPERATOR
from ost_vo.services import people, picture_store, projects
from ost_vo.services.picture_store import Kind
from ost_vo.store.connections import Database
from ost_vo.store.projects import CreationScope
from ost_vo.web.api import application as api
from ost_vo.web.api.paths import operations
from ost_vo.web.app import create_app
from tests.access.doors import (
    ANONYMOUS,
    CALLERS,
    DOORS,
    NAMES,
    PROJECTS,
    QUICK,
    RUN,
    TARGET,
    USERS,
    Look,
    Scope,
    World,
    owner,
)
from tests.access.model import Model, Product, Refused
from tests.access.routes import paths
from tests.conftest import Service
from tests.ingest.frames import TAN, write_frame

HISTORIES, STEPS = 4, 6

callers, users, names = st.sampled_from(CALLERS), st.sampled_from(USERS), st.sampled_from(NAMES)
products = st.builds(Product, users, st.sampled_from(sorted(PROJECTS)), st.integers(1, 5))
acts = st.sampled_from(["publish", "unpublish", "set_valid", "release", "derive"])


@pytest.fixture(scope="module")
def world(service: Service) -> Iterator[World]:
    database = Database(service.settings.dsn("ost_accounts"), 2)
    sessions = {name: requests.Session() for name in CALLERS}
    for name in USERS:
        people.create(database, OPERATOR, name, is_superuser=name == "superuser")
        actor = people.actor_named(database, name)
        token, _ = people.create_token(database, service.settings, actor, "leak", ["read", "write"], 1)
        sessions[name].headers["Authorization"] = f"Bearer {token}"
    for name, project in PROJECTS.items():
        (manager,) = project.managers
        projects.create(database, OPERATOR, name, is_public=project.public, manager=manager)
        for member in sorted(project.members - project.managers):
            projects.set_member(database, OPERATOR, name, member)
    projects.set_creation_scope(database, OPERATOR, CreationScope(RUN, "LEAK_PRIVATE", "creator", 1))
    world = World(service, sessions)
    for number, name in enumerate(NAMES):
        write_frame(
            service.settings.data / RUN / f"{name}.fits", TAN | {"EXPTIME": float(number), "OBJECT": TARGET}
        )
    ingest([service.settings.data / RUN], service.settings)
    with owner(service) as cursor:
        # For the page of calibration frames; headers of such frames would have no target.
        cursor.execute("UPDATE archive.products SET exposure_type = 'dark' WHERE path LIKE 'leakage/%'")
        cursor.execute(
            "SELECT path, obs_publisher_did, encode(sha256, 'hex') FROM archive.products "
            "WHERE path LIKE 'leakage/%'"
        )
        rows = cursor.fetchall()
    found = {path: identifier for path, identifier, _ in rows}
    pictures = [picture_store.path(service.settings, digest, kind) for _, _, digest in rows for kind in Kind]
    for picture in pictures:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"a picture")
    world.identifiers.update({name: found[f"{RUN}/{name}.fits"] for name in NAMES})
    yield world
    database.close()
    for picture in pictures:
        picture.unlink()
    for name in NAMES:
        (service.settings.data / RUN / f"{name}.fits").unlink()
    with owner(service) as cursor:
        cursor.execute(_REMOVE)


_REMOVE = """
DELETE FROM archive.lineage;
DELETE FROM archive.products WHERE path LIKE 'leakage/%';
DELETE FROM archive.runs WHERE name = 'leakage';
DELETE FROM archive.creation_scopes;
DELETE FROM archive.project_members USING archive.projects j
    WHERE j.project_id = project_members.project_id AND j.name LIKE 'LEAK_%';
DELETE FROM archive.users WHERE name IN ('stranger', 'member', 'creator', 'manager', 'superuser', 'hostile');
DELETE FROM archive.projects WHERE name LIKE 'LEAK_%';
"""


class History:
    """What people do through the API, in the archive and in the model.

    Args:
        world: the archive, whose products begin anew.
        data: decides who does what.
    """

    def __init__(self, world: World, data: st.DataObject) -> None:
        self._world, self._data = world, data
        begin = {name: data.draw(products) for name in NAMES}
        self._model = Model(set(USERS), PROJECTS, begin)
        world.fill(begin)

    def step(self) -> None:
        """Let somebody do something to a product, or try to."""
        draw = self._data.draw
        operation, caller, name = draw(acts), draw(callers), draw(names)
        match operation:
            case "publish":
                level = draw(st.integers(2, 5))
                self._both("publish", operation, caller, name, {"privileges": level}, level)
            case "unpublish":
                level = draw(st.integers(2, 4))
                self._both("unpublish", operation, caller, name, {"privileges": level}, level)
            case "set_valid":
                valid = draw(st.booleans())
                self._both("validity", operation, caller, name, {"is_valid": valid}, valid)
            case "release":
                released = draw(st.booleans())
                moment = "2020-01-01T00:00:00Z" if released else None
                self._both("release", operation, caller, name, {"release_date": moment}, released)
            case _:
                self._derive(caller, name, draw(names))

    def look(self, doors: Mapping[str, tuple[Look, bool]], caller: str, scope: Scope) -> None:
        """See that a caller sees through each door what the model says."""
        for door, (look, published) in doors.items():
            sees = self._model.in_obscore if published else self._model.sees
            expected = {
                name
                for name, product in self._model.products.items()
                if sees(caller, product, scope.project, scope.lowest)
            }
            assert look(self._world, caller, scope) == expected, f"{caller} through {door} with {scope}"

    def scopes(self, caller: str) -> list[Scope]:
        """Return what a caller may ask for besides what he sees anyway."""
        projects = [name for name in PROJECTS if self._model.member(caller, name)]
        return [Scope(lowest=4), *(Scope(name, 2) for name in projects)]

    def _both(
        self, path: str, operation: str, caller: str, name: str, body: dict[str, object], argument: object
    ) -> None:
        answer = self._world.post(caller, path, {"identifiers": [self._world.identifiers[name]], **body})
        self._compare(operation, caller, answer, name, argument)

    def _derive(self, caller: str, name: str, source: str) -> None:
        identifiers = self._world.identifiers
        answer = self._world.sessions[caller].put(
            self._world.url("/api/v1/products/lineage"),
            json={"identifier": identifiers[name], "progenitors": [identifiers[source]]},
            timeout=60,
        )
        self._compare("derive", caller, answer, name, {source})

    def _compare(self, operation: str, caller: str, answer: requests.Response, *arguments: object) -> None:
        if caller == ANONYMOUS:
            assert answer.status_code == 401
            return
        try:
            getattr(self._model, operation)(caller, *arguments)
        except Refused:
            assert answer.status_code in (400, 403, 404, 409), answer.text
        else:
            assert answer.ok, answer.text


def test_every_door_shows_what_the_model_says(world: World) -> None:
    """After each step what tables show; in the end all doors, and with other scopes a part of them.

    So after all histories everybody has looked through each door with every scope.
    """
    looked: set[str] = set()

    # Shorter histories that fail alike are searched for in minutes, and tell no more.
    @settings(max_examples=HISTORIES, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        history = History(world, data)
        for _ in range(STEPS):
            history.step()
            for caller in CALLERS:
                history.look(QUICK, caller, Scope())
        left = [door for door in DOORS if door not in looked]
        part = {door: DOORS[door] for door in left[: -(-len(DOORS) // HISTORIES)]}
        for caller in CALLERS:
            history.look(DOORS, caller, Scope())
            for scope in history.scopes(caller):
                history.look(part, caller, scope)
        looked.update(part)

    check()
    assert looked == set(DOORS)


def test_there_is_no_door_that_is_not_looked_through(service: Service) -> None:
    """A new endpoint says in `tests/access/routes.py` which door it is, or why it shows no product."""
    found = {f"/api/v1{path}" for path in (*operations(api.create())["paths"], "/openapi.json")}
    found |= {route.path for route in create_app(service.settings).routes if isinstance(route, Route)}
    mounts = [route.path for route in create_app(service.settings).routes if not isinstance(route, Route)]
    # The second has nothing but what the pages look like.
    assert sorted(mounts) == ["/api/v1", "/static"]
    assert found == set(paths(DOORS))
