"""`ost-vo backup`, `ost-vo restore` and `ost-vo upgrade`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ost_vo.commands.acting import err, out
from ost_vo.faults import ConflictFault, Fault
from ost_vo.settings import Settings

# How many of the files that are missing are named.
_SHOWN = 20


def backup(
    target: Annotated[Path, typer.Argument(help="File to write, or directory for a file with the date.")],
) -> None:
    """Write the database, the settings and the checksums of the data files into one file, while all runs."""
    from ost_vo.services import backup as service

    manifest = service.write(Settings(), target)
    rows = sum(manifest.counts.values())
    out.print(f"{rows} rows of {len(manifest.counts)} tables; {manifest.files} data files, as checksums.")
    out.print("The file has secrets in it: keep it where only operators read.")


def restore(
    source: Annotated[Path, typer.Argument(help="A file of `ost-vo backup`.")],
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Read every data file, not only look for it.")
    ] = False,
) -> None:
    """Make the archive of a backup anew in an empty state directory; data files are looked for, not made."""
    from ost_vo.deployment import cluster
    from ost_vo.deployment.archive import Archive
    from ost_vo.services import backup as service
    from ost_vo.store import backup as store

    settings = Settings()
    if cluster.directory(settings).exists():
        raise ConflictFault(
            f"There is an archive in {settings.state} already.",
            "Choose another OST_VO_STATE, or move that one away: a restore writes nothing over.",
        )
    with service.opened(source) as found:
        archive = Archive(settings)
        try:
            archive.start_cluster(err.print)
            archive.migrate(err.print, fill=lambda dsn: store.load(dsn, found.dump))
            _compare(settings, found.manifest.counts)
        finally:
            archive.stop()
        _write_settings(settings, found.settings)
        problems = list(service.missing(found.files(), settings.data, read=checksums))
    out.print(f"Restored, as of {found.manifest.created}. Its settings: {settings.state / 'settings.env'}.")
    for path, problem in problems[:_SHOWN]:
        out.print(f"{path}: {problem}", markup=False, soft_wrap=True)
    if problems:
        out.print(f"{len(problems)} of {found.manifest.files} data files are not as they were.")
        raise typer.Exit(1)
    out.print(f"All {found.manifest.files} data files are there. `ost-vo run` starts the archive.")


def upgrade() -> None:
    """Bring the database of a stopped archive up to this version, with a check before and after."""
    from ost_vo.deployment.upgrading import upgrade as upgrade_archive

    upgrade_archive(Settings(), err.print)
    out.print("The archive is up to date, and all is well.")


def _compare(settings: Settings, expected: dict[str, int]) -> None:
    """Compare the rows of each table with those of the backup.

    Raises:
        Fault: some table has not as many.
    """
    from ost_vo.store import backup as store

    with store.snapshot(settings.dsn("ost_owner")) as snapshot:
        found = snapshot.counts()
    # A table that a later version has made anew from others is not in the backup.
    wrong = [table for table, count in expected.items() if found.get(table) != count]
    if wrong:
        raise Fault(f"After the restore, {', '.join(wrong)} differ from the backup.", "Keep both, and ask.")


def _write_settings(settings: Settings, text: str) -> None:
    descriptor = os.open(settings.state / "settings.env", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
