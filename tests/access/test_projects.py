"""Projects, their members, the context a user keeps, and who reads the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg2
import pytest

from ost_vo.access.actor import OPERATOR, READ, Actor
from ost_vo.access.context import Choice
from ost_vo.faults import AuthenticationFault, AuthorizationFault, ConflictFault, NotFoundFault, UsageFault
from ost_vo.services import people, projects
from ost_vo.store import contexts
from ost_vo.store.connections import Database
from tests.conftest import ScratchArchive

People = dict[str, Actor]


@pytest.fixture
def accounts(archive: ScratchArchive) -> Iterator[Database]:
    """The database; BLUES is private and anna's, with ben in it; OPEN is public and anna's."""
    database = Database(archive.settings.dsn("ost_accounts"), 2)
    for name in ("anna", "ben", "eve"):
        people.create(database, OPERATOR, name)
    people.create(database, OPERATOR, "staff", role="staff")
    projects.create(database, OPERATOR, "BLUES", description="blue stars", manager="anna")
    projects.create(database, OPERATOR, "OPEN", is_public=True, manager="anna")
    projects.set_member(database, OPERATOR, "BLUES", "ben", reason="thesis")
    yield database
    database.close()


@pytest.fixture
def actors(accounts: Database) -> People:
    return {name: people.actor_named(accounts, name) for name in ("anna", "ben", "eve", "staff")}


def names(accounts: Database, actor: Actor | None) -> set[str]:
    return {project.name for project in projects.listing(accounts, actor)}


def test_private_projects_are_known_to_members(accounts: Database, actors: People) -> None:
    assert names(accounts, actors["ben"]) == {"BLUES", "OPEN"}
    assert names(accounts, actors["eve"]) == {"OPEN"}
    assert names(accounts, None) == {"OPEN"}
    assert names(accounts, actors["staff"]) == {"BLUES", "OPEN"}
    with pytest.raises(NotFoundFault):
        projects.members(accounts, actors["eve"], "BLUES")


def test_managers_take_in_and_out(accounts: Database, actors: People) -> None:
    projects.set_member(accounts, actors["anna"], "BLUES", "eve")
    assert names(accounts, actors["eve"]) == {"BLUES", "OPEN"}
    with pytest.raises(AuthorizationFault):
        projects.set_member(accounts, actors["eve"], "BLUES", "eve", is_manager=True)
    with pytest.raises(AuthorizationFault):
        projects.remove_member(accounts, actors["ben"], "BLUES", "eve")
    projects.remove_member(accounts, actors["eve"], "BLUES", "eve")
    assert names(accounts, actors["eve"]) == {"OPEN"}


def test_a_project_keeps_a_manager(accounts: Database, actors: People) -> None:
    for change in (
        lambda: projects.remove_member(accounts, actors["anna"], "BLUES", "anna"),
        lambda: projects.set_member(accounts, actors["anna"], "BLUES", "anna", is_manager=False),
    ):
        with pytest.raises(ConflictFault, match="without a manager"):
            change()
    assert projects.get(accounts, actors["anna"], "BLUES").is_manager
    projects.set_member(accounts, actors["anna"], "BLUES", "ben", is_manager=True)
    projects.remove_member(accounts, actors["anna"], "BLUES", "anna")


@pytest.mark.parametrize("who", ["anna", "ben", "eve"])
def test_what_all_users_see_is_for_keepers_to_decide(accounts: Database, actors: People, who: str) -> None:
    with pytest.raises((AuthorizationFault, NotFoundFault)):
        projects.update(accounts, actors[who], "BLUES", {"is_public": True})
    with pytest.raises(AuthorizationFault):
        projects.create(accounts, actors[who], "MINE")
    with pytest.raises(AuthorizationFault):
        projects.delete(accounts, actors[who], "BLUES")
    assert not projects.get(accounts, OPERATOR, "BLUES").is_public


def test_a_keeper_decides(accounts: Database, actors: People) -> None:
    projects.create(accounts, actors["staff"], "NEW")
    changed = projects.update(accounts, actors["staff"], "NEW", {"is_public": True, "max_privileges": 3})
    assert (changed.is_public, changed.max_privileges, changed.is_manager) == (True, 3, True)
    projects.delete(accounts, actors["staff"], "NEW")
    assert "NEW" not in names(accounts, OPERATOR)


@pytest.mark.parametrize("name", ["", "-", ".", "..", "a b", "a/b", "x" * 65, "a\0b", "é"])
def test_names_that_will_not_do(accounts: Database, name: str) -> None:
    with pytest.raises(UsageFault):
        projects.create(accounts, OPERATOR, name)


@pytest.mark.parametrize(("is_public", "level"), [(True, 5), (True, 0), (False, 3)])
def test_maxima_that_will_not_do(accounts: Database, is_public: bool, level: int) -> None:
    with pytest.raises(UsageFault):
        projects.create(accounts, OPERATOR, "NEW", is_public=is_public, max_privileges=level)


def test_there_is_one_project_of_a_name(accounts: Database) -> None:
    with pytest.raises(ConflictFault, match="already"):
        projects.create(accounts, OPERATOR, "BLUES")


def test_the_context_that_is_kept(accounts: Database, actors: People) -> None:
    ben = actors["ben"]
    assert projects.get_context(accounts, ben) == (None, 1)
    assert projects.set_context(accounts, ben, "BLUES", 2) == ("BLUES", 2)
    assert projects.set_context(accounts, ben, None, 3) == ("BLUES", 3)
    assert projects.set_context(accounts, ben, "OPEN") == ("OPEN", 1)
    assert projects.set_context(accounts, ben, "") == (None, 1)
    with pytest.raises(AuthorizationFault):
        projects.set_context(accounts, actors["eve"], "BLUES")
    with pytest.raises(UsageFault):
        projects.set_context(accounts, ben, None, 6)
    with pytest.raises(AuthorizationFault):
        projects.set_context(accounts, replace(ben, scopes=frozenset({READ})), "BLUES")


def test_a_context_covers_what_its_user_may_see_now(accounts: Database, actors: People) -> None:
    ben = actors["ben"]
    projects.set_context(accounts, ben, "BLUES", 2)
    context = contexts.resolve(accounts, ben.user_id, Choice(), "")
    assert len(context.scope_project_ids) == 1
    assert context.min_privileges == 2
    projects.remove_member(accounts, actors["anna"], "BLUES", "ben")
    left = contexts.resolve(accounts, ben.user_id, Choice(), "")
    assert left.scope_project_ids == ()
    assert set(left.member_project_ids).isdisjoint(context.scope_project_ids)
    with pytest.raises(AuthorizationFault):
        contexts.resolve(accounts, ben.user_id, Choice("BLUES"), "")
    people.set_active(accounts, OPERATOR, "ben", False)
    with pytest.raises(AuthenticationFault):
        contexts.resolve(accounts, ben.user_id, Choice(), "")


def test_the_log_says_who_changed_what_and_why(accounts: Database) -> None:
    entry = projects.audit_log(accounts, OPERATOR, subject="ben", project="BLUES")[0]
    assert (entry.actor, entry.action, entry.reason) == ("(operator)", "project_members insert", "thesis")
    assert (entry.old_value, entry.new_value) == (None, {"is_manager": False})


def test_who_reads_the_log(accounts: Database, actors: People) -> None:
    assert projects.audit_log(accounts, actors["staff"])
    assert {e.project for e in projects.audit_log(accounts, actors["anna"], project="BLUES")} == {"BLUES"}
    for who, project in (("anna", None), ("ben", "BLUES"), ("eve", "OPEN")):
        with pytest.raises(AuthorizationFault):
            projects.audit_log(accounts, actors[who], project=project)
    with pytest.raises(NotFoundFault):
        projects.audit_log(accounts, actors["eve"], project="BLUES")


def test_the_log_keeps_no_secrets(accounts: Database) -> None:
    people.set_password(accounts, OPERATOR, "ben", "correct horse battery")
    entry = projects.audit_log(accounts, OPERATOR, subject="ben")[0]
    assert entry.new_value == {"password": "new"}
    assert "argon2" not in repr(projects.audit_log(accounts, OPERATOR, limit=1000))


def test_nobody_writes_the_log_by_hand(archive: ScratchArchive) -> None:
    for role in ("ost_accounts", "ost_ingest", "ost_web", "ost_publisher", "adql"):
        connection = psycopg2.connect(archive.settings.dsn(role))
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM archive.audit")
        connection.close()
