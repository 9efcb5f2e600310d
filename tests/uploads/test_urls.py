"""Uploads that the archive fetches from an http URL, through the whole service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from ost_vo.deployment.publisher import free_port
from tests.conftest import Service
from tests.serving import Serving
from tests.uploads.test_uploads import read, sky, written


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that has the table ``sky.vot``."""
    root: Path = tmp_path_factory.mktemp("tables")
    (root / "sky.vot").write_bytes(written(sky(100)))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def lenient(service: Service) -> Iterator[str]:
    """The URL of a web process on the same archive that may fetch from this host."""
    changed = {"port": free_port(), "upload_networks": "127.0.0.0/8"}
    with Serving(service.settings.model_copy(update=changed)) as url:
        yield url


def fetched(service: str, url: str) -> requests.Response:
    query = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t"
    form = {"LANG": "ADQL", "QUERY": query, "UPLOAD": f"t,{url}"}
    return requests.post(f"{service}/tap/sync", data=form, timeout=60)


def test_a_table_is_fetched(lenient: str, tables: str) -> None:
    assert read(fetched(lenient, f"{tables}/sky.vot")).get_first_table().array["n"][0] == 100


def test_an_answer_that_is_no_table(lenient: str, tables: str) -> None:
    response = fetched(lenient, f"{tables}/nothing.vot")
    assert response.status_code == 400
    assert "answers with the status 404" in response.text


def test_the_guard_stays_where_nothing_is_allowed(service: Service, tables: str) -> None:
    response = fetched(service.url, f"{tables}/sky.vot")
    assert response.status_code == 400
    assert "not on the public internet" in response.text
