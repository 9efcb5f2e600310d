"""What a URL in UPLOAD can reach."""

from __future__ import annotations

import http.server
import io
import ipaddress
import socketserver
import threading
from collections.abc import Iterator

import pytest

from ost_vo.faults import Fault, TransientFault, UsageFault
from ost_vo.services import remote

HERE = remote.Limits(remote.networks("127.0.0.0/8"), 1000, 60.0)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/moved": 302, "/away": 307, "/loop": 301}.get(self.path, 200))
        places = {"/moved": "/table", "/away": "http://localhost.invalid./x", "/loop": "/loop"}
        if self.path in places:
            self.send_header("Location", places[self.path])
        self.end_headers()
        if self.path == "/large":
            self.wfile.write(bytes(2000))
        elif self.path == "/slow":
            self.server.stopped.wait(120)  # type: ignore[attr-defined]
        elif self.path not in places:
            self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        found.stopped = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.stopped.set()  # type: ignore[attr-defined]
        found.shutdown()


def fetched(url: str, limits: remote.Limits = HERE) -> bytes:
    file = io.BytesIO()
    remote.fetch(url, file, limits)
    return file.getvalue()


@pytest.mark.parametrize("path", ["/table", "/moved"])
def test_a_table_is_fetched_and_redirects_are_followed(server: str, path: str) -> None:
    assert fetched(server + path) == server.removeprefix("http://").encode()


def test_nothing_is_fetched_from_this_host_unless_allowed(server: str) -> None:
    port = server.rsplit(":", 1)[1]
    nobody = remote.Limits((), 1000, 60.0)
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433"):
        with pytest.raises(UsageFault, match="public internet"):
            fetched(f"http://{host}:{port}/table", nobody)


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/large", UsageFault, "larger than 1000 bytes"),
        ("/loop", UsageFault, "redirects more than"),
        ("/away", UsageFault, "no host"),
    ],
)
def test_limits(server: str, path: str, kind: type[Fault], message: str) -> None:
    with pytest.raises(kind, match=message):
        fetched(server + path)


def test_a_host_that_never_ends_is_left(server: str) -> None:
    limits = remote.Limits(HERE.networks, 1000, 0.5)
    with pytest.raises(TransientFault, match=r"in time|cannot be fetched"):
        fetched(f"{server}/slow", limits)


@pytest.mark.parametrize("url", ["ftp://h/x", "http:///x", "http://u:p@h/x", "http://h:0/", "http://h/a b"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageFault, match=r"cannot be fetched"):
        fetched(url)


@pytest.mark.parametrize(
    ("address", "reachable"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("172.16.5.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::93.184.216.34", True),
        ("2002:7f00:1::1", False),
    ],
)
def test_addresses(address: str, reachable: bool) -> None:
    assert remote.may_reach(ipaddress.ip_address(address), ()) is reachable
