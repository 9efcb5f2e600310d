"""Which pixels along the spectral or the polarization axis of a cube a selection meets.

Source: FITS 4.0 section 8.4 (spectral axes, table 25), 8.5 (conventional values of STOKES).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from astropy import constants, units
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from ost_vo.vo.intervals import Interval
from ost_vo.vo.wcscards import sound_header, text_of, value_of

Values = NDArray[np.float64]

_C = float(constants.c.value)  # m/s
_H = float(constants.h.value)  # J s
_PLAIN = ("LINEAR", "LAMBDA", "WAVELENGTH", "WAVELEN")
_VELOCITIES = ("VRAD", "VOPT", "VELO", "ZOPT", "BETA")
# By the values of a STOKES axis.
_STATES = {
    1: "I", 2: "Q", 3: "U", 4: "V",
    -1: "RR", -2: "LL", -3: "RL", -4: "LR", -5: "XX", -6: "YY", -7: "XY", -8: "YX",
}  # fmt: skip


def spectral_axis(header: fits.Header, shape: Sequence[int]) -> int | None:
    """Return the number of the spectral axis of an image with axes of such lengths, None without one."""
    return next((n for n in range(1, len(shape) + 1) if _kind(header, n) is not None), None)


def polarization_axis(header: fits.Header, shape: Sequence[int]) -> int | None:
    """Return the number of the polarization axis of an image with axes of such lengths, None without one."""
    numbers = range(1, len(shape) + 1)
    return next((n for n in numbers if text_of(header, f"CTYPE{n}").upper() == "STOKES"), None)


def in_band(header: fits.Header, shape: Sequence[int], axis: int, band: Interval) -> tuple[int, int] | None:
    """Return the channels that overlap wavelengths: the first and the end (exclusive), None without any.

    Args:
        header: of the image.
        shape: lengths of its axes, NAXIS1 first.
        axis: number of the spectral one.
        band: vacuum wavelengths [m].

    Raises:
        WcsError, ValueError, KeyError, TypeError: the axis cannot be given in wavelengths.
    """
    edges: Values = np.arange(shape[axis - 1] + 1, dtype=float) - 0.5
    found = _wavelengths(header, shape, axis, edges)
    low, high = np.minimum(found[:-1], found[1:]), np.maximum(found[:-1], found[1:])
    return planes((low <= band.upper) & (high >= band.lower))


def in_states(
    header: fits.Header, shape: Sequence[int], axis: int, states: Sequence[str]
) -> tuple[int, int] | None:
    """Return the planes from the first to the last of some polarization states, as `in_band` does."""
    values = world(header, shape, axis, np.arange(shape[axis - 1], dtype=float))
    names = [_STATES.get(round(value)) if np.isfinite(value) else None for value in values]
    return planes(np.array([name in states for name in names]))


def planes(meets: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Return the first of those that are met and the end (exclusive) of the last; None without any."""
    found = np.flatnonzero(meets)
    return (int(found[0]), int(found[-1]) + 1) if len(found) else None


def world(header: fits.Header, shape: Sequence[int], axis: int, pixels: Values) -> Values:
    """Return the world coordinates, in the units of FITS, of pixels counted from 0."""
    sound = sound_header(header, shape)
    for keyword in ("RESTFRQ", "RESTFREQ", "RESTWAV"):
        rest = value_of(header, keyword)
        if isinstance(rest, int | float) and 0 < rest < 1e30:
            sound["RESTFRQ" if keyword == "RESTFREQ" else keyword] = float(rest)
    return np.asarray(WCS(sound, naxis=[axis]).all_pix2world(pixels, 0)[0])


def _kind(header: fits.Header, number: int) -> str | None:
    """Return what is along an axis: a spectral type of FITS, '' a plain wavelength; None: not spectral."""
    ctype = text_of(header, f"CTYPE{number}").upper()
    name = ctype[:4].rstrip("-")
    if name in ("WAVE", "AWAV", "FREQ", "ENER", "WAVN", *_VELOCITIES) and ctype[4:5] in ("", "-"):
        return name
    unit = units.Unit(text_of(header, f"CUNIT{number}"), parse_strict="silent")
    return "" if ctype in _PLAIN and unit.is_equivalent(units.m) else None


def _wavelengths(header: fits.Header, shape: Sequence[int], axis: int, pixels: Values) -> Values:
    kind = _kind(header, axis) or ""
    values = world(header, shape, axis, pixels)
    if not kind:
        scale = units.Unit(text_of(header, f"CUNIT{axis}"), parse_strict="silent")
        # Wcslib gives metres where it knows the type of the axis, and the header's unit elsewhere.
        return values * float(scale.to(units.m))
    rest = _rest(header)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_CONVERSIONS[kind](values, rest))


def _rest(header: fits.Header) -> float:
    """Return the wavelength at rest [m], NaN where the header has none."""
    wavelength = value_of(header, "RESTWAV")
    if isinstance(wavelength, int | float) and wavelength > 0:
        return float(wavelength)
    frequency = value_of(header, "RESTFRQ") or value_of(header, "RESTFREQ")
    return _C / frequency if isinstance(frequency, int | float) and frequency > 0 else float("nan")


def _of_beta(beta: Values, rest: float) -> Values:
    return rest * np.sqrt((1 + beta) / (1 - beta))


def _vacuum(air: Values) -> Values:
    """Return vacuum wavelengths [m] of those in air (Morton 2000, ApJS 130, 403, equation 8)."""
    s2 = (1e-6 / air) ** 2
    index = 1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2)
    return np.where(air > 2e-7, air * index, air)


_CONVERSIONS: dict[str, Callable[[Values, float], Values]] = {
    "WAVE": lambda value, _: value,
    "AWAV": lambda value, _: _vacuum(value),
    "FREQ": lambda value, _: _C / value,
    "ENER": lambda value, _: _H * _C / value,
    "WAVN": lambda value, _: 1 / value,
    "VRAD": lambda value, rest: rest / (1 - value / _C),
    "VOPT": lambda value, rest: rest * (1 + value / _C),
    "ZOPT": lambda value, rest: rest * (1 + value),
    "VELO": lambda value, rest: _of_beta(value / _C, rest),
    "BETA": _of_beta,
}
