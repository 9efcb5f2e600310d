"""Rules of runs: what new files belong to by the name of their run's directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.discovery import NOTHING
from ingest.load import Report, ingest
from ingest.reconcile import reconcile
from ingest.strays import strays
from ost_vo.access.actor import OPERATOR
from ost_vo.cli import app
from ost_vo.faults import UsageFault
from ost_vo.services import projects
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from ost_vo.store.projects import CreationScope
from tests.ingest.frames import TAN, rows, write_frame
from tests.ingest.photographs import SOFTWARE, TAKEN, jpeg

ROWS = """
SELECT path, j.name, u.name, privileges, (release_date AT TIME ZONE 'UTC')::date::text
FROM archive.products p JOIN archive.projects j USING (project_id)
    JOIN archive.users u ON u.user_id = p.creator_id ORDER BY path"""


def ruled(settings: Settings, tmp_path: Path, text: str) -> Settings:
    """Return settings with a table of rules."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return settings.model_copy(update={"run_rules": path})


def taken(settings: Settings, *paths: str) -> Report:
    """Write frames like no others, and ingest them."""
    for number, path in enumerate(paths):
        write_frame(settings.data / path, TAN | {"EXPTIME": number + len(path) / 100})
    return ingest([settings.data], settings)


@pytest.mark.usefixtures("accounts")
def test_the_first_rule_that_fits_decides(settings: Settings, tmp_path: Path) -> None:
    rules = """
        [[rule]]
        directory = "*_BLUES"
        project = "BLUES"
        privileges = 2
        release_days = 365
        [[rule]]
        directory = "2022*"
        project = "BLUES"
        privileges = 1
        creator = "anna"
    """
    settings = ruled(settings, tmp_path, rules)
    taken(settings, "20210101/a.fit", "20220101/deep/a.fit", "20220102_BLUES/a.fit", "20220102_blues/a.fit")
    default = (settings.ingest_project, settings.ingest_user, settings.ingest_privileges, None)
    assert rows(settings, ROWS) == [
        ("20210101/a.fit", *default),
        ("20220101/deep/a.fit", "BLUES", "anna", 1, None),
        ("20220102_BLUES/a.fit", "BLUES", settings.ingest_user, 2, "2023-01-02"),
        ("20220102_blues/a.fit", "BLUES", "anna", 1, None),
    ]
    query = "SELECT r.name, j.name FROM archive.runs r JOIN archive.projects j USING (project_id) ORDER BY 1"
    assert [project for _, project in rows(settings, query)] == ["OST", "BLUES", "BLUES", "BLUES"]


def test_creation_scopes_go_before_rules(settings: Settings, accounts: Database, tmp_path: Path) -> None:
    projects.set_creation_scope(accounts, OPERATOR, CreationScope("20220101", "BLUES", "anna", 1))
    rules = '[[rule]]\ndirectory = "*"\nproject = "BLUES"\nprivileges = 2\nrelease_days = 1'
    settings = ruled(settings, tmp_path, rules)
    taken(settings, "20220101/a.fit", "20220102/a.fit")
    assert rows(settings, ROWS) == [
        ("20220101/a.fit", "BLUES", "anna", 1, None),
        ("20220102/a.fit", "BLUES", settings.ingest_user, 2, "2022-01-03"),
    ]


@pytest.mark.usefixtures("accounts")
def test_a_release_period_begins_with_the_exposure_where_that_is_later(
    settings: Settings, tmp_path: Path
) -> None:
    rules = '[[rule]]\ndirectory = "*"\nproject = "BLUES"\nprivileges = 2\nrelease_days = 10'
    settings = ruled(settings, tmp_path, rules)
    frame = TAN | {"DATE-OBS": "2026-06-01T22:00:00", "EXPTIME": 10.0}
    for run in ("00010101", "M31", "20260801"):
        write_frame(settings.data / run / "a.fit", frame | {"OBSERVER": run})
    ingest([settings.data], settings)
    assert [row[4] for row in rows(settings, ROWS)] == ["2026-06-11", "2026-08-11", "2026-06-11"]


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ('project = "GREENS"\nprivileges = 2', "rule 1, 2022*) does not hold: there is no project GREENS."),
        ('project = "BLUES"\nprivileges = 2\ncreator = "eve"', "does not hold: there is no user eve."),
        (
            'project = "BLUES"\nprivileges = 2\ncreator = "ben"',
            "Only members of BLUES can create data",
        ),
        ('project = "BLUES"\nprivileges = 3', "Level 3 is above the maximum of BLUES, 2."),
    ],
)
def test_a_rule_that_does_not_hold_keeps_files_out(
    settings: Settings, tmp_path: Path, rule: str, reason: str
) -> None:
    text = (
        f'[[rule]]\ndirectory = "2022*"\n{rule}\n[[rule]]\ndirectory = "*"\nproject = "OST"\nprivileges = 5'
    )
    settings = ruled(settings, tmp_path, text)
    report = taken(settings, "20220101/a.fit", "20220101/b.fit", "20230101/a.fit")
    assert [path for path, _ in report.quarantined] == ["20220101/a.fit", "20220101/b.fit"]
    assert all(reason in why and "rule 1, 2022*" in why for _, why in report.quarantined)
    assert [row[0] for row in rows(settings, ROWS)] == ["20230101/a.fit"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule]", "are no TOML: .*line 1"),
        ("[rules]\na = 1", r"may only have tables \[\[rule\]\]"),
        ('[[rule]]\nproject = "A"\nprivileges = 1', "Rule 1 of .*: directory is missing"),
        ('[[rule]]\ndirectory = "a/b"\nproject = "A"\nprivileges = 1', "Rule 1 of .*: .*no '/'"),
        ('[[rule]]\ndirectory = "a"\nproject = "A"\nprivileges = 6', "Rule 1 of .*: .*level from 1 to 5"),
        ('[[rule]]\ndirectory = "a"\nproject = "A"\nprivileges = true', "Rule 1 of .*: .*level from 1 to 5"),
        (
            '[[rule]]\ndirectory = "a"\nproject = "A"\nprivileges = 1\n'
            '[[rule]]\ndirectory = "a"\nproject = "A"\nprivileges = 1\nrelease_days = -1',
            "Rule 2 of .*: release_days",
        ),
        ('[[rule]]\ndirectory = "a"\nproject = "A"\nprivilege = 1', "Rule 1 of .*: privilege is nothing"),
        (
            '[[rule]]\ndirectory = "a"\nproject = "A"\nprivileges = 1\ntime_zone = "../Berlin"',
            "Rule 1 of .*: there is no time_zone '../Berlin'",
        ),
    ],
    ids=["toml", "table", "directory", "slash", "level", "bool", "days", "unknown", "zone"],
)
def test_rules_that_cannot_be_are_refused_at_the_start(
    settings: Settings, tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(UsageFault, match=problem):
        taken(ruled(settings, tmp_path, text), "20220101/a.fit")


def test_clocks_of_a_run_may_have_been_elsewhere(settings: Settings, tmp_path: Path) -> None:
    rules = """
        [[rule]]
        directory = "*_Namibia"
        project = "OST"
        privileges = 5
        time_zone = "Africa/Windhoek"
        [[rule]]
        directory = "*"
        project = "OST"
        privileges = 5
    """
    for run in ("20220131", "20220131_Namibia"):
        path = settings.data / run / "a.jpg"
        path.parent.mkdir()
        path.write_bytes(jpeg({TAKEN: "2022:01:31 23:00:00"}, {SOFTWARE: run}))
        write_frame(path.with_suffix(".fit"), {"DATE-LOC": "2022-01-31T23:00:00", "OBSERVER": run})
    ingest([settings.data], ruled(settings, tmp_path, rules))
    query = "SELECT path, round((t_min - 59610) * 24) FROM archive.products ORDER BY path"
    assert [(path, int(hours)) for path, hours in rows(settings, query)] == [
        ("20220131/a.fit", 22), ("20220131/a.jpg", 22),
        ("20220131_Namibia/a.fit", 21), ("20220131_Namibia/a.jpg", 21),
    ]  # fmt: skip


def test_a_table_of_rules_that_is_not_there_is_refused(settings: Settings, tmp_path: Path) -> None:
    lost = settings.model_copy(update={"run_rules": tmp_path / "lost.toml"})
    with pytest.raises(UsageFault, match="cannot be read"):
        taken(lost, "20220101/a.fit")


@pytest.mark.usefixtures("accounts")
def test_a_file_that_is_there_keeps_what_it_is(settings: Settings, tmp_path: Path) -> None:
    taken(settings, "20220101/a.fit")
    before = rows(settings, ROWS)
    rules = '[[rule]]\ndirectory = "*"\nproject = "BLUES"\nprivileges = 1\nrelease_days = 1'
    write_frame(settings.data / "20220101" / "a.fit", TAN | {"EXPTIME": 9.0})
    ingest([settings.data], ruled(settings, tmp_path, rules))
    assert rows(settings, ROWS) == before


def test_what_is_no_run_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("20220101/a.fit", "M31/deep/a.fit", "b.fit"):
        write_frame(settings.data / path, TAN | {"OBSERVER": path})
    (settings.data / "20220102" / "deep").mkdir(parents=True)
    (settings.data / "20220102" / "notes.txt").touch()
    (settings.data / "notes.txt").touch()
    expected = {
        "20220102": "a directory without data files",
        "M31": "a directory whose name does not begin with a date",
        "b.fit": "a data file that is in no run",
    }
    assert {stray.name: stray.reason for stray in strays(settings.data, NOTHING)} == expected
    assert {stray.name: stray.reason for stray in reconcile(settings).strays} == expected
    monkeypatch.setenv("OST_VO_DATA_ROOT", str(settings.data))
    monkeypatch.setenv("OST_VO_DATABASE", settings.database)
    monkeypatch.setenv("COLUMNS", "200")
    said = [CliRunner().invoke(app, words).stdout for words in (["not-runs"], ["reconcile"])]
    assert all(name in text and reason in text for text in said for name, reason in expected.items())
