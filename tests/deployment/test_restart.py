"""`ost-vo serve`: processes are replaced under load, and no request fails."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from ost_vo.deployment.archive import Archive
from ost_vo.web.serving import LATE_SECONDS
from tests.conftest import Service

WAIT_SECONDS = 120
QUERY = {"LANG": "ADQL", "QUERY": "SELECT * FROM ivoa.obscore", "FORMAT": "csv"}


@dataclass
class Served:
    """A web service whose listening socket is ours, as it is systemd's."""

    url: str
    process: subprocess.Popen[bytes]

    def workers(self) -> set[int]:
        """Return the processes that answer requests."""
        found = set()
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            for pid in map(int, children.read().split()):
                # One that has just ended is none any more.
                with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as line:
                    if b"spawn_main" in line.read():
                        found.add(pid)
        return found

    def counted(self) -> int:
        """Return how many queries have been answered, by the metrics."""
        shown = requests.get(f"{self.url}/metrics", timeout=WAIT_SECONDS).text
        (line,) = (
            line
            for line in shown.splitlines()
            if line.startswith("ost_vo_requests_total")
            and 'endpoint="tap"' in line
            and 'status="200"' in line
        )
        return int(float(line.split()[-1]))


@pytest.fixture
def served(service: Service, deployment: Archive, tmp_path: Path) -> Iterator[Served]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OST_VO_")}
    deployment.write_environment(tmp_path / "services.env")
    for line in (tmp_path / "services.env").read_text().splitlines():
        name, _, value = line.partition("=")
        environment[name] = value.strip('"')
    for name, value in service.settings.model_dump().items():
        if value is not None:
            environment[f"OST_VO_{name.upper()}"] = str(value)
    # With a single one, nobody but its successor could answer.
    environment["OST_VO_WEB_PROCESSES"] = "1"
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        command = [sys.executable, "-m", "ost_vo.cli", "serve", "--fd", str(listener.fileno())]
        process = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()])
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Connections wait in the socket until somebody takes them.
        assert requests.get(f"{url}/health/ready", timeout=WAIT_SECONDS).status_code == 200
        yield Served(url, process)
        process.terminate()
        process.wait(WAIT_SECONDS)


@dataclass
class Load:
    """Clients that ask without a pause, with connections of their own and with one that they keep."""

    url: str
    stopping: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    # Of those, on the kept connection.
    kept: int = 0
    # Answers on the kept connection that called themselves the last ones there.
    last: int = 0
    # The longest time between an answer there and the next request [s].
    pause: float = 0
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._ask, args=(kept,)) for kept in (True, False, False)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    def _ask(self, kept: bool) -> None:
        with requests.Session() as session:
            session.headers["Connection"] = "keep-alive" if kept else "close"
            ended = time.monotonic()
            while not self.stopping.is_set():
                if kept:
                    self.pause = max(self.pause, time.monotonic() - ended)
                try:
                    answer = session.get(f"{self.url}/tap/sync", params=QUERY, timeout=WAIT_SECONDS)
                    if answer.status_code != 200 or not answer.text.endswith("\n"):
                        self.failures.append(answer.text)
                    self.last += kept and answer.headers.get("Connection") == "close"
                except requests.RequestException as error:
                    self.failures.append(str(error))
                ended = time.monotonic()
                self.answered += 1
                self.kept += kept


def test_processes_are_replaced_without_a_failed_request(served: Served) -> None:
    before = served.workers()
    assert len(before) == 1
    with Load(served.url) as load:
        until(lambda: load.kept > 1 and load.answered > 20)
        served.process.send_signal(signal.SIGHUP)
        until(lambda: served.workers().isdisjoint(before))
        done, kept = load.answered, load.kept
        until(lambda: load.kept > kept + 1 and load.answered > done + 20)
    assert load.failures == []
    # Who is told that the connection ends sends nothing into its end. A client that a busy machine has kept
    # from asking for so long has been left without a word.
    assert load.last == 1 or (load.last == 0 and load.pause > LATE_SECONDS / 2)
    # The counts of all processes are in what any of them shows. An answer is counted once it has been sent.
    until(lambda: served.counted() >= load.answered)


def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    for _ in range(WAIT_SECONDS * 10):
        if condition():
            return
        signal.sigtimedwait([], 0.1)
    raise AssertionError("it has not come about")
