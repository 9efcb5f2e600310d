"""One-dimensional spectra in FITS files: an image of one row, or two columns of a table.

Source: FITS 4.0 section 8 (axes); IRAF's DC-FLAG for logarithmic wavelengths.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from pixels.cards import number, text
from pixels.image import NoPicture

Values = NDArray[np.float64]

_X_NAMES = re.compile(r"(wave|lambda|wavelen|freq|lam$|loglam$|energy|velo|vhelio)", re.IGNORECASE)
_Y_NAMES = re.compile(r"(flux|spec|net$|abnet|counts?|intens|flam|fnu|data$)", re.IGNORECASE)
_MAX_BYTES = 64 << 20
# Images of so few rows are a spectrum, its background and its noise, one below the other.
_MAX_ROWS = 8
_LOGARITHMIC = 1


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A spectrum to be plotted: its points, and what the axes are, with units."""

    x: Values
    y: Values
    labels: tuple[str, str]


def of_image(hdu: Any) -> Spectrum:
    """Return the spectrum in an image: along its first axis, in its first row.

    Raises:
        NoPicture: too long, or without values.
    """
    shape = [int(length) for length in hdu.shape]
    if not shape or max(shape) < 2:
        raise NoPicture("The image has a single pixel.")
    axis = max(range(len(shape)), key=lambda n: shape[n])
    if shape[axis] * 8 > _MAX_BYTES:
        raise NoPicture("The spectrum is too long.")
    index = tuple(slice(None) if n == axis else 0 for n in range(len(shape)))
    y = np.asarray(hdu.section[index], float)
    x, label = _axis(hdu.header, len(shape) - axis, y.size)
    return _checked(x, y, label, _named("Value", text(hdu.header, "BUNIT")))


def is_row(hdu: Any) -> bool:
    """Whether an image has so few rows that they are spectra."""
    long = [int(length) for length in hdu.shape if length > 1]
    return len(long) < 2 or (len(long) == 2 and long[0] <= _MAX_ROWS)


def of_table(hdu: Any) -> Spectrum:
    """Return the spectrum in a table: a column of wavelengths or the like, and one of values.

    A row may hold whole spectra; the first is taken.

    Raises:
        NoPicture: it has no such columns, or they are too large.
    """
    columns = hdu.columns
    x_name = next((n for n in columns.names if _X_NAMES.match(n) and _is_numeric(columns[n])), None)
    y_name = next(
        (n for n in columns.names if _Y_NAMES.search(n) and n != x_name and _is_numeric(columns[n])), None
    )
    if x_name is None or y_name is None:
        raise NoPicture("The table has no columns of wavelengths and fluxes to plot.")
    if int(hdu.header["NAXIS1"]) * int(hdu.header["NAXIS2"]) > _MAX_BYTES:
        raise NoPicture("The table is too large to plot.")
    rows = hdu.data
    y = np.atleast_1d(np.asarray(_first(rows, y_name), float)).ravel()
    x = _steps(rows, x_name, y.size)
    size = min(x.size, y.size)
    labels = [_named(n, columns[n].unit or "") for n in (x_name, y_name)]
    return _checked(x[:size], y[:size], labels[0], labels[1])


def _first(rows: fits.FITS_rec, name: str) -> Any:
    """Return a whole column of numbers, or the first row of one of arrays."""
    values = rows[name]
    return values[0] if len(rows) and np.ndim(values[0]) else values


def _steps(rows: fits.FITS_rec, name: str, size: int) -> Values:
    """Return the wavelengths; IUE gives the first one and a step (DELTAW)."""
    values = np.atleast_1d(np.asarray(_first(rows, name), float)).ravel()
    steps = next((n for n in rows.names if n.upper() == "DELTAW"), None)
    if steps is not None and np.ndim(rows[name]) == 1 and np.ndim(rows[steps]) == 1:
        return values[0] + np.arange(size) * float(rows[steps][0])
    return values


def _is_numeric(column: fits.Column) -> bool:
    return re.match(r"\s*\d*[BIJKEDF]", str(column.format)) is not None


def _axis(header: fits.Header, axis: int, size: int) -> tuple[Values, str]:
    """Return the coordinates along an axis and what they are; pixels where the header has no scale."""
    step = number(header, f"CDELT{axis}") or number(header, f"CD{axis}_{axis}")
    reference = number(header, f"CRVAL{axis}")
    pixels = np.arange(1, size + 1, dtype=float)
    if not step or reference is None:
        return pixels, "Pixel"
    pixel = number(header, f"CRPIX{axis}")
    values = reference + (pixels - (1.0 if pixel is None else pixel)) * step
    if number(header, "DC-FLAG") == _LOGARITHMIC:
        with np.errstate(over="ignore"):
            values = 10.0**values
    kind = text(header, f"CTYPE{axis}") or "Wavelength"
    return values, _named(kind, text(header, f"CUNIT{axis}"))


def _named(name: str, unit: str) -> str:
    shown = "".join(c for c in f"{name} [{unit}]" if c.isprintable()) if unit else name
    return shown[:80]


def _checked(x: Values, y: Values, x_label: str, y_label: str) -> Spectrum:
    known = np.isfinite(x)
    x, y = x[known], np.where(np.isfinite(y), y, np.nan)[known]
    if np.isfinite(y).sum() < 2:
        raise NoPicture("The spectrum has fewer than two points with values.")
    return Spectrum(x, y, (x_label, y_label))
