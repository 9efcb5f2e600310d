"""Jobs by pyvo; tests/tap has taplint's word on them."""

from __future__ import annotations

import uuid

import pytest
import pyvo
from pyvo.dal.exceptions import DALQueryError, DALServiceError

from tests.conftest import Service
from tests.uws.test_http import Client, slow

QUERY = "SELECT TOP 5 obs_id, s_ra FROM ivoa.obscore"


@pytest.fixture(scope="module")
def tap(service: Service) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(f"{service.url}/tap")


def test_run_async_gives_what_run_sync_gives(tap: pyvo.dal.TAPService) -> None:
    query = "SELECT * FROM ivoa.obscore ORDER BY obs_id, access_url"
    asynchronous, synchronous = tap.run_async(query).to_table(), tap.run_sync(query).to_table()
    assert asynchronous.colnames == synchronous.colnames
    assert list(asynchronous["obs_id"]) == list(synchronous["obs_id"])


def test_step_by_step(tap: pyvo.dal.TAPService) -> None:
    job = tap.submit_job(QUERY, maxrec=3)
    assert (job.phase, job.query, job.owner, job.uws_version) == ("PENDING", QUERY, None, "1.1")
    job.query = "SELECT TOP 2 obs_id FROM ivoa.obscore"
    job.execution_duration = 77
    assert job.execution_duration.sec == 77
    job.run()
    job.wait(phases=["COMPLETED"], timeout=60)
    assert len(job.fetch_result()) == 2
    assert job.result_uri == f"{job.url}/results/result"
    url = job.url
    job.delete()
    with pytest.raises(DALServiceError):
        pyvo.dal.AsyncTAPJob(url)


def test_abort(tap: pyvo.dal.TAPService) -> None:
    job = tap.submit_job(slow())
    job.run()
    job.abort()
    assert job.phase == "ABORTED"
    job.delete()


def test_a_wrong_query_raises_with_the_reason(tap: pyvo.dal.TAPService) -> None:
    job = tap.submit_job("SELECT s_raa FROM ivoa.obscore")
    job.run()
    job.wait(phases=["ERROR"], timeout=60)
    with pytest.raises(DALQueryError, match="did you mean s_ra"):
        job.raise_if_error()
    with pytest.raises(DALQueryError, match="Line 1, column 8"):
        tap.run_async("SELECT s_raa FROM ivoa.obscore")


def test_the_list_shows_a_new_job(service: Service) -> None:
    person = Client(service)
    person.become(f"u{uuid.uuid4().hex[:8]}")
    tap = pyvo.dal.TAPService(f"{service.url}/tap", session=person.session)
    job = tap.submit_job(QUERY)
    assert job.job_id in {entry.jobid for entry in tap.get_job_list(last=5)}
    assert tap.get_job(job.job_id).phase == "PENDING"
    job.delete()
