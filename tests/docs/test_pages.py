"""The documentation as it is built: without a warning, whole, and from this machine alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from lxml import etree, html
from starlette.routing import Mount, Route
from typer.core import TyperGroup

from ost_vo.cli import app
from ost_vo.settings import Settings
from ost_vo.vo import adql
from ost_vo.web import pages as browser_pages
from ost_vo.web.api import application
from ost_vo.web.api.paths import operations
from ost_vo.web.app import create_app
from tests.docs.conftest import DOCS

DOCUMENTS = sorted(path.relative_to(DOCS) for path in DOCS.glob("*.md"))


def headings(page: Path) -> set[str]:
    """Return the headings of a page, without the links to them."""
    found = html.parse(page).iterfind(".//article//{*}section/*")
    return {next(iter(item.itertext())) for item in found if re.fullmatch(r"h\d", str(item.tag))}


def test_every_document_is_a_page_that_the_menu_leads_to(pages: Path) -> None:
    menu = html.parse(pages / "index.html").findall(".//div[@class='sidebar-tree']//a")
    assert {Path(link.get("href")).stem for link in menu} >= {path.stem for path in DOCUMENTS} - {"index"}


def test_pages_load_nothing_from_elsewhere(pages: Path) -> None:
    for page in pages.glob("**/*.html"):
        tree = html.parse(page)
        sources = [item.get("src") or item.get("href") for item in tree.iterfind(".//script")]
        sources += [item.get("src") for item in tree.iterfind(".//img")]
        sources += [item.get("href") for item in tree.iterfind(".//link[@rel='stylesheet']")]
        assert not [source for source in sources if source and "//" in source], page.name


def test_every_command_has_a_section(pages: Path) -> None:
    root = typer.main.get_command(app)

    def paths(command: TyperGroup, path: str) -> set[str]:
        found = {f"{path} {name}" for name in command.commands}
        groups = (item for item in command.commands.items() if isinstance(item[1], TyperGroup))
        return found.union(*(paths(group, f"{path} {name}") for name, group in groups))

    assert headings(pages / "commands.html") >= paths(root, "ost-vo")


def test_every_operation_of_the_api_has_a_section(pages: Path) -> None:
    described = operations(application.create())["paths"].items()
    assert headings(pages / "http.html") >= {
        f"{method.upper()} {path}" for path, methods in described for method in methods
    }


def test_every_table_and_column_is_described(pages: Path) -> None:
    text = etree.tostring(html.parse(pages / "tables.html"), encoding="unicode")
    for descriptor in (DOCS.parent / "resdir").glob("*/q.rd"):
        resource = etree.parse(descriptor).getroot()
        for table in resource.iterfind("table[@adql='True']"):
            assert f"{resource.get('schema')}.{table.get('id')}<" in text
            for column in table.iterfind("column"):
                if column.get("hidden") != "True":
                    assert f">{column.get('name').removeprefix('quoted/')}</span>" in text


def test_every_address_but_those_of_the_pages_is_in_the_list(tmp_path: Path) -> None:
    served = create_app(Settings(state=tmp_path)).routes
    addresses = {route.path for route in served if isinstance(route, Route | Mount)}
    addresses -= {route.path for route in browser_pages.routes if isinstance(route, Route | Mount)}
    listed = re.findall(r"`(/[^`]*)`", (DOCS / "http.md").read_text())
    assert {path.split("/")[1] for path in addresses} <= {path.split("/")[1] for path in listed}


@pytest.mark.parametrize("document", [*DOCUMENTS, Path("../README.md")], ids=str)
def test_queries_are_valid_adql(document: Path) -> None:
    text = (DOCS / document).read_text()
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    queries += [query for _, query in re.findall(r"""\(\s*(["'])(SELECT .*?)\1\s*\)""", text)]
    for query in queries:
        adql.check(query)
