"""Uploads that the archive fetches from an http URL, through the whole service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import uvicorn

from ost_vo.deployment.publisher import free_port
from ost_vo.web.app import create_app
from tests.conftest import Service
from tests.uploads.test_uploads import read, sky, written


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Announced(uvicorn.Server):
    """A server that says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


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
    port = free_port()
    changed = {"port": port, "upload_networks": "127.0.0.0/8"}
    settings = service.settings.model_copy(update=changed)
    server = Announced(uvicorn.Config(create_app(settings), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.ready.wait(60)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


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
