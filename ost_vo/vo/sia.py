"""The parameters of an image search, and the conditions on ObsCore columns that they become.

Values of one parameter are alternatives, parameters restrict each other, and a null meets nothing.

Source: SIA 2.0 section 2.1 (the parameters), 3.1.2 (description of the service).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from ost_vo.faults import UsageFault
from ost_vo.vo import coverage, intervals, regions
from ost_vo.vo.adql import projection, types
from ost_vo.vo.adql.values import quoted_name, quoted_text
from ost_vo.vo.columns import SQL_TYPES, Column, Table
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.regions import Circle
from ost_vo.vo.votable import DATALINK_CONTENT_TYPE, Param

# What an image search returns (section 2.1.14).
PRODUCT_TYPES = ("image", "cube")
# ObsCore 1.1 section 4.19.
POLARIZATIONS = ("I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA")
# ObsCore 1.1 section 4.2.
CALIBRATION_LEVELS = ("0", "1", "2", "3", "4")
# Columns of ivoa.obscore: the footprint, and the position of what has none.
_WHERE = ("footprint", "pos")
_HEMISPHERE = 90.0  # deg
# More alternatives than this belong into an upload to TAP.
MAX_VALUES = 500


@dataclass(frozen=True, slots=True)
class _Input:
    """A parameter of the search.

    Attributes:
        column: the ObsCore column that its values are compared with; the lower end of an interval.
        description, unit, ucd, options: what the service says of it.
        kind: how its values are read and compared.
        upper: the column of the upper end.
        minimum: the least number that makes sense.
    """

    column: str
    description: str
    kind: Callable[[str, _Input, list[str]], list[str]]
    unit: str | None = None
    ucd: str | None = None
    upper: str = ""
    minimum: float = 0.0
    options: tuple[str, ...] = ()


def conditions(parameters: Parameters, registry_part: str) -> list[str]:
    """Return SQL conditions on the columns of ``ivoa.obscore``, all of which a row of the result fulfils.

    Args:
        parameters: of the request; those that are no search parameters are left to others.
        registry_part: what the archive's own dataset identifiers have before their ``?``.

    Raises:
        UsageFault: a value is wrong, or there are too many.
    """
    found = [_HAS_PIXELS]
    for name, search in _INPUTS.items():
        values = list(dict.fromkeys(parameters.all(name)))
        if len(values) > MAX_VALUES:
            raise UsageFault(
                f"{name} is given {len(values)} times, more than {MAX_VALUES}.",
                "Split the search into several.",
            )
        if name == "ID":
            values = [canonical_identifier(value, registry_part) for value in values]
        if values:
            found += search.kind(name, search, values)
    return found


def cone(parameters: Parameters) -> Circle | None:
    """Return the circle that a request asks for and for nothing else, as most do; None for any other.

    Raises:
        UsageFault: the value is wrong.
    """
    given = [name for name in _INPUTS if parameters.all(name)]
    if given != ["POS"] or len(set(parameters.all("POS"))) > 1:
        return None
    region = regions.parse(parameters.all("POS")[0], "POS")
    return region if isinstance(region, Circle) and region.radius <= _HEMISPHERE else None


def cone_conditions() -> list[str]:
    """Return the conditions of :func:`conditions` for any one of those circles, with placeholders.

    :func:`ost_vo.vo.coverage.numbers_of` returns what they stand for.
    """
    return [_HAS_PIXELS, coverage.meets_circle(*_WHERE)]


def canonical_identifier(identifier: str, registry_part: str) -> str:
    """Return a dataset identifier with the registry part as the archive writes it.

    Clients may write that part in any case (SIA 2.0 section 2.1.10), and the index compares exactly.
    """
    given, mark, local = identifier.strip().partition("?")
    return (
        f"{registry_part}?{local}" if mark and given.lower() == registry_part.lower() else identifier.strip()
    )


def result_columns(table: Table) -> tuple[tuple[str, ...], tuple[Column, ...]]:
    """Return SQL for each column of ObsCore as a result sends it, and the columns of the result."""
    return _result_columns(table.columns)


@lru_cache(maxsize=4)
def _result_columns(columns: tuple[Column, ...]) -> tuple[tuple[str, ...], tuple[Column, ...]]:
    pairs = [_result_column(column) for column in columns]
    return tuple(sql for sql, _ in pairs), tuple(column for _, column in pairs)


def inputs(prefix: str = "") -> tuple[Param, ...]:
    """Return the description of every parameter; ``prefix`` precedes the names."""
    described = [_described(prefix + name, search) for name, search in _INPUTS.items()]
    return (
        *described,
        Param(
            prefix + "MAXREC", datatype="long", description="The most rows to return; 0 for metadata alone"
        ),
        Param(
            prefix + "RESPONSEFORMAT", description="Format of the response: votable, csv, tsv or a media type"
        ),
    )


def _regions(name: str, search: _Input, values: list[str]) -> list[str]:
    del search
    return coverage.meets_any([regions.parse(value, name) for value in values], *_WHERE)


def _overlapping(name: str, search: _Input, values: list[str]) -> list[str]:
    found = [intervals.parse(name, value, minimum=search.minimum) for value in values]
    return [
        _any(
            f"{search.column} <= {_float(item.upper)} AND {search.upper} >= {_float(item.lower)}"
            for item in found
        )
    ]


def _including(name: str, search: _Input, values: list[str]) -> list[str]:
    found = [intervals.parse(name, value, minimum=search.minimum) for value in values]
    return [_any(f"{search.column} BETWEEN {_float(item.lower)} AND {_float(item.upper)}" for item in found)]


def _equal(name: str, search: _Input, values: list[str]) -> list[str]:
    for value in values:
        if "\0" in value:
            raise UsageFault(f"{name}={intervals.shown(value)} holds a NUL character.", "Leave it out.")
    return [f"{search.column} IN ({_listed(values)})"]


def _level(name: str, search: _Input, values: list[str]) -> list[str]:
    levels = [_chosen(name, search, value.strip()) for value in values]
    return [f"{search.column} IN ({', '.join(levels)})"]


def _state(name: str, search: _Input, values: list[str]) -> list[str]:
    states = [_chosen(name, search, value.strip()) for value in values]
    return [_any(f"{search.column} LIKE '%/{state}/%'" for state in states)]


def _chosen(name: str, search: _Input, value: str) -> str:
    if value not in search.options:
        raise UsageFault(
            f"{name}={intervals.shown(value)} is unknown.", f"Values: {', '.join(search.options)}."
        )
    return value


def _any(alternatives: Iterable[str]) -> str:
    return f"({' OR '.join(f'({alternative})' for alternative in alternatives)})"


def _listed(values: list[str] | tuple[str, ...]) -> str:
    return ", ".join(quoted_text(value) for value in values)


_HAS_PIXELS = f"dataproduct_type IN ({_listed(PRODUCT_TYPES)})"


def _float(number: float) -> str:
    if math.isinf(number):
        return f"'{'-' if number < 0 else ''}Infinity'::float8"
    return f"'{number!r}'::float8"


def _result_column(column: Column) -> tuple[str, Column]:
    kind, template = types.stored(column)
    value = template.format(quoted_name(column.name))
    if kind == types.TIMESTAMP:
        return projection.timestamp_text(value), replace(
            column, datatype="char", arraysize="*", xtype="timestamp"
        )
    return f"{value}::{SQL_TYPES[column.datatype]}", column


def _described(name: str, search: _Input) -> Param:
    is_interval = search.kind in (_overlapping, _including)
    return Param(
        name,
        datatype="double" if is_interval else "int" if search.kind is _level else "char",
        arraysize="2" if is_interval else None,
        xtype="interval" if is_interval else None,
        unit=search.unit,
        ucd=search.ucd,
        description=search.description,
        options=search.options,
    )


_INPUTS = {
    "POS": _Input(
        "s_region",
        "Region that the data meet, ICRS [deg]: CIRCLE lon lat radius, RANGE lon1 lon2 lat1 lat2, or "
        "POLYGON lon1 lat1 lon2 lat2 lon3 lat3 ...",
        _regions,
        ucd="pos.outline;obs",
    ),
    "BAND": _Input("em_min", "Wavelengths that the data overlap", _overlapping, "m", "em.wl", "em_max"),
    "TIME": _Input(
        "t_min", "Time that the data overlap, MJD in UTC", _overlapping, "d", "time.interval;obs.exposure",
        "t_max", -math.inf,
    ),
    "POL": _Input("pol_states", "Polarization state in the data", _state, None, "meta.code;phys.polarization",
                  options=POLARIZATIONS),
    "FOV": _Input("s_fov", "Size of the field of view", _including, "deg", "phys.angSize;instr.fov"),
    "SPATRES": _Input("s_resolution", "Spatial resolution", _including, "arcsec", "pos.angResolution"),
    "SPECRP": _Input("em_res_power", "Spectral resolving power", _including, None, "spect.resolution"),
    "EXPTIME": _Input("t_exptime", "Exposure time", _including, "s", "time.duration;obs.exposure"),
    "TIMERES": _Input("t_resolution", "Resolution in time", _including, "s", "time.resolution"),
    "ID": _Input("obs_publisher_did", "Identifier of the data set", _equal, None, "meta.ref.ivoid"),
    "COLLECTION": _Input("obs_collection", "Name of the data collection", _equal, None, "meta.id"),
    "FACILITY": _Input("facility_name", "Name of the observatory", _equal, None, "meta.id;instr.tel"),
    "INSTRUMENT": _Input("instrument_name", "Name of the instrument", _equal, None, "meta.id;instr"),
    "DPTYPE": _Input("dataproduct_type", "Kind of data", _equal, None, "meta.code.class",
                     options=PRODUCT_TYPES),
    "CALIB": _Input("calib_level", "Calibration level", _level, None, "meta.code;obs.calib",
                    options=CALIBRATION_LEVELS),
    "TARGET": _Input("target_name", "Name of the object observed", _equal, None, "meta.id;src"),
    "FORMAT": _Input("access_format", "Media type of what access_url returns", _equal, None, "meta.code.mime",
                     options=(DATALINK_CONTENT_TYPE,)),
}  # fmt: skip
