"""`ost-vo run` as an operator meets it: killed, started again, in awkward places."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from ost_vo.deployment.publisher import free_port

WAIT_SECONDS = 240


class Run:
    """An `ost-vo run` in a process group of its own."""

    def __init__(self, state: Path, port: int, data: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.state = state
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OST_VO_")}
        environment |= {"OST_VO_STATE": str(state), "OST_VO_PORT": str(port), "OST_VO_DATA_ROOT": str(data)}
        self.log = state.parent / f"{state.name}.log"
        with self.log.open("ab") as log:
            self._before = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ost_vo.cli", "run"],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def await_welcome(self) -> None:
        """Return when the archive says that it serves, and answers a query."""
        # Services of a killed one may still answer at the same port until the new one ends them.
        until(
            lambda: self.process.poll() is not None or ("Serving on" in self.said() and self.answers()),
            self.log,
        )
        assert self.process.poll() is None, self.log.read_text()

    def said(self) -> str:
        """Return what this process has written; others before it have written to the same file."""
        return self.log.read_bytes()[self._before :].decode()

    def answers(self) -> bool:
        try:
            parameters = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM ivoa.obscore"}
            return requests.get(f"{self.url}/tap/sync", params=parameters, timeout=10).ok
        except (requests.ConnectionError, requests.Timeout):
            # Connections are taken before there is somebody to answer them.
            return False

    def processes(self) -> list[int]:
        """Return the processes that were started with this state directory."""
        mark = f"OST_VO_STATE={self.state}".encode()
        found = []
        for directory in Path("/proc").iterdir():
            if directory.name.isdigit():
                try:
                    if mark in (directory / "environ").read_bytes().split(b"\0"):
                        found.append(int(directory.name))
                except (OSError, ProcessLookupError):
                    continue
        return found


def until(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    pause = pause_between()
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        next(pause)


def pause_between() -> Iterator[None]:
    """Yield ten times a second."""
    while True:
        signal.sigtimedwait([], 0.1)
        yield


@pytest.fixture
def start() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def starter(state: Path, port: int) -> Run:
        data = state.parent / "data"
        data.mkdir(exist_ok=True)
        runs.append(Run(state, port, data))
        return runs[-1]

    yield starter
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGINT)
            run.process.wait(WAIT_SECONDS)


def test_a_place_with_spaces_a_kill_and_a_second_start(start: Callable[..., Run], tmp_path: Path) -> None:
    state, port = tmp_path / "a place" / "with % and 'quotes'", free_port()
    state.parent.mkdir()
    first = start(state, port)
    first.await_welcome()

    twin = start(state, free_port())
    until(lambda: twin.process.poll() is not None, twin.log)
    assert twin.process.returncode == 1
    assert "already running" in twin.log.read_text()

    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait(WAIT_SECONDS)
    second = start(state, port)
    second.await_welcome()

    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(WAIT_SECONDS) == 0
    # What has been ended is there until the kernel has cleared it away.
    until(lambda: second.processes() == [], second.log)


def test_a_taken_port_is_named(start: Callable[..., Run], tmp_path: Path, service: object) -> None:
    port = service.settings.port  # type: ignore[attr-defined]
    run = start(tmp_path / "state", port)
    until(lambda: run.process.poll() is not None, run.log)
    assert run.process.returncode == 1
    assert f"Port {port}" in run.log.read_text()
    assert "OST_VO_PORT" in run.log.read_text()
