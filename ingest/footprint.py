"""Where an image lies on the sky: its centre, field, outline and scale from the WCS, distortions included.

Angles are degrees, positions ICRS. Pixel coordinates are counted from 0 at the centre of the first pixel.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning, WcsError
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from ingest.headers import Remark, Unit
from ost_vo.vo.celestial import Vectors, degrees, separations, to_icrs, vectors
from ost_vo.vo.wcscards import celestial_axes, celestial_wcs, needs_lookup, value_of

__all__ = ["Footprint", "footprint", "has_celestial_wcs", "needs_lookup"]

ARCSEC_PER_RADIAN = math.degrees(1.0) * 3600.0
# Below this size the edges of an undistorted image are great circles to a fraction of a pixel.
_SMALL_FIELD = 1.0
_POINTS_PER_EDGE = 8
# pgSphere's polygons and STC-S have an inside only while they are smaller than a hemisphere.
_MAX_RADIUS = 89.0
_SCALE = re.compile(r"(CD\d_\d|CDELT\d)$")


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


def has_celestial_wcs(header: fits.Header) -> bool:
    """Whether a header has a world coordinate system for the sky: types, reference point, and a scale."""
    return (
        len(celestial_axes(header)) == 2
        and all(value_of(header, f"CRVAL{axis}") is not None for axis in celestial_axes(header))
        and any(_SCALE.match(keyword) and value_of(header, keyword) for keyword in header)
    )


def footprint(unit: Unit, hdus: fits.HDUList | None) -> tuple[Footprint | None, list[Remark]]:
    """Return the footprint of an image with a celestial WCS, or None and the reason.

    Args:
        unit: the image.
        hdus: the whole file, where `needs_lookup` says that distortions lie in extensions.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = _of_wcs(
                celestial_wcs(unit.header, unit.shape, hdus, unit.cards), *_celestial_lengths(unit)
            )
    except (
        WcsError,
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
    return not issubclass(warning.category, FITSFixedWarning | DeprecationWarning | fits.verify.VerifyWarning)


def _first_line(message: object) -> str:
    return (str(message).strip().splitlines() or [type(message).__name__])[0]


def _of_wcs(wcs: WCS, width: int, height: int) -> Footprint | str:
    """Return the footprint, or why there is none."""
    if wcs.naxis != 2:
        return "The WCS has no two celestial axes."
    try:
        frame = wcs_to_celestial_frame(wcs)
    except ValueError:
        return f"The WCS is not of the celestial sphere ({', '.join(wcs.wcs.ctype)}): no position."
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    local = _sky(
        wcs, centre + np.array([[0.0, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]]), frame
    )
    if not np.isfinite(local).all():
        return "The centre of the image is outside the projection of its WCS."
    dx, dy = local[1] - local[2], local[3] - local[4]
    middle = local[0]
    area = float(np.dot(np.cross(dx, dy), middle))
    if area == 0:
        return "The WCS gives its pixels no size."
    edge = _sky(wcs, _outline(width, height, _points_per_edge(wcs, width, height, area)), frame)
    return _footprint(middle, dy, area, edge)


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


def _points_per_edge(wcs: WCS, width: int, height: int, area: float) -> int:
    diagonal = math.degrees(math.sqrt(abs(area)) * math.hypot(width, height))
    distorted = wcs.sip is not None or wcs.cpdis1 is not None or wcs.det2im1 is not None
    return 1 if diagonal < _SMALL_FIELD and not distorted else _POINTS_PER_EDGE


def _outline(width: int, height: int, per_edge: int) -> NDArray[np.float64]:
    """Return points (4 * per_edge, 2) along the outer edges, corners first on each, anticlockwise."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    steps = np.arange(per_edge)[:, None] / per_edge
    following = np.roll(corners, -1, axis=0)
    return np.concatenate([a + (b - a) * steps for a, b in zip(corners, following, strict=True)])


def _sky(wcs: WCS, pixels: NDArray[np.float64], frame: Any) -> Vectors:
    world = wcs.all_pix2world(pixels, 0)
    if wcs.wcs.lng == 1:
        world = world[:, ::-1]
    return to_icrs(vectors(world[:, 0], world[:, 1]), frame)
