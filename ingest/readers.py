"""Which reader reads which family of formats."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ingest import avi, fitsfile, formats, lineage, movie, photograph, ser, xisf
from ingest.datafile import DataFile, Describe, Description, Reader
from ingest.formats import Family
from ingest.stream import Unreadable

_READERS: dict[Family, Reader] = {
    Family.FITS: fitsfile.read,
    Family.XISF: xisf.read,
    Family.SER: ser.read,
    Family.PHOTOGRAPH: photograph.read,
    Family.AVI: avi.read,
    Family.MOVIE: movie.read,
}


def read(file: DataFile) -> Describe:
    """Read a file by the reader of its format.

    Raises:
        Unreadable: the file is not of the format that its name says, damaged, or truncated.
        KeyError: no reader reads files of that name.
    """
    family = formats.family(file.path)
    if family is None:
        raise KeyError(file.path)
    if file.stream.is_packed and family is not Family.FITS:
        raise Unreadable("Packed: only FITS files are read so. Unpack it.")
    return partial(_describe, file, _READERS[family](file))


def _describe(file: DataFile, describe: Describe) -> Description:
    """Describe a file, with what it names as its progenitors in the form in which that is kept."""
    description = describe()
    root = str(file.location).removesuffix(file.path)
    names = (lineage.placed(name, file.path, root) for name in description.references)
    references, cut = lineage.chosen(names)
    return replace(description, references=references, remarks=[*description.remarks, *cut])
