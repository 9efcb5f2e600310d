"""A second DaCHS beside that of an archive, set up as DaCHS sets itself up, for the time of a measurement."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from ost_vo.deployment import accounts, cluster, publisher
from ost_vo.deployment.accounts import Account
from ost_vo.settings import Settings

DATABASE = "bench_dachs"
START_SECONDS = 60
_DESCRIPTOR = Path(__file__).parent / "q.rd"
# Its own of an installation that publishes through ObsCore and SIA 2.0.
_OF_DACHS = ("//obscore", "//siap2")


class Dachs:
    """A DaCHS that serves the files of one directory.

    Attributes:
        url: of its server, on loopback.
        data: the directory.
    """

    def __init__(self, settings: Settings, root: Path) -> None:
        self._root = root
        self._account = accounts.account(settings.state, Path(__file__))
        self.url = f"http://127.0.0.1:{publisher.free_port()}"
        self.data = root / "inputs" / "bench" / "data"
        self._account.own(root)
        (root / "gavorc").write_text(_gavorc(root, self._account, self.url))
        dsn = f"host='{settings.sockets}' port=5432 user={cluster.SUPERUSER} dbname={DATABASE}"
        self.run("init", "-d", dsn)
        self._account.own(self.data)
        shutil.copy(_DESCRIPTOR, self.data.parent / "q.rd")
        for descriptor in _OF_DACHS:
            self.run("imp", descriptor)

    def run(self, *arguments: str) -> None:
        """Run a command of DaCHS.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        result = subprocess.run(
            self._account.command(publisher.PROGRAM, *arguments),
            cwd=self._root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = result.stdout + result.stderr
        if result.returncode or "*** Error" in said:
            raise RuntimeError(f"dachs {' '.join(arguments)} failed:\n{said}")

    def identifier(self, name: str) -> str:
        """Return the publisher DID that DaCHS gives a file of its directory."""
        return f"ivo://bench/~?bench/data/{name}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Let the server run for the time of a block."""
        with (self._root / "server.log").open("wb") as log:
            server = subprocess.Popen(
                publisher.command(self._account),
                cwd=self._root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await(server)
            yield
        finally:
            server.terminate()
            server.wait()

    def _await(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/tap/availability", timeout=5).close()
                return
            except (OSError, urllib.error.URLError) as error:
                if server.poll() is not None or time.monotonic() > deadline:
                    said = (self._root / "server.log").read_text()[-2000:]
                    raise RuntimeError(f"DaCHS does not answer at {self.url}: {error}\n{said}") from error
                time.sleep(0.1)

    def _environment(self) -> dict[str, str]:
        keep = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
        return {**keep, "GAVOSETTINGS": str(self._root / "gavorc"), "HOME": str(self._root)}


@contextmanager
def dachs(settings: Settings) -> Iterator[Dachs]:
    """Set up a DaCHS on the cluster of a running archive, and take it away at the end."""
    root = settings.state / "bench_dachs"
    with closing(psycopg2.connect(cluster.superuser_dsn(settings, "postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {DATABASE}")
            try:
                _add_sphere(settings)
                yield Dachs(settings, root)
            finally:
                shutil.rmtree(root, ignore_errors=True)
                cursor.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def _add_sphere(settings: Settings) -> None:
    """Add pgSphere, which DaCHS itself takes back where it does not find Q3C as well."""
    with closing(psycopg2.connect(cluster.superuser_dsn(settings, DATABASE))) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION pg_sphere")
        connection.commit()


def _gavorc(root: Path, account: Account, url: str) -> str:
    return f"""[general]
rootDir: {root}
gavoGroup: {account.group}
group: {account.group}

[web]
serverURL: {url}
serverPort: {url.rsplit(":", 1)[1]}
bindAddress: 127.0.0.1
user: {account.user}

[ivoa]
authority: bench
"""
