"""Archive and disk compared both ways, while nobody watched."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from typer.testing import CliRunner

from ingest import reconcile as reconciling
from ingest.load import ingest
from ingest.reconcile import FEW, Findings, Kind, LossFault, reconcile, rename_run
from ost_vo.cli import app
from ost_vo.faults import UsageFault
from ost_vo.services import doctor
from ost_vo.settings import Settings
from ost_vo.store import absentees, file_events, inventory, quarantine
from ost_vo.store.file_events import Problem
from tests.ingest.frames import TAN, rows, write_frame

PLACES = "SELECT product_id, path FROM archive.products WHERE missing_since IS NULL ORDER BY path"
MISSING = "SELECT path FROM archive.products WHERE missing_since IS NOT NULL ORDER BY path"
RUNS = "SELECT run_id, name, night::text FROM archive.runs ORDER BY run_id"


@pytest.fixture
def run(settings: Settings) -> Path:
    """A run of three frames, ingested."""
    run = settings.data / "20220101"
    for number, name in enumerate(("a.fit", "b.fit", "deep/c.fit")):
        write_frame(run / name, TAN | {"EXPTIME": float(number)})
    ingest([settings.data], settings)
    return run


def counts(findings: Findings) -> dict[Kind, int]:
    """Return the kinds that occurred."""
    return {kind: number for kind, number in findings.counts.items() if number}


def execute(settings: Settings, statement: str) -> None:
    """Execute a statement as ingest."""
    connection = psycopg2.connect(settings.dsn("ost_ingest"))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@pytest.mark.usefixtures("run")
def test_nothing_differs(settings: Settings) -> None:
    state = rows(settings, "SELECT xmin::text, products.* FROM archive.products")
    for is_rehearsal in (True, False):
        findings = reconcile(settings, is_rehearsal=is_rehearsal)
        assert (counts(findings), str(findings)) == ({}, "Archive and disk agree.")
    assert rows(settings, "SELECT xmin::text, products.* FROM archive.products") == state


def change_everything(settings: Settings, run: Path) -> None:
    """Leave one of each kind of difference."""
    write_frame(settings.data / "20220102" / "back.fit", TAN | {"EXPTIME": 10.0})
    (run / "bad.fit").write_bytes(b"nothing")
    ingest([settings.data], settings)
    execute(settings, "UPDATE archive.products SET missing_since = now() WHERE path LIKE '%back.fit'")
    (run / "bad.fit").unlink()
    (run / "a.fit").rename(run / "moved.fit")
    (run / "b.fit").unlink()
    write_frame(run / "deep" / "c.fit", TAN | {"EXPTIME": 11.0})
    write_frame(run / "new.fit", TAN | {"EXPTIME": 12.0})


def test_every_kind_of_difference(settings: Settings, run: Path) -> None:
    change_everything(settings, run)
    before = rows(settings, "SELECT xmin::text, products.* FROM archive.products ORDER BY product_id")
    rehearsed = reconcile(settings, is_rehearsal=True)
    assert counts(rehearsed) == dict.fromkeys(Kind, 1)
    assert rehearsed.examples[Kind.MOVED] == ["20220101/a.fit -> 20220101/moved.fit"]
    query = "SELECT xmin::text, products.* FROM archive.products ORDER BY product_id"
    assert rows(settings, query) == before
    assert rows(settings, "SELECT path FROM archive.quarantine") == [("20220101/bad.fit",)]
    done = reconcile(settings)
    assert (done.counts, done.examples) == (rehearsed.counts, rehearsed.examples)
    *places, new = sorted(rows(settings, PLACES))
    assert places == [(1, "20220101/moved.fit"), (3, "20220101/deep/c.fit"), (4, "20220102/back.fit")]
    assert new[1] == "20220101/new.fit"
    assert rows(settings, MISSING) == [("20220101/b.fit",)]
    assert rows(settings, "SELECT path FROM archive.quarantine") == []
    assert counts(reconcile(settings)) == {}


def test_any_number_of_files_is_compared_in_small_batches(
    settings: Settings, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (absentees, inventory, quarantine, reconciling):
        monkeypatch.setattr(module, "_BATCH", 1)
    for number in range(3):
        shutil.copy(run / "a.fit", run / f"copy{number}.fit")
        (run / f"bad{number}.fit").write_bytes(b"nothing")
        write_frame(run / f"lost{number}.fit", TAN | {"EXPTIME": 20.0 + number})
    ingest([settings.data], settings)
    for name in ("bad0.fit", "bad1.fit", "bad2.fit", "lost0.fit", "lost1.fit", "lost2.fit"):
        (run / name).unlink()
    before = rows(settings, PLACES)
    run.rename(settings.data / "20220102")
    expected = {Kind.MOVED: 6, Kind.MISSING: 3, Kind.ORPHANS: 3}
    for is_rehearsal in (True, False):
        assert counts(reconcile(settings, is_rehearsal=is_rehearsal)) == expected
    moved = [(number, path.replace("20220101", "20220102")) for number, path in before if "lost" not in path]
    assert rows(settings, PLACES) == moved
    assert [path for (path,) in rows(settings, MISSING)] == [f"20220101/lost{n}.fit" for n in range(3)]
    assert rows(settings, "SELECT path FROM archive.quarantine") == []
    assert counts(reconcile(settings)) == {}


def test_what_is_as_the_archive_knows_it_is_not_looked_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Names whose order differs with the separator of directories, or with what counts as a character.
    names = ["a.fit", "a/x.fit", "a-b/x.fit", "a b.fit", "a0/x.fit", "Z.fit", "\u00e4.fit", "\uffee.fit"]
    for number, name in enumerate([*names, "\U0001f600/x.fit"]):
        write_frame(settings.data / "20220101" / name, TAN | {"EXPTIME": float(number)}, shape=(2, 2))
    ingest([settings.data], settings)
    (settings.data / "20220101" / "notes.txt").touch()
    for size in (1, 2, 100):
        monkeypatch.setattr(inventory, "_BATCH", size)
        findings = reconcile(settings)
        assert counts(findings) == {}
        assert findings.report is not None
        assert not any(findings.report.counts.values())


def test_directory_that_cannot_be_listed_loses_nothing(
    settings: Settings, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refusing(path: str | os.PathLike[str]) -> object:
        if os.fspath(path) == str(run / "deep"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert counts(reconcile(settings)) == {}
    assert rows(settings, MISSING) == []
    assert rows(settings, "SELECT path FROM archive.quarantine") == [("20220101/deep",)]
    monkeypatch.undo()
    assert counts(reconcile(settings)) == {Kind.ORPHANS: 1}
    assert counts(reconcile(settings)) == {}


def test_path_that_is_too_long_holds_up_no_other(settings: Settings) -> None:
    names = [hashlib.sha512(bytes([n])).hexdigest() for n in range(24)]
    (settings.data / "20220101" / "/".join(names)).mkdir(parents=True)
    for name in ("a.fit", "b.fit"):
        write_frame(settings.data / "20220101" / "/".join(names) / name, TAN)
    write_frame(settings.data / "20220102" / "a.fit", TAN | {"EXPTIME": 1.0})
    assert counts(reconcile(settings)) == {Kind.NEW: 1}
    ((path, reason),) = rows(settings, "SELECT path, reason FROM archive.quarantine")
    assert path == "/".join(["20220101", *names[:15]])
    assert "more than 2000 bytes" in reason
    assert counts(reconcile(settings)) == {}
    moved = settings.data / "20220101" / "/".join(names) / "moved.fit"
    (settings.data / "20220102" / "a.fit").rename(moved)
    assert counts(reconcile(settings)) == {Kind.MISSING: 1}
    moved.rename(settings.data / "20220102" / "b.fit")
    shutil.rmtree(settings.data / "20220101")
    assert counts(reconcile(settings)) == {Kind.MOVED: 1, Kind.ORPHANS: 1}


def test_run_that_was_renamed_stays_the_run(settings: Settings, run: Path) -> None:
    write_frame(run / "lost.fit", TAN | {"EXPTIME": 10.0})
    shutil.copy(run / "a.fit", run / "deep" / "a.fit")
    ingest([settings.data], settings)
    execute(settings, "UPDATE archive.products SET missing_since = now() WHERE path LIKE '%lost.fit'")
    (run / "lost.fit").unlink()
    before = rows(settings, "SELECT product_id, obs_publisher_did FROM archive.products ORDER BY product_id")
    run.rename(settings.data / "20220102_M31")
    write_frame(settings.data / "20220102_M31" / "new.fit", TAN | {"EXPTIME": 12.0})
    steps: list[tuple[str, int, int]] = []
    findings = reconcile(settings, progress=lambda *step: steps.append(step))
    assert counts(findings) == {Kind.MOVED: 4, Kind.NEW: 1}
    # The last of each, in their order.
    assert list({step: (done, total) for step, done, total in steps}.items()) == [
        ("Archive", (4, 4)), ("New files", (5, 5)), ("Moves", (4, 4)), ("Files", (5, 5)),
    ]  # fmt: skip
    assert rows(settings, RUNS) == [(1, "20220102_M31", "2022-01-02")]
    after = rows(settings, "SELECT product_id, obs_publisher_did FROM archive.products ORDER BY product_id")
    assert after[: len(before)] == before
    assert rows(settings, MISSING) == [("20220102_M31/lost.fit",)]
    assert rows(settings, "SELECT path, obs_id FROM archive.products WHERE product_id = 1") == [
        ("20220102_M31/a.fit", "20220102_M31/a")
    ]
    assert counts(reconcile(settings)) == {}


def test_part_of_a_run_that_moves_goes_to_another_run(settings: Settings, run: Path) -> None:
    execute(settings, "UPDATE archive.products SET privileges = 1 WHERE product_id = 1")
    (settings.data / "20220102").mkdir()
    (run / "a.fit").rename(settings.data / "20220102" / "a.fit")
    assert counts(reconcile(settings)) == {Kind.MOVED: 1}
    assert rows(settings, RUNS) == [(1, "20220101", "2022-01-01"), (2, "20220102", "2022-01-02")]
    assert rows(settings, "SELECT run_id, privileges FROM archive.products ORDER BY product_id") == [
        (2, 1), (1, 5), (1, 5),
    ]  # fmt: skip


def test_run_takes_along_no_missing_file_to_where_another_moves(settings: Settings, run: Path) -> None:
    execute(settings, "UPDATE archive.products SET missing_since = now() WHERE path LIKE '%b.fit'")
    (run / "b.fit").unlink()
    (run / "a.fit").rename(run / "b.fit")
    run.rename(settings.data / "20220102")
    assert counts(reconcile(settings)) == {Kind.MOVED: 2}
    assert rows(settings, PLACES) == [(1, "20220102/b.fit"), (3, "20220102/deep/c.fit")]
    assert rows(settings, MISSING) == [("20220102/b.fit~2",)]
    assert rows(settings, RUNS) == [(1, "20220102", "2022-01-02")]


def test_runs_that_change_names(settings: Settings, run: Path) -> None:
    other = write_frame(settings.data / "20220202" / "z.fit", TAN | {"EXPTIME": 10.0}).parent
    ingest([settings.data], settings)
    other.rename(settings.data / "t")
    run.rename(settings.data / "20220202")
    (settings.data / "t").rename(settings.data / "20220101")
    assert counts(reconcile(settings)) == {Kind.MOVED: 4}
    assert rows(settings, PLACES) == [
        (4, "20220101/z.fit"), (1, "20220202/a.fit"), (2, "20220202/b.fit"), (3, "20220202/deep/c.fit"),
    ]  # fmt: skip
    assert len(rows(settings, RUNS)) == 2


def test_rename_run_reads_no_file(settings: Settings, run: Path) -> None:
    with pytest.raises(UsageFault, match="not renamed"):
        rename_run(settings, "20220101", "20220102")
    run.rename(settings.data / "20220102")
    opened = (settings.data / "20220102" / "a.fit").stat().st_atime_ns
    assert rename_run(settings, "20220101", "20220102") == 3
    assert (settings.data / "20220102" / "a.fit").stat().st_atime_ns == opened
    assert rows(settings, RUNS) == [(1, "20220102", "2022-01-02")]
    with pytest.raises(UsageFault, match="No file of the run"):
        rename_run(settings, "20220101", "20220102")
    for name in ("", "..", "a/b"):
        with pytest.raises(UsageFault, match="no name of a run"):
            rename_run(settings, name, "20220102")


@pytest.fixture
def many(settings: Settings) -> list[Path]:
    """More than a few ingested frames."""
    paths = [settings.data / "20220101" / f"{number:02d}.fit" for number in range(2 * FEW)]
    for number, path in enumerate(paths):
        write_frame(path, TAN | {"EXPTIME": float(number)}, shape=(2, 2))
    ingest([settings.data], settings)
    return paths


def test_much_that_is_gone_is_refused_without_force(settings: Settings, many: list[Path]) -> None:
    for path in many[: FEW + 1]:
        path.unlink()
    for is_rehearsal in (True, False):
        with pytest.raises(LossFault, match="21 of 40 files are gone"):
            reconcile(settings, is_rehearsal=is_rehearsal)
    assert rows(settings, MISSING) == []
    assert [problem for problem in alarms(settings) if "21 of 40 files are gone" in problem]
    lenient = settings.model_copy(update={"missing_fraction": 0.6})
    assert counts(reconcile(lenient, is_rehearsal=True)) == {Kind.MISSING: 21}
    assert counts(reconcile(settings, force=True)) == {Kind.MISSING: 21}
    assert len(rows(settings, MISSING)) == 21


def test_few_that_are_gone_are_what_people_delete(settings: Settings, run: Path) -> None:
    shutil.rmtree(run)
    write_frame(settings.data / "20220102" / "a.fit", TAN | {"EXPTIME": 20.0})
    assert counts(reconcile(settings)) == {Kind.NEW: 1, Kind.MISSING: 3}


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("state", ["empty", "gone", "unmarked"])
def test_data_root_that_is_not_mounted(settings: Settings, state: str) -> None:
    if state == "unmarked":
        settings = settings.model_copy(update={"data_marker": ".mounted"})
    else:
        shutil.rmtree(settings.data)
    if state == "empty":
        settings.data.mkdir()
    with pytest.raises(LossFault, match="data root"):
        reconcile(settings)
    assert rows(settings, MISSING) == []
    assert any(f"{settings.data} " in problem for problem in alarms(settings))
    if state == "unmarked":
        (settings.data / ".mounted").touch()
        assert counts(reconcile(settings)) == {}
    else:
        assert counts(reconcile(settings, force=True)) == {Kind.MISSING: 3}
    assert alarms(settings) == []


def alarms(settings: Settings) -> list[str]:
    """Return what `ost-vo doctor` says of alarms."""
    return [finding.problem for finding in doctor.examine(settings) if "(since " in finding.problem]


def test_name_that_is_not_utf8_stays_in_quarantine(settings: Settings, run: Path) -> None:
    odd = os.fsencode(run) + b"/\xfcber.fit"
    os.rename(write_frame(run / "x.fit", TAN), odd)
    ingest([settings.data], settings)
    assert counts(reconcile(settings)) == {}
    assert rows(settings, "SELECT path FROM archive.quarantine") == [("20220101/\\xfcber.fit",)]
    os.unlink(odd)
    assert counts(reconcile(settings)) == {Kind.ORPHANS: 1}
    assert rows(settings, "SELECT path FROM archive.quarantine") == []


def test_ignored_names_are_passed_over(settings: Settings) -> None:
    names = [".rsync-partial/a.fit", ".hidden.fit", "b.fit.filepart", "c.FIT.PART", "d.fit"]
    for name in names:
        write_frame(settings.data / "20220101" / name, TAN)
    assert counts(reconcile(settings)) == {Kind.NEW: 1}
    picky = settings.model_copy(update={"watch_ignore": "d.*"})
    assert counts(reconcile(picky)) == {Kind.NEW: 2}


def test_commands(settings: Settings, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OST_VO_DATA_ROOT", str(settings.data))
    monkeypatch.setenv("OST_VO_DATABASE", settings.database)
    monkeypatch.setenv("COLUMNS", "200")
    (run / "a.fit").unlink()

    def say(*words: str) -> str:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (result.output, result.exception)
        return str(result.stdout)

    assert say("missing") == "No file is missing.\n"
    expected = "missing: 20220101/a.fit\n1 missing.\n"
    assert say("reconcile", "--dry-run") == expected
    assert say("missing") == "No file is missing.\n"
    assert say("reconcile") == expected
    assert "20220101/a.fit" in say("missing")
    run.rename(settings.data / "20220102")
    assert say("rename-run", "20220101", "20220102") == "2 products are now in 20220102.\n"


def test_events_of_files_are_over_when_the_files_are_as_known_again(settings: Settings, run: Path) -> None:
    def note(name: str, problem: Problem) -> None:
        query = "SELECT obs_publisher_did FROM archive.products WHERE path = %s"
        ((identifier,),) = rows(settings, query, f"20220101/{name}")
        with closing(psycopg2.connect(settings.dsn("ost_web"))) as connection:
            file_events.note(connection, identifier, problem, "met")

    def events() -> list[tuple[str, str]]:
        with closing(psycopg2.connect(settings.dsn("ost_ingest"))) as connection:
            return sorted((event.path[9:], event.problem) for event in file_events.events(connection))

    note("a.fit", "missing")
    note("a.fit", "unreadable")
    note("b.fit", "changed")
    note("deep/c.fit", "missing")
    away = (run / "deep" / "c.fit").rename(settings.data.with_name("c.fit"))
    os.utime(run / "b.fit", (1.5e9, 1.5e9))
    reconcile(settings, is_rehearsal=True)
    assert len(events()) == 4
    reconcile(settings)
    assert events() == [("deep/c.fit", "missing")]
    away.rename(run / "deep" / "c.fit")
    ingest([settings.data], settings)
    assert events() == []

    write_frame(run / "a.fit", TAN | {"EXPTIME": 10.0})
    note("a.fit", "changed")
    ingest([settings.data], settings)
    assert events() == []
