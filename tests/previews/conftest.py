"""What tests of previews start from: a helper that looks at files, one for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from ost_vo.services.analysis import Analyst, Tools
from ost_vo.settings import Settings
from pixels.apart import Looker
from pixels.placing import solution
from tests.conftest import ScratchArchive, execute


@pytest.fixture(scope="session")
def looker() -> Iterator[Looker]:
    with Looker() as looker:
        yield looker


@pytest.fixture
def settings(archive: ScratchArchive, tmp_path: Path) -> Settings:
    """The settings of an archive without rows, with a data root and a state of its own for its pictures."""
    # The sockets of the database are named in its connection string, so the state may be another one.
    return archive.settings.model_copy(update={"state": tmp_path / "state"})


@pytest.fixture
def analyst(settings: Settings, looker: Looker) -> Analyst:
    return Analyst(settings, Tools(looker, solution))


def write_image(path: Path, pixels: Any, **cards: Any) -> Path:
    """Write an image as FITS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(np.asarray(pixels), fits.Header(cards)).writeto(path, overwrite=True)
    return path


def query(settings: Settings, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement as the owner of the archive; return its rows, if it has any."""
    return execute(settings.dsn("ost_owner"), statement, *values)
