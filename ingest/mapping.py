"""From the header units of a file to the columns of a product."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from astropy.io import fits

from ingest import formats, rules
from ingest.cameras import Camera, Cameras
from ingest.filters import Filters
from ingest.footprint import Footprint, footprint, needs_lookup
from ingest.headers import Remark, Unit
from ingest.keywords import Keywords
from ingest.names import Names
from ingest.observatory import Observatory
from ingest.position import header_position
from ingest.spectral import SpectralAxis, has_spectrum, spectral_axis, table_axis
from ingest.spectrographs import Spectrograph
from ingest.stream import Unreadable
from ingest.targets import target_name
from ingest.times import Times, times, with_light_time
from ost_vo.store.products import Metadata
from ost_vo.vo.lighttime import Site
from ost_vo.vo.wcscards import text_of

Columns = dict[str, Any]
Opener = Callable[[], fits.HDUList]

ARCSEC_PER_RADIAN = math.degrees(1.0) * 3600.0
_AUXILIARY = ("WCSDVARR", "D2IMARR", "WCSCORR", "ERR", "DQ", "STAT", "MASK")
# What astropy raises over files whose keywords contradict each other.
_ASTROPY_FAILURES = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    fits.VerifyError,
)
_TIME_AXES = ("TIME", "UTC")
_FURTHER_AXES = (*_TIME_AXES, "STOKES")
_MAX_COLOURS = 4  # planes of a picture: red, green, blue, and luminance or transparency
_DETECTOR = re.compile(r"\[(\d{1,6}):(\d{1,6}),(\d{1,6}):(\d{1,6})\]$")
_CALIBRATION = ("bias", "dark", "flat", "wave")
_WITHOUT_LIGHT = ("bias", "dark")
_FLUX = re.compile(r"erg|jy\b|jansky|\bw[ /.*]*m|photon|mag\b", re.IGNORECASE)
_COUNTS = re.compile(r"^(adu|counts?|dn|electrons?|e-|ct)\b", re.IGNORECASE)
_REDUCED = ("CALSTAT", "CCDPROC", "FLATCOR", "ZEROCOR", "NCOMBINE", "STACKCNT")
_THELI = "THELIPRO"  # 1 in what THELI has processed
# What the switches of calibration pipelines say before a step is done.
_NOT_DONE = ("PERFORM", "OMIT", "NO", "NONE", "F", "FALSE", "SKIPPED")


@dataclass(frozen=True, slots=True)
class Source:
    """What a product is described from.

    Attributes:
        path: relative to the data root.
        units: the header units, at least one.
        open: opens the file with astropy, for the few whose metadata lie in their data.
        observatory: that it comes from.
    """

    path: str
    units: Sequence[Unit]
    open: Opener
    observatory: Observatory


def describe(source: Source) -> tuple[Metadata, list[Remark]]:
    """Return the metadata of a file, and what is doubtful in it.

    Raises:
        Unreadable: the file holds no data.
    """
    unit = main_unit(source.units)
    headers = [unit.header] if unit.index == 0 else [unit.header, source.units[0].header]
    keywords = Keywords(headers, source.observatory.zone_of(source.path))
    columns: Columns = {**rules.numbers(keywords), **rules.texts(keywords), **rules.binnings(keywords)}
    columns["exposure_type"] = rules.exposure_type(keywords)
    exposed = times(keywords)
    columns["t_exptime"] = exposed.t_exptime
    axis = _spectral_axis(source, unit, keywords)
    spectrograph = _spectrograph(columns, source, unit, keywords)
    columns["dataproduct_type"] = _dataproduct_type(unit, axis, spectrograph)
    _add_equipment(columns, source.observatory.names, keywords)
    _add_camera(columns, unit, source.observatory.names.cameras, keywords)
    _add_band(columns, axis, spectrograph, source.observatory.names.filters, keywords)
    columns["t_xel"] = _frames(unit)
    _add_place(columns, source, unit, axis, keywords)
    _add_times(columns, exposed, source.observatory.site, keywords)
    _add_target(columns)
    _add_calibration(columns, unit, axis, keywords)
    _add_names(columns, source, keywords)
    return Metadata(**columns), keywords.remarks


def main_unit(units: Sequence[Unit]) -> Unit:
    """Return the unit that a product is described by: pixels before tables, spectra before other tables.

    Of several images it is the first with a celestial WCS.

    Raises:
        Unreadable: no unit has data.
    """
    holding = [u for u in units if u.data_bytes and _extension_name(u) not in _AUXILIARY]
    images = [u for u in holding if u.shape]
    tables = [u for u in holding if u.is_table]
    if images:
        return next((u for u in images if len(u.shape) > 1 and u.has_celestial_wcs), images[0])
    if tables:
        return next((u for u in tables if has_spectrum(u)), tables[0])
    if holding:
        return holding[0]
    which = "its only header unit has no" if len(units) == 1 else f"none of its {len(units)} header units has"
    raise Unreadable(f"No data: {which} pixels or rows of its own.")


def _extension_name(unit: Unit) -> str:
    return text_of(unit.header, "EXTNAME").upper()


def _add_times(columns: Columns, found: Times, site: Site, keywords: Keywords) -> None:
    """Fill the times, of which those for the Sun and the barycentre rest on the position."""
    position = (columns["s_ra"], columns["s_dec"]) if columns.get("s_ra") is not None else None
    if columns["site_latitude"] is not None and columns["site_longitude"] is not None:
        height = columns["site_elevation"]
        site = Site(
            columns["site_latitude"],
            columns["site_longitude"],
            site.elevation if height is None else height,
        )
    columns |= with_light_time(found, keywords, position, site)


def _spectral_axis(source: Source, unit: Unit, keywords: Keywords) -> SpectralAxis | None:
    if unit.shape:
        return spectral_axis(unit, keywords)
    if not unit.is_table or not has_spectrum(unit):
        return None

    def read() -> fits.FITS_rec:
        with source.open() as hdus:
            rows = hdus[unit.index].data
            for name in rows.names:
                rows[name]  # what has variable length can be read only while the file is open
            return rows.copy()

    try:
        return table_axis(unit, read)
    except _ASTROPY_FAILURES as error:
        keywords.doubt("TFORM1", f"The rows cannot be read ({error}): the wavelengths are left open.")
        return SpectralAxis(0, None, None, 0)


def _spectrograph(columns: Columns, source: Source, unit: Unit, keywords: Keywords) -> Spectrograph | None:
    """Return the spectrograph whose light a frame shows; one with a celestial WCS shows the sky instead."""
    is_other = unit.is_groups or (unit.is_table and not has_spectrum(unit))
    if is_other or columns["exposure_type"] in _WITHOUT_LIGHT or unit.has_celestial_wcs:
        return None
    return source.observatory.names.spectrographs.used(keywords, source.path)


def _dataproduct_type(unit: Unit, axis: SpectralAxis | None, spectrograph: Spectrograph | None) -> str | None:
    if unit.is_groups:
        return "visibility" if "COMPLEX" in [text_of(unit.header, f"CTYPE{n}") for n in range(2, 8)] else None
    if unit.is_table:
        return "spectrum" if axis else "measurements"
    spatial = [n for n in _real_axes(unit) if axis is None or n != axis.number]
    if axis is None and spectrograph is not None and len(spatial) < 3:
        return "spectrum"
    if axis is None and not _has_further_axis(unit, spatial):
        return "image" if len(spatial) > 1 else None
    return "cube" if len(spatial) > 1 else "spectrum"


def _has_further_axis(unit: Unit, axes: list[int]) -> bool:
    """Whether an image has an axis of times, of polarisations, or of more planes than colours."""
    return any(
        text_of(unit.header, f"CTYPE{n}").upper().startswith(_FURTHER_AXES)
        or unit.shape[n - 1] > _MAX_COLOURS
        for n in axes[2:]
    )


def _frames(unit: Unit) -> int | None:
    """Return the length of an axis of times, None where there is none."""
    lengths = enumerate(unit.shape, 1)
    is_time = (
        (text_of(unit.header, f"CTYPE{n}").upper().startswith(_TIME_AXES), length) for n, length in lengths
    )
    return next((length for found, length in is_time if found), None)


def _real_axes(unit: Unit) -> list[int]:
    """Return the numbers of the axes longer than one pixel; the first two always count in an image of two."""
    return [n for n, length in enumerate(unit.shape, 1) if length > 1 or len(unit.shape) == 2]


def _add_equipment(columns: Columns, names: Names, keywords: Keywords) -> None:
    """Fill the names of instrument, telescope and observer, in the spelling that all files share."""
    columns["header_instrument"] = keywords.text("INSTRUME")
    columns["instrument_name"] = names.instrument(columns["header_instrument"])
    columns["telescope_name"] = names.telescope(columns["header_telescope"])
    columns["observer"] = names.observer(columns["header_observer"])


def _add_camera(columns: Columns, unit: Unit, cameras: Cameras, keywords: Keywords) -> None:
    """Fill a missing pixel size from the camera, and a missing camera from the pixels."""
    header = columns["header_instrument"]
    camera = cameras.named(header) if header else None
    binning = columns["binning_x"] or 1
    if camera and camera.pixel and columns["pixel_size"] is None:
        columns["pixel_size"] = camera.pixel * binning
    if columns["instrument_name"] is None and columns["pixel_size"] and len(unit.shape) >= 2:
        width, height = unit.shape[0] * binning, unit.shape[1] * (columns["binning_y"] or binning)
        found = cameras.matching(columns["pixel_size"] / binning, width, height)
        _add_matching_camera(columns, keywords, found)


def _add_matching_camera(columns: Columns, keywords: Keywords, found: Sequence[Camera]) -> None:
    if len(found) == 1:
        columns["instrument_name"] = found[0].name
    elif found:
        names = " or ".join(camera.name for camera in found)
        keywords.doubt("INSTRUME", f"Names no camera; pixels and size fit {names}: left open.")


def _add_band(
    columns: Columns,
    axis: SpectralAxis | None,
    spectrograph: Spectrograph | None,
    filters: Filters,
    keywords: Keywords,
) -> None:
    band = filters.band(columns["header_filter"]) if columns["header_filter"] else None
    columns["filter_name"] = band.name if band else None
    if axis is not None:
        columns |= {"em_min": axis.em_min, "em_max": axis.em_max, "em_xel": axis.em_xel or None}
    if spectrograph is not None and columns.get("em_min") is None:
        columns |= {"em_min": spectrograph.em_min, "em_max": spectrograph.em_max}
        keywords.doubt(
            "CTYPE1", f"Gives no wavelengths: em_min and em_max are nominal for {spectrograph.name}."
        )
    elif axis is None and band and columns["exposure_type"] not in _WITHOUT_LIGHT:
        columns |= {"em_min": band.em_min, "em_max": band.em_max}
        if band.remark:
            keywords.doubt("FILTER", band.remark)


def _add_place(
    columns: Columns, source: Source, unit: Unit, axis: SpectralAxis | None, keywords: Keywords
) -> None:
    """Fill position, field and region; frames that do not show the sky have none."""
    is_image = columns["dataproduct_type"] in ("image", "cube")
    if is_image:
        columns["s_xel1"], columns["s_xel2"] = _size(columns, source, unit, axis, keywords)
    if columns["exposure_type"] in _CALIBRATION:
        return
    found = _footprint(source, unit, keywords) if is_image and unit.has_celestial_wcs else None
    if found is not None:
        columns |= _place_of(found)
    elif (position := header_position(keywords)) is not None:
        columns |= {"s_ra": position[0], "s_dec": position[1], "position_source": "header"}
    if found is None and is_image:
        _add_field_of_camera(columns)
    columns["s_resolution"] = _resolution(keywords)


def _size(
    columns: Columns, source: Source, unit: Unit, axis: SpectralAxis | None, keywords: Keywords
) -> tuple[int, int]:
    """Return width and height [pixels]: the whole detector's where its amplifiers are images of their own."""
    parts = [u for u in source.units if u.shape and text_of(u.header, "DETSEC")]
    edges = _DETECTOR.match(text_of(unit.header, "DETSIZE").replace(" ", ""))
    if len(parts) < 2 or edges is None:
        return _celestial_shape(unit, axis)
    reason = f"{len(parts)} parts of a detector: the size is the whole one's, all else is HDU {unit.index}'s."
    keywords.doubt("DETSIZE", reason)
    across, down = (abs(int(edges[n + 1]) - int(edges[n])) + 1 for n in (1, 3))
    binning_x, binning_y = columns["binning_x"] or 1, columns["binning_y"] or columns["binning_x"] or 1
    return across // binning_x, down // binning_y


def _celestial_shape(unit: Unit, axis: SpectralAxis | None) -> tuple[int, int]:
    spatial = [length for n, length in enumerate(unit.shape, 1) if axis is None or n != axis.number]
    return spatial[0], spatial[1]


def _footprint(source: Source, unit: Unit, keywords: Keywords) -> Footprint | None:
    found, remarks = _footprint_and_remarks(source, unit)
    for remark in remarks:
        keywords.doubt(*remark)
    images = [u for u in source.units if len(u.shape) > 1 and u.has_celestial_wcs]
    others = [u for u in images if _extension_name(u) not in _AUXILIARY and u is not unit]
    if found and others:
        keywords.doubt("EXTNAME", f"{len(others) + 1} images: position and region are of HDU {unit.index}.")
    return found


def _footprint_and_remarks(source: Source, unit: Unit) -> tuple[Footprint | None, list[Remark]]:
    if not needs_lookup(unit.header):
        return footprint(unit, None)
    try:
        with source.open() as hdus:
            return footprint(unit, hdus)
    except _ASTROPY_FAILURES as error:
        return None, [Remark("CPDIS1", f"The distortion tables cannot be read ({error}): no position.")]


def _place_of(found: Footprint) -> Columns:
    return {
        "s_ra": found.s_ra,
        "s_dec": found.s_dec,
        "s_fov": found.s_fov,
        "s_region": found.s_region,
        "region": found.spoly,
        "s_pixel_scale": found.s_pixel_scale,
        "s_orientation": found.s_orientation,
        "s_parity": found.s_parity,
        "position_source": "wcs",
    }


def _add_field_of_camera(columns: Columns) -> None:
    """Fill scale and field from pixel size [um] and focal length [mm]; the field is the frame's diagonal."""
    pixel, focal = columns["pixel_size"], columns["focal_length"]
    if not pixel or not focal:
        return
    columns["s_pixel_scale"] = pixel / 1000.0 / focal * ARCSEC_PER_RADIAN
    diagonal = math.hypot(columns["s_xel1"], columns["s_xel2"]) * pixel / 1000.0
    columns["s_fov"] = math.degrees(2 * math.atan(diagonal / (2 * focal)))


def _resolution(keywords: Keywords) -> float | None:
    """Return the resolution [arcsec] where its unit is sure: a radio beam, or as the comment says."""
    beam = keywords.number("BMAJ", low=0.0, high=180.0)
    if beam:
        return beam * 3600.0
    for keyword in ("SEEING", "FWHM"):
        value = keywords.number(keyword, low=0.0, high=3600.0)
        if value and "arcsec" in keywords.comment(keyword).lower():
            return value
    return None


def _add_target(columns: Columns) -> None:
    header_target = columns["header_target"]
    if header_target and columns["exposure_type"] not in _CALIBRATION:
        columns["target_name"] = target_name(header_target)


def _add_calibration(columns: Columns, unit: Unit, axis: SpectralAxis | None, keywords: Keywords) -> None:
    """Fill calib_level (ObsCore 1.1, section 4.2: 1 raw in a standard format, 2 calibrated) and o_ucd."""
    flux_unit = keywords.text("BUNIT") or ""
    has_flux = _FLUX.search(flux_unit) is not None
    reduced = any(_says_reduced(keywords, keyword) for keyword in _REDUCED) or keywords.value(_THELI) == 1
    extracted = axis is not None and len(unit.shape) != 2 and axis.em_min is not None
    columns["calib_level"] = 2 if has_flux or reduced or extracted else 1
    if columns["dataproduct_type"] not in ("image", "cube", "spectrum"):
        return
    is_raw = columns["calib_level"] == 1 and not flux_unit and unit.header["BITPIX"] > 0
    if has_flux:
        columns["o_ucd"] = "phot.flux.density"
    elif _COUNTS.match(flux_unit) or is_raw:
        columns["o_ucd"] = "phot.count"


def _says_reduced(keywords: Keywords, keyword: str) -> bool:
    value = keywords.value(keyword)
    if isinstance(value, int | float):
        return value > 1  # of NCOMBINE and STACKCNT
    return value is not None and value.upper() not in _NOT_DONE


def _add_names(columns: Columns, source: Source, keywords: Keywords) -> None:
    kind = columns["dataproduct_type"]
    columns["media_type"] = formats.media_type(source.path, kind)
    columns["dataproduct_subtype"] = columns["exposure_type"]
    columns["obs_id"] = formats.without_suffixes(source.path)
    columns["facility_name"] = keywords.text("OBSERVAT") or source.observatory.name
    columns["obs_title"] = title(columns)


def title(columns: Columns) -> str:
    """Return a line for people about a product of those columns, such as 'light of M 31, filter B, 90 s'."""
    what = columns["exposure_type"] or columns["dataproduct_subtype"] or columns["dataproduct_type"] or "file"
    if target := columns.get("target_name"):
        what += f" of {target}"
    if columns["filter_name"] and columns.get("em_min"):
        what += f", filter {columns['filter_name']}"
    if columns["t_exptime"] is not None:
        what += f", {columns['t_exptime']:g} s"
    return what
