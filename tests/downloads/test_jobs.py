"""Jobs of /downloads: what is selected, what is refused, who gets what."""

from __future__ import annotations

import csv
import io
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pyvo
import requests
from pyvo.io.uws import parse_job

from ost_vo.client import Archive
from ost_vo.faults import NotFoundFault, UsageFault
from tests.blues import PASSWORD
from tests.downloads.conftest import MODIFIED, NAMES, RUN, SECRET, Client, Night

LIGHTS = ("light 1.fits", "sub/light 3.ser")
UNKNOWN = "There is no data set {!r}, or none that you may see."


def names(client: Client, job: str) -> set[str]:
    """Return the names below the run of the files of a job."""
    rows = csv.DictReader(io.StringIO(client.result(job, "manifest.csv").decode()))
    return {row["file"].removeprefix(f"{RUN}/") for row in rows}


@contextmanager
def changed(night: Night, name: str, change: str) -> Iterator[None]:
    """Do something to a file for the time of a block."""
    path, content = night.path(name), night.contents[name]
    if change == "missing":
        path.unlink()
    elif change == "longer":
        path.write_bytes(content + b"x")
    else:
        path.write_bytes(b"x" + content[1:])
    yield
    path.write_bytes(content)
    os.utime(path, (MODIFIED, MODIFIED))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"RUN": RUN, "EXPOSURE_TYPE": ["LI", "bias"]}, {*LIGHTS, "ü ' $x.fits"}),
        ({"RUN": RUN, "FILE_TYPE": "ser"}, {"sub/light 3.ser"}),
        ({"RUN": RUN, "MAIN_TARGET": "m 3"}, set(LIGHTS)),
        ({"RUN": RUN, "EXPTIME_MIN": "1", "EXPTIME_MAX": "5.5"}, {"empty.fits", "sub/light 3.ser"}),
        ({"RUN": RUN, "FILE_NAME": "LIGHT", "SPECTROSCOPY": "false", "PLATE_SOLVED": "no"}, set(LIGHTS)),
        (
            {
                "QUERY": "SELECT obs_publisher_did FROM ost.products"
                f" WHERE run_name = '{RUN}' AND t_exptime > 4"
            },
            set(LIGHTS),
        ),
    ],
    ids=["exposure types", "file type", "target", "exposure times", "file name", "query"],
)
def test_files_are_selected(client: Client, parameters: dict[str, object], expected: set[str]) -> None:
    assert names(client, client.completed(**parameters)) == expected


def test_identifiers_are_joined_and_narrowed(client: Client, night: Night) -> None:
    ids = [night.did(name) for name in NAMES[:3]]
    assert names(client, client.completed(ID=ids)) == set(NAMES[:3])
    assert names(client, client.completed(ID=ids, EXPOSURE_TYPE="flat")) == {"empty.fits"}


@pytest.mark.parametrize("form", ["votable", "csv", "fits"])
def test_the_result_of_a_tap_job_is_selected(client: Client, night: Night, form: str) -> None:
    service = pyvo.dal.TAPService(f"{night.service.url}/tap")
    query = f"SELECT path, obs_publisher_did FROM ost.products WHERE run_name = '{RUN}' AND target_name > 'M'"
    tap = service.submit_job(query, format=form)
    tap.run().wait(phases=["COMPLETED"], timeout=60)
    assert names(client, client.completed(JOB=tap.url)) == set(LIGHTS)


def test_a_tap_job_without_identifiers_or_end_selects_nothing(client: Client, night: Night) -> None:
    service = pyvo.dal.TAPService(f"{night.service.url}/tap")
    tap = service.submit_job("SELECT TOP 1 path FROM ost.products")
    assert "is PENDING" in client.failed(JOB=tap.url)
    tap.run().wait(phases=["COMPLETED"], timeout=60)
    assert "no column obs_publisher_did" in client.failed(JOB=tap.url)


def test_what_belongs_to_products_comes_with_them(client: Client, night: Night) -> None:
    derived, source = night.did("light 1.fits"), night.did("ü ' $x.fits")
    night.execute(
        "INSERT INTO archive.lineage (product_id, progenitor_id) SELECT p.product_id, q.product_id"
        " FROM archive.products p, archive.products q"
        " WHERE p.obs_publisher_did = %s AND q.obs_publisher_did = %s",
        derived,
        source,
    )
    both = client.completed(ID=derived, SEMANTICS=["#this", "#progenitor"])
    alone = client.completed(ID=derived, SEMANTICS="progenitor")
    assert names(client, both) == {"light 1.fits", "ü ' $x.fits"}
    assert names(client, alone) == {"ü ' $x.fits"}
    night.execute(
        "DELETE FROM archive.lineage USING archive.products p"
        " WHERE p.product_id = lineage.product_id AND p.obs_publisher_did = %s",
        derived,
    )


def test_lights_come_with_their_calibrations(client: Client, night: Night) -> None:
    query = (
        "SELECT TOP 1 obs_publisher_did FROM ost.products WHERE exposure_type = 'light' AND instrument_name"
    )
    query += " LIKE 'QHY%' AND run_name <> 'downloads' ORDER BY path"
    service = pyvo.dal.TAPService(f"{night.service.url}/tap")
    (light,) = service.search(query)["obs_publisher_did"]
    links = pyvo.dal.adhoc.DatalinkResults.from_result_url(
        f"{night.service.url}/datalink/links?ID={requests.utils.quote(light)}"
    )
    wanted = {row["access_url"] for row in links if row["semantics"] in ("#this", "#bias", "#dark", "#flat")}
    found = names(client, client.completed(ID=light, SEMANTICS=["#this", "#calibration"]))
    assert len(found) > 1
    assert {requests.utils.unquote(url.partition("/files/")[2]) for url in wanted} == found


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "Nothing is asked for"),
        ({"RUN": "no such run"}, "No file is selected"),
        ({"ID": "ivo://x/y?z"}, UNKNOWN.format("ivo://x/y?z")),
        ({"RUN": RUN, "RESPONSEFORMAT": "rar"}, "no archive of the format 'rar'"),
        ({"RUN": RUN, "SEMANTICS": "#moon"}, "SEMANTICS='moon' is unknown"),
        ({"RUN": RUN, "EXPTIME_MIN": "long"}, "EXPTIME_MIN='long' is not a number"),
        ({"RUN": RUN, "PARTIAL": "maybe"}, "PARTIAL='maybe' is neither true nor false"),
        ({"RUN": RUN, "EXPOSURE_TYPE": "moon"}, "EXPOSURE_TYPE='moon' is unknown"),
        ({"FILE_TYPE": ".*"}, "FILE_TYPE='*' is no type of file"),
        ({"QUERY": "SELECT path FROM ost.products"}, "no column obs_publisher_did"),
        ({"JOB": "0" * 32}, "There is no TAP job"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, dict) else "",
)
def test_a_wrong_request_ends_in_error_with_the_reason(
    client: Client, parameters: dict[str, object], message: str
) -> None:
    assert message in client.failed(**parameters)


def test_hidden_and_unknown_identifiers_look_the_same(client: Client, bob: Client, night: Night) -> None:
    hidden, unknown = night.did(SECRET), night.did(SECRET).replace("/4", "/9")
    said = [client.failed(ID=name).replace(name, "...") for name in (hidden, unknown)]
    assert said[0] == said[1]
    assert names(client, client.completed(RUN=RUN)) == set(NAMES) - {SECRET}
    assert names(bob, bob.completed(RUN=RUN)) == set(NAMES)


def test_a_job_is_its_creators_alone(client: Client, bob: Client, night: Night) -> None:
    job = bob.completed(ID=night.did(SECRET))
    anna = Client(night.service, "anna")
    for path in ("", "/results/archive", "/results/manifest", "/parameters", "/error"):
        assert client.get(job + path).status_code == 403
        assert anna.get(job + path).status_code == 403
    assert bob.document(bob.url).find(f"{{*}}jobref[@id='{job.rsplit('/', 1)[1]}']") is not None
    assert len(client.document(client.url)) == 0
    assert night.contents[SECRET] in bob.result(job)


def test_what_was_withdrawn_does_not_go_out_any_more(client: Client, night: Night) -> None:
    jobs = [client.completed(RUN=RUN, RESPONSEFORMAT=form) for form in ("zip", "tar.zst")]
    statement = "UPDATE archive.products SET privileges = %s WHERE obs_publisher_did = %s"
    night.execute(statement, 1, night.did("light 1.fits"))
    try:
        for job in jobs:
            for name in ("archive", "manifest"):
                answer = client.get(f"{job}/results/{name}", Range="bytes=0-9")
                assert answer.status_code == 409
                assert "light" not in answer.text
    finally:
        night.execute(statement, 5, night.did("light 1.fits"))
    assert client.get(f"{jobs[0]}/results/archive").status_code == 200


@pytest.mark.parametrize("change", ["missing", "longer", "other"])
def test_what_has_changed_on_disk_does_not_go_out_under_the_old_checksum(
    client: Client, night: Night, change: str
) -> None:
    job = client.completed(RUN=RUN)
    with changed(night, "light 1.fits", change):
        assert client.get(f"{job}/results/archive").status_code == 409
    assert client.get(f"{job}/results/archive").status_code == 200


def test_an_unreadable_file_fails_the_job_unless_a_partial_result_is_asked_for(
    client: Client, night: Night
) -> None:
    ids = [night.did("light 1.fits"), night.did("empty.fits"), night.did(SECRET)]
    with changed(night, "light 1.fits", "missing"):
        assert re.search(r"1 of the files .*light 1.fits.*missing.*PARTIAL=true", client.failed(ID=ids[:2]))
        assert "cannot be read" in client.failed(ID=ids[0], PARTIAL="true")
        job = client.completed(ID=ids, PARTIAL="true")
    rows = list(csv.DictReader(io.StringIO(client.result(job, "manifest.csv").decode())))
    said = {row["obs_publisher_did"]: (row["status"], row["reason"]) for row in rows}
    assert said[ids[0]][0] == said[ids[2]][0] == "unreadable"
    assert "missing" in said[ids[0]][1]
    assert said[ids[1]] == ("ok", "")
    assert "light" not in client.result(job, "checksums").decode()


def test_a_file_that_has_changed_since_it_was_ingested_is_marked(client: Client, night: Night) -> None:
    with changed(night, "light 1.fits", "other"):
        job = client.completed(ID=night.did("light 1.fits"))
        (row,) = csv.DictReader(io.StringIO(client.result(job, "manifest.csv").decode()))
        assert row["status"] == "changed"
        assert row["sha256"] in client.result(job, "checksums").decode()
    events = night.execute(
        "SELECT problem, detail FROM archive.file_events JOIN archive.products USING (product_id)"
        " WHERE obs_publisher_did = %s AND problem = 'changed'",
        night.did("light 1.fits"),
    )
    assert events == [("changed", "another checksum")]


def test_a_job_tells_its_progress(client: Client, night: Night) -> None:
    job = client.completed(RUN=RUN)
    info = {item.tag: item.text for item in client.document(job).find("{*}jobInfo")}
    size, files = sum(map(len, night.public.values())), len(night.public)
    expected = {"files_total": files, "files_done": files, "bytes_total": size, "bytes_done": size}
    assert info == {name: str(count) for name, count in expected.items()}
    parsed = parse_job(io.BytesIO(client.get(job).content))
    assert parsed.phase == "COMPLETED"
    assert len(parsed.results) == 5


def test_the_python_client_downloads(bob: Client, night: Night, tmp_path: Path) -> None:
    with Archive(night.service.url, "bob", PASSWORD) as archive:
        rows = archive.search(f"SELECT obs_publisher_did FROM ost.products WHERE run_name = '{RUN}'")
        path = archive.download(rows, tmp_path / "x.tar", responseformat="tar")
        with tarfile.open(path) as found:
            assert {name.split("/", 2)[2] for name in found.getnames() if RUN in name} == set(NAMES)
        with pytest.raises(NotFoundFault, match="There is no data set 'ivo://x/y'"):
            archive.download("ivo://x/y", tmp_path / "y.zip")
        with pytest.raises(UsageFault, match="no archive of the format"):
            archive.download(None, tmp_path / "y.zip", run=RUN, responseformat="rar")
    assert [item.name for item in tmp_path.iterdir()] == ["x.tar"]
    assert len(bob.document(bob.url, PHASE="QUEUED")) == 0


def test_a_job_goes_with_its_files(client: Client, night: Night) -> None:
    job = client.completed(RUN=RUN)
    where = night.service.settings.state / "jobs" / job.rsplit("/", 1)[1]
    assert where.exists()
    client.session.delete(job, timeout=60)
    assert not where.exists()
    assert client.get(job).status_code == 404
