"""The spectra of the demo night: frames of a slit spectrograph, the spectrum from them, and a small cube."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ingest.demo_night import sky
from ingest.demo_night.capture import ORIGIN, Entry, maxim_card, sexagesimal
from ingest.demo_night.exposures import SLIT, VEGA, Exposure, Kind

FIRST = 3800.0  # Angstrom, in air, middle of the first pixel
STEP = 2.2  # Angstrom per pixel
LINE_FWHM = 6.5  # Angstrom, of the slit
# Wavelengths in air [Angstrom] with central depth and half width [Angstrom] as an A0V star shows them.
BALMER = (
    (6562.79, 0.42, 11.0),
    (4861.35, 0.50, 13.0),
    (4340.47, 0.53, 13.0),
    (4101.74, 0.53, 13.0),
    (3970.08, 0.52, 12.0),
    (3889.06, 0.50, 11.0),
    (3835.40, 0.46, 10.0),
)
TELLURIC = ((6870.0, 0.22, 14.0), (6280.0, 0.05, 12.0))
# Wavelengths in air [Angstrom] and relative strengths of a neon lamp.
NEON = (
    (5852.49, 0.7), (5881.90, 0.3), (5944.83, 0.4), (5975.53, 0.2), (6030.00, 0.25), (6074.34, 0.4),
    (6096.16, 0.5), (6143.06, 0.8), (6163.59, 0.4), (6217.28, 0.35), (6266.50, 0.5), (6304.79, 0.35),
    (6334.43, 0.6), (6382.99, 0.7), (6402.25, 1.0), (6506.53, 0.8), (6532.88, 0.5), (6598.95, 0.6),
    (6678.28, 0.6), (6717.04, 0.45), (6929.47, 0.5), (7032.41, 0.9),
)  # fmt: skip
CUBE_SHAPE = (72, 32, 44)  # wavelength, declination, right ascension
CUBE_CENTRE = (83.8186, -5.3897)  # deg, ICRS: the Trapezium
CUBE_PIXEL = 4.0 / 3600  # deg
CUBE_FIRST, CUBE_STEP = 6528.0, 1.0  # Angstrom


def wavelengths(pixels: int) -> NDArray[np.float64]:
    """Return the wavelength in air of each column [Angstrom]."""
    return FIRST + STEP * np.arange(pixels, dtype=np.float64)


def slit_light(exposure: Exposure) -> NDArray[np.float32]:
    """Return the electrons that a slit frame collects: a star's trace over faint sky, or a lamp's lines."""
    rows, columns = exposure.train.shape
    y = np.arange(rows)[:, None]
    if exposure.kind is Kind.LAMP:
        image = 9000 * exposure.seconds / 10 * _lamp(columns) * (np.abs(y - rows / 2) < rows * 0.45)
    else:
        trace = (1 + ((y - rows * 0.47) / 3.4) ** 2) ** -2.5
        image = 24000 * exposure.seconds / 20 * _star(columns) * trace + 6
    return image.astype(np.float32)


def _star(columns: int) -> NDArray[np.float64]:
    """Return the counts of an A0V star along the dispersion, 1 at the most: black body, lines, efficiency."""
    wave = wavelengths(columns)
    metre = wave * 1e-10
    photons = metre**-4 / np.expm1(0.0143878 / (metre * 9600))
    for centre, depth, width in (*BALMER, *TELLURIC):
        photons *= 1 - depth / (1 + ((wave - centre) / width) ** 2) ** 1.2
    efficiency = np.exp(-(((wave - 5600) / 1500) ** 2)) / (1 + np.exp((3900 - wave) / 90))
    counts = photons * efficiency
    return counts / counts.max()


def _lamp(columns: int) -> NDArray[np.float64]:
    wave, sigma = wavelengths(columns), LINE_FWHM / 2.3548
    return sum((s * np.exp(-0.5 * ((wave - centre) / sigma) ** 2) for centre, s in NEON), np.zeros(columns))


def spectrum() -> tuple[list[str], NDArray[np.float32]]:
    """Return cards and counts [adu] of the spectrum of Vega, one-dimensional, its axis in Angstrom in air."""
    exposure = next(e for e in SLIT if e.pointing)
    columns = exposure.train.shape[1]
    mean = 52000 * _star(columns)
    noise = np.random.default_rng(1850)
    counts = (mean + np.sqrt(mean + 200) * noise.standard_normal(columns)).astype(np.float32)
    axis: list[Entry] = [
        ("CTYPE1", "AWAV", "Wavelength in air"),
        ("CUNIT1", "Angstrom", ""),
        ("CRPIX1", 1.0, "Reference pixel"),
        ("CRVAL1", FIRST, "[Angstrom] Wavelength of reference pixel"),
        ("CDELT1", STEP, "[Angstrom] Step"),
        ("SPECSYS", "TOPOCENT", "Not corrected to the Sun"),
        ("BUNIT", "adu", ""),
        ("CALSTAT", "BF", "Bias and flat field taken out"),
        ("INSTRUME", "DADOS", "Slit spectrograph, 200 l/mm, 25 um"),
        ("DETECTOR", exposure.train.camera.name, ""),
        ("SPECRES", round(5500 / LINE_FWHM), "Resolving power at 5500 Angstrom"),
    ]
    return _floating_cards((columns,), [*axis, *_circumstances(exposure)]), counts


def cube() -> tuple[list[str], NDArray[np.float32]]:
    """Return cards and values of a cube of the Orion Nebula: H alpha between the lines of [N II]."""
    axes: list[Entry] = [
        ("CTYPE1", "RA---TAN", ""), ("CUNIT1", "deg", ""), ("CRPIX1", (CUBE_SHAPE[2] + 1) / 2, ""),
        ("CRVAL1", CUBE_CENTRE[0], "[deg]"), ("CDELT1", -CUBE_PIXEL, "[deg]"),
        ("CTYPE2", "DEC--TAN", ""), ("CUNIT2", "deg", ""), ("CRPIX2", (CUBE_SHAPE[1] + 1) / 2, ""),
        ("CRVAL2", CUBE_CENTRE[1], "[deg]"), ("CDELT2", CUBE_PIXEL, "[deg]"),
        ("CTYPE3", "AWAV", "Wavelength in air"), ("CUNIT3", "Angstrom", ""), ("CRPIX3", 1.0, ""),
        ("CRVAL3", CUBE_FIRST, "[Angstrom]"), ("CDELT3", CUBE_STEP, "[Angstrom]"),
        ("RADESYS", "ICRS", ""), ("SPECSYS", "TOPOCENT", ""), ("BUNIT", "adu", ""),
        ("OBJECT", "M 42", ""), ("DATE-OBS", "2026-02-15T20:05:00", "UT"),
        ("MJD-OBS", 61086.836805556, ""), ("EXPTIME", 1800.0, "Exposure time in seconds, all slits"),
        ("TELESCOP", "Planewave CDK20", ""), ("INSTRUME", "DADOS", "Slit positions put side by side"),
    ]  # fmt: skip
    return _floating_cards(CUBE_SHAPE[::-1], axes), _nebula()


def _nebula() -> NDArray[np.float32]:
    wave = (CUBE_FIRST + CUBE_STEP * np.arange(CUBE_SHAPE[0]))[:, None, None]
    y, x = np.indices(CUBE_SHAPE[1:]) / np.array(CUBE_SHAPE[1:])[:, None, None] - 0.5
    glow = 900 * np.exp(-(((x - 0.06) / 0.34) ** 2) - ((y + 0.08) / 0.4) ** 2) + 60
    bar = 500 * np.exp(-(((x + y + 0.32) / 0.05) ** 2))
    velocity = 18 + 14 * x - 9 * np.hypot(x, y)  # km/s
    values = np.full(CUBE_SHAPE, 12.0)
    for rest, ratio in ((6548.05, 0.09), (6562.79, 1.0), (6583.45, 0.27)):
        centre = rest * (1 + velocity / 299792.458)
        values += (
            (glow + bar * (1 if ratio == 1 else 1.6)) * ratio * np.exp(-0.5 * ((wave - centre) / 1.4) ** 2)
        )
    noise = np.random.default_rng(42).standard_normal(CUBE_SHAPE)
    return (values + np.sqrt(values) * noise).astype(np.float32)


def _floating_cards(axes: tuple[int, ...], entries: list[Entry]) -> list[str]:
    """Return cards for 32-bit floating point values on axes of those lengths, the fastest first."""
    sizes = [(f"NAXIS{i}", length, "") for i, length in enumerate(axes, 1)]
    lines = [f"{'SIMPLE  =                    T':<80}"]
    lines += [
        maxim_card(*entry) for entry in [("BITPIX", -32, ""), ("NAXIS", len(axes), ""), *sizes, *entries]
    ]
    return lines + [f"{f'HISTORY {line}':<80}" for line in ORIGIN[:1]]


def _circumstances(exposure: Exposure) -> list[Entry]:
    ra, dec = VEGA.nominal
    return [
        ("OBJECT", VEGA.target, ""),
        ("OBJCTRA", sexagesimal(ra / 15), "Nominal Right Ascension"),
        ("OBJCTDEC", sexagesimal(dec, "+"), "Nominal Declination"),
        ("AIRMASS", round(sky.place(ra, dec, exposure.start).airmass, 6), ""),
        ("DATE-OBS", f"{exposure.start:%Y-%m-%dT%H:%M:%S}", "Observation start, UT"),
        ("MJD-OBS", math.floor((sky.julian_date(exposure.start) - 2400000.5) * 1e9) / 1e9, ""),
        ("EXPTIME", exposure.seconds, "Exposure time in seconds"),
        ("TELESCOP", exposure.train.telescope, ""),
        ("OBSERVER", "OST demo", ""),
    ]
