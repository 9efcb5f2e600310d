"""Pictures of pixels, for people to look at: an asinh stretch between what the sky and the stars have."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ost_vo.services.cut_pieces import Piece
from ost_vo.vo.fitscards import number_of

if TYPE_CHECKING:
    from PIL.Image import Image

# Browsers show no larger pictures well; of larger ones every so many-th pixel is taken.
MAX_SIDE = 4096
# Pixels that the limits of the stretch are taken from.
_SAMPLE = 1_000_000
_DARKEST, _BRIGHTEST = 1.0, 99.7
# Deviations from the median that show all of the sky and of most stars: dead columns and edges are not to
# decide over the rest.
_BELOW, _ABOVE = 3.0, 50.0
_SIGMA_PER_MAD = 1.4826
# How steep the stretch is near the sky.
_SOFTENING = 0.1
# Points of a plotted line; of longer spectra, the lowest and the highest value of each part are drawn.
_PLOT_PARTS = 2048
_PLOT_SHAPE = 9 / 16
_PLOT_DPI = 100


def png(piece: Piece) -> bytes:
    """Return a grey picture, the first row at the bottom; the mean along all axes but the first two."""
    return _encoded(_image(stretched(_plane(piece))[::-1]), 3)


def stretched(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the brightness of values: black below the darkest of them, white above nearly all.

    Args:
        values: (rows, columns), or (rows, columns, 3) of red, green and blue, which get their own black, so
            that the sky has no colour, and one scale; NaN becomes black.
    """
    colours = values[..., None] if values.ndim == 2 else values
    limits = [_limits(colours[..., band]) for band in range(colours.shape[-1])]
    span = max(high - low for low, high in limits)
    part = (colours - np.array([low for low, _ in limits], np.float32)) / np.float32(span if span > 0 else 1)
    np.clip(part, 0, 1, out=part)
    bright = np.arcsinh(part / _SOFTENING) / np.arcsinh(1 / _SOFTENING)
    return np.nan_to_num(bright * 255).astype(np.uint8).reshape(values.shape)


def shrunk(picture: NDArray[np.uint8], side: int) -> bytes:
    """Return a PNG whose longer side has at most so many pixels; a smaller picture stays as it is.

    Args:
        picture: grey (rows, columns) or (rows, columns, 3), the first row at the top.
        side: [pixels].
    """
    image = _image(picture)
    image.thumbnail((side, side))
    return _encoded(image, 6)


def plot(
    x: NDArray[np.float64], y: NDArray[np.float64], labels: tuple[str, str], width: int, *, bare: bool = False
) -> bytes:
    """Return a PNG of a spectrum as a line.

    Args:
        x, y: its points, of one length.
        labels: of the two axes, with units.
        width: of the picture [pixels].
        bare: whether to leave out axes and labels, for a picture too small for them.
    """
    # A big library, which only those need who plot.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _PLOT_DPI, width * _PLOT_SHAPE / _PLOT_DPI), dpi=_PLOT_DPI)
    axes = figure.add_axes((0.02, 0.04, 0.96, 0.92)) if bare else figure.add_subplot()
    axes.plot(*_outlined(x, y), linewidth=0.8, color="black")
    axes.margins(x=0)
    if bare:
        axes.set_axis_off()
    else:
        # As text: a header may have signs that start a formula.
        axes.set_xlabel(labels[0], parse_math=False)
        axes.set_ylabel(labels[1], parse_math=False)
        axes.grid(alpha=0.3)
        figure.tight_layout()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _outlined(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a line that looks the same with fewer points."""
    if x.size <= 2 * _PLOT_PARTS:
        return x, y
    starts = np.linspace(0, x.size, _PLOT_PARTS, endpoint=False).astype(int)
    ends = np.stack([np.fmin.reduceat(y, starts), np.fmax.reduceat(y, starts)], axis=1)
    return np.repeat(x[starts], 2), ends.ravel()


def _image(picture: NDArray[np.uint8]) -> Image:
    from PIL import Image  # takes a while to import

    return Image.fromarray(np.ascontiguousarray(picture))


def _encoded(image: Image, level: int) -> bytes:
    picture = io.BytesIO()
    image.save(picture, "PNG", compress_level=level)
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


def _limits(plane: NDArray[np.float32]) -> tuple[float, float]:
    """Return the values that become black and white."""
    known = plane[np.isfinite(plane)]
    sample = known[:: max(1, known.size // _SAMPLE)]
    if not sample.size:
        return 0.0, 1.0
    low, median, high = np.percentile(sample, [_DARKEST, 50.0, _BRIGHTEST])
    sigma = _SIGMA_PER_MAD * float(np.median(np.abs(sample - median)))
    if sigma > 0:
        low, high = max(low, median - _BELOW * sigma), min(high, median + _ABOVE * sigma)
    return float(low), float(high)
