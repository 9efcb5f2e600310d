"""Small FITS files with chosen headers, and what ingest makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg2
from astropy.io import fits

from ingest import readers
from ingest.datafile import DataFile, Description
from ingest.headers import Remark, read_units
from ingest.mapping import Source, describe
from ingest.names import Names, read
from ingest.observatory import Observatory
from ingest.stream import Stream
from ost_vo.settings import Settings
from ost_vo.store.products import Metadata
from ost_vo.vo.lighttime import Site

Cards = dict[str, Any]

TAN = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 10.0,
    "CRVAL2": 41.0,
    "CRPIX1": 10.5,
    "CRPIX2": 8.0,
    "CD1_1": -0.001,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 0.001,
}


def write_frame(path: Path, cards: Cards, shape: tuple[int, ...] = (15, 20), dtype: str = "int16") -> Path:
    """Write an image of zeros (numpy's order of axes); a value may be a (value, comment) pair."""
    header = fits.Header()
    for keyword, value in cards.items():
        header[keyword] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(np.zeros(shape, dtype), header).writeto(path, overwrite=True, output_verify="ignore")
    return path


OST_SITE = Site(52.409184, 12.973185, 39.0)


def observatory(names: Names | None = None) -> Observatory:
    """Return the observatory that is the default, or one with other names."""
    return Observatory("OST", OST_SITE, names or read(None), ZoneInfo("Europe/Berlin"))


def described(path: Path, names: Names | None = None) -> tuple[Metadata, list[Remark]]:
    """Return what ingest makes of a FITS file, without a database."""
    with path.open("rb") as file:
        units, structure = read_units(Stream(file), path.stat().st_size)
        source = Source(f"run/{path.name}", units, lambda: fits.open(path), observatory(names))
        metadata, doubts = describe(source)
    return metadata, [*structure, *doubts]


def description(path: Path, names: Names | None = None) -> Description:
    """Return what the reader of a file's format makes of it, without a database."""
    status = path.stat()
    with path.open("rb", buffering=0) as raw:
        file = DataFile(
            f"run/{path.name}", raw, Stream(raw), status.st_size, status.st_mtime_ns, path, observatory(names)
        )
        describe = readers.read(file)
        file.stream.digest()
        return describe()


def reasons(found: Description) -> dict[str, str]:
    """Return what is doubtful in a file, by keyword; the last where a keyword has several."""
    return {remark.keyword: remark.reason for remark in found.remarks}


def rows(settings: Settings, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return what the ingest role reads from the archive."""
    connection = psycopg2.connect(settings.dsn("ost_ingest"))
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return cursor.fetchall()
    finally:
        connection.close()
