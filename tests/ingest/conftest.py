"""What tests of ingest start from."""

from __future__ import annotations

import pytest

from ost_vo.settings import Settings
from tests.conftest import ScratchArchive


@pytest.fixture
def settings(archive: ScratchArchive) -> Settings:
    """The settings of an archive without files and rows."""
    return archive.settings
