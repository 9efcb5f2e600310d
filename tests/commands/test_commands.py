"""The commands, as the operator and as users give them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ost_vo import faults
from ost_vo.cli import app
from ost_vo.client import Archive
from tests.blues import PASSWORD, Blues


class Shell:
    """Gives commands."""

    def __init__(self, blues: Blues) -> None:
        settings = blues.service.settings
        self.environment = {"OST_VO_STATE": str(settings.state), "OST_VO_PORT": str(settings.port)}

    def run(self, *words: str, typed: str = "") -> Result:
        """Give a command; return how it ended."""
        return CliRunner().invoke(app, list(words), input=typed, env=self.environment)

    def __call__(self, *words: str, typed: str = "") -> str:
        """Give a command that succeeds; return what it prints."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 0, (result.output, result.exception)
        return str(result.stdout)

    def refusal(self, *words: str) -> faults.Fault:
        """Give a command that is refused; return the fault."""
        result = self.run(*words)
        assert isinstance(result.exception, faults.Fault), (result.output, result.exception)
        return result.exception


@pytest.fixture
def shell(blues: Blues) -> Shell:
    return Shell(blues)


def test_a_user_from_the_beginning_to_the_end(blues: Blues, shell: Shell) -> None:
    shell("user", "add", "dora", "--role", "supervisor", "--full-name", "Dora D.", typed=f"{PASSWORD}\n" * 2)
    assert blues.archive("dora").me()["role"] == "supervisor"
    assert "Dora D." in shell("user", "list", "--as", "bob")
    shell("user", "password", "dora", "--stdin", typed="another long password\n")
    assert Archive(blues.service.url, "dora", "another long password").me()["name"] == "dora"
    assert "staff" in shell("user", "role", "dora", "staff")
    shell("user", "deactivate", "dora", "--reason", "on leave")
    with pytest.raises(faults.AuthenticationFault):
        Archive(blues.service.url, "dora", "another long password").me()
    shell("user", "activate", "dora")
    assert shell.run("user", "delete", "dora", typed="n\n").exit_code == 1
    shell("user", "delete", "dora", "--yes")
    assert "dora" not in shell("user", "list")
    assert "on leave" in shell("audit", "--subject", "dora")


def test_a_password_is_no_argument(shell: Shell) -> None:
    assert shell.run("user", "add", "dora", "--password", PASSWORD).exit_code == 2
    assert "standard input" in shell.refusal("user", "add", "dora", "--stdin").detail


def test_who_acts_as_a_user_has_the_rights_of_the_user(shell: Shell) -> None:
    assert isinstance(
        shell.refusal("user", "add", "dora", "--no-password", "--as", "bob"), faults.AuthorizationFault
    )
    assert isinstance(shell.refusal("user", "list", "--as", "nobody"), faults.NotFoundFault)
    assert isinstance(shell.refusal("project", "show", "BLUES", "--as", "eve"), faults.NotFoundFault)
    assert isinstance(
        shell.refusal("member", "add", "BLUES", "eve", "--as", "bob"), faults.AuthorizationFault
    )
    assert isinstance(shell.refusal("audit", "--as", "bob"), faults.AuthorizationFault)


def test_a_token_is_printed_once(blues: Blues, shell: Shell) -> None:
    secret = shell("token", "add", "laptop", "--as", "bob", "--scopes", "read,write", "--days", "1").strip()
    assert Archive(blues.service.url, token=secret).me()["scopes"] == ["read", "write"]
    listed = shell("token", "list", "--of", "bob")
    assert "laptop" in listed
    assert secret not in listed
    shell("token", "revoke", "laptop", "--as", "bob")
    with pytest.raises(faults.AuthenticationFault):
        Archive(blues.service.url, token=secret).me()
    assert "--of" in shell.refusal("token", "list").hint


def test_projects_members_and_directories(blues: Blues, shell: Shell) -> None:
    shell("project", "add", "BLUES3", "--public", "--manager", "anna", "--description", "third")
    assert "third" in shell("project", "list", "--as", "eve")
    shell("project", "change", "BLUES3", "--max-privileges", "3", "--description", "", "--as", "root")
    shown = shell("project", "show", "BLUES3")
    assert "no description" in shown
    assert "maximum level 3" in shown
    shell("member", "add", "BLUES3", "bob", "--manager", "--as", "anna")
    assert "bob" in shell("member", "list", "BLUES3")
    shell("member", "remove", "BLUES3", "bob")
    shell("project", "directory", "set", "blues/new", "BLUES3", "--creator", "bob", "--privileges", "2")
    assert "blues/new" in shell("project", "directory", "list")
    assert "creation scopes" in shell.refusal("project", "delete", "BLUES3", "--yes").detail
    shell("project", "directory", "remove", "blues/new")
    shell("project", "delete", "BLUES3", "--yes")
    assert "BLUES3" not in {str(name) for name in blues.archive("root").projects()["name"]}


def test_the_context_of_a_user(shell: Shell) -> None:
    assert "BLUES, from level 2 on" in shell(
        "context", "set", "bob", "--project", "BLUES", "--privileges", "2"
    )
    assert "BLUES, from level 2 on" in shell("context", "show", "bob")
    assert "BLUES, from level 3 on" in shell("context", "set", "bob", "--privileges", "3")
    assert "all projects, from level 1 on" in shell("context", "set", "bob", "--project", "")
    assert isinstance(shell.refusal("context", "set", "eve", "--project", "BLUES"), faults.AuthorizationFault)


def test_publishing_lists_what_will_happen_and_asks(blues: Blues, shell: Shell) -> None:
    words = ("publish", blues.did("sum"), "--privileges", "2", "--as", "bob", "--reason", "ready")
    result = shell.run(*words, typed="n\n")
    assert result.exit_code == 1
    assert {blues.did(name) in result.output for name in ("raw1", "raw2", "sum")} == {True}
    assert set(blues.levels().values()) == {1}
    assert "3 products changed" in shell(*words, typed="y\n")
    assert "Nothing changes" in shell(*words)
    assert blues.levels() == {"raw1": 2, "raw2": 2, "sum": 2, "other": 1}
    assert "ready" in shell("audit", "--subject", blues.did("sum"), "--limit", "1")


def test_products_by_a_query_in_the_scope_of_who_asks(blues: Blues, shell: Shell) -> None:
    query = "SELECT obs_publisher_did FROM ost.products WHERE run_name = 'blues'"
    shell("publish", "--query", query, "--privileges", "2", "--yes", "--as", "bob")
    assert set(blues.levels().values()) == {2}
    shell("unpublish", "--query", query, "--yes")  # nothing is above level 2
    shell("publish", blues.did("sum"), "--privileges", "4", "--yes")
    assert blues.levels() == {"raw1": 3, "raw2": 3, "sum": 4, "other": 2}
    shell("invalidate", "--query", f"{query} AND obs_id LIKE 'blues raw%'", "--yes")
    valid = dict(
        blues.rows("SELECT substr(path, 7), is_valid FROM archive.products WHERE path LIKE 'blues/%'")
    )
    assert valid == {"raw1": False, "raw2": False, "sum": True, "other": True}
    shell("revalidate", blues.did("raw1"), "--yes", "--as", "anna")
    shell("release", blues.did("other"), "--date", "2020-01-01", "--yes")
    assert blues.archive().products[blues.did("other")].row["data_rights"] == "public"
    shell("release", blues.did("other"), "--date", "none", "--yes")
    shell("delete", "--query", f"{query} AND obs_id <> 'blues raw1' AND obs_id <> 'blues raw2'", "--yes")
    assert set(blues.levels()) == {"raw1", "raw2"}


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("publish", "--privileges", "2"), faults.UsageFault),
        (("publish", "ivo://x/y?1", "--query", "SELECT 1", "--privileges", "2"), faults.UsageFault),
        (("publish", "ivo://x/y?1", "--privileges", "2"), faults.NotFoundFault),
        (("delete", "--query", "SELECT obs_id FROM ost.products"), faults.UsageFault),
        (("delete", "--query", "SELECT obs_publisher_did FROM nothing"), faults.QueryFault),
        (("release", "ivo://x/y?1", "--date", "tomorrow"), faults.UsageFault),
        (("audit", "--since", "yesterday"), faults.UsageFault),
        (("user", "role", "bob"), faults.UsageFault),
        (("member", "remove", "BLUES", "anna"), faults.ConflictFault),
    ],
)
def test_refusals_are_faults(shell: Shell, words: tuple[str, ...], fault: type[faults.Fault]) -> None:
    assert isinstance(
        shell.refusal(*words, "--yes") if words[0] == "publish" else shell.refusal(*words), fault
    )


def test_lineage_is_shown_and_set(blues: Blues, shell: Shell) -> None:
    shown = shell("lineage", "show", blues.did("sum"), "--as", "bob")
    assert blues.did("raw1") in shown
    shell("lineage", "set", blues.did("sum"), blues.did("other"), "--as", "bob")
    shown = shell("lineage", "show", blues.did("sum"), "--as", "bob")
    assert blues.did("raw1") not in shown
    assert blues.did("other") in shown
    # The operator sees what is at level 2 and above.
    assert isinstance(shell.refusal("lineage", "show", blues.did("sum")), faults.NotFoundFault)


def test_a_refused_command_ends_with_status_1(shell: Shell) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ost_vo.cli", "project", "show", "NOTHING"],
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no project NOTHING." in done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_of_a_group_says_what_it_does() -> None:
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            assert command.callback.__doc__
