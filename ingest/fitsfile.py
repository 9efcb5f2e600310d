"""FITS files in all their packings."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from astropy.io import fits

from ingest import lineage
from ingest.datafile import DataFile, Describe, Description
from ingest.headers import Remark, Unit, read_units, stored_texts
from ingest.mapping import Source, describe
from ingest.stream import CHUNK_BYTES, Stream
from ingest.unpacking import COMPRESS_MAGIC


def read(file: DataFile) -> Describe:
    """Read the header units, passing over the data.

    Raises:
        Unreadable: not FITS, damaged, or truncated.
    """
    units, remarks = read_units(file.stream, file.size)
    return partial(_describe, file, units, remarks)


def _describe(file: DataFile, units: list[Unit], remarks: list[Remark]) -> Description:
    source = Source(file.path, units, partial(open_fits, file.location), file.observatory)
    metadata, doubts = describe(source)
    texts, cut = stored_texts(units)
    return Description(metadata, texts, [*remarks, *doubts, *cut], list(lineage.of_units(units)))


def open_fits(location: Path) -> fits.HDUList:
    """Open a file with astropy, which does not unpack what compress packed: that is done before it.

    Raises:
        Unreadable: the packed data are damaged, or unpack to too much.
        OSError: astropy cannot make sense of it.
    """
    with location.open("rb") as packed:
        if packed.read(len(COMPRESS_MAGIC)) != COMPRESS_MAGIC:
            return fits.open(location, mode="readonly")
        packed.seek(0)
        with tempfile.NamedTemporaryFile() as unpacked:
            stream = Stream(packed)
            while chunk := stream.read(CHUNK_BYTES):
                unpacked.write(chunk)
            unpacked.flush()
            # It stays readable after its name is gone.
            return fits.open(unpacked.name, mode="readonly")
