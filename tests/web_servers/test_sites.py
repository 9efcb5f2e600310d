"""The sites of `etc/` in the real web servers, in front of one archive below a path, with TLS."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
import requests
from astropy.io.votable import parse_single_table

from ingest.load import ingest
from ost_vo.access.actor import OPERATOR
from ost_vo.deployment.publisher import free_port
from ost_vo.services import people
from ost_vo.settings import Settings
from ost_vo.store import site as site_table
from ost_vo.store.connections import Database
from tests.conftest import Service, execute
from tests.ingest.frames import TAN, write_frame
from tests.serving import Serving
from tests.web_servers import servers
from tests.web_servers.servers import Place, Running

SENDFILE = {"nginx": "x-accel-redirect", "apache": "x-sendfile", "caddy": "x-accel-redirect"}
COMMANDS = {"nginx": servers.nginx, "apache": servers.apache, "caddy": servers.caddy}
CHECKS = {"nginx": ("-t",), "apache": ("-t",), "caddy": ("validate",)}
PASSWORD = "a long enough password"
RUN = "web_servers"
LARGE_BYTES = 50 * 2**20


@dataclass(frozen=True)
class Site:
    """An archive behind a web server.

    Attributes:
        name: of the web server.
        url: of the archive, as the world sees it.
        place: where the web server runs.
        session: which trusts its certificate.
    """

    name: str
    url: str
    place: Place
    session: requests.Session

    def get(self, path: str, **options: object) -> requests.Response:
        return self.session.get(self.url + path, timeout=60, **options)  # type: ignore[arg-type]

    def query(self, adql: str) -> list[dict[str, str]]:
        answer = self.get("/tap/sync", params={"LANG": "ADQL", "QUERY": adql})
        assert answer.status_code == 200, answer.text
        table = parse_single_table(io.BytesIO(answer.content)).to_table()
        return [{name: str(row[name]) for name in table.colnames} for row in table]


@pytest.fixture(scope="module")
def place(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Ports and a certificate, an archive whose public URL is the site's, and files only a user may have."""
    directory = tmp_path_factory.mktemp("site")
    directory.chmod(0o755)
    place = Place(directory, free_port(), free_port(), free_port(), service.settings.data)
    servers.write_certificate(place)
    url = f"https://localhost:{place.https}/data_archive"
    database = Database(service.settings.dsn("ost_accounts"), 1)
    people.create(database, OPERATOR, "wanda", PASSWORD)
    database.close()
    files = [write_frame(place.data / RUN / f"{name}.fits", TAN) for name in ("a+b é", "large")]
    with files[1].open("r+b") as large:
        large.truncate(LARGE_BYTES)
    ingest([place.data / RUN], service.settings)
    superuser = service.settings.dsn("postgres")
    execute(
        superuser,
        "UPDATE archive.products SET privileges = 1, creator_id ="
        " (SELECT user_id FROM archive.users WHERE name = 'wanda') WHERE path LIKE %s",
        f"{RUN}/%",
    )
    _publish(service.settings, url)
    yield place
    _publish(service.settings, service.settings.base_url)
    execute(superuser, "DELETE FROM archive.products WHERE path LIKE %s", f"{RUN}/%")
    execute(superuser, "DELETE FROM archive.runs WHERE name = %s", RUN)
    execute(superuser, "DELETE FROM archive.users WHERE name = 'wanda'")
    for file in files:
        file.unlink()


def _publish(settings: Settings, url: str) -> None:
    connection = psycopg2.connect(settings.dsn("ost_owner"))
    with connection:
        site_table.set_public_url(connection, url)
    connection.close()


@pytest.fixture(scope="module", params=list(COMMANDS))
def site(request: pytest.FixtureRequest, service: Service, place: Place) -> Iterator[Site]:
    name = request.param
    url = f"https://localhost:{place.https}/data_archive"
    chosen = {
        "port": place.backend,
        "public_url": url,
        "trusted_proxies": "127.0.0.0/8",
        "sendfile": SENDFILE[name],
    }
    settings = Settings(**{**service.settings.model_dump(), **chosen})
    session = requests.Session()
    # Certificates that the environment names would come first.
    session.trust_env = False
    session.verify = str(place.certificate)
    with Serving(settings), Running(COMMANDS[name](place), place):
        yield Site(name, url, place, session)
    session.close()


def _is_of_the_site(site: Site, text: str) -> bool:
    """Say whether a document leads to the site, and nowhere else on this machine."""
    return f"{site.url}/" in text and not any(
        place in text.replace(site.url, "") for place in ("localhost", "127.0.0.1")
    )


def test_every_document_leads_to_https_below_the_path(site: Site) -> None:
    capabilities = [f"/{name}/capabilities" for name in ("tap", "sia", "datalink", "soda")]
    for path in ("/", *capabilities, "/tap/examples", "/login", "/api/v1/openapi.json"):
        answer = site.get(path)
        assert answer.status_code == 200, path
        assert _is_of_the_site(site, answer.text) or path == "/login", path
    (row,) = site.query(
        "SELECT TOP 1 access_url, obs_publisher_did FROM ivoa.obscore WHERE dataproduct_type = 'image'"
    )
    assert row["access_url"].startswith(f"{site.url}/datalink/links?ID=")
    links = site.session.get(row["access_url"], timeout=60)
    assert _is_of_the_site(site, links.text)
    followed = site.get("/datalink/file", params={"ID": row["obs_publisher_did"]})
    assert followed.status_code == 200
    found = site.get("/sia/query", params={"MAXREC": "3"})
    assert _is_of_the_site(site, found.text)
    asked = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 * FROM ivoa.obscore", "PHASE": "RUN"}
    job = site.session.post(f"{site.url}/tap/async", asked, allow_redirects=False, timeout=60)
    assert job.status_code == 303
    assert job.headers["Location"].startswith(f"{site.url}/tap/async/")
    assert site.session.delete(job.headers["Location"], timeout=60).status_code == 200


def test_only_the_archive_is_reached_and_only_by_https(site: Site) -> None:
    plain = site.session.get(
        f"http://localhost:{site.place.http}/data_archive/tap", allow_redirects=False, timeout=60
    )
    assert plain.status_code in (301, 308)
    assert plain.headers["Location"].startswith("https://localhost")
    slash = site.get("/tap/capabilities/", allow_redirects=False)
    assert slash.status_code == 200
    # From the loopback, by a proxy that is trusted: the site itself keeps them.
    assert site.get("/metrics").status_code == 404
    beside = site.session.get(
        f"https://localhost:{site.place.https}/ost_vo_files/{RUN}/large.fits", timeout=60
    )
    assert beside.status_code in (403, 404) or (site.name, beside.content) == ("caddy", b"")


def test_files_come_in_ranges_with_the_archives_validators(site: Site, service: Service) -> None:
    ((path,),) = execute(
        service.settings.dsn("postgres"),
        "SELECT path FROM archive.products WHERE path LIKE '%%.fits' AND privileges = 5"
        " ORDER BY path LIMIT 1",
    )
    content = (site.place.data / path).read_bytes()
    whole = site.get(f"/files/{path}")
    assert whole.content == content
    assert "X-Accel-Redirect" not in whole.headers
    assert "X-Sendfile" not in whole.headers
    assert whole.headers["Content-Disposition"].startswith("attachment")
    tag = whole.headers["ETag"]
    cases = {"bytes=0-99": content[:100], "bytes=-80": content[-80:], "bytes=100-": content[100:]}
    for wanted, expected in cases.items():
        part = site.get(f"/files/{path}", headers={"Range": wanted, "If-Range": tag})
        assert (part.status_code, part.content == expected) == (206, True), wanted
    assert site.get(f"/files/{path}", headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert site.get(f"/files/{path}", headers={"If-None-Match": tag}).status_code == 304
    changed = site.get(f"/files/{path}", headers={"Range": "bytes=0-99", "If-Range": '"other"'})
    assert (changed.status_code, len(changed.content)) == (200, len(content))


def test_a_login_opens_large_files_that_the_web_server_sends(site: Site) -> None:
    large, named = f"/files/{RUN}/large.fits", f"/files/{RUN}/a+b%20%C3%A9.fits"
    for path in (large, named):
        assert site.get(path).status_code == 404
    entered = site.session.post(f"{site.url}/login", {"username": "wanda", "password": PASSWORD}, timeout=60)
    assert entered.headers["X-VO-Authenticated"] == "wanda"
    (cookie,) = site.session.cookies
    assert (cookie.path, cookie.secure) == ("/data_archive", True)
    with site.get(large, stream=True) as answer:
        assert answer.headers["Content-Length"] == str(LARGE_BYTES)
        assert sum(map(len, answer.iter_content(2**20))) == LARGE_BYTES
        assert "private" in answer.headers["Cache-Control"]
    end = site.get(large, headers={"Range": "bytes=-100"})
    assert (end.status_code, end.content) == (206, bytes(100))
    assert site.get(named).content == (site.place.data / RUN / "a+b é.fits").read_bytes()
    assert site.session.head(site.url + large, timeout=60).headers["Content-Length"] == str(LARGE_BYTES)
    assert site.session.post(f"{site.url}/logout", timeout=60).status_code == 200
    assert site.get(large).status_code == 404
    shown = requests.get(
        site.url + named, auth=("wanda", PASSWORD), verify=str(site.place.certificate), timeout=60
    )
    assert shown.status_code == 200


def test_a_table_is_uploaded(site: Site) -> None:
    rows = "".join(f"<TR><TD>{number}</TD></TR>" for number in range(60_000))
    table = (
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        f'<FIELD name="n" datatype="int"/><DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE>'
        "</VOTABLE>"
    )
    asked = {
        "LANG": "ADQL",
        "QUERY": "SELECT sum(n) AS s FROM TAP_UPLOAD.t",
        "UPLOAD": "t,param:t",
        "FORMAT": "csv",
    }
    answer = site.session.post(f"{site.url}/tap/sync", asked, files={"t": table}, timeout=60)
    assert answer.text.split() == ["s", str(60_000 * 59_999 // 2)]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_site_for_a_host_of_its_own_is_valid(name: str, tmp_path: Path) -> None:
    place = Place(tmp_path, 8000, free_port(), free_port(), tmp_path, "/")
    servers.write_certificate(place)
    checked = subprocess.run(
        COMMANDS[name](place, *CHECKS[name]),
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path)},
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
