"""The endpoints of OSTdata, with its payloads."""

from __future__ import annotations

import io
import time
import zipfile

import pytest
import requests

from ost_vo.access.context import ANONYMOUS
from ost_vo.services import selection
from ost_vo.services.archive import Archive
from ost_vo.vo.parameters import Parameters
from tests.downloads.conftest import RUN, SECRET, Client, Night

PROGRESS = {"status", "progress", "bytes_total", "bytes_done", "url", "error"}


class OldClient:
    """A client of OSTdata."""

    def __init__(self, client: Client) -> None:
        self._base, self._session = client.base, client.session

    def create(self, run: str = RUN, **body: object) -> requests.Response:
        url = f"{self._base}/api/runs/runs/{run}/download-jobs/"
        return self._session.post(url, json=body, timeout=60)

    def ask(self, job: dict[str, str], what: str, method: str = "GET") -> requests.Response:
        headers = {"X-Download-Token": job["job_token"]} if "job_token" in job else {}
        url = f"{self._base}/api/runs/jobs/{job['job_id']}/{what}"
        return self._session.request(method, url, headers=headers, timeout=60)

    def ended(self, job: dict[str, str]) -> dict[str, object]:
        """Ask until a job is neither queued nor running."""
        while True:
            answer = self.ask(job, "status").json()
            assert answer.keys() == PROGRESS
            if answer["status"] not in ("queued", "running"):
                return answer
            time.sleep(0.02)


@pytest.fixture
def old(client: Client) -> OldClient:
    return OldClient(client)


def test_an_anonymous_job_goes_by_its_token(old: OldClient, night: Night) -> None:
    answer = old.create()
    assert answer.status_code == 201
    job = answer.json()
    assert job.keys() == {"job_id", "job_token"}
    size = sum(map(len, night.public.values()))
    done = {"status": "done", "progress": 100, "bytes_total": size, "bytes_done": size, "error": None}
    assert old.ended(job) == {**done, "url": f"/api/runs/jobs/{job['job_id']}/download"}
    archive = zipfile.ZipFile(io.BytesIO(old.ask(job, "download").content))
    assert any(name.endswith("/downloads/light 1.fits") for name in archive.namelist())
    assert old.ask(job, "cancel", "POST").json() == {"status": "done", "error": ""}
    for stranger in (
        {"job_id": job["job_id"]},
        {"job_id": job["job_token"]},
        {**job, "job_token": "0" * 32},
        {"job_id": job["job_token"], "job_token": job["job_id"]},
    ):
        for what, method in (("status", "GET"), ("download", "GET"), ("cancel", "POST")):
            answer = old.ask(stranger, what, method)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not found"})


def test_a_users_job_needs_no_token(old: OldClient, bob: Client, night: Night) -> None:
    mine = OldClient(bob)
    job = mine.create(ids=[night.did(SECRET)], filters={"file_name": "secret", "instrument": ""}).json()
    assert job.keys() == {"job_id"}
    assert mine.ended(job)["bytes_total"] == len(night.contents[SECRET])
    assert old.ask(job, "status").status_code == 404
    assert OldClient(Client(night.service, "anna")).ask(job, "download").status_code == 404


def test_filters_narrow_a_run(old: OldClient, night: Night) -> None:
    filters = {"exposure_type[]": ["LI", "FL"], "file_type": "FITS", "spectroscopy": False, "exptime_min": 2}
    job = old.create(filters=filters).json()
    assert old.ended(job)["bytes_total"] == len(night.contents["light 1.fits"])


@pytest.mark.parametrize(
    ("name", "values", "condition"),
    [
        ("file_type", ["FITS"], r"path ~* '\.(fits?|fts)(\.(gz|fz|bz2))?$|\.fz$'"),
        ("file_type", ["SER", "jpg"], r"path ~* '\.(ser|jpe?g)$'"),
        ("main_target", ["m 4"], "target_name ILIKE '%%m 4%%' OR header_target ILIKE '%%m 4%%'"),
        ("exposure_type", ["LI", "da"], "exposure_type IN ('light', 'dark')"),
        ("exposure_type", ["UK"], "exposure_type IS NULL"),
        ("spectroscopy", ["true"], "dataproduct_type = 'spectrum'"),
        ("spectroscopy", ["False"], "dataproduct_type IS DISTINCT FROM 'spectrum'"),
        ("exptime_min", ["30"], "t_exptime >= 30"),
        ("exptime_max", ["30"], "t_exptime <= 30"),
        ("file_name", ["DARK"], "path ILIKE '%%dark%%'"),
        ("instrument", ["qhy"], "instrument_name ILIKE '%%qhy%%'"),
        ("obs_date_contains", ["-02-14 2"], "t_min >= 61085 + 20 / 24.0 AND t_min < 61086"),
        ("plate_solved", ["true"], "position_source NOT IN ('header')"),
        ("plate_solved", ["0"], "coalesce(position_source, 'header') = 'header'"),
        ("pixel_count_min", ["1000000"], "s_xel1 * s_xel2 >= 1000000"),
        ("pixel_count_max", ["1000000"], "s_xel1 * s_xel2 <= 1000000"),
    ],
)
def test_every_filter_chooses_what_it_says(
    night: Night, name: str, values: list[str], condition: str
) -> None:
    """Texts are parts in any case, numbers are bounds, codes are those of the former archive."""
    archive = Archive.open(night.service.settings.model_copy(update={"download_bytes": 2**40}))
    wanted = Parameters([(name, value) for value in values])
    expected = {
        identifier
        for (identifier,) in night.execute(
            "SELECT obs_publisher_did FROM archive.products WHERE is_valid AND privileges >= 4"
            f" AND ({condition})"
        )
    }
    found = selection.select(archive, ANONYMOUS, wanted).products
    archive.close()
    assert {product.identifier for product in found} == expected


@pytest.mark.parametrize(
    ("run", "body", "status", "detail"),
    [
        ("no such run", {}, 404, "Not found"),
        (RUN, {"filters": {"exposure_type": "moon"}}, 400, "EXPOSURE_TYPE='moon' is unknown"),
        (RUN, {"filters": {"exptime": 1}}, 400, "There is no filter 'exptime'"),
        (RUN, {"filters": {"file_name": "no such file"}}, 400, "No file is selected"),
        (RUN, {"filters": "all"}, 400, "filters is no JSON object"),
        (RUN, {"ids": [17]}, 400, "ids is no list of identifiers"),
        (RUN, {"ids": ["ivo://x/y?z"]}, 400, "There is no data set"),
    ],
    ids=["run", "value", "filter", "nothing", "filters", "number", "identifier"],
)
def test_a_wrong_request_is_told_why(
    old: OldClient, run: str, body: dict[str, object], status: int, detail: str
) -> None:
    answer = old.create(run, **body)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
