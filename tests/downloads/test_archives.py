"""Archives of files: what is in them, byte by byte, range by range."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from astropy.io.votable import parse_single_table

from tests.downloads.conftest import MODIFIED, NAMES, RUN, Client, Night

FORMATS = ("zip", "tar", "zip-deflated", "tar.zst")
DOCUMENTS = {"manifest.vot", "manifest.csv", "SHA256SUMS", "fetch.sh"}


@pytest.fixture(scope="module")
def jobs(client: Client, night: Night) -> dict[str, str]:
    """The URL of a job of each format, with all files that everybody may see."""
    assert night.public
    # One after another: from one address two may be in preparation.
    return {form: client.completed(RUN=RUN, RESPONSEFORMAT=form) for form in FORMATS}


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {info.date_time[:5] for info in archive.infolist() if info.filename.endswith(".ser")} == {
            (2023, 11, 14, 22, 13)
        }
        return {info.filename: archive.read(info) for info in archive.infolist()}


def untarred(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = archive.getmembers()
        assert {member.mtime for member in members if member.name.endswith(".ser")} == {MODIFIED}
        return {member.name: archive.extractfile(member).read() for member in members}


def unpressed(content: bytes) -> dict[str, bytes]:
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True)
    return untarred(reader.read())


READERS: dict[str, Callable[[bytes], dict[str, bytes]]] = {
    "zip": unzipped,
    "tar": untarred,
    "zip-deflated": unzipped,
    "tar.zst": unpressed,
}


@pytest.mark.parametrize("form", FORMATS)
def test_an_archive_holds_the_files_by_run_under_their_names(
    client: Client, night: Night, jobs: dict[str, str], form: str
) -> None:
    found = READERS[form](client.result(jobs[form]))
    (root,) = {name.split("/")[0] for name in found}
    inside = {name.removeprefix(f"{root}/"): content for name, content in found.items()}
    assert {name: inside[name] for name in night.public} == night.public
    assert inside.keys() - night.public.keys() == DOCUMENTS


@pytest.mark.parametrize("form", FORMATS)
def test_sha256sum_verifies_what_was_unpacked(
    client: Client, jobs: dict[str, str], form: str, tmp_path: Path
) -> None:
    archive = tmp_path / f"x.{form.partition('-')[0]}"
    archive.write_bytes(client.result(jobs[form]))
    command = ["unzip", "-q"] if archive.suffix == ".zip" else ["tar", "--auto-compress", "-xf"]
    subprocess.run([*command, archive], cwd=tmp_path, check=True)
    (root,) = (path for path in tmp_path.iterdir() if path.is_dir())
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.count(": OK") == len(NAMES) - 1


def test_the_manifest_has_checksums_and_metadata(client: Client, night: Night, jobs: dict[str, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(client.result(jobs["zip"], "manifest.csv").decode())))
    expected = {path: hashlib.sha256(content).hexdigest() for path, content in night.public.items()}
    assert {row["file"]: row["sha256"] for row in rows} == expected
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["target_name"] for row in rows} == {"M 31", "M 33", ""}
    table = parse_single_table(io.BytesIO(client.result(jobs["zip"], "manifest")))
    assert table.get_field_by_id_or_name("t_exptime").unit == "s"
    assert [str(name) for name in table.array["file"]] == [row["file"] for row in rows]


@pytest.mark.parametrize("form", FORMATS)
def test_any_range_is_that_of_the_whole(client: Client, jobs: dict[str, str], form: str) -> None:
    url = f"{jobs[form]}/results/archive"
    whole = client.get(url)
    size, etag = len(whole.content), whole.headers["ETag"]
    assert whole.headers["Content-Length"] == str(size)
    assert f".{form.partition('-')[0]}" in whole.headers["Content-Disposition"]
    for start in (0, 1, 29, 600_000, 2_000_000, size - 70_000, size - 1):
        part = client.get(url, Range=f"bytes={start}-{start + 99_999}", If_Range=etag)
        assert part.status_code == 206
        assert part.content == whole.content[start : start + 100_000]
        stop = min(start + 100_000, size)
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
    assert client.get(url, Range="bytes=-5").content == whole.content[-5:]
    assert client.get(url, Range=f"bytes={size}-").status_code == 416
    assert client.get(url, Range="bytes=0-9", If_Range='"other"').content == whole.content
    head = client.session.head(url, timeout=60)
    assert (head.headers["Content-Length"], head.headers["ETag"]) == (str(size), etag)


def test_curl_goes_on_where_it_stopped(client: Client, jobs: dict[str, str], tmp_path: Path) -> None:
    whole = client.result(jobs["zip"])
    (tmp_path / "a.zip").write_bytes(whole[:1_000_000])
    url = f"{jobs['zip']}/results/archive"
    subprocess.run(["curl", "-sSf", "-C", "-", "-o", tmp_path / "a.zip", url], check=True)
    assert (tmp_path / "a.zip").read_bytes() == whole


def test_the_script_fetches_the_same_files(
    client: Client, night: Night, jobs: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "fetch.sh").write_bytes(client.result(jobs["tar"], "script"))
    (tmp_path / "sums").write_bytes(client.result(jobs["tar"], "checksums"))
    begun = tmp_path / RUN / "light 1.fits.part"
    begun.parent.mkdir()
    begun.write_bytes(night.contents["light 1.fits"][:1000])
    for _ in range(2):
        subprocess.run(["sh", "fetch.sh"], cwd=tmp_path, check=True)
    assert {path: (tmp_path / path).read_bytes() for path in night.public} == night.public
    subprocess.run(["sha256sum", "-c", "--status", "sums"], cwd=tmp_path, check=True)


def test_an_archive_leaves_no_file_of_its_own_unless_it_is_compressed(
    night: Night, jobs: dict[str, str]
) -> None:
    kept = {
        form: {
            path.name for path in (night.service.settings.state / "jobs" / job.rsplit("/", 1)[1]).iterdir()
        }
        for form, job in jobs.items()
    }
    assert "archive" not in kept["zip"] | kept["tar"]
    assert "archive" in kept["zip-deflated"] & kept["tar.zst"]
