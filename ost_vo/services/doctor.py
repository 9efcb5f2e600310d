"""Looking an installation over: the database, the disks, the data root, the web service."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from ost_vo.faults import Fault
from ost_vo.settings import Settings
from ost_vo.store import diagnosis, site
from ost_vo.store.connections import Database
from ost_vo.store.diagnosis import Finding

# What the database and the jobs need to go on [bytes].
FREE_BYTES = 2**30
ANSWER_SECONDS = 10


def examine(settings: Settings) -> list[Finding]:
    """Return what is wrong with an installation, and what to do about it; nothing for a sound one."""
    return [
        *_database(settings),
        *_published(settings),
        *_disk(settings),
        *_data_root(settings),
        *_web(settings),
    ]


def _database(settings: Settings) -> Iterator[Finding]:
    database = Database(settings.dsn("ost_owner"), 1)
    try:
        with database.connection() as connection:
            yield from diagnosis.findings(connection)
            if (known := site.public_url(connection)) != settings.base_url:
                yield Finding(
                    "public URL",
                    f"Rows lead to {known}, and the settings say {settings.base_url}.",
                    "Start with `ost-vo run` and the right OST_VO_PUBLIC_URL.",
                )
    except Fault as fault:
        yield Finding("database", fault.detail, "See that PostgreSQL runs: `ost-vo run` starts it.")
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


def _web(settings: Settings) -> Iterator[Finding]:
    url = f"http://{settings.host}:{settings.port}/availability"
    try:
        urllib.request.urlopen(url, timeout=ANSWER_SECONDS).close()
    except (OSError, urllib.error.URLError) as error:
        log = settings.state / "log" / "web.log"
        yield Finding("web service", f"{url} does not answer: {error}.", f"See {log}.")


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
