"""Pictures of pixels, for people to look at: an asinh stretch between what the sky and the stars have."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ost_vo.services.cutouts import Piece
from ost_vo.vo.fitscards import number_of

# Browsers show no larger pictures well; of larger ones every so many-th pixel is taken.
MAX_SIDE = 4096
# Pixels that the limits of the stretch are taken from.
_SAMPLE = 1_000_000
_DARKEST, _BRIGHTEST = 1.0, 99.7
# How steep the stretch is near the sky.
_SOFTENING = 0.1


def png(piece: Piece) -> bytes:
    """Return a grey picture, the first row at the bottom; the mean along all axes but the first two."""
    from PIL import Image  # takes a while to import

    picture = io.BytesIO()
    Image.fromarray(_stretched(_plane(piece))).save(picture, "PNG", compress_level=3)
    return picture.getvalue()


def _plane(piece: Piece) -> NDArray[np.float32]:
    """Return the physical values of a plane (rows, columns), NaN where there are none."""
    pixels = piece.pixels
    rows, columns = (pixels.shape[-2] if pixels.ndim > 1 else 1), pixels.shape[-1]
    step = -(-max(rows, columns) // MAX_SIDE)
    stacked = pixels.reshape(-1, rows, columns)[:, ::step, ::step]
    total, count = np.zeros(stacked.shape[1:]), np.zeros(stacked.shape[1:])
    for plane in stacked:
        values = _physical(piece, plane)
        known = np.isfinite(values)
        total[known] += values[known]
        count += known
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(total / count, np.float32)


def _physical(piece: Piece, pixels: NDArray[Any]) -> NDArray[np.float64]:
    scale, zero, blank = (number_of(piece.cards, name) for name in ("BSCALE", "BZERO", "BLANK"))
    values = pixels.astype(float) * (1.0 if scale is None else scale) + (zero or 0.0)
    if blank is not None and pixels.dtype.kind in "iu":
        values[pixels == blank] = np.nan
    return values


def _stretched(plane: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = plane[np.isfinite(plane)]
    sample = known[:: max(1, known.size // _SAMPLE)]
    low, high = np.percentile(sample, [_DARKEST, _BRIGHTEST]) if sample.size else (0.0, 1.0)
    part = np.clip((plane - low) / (high - low if high > low else 1.0), 0, 1)
    bright = np.arcsinh(part / _SOFTENING) / np.arcsinh(1 / _SOFTENING)
    return np.nan_to_num(bright[::-1] * 255).astype(np.uint8)
