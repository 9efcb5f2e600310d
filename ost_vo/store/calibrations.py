"""Which calibration frames fit a frame.

The database finds those that fit any frame of a request, in one statement; which of them fits which is
decided here, because thousands of frames of a few nights share a few hundred calibration frames.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ost_vo.store.observations import PRODUCT_COLUMNS, Product, product
from ost_vo.store.prepared import Prepared

# A calibration frame of another month was made with another camera as often as not [d].
DAYS = 30.0
# The two temperatures between which a dark frame changes by less than its noise [K].
KELVIN = 2.0
# A header has the exposure time to a few digits: what two that are equal differ by, relative.
EXPOSURE_TOLERANCE = 0.001
# Frames of one kind that are named for one product, the nearest in time first.
MOST = 10
# Which kinds of frame a kind of frame is calibrated with.
CALIBRATED_WITH = {
    "bias": ("light", "wave", "flat", "dark"),
    "dark": ("light", "wave", "flat"),
    "flat": ("light", "wave"),
}

# What must be equal, or unknown for both; the first three must be known.
_SETTING = (
    "instrument_name", "s_xel1", "s_xel2", "binning_x", "binning_y", "gain", "black_level", "readout_mode"
)  # fmt: skip
# Columns of ost.products that a frame is made of.
FRAME_COLUMNS = (
    "exposure_type", "t_min", "ccd_temperature", "t_exptime", "filter_name", "telescope_name", *_SETTING
)  # fmt: skip

_SAME_TEMPERATURE = (
    f"(c.ccd_temperature BETWEEN g.coldest - {KELVIN} AND g.warmest + {KELVIN}"
    " OR (c.ccd_temperature IS NULL AND g.has_no_temperature))"
)
_MAY_FIT = {
    "bias": _SAME_TEMPERATURE,
    "dark": f"{_SAME_TEMPERATURE} AND c.t_exptime BETWEEN {1 - 2 * EXPOSURE_TOLERANCE} * g.shortest"
    f" AND {1 + 2 * EXPOSURE_TOLERANCE} * g.longest",
    "flat": "(c.filter_name = ANY (g.filters) OR (c.filter_name IS NULL AND g.has_no_filter))",
}
_KIND = """
SELECT {columns} FROM ost.products c
WHERE g.exposure_type IN ({frames}) AND c.exposure_type = '{kind}' AND c.instrument_name = g.instrument_name
    AND c.t_min BETWEEN g.first - {days} AND g.last + {days}
    AND c.s_xel1 = g.s_xel1 AND c.s_xel2 = g.s_xel2
    AND (c.binning_x, c.binning_y, c.gain, c.black_level, c.readout_mode)
        IS NOT DISTINCT FROM (g.binning_x, g.binning_y, g.gain, g.black_level, g.readout_mode)
    AND c.is_valid = 1 AND c.missing_since IS NULL AND {may_fit}
"""
# Frames of one setting and of a few nights are looked up together.
_CANDIDATES = """
WITH given AS MATERIALIZED (
    SELECT exposure_type, {setting}, min(t_min) AS first, max(t_min) AS last,
        min(ccd_temperature) AS coldest, max(ccd_temperature) AS warmest,
        bool_or(ccd_temperature IS NULL) AS has_no_temperature,
        min(t_exptime) AS shortest, max(t_exptime) AS longest,
        array_agg(DISTINCT filter_name) AS filters, bool_or(filter_name IS NULL) AS has_no_filter
    FROM ost.products
    WHERE obs_publisher_did = ANY ($1) AND exposure_type IN ('light', 'wave', 'flat', 'dark')
    GROUP BY exposure_type, {setting}, floor(t_min / 5))
SELECT c.* FROM given g CROSS JOIN LATERAL ({kinds}) c
"""


_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What decides which calibration frames fit, and for which frames one fits; None where unknown.

    Attributes:
        kind: exposure type.
        time: begin of the exposure, MJD in UTC [d].
        temperature: of the detector [deg C].
        exposure: its time [s].
        filter, telescope: their names.
        setting: of the camera, and which it is.
    """

    kind: str | None
    time: float | None
    temperature: float | None
    exposure: float | None
    filter: str | None
    telescope: str | None
    setting: tuple[object, ...]

    @classmethod
    def of(cls, row: Sequence[Any]) -> Frame:
        """Return the frame of a row that has FRAME_COLUMNS."""
        kind, time, temperature, exposure, filter_name, telescope, *setting = row
        return cls(kind, time, temperature, exposure, filter_name, telescope, tuple(setting))


@dataclass
class _Group:
    """Calibration frames of one kind that differ in time and temperature alone, by time.

    Attributes:
        times: of their exposures, between two that are never reached.
        frames: temperature and product of each; None in the places of those two.
    """

    times: list[float] = field(default_factory=lambda: [-math.inf])
    frames: list[tuple[float | None, Product] | None] = field(default_factory=lambda: [None])


class Candidates:
    """The calibration frames that may fit some frames, as the caller sees them.

    Args:
        prepared: of the transaction.
        identifiers: of the frames, as stored.
    """

    def __init__(self, prepared: Prepared, identifiers: Sequence[str]) -> None:
        found = {row[0]: row for row in prepared.rows(_statement(), ["text[]"], list(identifiers))}
        width = len(PRODUCT_COLUMNS)
        pairs = [(Frame.of(row[width:]), product(row[:width])) for row in found.values()]
        self._groups: dict[_Key, _Group] = defaultdict(_Group)
        self._exposures: dict[_Key, set[float]] = defaultdict(set)
        for frame, which in sorted(pairs, key=lambda pair: (pair[0].time, pair[1].identifier)):
            group = self._groups[_key(frame.kind, frame)]
            group.times.append(frame.time or 0.0)
            group.frames.append((frame.temperature, which))
            if frame.kind == "dark" and frame.exposure is not None:
                self._exposures[frame.setting].add(frame.exposure)
        for group in self._groups.values():
            group.times.append(math.inf)
            group.frames.append(None)

    def fitting(self, frame: Frame) -> Iterator[tuple[str, Product]]:
        """Yield kind and product of the calibration frames that fit a frame, the nearest in time first."""
        for kind, frames in CALIBRATED_WITH.items():
            if frame.kind in frames:
                groups = [self._groups[key] for key in self._keys(kind, frame) if key in self._groups]
                near = [pair for group in groups for pair in _nearest(frame, group, kind != "flat")]
                if len(groups) > 1:
                    near.sort(key=lambda pair: (pair[0], pair[1].identifier))
                yield from ((kind, which) for _, which in near[:MOST])

    def _keys(self, kind: str, frame: Frame) -> list[_Key]:
        """Return where calibration frames of a kind are that fit a frame but for time and temperature."""
        if kind != "dark":
            return [_key(kind, frame)]
        exposures = self._exposures.get(frame.setting, ())
        return [(kind, frame.setting, given) for given in exposures if _is_as_long(frame.exposure, given)]


def _key(kind: str | None, frame: Frame) -> _Key:
    """Return what calibration frames of a kind share with a frame, but for time and temperature."""
    if kind == "flat":
        return (kind, frame.setting, frame.filter, frame.telescope)
    return (kind, frame.setting, frame.exposure if kind == "dark" else None)


def _nearest(frame: Frame, group: _Group, by_temperature: bool) -> list[tuple[float, Product]]:
    """Return the nearest frames that fit, and how far they are away in time [d]."""
    found: list[tuple[float, Product]] = []
    if frame.time is None:
        return found
    times, time, wanted = group.times, frame.time, frame.temperature
    after = bisect_left(times, time)
    before = after - 1
    while len(found) < MOST:
        late, early = times[after] - time, time - times[before]
        if late <= early:
            distance, entry = late, group.frames[after]
            after += 1
        else:
            distance, entry = early, group.frames[before]
            before -= 1
        if entry is None or distance > DAYS:
            break
        given, which = entry
        if not by_temperature or given is wanted or _is_as_cold(wanted, given):
            found.append((distance, which))
    return found


def _is_as_cold(wanted: float | None, given: float | None) -> bool:
    return wanted is not None and given is not None and abs(given - wanted) <= KELVIN


def _is_as_long(wanted: float | None, given: float) -> bool:
    return wanted is not None and abs(given - wanted) <= EXPOSURE_TOLERANCE * wanted


@cache
def _statement() -> str:
    columns = ", ".join(f"c.{name}" for name in (*PRODUCT_COLUMNS, *FRAME_COLUMNS))
    names = [f"c{number}" for number in range(len(PRODUCT_COLUMNS) + len(FRAME_COLUMNS))]
    kinds = (
        _KIND.format(
            columns=columns,
            frames=", ".join(f"'{frame}'" for frame in frames),
            kind=kind,
            days=DAYS,
            may_fit=_MAY_FIT[kind],
        )
        for kind, frames in CALIBRATED_WITH.items()
    )
    found = _CANDIDATES.format(setting=", ".join(_SETTING), kinds=" UNION ALL ".join(kinds))
    # Two columns have the same name, as a product and as a frame has them.
    return f"{found.rstrip()} ({', '.join(names)})"
