"""An archive without a service, and the running one with a private project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from ost_vo.services.archive import Archive
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from tests.blues import blues_project
from tests.conftest import ScratchArchive

__all__ = ["blues_project"]


@pytest.fixture
def settings(archive: ScratchArchive) -> Settings:
    """The settings of an archive without files and rows."""
    return archive.settings


@pytest.fixture
def accounts(settings: Settings) -> Iterator[Database]:
    """Its connections of the role ost_accounts."""
    with closing(Database(settings.dsn("ost_accounts"), 2)) as database:
        yield database


@pytest.fixture
def opened(settings: Settings) -> Iterator[Archive]:
    """That archive, open."""
    with closing(Archive.open(settings)) as opened:
        yield opened
