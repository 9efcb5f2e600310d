"""Bringing the archive's own tables up to date, with Alembic."""

from __future__ import annotations

import psycopg2
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, pool

from ost_vo.store.schema import MIGRATIONS


def upgrade(dsn: str) -> None:
    """Run the migrations that the database has not seen.

    Args:
        dsn: libpq connection string of the role ost_owner.
    """
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn), poolclass=pool.NullPool
    )
    config = Config()
    # Alembic interpolates percent signs in its options, and the path of a checkout may have one.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
