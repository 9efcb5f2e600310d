"""Bringing up a whole archive: PostgreSQL, Redis, the schema, DaCHS, the web service, the watcher."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

from ost_vo.deployment import accounts, cluster, publisher
from ost_vo.deployment.supervisor import Program, Supervisor
from ost_vo.faults import FatalFault
from ost_vo.settings import Settings
from ost_vo.store import definitions, site

# A machine that is busy with other work needs long to start a process; one that ends is noticed at once [s].
SERVE_SECONDS = 300
PORT_SECONDS = 10
REDIS = Path("/usr/bin/redis-server")

Say = Callable[[str], None]
Fill = Callable[[str], None]
# The services of a terminal end soon after Ctrl-C [s].
DRAIN_SECONDS = 5


class Archive:
    """The services of one state directory.

    Attributes:
        settings: what the services are started with.
        publisher_url: URL of the DaCHS server on loopback, once configured.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.publisher_url = ""
        settings.state.mkdir(parents=True, exist_ok=True)
        self._account = accounts.account(settings.state, Path(__file__), settings.data)
        self._lock = _locked(settings.state)
        account, state = self._account, settings.state
        self._logs = account.own(state / "log")
        account.own(settings.sockets, 0o700)
        account.own(state / "jobs", 0o700)
        account.own(state / "uploads", 0o700)
        account.own(state / "previews", 0o700)
        account.own(state / "analysis", 0o700)
        self._cache = account.own(_kernel_cache(state))
        # Those that root's own commands have compiled.
        for kernels in self._cache.iterdir():
            if kernels.is_dir():
                account.own(kernels)
        self._supervisor = Supervisor(state, self._logs, settings.sockets)

    def start_database(self, say: Say) -> None:
        """Start PostgreSQL and Redis and bring the schema and the views up to date."""
        self.start_cluster(say)
        # Takes a quarter of a minute the first time, while the database and DaCHS get ready.
        warming = None if self._is_warm() else self._start_warming()
        self.migrate(say)
        self._await_warm(warming)

    def warm(self) -> None:
        """Compile the kernels that every web process loads, where they are not."""
        self._await_warm(None if self._is_warm() else self._start_warming())

    def start_cluster(self, say: Say) -> None:
        """Start PostgreSQL and Redis, with nothing changed in the database."""
        settings, account = self.settings, self._account
        cluster.await_previous(settings, account)
        if not cluster.directory(settings).exists():
            say("Making a PostgreSQL cluster")
        cluster.initialise(settings, account)
        self.publisher_url = publisher.configure(settings, account)
        user = "root" if os.getuid() == 0 else account.user
        self._supervisor.start(self._programs(), self._environment(), user)
        self._supervisor.start_program("postgresql")
        self._supervisor.start_program("redis")
        cluster.await_ready(settings)

    def migrate(self, say: Say, fill: Fill | None = None) -> None:
        """Bring the tables and the views up to date, where they are not; the cluster runs.

        Args:
            say: tells people what goes on.
            fill: puts the tables of a backup into a new database, by its superuser's connection string.
        """
        settings = self.settings
        if not publisher.is_current(settings):
            # Imported here: a start that finds everything up to date does without Alembic.
            from ost_vo.store.upgrade import upgrade

            say("Bringing the database up to date")
            # Before anything is changed: roles are set up first.
            before = []
            if cluster.has_archive(settings):
                with _owner(settings) as connection:
                    before = definitions.drift(connection)
            is_new = cluster.create_database(settings)
            if fill and is_new:
                say("Loading the backup")
                fill(cluster.superuser_dsn(settings, cluster.DATABASE))
            publisher.initialise(settings, self._account, database=is_new)
            upgrade(settings.dsn("ost_owner"))
            say("Importing the resource descriptors into DaCHS")
            publisher.import_descriptors(settings, self._account)
            with _owner(settings) as connection, connection:
                definitions.note(connection, before)
        with _owner(settings) as connection, connection:
            site.set_public_url(connection, settings.base_url)

    def start_services(self, say: Say, *, dachs: bool = True) -> None:
        """Start the web service, and wait until it answers; then DaCHS, which needs longer."""
        settings = self.settings
        await_port(settings)
        self._supervisor.start_program("web")
        self._await_web()
        if settings.broker:
            self._supervisor.start_program("worker")
        if dachs:
            self._supervisor.start_program("dachs")
        say(f"Serving on {settings.base_url}")

    def start_registrar(self) -> None:
        """Start keeping the registry's records up to date."""
        self._supervisor.start_program("registrar")

    def start_watcher(self) -> None:
        """Start watching the data root."""
        self._supervisor.start_program("watcher")

    def start_analyst(self) -> None:
        """Start making previews and whatever else is done with files after they are ingested."""
        self._supervisor.start_program("analyst")

    def await_publisher(self) -> None:
        """Return when DaCHS answers."""
        self._await_answer("dachs", f"{self.publisher_url}/tap/availability")

    def wait(self) -> int:
        """Wait until somebody ends the supervisor."""
        return self._supervisor.wait()

    def stop(self) -> None:
        """Stop everything that was started."""
        self._supervisor.stop()
        os.close(self._lock)

    def _await_warm(self, warming: subprocess.Popen[bytes] | None) -> None:
        if warming and warming.wait():
            raise FatalFault(
                "The kernels of the result streams do not compile.", f"See {self._logs / 'warm.log'}."
            )
        (self._cache / "warm").write_text(_kernel_stamp())

    def _is_warm(self) -> bool:
        """Say whether the kernels have been compiled since their source was last changed."""
        mark = self._cache / "warm"
        return mark.exists() and mark.read_text() == _kernel_stamp()

    def _start_warming(self) -> subprocess.Popen[bytes]:
        """Compile the kernels that every web process loads, once for all of them.

        Of several archives that start at the same time one does it, and the others wait.
        """
        alone = ("/usr/bin/flock", "--no-fork", self._cache / "lock")
        with (self._logs / "warm.log").open("wb") as log:
            return subprocess.Popen(
                self._account.command(*alone, sys.executable, "-m", "ost_vo.cli", "warm"),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        # PGAPPNAME is this command's own.
        given = {k: v for k, v in os.environ.items() if not k.startswith("OST_VO_") and k != "PGAPPNAME"}
        ours = {
            f"OST_VO_{name.upper()}": str(value)
            for name, value in settings.model_dump().items()
            if value is not None
        }
        ours["OST_VO_PUBLISHER_URL"] = self.publisher_url
        cache = {"NUMBA_CACHE_DIR": str(self._cache), "PYTHONUNBUFFERED": "1"}
        return {**given, **publisher.environment(settings), **ours, **cache}

    def write_environment(self, path: Path) -> None:
        """Write what the services need in their environment besides the settings, for systemd."""
        wanted = ("GAVOSETTINGS", "NUMBA_CACHE_DIR", "OST_VO_PUBLISHER_URL")
        environment = self._environment()
        path.write_text("".join(f'{name}="{environment[name]}"\n' for name in wanted if name in environment))

    def _programs(self) -> list[Program]:
        settings, account = self.settings, self._account
        redis_options = ["--port", "0", "--unixsocket", str(settings.sockets / "redis.sock")]
        redis_options += ["--unixsocketperm", "700", "--dir", str(account.own(settings.state / "redis"))]
        web = [sys.executable, "-m", "ost_vo.cli", "serve", "--drain", str(DRAIN_SECONDS)]
        watcher = [sys.executable, "-m", "ost_vo.cli", "watch"]
        worker = [sys.executable, "-m", "ost_vo.cli", "work"]
        analyst = [sys.executable, "-m", "ost_vo.cli", "analyse", "--follow"]
        registrar = [sys.executable, "-m", "ost_vo.cli", "registry", "keep"]
        return [
            Program("postgresql", cluster.command(settings, account), "INT", 1),
            Program("redis", account.command(REDIS, *redis_options), priority=2),
            Program("dachs", publisher.command(account), priority=3),
            Program("web", account.command(*web), priority=4),
            Program("watcher", account.command(*watcher), priority=5),
            Program("analyst", account.command(*analyst), priority=7),
            Program("registrar", account.command(*registrar), priority=5),
            # TERM would let it finish its jobs first; after QUIT, others do.
            Program("worker", account.command(*worker), "QUIT", 6),
        ]

    def _await_web(self) -> None:
        settings = self.settings
        self._await_answer("web", f"http://{settings.host}:{settings.port}/availability")

    def _await_answer(self, program: str, url: str) -> None:
        deadline = time.monotonic() + SERVE_SECONDS
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return
            except (OSError, urllib.error.URLError) as error:
                if time.monotonic() > deadline or not self._supervisor.is_running(program):
                    words = self._supervisor.last_words(program)
                    raise FatalFault(f"{program} does not answer at {url}: {error}", words) from error
                time.sleep(0.05)


def _owner(settings: Settings) -> closing[Connection]:
    return closing(psycopg2.connect(settings.dsn("ost_owner")))


def _kernel_stamp() -> str:
    """Return what changes when numba would compile anew."""
    sources = sorted((Path(__file__).parents[1] / "vo").glob("*.py"))
    return "\n".join(f"{path.name} {path.stat().st_mtime_ns}" for path in sources)


def _kernel_cache(state: Path) -> Path:
    """Return where compiled kernels are kept: in the virtual environment, whose code they belong to."""
    environment = Path(sys.prefix)
    is_ours = sys.prefix != sys.base_prefix and os.access(environment, os.W_OK)
    return (environment if is_ours else state) / "kernels"


def _locked(state: Path) -> int:
    """Hold the state directory, so that two deployments never share one."""
    descriptor = os.open(state / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FatalFault(
            f"An archive is already running on {state}.", "Stop it, or choose another OST_VO_STATE."
        ) from None
    return descriptor


def await_port(settings: Settings) -> None:
    """Wait for the port, which the service of an earlier start may be about to leave.

    Raises:
        FatalFault: something else listens there.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((settings.host, settings.port))
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise FatalFault(
                        f"Port {settings.port} of {settings.host} is taken: {error.strerror}.",
                        "Choose another with OST_VO_PORT.",
                    ) from error
        time.sleep(0.1)
