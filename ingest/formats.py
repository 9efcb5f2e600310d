"""Which files ingest reads, by their names, and what they are called in the archive."""

from __future__ import annotations

import re
from enum import Enum


class Family(Enum):
    """Formats that one reader reads."""

    FITS = "FITS"
    XISF = "XISF"
    SER = "SER"
    PHOTOGRAPH = "photograph"
    AVI = "AVI"
    MOVIE = "movie"


# FITS 4.0 leaves names open; these are the suffixes that camera programs and compressors write.
_FITS = re.compile(r"(?:\.(?:fits?|fts)(?:\.(?:gz|fz|bz2|Z))?|\.fz)$", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]+$")
_PACKED_TYPES = {".gz": "application/gzip", ".bz2": "application/x-bzip2", ".z": "application/x-compress"}
# Suffix to family and media type; the types of raw photographs and videos are those that browsers go by.
_OTHERS = {
    ".xisf": (Family.XISF, "image/x-xisf"),
    ".ser": (Family.SER, "video/x-ser"),
    ".avi": (Family.AVI, "video/x-msvideo"),
    ".mov": (Family.MOVIE, "video/quicktime"),
    ".mp4": (Family.MOVIE, "video/mp4"),
    ".m4v": (Family.MOVIE, "video/mp4"),
    ".jpg": (Family.PHOTOGRAPH, "image/jpeg"),
    ".jpeg": (Family.PHOTOGRAPH, "image/jpeg"),
    ".tif": (Family.PHOTOGRAPH, "image/tiff"),
    ".tiff": (Family.PHOTOGRAPH, "image/tiff"),
    ".dng": (Family.PHOTOGRAPH, "image/x-adobe-dng"),
    ".cr2": (Family.PHOTOGRAPH, "image/x-canon-cr2"),
    ".cr3": (Family.PHOTOGRAPH, "image/x-canon-cr3"),
    ".nef": (Family.PHOTOGRAPH, "image/x-nikon-nef"),
    ".arw": (Family.PHOTOGRAPH, "image/x-sony-arw"),
    ".pef": (Family.PHOTOGRAPH, "image/x-pentax-pef"),
    ".orf": (Family.PHOTOGRAPH, "image/x-olympus-orf"),
    ".rw2": (Family.PHOTOGRAPH, "image/x-panasonic-rw2"),
    ".mrw": (Family.PHOTOGRAPH, "image/x-minolta-mrw"),
}
_RENDERED = (".jpg", ".jpeg", ".tif", ".tiff")
_REFUSED = {
    re.compile(r"\.(?:fits?|fts)\.(?:xz|zst|lzma|7z|zip)$", re.IGNORECASE): (
        "Packed with a program whose files are not read: unpack it, or pack it with gzip or fpack."
    ),
    re.compile(r"\.crw$", re.IGNORECASE): (
        "A raw photograph of an old Canon camera (CIFF), which is not read: convert it to DNG."
    ),
}

# Programs that copy or save write under these names first, and rename when they are done.


def family(name: str) -> Family | None:
    """Return the family of formats that a file of that name is read as, None where it is not read."""
    if _FITS.search(name):
        return Family.FITS
    found = _OTHERS.get(_suffix(name))
    return found[0] if found else None


def is_data(name: str) -> bool:
    """Whether a file of that name is read."""
    return family(name) is not None


def is_raw_photograph(name: str) -> bool:
    """Whether a photograph of that name holds what the sensor counted, and not a rendered picture."""
    return family(name) is Family.PHOTOGRAPH and _suffix(name) not in _RENDERED


def refusal(name: str) -> str | None:
    """Return why a file that looks like data by its name cannot be read, or None."""
    return next((reason for pattern, reason in _REFUSED.items() if pattern.search(name)), None)


def without_suffixes(path: str) -> str:
    """Return a path without the suffixes of format and compression: the observation's identifier.

    A raw photograph and the JPEG that the camera made with it so are one observation.
    """
    stripped = _FITS.sub("", path)
    if stripped == path and is_data(path):
        stripped = _SUFFIX.sub("", path)
    return path if not stripped or stripped.endswith("/") else stripped


def media_type(name: str, dataproduct_type: str | None) -> str:
    """Return the media type (RFC 4047 for FITS) of a file as it lies on disk."""
    suffix = _suffix(name)
    if suffix in _OTHERS:
        return _OTHERS[suffix][1]
    if suffix in _PACKED_TYPES:
        return _PACKED_TYPES[suffix]
    return "image/fits" if dataproduct_type in ("image", "cube") else "application/fits"


def _suffix(name: str) -> str:
    match = _SUFFIX.search(name)
    return match[0].lower() if match else ""
