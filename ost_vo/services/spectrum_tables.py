"""Cutting a band out of a spectrum in a table: its rows, or the elements of its arrays where it has one row.

Source: FITS 4.0 section 7.3 (binary tables).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from typing import Any, BinaryIO

import numpy as np
from astropy import units
from astropy.io import fits
from numpy.typing import NDArray

from ost_vo.faults import UsageFault
from ost_vo.services.cut_pieces import Limits, Piece, check_size
from ost_vo.services.variable_arrays import Heap
from ost_vo.vo import fitscards
from ost_vo.vo.intervals import Interval

_SPECTRAL_NAME = re.compile(r"(wave|lambda|lam|wavelen\w*|freq\w*|energy)$", re.IGNORECASE)
_SPECTRAL_UCD = re.compile(r"em\.(wl|freq|energy)", re.IGNORECASE)
# SDSS: the logarithm to base 10 of Angstrom.
_LOGARITHM = "loglam"


def spectral_column(hdu: Any) -> str | None:
    """Return the name of a table's column of wavelengths, frequencies or energies; None without."""
    if not isinstance(hdu, fits.BinTableHDU) or isinstance(hdu, fits.CompImageHDU):
        return None
    for number, column in enumerate(hdu.columns, 1):
        ucd = str(hdu.header.get(f"TUCD{number}", ""))
        is_named = _SPECTRAL_NAME.match(column.name) or _SPECTRAL_UCD.match(ucd)
        if column.name.lower() == _LOGARITHM or (is_named and _unit(column) is not None):
            return str(column.name)
    return None


def piece(
    hdu: Any,
    cards: Sequence[bytes],
    plain: BinaryIO,
    band: Interval | None,
    limits: Limits,
    history: list[str],
) -> Piece | None:
    """Return what of a spectrum lies in a band, None for nothing.

    Args:
        hdu: a table for which :func:`spectral_column` holds.
        cards: its header.
        plain: the file, not packed.
        band: vacuum wavelengths [m]; None for the whole spectrum.
        limits: of size and time.
        history: lines to add to the header.

    Raises:
        UsageFault: too large; or it has several spectra.
    """
    rows, heap = _rows(hdu, plain, limits), Heap(hdu, plain)
    name = spectral_column(hdu) or ""
    if name in heap.forms and len(rows) > 1:
        raise _several(name)
    stored = heap.array(name, rows[name][0])[None] if name in heap.forms and len(rows) else rows[name]
    values = _wavelengths(hdu.columns[name], stored)
    inside = np.ones(values.shape, bool)
    if band is not None:
        inside = (values >= band.lower) & (values <= band.upper)
    if not inside.any():
        return None
    cuts: dict[str, slice] = {}
    if values.ndim == 1:
        kept, changed, what = rows[inside], [*cards], f"{int(inside.sum())} of {len(rows)} rows"
    elif len(rows) == 1 and values.ndim == 2:
        part = _part(inside[0])
        kept, changed = _elements(rows, [*cards], len(inside[0]), part, heap.forms)
        # Those that run along the wavelengths.
        cuts = {other: part for other in heap.forms if int(rows[other][0][0]) == len(inside[0])}
        what = f"elements {part.start + 1}:{part.stop} of {len(inside[0])}"
    else:
        raise _several(name)
    kept, arrays = heap.repacked(kept, cuts, limits)
    for keyword, number in (
        ("NAXIS1", kept.dtype.itemsize),
        ("NAXIS2", len(kept)),
        ("PCOUNT", len(arrays)),
    ):
        changed = fitscards.with_number(changed, keyword, number)
    changed = fitscards.without_checksums(fitscards.without(changed, "THEAP"))
    lines = fitscards.history([*history, f"Of its columns, {what}"])
    return Piece([*changed, *lines], np.frombuffer(kept.tobytes() + arrays, "u1"))


def _several(name: str) -> UsageFault:
    return UsageFault(
        f"This table has several spectra: the column {name} has an array in each of its rows.",
        "Get the whole file.",
    )


def _part(inside: NDArray[np.bool_]) -> slice:
    """Return from the first element inside to the last."""
    found = np.flatnonzero(inside)
    return slice(int(found[0]), int(found[-1]) + 1)


def _rows(hdu: Any, plain: BinaryIO, limits: Limits) -> NDArray[Any]:
    kind = hdu.columns.dtype.newbyteorder(">")
    size = int(hdu.header["NAXIS1"]) * int(hdu.header["NAXIS2"])
    check_size(size, limits)
    raw = os.pread(plain.fileno(), size, hdu.fileinfo()["datLoc"])
    if len(raw) < size:
        raise EOFError("it ends before its last row")
    return np.frombuffer(raw, kind)


def _elements(
    rows: NDArray[Any], cards: list[bytes], length: int, part: slice, variable: Collection[str]
) -> tuple[NDArray[Any], list[bytes]]:
    """Return a row of whose arrays of that length only a part is left, and the header that fits."""
    names = rows.dtype.names or ()
    cut = [name for name in names if rows.dtype[name].shape == (length,) and name not in variable]
    left = part.stop - part.start
    kind = np.dtype(
        [
            (name, rows.dtype[name].base, (left,)) if name in cut else (name, rows.dtype[name])
            for name in names
        ]
    )
    kept = np.empty(1, kind)
    for number, name in enumerate(names, 1):
        kept[name] = rows[name][:, part] if name in cut else rows[name]
        if name in cut:
            cards = fitscards.without(cards, f"TDIM{number}")
            cards = fitscards.with_repeat(cards, f"TFORM{number}", left)
    return kept, cards


def _wavelengths(column: Any, stored: NDArray[Any]) -> NDArray[np.float64]:
    scale = 1.0 if column.bscale in (None, "") else float(column.bscale)
    zero = 0.0 if column.bzero in (None, "") else float(column.bzero)
    values = stored.astype(float) * scale + zero
    with np.errstate(all="ignore"):
        if column.name.lower() == _LOGARITHM:
            return np.asarray(10**values * 1e-10)
        unit = _unit(column) or units.m
        return np.asarray(unit.to(units.m, values, equivalencies=units.spectral()))


def _unit(column: Any) -> units.UnitBase | None:
    """Return the unit of a column of wavelengths, frequencies or energies; None for another."""
    text = (column.unit or "").strip()
    text = {"a": "Angstrom", "angstroms": "Angstrom", "micron": "um", "microns": "um"}.get(text.lower(), text)
    unit = units.Unit(text, parse_strict="silent")
    is_spectral = text and unit.is_equivalent(units.m, equivalencies=units.spectral())
    return unit if is_spectral else None
