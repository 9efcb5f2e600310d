"""The true world coordinates of a frame, and the cards in which a plate solver reports them."""

from __future__ import annotations

import math

import numpy as np
from astropy.wcs import WCS, Sip

from ingest.demo_night.equipment import Train
from ingest.demo_night.exposures import Pointing


def wcs(train: Train, pointing: Pointing) -> WCS:
    """Return the frame's world coordinates: TAN (FITS WCS paper II), with SIP terms where a lens distorts."""
    rows, columns = train.shape
    solution = WCS(naxis=2)
    solution.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"] if pointing.distortion else ["RA---TAN", "DEC--TAN"]
    solution.wcs.crpix = [(columns + 1) / 2, (rows + 1) / 2]
    solution.wcs.crval = pointing.centre
    solution.wcs.cunit = ["deg", "deg"]
    solution.wcs.cd = _cd_matrix(train, pointing)
    solution.wcs.radesys = "ICRS"
    if pointing.distortion:
        solution.sip = _sip(pointing.distortion / (columns / 2) ** 3, solution.wcs.crpix)
    solution.wcs.set()
    return solution


def _cd_matrix(train: Train, pointing: Pointing) -> list[list[float]]:
    """Return the matrix from pixels to the tangential plane [deg/pixel]."""
    sine, cosine = (f(math.radians(pointing.rotation)) for f in (math.sin, math.cos))
    right = train.scale if pointing.mirrored else -train.scale
    return [[right * cosine, train.scale * sine], [-right * sine, train.scale * cosine]]


def _sip(strength: float, crpix: np.ndarray) -> Sip:
    """Return a radial distortion of third order; to 0.1 pixel its negative undoes it (SIP, section 2)."""
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[3, 0] = a[1, 2] = b[0, 3] = b[2, 1] = strength
    return Sip(a, b, -a, -b, crpix)


def solution_values(train: Train, pointing: Pointing) -> dict[str, tuple[str | int | float, str]]:
    """Return keyword to (value, comment) of a plate solution, in the order in which solvers write them."""
    solution = wcs(train, pointing)
    suffix = "projection with SIP distortions" if pointing.distortion else "projection"
    values: dict[str, tuple[str | int | float, str]] = {
        "CTYPE1": (solution.wcs.ctype[0], f"RA, TANgential {suffix}"),
        "CTYPE2": (solution.wcs.ctype[1], f"DEC, TANgential {suffix}"),
        "CUNIT1": ("deg", "Unit of coordinates"),
        "CUNIT2": ("deg", "Unit of coordinates"),
        "RADESYS": ("ICRS", "Reference frame"),
    }
    for axis in (1, 2):
        values[f"CRPIX{axis}"] = (float(solution.wcs.crpix[axis - 1]), "Reference pixel")
        values[f"CRVAL{axis}"] = (float(solution.wcs.crval[axis - 1]), "[deg] Coordinate of reference pixel")
    for i, j in ((1, 1), (1, 2), (2, 1), (2, 2)):
        values[f"CD{i}_{j}"] = (float(solution.wcs.cd[i - 1][j - 1]), "[deg] Transformation matrix")
    if solution.sip is not None:
        values.update(_sip_values(solution.sip))
    return values


def _sip_values(sip: Sip) -> dict[str, tuple[str | int | float, str]]:
    values: dict[str, tuple[str | int | float, str]] = {}
    for name, terms in (("A", sip.a), ("B", sip.b), ("AP", sip.ap), ("BP", sip.bp)):
        values[f"{name}_ORDER"] = (3, "Polynomial order")
        for p, q in zip(*np.nonzero(terms), strict=True):
            values[f"{name}_{p}_{q}"] = (float(terms[p, q]), "SIP coefficient")
    return values
