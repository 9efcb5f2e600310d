"""`ost-vo synth`: plausible products without files, straight into the tables, for tests of scale."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg2
from psycopg2.extensions import connection as Connection

from ingest.synthetic_rows.plan import PROJECTS, RUN_PREFIX, USERS, Plan, plan
from ingest.synthetic_rows.products import COLUMNS, Keys, ProductRows
from ost_vo.faults import UsageFault
from ost_vo.settings import Settings
from ost_vo.store import bulk


def synthesize(settings: Settings, products: int, progress: Callable[[int], None] | None = None) -> None:
    """Add synthetic products, always the same ones, with their users, projects, targets and runs.

    Other rows stay as they are; only the keys that the database gives depend on them. While it works, the
    table of products has no secondary indexes.

    Args:
        settings: of the archive.
        products: how many rows.
        progress: told, from several threads, how many more rows are there.

    Raises:
        UsageFault: there are synthetic products already, or fewer than one is asked for.
    """
    if products < 1:
        raise UsageFault(f"{products} products were asked for.", "Ask for at least one.")
    dsn = settings.dsn("ost_owner")
    with closing(psycopg2.connect(dsn)) as connection:
        if bulk.has_run_like(connection, RUN_PREFIX):
            raise UsageFault(
                "The archive has synthetic products already.", "Make them in an archive that has none."
            )
    with bulk.set_aside(dsn, products) as first:
        _load(dsn, plan(products), first, settings.authority, progress)
    bulk.tidy(dsn)


def _load(
    dsn: str, observed: Plan, first: int, authority: str, progress: Callable[[int], None] | None
) -> None:
    connections = [psycopg2.connect(dsn) for _ in range(bulk.CONNECTIONS)]
    try:
        rows = ProductRows(observed, _insert_references(connections[0], observed, first), authority)
        done = (lambda batch: progress(rows.size(batch))) if progress else None
        bulk.copy(connections, COLUMNS, rows.text, rows.batches, done)
        for connection in connections:
            connection.commit()
    finally:
        for connection in connections:
            connection.close()


def _insert_references(connection: Connection, observed: Plan, first: int) -> Keys:
    """Insert what products refer to, and return its keys."""
    users = bulk.insert_users(connection, USERS)
    projects = bulk.insert_projects(
        connection, [(project.name, project.is_public, 4 if project.is_public else 2) for project in PROJECTS]
    )
    members = [
        (key, users[member], member == project.manager)
        for key, project in zip(projects, PROJECTS, strict=True)
        for member in project.members
    ]
    bulk.insert_members(connection, members)
    of_runs = [projects[project] for project in observed.run_projects]
    runs = bulk.insert_runs(connection, list(zip(observed.run_names, observed.nights, of_runs, strict=True)))
    positions = observed.target_positions.tolist()
    targets = [
        (name, kind, ra, dec)
        for name, kind, (ra, dec) in zip(
            observed.target_names, observed.target_classes, positions, strict=True
        )
    ]
    return Keys(users, projects, runs, bulk.insert_targets(connection, targets), first)
