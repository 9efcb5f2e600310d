"""A backup, the end of the archive, and its restoration: the same rows for the same queries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from ost_vo.access.actor import OPERATOR
from ost_vo.deployment.publisher import free_port
from ost_vo.faults import UsageFault
from ost_vo.services import backup, people
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from tests.conftest import Service, execute
from tests.serving import Serving

PASSWORD = "a long enough password"
QUERIES = (
    "SELECT obs_publisher_did, access_url, s_ra, s_dec, t_min, target_name FROM ivoa.obscore ORDER BY 1",
    "SELECT * FROM ost.products ORDER BY obs_publisher_did",
    "SELECT COUNT(*) AS n FROM ivoa.obscore WHERE 1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(83.8, -5.4, 5))",
    "SELECT table_name, column_name, unit, ucd FROM tap_schema.columns"
    " WHERE table_name LIKE 'ost.%' OR table_name LIKE 'ivoa.%' ORDER BY 1, 2",
)


@dataclass(frozen=True)
class Saved:
    """A backup of the running archive, and what callers saw when it was written."""

    path: Path
    settings: Settings
    token: str
    rows: dict[tuple[str, str], str]


def seen(url: str, token: str) -> dict[tuple[str, str], str]:
    """Return what an anonymous caller and a user get for each of the queries."""
    found = {}
    for caller, headers in (("anonymous", {}), ("user", {"Authorization": f"Bearer {token}"})):
        for query in QUERIES:
            asked = {"LANG": "ADQL", "QUERY": query, "FORMAT": "csv"}
            answer = requests.get(f"{url}/tap/sync", params=asked, headers=headers, timeout=60)
            assert answer.status_code == 200, answer.text
            found[caller, query] = answer.text
    return found


def command(settings: Settings, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OST_VO_")}
    for name, value in settings.model_dump().items():
        if value is not None:
            environment[f"OST_VO_{name.upper()}"] = str(value)
    run = [sys.executable, "-m", "ost_vo.cli", *map(str, arguments)]
    return subprocess.run(run, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def saved(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    """A backup of an archive in which a user alone may see one of the files."""
    database = Database(service.settings.dsn("ost_accounts"), 1)
    people.create(database, OPERATOR, "berta", PASSWORD)
    actor = people.actor_named(database, "berta")
    token, _ = people.create_token(database, service.settings, actor, "restored", ["read"], 1)
    database.close()
    superuser = service.settings.dsn("postgres")
    ((hidden, level),) = execute(
        superuser, "SELECT product_id, privileges FROM archive.products ORDER BY product_id LIMIT 1"
    )
    execute(
        superuser,
        "UPDATE archive.products SET privileges = 1, creator_id = (SELECT user_id FROM archive.users"
        " WHERE name = 'berta') WHERE product_id = %s",
        hidden,
    )
    path = tmp_path_factory.mktemp("backup") / "archive.tar"
    with Serving(Settings(**{**service.settings.model_dump(), "port": free_port()})) as url:
        rows = seen(url, token)
    written = command(service.settings, "backup", path)
    assert written.returncode == 0, written.stderr
    yield Saved(path, service.settings, token, rows)
    execute(
        superuser,
        "UPDATE archive.products SET privileges = %s, creator_id = (SELECT user_id FROM archive.users"
        " WHERE name = 'ingest') WHERE product_id = %s",
        level,
        hidden,
    )
    execute(superuser, "DELETE FROM archive.users WHERE name = 'berta'")


def test_a_restored_archive_answers_as_the_lost_one(
    saved: Saved, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = tmp_path_factory.mktemp("lost") / "state"
    state.parent.chmod(0o755)
    lost = {
        **saved.settings.model_dump(),
        "state": state,
        "data_root": saved.settings.data,
        "public_url": saved.settings.base_url,
        "port": free_port(),
    }
    settings = Settings(**lost)
    restored = command(settings, "restore", saved.path)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "data files are there" in restored.stdout
    assert oct((state / "settings.env").stat().st_mode)[-3:] == "600"

    again = command(settings, "restore", saved.path)
    assert again.returncode == 1
    assert "already" in again.stderr

    upgraded = command(settings, "upgrade")
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    assert "GAVOSETTINGS=" in (state / "services.env").read_text()

    with _Cluster(settings), Serving(settings) as url:
        assert seen(url, saved.token) == saved.rows
        entered = requests.get(f"{url}/api/v1/me", auth=("berta", PASSWORD), timeout=60)
        assert entered.json()["name"] == "berta"


class _Cluster:
    """The database of a state directory, for the time of a block."""

    def __init__(self, settings: Settings) -> None:
        from ost_vo.deployment.archive import Archive

        self._archive = Archive(settings)

    def __enter__(self) -> None:
        self._archive.start_cluster(print)

    def __exit__(self, *_: object) -> None:
        self._archive.stop()


def test_a_backup_says_what_is_in_it_and_is_for_operators_alone(saved: Saved, service: Service) -> None:
    assert oct(saved.path.stat().st_mode)[-3:] == "600"
    with backup.opened(saved.path) as opened:
        assert opened.manifest.counts["archive.products"] == opened.manifest.files
        assert "archive.sessions" not in opened.manifest.counts
        assert f'OST_VO_STATE="{service.settings.state}"' in opened.settings
        root = service.settings.data
        assert list(backup.missing(opened.files(), root, read=True)) == []
        ((name, problem), *_) = backup.missing(opened.files(), root / "elsewhere")
        assert name
        assert problem == "not there"
    again = command(service.settings, "backup", saved.path)
    assert again.returncode == 1
    assert "exists" in again.stderr


@pytest.mark.parametrize("damage", ["dump", "later", "none"])
def test_a_damaged_or_later_backup_is_refused(saved: Saved, tmp_path: Path, damage: str) -> None:
    with tarfile.open(saved.path) as packed:
        packed.extractall(tmp_path / "parts")
    parts = tmp_path / "parts"
    if damage == "dump":
        with (parts / backup.DUMP).open("ab") as dump:
            dump.write(b"x")
    elif damage == "later":
        manifest = json.loads((parts / backup.MANIFEST).read_text())
        (parts / backup.MANIFEST).write_text(json.dumps({**manifest, "revision": "9999"}))
    else:
        shutil.rmtree(parts)
        parts.mkdir()
    with tarfile.open(tmp_path / "changed.tar", "w") as packed:
        for part in parts.iterdir():
            packed.add(part, part.name)
    told = {"dump": "another checksum", "later": "later version", "none": "is no backup"}[damage]
    with pytest.raises(UsageFault, match=told), backup.opened(tmp_path / "changed.tar"):
        pass
