"""Looking an installation over: the database, the disks, the data root, the services, the public URL."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ost_vo.faults import Fault
from ost_vo.services import policies, registry
from ost_vo.services.archive import ACCOUNTS_CONNECTIONS, JOB_CONTROL_CONNECTIONS, Archive
from ost_vo.settings import Settings, is_loopback
from ost_vo.store import alarms, diagnosis, site
from ost_vo.store.connections import Database
from ost_vo.store.diagnosis import Finding

# What the database and the jobs need to go on [bytes].
FREE_BYTES = 2**30
ANSWER_SECONDS = 10
# The version of DaCHS that Debian 12 has.
DACHS = (2, 7)
# A worker of Celery runs one job at a time: with a connection for its query, for what it looks up, for who
# asks, and to listen.
_OF_A_JOB = 4


def examine(settings: Settings) -> list[Finding]:
    """Return what is wrong with an installation, and what to do about it; nothing for a sound one."""
    return [
        *_database(settings),
        *_pooler(settings),
        *_published(settings),
        *_disk(settings),
        *_data_root(settings),
        *_secrets(settings),
        *_web(settings),
        *_publisher(settings),
        *_broker(settings),
        *_public(settings),
        *_registry(settings),
    ]


def before_upgrade(settings: Settings) -> list[Finding]:
    """Return what an upgrade would trip over; PostgreSQL runs, the other services need not."""
    database = Database(settings.dsn("ost_owner"), 1)
    try:
        with database.connection() as connection:
            return [*diagnosis.unfit(connection), *_disk(settings)]
    except Fault as fault:
        return [_unreachable(fault)]
    finally:
        database.close()


def after_upgrade(settings: Settings) -> list[Finding]:
    """Return what is wrong in the database; PostgreSQL runs, the other services need not."""
    database = Database(settings.dsn("ost_owner"), 1)
    try:
        with database.connection() as connection:
            return [*diagnosis.findings(connection), *_published(settings)]
    except Fault as fault:
        return [_unreachable(fault)]
    finally:
        database.close()


def _database(settings: Settings) -> Iterator[Finding]:
    database = Database(settings.dsn("ost_owner"), 1)
    try:
        with database.connection() as connection:
            yield from diagnosis.findings(connection)
            yield from diagnosis.changed(connection)
            for alarm in alarms.sounding(connection):
                problem = f"{alarm.problem} (since {alarm.since:%Y-%m-%d %H:%M %Z})"
                yield Finding(alarm.subject, problem, alarm.remedy)
            if (known := site.public_url(connection)) != settings.base_url:
                yield Finding(
                    "public URL",
                    f"Rows lead to {known}, and the settings say {settings.base_url}.",
                    "Start with `ost-vo run` and the right OST_VO_PUBLIC_URL.",
                )
            yield from diagnosis.capacity(connection, _needed_connections(settings))
            if settings.watch and not diagnosis.is_watched(connection):
                log = settings.state / "log" / "watcher.log"
                yield Finding("watcher", "Nobody watches the data root.", f"Start `ost-vo watch`; see {log}.")
            if settings.previews and not diagnosis.is_analysed(connection):
                log = settings.state / "log" / "analyst.log"
                remedy = f"See that `ost-vo analyse --follow` runs, and {log}; or set OST_VO_PREVIEWS=False."
                yield Finding("analyst", "Products have waited for their previews for an hour.", remedy)
            if _is_public(settings) and not diagnosis.is_registered(connection):
                remedy = "See that `ost-vo registry keep` runs; `ost-vo registry refresh` says what is wrong."
                yield Finding("registrar", "The registry's coverage is behind by half an hour.", remedy)
    except Fault as fault:
        yield _unreachable(fault)
    finally:
        database.close()


def _needed_connections(settings: Settings) -> int:
    """Return how many connections to the database the processes may open together."""
    # Besides its pools, each listens for news of jobs.
    if settings.pooler:
        return settings.web_processes
    places = policies.all_places(settings)
    each = settings.connections + places + JOB_CONTROL_CONNECTIONS + ACCOUNTS_CONNECTIONS + 1
    workers = places * (JOB_CONTROL_CONNECTIONS + _OF_A_JOB) if settings.broker else 0
    return each * settings.web_processes + workers


def _unreachable(fault: Fault) -> Finding:
    return Finding("database", fault.detail, "See that PostgreSQL runs: `ost-vo run` starts it.")


def _pooler(settings: Settings) -> Iterator[Finding]:
    if not settings.pooler:
        return
    for role in ("ost_web", "ost_accounts"):
        database = Database(settings.pooled_dsn(role), 1)
        try:
            with database.connection():
                pass
        except Fault:
            problem = f"{settings.pooler} does not answer to {role}: web processes cannot query."
            yield Finding("pooler", problem, "See that pgbouncer runs as in etc/, or unset OST_VO_POOLER.")
        finally:
            database.close()


def _published(settings: Settings) -> Iterator[Finding]:
    database = Database(settings.dsn("adql"), 1)
    try:
        with database.connection() as connection:
            yield from diagnosis.published(connection)
    except Fault:
        return  # told already
    finally:
        database.close()


def _disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(_existing(settings.state)).free
    if free < FREE_BYTES:
        problem = f"{free / 2**20:.0f} MB are free below {settings.state}."
        yield Finding("disk", problem, "Make room, or set OST_VO_STATE to a larger disk.")


def _data_root(settings: Settings) -> Iterator[Finding]:
    root = settings.data
    if not root.is_dir():
        yield Finding("data root", f"{root} is no directory.", "Mount it, or set OST_VO_DATA_ROOT.")
    elif not os.access(root, os.R_OK | os.X_OK):
        yield Finding("data root", f"{root} cannot be read.", "Let the service's account read it.")
    elif not any(root.iterdir()):
        yield Finding("data root", f"{root} is empty.", "See that its disk is mounted.")
    elif settings.data_marker and not (root / settings.data_marker).exists():
        problem = f"{settings.data_marker} is not below {root}."
        yield Finding("data root", problem, "See that its disk is mounted, or make that file there.")


def _secrets(settings: Settings) -> Iterator[Finding]:
    """Look for what other accounts of this machine could read or connect to."""
    for path in (settings.sockets, settings.state / "postgresql", settings.state / "settings.env"):
        if path.exists() and path.stat().st_mode & 0o077:
            mode = "700" if path.is_dir() else "600"
            yield Finding("secrets", f"Other accounts may open {path}.", f"chmod {mode} {path}")


def _web(settings: Settings) -> Iterator[Finding]:
    url = f"http://{settings.host}:{settings.port}/health/ready"
    if problem := _unanswered(url):
        log = settings.state / "log" / "web.log"
        yield Finding("web service", f"{url} does not answer: {problem}.", f"See {log}.")


def _publisher(settings: Settings) -> Iterator[Finding]:
    """Look for DaCHS where its own configuration says it listens."""
    written = configparser.ConfigParser()
    if not written.read(settings.state / "dachs" / "gavorc"):
        return
    url = f"{written['web']['serverURL']}/tap/availability"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            version = re.search(r"DaCHS/([0-9.]+)", answer.headers.get("Server", ""))
    except (OSError, ValueError) as error:
        log = settings.state / "log" / "dachs.log"
        problem = f"{url} does not answer: {error}; the registry's records are not kept up to date."
        yield Finding("DaCHS", problem, f"See {log}.")
        return
    if version is None:
        yield Finding("DaCHS", f"{url} is answered by something else.", "End it, and start DaCHS anew.")
    elif tuple(map(int, version[1].split("."))) < DACHS:
        yield Finding("DaCHS", f"Its version is {version[1]}.", "Install python3-gavo 2.7 or later.")


def _broker(settings: Settings) -> Iterator[Finding]:
    """Look for Redis, and there for the channels that Celery's workers, and nobody else, listen on."""
    if not settings.broker:
        return
    path = settings.sockets / "redis.sock"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ANSWER_SECONDS)
        try:
            client.connect(str(path))
            client.sendall(b"PUBSUB NUMPAT\r\n")
            answer = client.recv(64)
        except OSError as error:
            answer = str(error).encode()
    if not answer.startswith(b":"):
        problem = f"{path} does not answer: {answer.decode(errors='replace').strip()}."
        yield Finding("Redis", problem, f"See {settings.state / 'log' / 'redis.log'}.")
    elif answer.startswith(b":0"):
        log = settings.state / "log" / "worker.log"
        yield Finding("workers", "None waits for jobs at Redis.", f"Start `ost-vo work`; see {log}.")


def _public(settings: Settings) -> Iterator[Finding]:
    """Look at the archive as the world does, where it is told to be elsewhere than on this port."""
    if not _is_public(settings):
        return
    parts = urlsplit(settings.base_url)
    if problem := _unanswered(f"{settings.base_url}/health/live"):
        yield Finding(
            "public URL",
            f"{settings.base_url} leads to no archive: {problem}.",
            "See that the web server in front runs, with the site of etc/ and the right path.",
        )
    if parts.scheme != "https":
        yield Finding(
            "public URL", "It begins with http: passwords travel in the open.", "Use https; see etc/."
        )
    if not settings.trusted_proxies:
        yield Finding(
            "trusted proxies",
            "There are none, so all clients behind the web server count as one address.",
            "Set OST_VO_TRUSTED_PROXIES to the network of the web server, as 127.0.0.0/8.",
        )


def _registry(settings: Settings) -> Iterator[Finding]:
    """Look for what stands in the way of registering an archive that the world can reach."""
    if not _is_public(settings):
        return
    try:
        archive = Archive.open(settings)
    except Fault:
        return  # told already
    try:
        for lack in registry.lacks(archive):
            yield Finding("registry", lack.problem, lack.remedy)
    except Fault as fault:
        yield Finding("registry", fault.detail, "`ost-vo registry check` says why.")
    finally:
        archive.close()


def _is_public(settings: Settings) -> bool:
    return bool(settings.public_url) and not is_loopback(urlsplit(settings.base_url).hostname)


def _unanswered(url: str) -> str:
    """Return why a URL does not answer with 200; '' where it does."""
    try:
        urllib.request.urlopen(url, timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
