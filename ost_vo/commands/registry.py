"""`ost-vo registry`: the archive's records for the registries of the Virtual Observatory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from ost_vo.commands.acting import out
from ost_vo.settings import Settings

if TYPE_CHECKING:
    from ost_vo.services.archive import Archive

registry = typer.Typer(help="The records by which the world finds the archive.", no_args_is_help=True)


@registry.command()
def check() -> None:
    """Say what is missing before the archive can be registered; exit status 1 if anything is."""
    from ost_vo.services import registry as service

    with _archive() as archive:
        lacks = list(service.lacks(archive))
        url = f"{archive.settings.base_url}/oai.xml"
    for lack in lacks:
        out.print(lack.problem, markup=False, soft_wrap=True, style="red")
        out.print(f"    {lack.remedy}", markup=False, soft_wrap=True)
    if lacks:
        raise typer.Exit(1)
    out.print(f"Nothing is missing. Register {url}; docs/registry.md says where.", soft_wrap=True)


@registry.command()
def refresh() -> None:
    """Make coverage and records anew from what the archive holds now, and list the records that changed."""
    from ost_vo.services import registry as service

    with _archive() as archive:
        changed = service.refresh(archive)
    for identifier in changed:
        out.print(identifier, markup=False, soft_wrap=True)
    out.print(f"{len(changed)} records have changed.")


@registry.command("list")
def show() -> None:
    """List the records, when each last changed, and which were withdrawn."""
    from ost_vo.store import registry as store

    table = Table("identifier", "changed (UTC)", "")
    with _archive() as archive:
        for record in store.everything(archive.database):
            head = record.header
            table.add_row(
                head.identifier, f"{head.updated:%Y-%m-%d %H:%M:%S}", "withdrawn" if head.is_deleted else ""
            )
    out.print(table if table.row_count else "There are no records yet: `ost-vo registry refresh`.")


@registry.command()
def keep() -> None:
    """Keep coverage and records up to date, until ended."""
    from ost_vo.services import registry as service

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with _archive() as archive:
        service.keep(archive, stopping)


@contextmanager
def _archive() -> Iterator[Archive]:
    from ost_vo.services.archive import Archive

    archive = Archive.open(Settings())
    try:
        yield archive
    finally:
        archive.close()
