"""The parameters of a cutout, and what a service descriptor says of them.

Source: SODA 1.0 sections 3.2 (ID), 3.3 (filters), 4.3 (parameter ranges in DataLink).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ost_vo.faults import UsageFault
from ost_vo.vo import intervals, regions
from ost_vo.vo.intervals import Interval
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.regions import Region
from ost_vo.vo.sia import POLARIZATIONS
from ost_vo.vo.votable import Param

STANDARD_ID = "ivo://ivoa.net/std/SODA#sync-1.0"
FITS, PNG = "image/fits", "image/png"
_FORMATS = {"fits": FITS, FITS: FITS, "application/fits": FITS, "png": PNG, PNG: PNG}
_SPATIAL = ("CIRCLE", "POLYGON", "POS")


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
        text: the parameters as they were given, for people.
    """

    region: Region | None = None
    band: Interval | None = None
    time: Interval | None = None
    states: tuple[str, ...] = ()
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
    wanted = parameters.one("RESPONSEFORMAT") or FITS
    media_type = _FORMATS.get(wanted.strip().lower())
    if media_type is None:
        raise UsageFault(f"There is no format {wanted!r} of cutouts.", "Give image/fits or image/png.")
    return Request(identifier.strip(), _selection(parameters), media_type)


def inputs(identifier: str | None = None, extent: Extent | None = None) -> tuple[Param, ...]:
    """Return the description of the parameters.

    Args:
        identifier: of the data set to describe them for; None for any.
        extent: what it covers: filters for axes that it does not have are left out.
    """
    covered = extent or Extent()
    found = [
        Param("ID", identifier or "", ucd="meta.id;meta.dataset", description="Identifier of the data set")
    ]
    if extent is None or covered.circle:
        found += _spatial(covered)
    if extent is None or covered.em_min is not None:
        found.append(_interval("BAND", "m", "em.wl;stat.interval", covered.em_min, covered.em_max))
    if extent is None or covered.t_min is not None:
        found.append(_interval("TIME", "d", "time.interval;obs.exposure", covered.t_min, covered.t_max))
    text = "Polarization state to cut out, where the data have a polarization axis"
    found.append(Param("POL", ucd="meta.code;phys.polarization", description=text, options=POLARIZATIONS))
    text = "Format of the cutout"
    return (*found, Param("RESPONSEFORMAT", ucd="meta.code.mime", description=text, options=(FITS, PNG)))


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


def _selection(parameters: Parameters) -> Selection:
    given = [name for name in _SPATIAL if parameters.all(name)]
    if len(given) > 1:
        raise MultipleValuesFault(f"{' and '.join(given)} are given.", "Give one region in a request.")
    name = given[0] if given else "POS"
    region = _single(parameters, name)
    band, time = (_single(parameters, axis) for axis in ("BAND", "TIME"))
    shape = "" if name == "POS" else f"{name} "
    return Selection(
        None if region is None else regions.parse(shape + region, name),
        None if band is None else intervals.parse("BAND", band, minimum=0.0),
        None if time is None else intervals.parse("TIME", time, minimum=-math.inf),
        _states(parameters),
        _text(parameters),
    )


def _states(parameters: Parameters) -> tuple[str, ...]:
    state = _single(parameters, "POL")
    if state is None:
        return ()
    if state.strip() not in POLARIZATIONS:
        raise UsageFault(f"POL={intervals.shown(state)} is unknown.", f"Values: {', '.join(POLARIZATIONS)}.")
    return (state.strip(),)


def _single(parameters: Parameters, name: str) -> str | None:
    values = list(dict.fromkeys(parameters.all(name)))
    if len(values) > 1:
        raise MultipleValuesFault(f"{name} has {len(values)} values.", "Give one in a request.")
    return values[0] if values else None


def _text(parameters: Parameters) -> str:
    """Return the filters as they were given; what was checked has no other than plain characters."""
    names = (*_SPATIAL, "BAND", "TIME", "POL")
    return ", ".join(
        f"{name}={' '.join(value.split())}" for name in names for value in parameters.all(name)[:1]
    )
