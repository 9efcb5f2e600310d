"""Entries of the catalogues."""

from __future__ import annotations

from dataclasses import dataclass

GALAXY, CLUSTER, NEBULA, STAR = "galaxy", "star cluster", "nebula", "star"
SOLAR_SYSTEM, OTHER = "solar system", "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """An object that a catalogue knows.

    Attributes:
        name: the best known of its names.
        kind: galaxy, star cluster, nebula, star, solar system or other.
        catalogue: which one it is from.
        s_ra, s_dec: ICRS [deg]; None for what moves.
        size: its longest diameter [deg], None where unknown.
        is_prominent: whether a frame that shows it can be said to be of it, though nobody named it.
        aliases: its other names.
        body: its name in `solar_system`, None for what does not move.
    """

    name: str
    kind: str
    catalogue: str
    s_ra: float | None = None
    s_dec: float | None = None
    size: float | None = None
    is_prominent: bool = False
    aliases: tuple[str, ...] = ()
    body: str | None = None
