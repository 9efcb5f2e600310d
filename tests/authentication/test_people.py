"""Accounts, roles and permissions: nobody gives more than he has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ost_vo.access.actor import OPERATOR, Actor
from ost_vo.faults import (
    AuthenticationFault,
    AuthorizationFault,
    ConflictFault,
    NotFoundFault,
    UsageFault,
)
from ost_vo.services import people
from ost_vo.services.logins import Logins
from ost_vo.store.connections import Database
from tests.conftest import ScratchArchive, execute

PASSWORD = "correct horse battery"
GRANTS = "UPDATE archive.role_permissions SET is_granted = %s WHERE permission = %s AND role = %s"


class Town:
    """The people of an empty archive: root (superuser), ann (staff), sue (supervisor) and bob (student)."""

    def __init__(self, archive: ScratchArchive) -> None:
        self.settings = archive.settings
        self.database = Database(self.settings.dsn("ost_accounts"), 2)
        self.logins = Logins(self.database, self.settings)
        people.create(self.database, OPERATOR, "root", is_superuser=True, role="staff")
        for name, role in (("ann", "staff"), ("sue", "supervisor"), ("bob", "student")):
            people.create(self.database, OPERATOR, name, role=role)

    def actor(self, name: str) -> Actor:
        return people.actor_named(self.database, name)

    def execute(self, statement: str, *values: object) -> list[tuple]:
        return execute(self.settings.dsn("ost_owner"), statement, *values)

    def allow(self, role: str, permission: str, is_granted: bool = True) -> None:
        """Change the matrix until the end of the test."""
        self.execute(GRANTS, is_granted, permission, role)


@pytest.fixture
def town(archive: ScratchArchive) -> Iterator[Town]:
    town = Town(archive)
    before = town.execute("SELECT is_granted, permission, role FROM archive.role_permissions")
    yield town
    for row in before:
        town.execute(GRANTS, *row)
    town.database.close()


def test_the_roles_have_what_they_had(town: Town) -> None:
    matrix = people.permissions(town.database, town.actor("bob"))
    assert {role: sum(granted.values()) for role, granted in matrix.items()} == {
        "staff": len(matrix["staff"]) - 2,
        "supervisor": 10,
        "student": 2,
    }
    assert not matrix["staff"]["users_edit_roles"]
    assert not matrix["staff"]["users_delete"]
    assert town.actor("root").may("users_delete")
    assert not town.actor("ann").may("users_delete")


def test_a_removal_stays_removed(town: Town) -> None:
    people.set_permission(town.database, town.actor("root"), "student", "users_view", False)
    with pytest.raises(AuthorizationFault, match="bob has not the permission users_view"):
        people.listing(town.database, town.actor("bob"))
    people.create(town.database, OPERATOR, "later")
    assert not people.permissions(town.database, OPERATOR)["student"]["users_view"]
    people.set_permission(town.database, OPERATOR, "student", "users_view", True)
    assert [user.name for user in people.listing(town.database, town.actor("bob"))] == [
        "ann",
        "bob",
        "later",
        "root",
        "sue",
    ]
    with pytest.raises(NotFoundFault):
        people.set_permission(town.database, OPERATOR, "student", "users_invent", True)
    with pytest.raises(UsageFault):
        people.set_permission(town.database, OPERATOR, "king", "users_view", True)


@pytest.mark.parametrize(
    "change",
    [
        lambda town, actor: people.create(town.database, actor, "new"),
        lambda town, actor: people.set_role(town.database, actor, "bob", "staff"),
        lambda town, actor: people.set_superuser(town.database, actor, "bob", True),
        lambda town, actor: people.set_active(town.database, actor, "bob", False),
        lambda town, actor: people.set_password(town.database, actor, "bob", PASSWORD),
        lambda town, actor: people.set_permission(town.database, actor, "student", "users_view", False),
        lambda town, actor: people.delete(town.database, actor, "bob"),
        lambda town, actor: people.tokens(town.database, actor, "bob"),
        lambda town, actor: people.revoke_token(town.database, actor, "x", "bob"),
    ],
)
def test_every_change_needs_its_permission(town: Town, change: Callable[[Town, Actor], object]) -> None:
    before = town.execute("SELECT * FROM archive.users ORDER BY name")
    for name in ("ann", "sue"):
        with pytest.raises(AuthorizationFault):
            change(town, town.actor(name))
    assert town.execute("SELECT * FROM archive.users ORDER BY name") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda town, actor: people.create(town.database, actor, "new", is_superuser=True),
        lambda town, actor: people.create(town.database, actor, "new", role="staff"),
        lambda town, actor: people.set_role(town.database, actor, "sue", "staff"),
        lambda town, actor: people.set_superuser(town.database, actor, "sue", True),
        lambda town, actor: people.set_superuser(town.database, actor, "root", False),
        lambda town, actor: people.set_password(town.database, actor, "root", PASSWORD),
        lambda town, actor: people.set_password(town.database, actor, "ann", PASSWORD),
        lambda town, actor: people.set_active(town.database, actor, "root", False),
        lambda town, actor: people.set_role(town.database, actor, "ann", "student"),
        lambda town, actor: people.delete(town.database, actor, "root"),
        lambda town, actor: people.set_permission(town.database, actor, "supervisor", "runs_delete", True),
    ],
)
def test_nobody_gives_or_takes_more_than_he_has(town: Town, change: Callable[[Town, Actor], object]) -> None:
    for permission in ("users_edit_roles", "users_delete"):
        town.allow("supervisor", permission)
    before = town.execute("SELECT * FROM archive.users ORDER BY name")
    with pytest.raises(AuthorizationFault):
        change(town, town.actor("sue"))
    assert town.execute("SELECT * FROM archive.users ORDER BY name") == before
    people.set_role(town.database, town.actor("sue"), "bob", "supervisor")
    people.set_password(town.database, town.actor("sue"), "bob", PASSWORD)


def test_a_superuser_is_left(town: Town) -> None:
    root = town.actor("root")
    for change in (
        lambda: people.set_superuser(town.database, root, "root", False),
        lambda: people.set_active(town.database, root, "root", False),
        lambda: people.delete(town.database, root, "root"),
    ):
        with pytest.raises(ConflictFault, match="last active superuser"):
            change()
    people.set_superuser(town.database, root, "ann", True)
    people.set_active(town.database, root, "ann", False)
    with pytest.raises(ConflictFault):
        people.set_superuser(town.database, root, "root", False)
    people.set_active(town.database, root, "ann", True)
    people.set_superuser(town.database, root, "root", False)
    assert not town.actor("root").is_superuser


def test_who_has_left_something_behind_stays(town: Town) -> None:
    town.execute("INSERT INTO archive.projects (name) VALUES ('RED')")
    town.execute(
        "INSERT INTO archive.project_members SELECT project_id, user_id, true "
        "FROM archive.projects, archive.users u WHERE u.name = 'bob'"
    )
    town.execute("INSERT INTO archive.runs (name, project_id) SELECT 'run', project_id FROM archive.projects")
    town.execute(
        "INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id, "
        "calib_level, obs_id, obs_publisher_did, creator_id, project_id, privileges) "
        "SELECT 'x', 0, sha256('x'), now(), 'image/fits', run_id, 1, 'x', 'ivo://x/x', user_id, "
        "project_id, 1 FROM archive.runs, archive.users u WHERE u.name = 'bob'"
    )
    with pytest.raises(ConflictFault, match="1 products are bob's; nobody else manages RED") as refused:
        people.delete(town.database, OPERATOR, "bob")
    assert "Deactivate" in str(refused.value)
    town.execute("DELETE FROM archive.products")
    town.execute("UPDATE archive.project_members SET is_manager = false")
    people.delete(town.database, OPERATOR, "bob", "left")
    with pytest.raises(NotFoundFault):
        people.actor_named(town.database, "bob")
    entry = town.execute("SELECT actor, subject, reason FROM archive.audit ORDER BY audit_id DESC LIMIT 1")
    assert entry == [("(operator)", "bob", "left")]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "\u00e4", "x" * 65, "a\n", "a/b"])
def test_a_name_that_will_not_do(town: Town, name: str) -> None:
    with pytest.raises(UsageFault, match="cannot be called"):
        people.create(town.database, OPERATOR, name)
    with pytest.raises(UsageFault, match="full name"):
        people.create(town.database, OPERATOR, "good", full_name="a\0b")
    for unknown in ("a\0b", "nobody"):
        with pytest.raises(NotFoundFault):
            people.get(town.database, OPERATOR, unknown)
        with pytest.raises(NotFoundFault):
            people.revoke_token(town.database, OPERATOR, unknown, "bob")


@pytest.mark.parametrize("password", ["", "short", "x" * 9, "x" * 1025, "\u00e9" * 513, "\ud800" * 10])
def test_a_password_that_will_not_do(town: Town, password: str) -> None:
    for change in (
        lambda: people.create(town.database, OPERATOR, "new", password),
        lambda: people.set_password(town.database, OPERATOR, "bob", password),
    ):
        with pytest.raises(UsageFault, match="The password has"):
            change()


def test_names_are_there_once(town: Town) -> None:
    with pytest.raises(ConflictFault, match="a user bob already"):
        people.create(town.database, OPERATOR, "bob")
    with pytest.raises(UsageFault, match="no role 'king'"):
        people.set_role(town.database, OPERATOR, "bob", "king")
    with pytest.raises(NotFoundFault):
        people.set_role(town.database, OPERATOR, "nobody", "staff")


def test_ones_own_password(town: Town) -> None:
    people.set_password(town.database, OPERATOR, "bob", PASSWORD)
    bob = town.actor("bob")
    session = town.logins.start_session(bob)
    with pytest.raises(AuthenticationFault):
        people.change_own_password(town.database, town.logins, bob, "wrong password", "new password", "x")
    assert town.logins.by_session(session) == bob
    people.change_own_password(town.database, town.logins, bob, PASSWORD, "new password", "x")
    assert town.logins.by_session(session) is None
    assert town.logins.by_password("bob", "new password", "x") == bob
    with pytest.raises(AuthenticationFault):
        town.logins.by_password("bob", PASSWORD, "x")


def test_a_weak_hash_is_made_anew(town: Town) -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    town.execute("UPDATE archive.users SET password_hash = %s WHERE name = 'bob'", weak)
    for _ in range(2):
        assert town.logins.by_password("bob", PASSWORD, "x").name == "bob"
        ((stored,),) = town.execute("SELECT password_hash FROM archive.users WHERE name = 'bob'")
        assert stored != weak


def test_another_verifier_can_know_people(town: Town) -> None:
    """As a directory does: ask it, and name the user."""
    bob = town.actor("bob")
    known = Logins(
        town.database,
        town.settings,
        [lambda *_: None, lambda name, password: bob.user_id if (name, password) == ("rob", "x") else None],
    )
    assert known.by_password("rob", "x", "y") == bob
    with pytest.raises(AuthenticationFault):
        known.by_password("rob", "z", "y")
    people.set_active(town.database, OPERATOR, "bob", False)
    with pytest.raises(AuthenticationFault):
        known.by_password("rob", "x", "y")


def test_tokens(town: Town) -> None:
    bob = town.actor("bob")
    secret, made = people.create_token(town.database, town.settings, bob, "mine", ["write", "read"], 2)
    assert secret.startswith("ost_")
    assert made.scopes == ("read", "write")
    assert 1.9 < (made.expires - made.created).total_seconds() / 86400 < 2.1
    assert people.tokens(town.database, bob) == [made]
    holder = town.logins.by_token(secret)
    assert holder is not None
    assert holder.scopes == {"read", "write"}
    for refused, arguments in (
        (AuthorizationFault, ("wider", ["admin"], 1)),
        (ConflictFault, ("mine", ["read"], 1)),
        (UsageFault, ("no scope", [], 1)),
        (UsageFault, ("odd scope", ["root"], 1)),
        (UsageFault, ("no time", ["read"], 0)),
        (UsageFault, ("forever", ["read"], town.settings.token_max_days + 1)),
        (UsageFault, ("never", ["read"], float("nan"))),
        (UsageFault, (" ", ["read"], 1)),
    ):
        with pytest.raises(refused):
            people.create_token(town.database, town.settings, holder, *arguments)
    with pytest.raises(UsageFault, match="operator"):
        people.create_token(town.database, town.settings, OPERATOR, "x", ["read"], 1)
    with pytest.raises(NotFoundFault):
        people.revoke_token(town.database, town.actor("sue"), "mine")
    people.revoke_token(town.database, OPERATOR, "mine", "bob")
    assert town.logins.by_token(secret) is None


def test_a_token_without_admin_manages_nobody(town: Town) -> None:
    root = town.actor("root")
    secret, _ = people.create_token(town.database, town.settings, root, "narrow", ["read", "write"], 1)
    holder = town.logins.by_token(secret)
    assert holder is not None
    with pytest.raises(AuthorizationFault, match="not for admin"):
        people.set_superuser(town.database, holder, "bob", True)
    reader = people.create_token(town.database, town.settings, root, "reader", ["read"], 1)[0]
    actor = town.logins.by_token(reader)
    assert actor is not None
    with pytest.raises(AuthorizationFault, match="not for write"):
        people.create_token(town.database, town.settings, actor, "more", ["read"], 1)
