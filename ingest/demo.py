"""`ost-vo demo`: a believable night of files below a data root, the same bytes every time.

Star fields from a real catalogue through the geometry of real cameras; bias, dark, flat and light frames with
the headers of MaxIm DL, N.I.N.A. and SharpCap; a slit spectrograph's frames, a spectrum and a small cube.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ingest.demo_night import capture, detector, fits_bytes, spectroscopy
from ingest.demo_night.exposures import IMAGING, SLIT, Exposure, Kind

# The watcher leaves files of this suffix alone.
UNFINISHED = ".filepart"


@dataclass(frozen=True, slots=True)
class _File:
    """A file to write: its path below the root, its size where it is known beforehand, and how to make it."""

    path: str
    size: int | None
    make: Callable[[], bytes]


def write_demo(root: Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Write the demo night below a data root; files that are there already, of the right size, stay.

    Args:
        root: the data root; made where it does not exist.
        progress: told the path below the root of each file, before it is made.

    Returns:
        The paths of all files of the night.

    Raises:
        OSError: a file could not be written.
    """
    paths = []
    for file in _files():
        if progress:
            progress(file.path)
        target = root / file.path
        if not target.exists() or target.stat().st_size != file.size:
            _write(target, file.make())
        paths.append(target)
    return paths


def _write(target: Path, content: bytes) -> None:
    """Write a file that nobody sees before it is whole; one of the right size is not touched."""
    if target.exists() and target.stat().st_size == len(content):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + UNFINISHED)
    unfinished.write_bytes(content)
    os.replace(unfinished, target)


def _files() -> Iterator[_File]:
    for exposure in (*IMAGING, *SLIT):
        yield _frame(exposure)
    for path, draw in (
        ("2026-02-15_spectra/Vega_1d.fits", spectroscopy.spectrum),
        ("2026-02-15_spectra/M42_cube.fits", spectroscopy.cube),
    ):
        cards, values = draw()
        yield _File(
            path, fits_bytes.plain_size(cards, values.nbytes), partial(fits_bytes.plain, cards, values)
        )


def _frame(exposure: Exposure) -> _File:
    cards = capture.cards(exposure)
    rows, columns = exposure.train.shape
    size: int | None = fits_bytes.plain_size(cards, 2 * rows * columns)
    pack = fits_bytes.plain
    if exposure.path.endswith(".gz"):
        size, pack = None, fits_bytes.gzipped
    elif exposure.path.endswith(".fz"):
        size, pack = None, fits_bytes.tile_compressed
    return _File(exposure.path, size, lambda: pack(cards, detector.read_out(exposure, _light(exposure))))


def _light(exposure: Exposure) -> detector.Image | None:
    if exposure.kind not in (Kind.LIGHT, Kind.LAMP):
        return None
    return spectroscopy.slit_light(exposure) if exposure in SLIT else detector.sky_and_stars(exposure)
