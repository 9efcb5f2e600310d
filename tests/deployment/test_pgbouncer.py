"""The service through pgbouncer as `etc/` configures it: callers share the server's sessions."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
import requests
from lxml import etree

from ost_vo.deployment import accounts
from ost_vo.deployment.publisher import free_port
from ost_vo.settings import Settings
from tests.blues import PASSWORD, Blues, blues, blues_project
from tests.conftest import Service, execute
from tests.serving import Serving

__all__ = ["blues", "blues_project"]

ETC = Path(__file__).resolve().parents[2] / "etc" / "pgbouncer"
PROGRAM = "/usr/sbin/pgbouncer"
WAIT_SECONDS = 120
# Of a role; with fewer than there are callers, a session serves several of them in turn.
POOL = 2
PORT = 6432
SLOW = "SELECT COUNT(*) AS n FROM " + ", ".join(f"ivoa.obscore AS t{number}" for number in range(9))
TABLE = b"""<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>
<FIELD name="n" datatype="int"/><DATA><TABLEDATA><TR><TD>20</TD></TR><TR><TD>22</TD></TR></TABLEDATA></DATA>
</TABLE></RESOURCE></VOTABLE>"""


@dataclass(frozen=True)
class Pooled:
    """A web service behind pgbouncer.

    Attributes:
        url: of the service.
        settings: of the service.
    """

    url: str
    settings: Settings

    def seen(self, user: str | None = None) -> set[str]:
        """Return which products of the project a caller sees."""
        query = "SELECT path FROM ost.products WHERE path LIKE 'blues/%'"
        return {line.split("/")[1] for line in self.query(query, user).split()[1:]}

    def query(self, adql: str, user: str | None = None, table: bytes = b"") -> str:
        """Return the answer to a query, which may read a table as TAP_UPLOAD.t, as CSV."""
        asked = {"LANG": "ADQL", "QUERY": adql, "FORMAT": "csv", **({"UPLOAD": "t,param:t"} if table else {})}
        auth = (user, PASSWORD) if user else None
        files = {"t": ("t", table)} if table else None
        answer = requests.post(f"{self.url}/tap/sync", asked, files=files, auth=auth, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture(scope="module")
def pooled(service: Service) -> Iterator[Pooled]:
    """The service, behind a pgbouncer with the files of `etc/` and a pool that is much too small."""
    account = accounts.account(service.settings.state)
    with tempfile.TemporaryDirectory(prefix="ost_vo-test-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        sockets = account.own(directory / "run", 0o700)
        configure(directory, sockets, service.settings)
        log = directory / "log"
        with log.open("wb") as output:
            command = account.command(PROGRAM, directory / "pgbouncer.ini")
            process = subprocess.Popen(command, stdout=output, stderr=output)
        until(lambda: (sockets / f".s.PGSQL.{PORT}").exists() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        pooler = f"host={sockets} port={PORT} dbname=ost_vo"
        settings = Settings(**{**service.settings.model_dump(), "port": free_port(), "pooler": pooler})
        with Serving(settings) as url:
            yield Pooled(url, settings)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_SECONDS) == 0, log.read_text()


def configure(directory: Path, sockets: Path, settings: Settings) -> None:
    """Write the files of `etc/` with the places of this test."""
    written = (ETC / "pgbouncer.ini").read_text()
    for old, new in (
        ("host=/var/lib/ost_vo/run", f"host={settings.sockets}"),
        ("unix_socket_dir = /var/lib/ost_vo/run", f"unix_socket_dir = {sockets}"),
        ("/opt/ost_vo/etc/pgbouncer", str(directory)),
        ("default_pool_size = 60", f"default_pool_size = {POOL}"),
        ("reserve_pool_size = 10", "reserve_pool_size = 0"),
    ):
        assert old in written
        written = written.replace(old, new)
    for name, text in (("pgbouncer.ini", written), ("ost_vo.users", (ETC / "ost_vo.users").read_text())):
        (directory / name).write_text(text)
        (directory / name).chmod(0o644)


@pytest.mark.usefixtures("blues")
def test_callers_who_share_sessions_see_their_own_and_no_more(pooled: Pooled) -> None:
    everything = {"raw1", "raw2", "sum", "other"}
    callers = [None, "bob", "eve", "bob", None, "anna"] * 6
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(pooled.seen, callers))
    for caller, seen in zip(callers, found, strict=True):
        assert seen == (everything if caller == "bob" else set()), caller
    # Nothing of a context stays in a session.
    connection = psycopg2.connect(pooled.settings.pooled_dsn("ost_web"))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('ost.user_id', true), current_user")
        user, role = cursor.fetchone()
    connection.close()
    assert (user or "", role) == ("", "ost_web")


def test_log_in_uploads_and_links(pooled: Pooled, blues: Blues) -> None:
    with requests.Session() as session:
        entered = session.post(f"{pooled.url}/login", {"username": "bob", "password": PASSWORD}, timeout=60)
        assert entered.headers["X-VO-Authenticated"] == "bob"
        me = session.get(f"{pooled.url}/api/v1/me", timeout=60)
        assert me.json()["name"] == "bob"
        assert session.post(f"{pooled.url}/logout", timeout=60).status_code == 200
    for _ in range(3):
        assert pooled.query("SELECT SUM(n) AS s FROM TAP_UPLOAD.t", table=TABLE).split() == ["s", "42"]
    identifier = blues.did("sum")
    # Statements that are prepared are another session's the next time.
    for user, rows in ((None, 0), ("bob", 1), ("eve", 0), ("bob", 1), (None, 0), ("bob", 1)):
        links = requests.get(
            f"{pooled.url}/datalink/links",
            {"ID": identifier},
            auth=(user, PASSWORD) if user else None,
            timeout=60,
        )
        assert links.text.count("<TD>#progenitor</TD>") == 2 * rows, links.text


def test_a_job_runs_and_one_that_is_aborted_leaves_the_database(pooled: Pooled) -> None:
    asked = {"LANG": "ADQL", "QUERY": "SELECT TOP 3 obs_id FROM ivoa.obscore", "PHASE": "RUN"}
    done = requests.post(f"{pooled.url}/tap/async", asked, timeout=60).url
    assert ended(done) == "COMPLETED"
    job = requests.post(f"{pooled.url}/tap/async", {**asked, "QUERY": SLOW}, timeout=60).url
    superuser = pooled.settings.dsn("postgres")
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
        " AND query LIKE 'COPY%%t8%%' AND backend_type = 'client backend'"
    )
    until(lambda: execute(superuser, running) == [(1,)])
    requests.post(f"{job}/phase", {"PHASE": "ABORT"}, timeout=60)
    assert ended(job) == "ABORTED"
    until(lambda: execute(superuser, running) == [(0,)])
    for url in (done, job):
        assert requests.delete(url, timeout=60).status_code == 200


def ended(job: str) -> str:
    """Wait for the end of a job and return its phase."""
    for _ in range(WAIT_SECONDS // 5):
        answer = etree.fromstring(requests.get(job, {"WAIT": "5"}, timeout=60).content)
        phase = answer.findtext("{*}phase")
        if phase not in ("PENDING", "QUEUED", "EXECUTING"):
            break
    return phase


def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    for _ in range(WAIT_SECONDS * 20):
        if condition():
            return
        signal.sigtimedwait([], 0.05)
    raise AssertionError("it has not come about")
