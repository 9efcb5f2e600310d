"""The files of `etc/` that an operator installs: current, and sound for the programs that read them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from ost_vo.cli import app
from ost_vo.deployment import cluster
from ost_vo.services.backup import environment_file
from ost_vo.settings import Settings, as_environment_file
from tests.conftest import Service, execute

REPOSITORY = Path(__file__).resolve().parents[2]
ETC = REPOSITORY / "etc"
UNITS = sorted(path.name for path in (ETC / "systemd").iterdir() if path.is_file())
# systemd's own measure, from 0 to 10.
EXPOSURE = 2.0
DROP_IN = ETC / "systemd" / "ost-vo-.service.d"


def test_the_settings_file_is_what_the_code_writes() -> None:
    assert (ETC / "ost_vo.env").read_text() == as_environment_file()


def test_the_settings_file_without_its_comments_is_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings()
    for line in as_environment_file().splitlines():
        if line.startswith("#OST_VO_"):
            (pair,) = shlex.split(line[1:])
            name, _, value = pair.partition("=")
            if value:
                monkeypatch.setenv(name, value)
    assert Settings() == defaults


def test_settings_in_a_backup_are_read_by_a_shell_as_they_were() -> None:
    awkward = 'a "quoted" $HOME `name` \\ back'
    given = {
        "ldap_filter": awkward,
        "ldap_url": "ldaps://d.example",
        "ldap_base": "dc=example",
        "ldap_bind_dn": "cn=reader",
        "ldap_bind_password": "pass$word",
    }
    text = environment_file(Settings(**given))
    script = f'{text}printf "%s|%s" "$OST_VO_LDAP_FILTER" "$OST_VO_LDAP_BIND_PASSWORD"'
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == f"{awkward}|pass$word"


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, with a program in the place of what is installed elsewhere."""
    directory = tmp_path_factory.mktemp("units")
    shutil.copytree(ETC / "systemd", directory, dirs_exist_ok=True)
    for unit in directory.glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/ost_vo/.venv/bin/ost-vo", "/bin/true"))
    return directory


def analyse(units: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}
    command = ["/usr/bin/systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_systemd_understands_the_units(units: Path) -> None:
    checked = analyse(units, "verify", "--man=no", *(units / name for name in UNITS))
    ours = [line for line in checked.stderr.splitlines() if "ost-vo" in line]
    assert ours == []


def test_services_are_closed_up(units: Path) -> None:
    services = [units / name for name in UNITS if name.endswith(".service")]
    checked = analyse(units, "security", "--offline=true", "--no-pager", *services)
    exposure = dict(re.findall(r"Overall exposure level for (\S+): ([0-9.]+)", checked.stdout))
    assert set(exposure) == {path.name for path in services}
    assert {name: level for name, level in exposure.items() if float(level) > EXPOSURE} == {}
    hardening = (ETC / "systemd" / "ost-vo-.service.d" / "hardening.conf").read_text()
    for line in ("ProtectSystem=strict", "NoNewPrivileges=yes", "ReadOnlyPaths=/srv/ost/data"):
        assert f"\n{line}\n" in hardening


def test_no_unit_sets_what_is_set_for_all() -> None:
    """A drop-in is read after the unit, so that the unit's own would be without effect, or joined to it."""
    for_all = set(re.findall(r"^(\w+)=", (DROP_IN / "hardening.conf").read_text(), re.MULTILINE))
    joined = {"Environment", "EnvironmentFile", "PartOf"}
    for name in UNITS:
        own = set(re.findall(r"^(\w+)=", (ETC / "systemd" / name).read_text(), re.MULTILINE))
        assert own & for_all <= joined, name
        if name.endswith(".service"):
            assert "RestrictAddressFamilies" in own, name
            assert ("Restart" in own) != ("oneshot" in (ETC / "systemd" / name).read_text()), name
    # Drop-ins are read in the order of their names, whichever directory they are in.
    later = [path.name for path in (ETC / "systemd").glob("ost-vo-?*.service.d/*.conf")]
    assert all(name > "hardening.conf" for name in later)


def test_units_call_commands_that_there_are() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    called = set()
    for name in UNITS:
        text = (ETC / "systemd" / name).read_text()
        called |= set(re.findall(r"bin/ost-vo ([a-z-]+)", text))
        for other in re.findall(r"ost-vo-[a-z]+\.(?:service|socket|timer)", text):
            assert other in UNITS
    assert called <= set(commands)
    assert {"serve", "watch", "work", "upgrade", "backup", "doctor"} <= called


def test_logrotate_turns_the_logs(tmp_path: Path) -> None:
    logs = tmp_path / "log"
    logs.mkdir()
    (logs / "web.log").write_text("line\n" * 1000)
    text = (ETC / "logrotate.d" / "ost_vo").read_text().replace("/var/lib/ost_vo", str(tmp_path))
    path = tmp_path / "ost_vo"
    path.write_text(re.sub(r"su .*", "", text))
    path.chmod(0o644)
    command = ["/usr/sbin/logrotate", "--force", "--state", str(tmp_path / "status"), str(path)]
    turned = subprocess.run(command, capture_output=True, text=True, check=False)
    assert turned.returncode == 0, turned.stderr
    assert (logs / "web.log").read_text() == ""
    assert (logs / "web.log.1").read_text() == "line\n" * 1000


def test_the_cluster_runs_with_the_settings_of_etc(service: Service) -> None:
    superuser = service.settings.dsn(cluster.SUPERUSER)
    shown = dict(
        execute(superuser, "SELECT name, setting FROM pg_settings WHERE sourcefile LIKE %s", "%ost_vo.conf")
    )
    named = re.findall(r"^([a-z_]+) = ", (ETC / "postgresql" / "ost_vo.conf").read_text(), re.MULTILINE)
    assert set(named) <= {name.lower() for name in shown}
    assert shown["max_connections"] == "200"
    assert execute(superuser, "SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL") == []
