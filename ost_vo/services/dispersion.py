"""Whether a frame is one of a spectrograph, told from its pixels: header, path and people come first."""

from __future__ import annotations

from ost_vo.store.findings import Ridges

# Keywords of the discrepancies: of what the archive takes a frame for by its pixels, and of contradictions.
SPECTROGRAPH, EXPOSURE, COORDINATES = "SPECTROG", "IMAGETYP", "CTYPE1"
_WITHOUT_LIGHT = ("bias", "dark")


def is_told(
    product_type: str | None, exposure_type: str | None, position_source: str | None, found: Ridges | None
) -> bool:
    """Whether a frame counts as a spectrum by its pixels: they show one, and the header nothing else.

    A flat field does not, as the light behind a slit may be meant, nor does a frame that shows the sky by
    its world coordinates or its plate solution.

    Args:
        product_type: of ObsCore, by header and path.
        exposure_type: bias, dark, flat, light or wave; None where unknown.
        position_source: where the position comes from, None where there is none.
        found: the dispersed light in the image, None for none.
    """
    is_open = exposure_type in (None, "light", "wave") and position_source in (None, "header")
    return found is not None and product_type == "image" and is_open


def doubts(
    product_type: str | None, exposure_type: str | None, position_source: str | None, found: Ridges | None
) -> list[tuple[str, str]]:
    """Return (keyword, reason) of what the pixels say of dispersed light that the header does not.

    Args:
        product_type, exposure_type, position_source, found: as for `is_told`.
    """
    if found is None or product_type != "image":
        return []
    ridges = "a ridge goes" if found.count == 1 else f"{found.count} ridges go"
    seen = (
        f"{ridges} along the {found.along} from part to part, {found.contrast:.0f} times as high as the "
        "noise, without stars beside"
    )
    if is_told(product_type, exposure_type, position_source, found):
        return [(SPECTROGRAPH, f"{seen}: taken for a spectrum, of which the header says nothing.")]
    if exposure_type in _WITHOUT_LIGHT:
        return [(EXPOSURE, f"{seen}, as in a spectrum: a {exposure_type} frame has no light.")]
    if position_source == "wcs" and exposure_type != "flat":
        return [(COORDINATES, f"{seen}, as in a spectrum: its world coordinates are those of the sky.")]
    return []
