"""Commands that compare the archive with the disk."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ost_vo.commands.acting import err, out, show
from ost_vo.faults import UsageFault
from ost_vo.settings import Settings


def reconcile(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Note files as missing however many they are, or all.")
    ] = False,
) -> None:
    """Make the archive agree with the disk: new, changed, moved, missing files, and those that are back."""
    from ingest import reconcile as comparison

    with _Steps() as steps:
        findings = comparison.reconcile(Settings(), is_rehearsal=dry_run, force=force, progress=steps.show)
    for kind, paths in findings.examples.items():
        for path in paths:
            out.print(f"{kind.value}: {path}", markup=False, soft_wrap=True)
        if (more := findings.counts[kind] - len(paths)) > 0:
            out.print(f"{kind.value}: {more} more")
    for stray in findings.strays:
        out.print(f"no run: {stray.name}: {stray.reason}", markup=False, soft_wrap=True)
    out.print(str(findings), markup=False)
    if findings.report and any(findings.report.counts.values()):
        err.print(str(findings.report), markup=False)


def not_runs() -> None:
    """List what lies right below the data root and is no run: no date, no data, or no directory."""
    from ingest.discovery import Ignored
    from ingest.strays import strays

    settings = Settings()
    if not settings.data.is_dir():
        raise UsageFault(f"The data root {settings.data} is no directory.", "Set OST_VO_DATA_ROOT.")
    table = Table("name", "what it is")
    for stray in strays(settings.data, Ignored.of(settings)):
        table.add_row(stray.name, stray.reason)
    out.print(table if table.row_count else "All directories are runs.")


def missing() -> None:
    """List the products whose files are missing, and since when."""
    import psycopg2

    from ost_vo.store import moves

    table = Table("path", "bytes", "since", "identifier")
    with closing(psycopg2.connect(Settings().dsn("ost_ingest"))) as connection:
        for product in moves.missing(connection):
            since = f"{product.since:%Y-%m-%d %H:%M}"
            table.add_row(product.path, str(product.size), since, product.identifier)
    out.print(table if table.row_count else "No file is missing.")


def file_events(
    forget: Annotated[
        list[str] | None, typer.Option(help="Path of a file whose events are seen to; once or several times.")
    ] = None,
) -> None:
    """List files that were missing, changed or unreadable when somebody wanted them, the latest first."""
    import psycopg2

    from ost_vo.store import file_events as store

    with closing(psycopg2.connect(Settings().dsn("ost_ingest"))) as connection:
        if forget:
            out.print(f"{store.forget(connection, forget)} events are forgotten.")
            return
        rows = [
            (
                event.path,
                event.problem,
                event.detail,
                event.times,
                f"{event.first_seen:%Y-%m-%d %H:%M}",
                f"{event.last_seen:%Y-%m-%d %H:%M}",
            )
            for event in store.events(connection)
        ]
    show(
        ("path", "problem", "what", "times", "first", "last"),
        rows,
        "All files were as the archive knows them.",
    )


def rename_run(
    old: Annotated[str, typer.Argument(help="Name that the run had.")],
    new: Annotated[str, typer.Argument(help="Name that its directory has now.")],
) -> None:
    """Have the archive follow a run whose directory was renamed while nobody watched; reads no file."""
    from ingest import reconcile as comparison

    out.print(f"{comparison.rename_run(Settings(), old, new)} products are now in {new}.", markup=False)


class _Steps:
    """A line with a bar for each step, on standard error."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=err)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Steps:
        self._progress.start()
        return self

    def show(self, step: str, done: int, total: int) -> None:
        """Draw how much of a step is done; a total of 0 is not known."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total or None)
        self._progress.update(self._tasks[step], completed=done)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
