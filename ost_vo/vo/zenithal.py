"""The gnomonic and the orthographic projection (TAN, SIN) in closed form, with SIP's polynomials.

Most frames have no more than this. To set up astropy's general WCS for it takes ten times as long as all that
is here, and to import it takes a command a second.

Sources: Greisen & Calabretta 2002, A&A 395, 1061, sections 2.1 and 6.1 (pixels to intermediate coordinates);
Calabretta & Greisen 2002, A&A 395, 1077, sections 2.2, 2.4, 5.1.3, 5.1.5
and 6.1 (CROTA); Shupe et al. 2005 (SIP), whose inverse polynomials AP and BP are not used, as in astropy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ost_vo.vo.celestial import FK5_TO_ICRS, Vectors

Value = bool | int | float | str

_PROJECTIONS = {("RA---TAN", "DEC--TAN"): True, ("RA---SIN", "DEC--SIN"): False}
_SIP = {(f"{first}-SIP", f"{second}-SIP"): kind for (first, second), kind in _PROJECTIONS.items()}
_COEFFICIENT = re.compile(r"(A|B|AP|BP)_(\d_\d|ORDER)$")
# The inverse of the polynomials is found by iteration, until pixels move by less than this.
_PIXELS, _STEPS = 1e-4, 20
_MATRIX = ("1_1", "1_2", "2_1", "2_2")
_UNDERSTOOD = frozenset(
    [f"{name}{axis}" for name in ("CTYPE", "CUNIT", "CRVAL", "CRPIX", "CDELT", "CROTA") for axis in (1, 2)]
    + [f"{name}{place}" for name in ("CD", "PC") for place in _MATRIX]
    + ["LONPOLE", "LATPOLE", "RADESYS", "RADECSYS", "EQUINOX", "EPOCH"]
)


@dataclass(frozen=True, slots=True, eq=False)
class Zenithal:
    """A projection of the sky onto the plane that touches it at a point.

    Attributes:
        is_gnomonic: from the centre of the sphere (TAN), and not from infinity (SIN).
        reference: pixel of that point, counted from 0; shape (2,).
        matrix: from pixels to the plane [rad], its second axis to the north; shape (2, 2).
        axes: unit vectors to the east, to the north, and to the point, in ICRS; shape (3, 3).
        distortion: of SIP, or None: coefficients of u^p v^q [pixels] by axis, p and q; u, v are the distances
            from the reference, and the sum is added to them; shape (2, n, n).
    """

    is_gnomonic: bool
    reference: NDArray[np.float64]
    matrix: NDArray[np.float64]
    axes: NDArray[np.float64]
    distortion: NDArray[np.float64] | None = None

    def directions(self, pixels: NDArray[np.float64]) -> Vectors:
        """Return unit vectors (n, 3) in ICRS of pixels (n, 2), counted from 0; NaN outside the sky."""
        offsets = pixels - self.reference
        if self.distortion is not None:
            offsets = offsets + self._shifts(offsets)
        plane = offsets @ self.matrix.T
        squares = (plane * plane).sum(axis=1)
        if self.is_gnomonic:
            ahead, length = np.ones(len(plane)), np.sqrt(1.0 + squares)
        else:
            ahead, length = np.sqrt(np.where(squares <= 1.0, 1.0 - squares, np.nan)), np.ones(len(plane))
        return np.column_stack([plane, ahead]) @ self.axes / length[:, None]

    def pixels(self, directions: Vectors) -> NDArray[np.float64]:
        """Return pixels (n, 2) of unit vectors (n, 3) without the distortion; NaN where there are none."""
        seen = directions @ self.axes.T
        ahead = np.where(seen[:, 2] > 0.0, seen[:, 2], np.nan)[:, None]
        plane = seen[:, :2] / ahead if self.is_gnomonic else np.where(np.isnan(ahead), ahead, seen[:, :2])
        return plane @ np.linalg.inv(self.matrix).T + self.reference

    def distorted(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where the image has what would be at pixels (n, 2) without the distortion.

        Where the polynomials have no inverse, that may be anywhere, or not finite.
        """
        wanted = pixels - self.reference
        offsets = wanted
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(_STEPS):
                before, offsets = offsets, wanted - self._shifts(offsets)
                if not (np.abs(offsets - before) >= _PIXELS).any():
                    break
        return offsets + self.reference

    def _shifts(self, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self.distortion is not None
        u, v = offsets.T
        return np.stack([np.polynomial.polynomial.polyval2d(u, v, axis) for axis in self.distortion], axis=1)


def zenithal(values: Mapping[str, Value]) -> Zenithal | None:
    """Return the projection of a header, or None where it says anything beyond what is understood here.

    Args:
        values: the header's keywords of its primary WCS, all of them, as `wcscards.sound_values` gives them.
    """
    types = (str(values.get("CTYPE1")), str(values.get("CTYPE2")))
    is_gnomonic, distortion = _PROJECTIONS.get(types), None
    if types in _SIP and (distortion := _distortion(values)) is not None:
        is_gnomonic = _SIP[types]
        values = {keyword: value for keyword, value in values.items() if not _COEFFICIENT.match(keyword)}
    if is_gnomonic is None or not _UNDERSTOOD.issuperset(values):
        return None
    if not {values.get("CUNIT1", "deg"), values.get("CUNIT2", "deg")} <= {"deg", ""}:
        return None
    longitude, latitude = _number(values, "CRVAL1", 0.0), _number(values, "CRVAL2", 0.0)
    # At the pole of the sphere another longitude stands for the one of the plane.
    if not abs(latitude) < 90.0 or not abs(longitude) <= 360.0 or values.get("LONPOLE", 180.0) != 180.0:
        return None
    matrix, frame = _matrix(values), _frame(values)
    if matrix is None or frame is None or not abs(np.linalg.det(matrix)) > 0.0:
        return None
    reference = np.array([_number(values, f"CRPIX{axis}", 0.0) - 1.0 for axis in (1, 2)])
    axes = _axes(longitude, latitude) @ frame.T
    return Zenithal(is_gnomonic, reference, np.radians(matrix), axes, distortion)


def _number(values: Mapping[str, Value], keyword: str, default: float) -> float:
    value = values.get(keyword, default)
    assert not isinstance(value, str)
    return float(value)


def _distortion(values: Mapping[str, Value]) -> NDArray[np.float64] | None:
    """Return the coefficients of SIP; None where the header has no polynomials, or not both."""
    orders = values.get("A_ORDER"), values.get("B_ORDER")
    if not all(isinstance(order, int) and order > 1 for order in orders):
        return None
    size = 1 + max(int(order) for order in orders if order is not None)
    found = np.zeros((2, size, size))
    for axis, (name, order) in enumerate(zip("AB", orders, strict=True)):
        for p, q in ((p, q) for p in range(size) for q in range(size) if p + q <= int(order or 0)):
            found[axis, p, q] = _number(values, f"{name}_{p}_{q}", 0.0)
    return found


def _matrix(values: Mapping[str, Value]) -> NDArray[np.float64] | None:
    """Return the matrix from pixels to degrees, of which headers have three forms."""
    has_cd, has_pc = (any(f"{name}{place}" in values for place in _MATRIX) for name in ("CD", "PC"))
    if has_cd and has_pc:
        return None
    if has_cd:
        # CDELT and CROTA are there for older programs.
        return np.array([_number(values, f"CD{place}", 0.0) for place in _MATRIX]).reshape(2, 2)
    steps = np.array([_number(values, f"CDELT{axis}", 1.0) for axis in (1, 2)])
    if has_pc:
        if "CROTA1" in values or "CROTA2" in values:
            return None
        turned = [_number(values, f"PC{place}", float(place in ("1_1", "2_2"))) for place in _MATRIX]
        return np.array(turned).reshape(2, 2) * steps[:, None]
    angle = math.radians(_number(values, "CROTA2", 0.0))
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]]) * steps


def _frame(values: Mapping[str, Value]) -> NDArray[np.float64] | None:
    """Return the matrix from a header's frame to ICRS (FITS 4.0, section 8.3); None for other frames."""
    name = values.get("RADESYS", values.get("RADECSYS", ""))
    equinox = values.get("EQUINOX", values.get("EPOCH"))
    if equinox not in (None, 2000.0) or values.get("RADECSYS", name) != name:
        return None
    if name == "ICRS" or (name == "" and equinox is None):
        return np.eye(3)
    return FK5_TO_ICRS if name in ("FK5", "") else None


def _axes(longitude: float, latitude: float) -> NDArray[np.float64]:
    lon, lat = math.radians(longitude), math.radians(latitude)
    return np.array(
        [
            [-math.sin(lon), math.cos(lon), 0.0],
            [-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat)],
            [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)],
        ]
    )
