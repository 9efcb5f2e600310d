"""The revision of the archive's own tables: which one the code needs, and refusing to start on another."""

from __future__ import annotations

from pathlib import Path

from psycopg2.extensions import connection as Connection

from ost_vo.faults import FatalFault

MIGRATIONS = Path(__file__).with_name("migrations")


def head() -> str:
    """Return the revision that this version of the code needs.

    Read off the names of the migrations: importing Alembic takes longer than a web process may to start.
    """
    return max(path.name.split("_", 1)[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def check(connection: Connection) -> None:
    """Refuse to go on with tables of another version.

    Raises:
        FatalFault: the database is not at the revision that the code needs.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT version_num FROM archive.alembic_version")
        found = [row[0] for row in cursor.fetchall()]
    if found != [head()]:
        raise FatalFault(
            f"The database is at revision {', '.join(found) or 'none'}, this version needs {head()}.",
            "Run `ost-vo run`, which brings it up to date.",
        )
