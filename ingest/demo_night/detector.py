"""Frames as a camera reads them out: bias, dark current, flat field, sky and stars, noise, saturation."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ingest.demo_night import sky
from ingest.demo_night.astrometry import wcs
from ingest.demo_night.equipment import Train
from ingest.demo_night.exposures import Exposure, Kind
from ingest.demo_night.stars import stars_around

Image = NDArray[np.float32]

SATURATION = 65535  # ADU, 16 bits
FLAT_LEVEL = 28000  # ADU above the bias
MOFFAT_BETA = 3.0
FWHM_ARCSEC = 3.2
LEAST_FWHM = 1.9  # pixel: what the optics make of a point where pixels are coarse
LARGEST_STAMP = 90  # pixel: half side of the box that the wings of the brightest stars fill


def read_out(exposure: Exposure, light: Image | None = None) -> NDArray[np.uint16]:
    """Return the frame [ADU], the same one every time; row 0 comes first in the file.

    Args:
        exposure: which frame.
        light: electrons that sky, stars or lamp free during the exposure, before the flat field.
    """
    train = exposure.train
    camera = train.camera
    noise = np.random.default_rng(zlib.crc32(exposure.path.encode()))
    electrons = _dark_electrons(exposure)
    if exposure.kind is Kind.FLAT:
        electrons += flat_field(train) * np.float32(FLAT_LEVEL * camera.gain)
    elif light is not None:
        electrons += flat_field(train) * light
    electrons += np.sqrt(electrons) * noise.standard_normal(electrons.shape, dtype=np.float32)
    electrons += camera.read_noise * noise.standard_normal(electrons.shape, dtype=np.float32)
    counts = np.rint(electrons / camera.gain + camera.bias + _columns(train))
    return np.clip(counts, 0, SATURATION).astype(np.uint16)


def flat_field(train: Train) -> Image:
    """Return the relative response of the pixels: vignetting, dust, and 0.5 % from pixel to pixel."""
    fixed = _fixed(train, "flat")
    y, x = np.indices(train.shape, dtype=np.float32)
    rows, columns = train.shape
    radius2 = ((x - columns / 2) ** 2 + (y - rows / 2) ** 2) / (columns / 2) ** 2
    field = 1 - np.float32(0.16) * radius2
    for _ in range(5):
        cx, cy, size = fixed.uniform(0, columns), fixed.uniform(0, rows), fixed.uniform(8, 22)
        ring = np.sqrt((x - cx) ** 2 + (y - cy) ** 2) / size
        field *= 1 - np.float32(0.04) * np.exp(-(((ring - 1) / 0.4) ** 2))
    field *= 1 + np.float32(0.005) * fixed.standard_normal(train.shape, dtype=np.float32)
    return field.astype(np.float32)


def _fixed(train: Train, what: str) -> np.random.Generator:
    """Return the random numbers that belong to a camera, not to a frame."""
    return np.random.default_rng(zlib.crc32(f"{train.camera.name} {train.binning} {what}".encode()))


def _columns(train: Train) -> Image:
    """Return the offsets of the columns that every frame of a camera shows [ADU]."""
    return _fixed(train, "columns").normal(0, 1.2, train.shape[1]).astype(np.float32)


def _dark_electrons(exposure: Exposure) -> Image:
    """Return the mean dark signal: a level, pixels that differ, and one hot pixel in five thousand [e-]."""
    train = exposure.train
    fixed = _fixed(train, "dark")
    rate = train.camera.dark_current * train.binning**2 * 2 ** (exposure.temperature / 6)
    response = fixed.gamma(8, 1 / 8, train.shape).astype(np.float32)
    hot = fixed.integers(0, response.size, response.size // 5000)
    response.ravel()[hot] += fixed.exponential(400, hot.size).astype(np.float32)
    return response * np.float32(rate * exposure.seconds)


def sky_and_stars(exposure: Exposure) -> Image:
    """Return the light that reaches the chip during a light frame [e-], from the real stars of the field."""
    pointing, band, train = exposure.pointing, exposure.filter, exposure.train
    if pointing is None or band is None:
        raise ValueError(f"{exposure.path} is a light frame without pointing or filter")
    airmass = sky.place(*pointing.centre, exposure.start).airmass
    per_magnitude_zero = band.photons * train.area * exposure.seconds
    level = per_magnitude_zero * 10 ** (-0.4 * band.sky) * (train.scale * 3600) ** 2
    rows, columns = train.shape
    gradient = np.linspace(-0.03, 0.05, rows, dtype=np.float32)[:, None]
    image = np.repeat(level * (1 + gradient), columns, axis=1).astype(np.float32)
    radius = 0.5 * train.scale * np.hypot(rows, columns) * 1.05
    stars = stars_around(*pointing.centre, radius, sky.julian_year(exposure.start))
    flux = per_magnitude_zero * 10 ** (-0.4 * (stars.magnitude + band.extinction * airmass))
    x, y = wcs(train, pointing).all_world2pix(stars.ra, stars.dec, 0)
    _add_stars(image, x, y, flux, max(FWHM_ARCSEC / 3600 / train.scale, LEAST_FWHM))
    return image


def _add_stars(image: Image, x: NDArray, y: NDArray, flux: NDArray, fwhm: float) -> None:
    """Add Moffat profiles of the given total flux [e-] at pixel positions counted from 0."""
    core = fwhm / (2 * np.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    peak = flux * (MOFFAT_BETA - 1) / (np.pi * core**2)
    # The wings are followed down to one electron.
    reach = np.clip(core * peak ** (0.5 / MOFFAT_BETA), 5, LARGEST_STAMP).astype(int)
    for column, row, height, half in zip(x, y, peak, reach, strict=True):
        top, left = max(round(row) - half, 0), max(round(column) - half, 0)
        stamp = image[top : max(round(row) + half + 1, 0), left : max(round(column) + half + 1, 0)]
        dy = np.arange(top, top + stamp.shape[0], dtype=np.float32)[:, None] - row
        dx = np.arange(left, left + stamp.shape[1], dtype=np.float32) - column
        stamp += height * (1 + (dx**2 + dy**2) / core**2) ** -MOFFAT_BETA
