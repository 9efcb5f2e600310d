"""Which files ingest reads, by their names, and what they are called in the archive."""

from __future__ import annotations

import re

# FITS 4.0 leaves names open; these are the suffixes that camera programs and compressors write.
_FITS = re.compile(r"(?:\.(?:fits?|fts)(?:\.(?:gz|fz))?|\.fz)$", re.IGNORECASE)
_LZW = re.compile(r"\.(?:fits?|fts)\.Z$")

# Programs that copy or save write under these names first, and rename when they are done.
_TEMPORARY = (".filepart", ".bck", ".swp")


def is_fits(name: str) -> bool:
    """Whether a file of that name is read as FITS."""
    return _FITS.search(name) is not None


def refusal(name: str) -> str | None:
    """Return why a file that looks like data by its name cannot be read, or None."""
    if _LZW.search(name):
        return "Compressed with compress (.Z), which is not read: unpack it, or pack it with gzip or fpack."
    return None


def is_temporary(name: str) -> bool:
    """Whether a program is still writing the file of that name."""
    return name.lower().endswith(_TEMPORARY)


def without_suffixes(path: str) -> str:
    """Return a path without the suffixes of format and compression: the observation's identifier."""
    return _FITS.sub("", path) or path


def media_type(name: str, dataproduct_type: str | None) -> str:
    """Return the media type (RFC 4047 for FITS) of a file as it lies on disk."""
    if name.lower().endswith(".gz"):
        return "application/gzip"
    return "image/fits" if dataproduct_type in ("image", "cube") else "application/fits"
