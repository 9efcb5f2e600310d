"""Which keyword fills which column: for each, the first that is present and usable wins; zero is a value."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.keywords import Keywords


@dataclass(frozen=True, slots=True)
class NumberRule:
    """A column of numbers.

    Attributes:
        keywords: in the order in which they are tried.
        low, high: what can be true; a value outside becomes a discrepancy.
    """

    keywords: tuple[str, ...]
    low: float
    high: float


# Temperatures in degrees Celsius, lengths of telescopes in millimetres, weather as MaxIm DL writes it.
NUMBERS = {
    "gain": NumberRule(("GAIN", "ISO"), 0, 1e7),
    "egain": NumberRule(("EGAIN",), 0, 1e6),
    "pedestal": NumberRule(("PEDESTAL",), -1e7, 1e7),
    "black_level": NumberRule(("OFFSET", "BLKLEVEL", "BRIGHTNESS"), -1e7, 1e7),
    "ccd_temperature": NumberRule(("CCD-TEMP", "SET-TEMP", "CCDTEMP", "TEMPERAT"), -200, 100),
    "airmass": NumberRule(("AIRMASS",), 1, 100),
    "ambient_temperature": NumberRule(("AOCAMBT",), -100, 100),
    "dew_point": NumberRule(("AOCDEW",), -100, 100),
    "pressure": NumberRule(("AOCBAROM",), 0, 2000),
    "humidity": NumberRule(("AOCHUM",), 0, 100),
    "wind_speed": NumberRule(("AOCWIND",), 0, 500),
    "wind_direction": NumberRule(("AOCWINDD",), 0, 360),
    "site_elevation": NumberRule(("SITEELEV", "OBS-ELEV", "ALTITUDE", "ELEV-OBS", "ALT-OBS"), -500, 9000),
}

TEXTS = {
    "header_telescope": ("TELESCOP",),
    "readout_mode": ("READOUTM", "READMODE", "RDMODE"),
    "header_filter": ("FILTER",),
    "header_target": ("OBJECT",),
    "header_observer": ("OBSERVER",),
    "software": ("SWCREATE", "CREATOR", "PROGRAM", "SOFTWARE"),
    "proposal_id": ("PROPOSID", "PROPID", "ESO OBS PROG ID"),
}

_LATITUDES = ("SITELAT", "OBS-LAT", "LATITUDE", "LAT-OBS")
_LONGITUDES = ("SITELONG", "OBS-LONG", "LONGITUD", "LONG-OBS")
_FOCAL_LENGTHS = ("FOCALLEN", "FOCAL", "FOCLEN")
_PIXEL_SIZES = ("XPIXSZ", "XPIXSIZE", "PIXSIZE", "PIXSZ")
_BINNINGS = {"binning_x": ("XBINNING", "XBIN", "BINX"), "binning_y": ("YBINNING", "YBIN", "BINY")}
_NANOMETRES_FROM = 100.0  # a pixel size above this is in nanometres
_MAX_BINNING = 64


def numbers(keywords: Keywords) -> dict[str, float | None]:
    """Return the columns of numbers that need no more than a look at their keywords."""
    found = {column: keywords.number(*r.keywords, low=r.low, high=r.high) for column, r in NUMBERS.items()}
    found["site_latitude"] = keywords.angle(*_LATITUDES, low=-90.0, high=90.0)
    found["site_longitude"] = keywords.angle(*_LONGITUDES, low=-180.0, high=360.0)
    found["focal_length"] = _positive(keywords, _FOCAL_LENGTHS, 1e6)
    found["pixel_size"] = _pixel_size(keywords)
    return found


def texts(keywords: Keywords) -> dict[str, str | None]:
    """Return the columns of text."""
    return {column: keywords.text(*names) for column, names in TEXTS.items()}


def binnings(keywords: Keywords) -> dict[str, int | None]:
    """Return binning_x and binning_y, from BINNING = '2x2' or CCDSUM = '2 2' where they have no keyword."""
    found = {column: _whole(keywords, names) for column, names in _BINNINGS.items()}
    text = keywords.text("BINNING", "CCDSUM")
    if text and None in found.values():
        parts = text.lower().replace("x", " ").split()
        both = [int(part) for part in (parts * 2)[:2] if part.isdigit() and 0 < int(part) <= _MAX_BINNING]
        if len(both) == 2:
            found = {column: value or both[i] for i, (column, value) in enumerate(found.items())}
    return found


def exposure_type(keywords: Keywords) -> str | None:
    """Return bias, dark, flat, light or wave, or None where the headers do not say."""
    for keyword in ("IMAGETYP", "IMAGETYPE", "FRAME", "OBSTYPE"):
        text = keywords.text(keyword)
        if text and (found := _EXPOSURE_TYPES.get(_first_word(text))):
            return found
        if text and keyword == "IMAGETYP":
            keywords.doubt(keyword, f"{text!r} is no exposure type that is known here.")
    return None


_EXPOSURE_TYPES = {
    word: kind
    for kind, words in {
        "bias": "bias zero masterbias",
        "dark": "dark masterdark",
        "flat": "flat flatfield skyflat domeflat twilightflat masterflat tricolorflat",
        "light": "light object science sci target ext tricolor",
        "wave": "wave arc lamp comp comparison calib thar neon argon hgar",
    }.items()
    for word in words.split()
}
_SKIPPED_WORDS = ("master", "sky", "dome", "twilight", "dawn", "dusk")


def _first_word(text: str) -> str:
    words = text.lower().replace("-", " ").replace("_", " ").replace(",", " ").split()
    while len(words) > 1 and words[0] in _SKIPPED_WORDS:
        words = words[1:]
    return words[0] if words else ""


def _positive(keywords: Keywords, names: tuple[str, ...], high: float) -> float | None:
    """Return the first number above zero: where none can be zero, zero is how programs write unknown."""
    for name in names:
        if value := keywords.number(name, low=0.0, high=high):
            return value
    return None


def _pixel_size(keywords: Keywords) -> float | None:
    size = _positive(keywords, _PIXEL_SIZES, 1e6)
    return size / 1000.0 if size is not None and size > _NANOMETRES_FROM else size


def _whole(keywords: Keywords, names: tuple[str, ...]) -> int | None:
    value = _positive(keywords, names, _MAX_BINNING)
    return int(value) if value is not None and value == int(value) else None
