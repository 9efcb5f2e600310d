"""What becomes of files: new, changed, touched, damaged, hostile, gone and back."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from astropy.io import fits

from ingest import discovery
from ingest.headers import read_units
from ingest.load import Outcome, Report, count, ingest
from ingest.stream import Stream, Unreadable
from ost_vo.faults import TransientFault, UsageFault
from ost_vo.settings import Settings
from ost_vo.store.quarantine import entries
from tests.ingest.frames import TAN, description, rows, write_frame

LIGHT = TAN | {"IMAGETYP": "Light Frame", "OBJECT": "M31", "FILTER": "V", "DATE-OBS": "2022-01-01T00:00:00"}
GIB = 1 << 30


@pytest.fixture
def frame(settings: Settings) -> Path:
    """A good frame in a run."""
    return write_frame(settings.data / "20220101" / "a.fit", LIGHT | {"EXPTIME": 30.0})


def outcomes(report: Report) -> dict[Outcome, int]:
    """Return the outcomes that occurred."""
    return {outcome: number for outcome, number in report.counts.items() if number}


def quarantined(settings: Settings) -> dict[str, str]:
    """Return path and reason of all that is in quarantine."""
    connection = psycopg2.connect(settings.dsn("ost_ingest"))
    try:
        return {entry.path: entry.reason for entry in entries(connection)}
    finally:
        connection.close()


def only_reason(settings: Settings) -> str:
    """Ingest everything, which must leave one file in quarantine, and return why."""
    assert outcomes(ingest([settings.data], settings)) == {Outcome.QUARANTINED: 1}
    (reason,) = quarantined(settings).values()
    return reason


def test_new_file(settings: Settings, frame: Path) -> None:
    assert outcomes(ingest([frame], settings)) == {Outcome.INGESTED: 1}
    content = frame.read_bytes()
    query = """
        SELECT path, file_size, sha256, file_modified = to_timestamp(%s), r.name, night, t.name, p.name,
            u.name, privileges, is_valid, obs_id, obs_publisher_did, product_id
        FROM archive.products JOIN archive.runs r USING (run_id) JOIN archive.targets t USING (target_id)
            JOIN archive.projects p ON p.project_id = products.project_id
            JOIN archive.users u ON u.user_id = creator_id"""
    os.utime(frame, (1.5e9, 1.5e9))
    ingest([frame], settings)
    (row,) = rows(settings, query, 1.5e9)
    path, size, digest, same_time, run, night, target, project, user, *rest = row
    assert (path, size, bytes(digest)) == ("20220101/a.fit", len(content), hashlib.sha256(content).digest())
    assert same_time
    assert (run, night.isoformat(), target) == ("20220101", "2022-01-01", "M 31")
    assert (project, user) == (settings.ingest_project, settings.ingest_user)
    privileges, is_valid, obs_id, did, product_id = rest
    assert (privileges, is_valid, obs_id) == (settings.ingest_privileges, True, "20220101/a")
    assert did == f"ivo://{settings.authority}/archive?{product_id}"


@pytest.mark.parametrize(
    ("run", "night"),
    [
        ("20220131", "2022-01-31"),
        ("2022-01-31", "2022-01-31"),
        ("2022-01-31_test", "2022-01-31"),
        ("20220231", None),
        ("M31-deep", None),
        ("202201311", None),
    ],
)
def test_night_of_a_run(settings: Settings, run: str, night: str | None) -> None:
    write_frame(settings.data / run / "sub" / "a.fit", LIGHT)
    ingest([settings.data], settings)
    assert rows(settings, "SELECT name, night::text FROM archive.runs") == [(run, night)]


def test_second_run_changes_nothing_and_opens_nothing(settings: Settings, frame: Path) -> None:
    ingest([settings.data], settings)
    state = rows(settings, "SELECT xmin::text, products.* FROM archive.products")
    frame.chmod(0)
    opened = frame.stat().st_atime_ns
    assert outcomes(ingest([settings.data], settings)) == {Outcome.UNCHANGED: 1}
    assert frame.stat().st_atime_ns == opened
    assert rows(settings, "SELECT xmin::text, products.* FROM archive.products") == state


def test_touched_file_is_no_other_file(settings: Settings, frame: Path) -> None:
    ingest([settings.data], settings)
    before = rows(settings, "SELECT product_id, ingested FROM archive.products")
    os.utime(frame, (1.5e9, 1.5e9))
    assert outcomes(ingest([settings.data], settings)) == {Outcome.UNCHANGED: 1}
    assert rows(settings, "SELECT product_id, ingested FROM archive.products") == before
    assert rows(settings, "SELECT extract(epoch FROM file_modified)::float FROM archive.products") == [
        (1.5e9,)
    ]


def test_changed_file_keeps_its_identity_and_what_people_decided(settings: Settings, frame: Path) -> None:
    ingest([settings.data], settings)
    decide(settings)
    kept = "SELECT product_id, obs_publisher_did, privileges, is_valid, release_date FROM archive.products"
    before = rows(settings, kept)
    write_frame(frame, LIGHT | {"EXPTIME": 60.0, "AIRMASS": -1})
    assert outcomes(ingest([settings.data], settings)) == {Outcome.UPDATED: 1}
    assert rows(settings, kept) == before
    assert rows(settings, "SELECT t_exptime FROM archive.products") == [(60.0,)]
    assert rows(settings, "SELECT header LIKE '%%EXPTIME = %%60.0%%' FROM archive.headers") == [(True,)]
    assert rows(settings, "SELECT keyword FROM archive.discrepancies") == [("AIRMASS",)]
    write_frame(frame, LIGHT | {"EXPTIME": 61.0})
    ingest([settings.data], settings)
    assert rows(settings, "SELECT keyword FROM archive.discrepancies") == []


def decide(settings: Settings) -> None:
    """Change what only people change."""
    connection = psycopg2.connect(settings.dsn("ost_ingest"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE archive.products SET privileges = 2, is_valid = false, release_date = '2030-01-01'"
        )
    connection.close()


def test_headers_are_kept_card_by_card(settings: Settings, frame: Path) -> None:
    ingest([settings.data], settings)
    ((hdu, text),) = rows(settings, "SELECT hdu, header FROM archive.headers")
    lines = text.split("\n")
    assert hdu == 0
    assert lines[0].startswith("SIMPLE  =                    T")
    assert lines == [card.image.rstrip() for card in fits.getheader(frame).cards]


def test_nuls_and_newlines_in_a_header_are_made_harmless(settings: Settings) -> None:
    path = write_frame(settings.data / "20220101" / "a.fit", {"OBJECT": "NGC 7000", "OBSERVER": "xNxLxU"})
    path.write_bytes(path.read_bytes().replace(b"xNxLxU", b"x\0x\nx\xfc"))
    assert outcomes(ingest([settings.data], settings)) == {Outcome.INGESTED: 1}
    assert rows(settings, "SELECT observer, target_name FROM archive.products") == [("x?x?x?", "NGC 7000")]
    assert rows(settings, "SELECT keyword FROM archive.discrepancies") == [("SIMPLE",)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.fit", b"", "The file is empty."),
        ("a.fits", b"\x89PNG\r\n", "Not a FITS file: it does not begin with the keyword SIMPLE."),
        (
            "a.fts",
            b"SIMPLE  =                    T",
            "Truncated: the header of HDU 0 ends before its END card.",
        ),
        (
            "a.fits.gz",
            gzip.compress(b"nothing", mtime=0),
            "Not a FITS file: it does not begin with the keyword SIMPLE.",
        ),
        (
            "a.fits.gz",
            gzip.compress(b"SIMPLE  =" * 9999, mtime=0)[:40],
            "The gzip data end too early: the file is truncated.",
        ),
        ("a.fits.gz", b"\x1f\x8b\x08\x00" + b"\xff" * 99, "The gzip data are damaged"),
        ("a.fits.Z", b"\x1f\x9d\x90", "The file is empty."),
    ],
)
def test_unreadable_file_is_quarantined_with_a_reason(
    settings: Settings, name: str, content: bytes, reason: str
) -> None:
    path = settings.data / "20220101" / name
    path.parent.mkdir()
    path.write_bytes(content)
    assert only_reason(settings).startswith(reason)
    assert rows(settings, "SELECT count(*) FROM archive.products") == [(0,)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"BITPIX  =                   16", b"BITPIX  =                   17", "BITPIX of HDU 0 is 17"),
        (b"NAXIS1  =                   20", b"NAXIS1  =                  2.5", "NAXIS1 of HDU 0 is '2.5'"),
        (b"NAXIS1  =                   20", b"NAXIS1  =                  -20", "NAXIS1 of HDU 0 is -20"),
        (b"NAXIS1  =                   20", b"NAXIS9  =                   20", "NAXIS1 of HDU 0 is missing."),
        (
            b"NAXIS1  =                   20",
            b"NAXIS1  =      999999999999999",
            "Truncated: the data of HDU 0 need",
        ),
    ],
)
def test_broken_structure_is_quarantined(
    settings: Settings, frame: Path, old: bytes, new: bytes, reason: str
) -> None:
    frame.write_bytes(frame.read_bytes().replace(old, new))
    assert only_reason(settings).startswith(reason)


def test_truncated_data_are_quarantined(settings: Settings, frame: Path) -> None:
    frame.write_bytes(frame.read_bytes()[:3000])
    assert only_reason(settings) == "Truncated: the data of HDU 0 need 600 bytes, only 120 are there."


def test_missing_padding_is_only_remarked_on(settings: Settings, frame: Path) -> None:
    frame.write_bytes(frame.read_bytes()[:-100])
    assert outcomes(ingest([settings.data], settings)) == {Outcome.INGESTED: 1}
    assert rows(settings, "SELECT reason FROM archive.discrepancies") == [
        ("The data of HDU 0 lack their padding to 2880 bytes.",)
    ]


def test_foreign_bytes_after_the_data_are_remarked_on(settings: Settings, frame: Path) -> None:
    frame.write_bytes(frame.read_bytes() + b"surplus" * 1000)
    ingest([settings.data], settings)
    reasons = rows(settings, "SELECT reason FROM archive.discrepancies")
    assert reasons == [("Bytes that are no FITS extension follow HDU 0.",)]


def test_warnings_of_astropy_become_discrepancies(
    settings: Settings, frame: Path, recwarn: pytest.WarningsRecorder
) -> None:
    frame.write_bytes(frame.read_bytes().replace(b"EXPTIME =", b"EXPTIME ?"))
    assert outcomes(ingest([settings.data], settings)) == {Outcome.INGESTED: 1}
    found = rows(settings, "SELECT reason FROM archive.discrepancies WHERE keyword = 'FITS'")
    assert any("EXPTIME ?" in reason for (reason,) in found)
    assert list(recwarn) == []


def test_good_file_leaves_the_quarantine(settings: Settings, frame: Path) -> None:
    good = frame.read_bytes()
    frame.write_bytes(good[:100])
    ingest([settings.data], settings)
    assert list(quarantined(settings)) == ["20220101/a.fit"]
    frame.write_bytes(good)
    assert outcomes(ingest([settings.data], settings)) == {Outcome.INGESTED: 1}
    assert quarantined(settings) == {}


def test_file_that_is_itself_again_leaves_the_quarantine(settings: Settings, frame: Path) -> None:
    ingest([settings.data], settings)
    good, times = frame.read_bytes(), frame.stat()
    frame.write_bytes(b"overwritten")
    assert outcomes(ingest([settings.data], settings)) == {Outcome.QUARANTINED: 1}
    frame.write_bytes(good)
    os.utime(frame, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert outcomes(ingest([settings.data], settings)) == {Outcome.UNCHANGED: 1}
    assert quarantined(settings) == {}


def test_quarantine_is_left_alone_while_nothing_changes(settings: Settings, frame: Path) -> None:
    frame.write_bytes(b"nothing")
    ingest([settings.data], settings)
    since = rows(settings, "SELECT since FROM archive.quarantine")
    assert outcomes(ingest([settings.data], settings)) == {Outcome.QUARANTINED: 1}
    assert rows(settings, "SELECT since FROM archive.quarantine") == since


def test_missing_file_that_is_back_is_missing_no_more(settings: Settings, frame: Path) -> None:
    ingest([settings.data], settings)
    connection = psycopg2.connect(settings.dsn("ost_ingest"))
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE archive.products SET missing_since = now()")
    connection.close()
    assert outcomes(ingest([frame], settings)) == {Outcome.UNCHANGED: 1}
    assert rows(settings, "SELECT missing_since FROM archive.products") == [(None,)]


def test_bad_file_does_not_stop_the_others(settings: Settings) -> None:
    run = settings.data / "20220101"
    for name in ("a.fit", "b.fit", "c.fit"):
        write_frame(run / name, LIGHT)
    (run / "b.fit").write_bytes(b"nothing")
    report = ingest([settings.data], settings)
    assert outcomes(report) == {Outcome.INGESTED: 2, Outcome.QUARANTINED: 1}
    assert [path for path, _ in report.quarantined] == ["20220101/b.fit"]
    assert str(report).startswith("2 ingested, 1 in quarantine.\n  20220101/b.fit: Not a FITS file")


def test_progress_is_reported_as_often_as_counted(settings: Settings, frame: Path) -> None:
    (frame.parent / "b.fits").write_bytes(b"")
    (frame.parent / "notes.txt").write_text("clouds")
    seen: list[tuple[str, Outcome]] = []
    ingest([settings.data], settings, lambda path, outcome: seen.append((path.name, outcome)))
    assert seen == [
        ("a.fit", Outcome.INGESTED), ("b.fits", Outcome.QUARANTINED), ("notes.txt", Outcome.SKIPPED),
    ]  # fmt: skip
    assert count([settings.data]) == len(seen)
    assert count([settings.data, frame]) == len(seen)


def test_paths_outside_the_data_root_are_refused(settings: Settings, frame: Path, tmp_path: Path) -> None:
    outside = write_frame(tmp_path / "elsewhere" / "a.fit", LIGHT)
    link = settings.data / "link"
    link.symlink_to(outside.parent)
    for path in (outside, link / "a.fit", settings.data / ".." / "elsewhere"):
        with pytest.raises(UsageFault, match="not below the data root"):
            ingest([frame, path], settings)
    with pytest.raises(UsageFault, match="does not exist"):
        ingest([settings.data / "no" / "such"], settings)
    assert rows(settings, "SELECT count(*) FROM archive.products") == [(0,)]


def test_links_below_the_data_root(settings: Settings, frame: Path, tmp_path: Path) -> None:
    outside = write_frame(tmp_path / "elsewhere" / "a.fit", LIGHT)
    run = frame.parent
    (run / "inside.fit").symlink_to(frame)
    (run / "outside.fit").symlink_to(outside)
    (run / "nowhere.fit").symlink_to(run / "gone.fit")
    (run / "directory").symlink_to(outside.parent)
    report = ingest([settings.data], settings)
    assert outcomes(report) == {Outcome.INGESTED: 1, Outcome.SKIPPED: 2, Outcome.QUARANTINED: 2}
    assert quarantined(settings) == {
        "20220101/nowhere.fit": "A link that leads nowhere.",
        "20220101/outside.fit": "A link that leads out of the data root.",
    }


def test_file_outside_a_run_is_quarantined(settings: Settings) -> None:
    write_frame(settings.data / "a.fit", LIGHT)
    assert only_reason(settings) == "Not in a run: move it into a directory below the data root."


def test_name_that_is_not_utf8_is_quarantined(settings: Settings, frame: Path) -> None:
    os.rename(frame, os.fsencode(frame.parent) + b"/\xfcber.fit")
    assert only_reason(settings) == "The name is not UTF-8: rename the file."
    assert list(quarantined(settings)) == ["20220101/\\xfcber.fit"]


@pytest.mark.parametrize("name", ["a b.fit", "ä.fit", "100%.fit", "a'b\"c.fit", "a\nb.fit", "{}.fit"])
def test_odd_names_are_ingested(settings: Settings, name: str) -> None:
    write_frame(settings.data / "20220101" / name, LIGHT)
    assert outcomes(ingest([settings.data], settings)) == {Outcome.INGESTED: 1}
    assert rows(settings, "SELECT path FROM archive.products") == [(f"20220101/{name}",)]


def test_fifo_does_not_block(settings: Settings) -> None:
    (settings.data / "20220101").mkdir()
    os.mkfifo(settings.data / "20220101" / "a.fit")
    assert only_reason(settings) == "Not an ordinary file."


def test_directory_that_cannot_be_listed(
    settings: Settings, frame: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = frame.parent / "closed"
    closed.mkdir()
    scandir = os.scandir

    def refusing(path: Any) -> Iterator[os.DirEntry[str]]:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(discovery.os, "scandir", refusing)
    assert outcomes(ingest([settings.data], settings)) == {Outcome.INGESTED: 1, Outcome.QUARANTINED: 1}
    assert quarantined(settings) == {"20220101/closed": "The directory cannot be listed: Permission denied."}


def test_packed_file(settings: Settings, frame: Path) -> None:
    packed = frame.with_name("b.fits.gz")
    content = frame.read_bytes()
    packed.write_bytes(gzip.compress(content[:3000]) + gzip.compress(content[3000:]))
    assert outcomes(ingest([packed], settings)) == {Outcome.INGESTED: 1}
    ((size, digest, exposure),) = rows(settings, "SELECT file_size, sha256, t_exptime FROM archive.products")
    assert (size, bytes(digest)) == (packed.stat().st_size, hashlib.sha256(packed.read_bytes()).digest())
    assert exposure == 30.0


def gzip_of_zeros(beginning: bytes, size: int) -> bytes:
    """Return gzip data that unpack to a beginning and very many zeros, made without unpacking them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    parts = [packer.compress(beginning), *(packer.compress(block) for _ in range(size >> 20)), packer.flush()]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ("", "The header of HDU 0 has no END card within 2 MiB."),
        ("BITPIX  = 8|NAXIS   = 1|NAXIS1  = 40000000000|END", "Unpacks to more than 2048 MiB"),
    ],
)
def test_gzip_bomb_is_refused_in_time(
    settings: Settings, cards: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = "".join(card.ljust(80) for card in ["SIMPLE  =                    T", *cards.split("|")])
    path = settings.data / "20220101" / "bomb.fits.gz"
    path.parent.mkdir()
    path.write_bytes(gzip_of_zeros(header.encode().ljust(2880), 64 << 20))
    if "Unpacks" in reason:
        monkeypatch.setattr("ingest.stream.MAX_UNPACKED_BYTES", 32 << 20)
        reason = "Unpacks to more than 32 MiB"
    assert only_reason(settings).startswith(reason)


def test_many_headers_are_bounded_together(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.headers.MAX_HEADER_BYTES", 5 * 2880)
    unit = "".join(card.ljust(80) for card in ["XTENSION= 'IMAGE'", "BITPIX  = 8", "NAXIS   = 0", "END"])
    first = "".join(
        card.ljust(80) for card in ["SIMPLE  =                    T", "BITPIX  = 8", "NAXIS   = 0", "END"]
    )
    path = settings.data / "20220101" / "many.fits"
    path.parent.mkdir()
    path.write_bytes(first.encode().ljust(2880) + unit.encode().ljust(2880) * 100)
    assert "MiB of headers" in only_reason(settings)
    monkeypatch.setattr("ingest.headers.MAX_UNIT_BYTES", 2 * 2880)
    path.write_bytes(first.replace("END", "   ").encode().ljust(3 * 2880) + b"END".ljust(2880))
    assert "no END card within" in only_reason(settings)


def card(keyword: str, value: object) -> str:
    return f"{keyword:8}= {value:>20}".ljust(80)


@pytest.mark.parametrize(
    ("beginning", "reason"),
    [
        ({"BITPIX": 7, "NAXIS": 0}, "BITPIX of HDU 0 is 7"),
        ({"NAXIS": 0}, "BITPIX of HDU 0 is missing"),
        ({"BITPIX": 8, "NAXIS": 2, "NAXIS1": 30_000, "NAXIS2": 30_000}, "Truncated: the data of HDU 0"),
        ({"BITPIX": 8, "NAXIS": 0}, "No data: its only header unit"),
    ],
)
def test_bad_file_is_not_read_further_than_it_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beginning: dict[str, int], reason: str
) -> None:
    numbers = beginning | {f"K{number}": number for number in range(20_000)}
    cards = [card("SIMPLE", "T"), *(card(*entry) for entry in numbers.items()), f"{'END':80}"]
    path = tmp_path / "a.fits"
    path.write_bytes("".join(cards).ljust(560 * 2880).encode())
    parsed: list[int] = []
    parse = fits.Header.fromstring

    def count(text: str) -> fits.Header:
        parsed.append(len(text))
        return parse(text)

    monkeypatch.setattr(fits.Header, "fromstring", count)
    with pytest.raises(Unreadable, match=reason):
        description(path)
    assert sum(parsed) <= 2880


def test_random_groups_may_say_so_far_into_a_header(tmp_path: Path) -> None:
    numbers = {"BITPIX": 16, "NAXIS": 2, "NAXIS1": 0, "NAXIS2": 5, **{f"K{n}": n for n in range(500)}}
    cards = [card("SIMPLE", "T"), *(card(*entry) for entry in numbers.items())]
    cards += [card("GROUPS", "T"), card("PCOUNT", 2), card("GCOUNT", 3), f"{'END':80}"]
    path = tmp_path / "a.fits"
    path.write_bytes("".join(cards).ljust(15 * 2880).encode() + bytes(2880))
    with path.open("rb") as file:
        units, remarks = read_units(Stream(file), path.stat().st_size)
    assert ([unit.data_bytes for unit in units], remarks) == ([2 * 3 * (2 + 5)], [])


def test_header_of_noise_is_doubted_in_few_words(settings: Settings) -> None:
    noise = "".join(f"{n:08d}{n:072x}" for n in range(1, 200))
    cards = ["SIMPLE  =                    T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 4"]
    header = "".join(card.ljust(80) for card in cards) + noise + "END"
    path = settings.data / "20220101" / "noise.fits"
    path.parent.mkdir()
    path.write_bytes(header.encode().ljust(-(-len(header) // 2880) * 2880) + bytes(2880))
    assert outcomes(ingest([settings.data], settings)) == {Outcome.INGESTED: 1}
    ((doubts,),) = rows(settings, "SELECT count(*) FROM archive.discrepancies WHERE keyword = 'FITS'")
    assert 10 < doubts < 100


def test_value_that_the_database_refuses(settings: Settings, frame: Path) -> None:
    # The tables hold that a product ends after it begins; no header that is read makes it otherwise.
    write_frame(frame, LIGHT | {"EXPTIME": 30.0, "OBSERVER": "x" * 60})
    execute_as_owner(
        settings, "ALTER TABLE archive.products ADD CONSTRAINT short CHECK (length(observer) < 50)"
    )
    try:
        assert 'violates check constraint "short"' in only_reason(settings)
    finally:
        execute_as_owner(settings, "ALTER TABLE archive.products DROP CONSTRAINT short")
    assert outcomes(ingest([settings.data], settings)) == {Outcome.INGESTED: 1}


def execute_as_owner(settings: Settings, statement: str) -> None:
    """Execute one statement as the owner of the tables."""
    connection = psycopg2.connect(settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def test_database_that_does_not_answer(settings: Settings, frame: Path, tmp_path: Path) -> None:
    lost = settings.model_copy(update={"database": f"host='{tmp_path}' port=5432 dbname=x"})
    with pytest.raises(TransientFault, match="does not answer"):
        ingest([frame], lost)


def test_files_that_are_only_read(settings: Settings, frame: Path) -> None:
    frame.chmod(0o400)
    frame.parent.chmod(0o500)
    before = sorted((path, path.stat().st_mtime_ns) for path in settings.data.rglob("*"))
    ingest([settings.data], settings)
    assert sorted((path, path.stat().st_mtime_ns) for path in settings.data.rglob("*")) == before
    frame.parent.chmod(0o700)
