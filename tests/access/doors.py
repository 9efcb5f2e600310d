"""The doors of the archive: what each caller sees of the tests' products by each endpoint."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg2
import requests
from astropy.io.votable import parse_single_table

from tests.access.model import Product, Project
from tests.conftest import Service

ANONYMOUS = "anonymous"
# The hostile one is a manager, of another project.
USERS = ("stranger", "member", "creator", "manager", "superuser", "hostile")
CALLERS = (ANONYMOUS, *USERS)
PROJECTS = {
    "LEAK_PRIVATE": Project(False, 2, {"member", "creator", "manager"}, {"manager"}),
    "LEAK_PUBLIC": Project(True, 4, {"manager"}, {"manager"}),
    "LEAK_HOSTILE": Project(False, 2, {"hostile"}, {"hostile"}),
}
NAMES = ("ada", "bo", "cyd", "dee", "eli")
RUN = "leakage"
TARGET = "Leakystar"


@dataclass(frozen=True)
class Scope:
    """A context that a caller asks for: a project or none, and the lowest level."""

    project: str | None = None
    lowest: int = 1

    @property
    def parameters(self) -> dict[str, str]:
        return {"OST_PRIVILEGES": str(self.lowest)} | ({"OST_PROJECT": self.project} if self.project else {})


@dataclass
class World:
    """A running archive with the people, projects and files of these tests."""

    service: Service
    sessions: dict[str, requests.Session]
    identifiers: dict[str, str] = field(default_factory=dict)
    _tried: set[tuple[str, str]] = field(default_factory=set)

    def url(self, path: str) -> str:
        return self.service.url + path

    def names(self, identifiers: set[str]) -> set[str]:
        return {name for name in NAMES if self.identifiers[name] in identifiers}

    def fill(self, products: dict[str, Product]) -> None:
        with owner(self.service) as cursor:
            cursor.execute("DELETE FROM archive.lineage")
            for name, product in products.items():
                cursor.execute(
                    "UPDATE archive.products SET privileges = %s, is_valid = true, release_date = NULL,"
                    " creator_id = (SELECT user_id FROM archive.users WHERE name = %s),"
                    " project_id = (SELECT project_id FROM archive.projects WHERE name = %s)"
                    " WHERE obs_publisher_did = %s",
                    (product.level, product.creator, product.project, self.identifiers[name]),
                )

    def strangers(self, caller: str, path: str) -> list[requests.Session]:
        """Return those who shall try to get at what a caller makes at a path; once for each caller and path.

        Whose a job is depends neither on what is seen nor on the scope that it was asked in.
        """
        if caller == ANONYMOUS or (path, caller) in self._tried:
            return []
        self._tried.add((path, caller))
        return [session for other, session in self.sessions.items() if other != caller]

    def post(self, caller: str, path: str, body: dict[str, object]) -> requests.Response:
        return self.sessions[caller].post(self.url(f"/api/v1/products/{path}"), json=body, timeout=60)


class owner:
    """A transaction that sees and changes everything."""

    def __init__(self, service: Service) -> None:
        self._connection = psycopg2.connect(service.settings.dsn("postgres"))

    def __enter__(self) -> psycopg2.extensions.cursor:
        return self._connection.cursor()

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._connection.rollback() if kind else self._connection.commit()
        self._connection.close()


# What a look through a door finds: the names of these tests' products that it shows.
Look = Callable[[World, str, Scope], set[str]]


def tap_sync(table: str) -> Look:
    def look(world: World, caller: str, scope: Scope) -> set[str]:
        query = f"SELECT obs_publisher_did FROM {table}"
        return _csv(world, caller, "/tap/sync", {"LANG": "ADQL", "QUERY": query, **scope.parameters})

    return look


def tap_count(world: World, caller: str, scope: Scope) -> set[str]:
    """Counts, asked for one product at a time."""
    seen = set()
    for name, identifier in world.identifiers.items():
        query = f"SELECT count(*) AS n FROM ost.products WHERE obs_publisher_did = '{identifier}'"
        asked = {"LANG": "ADQL", "QUERY": query, "FORMAT": "csv", **scope.parameters}
        if _get(world, caller, "/tap/sync", asked).text.split()[-1] == "1":
            seen.add(name)
    return seen


class Job:
    """A job of a caller, for the time of a block; nobody else gets at it."""

    def __init__(
        self,
        world: World,
        caller: str,
        scope: Scope,
        path: str,
        fields: dict[str, object],
        files: object = None,
    ) -> None:
        self._session = world.sessions[caller]
        self._strangers = world.strangers(caller, path)
        asked = {**fields, **scope.parameters, "PHASE": "RUN"}
        self._url = self._session.post(world.url(path), data=asked, files=files, timeout=60).url
        # WAIT ends with each change of the phase.
        while (phase := self.text("phase")) in ("QUEUED", "EXECUTING"):
            self._session.get(self._url, params={"WAIT": "30", "PHASE": phase}, timeout=60)
        self.phase = phase

    def text(self, part: str) -> str:
        """Return what is below the URL of the job."""
        return self._session.get(f"{self._url}/{part}", timeout=60).text

    def rows(self, result: str) -> list[dict[str, str]]:
        """Return a result in CSV."""
        return list(csv.DictReader(io.StringIO(self.text(f"results/{result}"))))

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        results = [
            f"/results/{name}" for name in ("result", "archive", "manifest", "manifest.csv", "cutouts.tar")
        ]
        for stranger in self._strangers:
            for part in ("", "/parameters", "/error", "/phase", "/owner", *results):
                assert stranger.get(self._url + part, timeout=60).status_code in (401, 403)
        self._session.delete(self._url, timeout=60)


def _valid(world: World) -> set[str]:
    with owner(world.service) as cursor:
        cursor.execute("SELECT obs_publisher_did FROM archive.products WHERE is_valid")
        return world.names({identifier for (identifier,) in cursor.fetchall()})


def tap_async(world: World, caller: str, scope: Scope) -> set[str]:
    query = {"LANG": "ADQL", "QUERY": "SELECT obs_publisher_did FROM ost.products", "FORMAT": "csv"}
    with Job(world, caller, scope, "/tap/async", query) as job:
        assert job.phase == "COMPLETED"
        return world.names({row["obs_publisher_did"] for row in job.rows("result")})


def bulk_cutouts(world: World, caller: str, scope: Scope) -> set[str]:
    """What is cut of all of them by identifier, and of whatever a position is in."""
    table = "ID,ra,dec,radius\n" + "".join(f"{did},10,41,0.1\n" for did in (*world.identifiers.values(), ""))
    uploaded = {"t": ("t.csv", table, "text/csv")}
    with Job(world, caller, scope, "/soda/async", {"UPLOAD": "t,param:t"}, uploaded) as job:
        rows = job.rows("manifest.csv")
        assert job.phase == "COMPLETED"
        named = [row for row in rows if int(row["row"]) <= len(NAMES)]
        assert {row["status"] for row in named} <= {"ok", "unknown"}
        seen = world.names({row["ID"] for row in named if row["status"] == "ok"})
        around = world.names({row["ID"] for row in rows if int(row["row"]) > len(NAMES)})
        assert around == seen & _valid(world)
        return seen


def download(world: World, caller: str, scope: Scope) -> set[str]:
    """What goes into an archive of all of them."""
    asked = {"ID": list(world.identifiers.values()), "PARTIAL": "true"}
    with Job(world, caller, scope, "/downloads", asked) as job:
        if job.phase != "COMPLETED":
            assert "No file is selected" in job.text("error")
            return set()
        rows = job.rows("manifest.csv")
        return world.names({row["obs_publisher_did"] for row in rows if row["status"] == "ok"})


def old_download(world: World, caller: str, scope: Scope) -> set[str]:
    """What OSTdata's endpoints let into an archive, and who gets at it."""
    if scope == Scope():
        base = ""
    elif caller == ANONYMOUS and scope.lowest < 4:
        return download(world, caller, scope)
    else:
        base = f"/context/{scope.project or '-'}/{scope.lowest}"
    jobs = world.url(f"{base}/api/runs/jobs")
    create = world.url(f"{base}/api/runs/runs/{RUN}/download-jobs/")
    session = world.sessions[caller]
    seen = set()
    for name in NAMES:
        # Of one that is seen the filter leaves nothing, the others are not known.
        asked = {"ids": [world.identifiers[name]], "filters": {"exptime_min": 1e6}}
        answer = session.post(create, json=asked, timeout=60)
        if answer.status_code == 404:  # nothing of the run is seen, or nothing valid
            seen = download(world, caller, scope)
            assert not seen & _valid(world)
            return seen
        assert answer.status_code == 400
        if "No file is selected" in answer.json()["detail"]:
            seen.add(name)
    if not seen:
        return seen
    made = session.post(create, json={"ids": [world.identifiers[name] for name in seen]}, timeout=60).json()
    token = {"X-Download-Token": made["job_token"]} if "job_token" in made else {}
    url = f"{jobs}/{made['job_id']}"
    while session.get(f"{url}/status", headers=token, timeout=60).json()["status"] in ("queued", "running"):
        time.sleep(0.02)
    archive = session.get(f"{url}/download", headers=token, timeout=60).content
    files = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert {name for name in NAMES if any(file.endswith(f"/{name}.fits") for file in files)} == seen
    for stranger in world.strangers(caller, "/api/runs") if not base else []:
        assert stranger.get(f"{url}/status", timeout=60).status_code == 404
        assert stranger.get(f"{url}/download", timeout=60).status_code == 404
        assert stranger.post(f"{url}/cancel", timeout=60).status_code == 404
    return seen


def tap_upload(world: World, caller: str, scope: Scope) -> set[str]:
    rows = "".join(f"<TR><TD>{did}</TD></TR>" for did in world.identifiers.values())
    table = (
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        '<FIELD name="did" datatype="char" arraysize="*"/><DATA><TABLEDATA>'
        f"{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    query = "SELECT obs_publisher_did FROM ost.products JOIN TAP_UPLOAD.t ON did = obs_publisher_did"
    answer = world.sessions[caller].post(
        world.url("/tap/sync"),
        data={"LANG": "ADQL", "QUERY": query, "FORMAT": "csv", "UPLOAD": "t,param:t", **scope.parameters},
        files={"t": table},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return world.names(_column(answer.text))


def tap_prefix(world: World, caller: str, scope: Scope) -> set[str]:
    """The same by a URL that has the context in it; anonymous callers have to log in at some."""
    if caller == ANONYMOUS and scope.lowest < 4:
        path = f"/context/-/{scope.lowest}/tap/sync"
        assert world.sessions[caller].get(world.url(path), timeout=60).status_code == 401
        return tap_sync("ost.products")(world, caller, scope)
    path = f"/context/{scope.project or '-'}/{scope.lowest}/tap/sync"
    return _csv(world, caller, path, {"LANG": "ADQL", "QUERY": "SELECT obs_publisher_did FROM ost.products"})


def sia(world: World, caller: str, scope: Scope) -> set[str]:
    return _csv(world, caller, "/sia/query", {"ID": list(world.identifiers.values()), **scope.parameters})


def sia_cone(world: World, caller: str, scope: Scope) -> set[str]:
    return _csv(world, caller, "/sia/query", {"POS": "CIRCLE 10 41 0.01", **scope.parameters})


def datalink(world: World, caller: str, scope: Scope) -> set[str]:
    answer = _get(
        world, caller, "/datalink/links", {"ID": list(world.identifiers.values()), **scope.parameters}
    )
    table = parse_single_table(io.BytesIO(answer.content)).to_table()
    links = [str(row["access_url"]) for row in table]
    # Of progenitors, derivations and calibration frames, too: none of them may be one that is not seen.
    return {name for name in NAMES if any(f"/files/{RUN}/{name}.fits" in link for link in links)}


def datalink_file(world: World, caller: str, scope: Scope) -> set[str]:
    return _reached(world, caller, scope, lambda name: f"/datalink/file?ID={world.identifiers[name]}")


def datalink_header(world: World, caller: str, scope: Scope) -> set[str]:
    return _reached(world, caller, scope, lambda name: f"/datalink/header?ID={world.identifiers[name]}")


def files(world: World, caller: str, scope: Scope) -> set[str]:
    return _reached(world, caller, scope, lambda name: f"/files/{RUN}/{name}.fits")


def cutout(world: World, caller: str, scope: Scope) -> set[str]:
    return _reached(
        world, caller, scope, lambda name: f"/soda/sync?CIRCLE=10+41+1&ID={world.identifiers[name]}"
    )


def preview(world: World, caller: str, scope: Scope) -> set[str]:
    return _reached(world, caller, scope, lambda name: f"/previews?ID={world.identifiers[name]}")


def thumbnail(world: World, caller: str, scope: Scope) -> set[str]:
    return _reached(world, caller, scope, lambda name: f"/thumbnails?ID={world.identifiers[name]}")


def api_products(world: World, caller: str, scope: Scope) -> set[str]:
    answer = _get(world, caller, "/api/v1/products", {"run": RUN, **scope.parameters})
    return world.names({row["obs_publisher_did"] for row in answer.json()["products"]})


def api_run(world: World, caller: str, scope: Scope) -> set[str]:
    answer = _get(world, caller, f"/api/v1/runs/{RUN}/files", scope.parameters)
    seen = world.names({row["obs_publisher_did"] for row in answer.json()["files"]})
    run = world.sessions[caller].get(world.url(f"/api/v1/runs/{RUN}"), params=scope.parameters, timeout=60)
    assert (run.status_code, run.json().get("files")) == ((200, len(seen)) if seen else (404, None))
    listed = _get(world, caller, "/api/v1/runs", {"text": RUN, **scope.parameters}).json()["runs"]
    assert [found["files"] for found in listed] == ([len(seen)] if seen else [])
    return seen


def page_of_run(world: World, caller: str, scope: Scope) -> set[str]:
    return _named(world, caller, f"/runs/{RUN}", scope, (200, 404))


def page_of_product(world: World, caller: str, scope: Scope) -> set[str]:
    return _reached(world, caller, scope, lambda name: f"/product?ID={world.identifiers[name]}")


def page_of_target(world: World, caller: str, scope: Scope) -> set[str]:
    seen = _named(world, caller, f"/targets/{TARGET}", scope, (200, 404))
    for path in ("/targets", f"/search?q={TARGET}"):
        listed = world.sessions[caller].get(world.url(path), params=scope.parameters, timeout=60).text
        assert (f"/targets/{TARGET}" in listed) == bool(seen)
    return seen


def page_of_calibrations(world: World, caller: str, scope: Scope) -> set[str]:
    return {
        name
        for number, name in enumerate(NAMES)
        if name in _named(world, caller, f"/darks?exposure_type=dark&t_exptime={number}", scope, (200,))
    }


def search_page(world: World, caller: str, scope: Scope) -> set[str]:
    return {
        name for name in NAMES if name in _named(world, caller, f"/search?q={RUN}/{name}.fits", scope, (200,))
    }


def _named(world: World, caller: str, path: str, scope: Scope, statuses: tuple[int, ...]) -> set[str]:
    """Return the products whose names of files a page shows."""
    answer = world.sessions[caller].get(world.url(path), params=scope.parameters, timeout=60)
    assert answer.status_code in statuses, answer.text
    return {name for name in NAMES if f">{name}.fits<" in answer.text}


def _reached(world: World, caller: str, scope: Scope, path: Callable[[str], str]) -> set[str]:
    seen = set()
    for name in NAMES:
        answer = world.sessions[caller].get(world.url(path(name)), params=scope.parameters, timeout=60)
        assert answer.status_code in (200, 404), answer.text
        if answer.status_code == 200:
            seen.add(name)
    return seen


def _csv(world: World, caller: str, path: str, parameters: dict[str, object]) -> set[str]:
    answer = _get(world, caller, path, {"RESPONSEFORMAT": "csv", **parameters})
    return world.names(_column(answer.text))


def _column(text: str) -> set[str]:
    return {row["obs_publisher_did"] for row in csv.DictReader(io.StringIO(text))}


def _get(world: World, caller: str, path: str, parameters: dict[str, object]) -> requests.Response:
    answer = world.sessions[caller].get(world.url(path), params=parameters, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


# Of each door: whether it shows what is in ivoa.obscore, or what is in ost.products.
QUICK = {"ivoa.obscore": (tap_sync("ivoa.obscore"), True), "ost.products": (tap_sync("ost.products"), False)}
DOORS = {
    **QUICK,
    "counts": (tap_count, False),
    "asynchronous": (tap_async, False),
    "bulk cutouts": (bulk_cutouts, False),
    "upload": (tap_upload, False),
    "download": (download, False),
    "former download": (old_download, False),
    "prefix": (tap_prefix, False),
    "SIA": (sia, True),
    "SIA, cone": (sia_cone, True),
    "DataLink": (datalink, False),
    "file by identifier": (datalink_file, False),
    "header": (datalink_header, False),
    "file by path": (files, False),
    "cutout": (cutout, False),
    "preview": (preview, False),
    "thumbnail": (thumbnail, False),
    "API": (api_products, False),
    "API, run": (api_run, False),
    "page of a run": (page_of_run, False),
    "page of a product": (page_of_product, False),
    "page of a target": (page_of_target, False),
    "search": (search_page, False),
    "page of calibrations": (page_of_calibrations, False),
}
