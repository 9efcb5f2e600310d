"""Files that move, are copied, change places and vanish between two ingests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg2
import pytest

from ingest.load import Outcome, Report, ingest
from ost_vo.access.actor import OPERATOR
from ost_vo.services import projects, publishing
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from ost_vo.store.projects import CreationScope
from tests.ingest.frames import TAN, rows, write_frame

PLACES = "SELECT product_id, path FROM archive.products WHERE missing_since IS NULL ORDER BY path"
DECIDED = """
SELECT product_id, obs_publisher_did, project_id, creator_id, privileges, is_valid, release_date
FROM archive.products ORDER BY product_id"""


@pytest.fixture
def run(settings: Settings) -> Path:
    """A run of three frames, ingested, which people decided about."""
    run = settings.data / "20220101"
    for number, name in enumerate(("a.fit", "b.fit", "c.fit")):
        write_frame(run / name, TAN | {"EXPTIME": float(number)})
    ingest([settings.data], settings)
    execute(
        settings, "UPDATE archive.products SET privileges = 2, is_valid = false, release_date = '2030-01-01'"
    )
    execute(settings, "INSERT INTO archive.lineage VALUES (1, 2), (3, 1)")
    return run


def execute(settings: Settings, statement: str) -> None:
    """Execute a statement as ingest."""
    connection = psycopg2.connect(settings.dsn("ost_ingest"))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def outcomes(report: Report) -> dict[Outcome, int]:
    """Return the outcomes that occurred."""
    return {outcome: number for outcome, number in report.counts.items() if number}


def test_file_that_moves_keeps_all_that_it_is(settings: Settings, run: Path) -> None:
    before = rows(settings, DECIDED)
    lineage = rows(settings, "SELECT * FROM archive.lineage")
    headers = rows(settings, "SELECT * FROM archive.headers ORDER BY product_id")
    (settings.data / "20220202" / "deep").mkdir(parents=True)
    (run / "a.fit").rename(settings.data / "20220202" / "deep" / "new.fit")
    (run / "b.fit").rename(run / "renamed.fit")
    assert outcomes(ingest([settings.data], settings)) == {Outcome.MOVED: 2, Outcome.UNCHANGED: 1}
    assert rows(settings, DECIDED) == before
    assert rows(settings, "SELECT * FROM archive.lineage") == lineage
    assert rows(settings, "SELECT * FROM archive.headers ORDER BY product_id") == headers
    query = """
        SELECT path, obs_id, name, missing_since, night::text FROM archive.products
        JOIN archive.runs USING (run_id) ORDER BY product_id"""
    assert rows(settings, query) == [
        ("20220202/deep/new.fit", "20220202/deep/new", "20220202", None, "2022-02-02"),
        ("20220101/renamed.fit", "20220101/renamed", "20220101", None, "2022-01-01"),
        ("20220101/c.fit", "20220101/c", "20220101", None, "2022-01-01"),
    ]
    assert outcomes(ingest([settings.data], settings)) == {Outcome.UNCHANGED: 3}


def test_copy_is_a_product_of_its_own(settings: Settings, run: Path) -> None:
    shutil.copy2(run / "a.fit", run / "copy.fit")
    os.utime(run / "a.fit", (1.5e9, 1.5e9))
    assert ingest([run / "copy.fit"], settings).counts[Outcome.INGESTED] == 1
    assert [path for _, path in rows(settings, PLACES)] == [
        "20220101/a.fit", "20220101/b.fit", "20220101/c.fit", "20220101/copy.fit",
    ]  # fmt: skip


def test_file_of_a_missing_product_is_found_elsewhere(settings: Settings, run: Path) -> None:
    execute(settings, "UPDATE archive.products SET missing_since = now() WHERE product_id = 1")
    (run / "a.fit").rename(run / "z.fit")
    assert ingest([run / "z.fit"], settings).counts[Outcome.MOVED] == 1
    assert rows(settings, PLACES)[-1] == (1, "20220101/z.fit")


def test_of_several_missing_products_of_the_same_bytes_the_choice_is_told(settings: Settings) -> None:
    names = ("x/one.fit", "y/two.fit", "z/one.fit")
    content = write_frame(settings.data / names[0], TAN).read_bytes()
    for name in names[1:]:
        (settings.data / name).parent.mkdir()
        (settings.data / name).write_bytes(content)
    ingest([settings.data], settings)
    execute(settings, "UPDATE archive.products SET privileges = 1 WHERE product_id = 3")
    for name in names:
        (settings.data / name).unlink()
    write_frame(settings.data / "new" / "one.fit", TAN)
    assert ingest([settings.data], settings).counts[Outcome.MOVED] == 1
    # The name speaks for the first and the third; the third is the more private one.
    assert rows(settings, "SELECT product_id, privileges FROM archive.products WHERE path LIKE 'new/%%'") == [
        (3, 1)
    ]
    ((keyword, reason),) = rows(settings, "SELECT keyword, reason FROM archive.discrepancies")
    assert keyword == "PATH"
    assert "x/one.fit, y/two.fit" in reason


@pytest.mark.parametrize("order", [("a.fit", "b.fit"), ("b.fit", "a.fit")])
def test_files_that_change_places(settings: Settings, run: Path, order: tuple[str, str]) -> None:
    (run / "a.fit").rename(run / "t")
    (run / "b.fit").rename(run / "a.fit")
    (run / "t").rename(run / "b.fit")
    for number, name in enumerate(("a.fit", "b.fit")):
        os.utime(run / name, (1.5e9 + number, 1.5e9))
    for name in order:
        ingest([run / name], settings)
    assert rows(settings, PLACES) == [(2, "20220101/a.fit"), (1, "20220101/b.fit"), (3, "20220101/c.fit")]
    assert outcomes(ingest([settings.data], settings)) == {Outcome.UNCHANGED: 3}


def test_files_that_are_numbered_anew(settings: Settings, run: Path) -> None:
    before = rows(settings, DECIDED)
    for old, new in (("c", "d"), ("b", "c"), ("a", "b")):
        (run / f"{old}.fit").rename(run / f"{new}.fit")
    ingest([settings.data], settings)
    assert rows(settings, PLACES) == [(1, "20220101/b.fit"), (2, "20220101/c.fit"), (3, "20220101/d.fit")]
    assert rows(settings, DECIDED) == before


def test_file_that_replaces_another_stays_itself(settings: Settings, run: Path) -> None:
    execute(settings, "UPDATE archive.products SET privileges = 5 WHERE product_id = 1")
    (run / "b.fit").rename(run / "a.fit")
    assert ingest([settings.data], settings).counts[Outcome.MOVED] == 1
    assert rows(
        settings, "SELECT product_id, privileges FROM archive.products WHERE path LIKE '%%/a.fit'"
    ) == [(2, 2)]
    assert rows(
        settings, "SELECT path, missing_since IS NULL FROM archive.products WHERE product_id = 1"
    ) == [("20220101/a.fit~1", False)]
    assert rows(settings, "SELECT reason FROM archive.discrepancies WHERE product_id = 1") == [
        ("Another file took the place of this one, 20220101/a.fit.",)
    ]


def test_move_into_another_scope_changes_nothing_of_who_sees_it(
    settings: Settings, run: Path, accounts: Database
) -> None:
    projects.set_creation_scope(accounts, OPERATOR, CreationScope("blue", "BLUES", "anna", 1))
    before = rows(settings, DECIDED)
    (settings.data / "blue").mkdir()
    (run / "a.fit").rename(settings.data / "blue" / "a.fit")
    ingest([settings.data], settings)
    assert rows(settings, DECIDED) == before
    query = """
        SELECT r.name, j.name FROM archive.runs r JOIN archive.projects j USING (project_id)
        WHERE r.name = 'blue'"""
    assert rows(settings, query) == [("blue", settings.ingest_project)]


def test_deleted_product_stays_deleted_where_its_file_moves(
    settings: Settings, run: Path, accounts: Database
) -> None:
    execute(settings, "DELETE FROM archive.lineage")
    execute(settings, "UPDATE archive.products SET privileges = 1, release_date = NULL")
    (identifier,) = rows(settings, "SELECT obs_publisher_did FROM archive.products WHERE product_id = 1")[0]
    publishing.delete(accounts, OPERATOR, [identifier], "a test frame")
    (run / "a.fit").rename(run / "z.fit")
    assert ingest([settings.data], settings).counts[Outcome.UNCHANGED] == 3
    assert len(rows(settings, PLACES)) == 2
    assert rows(settings, "SELECT path FROM archive.deletions") == [("20220101/z.fit",)]
    shutil.copy(run / "z.fit", run / "copy.fit")
    assert ingest([settings.data], settings).counts[Outcome.INGESTED] == 1
