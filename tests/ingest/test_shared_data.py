"""Real files that nobody here made: each is ingested right, or quarantined for a reason that is true.

They lie beside a checkout and are not part of it; the table of facts about them is.
"""

from __future__ import annotations

import hashlib
import shutil
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time

from ingest import formats
from ingest.load import ingest
from ost_vo.settings import Settings
from ost_vo.store.quarantine import entries
from tests.ingest.frames import rows

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"
FOLDERS = ("broken", "cubes", "fits-raw", "fits-wcs", "raw-photo", "ser", "spectra")
Facts = dict[str, Any]
EXPECTED: dict[str, Facts] = tomllib.loads(Path(__file__).with_name("shared_data.toml").read_text())

QUERY = """
SELECT path, dataproduct_type AS type, exposure_type, calib_level, target_name AS target, s_ra, s_dec,
    position_source, t_min, t_exptime AS exposure, em_min * 1e9 AS low, em_max * 1e9 AS high,
    instrument_name AS instrument, array(
        SELECT DISTINCT keyword FROM archive.discrepancies d WHERE d.product_id = p.product_id ORDER BY 1
    ) AS doubts
FROM archive.products p
"""


def present() -> list[str]:
    """Return the files of the trial data that are there."""
    return sorted(f"{folder}/{path.name}" for folder in FOLDERS for path in SHARED.glob(f"{folder}/*"))


@pytest.fixture
def found(archive: Any) -> dict[str, Facts]:
    """What ingest makes of the files, in the form of the table."""
    settings: Settings = archive.settings
    for name in present():
        copy = settings.data / _readable(name)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(SHARED / name, copy)
    ingest([settings.data], settings)
    return _products(settings) | _quarantined(settings)


def test_every_file_is_in_the_table() -> None:
    assert set(present()) <= set(EXPECTED)


def test_what_is_not_in_the_table_is_no_data_file() -> None:
    every = {path.relative_to(SHARED).as_posix() for path in SHARED.rglob("*") if path.is_file()}
    others = every - set(present())
    assert [name for name in sorted(others) if formats.is_data(name) or formats.refusal(name)] == []
    folders = {name.partition("/")[0] for name in others if "/" in name}
    text = (REPOSITORY / "docs" / "ingest.md").read_text()
    assert [folder for folder in sorted(folders) if f"`{folder}/`" not in text] == []


def test_files_are_what_the_table_says(found: dict[str, Facts]) -> None:
    assert set(found) == {_readable(name) for name in present()}
    differences = [
        f"{name}: {key} is {found[_readable(name)].get(key)!r}, expected {EXPECTED[name].get(key)!r}"
        for name in present()
        if _is_of_the_table(name)
        for key in sorted((set(EXPECTED[name]) | set(found[_readable(name)])) - {"skipped", "sha256"})
        if not _agree(key, EXPECTED[name].get(key), found[_readable(name)].get(key))
    ]
    assert differences == []


def test_files_of_other_suffixes_are_passed_over(archive: Any) -> None:
    settings: Settings = archive.settings
    names = [name for name in present() if EXPECTED[name].get("skipped")]
    for name in names:
        copy = settings.data / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(SHARED / name, copy)
    report = ingest([settings.data], settings)
    assert [str(path.relative_to(settings.data)) for path in report.skipped] == names


def test_documentation_lists_every_file() -> None:
    text = (REPOSITORY / "docs" / "ingest.md").read_text()
    assert [name for name in EXPECTED if f"`{name}`" not in text] == []


def _readable(name: str) -> str:
    return f"{name}.fits" if EXPECTED.get(name, {}).get("skipped") else name


def _is_of_the_table(name: str) -> bool:
    digest = hashlib.sha256((SHARED / name).read_bytes()).hexdigest()
    if digest.startswith(EXPECTED[name]["sha256"]):
        return True
    warnings.warn(f"{name} is not the file of the table, so nothing is said of it", stacklevel=1)
    return False


def _products(settings: Settings) -> dict[str, Facts]:
    columns = ("path", "type", "exposure_type", "calib_level", "target", "s_ra", "s_dec", "position_source",
               "t_min", "exposure", "low", "high", "instrument", "doubts")  # fmt: skip
    result = {}
    for row in rows(settings, QUERY):
        facts = dict(zip(columns, row, strict=True))
        position, band = (facts.pop("s_ra"), facts.pop("s_dec")), (facts.pop("low"), facts.pop("high"))
        facts |= {"position": position, "band_nm": band, "start": facts.pop("t_min")}
        known = {k: v for k, v in facts.items() if v not in (None, (None, None), [])}
        result[known.pop("path")] = known
    return result


def _quarantined(settings: Settings) -> dict[str, Facts]:
    connection = psycopg2.connect(settings.dsn("ost_ingest"))
    try:
        return {entry.path: {"quarantine": entry.reason} for entry in entries(connection)}
    finally:
        connection.close()


def _agree(key: str, expected: Any, found: Any) -> bool:
    if expected is None or found is None:
        return expected is found
    if key == "position":
        return bool(SkyCoord(*expected, unit="deg").separation(SkyCoord(*found, unit="deg")).arcsec < 0.1)
    if key == "start":
        # The scale only says that a day has 86,400 s: no leap seconds.
        return abs(Time(expected, scale="tai").mjd - found) * 86_400 < 0.002
    if key in ("band_nm", "exposure"):
        return bool(np.allclose(expected, found, rtol=1e-6))
    return bool(expected == found)
