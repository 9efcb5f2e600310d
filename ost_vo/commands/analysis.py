"""The command that makes previews and statistics, and solves plates."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ost_vo.commands.acting import err, out
from ost_vo.faults import UsageFault
from ost_vo.settings import Settings

if TYPE_CHECKING:
    from ost_vo.services.analysis import Analyst


def analyse(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="With --again: files or directories below the data root.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until ended.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="List what failed, and why; do nothing.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Try anew what was tried with the files of these paths, or all.")
    ] = False,
) -> None:
    """Make previews and statistics of pixels, and solve plates, where that has not been tried yet."""
    settings = Settings()
    if paths and not again:
        raise UsageFault("Paths go with --again alone.", "Without it, all that is left to do is done.")
    if failed:
        _list_failed(settings)
        return
    if again:
        out.print(f"{_forget(settings, paths or [settings.data])} products are queued.")
    with _analyst(settings) as analyst:
        if follow:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                analyst.follow()
            except KeyboardInterrupt:
                err.print("Stopping")
        else:
            out.print(f"{analyst.work()} products were seen to.")


def _list_failed(settings: Settings) -> None:
    from ost_vo.store import analysis
    from ost_vo.store.findings import FAILED
    from ost_vo.store.ingesting import open_connection

    table = Table("path", "what", "reason", "since")
    with open_connection(settings) as connection:
        for tried in analysis.tried(connection, [FAILED]):
            table.add_row(tried.path, tried.kind, tried.reason, f"{tried.moment:%Y-%m-%d %H:%M}")
    out.print(table if table.row_count else "Nothing has failed.")


def _forget(settings: Settings, paths: Sequence[Path]) -> int:
    from ost_vo.store import analysis
    from ost_vo.store.ingesting import open_connection

    inside = []
    for path in paths:
        absolute = path.resolve()
        if not absolute.is_relative_to(settings.data):
            raise UsageFault(f"{path} is not below the data root, {settings.data}.")
        inside.append(absolute.relative_to(settings.data))
    with open_connection(settings) as connection:
        return analysis.forget(connection, inside)


@contextmanager
def _analyst(settings: Settings) -> Iterator[Analyst]:
    from ost_vo.services.analysis import Analyst, Tools
    from pixels.apart import Looker
    from pixels.placing import solution

    # The account that services run as may have no home.
    with Looker(settings.state / "analysis" / "matplotlib") as looker:
        yield Analyst(settings, Tools(looker, solution))
