"""Targets: from what a file says of where it looked to a row of archive.targets.

A name means what the archive's own aliases say, which people change; then what catalogues call so. A file
without a name gets the target that is nearest to the middle of its field. What no catalogue knows is kept
under its name, without a position.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from ost_vo.catalogues import lookup, solar_system
from ost_vo.catalogues.entries import Entry
from ost_vo.catalogues.lookup import Field, InField
from ost_vo.catalogues.names import key

# In the middle of a wider field something is always near, and that says nothing [deg].
MAX_NAMELESS_FIELD = 2.0
# What is seen of a target through a telescope whose field is unknown is not looked for.
_MAX_FIELD = 90.0


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

    @property
    def shown(self) -> Field | None:
        """What it shows of the sky; None without a position, and of radius 0 without a field."""
        if self.s_ra is None or self.s_dec is None:
            return None
        known = self.s_fov is not None and self.s_fov <= _MAX_FIELD
        return Field(self.s_ra, self.s_dec, (self.s_fov or 0.0) / 2 if known else 0.0, self._moment)

    @property
    def _moment(self) -> float | None:
        if self.t_min is None or self.t_max is None:
            return self.t_min
        return (self.t_min + self.t_max) / 2

    @property
    def is_nameless(self) -> bool:
        """Whether its field has to say what its target is."""
        return self.name is None and bool(self.s_fov) and (self.s_fov or 0.0) <= MAX_NAMELESS_FIELD


@dataclass(slots=True)
class _Seen:
    """A sighting, and what catalogues know of it."""

    sighting: Sighting
    key: str | None
    entry: Entry | None = None
    in_field: list[InField] = field(default_factory=list)
    bodies: list[InField] = field(default_factory=list)

    def entries(self, known: Container[str] = ()) -> Iterator[Entry]:
        """Yield the catalogues' entries that the archive needs a target for, where it knows some names."""
        if self.entry and self.key not in known:
            yield self.entry
        yield from (one.entry for one in self.in_field)


# For a nameless file, only what anybody may know of: what is prominent, or in what everybody sees.
_KNOWN = """
SELECT key, target_id, NULL::int, NULL::float8 FROM archive.target_aliases WHERE key = ANY (%(keys)s)
UNION ALL
SELECT NULL, t.target_id, f.number, degrees(t.distance)
FROM unnest(%(numbers)s::int[], %(ras)s::float8[], %(decs)s::float8[], %(radii)s::float8[])
        AS f (number, ra, dec, radius)
    CROSS JOIN LATERAL (
        SELECT t.target_id, t.pos <-> spoint(radians(f.ra), radians(f.dec)) AS distance
        FROM archive.targets t
        WHERE t.pos <@ scircle(spoint(radians(f.ra), radians(f.dec)), radians(f.radius))
            AND t.merged_into IS NULL
            AND (t.is_prominent OR EXISTS (SELECT FROM archive.products p WHERE p.target_id = t.target_id
                AND (p.privileges >= 4 OR p.release_date <= now())))
        ORDER BY distance LIMIT 1) t
"""
_ADD_TARGETS = """
INSERT INTO archive.targets (name, target_class, s_ra, s_dec, angular_size, body, is_prominent, resolved_by)
VALUES %s ON CONFLICT DO NOTHING
"""
_BY_NAME = "SELECT name, coalesce(merged_into, target_id) FROM archive.targets WHERE name = ANY (%s)"
_ADD_ALIASES = """
INSERT INTO archive.target_aliases (key, name, target_id, source) VALUES %s ON CONFLICT DO NOTHING
"""
# Two ingests that add one name in two spellings: the first one's is kept.
_DROP_NAMELESS = """
DELETE FROM archive.targets t WHERE name = ANY (%s) AND merged_into IS NULL
    AND NOT EXISTS (SELECT FROM archive.target_aliases a WHERE a.target_id = t.target_id)
    AND NOT EXISTS (SELECT FROM archive.products p WHERE p.target_id = t.target_id)
"""
_ADD_BODY_SIGHTINGS = """
INSERT INTO archive.body_sightings (s_ra, s_dec, t_min, target_id, separation, slack) VALUES %s
ON CONFLICT DO NOTHING
"""


_PLACED = """
SELECT product_id, target_alias, s_ra, s_dec, s_fov, t_min, t_max FROM archive.products
WHERE product_id = ANY (%s) AND coalesce(exposure_type, 'light') = 'light' ORDER BY product_id
"""
# What its file names, or somebody says, stays.
_SET_NAMELESS = """
UPDATE archive.products p SET target_id = f.target_id FROM (VALUES %s) AS f (product_id, target_id)
WHERE p.product_id = f.product_id AND p.target_id IS NULL AND p.target_alias IS NULL
"""


class Targets:
    """The targets of the archive, as ingest sees them."""

    def ids(self, cursor: Cursor, sightings: Sequence[Sighting]) -> list[int | None]:
        """Return target_id of each sighting, None where there is no target; adds what is new.

        Called once a batch, in the batch's transaction, which may still be rolled back: nothing is
        remembered of what it has written. Where all targets are known it is one statement, and none where
        nothing says anything of a target.
        """
        seen = _look_up(sightings)
        keys = _keys(seen)
        nameless = [n for n, one in enumerate(seen) if one.sighting.is_nameless and one.sighting.shown]
        if not keys and not nameless:
            return [None] * len(seen)
        known, nearest = _known(cursor, sorted(keys), seen, nameless)
        if _keys(seen, known) - known.keys():
            _add(cursor, seen, known)
            known, _ = _known(cursor, sorted(keys), seen, [])
        _add_body_sightings(cursor, seen, known)
        return [_id(one, known, nearest.get(number)) for number, one in enumerate(seen)]


def look_again(cursor: Cursor, product_ids: Sequence[int]) -> None:
    """Find the targets of products anew, since their position is another: as when they were solved.

    Args:
        cursor: of the role ost_ingest, in the transaction that has written the position.
        product_ids: the products.
    """
    cursor.execute(_PLACED, (list(product_ids),))
    rows = cursor.fetchall()
    found = Targets().ids(cursor, [Sighting(*row[1:]) for row in rows])
    nameless = [(row[0], target_id) for row, target_id in zip(rows, found, strict=True) if target_id]
    if nameless:
        execute_values(cursor, _SET_NAMELESS, nameless)
    cursor.execute("SELECT archive.find_in_fields(%s::bigint[])", ([row[0] for row in rows],))


def _keys(seen: list[_Seen], known: Container[str] = ()) -> set[str]:
    return {one.key for one in seen if one.key} | {key(e.name) for one in seen for e in one.entries(known)}


def _look_up(sightings: Sequence[Sighting]) -> list[_Seen]:
    seen = [
        _Seen(s, key(s.name) if s.name else None, lookup.named(s.name) if s.name else None) for s in sightings
    ]
    placed = [(one, place) for one in seen if (place := one.sighting.shown) is not None]
    fields = [place for _, place in placed]
    moving = lookup.bodies_around(fields)
    for (one, _), here, bodies in zip(placed, lookup.around(fields, moving), moving, strict=True):
        one.in_field = here if one.sighting.s_fov else []
        there = {found.entry.body for found in one.in_field} | {one.entry.body if one.entry else None}
        one.bodies = [body for body in bodies if body.entry.body in there]
    return seen


def _known(
    cursor: Cursor, keys: list[str], seen: list[_Seen], nameless: list[int]
) -> tuple[dict[str, int], dict[int, tuple[int, float]]]:
    """Return target_id by key, and the nearest target of nameless sightings with its separation [deg]."""
    fields = [place for number in nameless if (place := seen[number].sighting.shown)]
    values = {
        "keys": keys,
        "numbers": nameless,
        "ras": [place.s_ra for place in fields],
        "decs": [place.s_dec for place in fields],
        "radii": [place.radius for place in fields],
    }
    cursor.execute(_KNOWN, values)
    known: dict[str, int] = {}
    nearest: dict[int, tuple[int, float]] = {}
    for alias, target_id, number, separation in cursor.fetchall():
        if alias is not None:
            known[alias] = target_id
        else:
            nearest[number] = target_id, separation
    return known, nearest


def _id(one: _Seen, known: dict[str, int], nearest: tuple[int, float] | None) -> int | None:
    if one.key:
        return known[one.key]
    if not one.sighting.is_nameless:
        return None
    entry = next(iter(one.in_field), None)
    if entry is not None and (nearest is None or entry.least <= nearest[1]):
        return known[key(entry.entry.name)]
    return nearest[0] if nearest else None


def _add(cursor: Cursor, seen: list[_Seen], known: dict[str, int]) -> None:
    """Add the targets and aliases that are missing, in an order that keeps two ingests out of deadlock."""
    entries = {key(entry.name): entry for one in seen for entry in one.entries(known)}
    names = {k: entry.name for k, entry in entries.items()}
    # What no catalogue knows goes by the first spelling.
    for one in seen:
        if one.key and one.entry is None and one.sighting.name:
            names.setdefault(one.key, one.sighting.name)
    new = {k: name for k, name in names.items() if k not in known}
    rows = [_row(name, entries.get(k)) for k, name in sorted(new.items())]
    execute_values(cursor, _ADD_TARGETS, rows) if rows else None
    cursor.execute(_BY_NAME, (list(new.values()),))
    by_name: dict[str, int] = dict(cursor.fetchall())
    targets = known | {k: by_name[name] for k, name in new.items()}
    aliases = {k: (name, targets[k], "catalogue" if k in entries else "header") for k, name in new.items()}
    for k in new.keys() & entries.keys():
        for alias in entries[k].aliases:
            aliases.setdefault(key(alias), (alias, targets[k], "catalogue"))
    for one in seen:
        if one.key and one.entry and one.sighting.name and one.key not in known:
            target_id = targets[key(one.entry.name)]
            aliases.setdefault(one.key, (one.sighting.name, target_id, "catalogue"))
    if aliases:
        execute_values(cursor, _ADD_ALIASES, [(k, *alias) for k, alias in sorted(aliases.items())])
    cursor.execute(_DROP_NAMELESS, (list(new.values()),))


def _row(name: str, entry: Entry | None) -> tuple[object, ...]:
    if entry is None:
        return (name, None, None, None, None, None, False, None)
    position = (entry.s_ra, entry.s_dec)
    return (name, entry.kind, *position, entry.size, entry.body, entry.is_prominent, entry.catalogue)


def _add_body_sightings(cursor: Cursor, seen: list[_Seen], known: dict[str, int]) -> None:
    rows = {}
    for one in seen:
        s = one.sighting
        for there in one.bodies:
            if (target_id := known.get(key(there.entry.name))) is None:
                continue
            margin = solar_system.slack(there.entry.name)
            rows[(s.s_ra, s.s_dec, s.t_min, target_id)] = (there.separation, margin)
    if rows:
        execute_values(cursor, _ADD_BODY_SIGHTINGS, sorted((*k, *v) for k, v in rows.items()))
