"""Random histories of publishing, compared with a model: who may do what, and who sees what after it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ost_vo.access.actor import Actor
from ost_vo.access.context import Choice, Context
from ost_vo.faults import Fault
from ost_vo.services import publishing
from ost_vo.store import contexts
from ost_vo.store.connections import Database
from ost_vo.store.transactions import Cursor, apply, transaction
from tests.access.model import Model, Product, Project, Refused
from tests.conftest import ScratchArchive

USERS = ("creator", "colleague", "member", "manager", "stranger")
PROJECTS = {
    "PRIVATE": Project(False, 2, {"creator", "colleague", "member", "manager"}, {"manager"}),
    "OTHER": Project(False, 2, {"colleague", "member"}, {"member"}),
    "PUBLIC": Project(True, 4, {"manager"}, {"manager"}),
    "CAUTIOUS": Project(True, 3, {"colleague"}, {"colleague"}),
}
NAMES = tuple("abcdefg")
PAST = datetime(2020, 1, 1, tzinfo=UTC)

users, names = st.sampled_from(USERS), st.sampled_from(NAMES)


class Archive:
    """The users and projects in a database, and products as a test wants them."""

    def __init__(self, archive: ScratchArchive) -> None:
        self.database = Database(archive.settings.dsn("ost_accounts"), 2)
        self._owner = psycopg2.connect(archive.settings.dsn("ost_owner"))
        self._ids: dict[str, int] = {}
        self._contexts: dict[tuple[str, Choice], Context] = {}
        with self._owner, self._owner.cursor() as cursor:
            for user in USERS:
                cursor.execute("INSERT INTO archive.users (name) VALUES (%s) RETURNING user_id", (user,))
                self._ids[user] = cursor.fetchone()[0]
            for name, project in PROJECTS.items():
                cursor.execute(
                    "INSERT INTO archive.projects (name, is_public, max_privileges) VALUES (%s, %s, %s) "
                    "RETURNING project_id",
                    (name, project.public, project.maximum),
                )
                self._ids[name] = cursor.fetchone()[0]
                for user in project.members:
                    cursor.execute(
                        "INSERT INTO archive.project_members VALUES (%s, %s, %s)",
                        (self._ids[name], self._ids[user], user in project.managers),
                    )
            cursor.execute(
                "INSERT INTO archive.runs (name, project_id) VALUES ('r', %s)", (self._ids["OTHER"],)
            )

    def close(self) -> None:
        self._owner.close()
        self.database.close()

    def actor(self, name: str) -> Actor:
        return Actor(self._ids[name], name)

    def fill(self, products: dict[str, Product]) -> None:
        with self._owner, self._owner.cursor() as cursor:
            cursor.execute(
                "DELETE FROM archive.lineage; DELETE FROM archive.products; DELETE FROM archive.audit"
            )
            for name, product in products.items():
                cursor.execute(
                    "INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, "
                    "run_id, calib_level, obs_id, obs_publisher_did, creator_id, project_id, privileges) "
                    "SELECT 'r/' || %s, 0, sha256('x'), now(), 'image/fits', run_id, 1, %s, "
                    "'ivo://x/' || %s, %s, %s, %s FROM archive.runs",
                    (name,) * 3 + (self._ids[product.creator], self._ids[product.project], product.level),
                )

    def seen(self, callers: Sequence[tuple[str, Choice]]) -> list[set[str]]:
        """Return what `context.in_scope` lets each caller see."""
        settings = [self._context(*caller).visibility_settings() for caller in callers]
        with transaction(self.database, {}) as cursor:
            return [self._seen(cursor, one) for one in settings]

    def _context(self, user: str, choice: Choice) -> Context:
        """Return a caller's context, which no history changes."""
        if (user, choice) not in self._contexts:
            resolved = contexts.resolve(self.database, self._ids.get(user, 0), choice, "")
            self._contexts[user, choice] = resolved
        return self._contexts[user, choice]

    def _seen(self, cursor: Cursor, settings: dict[str, str]) -> set[str]:
        apply(cursor, settings)
        cursor.execute(
            "SELECT obs_id FROM archive.products p "
            "WHERE context.in_scope(p.privileges, p.release_date, p.project_id, p.creator_id)"
        )
        return {row[0] for row in cursor.fetchall()}

    def state(self) -> dict[str, tuple[int, bool]]:
        with self._owner, self._owner.cursor() as cursor:
            cursor.execute("SELECT obs_id, privileges, is_valid FROM archive.products")
            return {name: (level, valid) for name, level, valid in cursor.fetchall()}

    def audited(self) -> int:
        with self._owner, self._owner.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM archive.audit WHERE action LIKE 'products %'")
            return int(cursor.fetchone()[0])


@pytest.fixture
def filled(archive: ScratchArchive) -> Iterator[Archive]:
    with contextlib.closing(Archive(archive)) as opened:
        yield opened


class Histories(RuleBasedStateMachine):
    """Everything that people do to products, in any order."""

    archive: Archive

    @initialize(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        products = {
            name: Product(
                data.draw(users), data.draw(st.sampled_from(sorted(PROJECTS))), data.draw(st.integers(1, 4))
            )
            for name in NAMES
        }
        self.model = Model(set(USERS), PROJECTS, products)
        self.archive.fill(products)

    @rule(user=users, name=names, level=st.integers(2, 5))
    def publish(self, user: str, name: str, level: int) -> None:
        self._both(user, name, "publish", publishing.publish, level)

    @rule(user=users, name=names, level=st.integers(2, 4))
    def unpublish(self, user: str, name: str, level: int) -> None:
        self._both(user, name, "unpublish", publishing.unpublish, level)

    @rule(user=users, name=names, valid=st.booleans())
    def set_valid(self, user: str, name: str, valid: bool) -> None:
        self._both(user, name, "set_valid", publishing.update_is_valid, valid)

    @rule(user=users, name=names, released=st.booleans())
    def release(self, user: str, name: str, released: bool) -> None:
        expected = self._expected("release", user, name, released)
        moment = PAST if released else None
        self._compare(expected, publishing.release, user, [did(name)], moment)

    @rule(user=users, name=names)
    def delete(self, user: str, name: str) -> None:
        self._both(user, name, "delete", publishing.delete)

    @rule(user=users, name=names, sources=st.sets(names, max_size=2))
    def derive(self, user: str, name: str, sources: set[str]) -> None:
        expected = self._expected("derive", user, name, sources)
        self._compare(
            expected, publishing.set_progenitors, user, did(name), [did(s) for s in sorted(sources)]
        )

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "model"):
            return
        expected = {name: (p.level, p.valid) for name, p in self.model.products.items()}
        assert self.archive.state() == expected
        callers = [
            (user, Choice(project, lowest))
            for user in ("anonymous", *USERS)
            for project, lowest in ((None, 1), (None, 3), ("PRIVATE", 1), ("PRIVATE", 2))
            if project is None or self.model.member(user, project)
        ]
        for (user, choice), found in zip(callers, self.archive.seen(callers), strict=True):
            seen = {
                name
                for name, product in self.model.products.items()
                if self.model.sees(user, product, choice.project, choice.privileges or 1)
            }
            assert found == seen, (user, choice)

    def _both(
        self, user: str, name: str, operation: str, function: Callable[..., object], *arguments: object
    ) -> None:
        expected = self._expected(operation, user, name, *arguments)
        self._compare(expected, function, user, [did(name)], *arguments)

    def _expected(self, operation: str, *arguments: object) -> bool:
        try:
            getattr(self.model, operation)(*arguments)
        except Refused:
            return False
        return True

    def _compare(
        self, expected: bool, function: Callable[..., object], user: str, *arguments: object
    ) -> None:
        before = self.archive.audited(), self.archive.state()
        fault = self._fault(function, user, *arguments)
        assert (fault is None) == expected, f"{user}, {arguments}: {fault or 'not refused'}"
        after = self.archive.audited(), self.archive.state()
        if fault or before[1] == after[1]:
            assert before[1] == after[1]
        else:
            assert after[0] > before[0], "not in the audit log"

    def _fault(self, function: Callable[..., object], user: str, *arguments: object) -> Fault | None:
        try:
            function(self.archive.database, self.archive.actor(user), *arguments)
        except Fault as fault:
            return fault
        return None


def did(name: str) -> str:
    return f"ivo://x/{name}"


def test_histories_agree_with_the_model(filled: Archive) -> None:
    machine = type("HistoriesHere", (Histories,), {"archive": filled})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
