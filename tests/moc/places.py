"""Whether a MOC has a position."""

from __future__ import annotations

from astropy import units
from mocpy import MOC


def holds(moc: MOC, ra: float, dec: float) -> bool:
    """Say whether a position is in a MOC [deg]."""
    return bool(moc.contains_lonlat([ra] * units.deg, [dec] * units.deg)[0])
