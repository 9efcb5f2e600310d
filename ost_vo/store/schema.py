"""The schema of the archive's own tables: bringing it up to date, and refusing to start when it is not."""

from __future__ import annotations

from pathlib import Path

import psycopg2
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2.extensions import connection as Connection
from sqlalchemy import create_engine, pool

from ost_vo.faults import FatalFault

MIGRATIONS = Path(__file__).with_name("migrations")


def _config() -> Config:
    config = Config()
    # Alembic interpolates percent signs in its options, and the path of a checkout may have one.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def head() -> str:
    """Return the revision that this version of the code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def upgrade(dsn: str) -> None:
    """Bring the archive's tables up to date.

    Args:
        dsn: libpq connection string of the role ost_owner.
    """
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn), poolclass=pool.NullPool
    )
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


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
            "Run `ost-vo migrate`.",
        )
