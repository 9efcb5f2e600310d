"""From the world coordinates that plate solving found for a plane to the place of the image on the sky."""

from __future__ import annotations

from pathlib import Path

from astropy.io import fits

from ingest.footprint import footprint
from ingest.headers import Unit
from ost_vo.services.looks import Plane
from ost_vo.store.findings import Solution

# What the solver writes of a projection without distortions; the matrix and reference pixels are the plane's.
_TEXTS = ("CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2")
_NUMBERS = ("CRVAL1", "CRVAL2", "EQUINOX", "LONPOLE", "LATPOLE")
_MATRIX = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
_PIXELS = ("CRPIX1", "CRPIX2")


def solution(wcs: Path, plane: Plane) -> Solution:
    """Return where an image lies.

    Args:
        wcs: file with the header that the solver wrote for the plane.
        plane: the plane, which is the image, smaller.

    Raises:
        ValueError: the header has no position for the image.
    """
    found = _chosen(fits.getheader(wcs))
    own = fits.Header([("NAXIS", 2), ("NAXIS1", plane.columns), ("NAXIS2", plane.rows), *found.cards])
    place, remarks = footprint(Unit(0, own.tostring(padding=False), own, plane.columns * plane.rows), None)
    if place is None:
        raise ValueError(remarks[-1].reason if remarks else "its world coordinates give no position")
    return Solution(
        s_ra=place.s_ra,
        s_dec=place.s_dec,
        s_fov=place.s_fov,
        s_region=place.s_region,
        region=place.spoly,
        s_orientation=place.s_orientation,
        s_parity=place.s_parity,
        s_pixel_scale=place.s_pixel_scale / plane.step,
        header=_full_size(found, plane.step),
    )


def _chosen(header: fits.Header) -> fits.Header:
    """Return the cards of the projection.

    Raises:
        ValueError: one of them is missing, or they are of no use.
    """
    names = (*_TEXTS, *_NUMBERS, *_PIXELS, *_MATRIX)
    missing = [name for name in names if name not in header]
    if missing:
        raise ValueError(f"its world coordinates have no {missing[0]}")
    if header["CD1_1"] * header["CD2_2"] == header["CD1_2"] * header["CD2_1"]:
        raise ValueError("its world coordinates give the pixels no size")
    return fits.Header([(name, header[name]) for name in names])


def _full_size(found: fits.Header, step: int) -> str:
    """Return the cards for the pixels of the image itself, one a line."""
    header = found.copy()
    for name in _PIXELS:
        # Pixels are counted from 1 at their centres: 0.5 is the edge of both images (FITS 4.0, section 8.1).
        header[name] = (header[name] - 0.5) * step + 0.5
    for name in _MATRIX:
        header[name] /= step
    return header.tostring(sep="\n", endcard=False, padding=False)
