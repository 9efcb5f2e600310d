"""Files over HTTP: who gets them, ranges, and conditional requests."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psycopg2
import pytest
import requests
from astropy.io import fits
from typer.testing import CliRunner

from ingest.load import ingest
from ost_vo.cli import app
from tests.conftest import Service, execute

CONTENT = bytes(range(256)) * 4
SIZE = len(CONTENT)
NAME = 'night "ü" 100%.fits'
PATH = f"files test/{NAME}"
MODIFIED = 1_700_000_000.25


@pytest.fixture
def stored(service: Service) -> Iterator[Path]:
    """A file of 1 kB that the archive has, with a name that needs quoting."""
    path = service.settings.data / PATH
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    os.utime(path, (MODIFIED, MODIFIED))
    _execute(
        service,
        "INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, calib_level, "
        "obs_id, obs_publisher_did, privileges, run_id, project_id, creator_id) SELECT %s, %s, %s, "
        "to_timestamp(%s), 'image/fits', 1, 'x', %s, 5, run_id, project_id, creator_id "
        "FROM archive.products LIMIT 1",
        PATH, SIZE, hashlib.sha256(CONTENT).digest(), MODIFIED, _identifier(service),
    )  # fmt: skip
    yield path
    _execute(service, "DELETE FROM archive.products WHERE path = %s", PATH)
    path.unlink(missing_ok=True)
    path.parent.rmdir()


def _identifier(service: Service) -> str:
    return f"ivo://{service.settings.authority}/archive?file-test"


def _execute(service: Service, statement: str, *values: Any) -> None:
    connection = psycopg2.connect(service.settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
    connection.close()


def get(service: Service, path: str = PATH, **headers: str) -> requests.Response:
    names = {
        name.replace("_", "-"): value for name, value in {"Accept_Encoding": "identity", **headers}.items()
    }
    return requests.get(f"{service.url}/files/{quote(path)}", headers=names, timeout=60)


@pytest.mark.usefixtures("stored")
def test_a_file_comes_whole_with_what_it_is(service: Service) -> None:
    response = get(service)
    assert response.status_code == 200
    assert response.content == CONTENT
    assert response.headers["Content-Type"] == "image/fits"
    assert response.headers["Content-Length"] == str(SIZE)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert response.headers["Last-Modified"] == formatdate(MODIFIED, usegmt=True)
    assert response.headers["Content-Disposition"] == (
        "attachment; filename=\"night ___ 100_.fits\"; filename*=UTF-8''night%20%22%C3%BC%22%20100%25.fits"
    )


@pytest.mark.usefixtures("stored")
def test_the_identifier_leads_to_the_same_file(service: Service) -> None:
    link = f"{service.url}/datalink/file"
    response = requests.get(
        link, params={"ID": _identifier(service)}, headers={"Range": "bytes=1-2"}, timeout=60
    )
    assert (response.status_code, response.content) == (206, CONTENT[1:3])
    assert requests.get(link, timeout=60).status_code == 400
    assert requests.get(link, params={"ID": "ivo://nowhere/x?1"}, timeout=60).status_code == 404


@pytest.mark.usefixtures("stored")
def test_head_tells_without_sending(service: Service) -> None:
    response = requests.head(f"{service.url}/files/{quote(PATH)}", timeout=60)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(SIZE)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("wanted", "begin", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, SIZE),
        ("bytes=-24", SIZE - 24, SIZE),
        ("bytes=1000-99999", 1000, SIZE),
        ("bytes=-99999", 0, SIZE),
        ("Bytes = 5-5", 5, 6),
        ("bytes=3-4, 5000-6000", 3, 5),
    ],
)
def test_ranges(service: Service, wanted: str, begin: int, end: int) -> None:
    response = get(service, Range=wanted)
    assert response.status_code == 206
    assert response.content == CONTENT[begin:end]
    assert response.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{SIZE}"
    assert response.headers["Content-Length"] == str(end - begin)


@pytest.mark.usefixtures("stored")
def test_several_ranges_come_in_parts(service: Service) -> None:
    response = get(service, Range="bytes=0-1,10-12")
    assert response.status_code == 206
    assert response.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert int(response.headers["Content-Length"]) == len(response.content)
    parts = response.content.split(b"--" + response.headers["Content-Type"].split("=")[1].encode())
    bodies = [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert bodies == [CONTENT[0:2], CONTENT[10:13]]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("wanted", ["items=0-1", "bytes=5-1", "bytes=a-b", "bytes=", "bytes", "bytes=1-2,x"])
def test_ranges_that_mean_nothing_are_ignored(service: Service, wanted: str) -> None:
    response = get(service, Range=wanted)
    assert (response.status_code, len(response.content)) == (200, SIZE)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("wanted", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_ranges_behind_the_end_cannot_be_had(service: Service, wanted: str) -> None:
    response = get(service, Range=wanted)
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.usefixtures("stored")
def test_a_download_resumes_only_on_the_same_file(service: Service) -> None:
    first = get(service)
    for known in (first.headers["ETag"], first.headers["Last-Modified"]):
        assert get(service, Range="bytes=1000-", If_Range=known).status_code == 206
    for other in ('"other"', "W/" + first.headers["ETag"], formatdate(MODIFIED - 60, usegmt=True)):
        assert get(service, Range="bytes=1000-", If_Range=other).status_code == 200


@pytest.mark.usefixtures("stored")
def test_what_the_client_has_is_not_sent_again(service: Service) -> None:
    etag = get(service).headers["ETag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = get(service, If_None_Match=known)
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == etag
    assert get(service, If_None_Match='"other"').status_code == 200
    assert get(service, If_Modified_Since=formatdate(MODIFIED, usegmt=True)).status_code == 304
    assert get(service, If_Modified_Since=formatdate(MODIFIED - 60, usegmt=True)).status_code == 200
    assert get(service, If_Modified_Since="yesterday").status_code == 200
    assert get(service, If_None_Match='"other"', If_Modified_Since=formatdate(usegmt=True)).status_code == 200


def test_a_changed_file_has_a_weak_tag_of_its_own(service: Service, stored: Path) -> None:
    stored.write_bytes(CONTENT[::-1])
    response = get(service)
    assert response.content == CONTENT[::-1]
    assert response.headers["ETag"].startswith('W/"')
    assert get(service, If_None_Match=response.headers["ETag"]).status_code == 304
    assert get(service, If_None_Match=f'"{hashlib.sha256(CONTENT).hexdigest()}"').status_code == 200


def test_a_file_of_another_size_is_not_what_was_ingested(service: Service, stored: Path) -> None:
    stored.write_bytes(CONTENT[1:])
    response = get(service)
    assert response.status_code == 409
    assert f"{SIZE - 1} bytes" in response.text
    assert str(service.settings.data) not in response.text


@pytest.mark.usefixtures("stored")
def test_the_digest_is_that_of_the_file(service: Service) -> None:
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert get(service).headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert get(service, Range="bytes=0-9").headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_a_changed_file_has_no_digest(service: Service, stored: Path) -> None:
    stored.write_bytes(CONTENT[::-1])
    assert "Repr-Digest" not in get(service).headers


@pytest.fixture
def packed(service: Service) -> Iterator[Path]:
    """A tile-compressed file of two images that the archive has."""
    path = service.settings.data / "packed files" / "two.fits.fz"
    path.parent.mkdir()
    header = fits.Header({"DATE-OBS": "2026-02-14T20:00:00", "EXPTIME": 1.0, "OBJECT": "somewhere"})
    first = np.arange(6000, dtype="u2").reshape(60, 100)
    images = [fits.PrimaryHDU(first, header), fits.ImageHDU(first[:20].astype("f4"), name="SECOND")]
    fits.HDUList(images).writeto(path.with_suffix(""))
    whole = fits.CompImageHDU(first, header, compression_type="RICE_1", tile_shape=(1, 100))
    with fits.open(path.with_suffix("")) as plain:
        fits.HDUList([fits.PrimaryHDU(), whole, plain[1].copy()]).writeto(path)
    ingest([path], service.settings, None)
    yield path
    _execute(service, "DELETE FROM archive.products WHERE path LIKE 'packed files/%%'")
    _execute(service, "DELETE FROM archive.runs WHERE name = 'packed files'")
    path.unlink()
    path.with_suffix("").unlink()
    path.parent.rmdir()


def test_a_packed_file_comes_unpacked(service: Service, packed: Path) -> None:
    url = f"{service.url}/files/{quote('packed files/two.fits.fz')}?RESPONSEFORMAT=fits"
    answer = requests.get(url, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/fits"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="two.fits"'
    assert "Repr-Digest" not in answer.headers
    original = packed.with_suffix("")
    with fits.open(io.BytesIO(answer.content)) as plain, fits.open(original) as expected:
        plain.verify("exception")
        images = [hdu for hdu in plain if hdu.data is not None]
        for hdu, whole in zip(images, expected, strict=True):
            assert not isinstance(hdu, fits.CompImageHDU)
            np.testing.assert_array_equal(hdu.data, whole.data)
        assert images[0].header["OBJECT"] == "somewhere"
    part = requests.get(url, headers={"Range": "bytes=2880-2999"}, timeout=60)
    assert (part.status_code, part.content) == (206, answer.content[2880:3000])
    again = requests.get(url, headers={"If-None-Match": answer.headers["ETag"]}, timeout=60)
    assert again.status_code == 304
    whole = requests.get(url.split("?")[0], headers={"If-None-Match": answer.headers["ETag"]}, timeout=60)
    assert whole.content == packed.read_bytes()


@pytest.mark.usefixtures("stored")
def test_formats_of_files(service: Service) -> None:
    url = f"{service.url}/files/{quote(PATH)}"
    assert requests.get(url, params={"RESPONSEFORMAT": "fits"}, timeout=60).content == CONTENT
    assert requests.get(url, params={"RESPONSEFORMAT": "png"}, timeout=60).status_code == 400


def test_an_empty_file_is_a_file(service: Service, stored: Path) -> None:
    stored.write_bytes(b"")
    _execute(service, "UPDATE archive.products SET file_size = 0 WHERE path = %s", PATH)
    assert (get(service).status_code, get(service).content) == (200, b"")
    assert get(service, Range="bytes=0-").status_code == 416


@pytest.mark.usefixtures("stored")
def test_what_one_may_not_see_does_not_exist(service: Service) -> None:
    _execute(service, "UPDATE archive.products SET privileges = 3 WHERE path = %s", PATH)
    unseen, unknown = get(service), get(service, PATH + "x")
    assert unseen.status_code == unknown.status_code == 404
    assert unseen.text == unknown.text.replace(NAME + "x", NAME)


def test_a_missing_file_is_told_apart_for_those_who_may_see_it(service: Service, stored: Path) -> None:
    stored.unlink()
    response = get(service)
    assert response.status_code == 404
    assert "missing on disk" in response.text
    assert str(service.settings.data) not in response.text


def test_a_problem_with_a_file_is_an_event_that_is_counted(service: Service, stored: Path) -> None:
    identifier = _identifier(service)
    assert _events(service, identifier) == []
    stored.write_bytes(CONTENT[::-1])
    get(service)
    stored.write_bytes(CONTENT[1:])
    get(service)
    assert _events(service, identifier) == [("changed", f"{SIZE - 1} bytes", 2)]
    stored.unlink()
    for _ in range(3):
        get(service)
    requests.get(f"{service.url}/datalink/file", params={"ID": identifier}, timeout=60)
    assert _events(service, identifier)[1:] == [("missing", "not found", 4)]
    settings = {"OST_VO_STATE": str(service.settings.state), "OST_VO_PORT": str(service.settings.port)}
    listed = CliRunner().invoke(app, ["file-events"], env=settings).stdout
    assert PATH in listed
    assert "missing" in listed
    CliRunner().invoke(app, ["file-events", "--forget", PATH], env=settings)
    assert _events(service, identifier) == []


@pytest.mark.usefixtures("stored")
def test_what_is_not_the_callers_is_no_event(service: Service) -> None:
    _execute(service, "UPDATE archive.products SET privileges = 3 WHERE path = %s", PATH)
    get(service)
    get(service, PATH + "x")
    assert _events(service, _identifier(service)) == []


def test_links_do_not_lead_out_of_the_data_root(service: Service, stored: Path) -> None:
    secret = service.settings.state / "secret.txt"
    secret.write_text("secret")
    stored.unlink()
    stored.symlink_to(secret)
    assert get(service).status_code == 404
    stored.unlink()
    inside = stored.with_name("twin.fits")
    inside.write_bytes(CONTENT)
    stored.symlink_to(inside)
    assert get(service).content == CONTENT
    inside.unlink()


def test_a_pipe_does_not_hold_the_request_up(service: Service, stored: Path) -> None:
    stored.unlink()
    os.mkfifo(stored)
    assert get(service).status_code == 404


@pytest.mark.parametrize("path", ["../secret.txt", "..%2Fsecret.txt", "/etc/passwd", "%00", "x%00y", ""])
def test_paths_that_are_no_product_do_not_exist(service: Service, path: str) -> None:
    session = requests.Session()
    request = requests.Request("GET", f"{service.url}/files/").prepare()
    request.url = f"{service.url}/files/{path}"
    assert session.send(request, timeout=60).status_code == 404


def larger(service: Service, stored: Path, size: int) -> bytes:
    """Make the stored file so large [byte] that it is sent in pieces; return what is in it."""
    content = hashlib.shake_256(b"pieces").digest(size)
    stored.write_bytes(content)
    os.utime(stored, (MODIFIED, MODIFIED))
    _execute(
        service,
        "UPDATE archive.products SET file_size = %s, sha256 = %s WHERE path = %s",
        size, hashlib.sha256(content).digest(), PATH,
    )  # fmt: skip
    return content


@pytest.mark.parametrize("is_in_memory", [True, False])
def test_a_large_file_comes_in_pieces(service: Service, stored: Path, is_in_memory: bool) -> None:
    content = larger(service, stored, 5_000_001)
    if not is_in_memory:
        with stored.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert get(service).content == content
    assert get(service, Range="bytes=1000000-").content == content[1_000_000:]


def test_a_client_that_goes_away_leaves_no_file_open(service: Service, stored: Path) -> None:
    larger(service, stored, 30_000_000)
    with requests.get(f"{service.url}/files/{quote(PATH)}", stream=True, timeout=60) as answer:
        assert answer.raw.read(1000)
        assert _openers(stored) == 1
    _await_closing(stored)


def test_downloads_leave_no_file_open(service: Service, stored: Path) -> None:
    for _ in range(10):
        get(service, Range="bytes=0-1")
        get(service, Range="bytes=9999-")
        get(service, If_None_Match="*")
        requests.head(f"{service.url}/files/{quote(PATH)}", timeout=60)
    _await_closing(stored)


def test_the_demo_files_are_those_that_were_ingested(service: Service) -> None:
    files = [path for path in service.settings.data.rglob("*") if path.suffix in (".fits", ".fz")]
    assert files
    for path in files:
        response = get(service, str(path.relative_to(service.settings.data)))
        assert response.headers["ETag"] == f'"{hashlib.sha256(response.content).hexdigest()}"'


def _events(service: Service, identifier: str) -> list[tuple]:
    """Return what the archive has noted of a file: problem, what was found, how often."""
    return execute(
        service.settings.dsn("ost_owner"),
        "SELECT problem, detail, times FROM archive.file_events JOIN archive.products USING (product_id)"
        " WHERE obs_publisher_did = %s ORDER BY problem",
        identifier,
    )


def _openers(path: Path) -> int:
    """Count the descriptors of all processes that have a file open."""
    count = 0
    for process in filter(str.isdigit, os.listdir("/proc")):
        # Processes and descriptors may be gone by now.
        with suppress(OSError):
            for link in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    count += os.readlink(link) == str(path)
    return count


def _await_closing(path: Path) -> None:
    """Return when no process has a file open: an answer may be there a moment before it is closed."""
    for _ in range(600):
        if not _openers(path):
            return
        time.sleep(0.1)
    raise AssertionError("the file stays open")
