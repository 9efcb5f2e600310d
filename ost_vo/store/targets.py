"""Targets: from what a file says of where it looked to a row of archive.targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

_ADD = """
INSERT INTO archive.targets (name) SELECT DISTINCT unnest(%s::text[]) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a file says of its target.

    Attributes:
        name: of the target in the spelling that all files share; None where the file has none.
        s_ra, s_dec: centre of the field [deg, ICRS]; None where unknown.
        s_fov: its diameter [deg].
        t_min, t_max: when it was observed [MJD, UTC].
    """

    name: str | None
    s_ra: float | None
    s_dec: float | None
    s_fov: float | None
    t_min: float | None
    t_max: float | None


class Targets:
    """The targets of the archive, as ingest sees them."""

    def ids(self, cursor: Cursor, sightings: Sequence[Sighting]) -> list[int | None]:
        """Return target_id of each sighting, None where there is no target; adds what is new.

        Called once a batch, in the batch's transaction, which may still be rolled back: nothing is
        remembered of what it has written.
        """
        names = sorted({sighting.name for sighting in sightings if sighting.name})
        cursor.execute(_ADD, (names,))
        cursor.execute("SELECT name, target_id FROM archive.targets WHERE name = ANY (%s)", (names,))
        known: dict[str, int] = dict(cursor.fetchall())
        return [known[sighting.name] if sighting.name else None for sighting in sightings]
