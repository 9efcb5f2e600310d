"""Metrics, health, request ids and logs, as a monitor and an operator meet them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ost_vo.deployment.publisher import free_port
from ost_vo.faults import FatalFault
from ost_vo.settings import Settings
from ost_vo.store import schema
from tests.conftest import Service, execute
from tests.serving import Serving

ID = "0123456789abcdef"
TAP = ("ost_vo_requests_total", "200", "GET", "tap")
BYTES = ("ost_vo_response_bytes_total", "tap")
ELSEWHERE = ("ost_vo_requests_total", "404", "GET", "other")


@pytest.fixture(scope="module")
def watched(service: Service) -> Iterator[str]:
    """The URL of a web service that trusts no proxy."""
    with Serving(Settings(**{**service.settings.model_dump(), "port": free_port()})) as url:
        yield url


@pytest.fixture(scope="module")
def proxied(service: Service) -> Iterator[str]:
    """The URL of a web service that trusts proxies of the loopback."""
    changed = {"port": free_port(), "trusted_proxies": "127.0.0.0/8"}
    with Serving(Settings(**{**service.settings.model_dump(), **changed})) as url:
        yield url


def samples(url: str) -> dict[tuple[str, ...], float]:
    """Return the metrics: name and labels to value."""
    answer = requests.get(f"{url}/metrics", timeout=60)
    assert answer.status_code == 200
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_rows_bytes_ingest_and_caches_are_counted(watched: str) -> None:
    before = samples(watched)
    asked = {"LANG": "ADQL", "QUERY": "SELECT TOP 7 obs_id FROM ivoa.obscore", "FORMAT": "csv"}
    plain = {"Accept-Encoding": "identity"}
    answer = requests.get(f"{watched}/tap/sync", params=asked, headers=plain, timeout=60)
    requests.get(f"{watched}/context/-/5/tap/sync", params=asked, headers=plain, timeout=60)
    requests.get(f"{watched}/no/such/thing", timeout=60)
    # An answer is counted once it has been sent.
    counts = {TAP: 2, ELSEWHERE: 1, BYTES: 2 * len(answer.content)}
    for _ in range(600):
        after = samples(watched)
        if {name: after.get(name, 0) - before.get(name, 0) for name in counts} == counts:
            break
        time.sleep(0.1)

    def grown(*name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown("ost_vo_rows_total") == 14
    assert grown(*TAP) == 2
    assert grown(*ELSEWHERE) == 1
    assert grown(*BYTES) == 2 * len(answer.content)
    assert grown("ost_vo_request_seconds_count", "tap") == 2
    assert grown("ost_vo_cache_lookups_total", "hit", "tap_schema") >= 2
    assert after["ost_vo_database_up",] == 1
    assert after["ost_vo_quarantine_files",] >= 0
    assert after["ost_vo_watchers",] == after["ost_vo_alarms",] == 0
    assert after["ost_vo_ingest_age_seconds",] < 3600 * 24
    assert after["ost_vo_disk_free_bytes", "state"] > 0


def test_what_waits_is_told_by_its_kind(watched: str, service: Service) -> None:
    owner = service.settings.dsn("ost_owner")
    execute(
        owner,
        "INSERT INTO archive.jobs (job_id, kind, phase, context, parameters, execution_duration, destruction,"
        " queued) VALUES (repeat('0', 32), 'waiting', 'QUEUED', '{}', '[]', 60, now() + interval '1 day',"
        " now() - interval '1000 s')",
    )
    execute(
        owner,
        "INSERT INTO archive.analysis_queue (product_id, due)"
        " SELECT max(product_id), now() - interval '1000 s' FROM archive.products"
        " ON CONFLICT (product_id) DO UPDATE SET due = excluded.due",
    )
    found = samples(watched)
    execute(owner, "DELETE FROM archive.jobs WHERE kind = 'waiting'")
    execute(owner, "UPDATE archive.analysis_queue SET due = now() WHERE due < now() - interval '900 s'")
    assert found["ost_vo_jobs", "QUEUED", "waiting"] == 1
    assert found["ost_vo_job_queue_seconds", "waiting"] >= 1000 > found["ost_vo_job_queue_seconds", "tap"]
    assert found["ost_vo_analysis_queue",] >= 1
    assert found["ost_vo_analysis_queue_seconds",] >= 1000


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
def test_metrics_are_not_there_for_whoever_comes_by_an_unknown_proxy(watched: str, header: str) -> None:
    hidden = requests.get(f"{watched}/metrics", headers={header: "203.0.113.7"}, timeout=60)
    nothing = requests.get(f"{watched}/no-such-page", headers={header: "203.0.113.7"}, timeout=60)
    assert (hidden.status_code, hidden.text) == (nothing.status_code, nothing.text) == (404, nothing.text)


def test_behind_a_trusted_proxy_the_address_of_the_client_counts(proxied: str) -> None:
    for address, status in (("203.0.113.7", 404), ("127.0.0.1", 200)):
        answer = requests.get(f"{proxied}/metrics", headers={"X-Forwarded-For": address}, timeout=60)
        assert answer.status_code == status


def test_a_request_id_is_a_trusted_proxys_or_our_own(watched: str, proxied: str) -> None:
    given = {"X-Request-ID": ID}
    assert requests.get(f"{proxied}/health/live", headers=given, timeout=60).headers["X-Request-ID"] == ID
    for url, headers in ((watched, given), (proxied, {"X-Request-ID": "a b\tc"}), (proxied, {})):
        made = requests.get(f"{url}/health/live", headers=headers, timeout=60).headers["X-Request-ID"]
        assert made != ID
        assert len(made) == 32


def test_a_process_lives_and_is_ready_as_long_as_its_database_answers(watched: str) -> None:
    assert requests.get(f"{watched}/health/live", timeout=60).text == "live\n"
    assert requests.get(f"{watched}/health/ready", timeout=60).text == "ready\n"


def test_with_tables_of_another_version_a_process_lives_and_is_not_ready(
    watched: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As after an upgrade of the tables under a process of the old version.
    monkeypatch.setattr(schema, "head", lambda: "9999")
    assert requests.get(f"{watched}/health/live", timeout=60).status_code == 200
    ready = requests.get(f"{watched}/health/ready", timeout=60)
    assert (ready.status_code, ready.text) == (503, f"not ready: {FatalFault.code}\n")


SPEAK = """
import logging, structlog
from ost_vo import logs
logs.configure("json")
with structlog.contextvars.bound_contextvars(request="r1", job="j1"):
    structlog.get_logger().info("told", bytes=7)
    try:
        password = "swordfish"
        raise ValueError("wrong")
    except ValueError:
        structlog.get_logger().exception("failed")
    logging.getLogger("celery").warning("of a library")
"""


def test_logs_are_json_objects_with_the_ids_and_without_the_values_of_variables() -> None:
    said = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, check=True).stderr
    told, failed, library = (json.loads(line) for line in io.StringIO(said))
    assert (told["event"], told["bytes"], told["level"]) == ("told", 7, "info")
    assert {line["request"] for line in (told, failed, library)} == {"r1"}
    assert {line["job"] for line in (told, failed, library)} == {"j1"}
    assert "ValueError: wrong" in failed["exception"]
    assert "swordfish" not in said.replace('password = "swordfish"', "")
    assert library["logger"] == "celery"
