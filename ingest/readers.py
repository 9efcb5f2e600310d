"""Which reader reads which family of formats."""

from __future__ import annotations

from ingest import avi, fitsfile, formats, movie, photograph, ser, xisf
from ingest.datafile import DataFile, Describe, Reader
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
    return _READERS[family](file)
