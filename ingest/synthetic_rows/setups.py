"""What a frame can be taken with: camera, telescope, filter, exposure time, and the columns decided by it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ingest import cameras, filters
from ingest.synthetic_rows.texts import NULL

# The columns that a setup decides, in the order of its text.
COLUMNS = (
    "media_type", "file_size", "dataproduct_type", "dataproduct_subtype", "calib_level", "exposure_type",
    "o_ucd", "facility_name", "instrument_name", "telescope_name", "focal_length", "pixel_size",
    "binning_x", "binning_y", "gain", "egain", "black_level", "readout_mode",
    "s_pixel_scale", "s_fov", "s_xel1", "s_xel2", "t_exptime", "filter_name", "em_min", "em_max",
    "site_latitude", "site_longitude", "site_elevation", "software",
)  # fmt: skip
BANDS = (
    "Johnson B",
    "Johnson V",
    "Cousins R",
    "Cousins I",
    "Sloan g",
    "Sloan r",
    "Luminance",
    "H-alpha",
    "O III",
)
EXPOSURES = (5.0, 30.0, 60.0, 120.0, 300.0)  # s
SPECTRUM = (380e-9, 720e-9)  # m
SITE = ("52.409184", "12.973185", "39")


@dataclass(frozen=True, slots=True)
class Train:
    """A camera at a telescope: name in the camera table, binning, focal length [mm], program, slit or not."""

    camera: str
    telescope: str
    focal_length: float
    binning: int
    software: str
    slit: bool = False


TRAINS = (
    Train("QHY600M", "Planewave CDK20", 3454.0, 2, "N.I.N.A. 3.2.0.9001 (x64)"),
    Train("QHY268M", "sky-watcher", 1000.0, 1, "N.I.N.A. 3.2.0.9001 (x64)"),
    Train("SBIG STF-8300M", "sky-watcher", 400.0, 1, "MaxIm DL Version 6.16"),
    Train("ZWO ASI174MM", "meade lx200", 2500.0, 1, "SharpCap v4.1.12946.0, 64 bit"),
    Train("SBIG ST-8", "Planewave CDK20", 3454.0, 1, "MaxIm DL Version 6.16", slit=True),
)


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to take a frame.

    Attributes:
        width, height: of the field [deg].
        seconds: exposure time [s].
        text: the values of COLUMNS, tabs between them.
    """

    width: float
    height: float
    seconds: float
    text: bytes


def calibrations(train: Train) -> list[Setup]:
    """Return the setups of bias, dark and flat frames."""
    flats = [_setup(train, "flat", 3.0, band) for band in BANDS[:4]]
    return [_setup(train, "bias", 0.0), *(_setup(train, "dark", t) for t in EXPOSURES), *flats]


def lights(train: Train) -> list[Setup]:
    """Return the setups of frames of the sky; the shortest ones are calibrated."""
    levels = [(2 if seconds == EXPOSURES[0] else 1, seconds) for seconds in EXPOSURES]
    bands = (None,) if train.slit else BANDS
    return [_setup(train, "light", seconds, band, level) for level, seconds in levels for band in bands]


def _setup(train: Train, kind: str, seconds: float, band: str | None = None, level: int = 1) -> Setup:
    camera = cameras.known().named(train.camera)
    if camera is None or camera.pixel is None:
        raise LookupError(f"cameras.toml knows no {train.camera}")
    columns, rows = (size // train.binning for size in camera.sizes[0])
    pixel = camera.pixel * train.binning
    scale = math.degrees(pixel * 1e-3 / train.focal_length)
    on_sky = kind == "light"
    spectrum = train.slit and on_sky
    values = {
        "media_type": "application/fits",
        "file_size": 2880 * (2 + -(-2 * columns * rows // 2880)),
        "dataproduct_type": "spectrum" if spectrum else "image",
        "dataproduct_subtype": kind,
        "calib_level": level,
        "exposure_type": kind,
        "o_ucd": "phot.count",
        "facility_name": "OST",
        "instrument_name": camera.name,
        "telescope_name": train.telescope,
        "focal_length": train.focal_length,
        "pixel_size": round(pixel, 3),
        "binning_x": train.binning,
        "binning_y": train.binning,
        "gain": 26,
        "egain": 0.78,
        "black_level": 30,
        "readout_mode": "Monochrome",
        "s_pixel_scale": round(scale * 3600, 5) if on_sky else None,
        "s_fov": round(scale * math.hypot(columns, rows), 6) if on_sky else None,
        "s_xel1": columns,
        "s_xel2": rows,
        "t_exptime": seconds,
        "filter_name": band,
        "site_latitude": SITE[0],
        "site_longitude": SITE[1],
        "site_elevation": SITE[2],
        "software": train.software,
    }
    values["em_min"], values["em_max"] = SPECTRUM if spectrum else _edges(band)
    text = "\t".join(NULL.decode() if values[c] is None else str(values[c]) for c in COLUMNS)
    return Setup(scale * columns, scale * rows, seconds, text.encode())


def _edges(name: str | None) -> tuple[float | None, float | None]:
    """Return the edges of a band [m]."""
    if name is None:
        return None, None
    band = filters.known().band(name)
    return band.em_min, band.em_max
