"""The parameters of a cutout, and what a service descriptor says of them.

Source: SODA 1.0 sections 3.2 (ID), 3.3 (filters), 4.3 (parameter ranges in DataLink).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ost_vo.faults import UsageFault
from ost_vo.vo import intervals, regions
from ost_vo.vo.intervals import Interval
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.regions import Region
from ost_vo.vo.sia import POLARIZATIONS
from ost_vo.vo.votable import Param

STANDARD_ID = "ivo://ivoa.net/std/SODA#sync-1.0"
ASYNC_STANDARD_ID = "ivo://ivoa.net/std/SODA#async-1.0"
FITS, PNG = "image/fits", "image/png"
_FORMATS = {"fits": FITS, FITS: FITS, "application/fits": FITS, "png": PNG, PNG: PNG}
_SPATIAL = ("CIRCLE", "POLYGON", "POS")
_OTHER = ("BAND", "TIME", "POL", "FRAMES")
_FRAMES = re.compile(r"\s*(\d{1,12})(?:\s+(\d{1,12}))?\s*", re.ASCII)
# What the parameters of a job may multiply to before anybody looks at the limit for cutouts.
_MOST_COMBINED = 1_000_000


# What cutouts are made of.
Kind = Literal["image", "spectrum", "video"]
# Of the cutouts, where nothing else is asked for.
MEDIA_TYPES: Mapping[Kind, str] = {"image": FITS, "spectrum": FITS, "video": "video/x-ser"}


class MultipleValuesFault(UsageFault):
    """A parameter has several values where one is answered at a time (SODA 1.0 section 5.2)."""

    code = "MultiValuedParamNotSupported"


@dataclass(frozen=True, slots=True)
class Selection:
    """What to cut out; None leaves an axis whole.

    Attributes:
        region: on the sky, ICRS.
        band: vacuum wavelengths [m].
        time: MJD in UTC [d].
        states: polarization states.
        frames: the first and the last frame of a video, counted from 1.
        text: the parameters as they were given, for people.
    """

    region: Region | None = None
    band: Interval | None = None
    time: Interval | None = None
    states: tuple[str, ...] = ()
    frames: tuple[int, int] | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A cutout that is asked for: of which data set, what, and in which media type."""

    identifier: str
    selection: Selection
    media_type: str = FITS


@dataclass(frozen=True, slots=True)
class Extent:
    """What a data set covers; None where that is not known.

    Attributes:
        circle: centre and radius on the sky [deg].
        polygon: longitudes and latitudes in turn [deg].
        em_min, em_max: vacuum wavelengths [m].
        t_min, t_max: MJD in UTC [d].
    """

    circle: tuple[float, float, float] | None = None
    polygon: tuple[float, ...] = ()
    em_min: float | None = None
    em_max: float | None = None
    t_min: float | None = None
    t_max: float | None = None


def request(parameters: Parameters) -> Request:
    """Return what parameters ask for.

    Raises:
        MultipleValuesFault: there are several identifiers, or several values for one axis.
        UsageFault: there is no identifier, or a value is wrong.
    """
    identifier = _single(parameters, "ID")
    if identifier is None:
        raise UsageFault("The parameter ID is missing.", "Give the obs_publisher_did of a data set.")
    given = [name for name in _SPATIAL if parameters.all(name)]
    if len(given) > 1:
        raise MultipleValuesFault(f"{' and '.join(given)} are given.", "Give one region in a request.")
    for name in (*_SPATIAL, *_OTHER):
        _single(parameters, name)
    return Request(identifier.strip(), selections(parameters)[0], media_type(parameters))


def media_type(parameters: Parameters) -> str:
    """Return the format of the cutouts that parameters ask for.

    Raises:
        UsageFault: there is no such format.
    """
    wanted = parameters.one("RESPONSEFORMAT") or FITS
    found = _FORMATS.get(wanted.strip().lower())
    if found is None:
        raise UsageFault(f"There is no format {wanted!r} of cutouts.", "Give image/fits or image/png.")
    return found


def has_region(parameters: Parameters) -> bool:
    """Whether one of the parameters is a region on the sky."""
    return any(parameters.all(name) for name in _SPATIAL)


def selections(parameters: Parameters) -> list[Selection]:
    """Return every combination of the filters' values, as jobs take them (SODA 1.0 section 3.4).

    Raises:
        UsageFault: a value is wrong, or there are too many combinations.
    """
    regions_given = [(name, text) for name in _SPATIAL for text in dict.fromkeys(parameters.all(name))]
    choices: list[Sequence[tuple[str, str] | None]] = [regions_given or [None]]
    for name in _OTHER:
        values = dict.fromkeys(parameters.all(name))
        choices.append([(name, text) for text in values] or [None])
    if math.prod(map(len, choices)) > _MOST_COMBINED:
        raise UsageFault("The parameters have too many combinations.", "Give fewer values.")
    return [_selection(dict(filter(None, chosen))) for chosen in itertools.product(*choices)]


def inputs(
    identifier: str | None = None, extent: Extent | None = None, kind: Kind = "image"
) -> tuple[Param, ...]:
    """Return the description of the parameters.

    Args:
        identifier: of the data set to describe them for; None for any.
        extent: what it covers: filters for axes that it does not have are left out.
        kind: what it is.
    """
    covered = extent or Extent()
    found = [
        Param("ID", identifier or "", ucd="meta.id;meta.dataset", description="Identifier of the data set")
    ]
    if kind == "image" and (extent is None or covered.circle):
        found += _spatial(covered)
    if kind != "video" and (extent is None or covered.em_min is not None):
        found.append(_interval("BAND", "m", "em.wl;stat.interval", covered.em_min, covered.em_max))
    if kind != "spectrum" and (extent is None or covered.t_min is not None):
        found.append(_interval("TIME", "d", "time.interval;obs.exposure", covered.t_min, covered.t_max))
    if kind == "image":
        text = "Polarization state to cut out, where the data have a polarization axis"
        found.append(Param("POL", ucd="meta.code;phys.polarization", description=text, options=POLARIZATIONS))
    if kind == "video" or extent is None:
        text = "First and last frame of a video to cut out, counted from 1"
        found.append(Param("FRAMES", "", "long", "2", ucd="meta.number", description=text))
    if kind == "video":
        return tuple(found)
    text = "Format of the cutout"
    formats = (FITS, PNG) if kind == "image" else (FITS,)
    return (*found, Param("RESPONSEFORMAT", ucd="meta.code.mime", description=text, options=formats))


def _spatial(extent: Extent) -> list[Param]:
    ucd = "pos.outline;obs"
    return [
        Param(
            "CIRCLE", "", "double", "3", "deg", ucd, xtype="circle",
            description="Circle to cut out, ICRS: longitude, latitude, radius",
            maximum=_numbers(extent.circle or ()),
        ),
        Param(
            "POLYGON", "", "double", "*", "deg", ucd, xtype="polygon",
            description="Polygon to cut out, ICRS: longitudes and latitudes of its vertices in turn",
            maximum=_numbers(extent.polygon),
        ),
        Param(
            "POS", ucd=ucd,
            description="Region to cut out, ICRS [deg]: CIRCLE lon lat radius, RANGE lon1 lon2 lat1 lat2, or "
            "POLYGON lon1 lat1 lon2 lat2 lon3 lat3 ...",
        ),
    ]  # fmt: skip


def _interval(name: str, unit: str, ucd: str, low: float | None, high: float | None) -> Param:
    text = "Wavelengths to cut out" if name == "BAND" else "Time to cut out, MJD in UTC"
    least, most = (None if value is None else repr(value) for value in (low, high))
    return Param(
        name, "", "double", "2", unit, ucd, None, "interval", text, minimum=least, maximum=most
    )  # fmt: skip


def _numbers(values: tuple[float, ...]) -> str | None:
    return " ".join(map(repr, values)) or None


def _selection(given: dict[str, str]) -> Selection:
    region = next((name for name in _SPATIAL if name in given), None)
    shape = "" if region in (None, "POS") else f"{region} "
    band, time, state, frames = (given.get(name) for name in _OTHER)
    return Selection(
        None if region is None else regions.parse(shape + given[region], region),
        None if band is None else intervals.parse("BAND", band, minimum=0.0),
        None if time is None else intervals.parse("TIME", time, minimum=-math.inf),
        () if state is None else (_state(state),),
        None if frames is None else _frames(frames),
        # What was checked has no other than plain characters.
        ", ".join(f"{name}={' '.join(value.split())}" for name, value in given.items()),
    )


def _state(text: str) -> str:
    if text.strip() not in POLARIZATIONS:
        raise UsageFault(f"POL={intervals.shown(text)} is unknown.", f"Values: {', '.join(POLARIZATIONS)}.")
    return text.strip()


def _frames(text: str) -> tuple[int, int]:
    found = _FRAMES.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise UsageFault(
            f"FRAMES={intervals.shown(text)} is no range of frames.",
            "Give the first and the last one, counted from 1, such as '101 200'.",
        )
    return first, last


def _single(parameters: Parameters, name: str) -> str | None:
    values = list(dict.fromkeys(parameters.all(name)))
    if len(values) > 1:
        raise MultipleValuesFault(
            f"{name} has {len(values)} values.", "Give one in a request; /soda/async takes several."
        )
    return values[0] if values else None
