"""The commands: `ost-vo run`, `ost-vo ingest`, and so on. Each reads the settings from the environment."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ost_vo.commands import analysis, backup, disk, jobs, overrides, people, projects, publication, targets
from ost_vo.commands.acting import err, out
from ost_vo.commands.doctor import doctor
from ost_vo.commands.registry import registry
from ost_vo.commands.service import serve
from ost_vo.faults import Fault
from ost_vo.settings import Settings, as_environment_file, as_markdown

if TYPE_CHECKING:
    from ingest.load import Outcome, Report

app = typer.Typer(
    help="The archive server of the OST observatory.",
    no_args_is_help=True,
    # Among them are passwords.
    pretty_exceptions_show_locals=False,
)
adql = typer.Typer(help="ADQL 2.1 queries.", no_args_is_help=True)
app.add_typer(adql, name="adql")


@app.command()
def run() -> None:
    """Start a whole archive with private services below the state directory, until Ctrl-C."""
    from ost_vo.deployment.archive import Archive, await_port

    settings = Settings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    archive = Archive(settings)
    try:
        # Said now, and not after the minute that a new database takes.
        await_port(settings)
        archive.start_database(err.print)
        archive.start_services(err.print)
        if settings.data_root is None:
            _write_demo(settings)
        _ingest([settings.data], settings)
        archive.start_registrar()
        if settings.watch:
            archive.start_watcher()
        if settings.previews:
            archive.start_analyst()
        out.print(_welcome(settings), markup=False, soft_wrap=True)
        archive.wait()
    except KeyboardInterrupt:
        err.print("Stopping")
    finally:
        archive.stop()


@app.command()
def demo(root: Annotated[Path, typer.Argument(help="Data root to write the demo night below.")]) -> None:
    """Write a believable night of observations, always the same one."""
    from ingest.demo import write_demo

    with err.status("Writing the demo night"):
        files = write_demo(root)
    out.print(f"{len(files)} files below {root}")


@app.command()
def synth(
    products: Annotated[int, typer.Option(help="How many rows.", min=1)],
) -> None:
    """Fill the tables with plausible rows that have no files, for tests of scale."""
    from ingest.synthetic import synthesize

    with _bar("Synthetic rows", products) as advance:
        synthesize(Settings(), products, advance)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files or directories below the data root.")],
) -> None:
    """Take files into the archive; files that have not changed are left alone."""
    report = _ingest(paths, Settings())
    raise typer.Exit(1 if report.quarantined else 0)


@app.command()
def quarantine() -> None:
    """List the files that could not be ingested, and why."""
    import psycopg2

    from ost_vo.store import quarantine as store

    table = Table("path", "reason", "since")
    with closing(psycopg2.connect(Settings().dsn("ost_ingest"))) as connection:
        for entry in store.entries(connection):
            table.add_row(entry.path, entry.reason, f"{entry.since:%Y-%m-%d %H:%M}")
    out.print(table if table.row_count else "The quarantine is empty.")


@app.command()
def watch() -> None:
    """Ingest files below the data root as they land, until ended."""
    from ingest.watch import watch as watch_data

    watch_data(Settings())


@app.command()
def remap() -> None:
    """Give the names of a changed table of names to what is in the archive already; reads no file."""
    from ingest.remap import remap as remap_products

    for kind, count in remap_products(Settings()).items():
        out.print(f"{kind}: {count} products")


@app.command()
def warm() -> None:
    """Compile what the web processes and ingest would compile at their first start."""
    from ingest import lzw
    from ost_vo.vo import binary2, tabledata, upload_rows

    binary2.warm()
    tabledata.warm()
    upload_rows.warm()
    lzw.warm()


@app.command()
def work() -> None:
    """Run the jobs that Redis tells of, until ended; for archives with OST_VO_BROKER."""
    from ingest import nightly
    from ost_vo.tasks import work as run_jobs

    settings = Settings()
    run_jobs(settings, nightly=lambda: nightly.compare(settings))


@app.command()
def settings(
    file: Annotated[bool, typer.Option("--file", help="As a file of the environment, for systemd.")] = False,
) -> None:
    """List all settings, as a table in Markdown."""
    out.print(as_environment_file() if file else as_markdown(), markup=False, soft_wrap=True, end="")


@adql.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Files of one query each.")] = None,
) -> None:
    """Say of each query whether it is valid ADQL 2.1; standard input where no file is given."""
    from ost_vo.vo.adql import check as check_query

    failed = False
    sources = [(str(path), path.read_text()) for path in files or []] or [("-", sys.stdin.read())]
    for name, query in sources:
        try:
            check_query(query)
            out.print(f"{name}: valid", markup=False, soft_wrap=True)
        except Fault as fault:
            failed = True
            out.print(f"{name}: invalid: {fault}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


@adql.command()
def translate(query: Annotated[str, typer.Argument(help="The query; - reads standard input.")]) -> None:
    """Print the SQL that a query becomes."""
    import psycopg2

    from ost_vo.store import tap_schema
    from ost_vo.vo.adql import translate as translate_query

    with closing(psycopg2.connect(Settings().dsn("ost_web"))) as connection:
        catalogue = tap_schema.load(connection)
    text = sys.stdin.read() if query == "-" else query
    out.print(translate_query(text, catalogue).sql, markup=False, soft_wrap=True)


for name, group in (
    ("user", people.user),
    ("token", people.token),
    ("project", projects.project),
    ("member", projects.member),
    ("context", projects.context),
    ("lineage", publication.lineage),
    ("target", targets.target),
    ("override", overrides.override),
    ("registry", registry),
    ("jobs", jobs.jobs),
):
    app.add_typer(group, name=name)
for command in (
    publication.publish,
    publication.unpublish,
    publication.invalidate,
    publication.revalidate,
    publication.release,
    publication.delete,
    publication.audit,
    overrides.discrepancies,
    analysis.analyse,
    disk.reconcile,
    disk.missing,
    disk.file_events,
    disk.not_runs,
    disk.rename_run,
    doctor,
    serve,
    backup.backup,
    backup.restore,
    backup.upgrade,
):
    app.command()(command)


def main() -> None:
    """Run a command; a fault ends it with its message and exit status 1."""
    from ost_vo import logs

    # Which process has a connection, pg_stat_activity and `ost-vo doctor` see by it.
    os.environ["PGAPPNAME"] = " ".join(["ost-vo", *sys.argv[1:2]])
    logs.configure("json" if os.environ.get("OST_VO_LOG_FORMAT") == "json" else "text")
    try:
        app()
    except Fault as fault:
        err.print(f"ost-vo: {fault.detail}", markup=False, style="red")
        if fault.hint:
            err.print(fault.hint, markup=False)
        sys.exit(1)


def _write_demo(settings: Settings) -> None:
    # Making the compressed files anew to compare them takes seconds, so a complete night is marked.
    mark = settings.state / "demo"
    if mark.exists():
        return
    from ingest.demo import write_demo

    with err.status("Writing the demo night"):
        write_demo(settings.data)
    mark.touch()


def _ingest(paths: list[Path], settings: Settings) -> Report:
    from ingest import load
    from ingest.discovery import Ignored

    total = load.count(paths, Ignored.of(settings))
    with _bar("Ingesting", total) as advance:

        def progress(path: Path, outcome: Outcome) -> None:
            del path, outcome
            advance(1)

        report = load.ingest(paths, settings, progress)
    err.print(str(report), markup=False)
    return report


class _bar:
    """A progress bar on standard error; the block gets a function that moves it on."""

    def __init__(self, title: str, total: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=err)
        self._task = self._progress.add_task(title, total=total)

    def __enter__(self) -> _bar:
        self._progress.start()
        return self

    def __call__(self, steps: int) -> None:
        self._progress.advance(self._task, steps)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _welcome(settings: Settings) -> str:
    url = settings.base_url
    return f"""
The archive is up; Ctrl-C ends it.

  Browser   {url}/
  TOPCAT    VO > Table Access Protocol (TAP) Query > TAP URL: {url}/tap
  Aladin    File > Load > Others > TAP: {url}/tap   SIA 2: {url}/sia/query
  pyvo      import pyvo
            archive = pyvo.dal.TAPService("{url}/tap")
            print(archive.search("SELECT TOP 5 target_name, s_ra, s_dec, t_exptime FROM ivoa.obscore"))
  Settings  OST_VO_STATE={settings.state} OST_VO_PORT={settings.port}
"""  # noqa: S608 a query for people to try


if __name__ == "__main__":
    main()
