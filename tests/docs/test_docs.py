"""The documentation says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import ost_vo
from ost_vo.cli import app
from ost_vo.faults import UsageFault
from ost_vo.settings import Settings, as_markdown

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_setting_is_documented() -> None:
    assert (REPOSITORY / "docs" / "settings.md").read_text().endswith(as_markdown())


def test_every_document_that_the_readme_links_to_exists() -> None:
    text = (REPOSITORY / "README.md").read_text()
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    assert links
    for link in links:
        assert (REPOSITORY / link).exists(), link


def test_make_help_names_the_two_commands() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in ("run", "test", "docs", "lint", "bench", "clean", "help"):
        assert f"\n{target}:" in makefile


def test_every_command_says_what_it_does() -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == ost_vo.__version__
    assert citation["authors"]


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    assert "\n## Unreleased\n" in (REPOSITORY / "CHANGELOG.md").read_text()


def test_an_unknown_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OST_VO_PROT", "8001")
    with pytest.raises(UsageFault, match="OST_VO_PROT"):
        Settings()
