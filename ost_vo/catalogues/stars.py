"""Bright stars, variable stars, and stars with names of their own.

The table `stars.tsv` has stars of Hipparcos (ESA 1997): those of magnitude 7 and brighter, those with a
designation by Bayer, Flamsteed or the General Catalogue of Variable Stars, and those with a name. Its
columns: HIP; numbers in the catalogue of Henry Draper and in the Bright Star Catalogue; ICRS right ascension
and declination of the epoch J2000 [deg]; V [mag]; designations; names, of the IAU first. A ";" sets several
apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ost_vo.catalogues.entries import STAR, Entry
from ost_vo.catalogues.names import key

CATALOGUE = "bright stars"
# A star with a name, that bright, is what a frame without a target was pointed at [mag].
_PROMINENT = 3.5
_TABLE = Path(__file__).parent / "stars.tsv"
_COLUMNS = 8


@dataclass(frozen=True, slots=True)
class _Table:
    """The lines of the table, split into columns, and which of them a key means."""

    lines: list[list[str]]
    by_key: dict[str, int]


def named(wanted: str) -> Entry | None:
    """Return the star of a key, as `names.key` makes it; None where there is none.

    A letter without its number, as of "alf Cen", is of the brightest star that has the letter.
    """
    number = _table().by_key.get(wanted)
    return None if number is None else _entry(number)


@cache
def prominent() -> tuple[Entry, ...]:
    """Return the stars that have a name and are well seen without a telescope."""
    lines = enumerate(_table().lines)
    return tuple(_entry(n) for n, line in lines if line[7] and float(line[5]) <= _PROMINENT)


@cache
def _table() -> _Table:
    text = _TABLE.read_text(encoding="utf-8")
    lines = [(line + "\t\t").split("\t")[:_COLUMNS] for line in text.splitlines()]
    by_key: dict[str, int] = {}
    letters: dict[str, tuple[float, int]] = {}
    for number, (hip, hds, hrs, _, _, magnitude, designations, names) in enumerate(lines):
        by_key[f"hip{hip}"] = number
        for catalogue, numbers in (("hd", hds), ("hr", hrs)):
            for one in numbers.split(";") if numbers else ():
                by_key[catalogue + one] = number
        for designation in designations.split(";") if designations else ():
            # As `key` would make it, in a tenth of the time.
            by_key[designation.replace(" ", "").lower()] = number
            if (letter := _without_number(designation)) is not None:
                this = (float(magnitude), number)
                letters[letter] = min(letters.get(letter, this), this)
        for name in names.split(";") if names else ():
            by_key[key(name)] = number
    for letter, (_, number) in letters.items():
        by_key.setdefault(key(letter), number)
    return _Table(lines, by_key)


def _without_number(designation: str) -> str | None:
    """Return "alf Cen" of "alf1 Cen"; None of what has no such number."""
    letter, _, constellation = designation.partition(" ")
    is_numbered = letter[0].islower() and letter[-1].isdecimal()
    return f"{letter[:-1]} {constellation}" if is_numbered else None


@cache
def _entry(number: int) -> Entry:
    hip, hds, hrs, ra, dec, magnitude, designations, names = _table().lines[number]
    called = [*_split(names), *_split(designations)]
    called += [
        letter
        for designation in _split(designations)
        if (letter := _without_number(designation)) and _table().by_key[key(letter)] == number
    ]
    called += [f"HD {one}" for one in _split(hds)] + [f"HIP {hip}"] + [f"HR {one}" for one in _split(hrs)]
    name, *aliases = dict.fromkeys(called)
    return Entry(
        name,
        STAR,
        CATALOGUE,
        s_ra=float(ra),
        s_dec=float(dec),
        is_prominent=bool(names) and float(magnitude) <= _PROMINENT,
        aliases=tuple(aliases),
    )


def _split(values: str) -> list[str]:
    return values.split(";") if values else []
