"""Creation scopes of directories, and files whose products were deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.load import Outcome, ingest
from ost_vo.access.actor import OPERATOR
from ost_vo.faults import AuthorizationFault, NotFoundFault, UsageFault
from ost_vo.services import projects, publishing
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from ost_vo.store.projects import CreationScope
from tests.ingest.frames import TAN, rows, write_frame

ROWS = """
SELECT path, j.name, u.name, privileges FROM archive.products p JOIN archive.projects j USING (project_id)
    JOIN archive.users u ON u.user_id = p.creator_id ORDER BY path"""


def test_the_longest_directory_decides(settings: Settings, accounts: Database) -> None:
    projects.set_member(accounts, OPERATOR, "BLUES", "ben")
    projects.set_creation_scope(accounts, OPERATOR, CreationScope("2022", "BLUES", "anna", 4))
    projects.set_creation_scope(accounts, OPERATOR, CreationScope("/2022/deep/", "BLUES", "ben", 1))
    for path in ("2021/a.fit", "2022/a.fit", "2022/deep/a.fit", "2022deep/a.fit"):
        write_frame(settings.data / path, TAN | {"EXPTIME": len(path)})
    ingest([settings.data], settings)
    default = (settings.ingest_project, settings.ingest_user, settings.ingest_privileges)
    assert rows(settings, ROWS) == [
        ("2021/a.fit", *default),
        ("2022/a.fit", "BLUES", "anna", 4),
        ("2022/deep/a.fit", "BLUES", "ben", 1),
        ("2022deep/a.fit", *default),
    ]
    assert rows(
        settings,
        "SELECT r.name, j.name FROM archive.runs r JOIN archive.projects j USING (project_id) ORDER BY 1",
    ) == [
        ("2021", settings.ingest_project),
        ("2022", "BLUES"),
        ("2022deep", settings.ingest_project),
    ]


def test_a_file_that_is_there_keeps_what_it_is(settings: Settings, accounts: Database) -> None:
    frame = write_frame(settings.data / "2022" / "a.fit", TAN)
    ingest([settings.data], settings)
    projects.set_creation_scope(accounts, OPERATOR, CreationScope("2022", "BLUES", "anna", 1))
    write_frame(frame, TAN | {"EXPTIME": 5.0})
    assert ingest([settings.data], settings).counts[Outcome.UPDATED] == 1
    assert rows(settings, ROWS)[0][1:] == (
        settings.ingest_project,
        settings.ingest_user,
        settings.ingest_privileges,
    )


@pytest.mark.parametrize(
    ("scope", "fault"),
    [
        (CreationScope("2022", "BLUES", "ben", 1), AuthorizationFault),
        (CreationScope("2022", "BLUES", "nobody", 1), NotFoundFault),
        (CreationScope("2022", "GREENS", "anna", 1), NotFoundFault),
        (CreationScope("../2022", "BLUES", "anna", 1), UsageFault),
        (CreationScope("/", "BLUES", "anna", 1), UsageFault),
    ],
)
def test_scopes_that_cannot_be(accounts: Database, scope: CreationScope, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        projects.set_creation_scope(accounts, OPERATOR, scope)
    assert projects.creation_scopes(accounts, OPERATOR) == []


def test_members_of_private_projects_create_up_to_level_2(accounts: Database) -> None:
    projects.set_member(accounts, OPERATOR, "BLUES", "ben")
    projects.set_creation_scope(accounts, OPERATOR, CreationScope("2022", "BLUES", "ben", 2))
    with pytest.raises(AuthorizationFault, match="above the maximum of BLUES, 2"):
        projects.set_creation_scope(accounts, OPERATOR, CreationScope("2022", "BLUES", "ben", 3))


def test_who_left_the_project_creates_nothing_in_it(settings: Settings, accounts: Database) -> None:
    projects.set_member(accounts, OPERATOR, "BLUES", "ben")
    projects.set_creation_scope(accounts, OPERATOR, CreationScope("2022", "BLUES", "ben", 2))
    projects.remove_member(accounts, OPERATOR, "BLUES", "ben")
    write_frame(settings.data / "2022" / "a.fit", TAN)
    write_frame(settings.data / "2023" / "a.fit", TAN | {"EXPTIME": 5.0})
    report = ingest([settings.data], settings)
    assert [path for path, _ in report.quarantined] == ["2022/a.fit"]
    assert "Only members of BLUES" in report.quarantined[0][1]
    assert [row[0] for row in rows(settings, ROWS)] == ["2023/a.fit"]
    projects.set_member(accounts, OPERATOR, "BLUES", "ben")
    ingest([settings.data], settings)
    assert rows(settings, ROWS)[0] == ("2022/a.fit", "BLUES", "ben", 2)


def test_a_deleted_product_does_not_come_back_until_its_file_changes(
    settings: Settings, accounts: Database, frame: Path
) -> None:
    ingest([settings.data], settings)
    content = frame.read_bytes()
    (identifier,) = rows(settings, "SELECT obs_publisher_did FROM archive.products")[0]
    publishing.delete(accounts, OPERATOR, [identifier], "a test frame")
    assert frame.read_bytes() == content
    assert ingest([settings.data], settings).counts[Outcome.UNCHANGED] == 1
    frame.touch()
    assert ingest([settings.data], settings).counts[Outcome.UNCHANGED] == 1
    assert rows(settings, ROWS) == []
    write_frame(frame, TAN | {"EXPTIME": 7.0})
    assert ingest([settings.data], settings).counts[Outcome.INGESTED] == 1
    assert len(rows(settings, ROWS)) == 1


@pytest.fixture
def frame(settings: Settings) -> Path:
    return write_frame(settings.data / "20220101" / "a.fit", TAN)
