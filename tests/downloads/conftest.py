"""A run of files with known content, some of them private, and a client of /downloads."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from lxml import etree

from tests.blues import PASSWORD, blues_project
from tests.conftest import Service, execute

__all__ = ["blues_project"]

RUN = "downloads"
MODIFIED = 1_700_000_001
# Of the project BLUES, made by bob at level 1.
SECRET = "secret.fits"
NAMES = ("light 1.fits", "ü ' $x.fits", "empty.fits", "sub/light 3.ser", SECRET)

_INSERT = """
INSERT INTO archive.products (path, file_size, sha256, file_modified, media_type, run_id, calib_level, obs_id,
    obs_publisher_did, creator_id, project_id, privileges, exposure_type, target_name, t_exptime)
SELECT %s, %s, %s, to_timestamp(%s), 'image/fits', run_id, 1, 'x', %s, user_id, r.project_id, %s, %s, %s, %s
FROM archive.runs r, archive.users u WHERE r.name = %s AND u.name = 'bob'
"""


@dataclass
class Night:
    """The run.

    Attributes:
        service: the archive.
        contents: name below the run to content.
    """

    service: Service
    contents: dict[str, bytes] = field(default_factory=dict)

    def did(self, name: str) -> str:
        """Return the identifier of a product."""
        return f"ivo://{self.service.settings.authority}/archive?downloads/{NAMES.index(name)}"

    def path(self, name: str) -> Path:
        """Return the file of a product."""
        return self.service.settings.data / RUN / name

    @property
    def public(self) -> dict[str, bytes]:
        """Path below the data root to content, of what everybody may see."""
        return {f"{RUN}/{name}": content for name, content in self.contents.items() if name != SECRET}

    def execute(self, statement: str, *values: object) -> list[tuple]:
        """Run a statement as the owner of the tables."""
        return execute(self.service.settings.dsn("ost_owner"), statement, *values)

    def store(self, name: str, content: bytes, privileges: int, about: tuple[object, ...]) -> None:
        """Write a file and its product."""
        self.contents[name] = content
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (MODIFIED, MODIFIED))
        digest = hashlib.sha256(content).digest()
        values = (len(content), digest, MODIFIED, self.did(name), privileges, *about, RUN)
        self.execute(_INSERT, f"{RUN}/{name}", *values)


class Client:
    """A client of /downloads.

    Attributes:
        url: of the list of jobs.
        session: of the client.
    """

    def __init__(self, service: Service, user: str | None = None) -> None:
        self.base = service.url
        self.url = f"{service.url}/downloads"
        self.session = requests.Session()
        self.session.auth = (user, PASSWORD) if user else None

    def get(self, url: str, **headers: str) -> requests.Response:
        """Get something."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.get(url, headers=names, timeout=60)

    def post(self, **parameters: object) -> requests.Response:
        """Create a job that runs; values may be lists."""
        fields = {"PHASE": "RUN", **parameters}
        return self.session.post(self.url, data=fields, timeout=60, allow_redirects=False)

    def create(self, **parameters: object) -> str:
        """Create a job that runs; return its URL."""
        response = self.post(**parameters)
        assert response.status_code == 303, response.text
        return response.headers["Location"]

    def ended(self, job: str) -> str:
        """Wait for a job and return its last phase."""
        while (phase := self.document(job, WAIT=30).findtext("{*}phase")) in ("QUEUED", "EXECUTING"):
            continue
        return phase or ""

    def document(self, url: str, **parameters: object) -> etree._Element:
        """Return an XML document."""
        response = self.session.get(url, params=parameters, timeout=60)
        assert response.status_code == 200, response.text
        return etree.fromstring(response.content)

    def completed(self, **parameters: object) -> str:
        """Create a job and wait until it is COMPLETED; return its URL."""
        job = self.create(**parameters)
        assert self.ended(job) == "COMPLETED", self.failure(job)
        return job

    def failed(self, **parameters: object) -> str:
        """Create a job that is to end in ERROR; return what it says."""
        job = self.create(**parameters)
        assert self.ended(job) == "ERROR"
        return self.failure(job)

    def failure(self, job: str) -> str:
        """Return why a job failed."""
        return self.get(f"{job}/error").text

    def result(self, job: str, name: str = "archive") -> bytes:
        """Return a result of a job."""
        response = self.get(f"{job}/results/{name}")
        assert response.status_code == 200, response.text
        return response.content


@pytest.fixture(scope="module")
def night(service: Service, blues_project: object) -> Iterator[Night]:
    """The run, gone after the tests of a module."""
    del blues_project
    night = Night(service)
    bytes_of = random.Random(1).randbytes
    night.execute(
        "INSERT INTO archive.runs (name, project_id, night) SELECT %s, project_id, '2026-11-22'"
        " FROM archive.projects WHERE name = 'BLUES'",
        RUN,
    )
    for name, size, privileges, about in zip(
        NAMES,
        (700_000, 1234, 0, 2_000_001, 5_000),
        (5, 5, 4, 5, 1),
        (
            ("light", "M 31", 60),
            ("bias", None, 0),
            ("flat", None, 1),
            ("light", "M 33", 5),
            ("light", "M 1", 9),
        ),
        strict=True,
    ):
        night.store(name, bytes_of(size), privileges, about)
    yield night
    night.execute("DELETE FROM archive.products WHERE path LIKE 'downloads/%%'")
    night.execute("DELETE FROM archive.deletions WHERE path LIKE 'downloads/%%'")
    night.execute("DELETE FROM archive.runs WHERE name = %s", RUN)
    night.execute("DELETE FROM archive.jobs WHERE kind = 'download'")
    shutil.rmtree(service.settings.data / RUN)


@pytest.fixture(scope="module")
def client(night: Night) -> Client:
    """An anonymous client."""
    return Client(night.service)


@pytest.fixture(scope="module")
def bob(night: Night) -> Client:
    """A client of the user who made the secret file."""
    return Client(night.service, "bob")
