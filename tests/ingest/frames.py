"""Small FITS files with chosen headers, and what ingest makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
from astropy.io import fits

from ingest import readers
from ingest.datafile import DataFile, Description
from ingest.headers import Remark, read_units
from ingest.mapping import Source, describe
from ingest.stream import Stream
from ost_vo.settings import Settings
from ost_vo.store.products import Metadata

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


def described(path: Path, facility: str = "OST") -> tuple[Metadata, list[Remark]]:
    """Return what ingest makes of a file, without a database."""
    with path.open("rb") as file:
        units, structure = read_units(Stream(file), path.stat().st_size)
        metadata, doubts = describe(Source(f"run/{path.name}", units, lambda: fits.open(path), facility))
    return metadata, [*structure, *doubts]


def description(path: Path, facility: str = "OST") -> Description:
    """Return what the reader of a file's format makes of it, without a database."""
    status = path.stat()
    with path.open("rb", buffering=0) as raw:
        file = DataFile(
            f"run/{path.name}", raw, Stream(raw), status.st_size, status.st_mtime_ns, path, facility
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
