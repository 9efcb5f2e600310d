"""supervisord keeps the services running; this writes its configuration and talks to it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from xmlrpc.client import Fault as RemoteFault
from xmlrpc.client import ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from ost_vo.faults import FatalFault

START_SECONDS = 180
STOP_SECONDS = 30


@dataclass(frozen=True)
class Program:
    """One service.

    Attributes:
        name: its name in the log directory and in messages.
        command: the program and its arguments.
        stop_signal: the signal that ends it in order.
        priority: lower ones start first and stop last.
    """

    name: str
    command: list[str]
    stop_signal: str = "TERM"
    priority: int = 100


class Supervisor:
    """A supervisord of our own, its control socket, and its programs; none of them starts by itself."""

    def __init__(self, directory: Path, logs: Path, sockets: Path) -> None:
        self._directory = directory
        self._logs = logs
        self._socket = sockets / "supervisor.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _server(self) -> ServerProxy:
        """A connection of its own for each call: after a failed one, the transport cannot be used again."""
        transport = SupervisorTransport("", "", f"unix://{self._socket}")
        return ServerProxy("http://127.0.0.1", transport)

    def start(self, programs: Iterable[Program], environment: Mapping[str, str], user: str) -> None:
        """Start supervisord, which lives no longer than this process, with its programs stopped.

        Args:
            programs: the services.
            environment: of all of them.
            user: name of the account that supervisord itself runs as.
        """
        path = self._directory / "supervisord.conf"
        path.write_text(self._configuration(programs, user))
        self._socket.unlink(missing_ok=True)
        supervisord = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", str(path)]
        with (self._logs / "supervisord.start.log").open("wb") as output:
            self._process = subprocess.Popen(
                ["/usr/bin/setpriv", "--pdeathsig", "TERM", "--", *supervisord],
                cwd=self._directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._await_answer()

    def start_program(self, name: str) -> None:
        """Start one service, without waiting until it is ready.

        Raises:
            FatalFault: it cannot be started; the message shows its log.
        """
        try:
            self._server.supervisor.startProcess(name, False)
        except RemoteFault as error:
            raise FatalFault(
                f"{name} does not start ({error.faultString}).", self.last_words(name)
            ) from error

    def stop(self) -> None:
        """Stop every service and supervisord itself, and wait for it."""
        if not self._process or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Wait until supervisord ends and return its exit status."""
        assert self._process is not None
        return self._process.wait()

    def is_running(self, name: str) -> bool:
        """Say whether a service is up."""
        process = cast(dict[str, str], self._server.supervisor.getProcessInfo(name))
        return process["statename"] in ("RUNNING", "STARTING")

    def last_words(self, name: str) -> str:
        """Return the end of a service's log, for a message."""
        log = self._logs / f"{name}.log"
        tail = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
        return "\n".join([f"Its log, {log}, ends:", *tail])

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError):
                self._server.supervisor.getState()
                return
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise FatalFault("supervisord does not start.", self.last_words("supervisord.start"))
            time.sleep(0.02)

    def _configuration(self, programs: Iterable[Program], user: str) -> str:
        lines = [
            "[supervisord]",
            f"logfile = {_plain(self._logs / 'supervisord.log')}",
            f"pidfile = {_plain(self._directory / 'supervisord.pid')}",
            f"childlogdir = {_plain(self._logs)}",
            f"user = {user}",
            "[unix_http_server]",
            f"file = {_plain(self._socket)}",
            "chmod = 0700",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for program in programs:
            lines += self._section(program)
        return "\n".join(lines) + "\n"

    def _section(self, program: Program) -> list[str]:
        return [
            f"[program:{program.name}]",
            f"command = {_plain(shlex.join(program.command))}",
            f"priority = {program.priority}",
            f"stopsignal = {program.stop_signal}",
            f"stopwaitsecs = {STOP_SECONDS - 5}",
            "autostart = false",
            "autorestart = true",
            "redirect_stderr = true",
            # Relative to the working directory, since supervisord expands percent signs in it twice.
            f"stdout_logfile = {self._logs.relative_to(self._directory)}/{program.name}.log",
        ]


def _plain(text: object) -> str:
    """Escape the percent signs that supervisord would expand."""
    return str(text).replace("%", "%%")
