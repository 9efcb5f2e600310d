"""Where an image lies on the sky: its centre, field, outline and scale from the WCS, distortions included.

Angles are degrees, positions ICRS. Pixel coordinates are counted from 0 at the centre of the first pixel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ingest.headers import Remark, Unit
from ost_vo.vo.celestial import Vectors, degrees, separations, to_icrs, vectors
from ost_vo.vo.wcscards import celestial_axes, celestial_wcs, needs_lookup, sound_values
from ost_vo.vo.zenithal import zenithal

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["Footprint", "footprint", "needs_lookup"]

ARCSEC_PER_RADIAN = math.degrees(1.0) * 3600.0
# Below this size the edges of an undistorted image are great circles to a fraction of a pixel.
_SMALL_FIELD = 1.0
_POINTS_PER_EDGE = 8
# pgSphere's polygons and STC-S have an inside only while they are smaller than a hemisphere.
_MAX_RADIUS = 89.0
# From pixels (n, 2) to directions in ICRS.
_Sky = Callable[[NDArray[np.float64]], Vectors]


@dataclass(frozen=True, slots=True)
class Footprint:
    """An image's place on the sky.

    Attributes:
        s_ra, s_dec: its centre.
        s_fov: diameter of the circle around the centre that holds it.
        vertices: (longitude, latitude) of its outline, anticlockwise as seen on the sky; None where it has no
            outline below a hemisphere.
        s_pixel_scale: size of the pixel at the centre [arcsec], the root of its area.
        s_orientation: position angle of the image's +y direction, from north through east, in [0, 360).
        s_parity: 1 as on the sky (east to the left of north), -1 mirrored.
    """

    s_ra: float
    s_dec: float
    s_fov: float
    vertices: tuple[tuple[float, float], ...] | None
    s_pixel_scale: float
    s_orientation: float
    s_parity: int

    @property
    def s_region(self) -> str | None:
        """The outline in STC-S."""
        if self.vertices is None:
            return None
        return "Polygon ICRS " + " ".join(f"{lon:.8f} {lat:.8f}" for lon, lat in self.vertices)

    @property
    def spoly(self) -> str | None:
        """The outline as pgSphere reads it."""
        if self.vertices is None:
            return None
        return "{" + ",".join(f"({lon:.8f}d,{lat:.8f}d)" for lon, lat in self.vertices) + "}"


def footprint(unit: Unit, hdus: fits.HDUList | None) -> tuple[Footprint | None, list[Remark]]:
    """Return the footprint of an image with a celestial WCS, or None and the reason.

    Args:
        unit: the image.
        hdus: the whole file, where `needs_lookup` says that distortions lie in extensions.
    """
    plain = zenithal(sound_values(unit.header)) if len(unit.shape) == 2 and hdus is None else None
    if plain is not None:
        is_distorted = plain.distortion is not None
        found = _of_sky(plain.directions, unit.shape[0], unit.shape[1], is_distorted=is_distorted)
        if isinstance(found, Footprint):
            return found, []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = _of_wcs(
                celestial_wcs(unit.header, unit.shape, hdus, unit.cards), *_celestial_lengths(unit)
            )
    # Those of wcslib are ValueErrors.
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        MemoryError,
        np.linalg.LinAlgError,
    ) as error:
        return None, [Remark("CTYPE1", f"The WCS cannot be used: {_first_line(error)}")]
    remarks = [Remark("CTYPE1", _first_line(w.message)) for w in caught if _matters(w)]
    if isinstance(found, str):
        return None, [*remarks, Remark("CTYPE1", found)]
    return found, remarks


def _matters(warning: warnings.WarningMessage) -> bool:
    """Repairs of dates and units that astropy makes by itself are no concern of anyone's."""
    from astropy.wcs import FITSFixedWarning

    return not issubclass(warning.category, FITSFixedWarning | DeprecationWarning | fits.verify.VerifyWarning)


def _first_line(message: object) -> str:
    return (str(message).strip().splitlines() or [type(message).__name__])[0]


def _of_wcs(wcs: WCS, width: int, height: int) -> Footprint | str:
    """Return the footprint, or why there is none."""
    from astropy.wcs.utils import wcs_to_celestial_frame

    if wcs.naxis != 2:
        return "The WCS has no two celestial axes."
    try:
        frame = wcs_to_celestial_frame(wcs)
    except ValueError:
        return f"The WCS is not of the celestial sphere ({', '.join(wcs.wcs.ctype)}): no position."
    is_distorted = wcs.sip is not None or wcs.cpdis1 is not None or wcs.det2im1 is not None
    return _of_sky(partial(_sky, wcs, frame), width, height, is_distorted=is_distorted)


def _of_sky(sky: _Sky, width: int, height: int, *, is_distorted: bool) -> Footprint | str:
    """Return the footprint of an image of that size [pixels], or why there is none."""
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    local = sky(centre + np.array([[0.0, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]]))
    if not np.isfinite(local).all():
        return "The centre of the image is outside the projection of its WCS."
    dx, dy = local[1] - local[2], local[3] - local[4]
    middle = local[0]
    area = float(np.dot(np.cross(dx, dy), middle))
    if area == 0:
        return "The WCS gives its pixels no size."
    diagonal = math.degrees(math.sqrt(abs(area)) * math.hypot(width, height))
    per_edge = 1 if diagonal < _SMALL_FIELD and not is_distorted else _POINTS_PER_EDGE
    return _footprint(middle, dy, area, sky(_outline(width, height, per_edge)))


def _footprint(middle: Vectors, dy: Vectors, area: float, edge: Vectors) -> Footprint:
    s_ra, s_dec = degrees(middle)
    lon, lat = math.radians(s_ra), math.radians(s_dec)
    east = np.array([-math.sin(lon), math.cos(lon), 0.0])
    north = np.array([-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat)])
    radius = float(separations(middle, edge).max()) if np.isfinite(edge).all() else 180.0
    # The sky is seen from inside: a positive area, seen from outside, is a mirrored image.
    anticlockwise = edge if area < 0 else edge[::-1]
    return Footprint(
        s_ra=s_ra,
        s_dec=s_dec,
        s_fov=2 * radius,
        vertices=tuple(degrees(vertex) for vertex in anticlockwise) if radius < _MAX_RADIUS else None,
        s_pixel_scale=math.sqrt(abs(area)) * ARCSEC_PER_RADIAN,
        s_orientation=math.degrees(math.atan2(float(dy @ east), float(dy @ north))) % 360.0,
        s_parity=1 if area < 0 else -1,
    )


def _celestial_lengths(unit: Unit) -> tuple[int, int]:
    """Return the lengths in pixels of the celestial axes."""
    first, second = (unit.shape[axis - 1] for axis in celestial_axes(unit.header))
    return first, second


def _outline(width: int, height: int, per_edge: int) -> NDArray[np.float64]:
    """Return points (4 * per_edge, 2) along the outer edges, corners first on each, anticlockwise."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    steps = np.arange(per_edge)[:, None] / per_edge
    following = np.roll(corners, -1, axis=0)
    return np.concatenate([a + (b - a) * steps for a, b in zip(corners, following, strict=True)])


def _sky(wcs: WCS, frame: Any, pixels: NDArray[np.float64]) -> Vectors:
    world = wcs.all_pix2world(pixels, 0)
    if wcs.wcs.lng == 1:
        world = world[:, ::-1]
    return to_icrs(vectors(world[:, 0], world[:, 1]), frame)
