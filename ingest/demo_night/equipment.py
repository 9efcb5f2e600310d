"""Cameras, telescopes and filters of the demo night."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera as its maker describes it.

    Attributes:
        name: what its driver calls it.
        pixel: size of an unbinned pixel [um].
        width, height: unbinned size of the chip [pixel].
        gain: electrons per count of the converter [e-/ADU].
        bias: level that the electronics add [ADU].
        read_noise: noise of reading a pixel out [e-].
        dark_current: of an unbinned pixel at 0 C [e-/s]; it doubles every 6 K.
    """

    name: str
    pixel: float
    width: int
    height: int
    gain: float
    bias: int
    read_noise: float
    dark_current: float


@dataclass(frozen=True, slots=True)
class Train:
    """A camera behind a telescope, with the binning that it is read out with.

    Attributes:
        camera: the camera.
        binning: pixels binned into one along each axis.
        telescope: its name.
        focal_length: [mm].
        aperture: diameter of the telescope [mm].
        strip: (first row, rows) in binned pixels where only a strip of the chip is read out.
    """

    camera: Camera
    binning: int
    telescope: str
    focal_length: float
    aperture: float
    strip: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        rows = self.strip[1] if self.strip else self.camera.height // self.binning
        return rows, self.camera.width // self.binning

    @property
    def pixel(self) -> float:
        """Size of a binned pixel [um]."""
        return self.camera.pixel * self.binning

    @property
    def scale(self) -> float:
        """Size of a binned pixel on the sky [deg]."""
        return math.degrees(self.pixel * 1e-3 / self.focal_length)

    @property
    def area(self) -> float:
        """Collecting area [m2]."""
        return math.pi * (self.aperture * 1e-3) ** 2 / 4


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter.

    Attributes:
        name: as the header has it.
        photons: detected of a star of magnitude 0, above the atmosphere [1/(s m2)].
        sky: brightness of the night sky [mag/arcsec2].
        extinction: of the atmosphere [mag/airmass].
    """

    name: str
    photons: float
    sky: float
    extinction: float


STF8300 = Camera("SBIG STF-8300 CCD Camera", 5.4, 3326, 2504, 0.37, 1020, 9.3, 0.2)
QHY268M = Camera("QHY CCD QHY268M-92149f4", 3.76, 6252, 4176, 0.78, 480, 3.5, 0.02)
ASI174MM = Camera("ASI Camera (1)", 5.86, 1936, 1216, 0.49, 160, 6.0, 0.6)
ST8 = Camera("SBIG ST-8 3 CCD Camera", 9.0, 1530, 1020, 2.3, 105, 15.0, 1.0)

REFRACTOR = Train(STF8300, 3, "sky-watcher", 400.0, 80.0)
CDK20 = Train(QHY268M, 4, "Planewave CDK20", 3454.0, 508.0)
LENS = Train(ASI174MM, 2, "", 200.0, 50.0)
DADOS = Train(ST8, 1, "Planewave CDK20", 3454.0, 508.0, strip=(450, 120))

JOHNSON_B = Filter("B", 4.2e9, 20.1, 0.32)
JOHNSON_V = Filter("V", 4.4e9, 19.3, 0.20)
COUSINS_R = Filter("R", 5.0e9, 18.8, 0.14)
LUMINANCE = Filter("L", 1.4e10, 19.0, 0.20)
H_ALPHA = Filter("Ha", 2.6e8, 18.9, 0.12)
