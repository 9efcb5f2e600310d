"""What was exposed in the demo night, one entry a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto

from ingest.demo_night import equipment
from ingest.demo_night.equipment import Filter, Train


class Kind(Enum):
    """What the shutter and the lamp did."""

    BIAS = auto()
    DARK = auto()
    FLAT = auto()
    LIGHT = auto()
    LAMP = auto()


class Program(Enum):
    """The capture programs."""

    MAXIM_DL = auto()
    NINA = auto()
    SHARPCAP = auto()


@dataclass(frozen=True, slots=True)
class Pointing:
    """Where the telescope really pointed.

    Attributes:
        target: name of the target.
        nominal: ICRS position that the mount was sent to, which goes into the header [deg].
        centre: ICRS position of the frame's centre [deg].
        rotation: position angle of the frame's upward direction, from north over east [deg].
        mirrored: whether east lies to the right of an upward north.
        distortion: cubic radial distortion: shift at the middle of the right edge [pixel].
        solved: whether a plate solution is in the header.
    """

    target: str
    nominal: tuple[float, float]
    centre: tuple[float, float]
    rotation: float
    mirrored: bool = False
    distortion: float = 0.0
    solved: bool = False


@dataclass(frozen=True, slots=True)
class Exposure:
    """One frame.

    Attributes:
        path: below the data root.
        program: which wrote the file.
        train: camera and telescope.
        kind: bias, dark, flat, light, or the lines of a calibration lamp.
        start: when the shutter opened (UTC).
        seconds: exposure time [s].
        temperature: of the chip [C].
        filter: in the light path; None for bias and dark frames.
        pointing: None where no star was looked at.
    """

    path: str
    program: Program
    train: Train
    kind: Kind
    start: datetime
    seconds: float
    temperature: float
    filter: Filter | None = None
    pointing: Pointing | None = None


def _at(hour: int, minute: int, second: int, day: int = 14) -> datetime:
    """Return a time (UTC) of the night that began on a day of February 2026; 24 h is the next midnight."""
    return datetime(2026, 2, day + hour // 24, hour % 24, minute, second, tzinfo=UTC)


def _maxim(
    name: str,
    kind: Kind,
    start: datetime,
    seconds: float,
    band: Filter | None = None,
    aim: Pointing | None = None,
) -> Exposure:
    path = f"20260214/{name}.fit"
    return Exposure(path, Program.MAXIM_DL, equipment.REFRACTOR, kind, start, seconds, -20.0, band, aim)


def _nina(
    kind: Kind, start: datetime, seconds: float, band: Filter | None = None, aim: Pointing | None = None
) -> Exposure:
    # The plate solver that ran over the night leaves what it solved unpacked.
    suffix = "fits" if aim and aim.solved else "fits.fz"
    path = f"20260214/CDK20/{kind.name}/{start:%Y-%m-%d_%H-%M-%S}_{seconds:.2f}s_0001.{suffix}"
    return Exposure(path, Program.NINA, equipment.CDK20, kind, start, seconds, -10.0, band, aim)


def _sharpcap(name: str, start: datetime, seconds: float, aim: Pointing) -> Exposure:
    path, band = f"20260214/{name}", equipment.LUMINANCE
    return Exposure(path, Program.SHARPCAP, equipment.LENS, Kind.LIGHT, start, seconds, 4.5, band, aim)


def _dados(name: str, kind: Kind, start: datetime, seconds: float, aim: Pointing | None = None) -> Exposure:
    path = f"2026-02-15_spectra/{name}.fit"
    return Exposure(path, Program.MAXIM_DL, equipment.DADOS, kind, start, seconds, -15.0, None, aim)


_B, _V, _R = equipment.JOHNSON_B, equipment.JOHNSON_V, equipment.COUSINS_R
_M45 = Pointing("M 45", (56.750, 24.117), (56.728, 24.131), 1.7)
_M44 = Pointing("M 44", (130.054, 19.621), (130.071, 19.640), 181.6)
_NGC869 = Pointing("NGC 869", (34.742, 57.134), (34.751, 57.129), 88.4, mirrored=True)
_BELT = Pointing("Orion's Belt", (84.053, -1.202), (84.020, -1.150), 356.9)
_COMA = Pointing("Mel 111", (186.600, 26.100), (186.660, 26.060), 12.4, distortion=2.8, solved=True)
VEGA = Pointing("Vega", (279.2347, 38.7837), (279.2347, 38.7837), 0.0)

IMAGING: tuple[Exposure, ...] = (
    _maxim("Flat-001B", Kind.FLAT, _at(16, 32, 10), 6.0, _B),
    _maxim("Flat-002V", Kind.FLAT, _at(16, 34, 41), 4.0, _V),
    _maxim("Flat-003R", Kind.FLAT, _at(16, 36, 55), 4.0, _R),
    _nina(Kind.FLAT, _at(16, 41, 20), 2.5, equipment.LUMINANCE),
    _maxim("Bias-001", Kind.BIAS, _at(17, 2, 11), 0.0),
    _maxim("Bias-002", Kind.BIAS, _at(17, 2, 25), 0.0),
    _maxim("Dark-001", Kind.DARK, _at(17, 4, 2), 60.0),
    _maxim("Dark-002", Kind.DARK, _at(17, 5, 14), 30.0),
    _nina(Kind.BIAS, _at(17, 10, 31), 0.0),
    _nina(Kind.DARK, _at(17, 11, 40), 60.0),
    _maxim("M45-001B", Kind.LIGHT, _at(18, 41, 7), 60.0, _B, _M45),
    _maxim("M45-002V", Kind.LIGHT, _at(18, 42, 34), 30.0, _V, replace(_M45, solved=True)),
    _maxim("M45-003R", Kind.LIGHT, _at(18, 43, 58), 30.0, _R, replace(_M45, solved=True)),
    _sharpcap("Orion/20_12_44_00001.fits", _at(19, 12, 44), 10.0, _BELT),
    _nina(Kind.LIGHT, _at(19, 40, 12), 1.0, equipment.LUMINANCE, replace(_NGC869, solved=True)),
    _nina(Kind.LIGHT, _at(19, 44, 3), 60.0, equipment.H_ALPHA, _NGC869),
    _maxim("M44-001V", Kind.LIGHT, _at(22, 5, 20), 30.0, _V, replace(_M44, solved=True)),
    _maxim("M44-002R", Kind.LIGHT, _at(22, 6, 45), 30.0, _R, _M44),
    _sharpcap("Mel111/01_31_09_00001.fits.gz", _at(24, 31, 9), 10.0, _COMA),
)

SLIT: tuple[Exposure, ...] = (
    _dados("Bias-001", Kind.BIAS, _at(27, 20, 5, day=15), 0.0),
    _dados("Flat-001", Kind.FLAT, _at(27, 24, 48, day=15), 5.0),
    _dados("Vega-001", Kind.LIGHT, _at(27, 41, 30, day=15), 20.0, VEGA),
    _dados("Neon-001", Kind.LAMP, _at(27, 43, 12, day=15), 10.0),
)
