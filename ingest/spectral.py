"""The wavelengths that a file covers: from a spectral axis (FITS 4.0, section 8.4) or the columns of a table.

Wavelengths are vacuum wavelengths in metres, except where a header names only a unit of length: then they are
what the header says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from ingest.headers import Unit
from ingest.keywords import Keywords
from ost_vo.vo.wcscards import text_of, value_of

if TYPE_CHECKING:
    from astropy.units import UnitBase

_C = 299_792_458.0  # m/s
_H = 6.626_070_15e-34  # J s; both exact (SI brochure, 9th edition)
_BRACKETED = re.compile(r"[\[(]\s*([^\])]+?)\s*[\])]\s*$")
_IRAF_UNITS = re.compile(r"units=([A-Za-z]+)")
_SPECTRAL_WORDS = re.compile(r"^(wave|lambda|wavelen\w*|wavelength\b.*|freq\w*|lam)$", re.IGNORECASE)
_FLUX_WORDS = re.compile(r"flux|^(spec|net|abnet|counts?|intens\w*|flam|fnu)", re.IGNORECASE)
_LINEAR_TYPES = ("LINEAR", "LAMBDA", "WAVELENGTH", "WAVELEN", "")
# Spellings that are not in the standard and that astropy does not know, either.
_UNIT_NAMES = {
    "A": "Angstrom", "ANGSTROM": "Angstrom", "ANGSTROMS": "Angstrom", "ANG": "Angstrom", "NM": "nm",
    "NANOMETER": "nm", "MICRON": "um", "MICRONS": "um", "UM": "um", "HZ": "Hz", "KHZ": "kHz", "MHZ": "MHz",
    "GHZ": "GHz", "KM/S": "km/s", "M/S": "m/s", "METER": "m",
}  # fmt: skip
_DEFAULT_UNITS = {
    "WAVE": "m", "AWAV": "m", "FREQ": "Hz", "ENER": "J", "WAVN": "1/m", "VRAD": "m/s", "VOPT": "m/s",
    "VELO": "m/s", "FELO": "m/s", "ZOPT": "", "BETA": "",
}  # fmt: skip
_MAX_COLUMNS = 999  # FITS 4.0, section 7.3.1
_LARGEST_SPECTRUM_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class SpectralAxis:
    """What a file covers of the spectrum.

    Attributes:
        number: the FITS axis it lies along, from 1; 0 for the columns of a table.
        em_min, em_max: the wavelengths at the outer edges [m]; None where the header does not give them.
        em_xel: points along it.
    """

    number: int
    em_min: float | None
    em_max: float | None
    em_xel: int


def spectral_axis(unit: Unit, keywords: Keywords) -> SpectralAxis | None:
    """Return the spectral axis of an image unit, or None where it has none."""
    for number, length in enumerate(unit.shape, 1):
        kind = _kind(unit.header, number)
        if kind is not None:
            return SpectralAxis(number, *_edges(unit.header, number, kind, length, keywords), length)
    return None


def has_spectrum(unit: Unit) -> bool:
    """Whether a table has a column of wavelengths or frequencies, and one of numbers for the flux."""
    return _spectral_column(unit.header) is not None and any(
        _FLUX_WORDS.search(name) and _is_numeric(form) for name, form, _ in _columns(unit.header)
    )


def table_axis(unit: Unit, read: Callable[[], fits.FITS_rec]) -> SpectralAxis:
    """Return what the spectrum in a table covers.

    Args:
        unit: a table for which `has_spectrum` holds.
        read: gives the table's rows; called once, and only for a table of moderate size.
    """
    name, unit_name = _spectral_column(unit.header) or ("", "")
    if unit.data_bytes > _LARGEST_SPECTRUM_BYTES:
        return SpectralAxis(0, None, None, 0)
    rows = read()
    values = _values(rows, name)
    unit_of_values = _parsed(unit_name)
    factor = _in_metres(unit_of_values) if unit_of_values is not None else None
    if factor is None or not values.size:
        return SpectralAxis(0, None, None, int(values.size))
    return SpectralAxis(
        0, *_ordered(factor(float(values.min())), factor(float(values.max()))), int(values.size)
    )


def _kind(header: fits.Header, number: int) -> tuple[str, UnitBase] | None:
    """Return (spectral type of FITS or '' for a plain wavelength, unit) of an axis; None: not spectral."""
    ctype = text_of(header, f"CTYPE{number}").upper()
    kind = ctype[:4].strip("-")
    plain = _BRACKETED.sub("", ctype).strip()
    if kind not in _DEFAULT_UNITS and plain not in _LINEAR_TYPES:
        return None
    unit = _unit(header, number, ctype)
    if kind in _DEFAULT_UNITS:
        return kind, unit if unit is not None else _parsed(_DEFAULT_UNITS[kind])
    if unit is not None and _in_metres(unit) is not None:
        return ("FREQ" if unit.is_equivalent("Hz") else ""), unit
    return None


def _unit(header: fits.Header, number: int, ctype: str) -> UnitBase | None:
    """Return an axis' unit, from CUNIT, from brackets in CTYPE (MIDAS), or from WAT cards (IRAF)."""
    text = text_of(header, f"CUNIT{number}")
    if not text and (match := _BRACKETED.search(ctype)):
        text = match[1]
    if not text and (match := _IRAF_UNITS.search(text_of(header, f"WAT{number}_001"))):
        text = match[1]
    return _parsed(text) if text else None


def _parsed(name: str) -> UnitBase | None:
    """Return a unit, None for what is none."""
    # Imported here: it takes half a second, and most files are ingested without.
    from astropy import units

    unit = units.Unit(_UNIT_NAMES.get(name.upper(), name), parse_strict="silent")
    return None if isinstance(unit, units.UnrecognizedUnit) else unit


def _edges(
    header: fits.Header, number: int, kind: tuple[str, UnitBase], length: int, keywords: Keywords
) -> tuple[float | None, float | None]:
    """Return the wavelengths [m] at the outer edges of the first and the last pixel."""
    name, unit = kind
    step = keywords.number(f"CD{number}_{number}", f"CDELT{number}")
    reference, pixel = keywords.number(f"CRVAL{number}"), keywords.number(f"CRPIX{number}") or 0.0
    if step is None or reference is None or text_of(header, f"CTYPE{number}").upper().endswith("-LOG"):
        return None, None
    if f"CD{number}_{number}" not in header:
        step *= keywords.number(f"PC{number}_{number}") or 1.0
    ends = (reference + (edge - pixel) * step for edge in (0.5, length + 0.5))
    convert = _converter(name, unit, keywords)
    if convert is None:
        keywords.doubt(
            f"CTYPE{number}", "The spectral axis cannot be given in wavelengths: em_min is left open."
        )
        return None, None
    return _ordered(*(convert(end) for end in ends))


def _converter(name: str, unit: UnitBase, keywords: Keywords) -> Callable[[float], float] | None:
    """Return the function from a value on the axis to a wavelength [m] (FITS 4.0, section 8.4, table 25)."""
    if name in ("VRAD", "VOPT", "VELO", "FELO"):
        return _from_velocity(name, unit, keywords)
    if name == "AWAV":
        in_metres = _in_metres(unit)
        return None if in_metres is None else lambda value: _vacuum(in_metres(value))
    return _in_metres(unit)


def _from_velocity(name: str, unit: UnitBase, keywords: Keywords) -> Callable[[float], float] | None:
    frequency = keywords.number("RESTFRQ", "RESTFREQ", low=1.0)
    rest = keywords.number("RESTWAV", low=1e-12) or (_C / frequency if frequency else None)
    if rest is None or not unit.is_equivalent("m/s"):
        return None
    scale = float(unit.to("m/s")) / _C

    def wavelength(value: float) -> float:
        beta = value * scale
        if name == "VRAD":
            return rest / (1 - beta) if beta < 1 else math.nan
        if name == "VELO":
            return rest * math.sqrt((1 + beta) / (1 - beta)) if abs(beta) < 1 else math.nan
        return rest * (1 + beta)

    return wavelength


def _in_metres(unit: UnitBase) -> Callable[[float], float] | None:
    """Return the function from a value in a unit of length, frequency, energy or wave number to metres."""
    if unit.is_equivalent("m"):
        metres = float(unit.to("m"))
        return lambda value: value * metres
    for reference, constant in (("Hz", _C), ("J", _H * _C), ("m-1", 1.0)):
        if unit.is_equivalent(reference):
            factor = constant / float(unit.to(reference))
            return lambda value: factor / value if value else math.nan
    return None


def _vacuum(air: float) -> float:
    """Return the vacuum wavelength [m] of one in air (Morton 2000, ApJS 130, 403, equation 8)."""
    s2 = (1e-6 / air) ** 2 if air else math.inf
    index = 1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2)
    return air * index if air > 2e-7 else air


def _ordered(one: float, other: float) -> tuple[float | None, float | None]:
    low, high = min(one, other), max(one, other)
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low > 0 else (None, None)


def _columns(header: fits.Header) -> list[tuple[str, str, str]]:
    """Return (name, format, unit) of a table's columns."""
    count = value_of(header, "TFIELDS")
    numbers = range(1, (min(count, _MAX_COLUMNS) if isinstance(count, int) else 0) + 1)
    keys = ("TTYPE", "TFORM", "TUNIT")
    return [
        (text_of(header, f"{keys[0]}{n}"), text_of(header, f"{keys[1]}{n}"), text_of(header, f"{keys[2]}{n}"))
        for n in numbers
    ]


def _spectral_column(header: fits.Header) -> tuple[str, str] | None:
    """Return (name, unit) of the column of wavelengths or frequencies, or None."""
    for name, form, unit in _columns(header):
        if _SPECTRAL_WORDS.match(name.strip()) and _is_numeric(form):
            return name.strip(), unit.strip()
    return None


def _is_numeric(form: str) -> bool:
    """Whether a column format (FITS 4.0, sections 7.2.1, 7.3.1, 7.3.5) is one of real numbers or integers."""
    return re.match(r"\s*\d*[PQ]?[BIJKEDF]", form) is not None


def _values(rows: fits.FITS_rec, name: str) -> np.ndarray:
    """Return the wavelengths or frequencies; IUE gives the first one, a step (DELTAW) and a number (NPTS)."""
    stored = rows[name]
    # Of variable length, each row's are an array of their own.
    whole = np.concatenate([[], *map(np.ravel, stored)]) if stored.dtype == object else stored
    values = np.asarray(whole, dtype=float).ravel()
    names = {column.upper() for column in rows.names}
    if len(rows) == 1 and {"DELTAW", "NPTS"} <= names:
        values = values[:1] + np.arange(int(rows["NPTS"][0])) * float(rows["DELTAW"][0])
    return values[np.isfinite(values)]
