"""Cutouts as jobs: several values, tables of positions, queries; what is in the tar and in the manifest."""

from __future__ import annotations

import csv
import io
import os
import tarfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import pyvo
import requests
from astropy.io import fits
from astropy.table import Table

from ost_vo.access.context import ANONYMOUS
from ost_vo.services import soda_jobs
from ost_vo.services.archive import Archive
from ost_vo.services.execution import Execution
from ost_vo.vo.uws import Job, Phase
from tests.conftest import Service, execute
from tests.soda.conftest import SIP, header, pixels
from tests.soda.test_cutouts import CIRCLE, ask, check

SECONDS = 240


def run(
    service: Service,
    fields: dict[str, object],
    files: dict[str, bytes] | None = None,
    phase: str = "COMPLETED",
) -> str:
    """Run a job and return its URL."""
    answer = requests.post(
        f"{service.url}/soda/async",
        {**fields, "PHASE": "RUN"},
        files=files,
        timeout=60,
        allow_redirects=False,
    )
    assert answer.status_code == 303, answer.text
    job = answer.headers["Location"]
    end = time.monotonic() + SECONDS
    while (found := requests.get(f"{job}/phase", timeout=60).text) in ("QUEUED", "EXECUTING"):
        assert time.monotonic() < end
        requests.get(f"{job}?WAIT=10", timeout=60)
    assert found == phase, requests.get(f"{job}/error", timeout=60).text
    return job


def result(job: str, name: str) -> bytes:
    answer = requests.get(f"{job}/results/{name}", timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


def manifest(job: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result(job, "manifest.csv").decode())))


def unpacked(job: str) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(result(job, "cutouts.tar"))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def without_history(content: bytes) -> tuple[dict[str, object], np.ndarray]:
    (unit, *_) = fits.open(io.BytesIO(content))
    del unit.header["HISTORY"]
    return dict(unit.header), unit.data


def votable(**columns: list[object]) -> bytes:
    document = io.BytesIO()
    Table(columns).write(document, format="votable")
    return document.getvalue()


def test_one_cutout_is_the_result_itself(service: Service, made: dict[str, str]) -> None:
    job = run(service, {"ID": made["sip"], "CIRCLE": CIRCLE})
    (part,) = fits.open(io.BytesIO(result(job, "cutout.fits")))
    check(part, pixels(200, 300), header(SIP))
    (row,) = manifest(job)
    assert (row["ID"], row["status"], row["file"]) == (made["sip"], "ok", "cutout.fits")
    answer = requests.get(f"{job}/results/cutout.fits", timeout=60)
    assert answer.headers["Content-Type"] == "image/fits"
    same = ask(service, made["sip"], CIRCLE=CIRCLE).content
    assert str(without_history(same)[0]) == str(without_history(answer.content)[0])


def test_a_picture_as_a_job(service: Service, made: dict[str, str]) -> None:
    job = run(service, {"ID": made["sip"], "CIRCLE": CIRCLE, "RESPONSEFORMAT": "png"})
    assert result(job, "cutout.png").startswith(b"\x89PNG")


def test_several_values_multiply(service: Service, made: dict[str, str]) -> None:
    circles = [CIRCLE, "10.0 41.0 0.01", "190 -41 1"]
    job = run(service, {"ID": [made["sip"], made["tiled"]], "CIRCLE": circles})
    rows = manifest(job)
    assert [(row["ID"], row["status"]) for row in rows] == [
        (made[name], status) for name in ("sip", "tiled") for status in ("ok", "ok", "no overlap")
    ]
    files = unpacked(job)
    assert set(files) == {row["file"] for row in rows if row["file"]} | {"manifest.csv"}
    assert files["manifest.csv"] == result(job, "manifest.csv")
    for row in rows:
        if row["file"]:
            check(fits.open(io.BytesIO(files[row["file"]]))[-1], pixels(200, 300), header(SIP))


def test_without_overlap_the_manifest_says_so(service: Service, made: dict[str, str]) -> None:
    job = run(service, {"ID": made["sip"], "CIRCLE": "190 -41 1"})
    assert [row["status"] for row in manifest(job)] == ["no overlap"]
    assert requests.get(f"{job}/results/cutout.fits", timeout=60).status_code == 404


@pytest.mark.parametrize("form", ["votable", "csv"])
def test_a_table_of_positions(service: Service, made: dict[str, str], form: str) -> None:
    ids = [made["sip"], made["sip"] + "x", made["sip"], made["cube"]]
    columns = {"ID": ids, "ra": [10.02, 10.0, 190.0, 83.8], "dec": [41.03, 41.0, -41.0, -5.4]}
    columns |= {"radius": [0.02, 0.01, 0.01, 0.002], "name": ["a", "b", "c", "d"]}
    document = votable(**columns)
    if form == "csv":
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        document = "\n".join(lines).encode()
    job = run(service, {"UPLOAD": "places,param:file"}, {"file": document})
    rows = manifest(job)
    assert [row["status"] for row in rows] == ["ok", "unknown", "no overlap", "ok"]
    assert [row["name"] for row in rows] == ["a", "b", "c", "d"]
    assert [float(row["ra"]) for row in rows] == columns["ra"]
    files = unpacked(job)
    sync = ask(service, made["sip"], CIRCLE="10.02 41.03 0.02").content
    found, expected = without_history(files[rows[0]["file"]]), without_history(sync)
    assert str(found[0]) == str(expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert fits.getheader(io.BytesIO(files[rows[3]["file"]]))["NAXIS"] == 4


def test_positions_without_identifiers_find_their_images(service: Service, made: dict[str, str]) -> None:
    document = votable(ra=[10.02, 250.0, np.nan], dec=[41.03, -60.0, 0.0])
    job = run(service, {"UPLOAD": "places,param:file", "RADIUS": "0.005"}, {"file": document})
    rows = manifest(job)
    found = {row["ID"] for row in rows if row["row"] == "1"}
    assert {made[name] for name in ("sip", "packed", "tiled", "hostile")} <= found
    assert {row["status"] for row in rows if row["row"] == "1"} == {"ok"}
    assert [row["status"] for row in rows if row["row"] != "1"] == ["no overlap", "failed"]


def test_what_one_may_not_see_is_as_what_is_not_there(service: Service, made: dict[str, str]) -> None:
    ids = [made["sip"], made["sip"] + "x", made["tiled"]]
    document = votable(ID=ids, ra=[10.0] * 3, dec=[41.0] * 3, radius=[0.01] * 3)
    places = votable(ra=[10.0], dec=[41.0], radius=[0.01])
    _owner(service, "UPDATE archive.products SET privileges = 2 WHERE obs_publisher_did = %s", made["sip"])
    try:
        hidden, absent, seen = manifest(run(service, {"UPLOAD": "t,param:f"}, {"f": document}))
        assert (hidden["status"], absent["status"], seen["status"]) == ("unknown", "unknown", "ok")
        assert hidden["reason"] == absent["reason"].replace(made["sip"] + "x", made["sip"])
        around = manifest(run(service, {"UPLOAD": "t,param:f"}, {"f": places}))
        assert made["sip"] not in {row["ID"] for row in around}
        asked = manifest(run(service, {"QUERY": QUERY}))
        assert made["sip"] not in {row["ID"] for row in asked}
        run(service, {"ID": made["sip"]}, phase="ERROR")
    finally:
        _owner(
            service, "UPDATE archive.products SET privileges = 5 WHERE obs_publisher_did = %s", made["sip"]
        )


QUERY = (
    "SELECT obs_publisher_did, 10.0 AS ra, 41.0 AS dec, 36.0 / 3600 AS radius, obs_id AS name"
    " FROM ost.products WHERE path LIKE 'cutouts/%' AND s_ra BETWEEN 9 AND 11"
)


def test_a_query_gives_the_positions(service: Service, made: dict[str, str]) -> None:
    rows = manifest(run(service, {"QUERY": QUERY}))
    assert {made["sip"], made["tiled"], made["many"]} <= {row["ID"] for row in rows}
    assert {row["status"] for row in rows} == {"ok"}
    assert all(row["name"] for row in rows)


def test_a_query_may_name_the_uploaded_table(service: Service, made: dict[str, str]) -> None:
    document = votable(ra=[10.02], dec=[41.03], path=["cutouts/sip.fits"])
    query = (
        "SELECT p.obs_publisher_did, u.ra, u.dec, 0.01 AS radius FROM TAP_UPLOAD.u AS u"
        " JOIN ost.products AS p ON p.path = u.path"
    )
    (row,) = manifest(run(service, {"QUERY": query, "UPLOAD": "u,param:f"}, {"f": document}))
    assert (row["ID"], row["status"]) == (made["sip"], "ok")


def test_a_file_that_cannot_be_read_spoils_its_rows_alone(service: Service, made: dict[str, str]) -> None:
    ids = [made["sip"], made["nowhere"], made["nowhere"], made["tiled"]]
    document = votable(ID=ids, ra=[10.0] * 4, dec=[41.0] * 4, radius=[0.01] * 4)
    rows = manifest(run(service, {"UPLOAD": "t,param:f"}, {"f": document}))
    assert [row["status"] for row in rows] == ["ok", "failed", "failed", "ok"]
    assert "no positions on the sky" in rows[1]["reason"]


def test_a_full_disk_is_no_fault_of_the_data(service: Service, made: dict[str, str], tmp_path: Path) -> None:
    # The kernel's own full disk.
    (tmp_path / "cutouts.tar.mark.part").symlink_to("/dev/full")
    now = datetime.now(UTC)
    wanted = (*(("ID", made[name]) for name in ("sip", "tiled")), ("CIRCLE", CIRCLE))
    job = Job("a", soda_jobs.KIND, Phase.EXECUTING, None, None, None, now, now, None, 60, now, wanted)
    archive, execution = Archive.open(service.settings), Execution(job, ANONYMOUS, tmp_path, _mark="mark")
    with pytest.raises(OSError, match="No space left"):
        soda_jobs.execute(archive, execution)
    archive.close()
    execution.discard()
    assert not tmp_path.exists()


def test_a_changed_file_is_not_cut(service: Service, made: dict[str, str]) -> None:
    path = service.settings.data / "cutouts" / "sip.fits"
    content, status = path.read_bytes(), path.stat()
    path.write_bytes(content + b" " * 2880)
    try:
        rows = manifest(run(service, {"ID": [made["sip"], made["tiled"]], "CIRCLE": CIRCLE}))
        assert [row["status"] for row in rows] == ["failed", "ok"]
        assert "has changed on disk" in rows[0]["reason"]
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (event,) = _events(service, made["sip"])
    assert event == ("changed", f"{len(content) + 2880} bytes", 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "UsageError: Nothing is asked for."),
        ({"ID": "ivo://nowhere/x?1"}, "UsageError: There is no data set"),
        ({"ID": "x", "CIRCLE": "1 2"}, "UsageError: CIRCLE"),
        ({"QUERY": "SELECT 1 AS a FROM tap_schema.schemas"}, "UsageError: The table has no columns"),
        ({"QUERY": "SELECT nothing FROM ost.products"}, "UsageError: "),
        ({"UPLOAD": "t,param:gone"}, "UsageError: UPLOAD"),
        ({"QUERY": QUERY, "POS": "CIRCLE 1 2 3"}, "UsageError: UPLOAD and QUERY give the positions"),
        ({"QUERY": QUERY, "RADIUS": "wide"}, "UsageError: RADIUS"),
    ],
)
@pytest.mark.usefixtures("made")
def test_what_is_wrong_is_said_in_text(service: Service, fields: dict[str, str], message: str) -> None:
    job = run(service, fields, phase="ERROR")
    answer = requests.get(f"{job}/error", timeout=60)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith(message)


def test_a_job_tells_how_far_it_has_come(service: Service, made: dict[str, str]) -> None:
    document = votable(ID=[made["sip"]] * 5, ra=[10.0] * 5, dec=[41.0] * 5, radius=[0.01] * 5)
    job = run(service, {"UPLOAD": "t,param:f"}, {"f": document})
    assert "<cutouts_done>5</cutouts_done>" in requests.get(job, timeout=60).text.replace("uws:", "")


def test_pyvo_runs_a_job(service: Service, made: dict[str, str]) -> None:
    job = pyvo.dal.AsyncTAPJob(
        run(service, {"ID": [made["sip"], made["tiled"]], "CIRCLE": CIRCLE}), session=requests.Session()
    )
    assert job.phase == "COMPLETED"
    assert [entry.id_ for entry in job.results] == ["cutouts.tar", "manifest.csv"]


def test_the_service_describes_its_jobs(service: Service) -> None:
    answer = requests.get(f"{service.url}/soda/capabilities", timeout=60)
    assert 'standardID="ivo://ivoa.net/std/SODA#async-1.0"' in answer.text


def _owner(service: Service, statement: str, *parameters: str) -> None:
    execute(service.settings.dsn("ost_owner"), statement, *parameters)


def _events(service: Service, identifier: str) -> list[tuple]:
    """Return what the archive has noted of a file: problem, what was found, how often."""
    return execute(
        service.settings.dsn("ost_owner"),
        "SELECT problem, detail, times FROM archive.file_events JOIN archive.products USING (product_id)"
        " WHERE obs_publisher_did = %s",
        identifier,
    )
