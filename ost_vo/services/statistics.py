"""Whether the pixels of a frame can be what its header says: a bias is no flat.

Every rule compares few numbers and says them. Rules are conservative: what is merely unusual passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ost_vo.store.findings import PixelStatistics

KEYWORD = "IMAGETYP"
# Exposure types whose level is compared with that of bias frames.
COMPARED_WITH_BIAS = ("bias", "flat")
# The longest exposure of a bias frame; cameras with shutters cannot make shorter ones than this [s].
LONGEST_BIAS = 1.0
# Fewer bias frames than this do not tell the level of a camera.
FEWEST_REFERENCES = 5
# What a level may differ by: in the scatter of the references, and in parts of the full scale.
_SIGMA, _PART = 10.0, 0.01
_SIGMA_PER_MAD = 1.4826
# Parts of the full scale that the median of a dark, or of a starless light, does not get to.
_BRIGHT_DARK, _BRIGHT_SKY = 0.5, 0.25
_STARLESS = 5e-6
_OVEREXPOSED = 0.5


def doubts(
    exposure_type: str | None,
    product_type: str | None,
    exposure: float | None,
    found: PixelStatistics,
    bias_levels: Sequence[float],
) -> list[str]:
    """Return why a frame can hardly be of the exposure type that it is filed as; nothing where it can.

    Args:
        exposure_type: bias, dark, flat, light or wave; None where unknown, which contradicts nothing.
        product_type: of ObsCore; spectra have other levels than images.
        exposure: [s], None where unknown.
        found: statistics of its pixels.
        bias_levels: medians of bias frames of the same camera and mode.
    """
    if exposure_type == "bias":
        return _of_bias(exposure, found, bias_levels)
    if exposure_type == "dark":
        return _of_dark(found)
    if exposure_type == "flat":
        return _of_flat(found, bias_levels)
    if exposure_type == "light" and product_type == "image":
        return _of_light(found)
    return []


def _of_bias(exposure: float | None, found: PixelStatistics, bias_levels: Sequence[float]) -> list[str]:
    reasons = []
    if exposure is not None and exposure > LONGEST_BIAS:
        reasons.append(f"a bias frame is not exposed for {exposure:g} s.")
    known = _level(bias_levels, found)
    if known and found.median > known[0] + known[1]:
        reasons.append(
            f"a bias frame of this camera has a median of {known[0]:.6g} (of {len(bias_levels)} others), "
            f"and this one {found.median:.6g}."
        )
    return reasons


def _of_dark(found: PixelStatistics) -> list[str]:
    if found.full_scale is None or found.median < _BRIGHT_DARK * found.full_scale:
        return []
    return [
        f"a dark frame does not have a median of {found.median:.6g}, with {found.full_scale:.6g} the most."
    ]


def _of_flat(found: PixelStatistics, bias_levels: Sequence[float]) -> list[str]:
    if found.saturated > _OVEREXPOSED:
        return [f"of this flat field, {found.saturated:.0%} of the pixels are saturated."]
    known = _level(bias_levels, found)
    if known and found.median < known[0] + known[1]:
        return [
            f"a flat field has light in it, and the median of {found.median:.6g} is that of this camera's "
            f"bias frames ({known[0]:.6g} of {len(bias_levels)})."
        ]
    return []


def _of_light(found: PixelStatistics) -> list[str]:
    if found.saturated > _OVEREXPOSED:
        return [f"of this light frame, {found.saturated:.0%} of the pixels are saturated."]
    if found.full_scale is None or found.median < _BRIGHT_SKY * found.full_scale:
        return []
    if found.bright > _STARLESS:
        return []
    return [
        f"this light frame is bright (median {found.median:.6g}, with {found.full_scale:.6g} the most) and "
        "has no stars: a flat field?"
    ]


def _level(levels: Sequence[float], found: PixelStatistics) -> tuple[float, float] | None:
    """Return the level of a camera's bias frames and by how much one may differ; None where unknown."""
    if len(levels) < FEWEST_REFERENCES:
        return None
    level = median(levels)
    scatter = _SIGMA_PER_MAD * median(abs(value - level) for value in levels)
    return level, max(_SIGMA * scatter, _PART * (found.full_scale or 0.0))
