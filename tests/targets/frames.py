"""Frames of places in the sky."""

from __future__ import annotations

from pathlib import Path

from tests.ingest.frames import TAN, Cards, write_frame

M31 = (10.6848, 41.2691)
# Of the camera's 20 by 15 pixels, the longer side [deg].
WIDTH = 0.5


def write_light(path: Path, position: tuple[float, float] | None, **cards: object) -> Path:
    """Write a light frame, half a degree wide, with a plate solution of its centre where that is given."""
    header: Cards = {"IMAGETYP": "Light Frame", "EXPTIME": 60.0, "DATE-OBS": "2022-09-23T22:00:00", **cards}
    if position is not None:
        scale = WIDTH / 20
        solution = {"CRVAL1": position[0], "CRVAL2": position[1], "CRPIX1": 10.5, "CRPIX2": 8.0}
        header |= TAN | solution | {"CD1_1": -scale, "CD2_2": scale}
    return write_frame(path, header)
