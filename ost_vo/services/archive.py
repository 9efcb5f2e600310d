"""What lives as long as a process: the settings, the connections, and what is published."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ost_vo import meters
from ost_vo.access.context import Context
from ost_vo.services import policies
from ost_vo.settings import Settings
from ost_vo.store import schema, tap_schema
from ost_vo.store.connections import Database
from ost_vo.vo.columns import Catalogue

# Connections for looking after jobs, besides those that run them.
JOB_CONTROL_CONNECTIONS = 4

# Connections for finding out who asks; each is taken for a millisecond.
ACCOUNTS_CONNECTIONS = 8

# How long a process goes on with the TAP_SCHEMA that it has read, after an import of descriptors [s].
PUBLISHED_SECONDS = 30.0


class Published:
    """The tables that clients may query, read from TAP_SCHEMA and read again now and then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._catalogue = Catalogue([])
        self._schemas: list[tap_schema.Schema] = []
        self._keys: list[tap_schema.ForeignKey] = []

    @property
    def catalogue(self) -> Catalogue:
        """The tables and their columns."""
        self._refresh()
        return self._catalogue

    @property
    def schemas(self) -> list[tap_schema.Schema]:
        """The schemas of the tables."""
        self._refresh()
        return self._schemas

    @property
    def foreign_keys(self) -> list[tap_schema.ForeignKey]:
        """The foreign keys between the tables."""
        self._refresh()
        return self._keys

    @property
    def is_known(self) -> bool:
        """Whether all this is at hand, so that nobody waits for the database."""
        return bool(self._read_at) and time.monotonic() - self._read_at < PUBLISHED_SECONDS

    def _refresh(self) -> None:
        with self._lock:
            is_known = self.is_known
            meters.cache("tap_schema", hit=is_known)
            if is_known:
                return
            with self._database.connection() as connection:
                self._catalogue = tap_schema.load(connection)
                self._schemas = tap_schema.schemas(connection)
                self._keys = tap_schema.foreign_keys(connection)
            self._read_at = time.monotonic()


@dataclass(frozen=True)
class Archive:
    """The composition root of a process that answers requests.

    Attributes:
        settings: of the installation.
        database: connections of the role ost_web, which becomes adql for every query, ost_lists for lists.
        jobs_database: further ones for jobs and their queries: neither kind of query waits for the other.
        accounts_database: of the role ost_accounts, for people, projects and what decides over access.
        published: what may be queried.
        started: when this process began, UTC.
    """

    settings: Settings
    database: Database
    jobs_database: Database
    accounts_database: Database
    published: Published
    started: datetime

    @classmethod
    def open(cls, settings: Settings) -> Archive:
        """Connect to the database.

        Raises:
            FatalFault: its tables are of another version than the code.
        """
        database = Database(settings.pooled_dsn("ost_web"), settings.connections)
        with database.connection() as connection:
            schema.check(connection)
        places = policies.all_places(settings)
        jobs_database = Database(settings.pooled_dsn("ost_web"), places + JOB_CONTROL_CONNECTIONS)
        accounts_database = Database(settings.pooled_dsn("ost_accounts"), ACCOUNTS_CONNECTIONS)
        return cls(
            settings, database, jobs_database, accounts_database, Published(database), datetime.now(UTC)
        )

    def transaction_settings(self, context: Context) -> dict[str, str]:
        """Return the settings of a transaction that answers a request in a context, within its time."""
        return {"statement_timeout": f"{self.settings.sync_seconds}s", **context.database_settings()}

    def listing_settings(self, context: Context) -> dict[str, str]:
        """Return the same for a list, whose keys are picked from tables, and whose rows the views show."""
        return {**self.transaction_settings(context), "role": "ost_lists"}

    def close(self) -> None:
        """Give the connections back."""
        self.database.close()
        self.jobs_database.close()
        self.accounts_database.close()
