"""What files say they were made from becomes lineage, in whatever order they come."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ingest import formats, lineage
from ingest.load import Outcome, ingest
from ost_vo.cli import app
from ost_vo.settings import Settings
from tests.conftest import execute
from tests.ingest.frames import Cards, description, rows, write_frame
from tests.ingest.test_xisf import image, write

_numbers = count(1)


def made(settings: Settings, path: str, *history: str, **cards: object) -> Path:
    """Write a frame that differs from all others, with cards and lines of HISTORY."""
    named: Cards = {"EXPTIME": float(next(_numbers)), **cards}
    if history:
        named["HISTORY"] = history[0]
    return write_frame(settings.data / path, named)


def taken(settings: Settings, *paths: Path) -> None:
    """Ingest files, or everything."""
    report = ingest(list(paths) or [settings.data], settings)
    assert report.quarantined == []


def lines(settings: Settings) -> set[tuple[str, str, str]]:
    """Return the lineage: (path, path of the progenitor, who says so)."""
    query = (
        "SELECT p.path, q.path, source FROM archive.lineage l JOIN archive.products p USING (product_id) "
        "JOIN archive.products q ON q.product_id = progenitor_id"
    )
    return set(rows(settings, query))


def progenitors(settings: Settings, path: str) -> set[str]:
    """Return the paths of what a file was made from."""
    return {progenitor for product, progenitor, _ in lines(settings) if product == path}


def doubts(settings: Settings) -> list[str]:
    """Return the discrepancies of lineage."""
    query = "SELECT reason FROM archive.discrepancies WHERE keyword IN ('LINEAGE', 'PROGENITOR') ORDER BY 1"
    return [row[0] for row in rows(settings, query)]


@pytest.mark.parametrize(
    ("cards", "names"),
    [
        ({"IMCMB001": "a.fits", "IMCMB002": "b[1]"}, ["a.fits", "b"]),
        ({"ZEROCOR": "Nov 22 05:05 Zero level correction image is mbias.fits[1]"}, ["mbias.fits"]),
        ({"FLATCOR": "Nov 22 05:05 Flat field image is Flat_R with scale=12345.6"}, ["Flat_R"]),
        ({"DARKCOR": f"Nov 22 05:05 Dark count correction image is /disk/{'cut' * 9}"[:68]}, []),
        ({"FLATCOR": "PERFORM", "ZEROCOR": True}, []),
        ({"HIERARCH ESO PRO REC1 RAW1 NAME": "r.fits", "HIERARCH ESO PRO REC1 CAL2 NAME": "c.fits"},
         ["r.fits", "c.fits"]),
        ({"BIASFILE": "C:\\data\\mbias.fit", "DARKFILE": "N/A", "FLATFILE": ""}, ["C:/data/mbias.fit"]),
        ({"PROGEN01": "raw/a.fits"}, ["raw/a.fits"]),
        ({"HISTORY": "ImageCalibration.masterDark.fileName: MasterDark_300.xisf"}, ["MasterDark_300.xisf"]),
        ({"HISTORY": "ImageCalibration.masterFlat.fileName:D:/cal/flat.xisf"}, ["D:/cal/flat.xisf"]),
        ({"HISTORY": "Bias corrected with mbias.fit."}, ["mbias.fit"]),
        ({"HISTORY": "combined from a1.fits, a2.fits, 'a 3.fit.gz'"}, ["a1.fits", "a2.fits", "a 3.fit.gz"]),
        ({"HISTORY": "Calibration of images from " + "x" * 60 + ".fits and b.fits"},
         ["x" * 60 + ".fits", "b.fits"]),
        ({"ORIGIN": "IMG_0815.CR2"}, ["IMG_0815.CR2"]),
        ({"ORIGIN": "NOAO-IRAF FITS Image Kernel July 2003"}, []),
        ({"HISTORY": "Saved as result.fits"}, []),
        ({"HISTORY": "Solved with index-4107.fits"}, []),
        ({"HISTORY": "Flat-Bias(Bias 1,4864 x 3232,Bin1 x 1,Temp -35C,"}, []),
        ({"OBJECT": "a.fits", "COMMENT": "from b.fits"}, []),
    ],
)  # fmt: skip
def test_headers_of_programs(tmp_path: Path, cards: Cards, names: list[str]) -> None:
    assert description(write_frame(tmp_path / "stack.fit", cards)).references == names


def test_keywords_of_xisf(tmp_path: Path) -> None:
    cards = '<FITSKeyword name="HISTORY" value="" comment="ImageIntegration with light_1.xisf"/>'
    cards += '<FITSKeyword name="IMCMB001" value="\'a.fits\'" comment=""/>'
    assert description(write(tmp_path / "a.xisf", image(cards))).references == ["a.fits", "light_1.xisf"]


def test_hostile_headers_are_bounded(tmp_path: Path) -> None:
    names = " ".join(f"{n}.fit" for n in range(3000))
    found = description(write_frame(tmp_path / "stack.fit", {"HISTORY": f"combined from {names}"}))
    assert len(found.references) < lineage.MAX_REFERENCES
    names, remarks = lineage.chosen(["x" * 256, *(f"f{n}.fits" for n in range(3000))])
    assert len(names) == lineage.MAX_REFERENCES
    assert [remark.reason for remark in remarks] == ["More than 2000 progenitors: the rest is left out."]
    names, remarks = lineage.chosen(["x" * 256, "a.fit"])
    assert (names, len(remarks)) == (["a.fit"], 1)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=100), max_size=30))
def test_any_history_gives_names_of_files(history: list[str]) -> None:
    for name in lineage.of_history(history):
        assert formats.is_data(name)
        assert name.isprintable()


@pytest.fixture
def link(settings: Settings) -> Settings:
    """An archive of two runs, each with a bias of the same name."""
    made(settings, "20220101/cal/mbias.fit")
    made(settings, "20220102/cal/mbias.fit")
    taken(settings)
    return settings


def test_nearest_scope_counts(link: Settings) -> None:
    made(link, "20220101/cal/mdark.fit", ZEROCOR="Zero level correction image is mbias.fit")
    made(link, "20220102/lights/sum.fit", BIASFILE="mbias")
    made(link, "20220103/sum.fit", BIASFILE="mbias.fit", DARKFILE="mdark.fits.gz", FLATFILE="mdark.fit.fz")
    made(link, "20220103/other.fit", BIASFILE="/home/obs/data/20220102/cal/mbias.fit.gz")
    made(link, "20220103/a/b.fit", BIASFILE="cal/mbias.fit", PROGEN1="../other.fit")
    taken(link)
    assert lines(link) == {
        ("20220101/cal/mdark.fit", "20220101/cal/mbias.fit", "file"),
        ("20220102/lights/sum.fit", "20220102/cal/mbias.fit", "file"),
        ("20220103/sum.fit", "20220101/cal/mdark.fit", "file"),
        ("20220103/other.fit", "20220102/cal/mbias.fit", "file"),
        ("20220103/a/b.fit", "20220103/other.fit", "file"),
    }
    assert doubts(link) == [
        "'cal/mbias.fit' fits several files in the archive: left open.",
        "'mbias.fit' fits several files in the archive: left open.",
    ]


@pytest.mark.parametrize("first", ["20220103/sum.fit", "20220103/l2.fit", "20220104/l1.fit"])
def test_order_of_arrival_does_not_matter(settings: Settings, first: str) -> None:
    made(settings, "20220103/sum.fit", IMCMB001="l1.fit", IMCMB002="l2.fit", IMCMB003="l3.fit")
    for path in (
        "20220103/l1.fit",
        "20220103/l2.fit",
        "20220104/l1.fit",
        "20220105/l1.fit",
        "20220104/l3.fit",
    ):
        made(settings, path)
    taken(settings, settings.data / first)
    taken(settings, settings.data / "20220104")
    taken(settings, settings.data / "20220105")
    taken(settings)
    expected = {"20220103/l1.fit", "20220103/l2.fit", "20220104/l3.fit"}
    assert progenitors(settings, "20220103/sum.fit") == expected
    assert doubts(settings) == []


def command(settings: Settings, *words: str) -> str:
    """Give a command that succeeds; return what it prints, without its line breaks."""
    environment = {"OST_VO_STATE": str(settings.state), "OST_VO_DATABASE": settings.database}
    result = CliRunner().invoke(app, ["lineage", *words], env=environment)
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.stdout.split())


def test_what_is_not_found_is_listed_and_waits(link: Settings) -> None:
    taken(link, made(link, "20220103/sum.fit", IMCMB001="late.fit", IMCMB002="never.fit"))
    shown = command(link, "waiting")
    assert shown.count("20220103/sum.fit") == 2
    assert "late.fit" in shown
    assert "never.fit" in shown
    taken(link, made(link, "20220109/late.fit"))
    assert progenitors(link, "20220103/sum.fit") == {"20220109/late.fit"}
    assert "late.fit" not in command(link, "waiting")


def listed(made_from: Path, *names: str) -> Path:
    """Write the list beside a file."""
    path = Path(f"{made_from}.progenitors")
    path.write_text("\r\n".join(names))
    return path


def test_list_beside_a_file(link: Settings) -> None:
    path = made(link, "20220101/sum.fit", IMCMB001="l1.fit")
    for name in ("l1", "l2", "l3"):
        made(link, f"20220101/{name}.fit")
    listed(path, "# of this night", "", "l2.fit", f"{path.parent}/l3.fit", "../20220102/cal/mbias.fit")
    taken(link)
    l1, l2, l3 = (f"20220101/{name}.fit" for name in ("l1", "l2", "l3"))
    assert progenitors(link, "20220101/sum.fit") == {l1, l2, l3, "20220102/cal/mbias.fit"}
    # It changes while the file does not, and the file while it does not.
    taken(link, listed(path, "l2.fit", "l1.fit"))
    assert progenitors(link, "20220101/sum.fit") == {l1, l2}
    write_frame(path, {"EXPTIME": 1e6, "IMCMB001": "l3.fit"})
    taken(link)
    assert progenitors(link, "20220101/sum.fit") >= {l2, l3}
    listed(path)
    taken(link)
    assert progenitors(link, "20220101/sum.fit") == {l3}


def test_list_comes_before_its_file(link: Settings) -> None:
    path = link.data / "20220101" / "sum.fit"
    taken(link, listed(path, "cal/mbias.fit"))
    taken(link, made(link, "20220101/sum.fit"))
    assert progenitors(link, "20220101/sum.fit") == {"20220101/cal/mbias.fit"}


def test_hostile_lists(link: Settings) -> None:
    sums = [made(link, f"20220101/sum{n}.fit") for n in range(3)]
    os.mkfifo(f"{sums[0]}.progenitors")
    Path(f"{sums[1]}.progenitors").symlink_to("/etc/passwd")
    listed(
        sums[2],
        *(f"{n}{'x' * 300}" for n in range(3000)),
        "\0\x1b[31m",
        "../../../etc/passwd",
        "cal/mbias.fit",
    )
    report = ingest([link.data], link)
    assert report.counts[Outcome.INGESTED] == 3
    assert {progenitor for _, progenitor, _ in lines(link)} == {"20220101/cal/mbias.fit"}
    assert len(doubts(link)) == 3


def test_changed_file_changes_its_lines_and_keeps_those_of_users(link: Settings) -> None:
    path = made(link, "20220101/sum.fit", IMCMB001="cal/mbias.fit", IMCMB002="l.fit")
    made(link, "20220101/l.fit")
    made(link, "20220101/m.fit")
    taken(link)
    execute(
        link.dsn("ost_accounts"),
        "INSERT INTO archive.lineage (product_id, progenitor_id) SELECT p.product_id, q.product_id "
        "FROM archive.products p, archive.products q WHERE p.path = '20220101/sum.fit' "
        "AND q.path IN ('20220101/m.fit', '20220101/cal/mbias.fit') ON CONFLICT DO NOTHING",
    )
    assert {(progenitor, source) for _, progenitor, source in lines(link)} == {
        ("20220101/l.fit", "file"), ("20220101/m.fit", "user"), ("20220101/cal/mbias.fit", "user"),
    }  # fmt: skip
    write_frame(path, {"EXPTIME": 1e6})
    taken(link)
    assert {(progenitor, source) for _, progenitor, source in lines(link)} == {
        ("20220101/m.fit", "user"), ("20220101/cal/mbias.fit", "user"),
    }  # fmt: skip


def test_line_that_a_user_took_away_does_not_come_back(link: Settings) -> None:
    cards = {"IMCMB001": "cal/mbias.fit"}
    path = write_frame(link.data / "20220101" / "sum.fit", cards)
    taken(link)
    execute(link.dsn("ost_accounts"), "DELETE FROM archive.lineage")
    write_frame(path, cards | {"EXPTIME": 5.0})
    made(link, "20220105/mbias.fit")
    taken(link)
    assert lines(link) == set()


def test_cycles_and_oneself_are_left_out(settings: Settings) -> None:
    made(settings, "r/a.fit", IMCMB001="b.fit", IMCMB002="a.fit")
    made(settings, "r/b.fit", IMCMB001="c.fit")
    made(settings, "r/c.fit", IMCMB001="a.fit")
    taken(settings)
    assert len(lines(settings)) == 2
    assert len(doubts(settings)) == 1
    assert doubts(settings)[0].startswith("Names as a progenitor what was made from it")


def test_private_files_are_not_found_by_those_who_may_not_see_them(link: Settings) -> None:
    owner = link.dsn("ost_owner")
    execute(
        owner,
        "INSERT INTO archive.projects (name) VALUES ('SECRET'); "
        "INSERT INTO archive.users (name) VALUES ('eve'); "
        "UPDATE archive.products SET privileges = 2, project_id = "
        "(SELECT project_id FROM archive.projects WHERE name = 'SECRET')",
    )
    sum_path = made(link, "20220102/sum.fit", BIASFILE="cal/mbias.fit")
    taken(link)
    assert (lines(link), doubts(link)) == (set(), [])
    execute(
        owner,
        "INSERT INTO archive.project_members (project_id, user_id) SELECT project_id, user_id "
        "FROM archive.projects, archive.users WHERE projects.name = 'SECRET' AND users.name = 'ingest'",
    )
    write_frame(sum_path, {"BIASFILE": "cal/mbias.fit", "EXPTIME": 7.0})
    taken(link)
    assert doubts(link) == ["'cal/mbias.fit' is below level 3, and this product is not: publish it first."]
    execute(owner, "UPDATE archive.products SET privileges = 3 WHERE path LIKE '20220102/cal/%%'")
    assert command(link, "resolve") == "1 found, 0 waiting."
    assert progenitors(link, "20220102/sum.fit") == {"20220102/cal/mbias.fit"}
    assert doubts(link) == []


def test_moved_product_keeps_its_lineage(link: Settings) -> None:
    made(link, "20220101/sum.fit", BIASFILE="cal/mbias.fit")
    taken(link)
    (link.data / "20220101").rename(link.data / "20220107")
    taken(link)
    assert lines(link) == {("20220107/sum.fit", "20220107/cal/mbias.fit", "file")}


def test_stem_in_the_database_is_that_of_the_formats(settings: Settings) -> None:
    suffixes = [*formats._OTHERS, ".fit", ".fits", ".fts", ".fits.fz", ".fit.gz", ".FTS.bz2", ".fit.Z", ".fz"]
    names = [f"run/a.b{suffix}" for suffix in (*suffixes, "", ".002", ".txt")]
    connection = psycopg2.connect(settings.dsn("ost_ingest"))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT archive.file_stem(unnest(%s))", (names,))
        stems = [row[0] for row in cursor.fetchall()]
    connection.close()
    assert stems == [formats.without_suffixes(name).removeprefix("run/") for name in names]
