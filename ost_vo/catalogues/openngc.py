"""The objects of OpenNGC: NGC, IC, Messier, Caldwell and what else its addendum has.

The data come with the package pyongc (by Mattia Verga, CC BY-SA 4.0), as a table of SQLite.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any

import pyongc

from ost_vo.catalogues.entries import CLUSTER, GALAXY, NEBULA, OTHER, STAR, Entry

CATALOGUE = "OpenNGC"
_KINDS = {
    "G": GALAXY,
    "GPair": GALAXY,
    "GTrpl": GALAXY,
    "GGroup": GALAXY,
    "OCl": CLUSTER,
    "GCl": CLUSTER,
    "Cl+N": CLUSTER,
    "*Ass": CLUSTER,
    "*": STAR,
    "**": STAR,
    "Nova": STAR,
    "PN": NEBULA,
    "HII": NEBULA,
    "DrkN": NEBULA,
    "EmN": NEBULA,
    "Neb": NEBULA,
    "RfN": NEBULA,
    "SNR": NEBULA,
}
# Records that stand for another one, or for nothing in the sky.
_DUPLICATE, _NOTHING = "Dup", "NonEx"
# Frames of an hour show galaxies of this magnitude well; the catalogue has 3,000 objects to there [mag].
PROMINENT = 13.0
# Of stars in an object, and of surveys whose identifiers nobody writes into OBJECT.
_OF_SURVEYS = ("2MAS", "SDSS")
_OF_STARS = ("HIP", "HD ", "BD ", "TYC", "WDS")
_NUMBERED = re.compile(r"([A-Za-z]+) ?(0*)(\d[^+-]*)$")
_ARCMIN = 60.0

_OBJECTS = """
SELECT name, type, ra, dec, majax, bmag, vmag, messier, ngc, ic, identifiers, commonnames FROM objects
"""


@cache
def entries() -> tuple[Entry, ...]:
    """Return all entries; their aliases do not overlap."""
    with closing(sqlite3.connect(f"file:{pyongc.DBPATH}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        rows = list(connection.execute(_OBJECTS))
    duplicates: dict[str, list[str]] = {}
    for row in rows:
        if row["type"] == _DUPLICATE:
            duplicates.setdefault(_referred(row), []).append(_spelt(row["name"]))
    shared = Counter(name for row in rows for name in row["commonnames"].split(",") if name)
    return tuple(_entry(row, duplicates, shared) for row in rows if row["type"] not in (_DUPLICATE, _NOTHING))


def _entry(row: sqlite3.Row, duplicates: dict[str, list[str]], shared: Counter[str]) -> Entry:
    own = _spelt(row["name"])
    name = f"M {int(row['messier'])}" if row["messier"] else own
    others = [own, *_numbers(row), *_identifiers(row)]
    others += [common for common in row["commonnames"].split(",") if shared[common] == 1]
    others += [again for one in dict.fromkeys((name, own)) for again in duplicates.get(one, ())]
    ra, dec = row["ra"], row["dec"]
    return Entry(
        name,
        _KINDS.get(row["type"], OTHER),
        CATALOGUE,
        s_ra=None if ra is None else math.degrees(ra) % 360.0,
        s_dec=None if dec is None else math.degrees(dec),
        size=row["majax"] / _ARCMIN if row["majax"] else None,
        is_prominent=ra is not None and _is_prominent(row),
        aliases=tuple(dict.fromkeys(other for other in others if other != name)),
    )


def _is_prominent(row: sqlite3.Row) -> bool:
    if _KINDS.get(row["type"], STAR) == STAR:
        return False
    magnitudes = [row[band] for band in ("bmag", "vmag") if row[band] is not None]
    return bool(row["messier"] or row["commonnames"] or min(magnitudes, default=math.inf) <= PROMINENT)


def _referred(row: sqlite3.Row) -> str:
    """Return the name of the object that a duplicate stands for."""
    if row["messier"]:
        return f"M {int(row['messier'])}"
    catalogue = "NGC" if row["ngc"] else "IC"
    return _spelt(f"{catalogue}{row['ngc'] or row['ic']}")


def _numbers(row: sqlite3.Row) -> Iterator[str]:
    """Yield the further numbers in NGC and IC that an object has."""
    for catalogue in ("ngc", "ic"):
        yield from (_spelt(f"{catalogue.upper()}{n}") for n in row[catalogue].split(",") if n)


def _identifiers(row: sqlite3.Row) -> Iterator[str]:
    left_out: Any = _OF_SURVEYS if _KINDS.get(row["type"]) == STAR else (*_OF_SURVEYS, *_OF_STARS)
    for identifier in row["identifiers"].split(","):
        if identifier and not identifier.startswith(left_out):
            yield _spelt(identifier)


def _spelt(name: str) -> str:
    """Return a name with a blank before its number, without leading zeros: "NGC0224" is "NGC 224"."""
    match = _NUMBERED.match(name)
    return f"{match[1]} {match[3]}" if match else name
