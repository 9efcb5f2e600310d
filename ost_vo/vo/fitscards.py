"""The cards of FITS headers as they are in the file, and the few changes that a cutout makes to them.

Source: FITS 4.0 sections 3 (blocks), 4.2.3 and 4.2.4 (fixed format of numbers), 4.4.1 and 8.2 (keywords).
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence

BLOCK_BYTES = 2880
CARD_BYTES = 80
_NUMBER = re.compile(rb"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?)\s*(/.*)?$")
_FORMAT = re.compile(rb"\s*'\s*\d*([LXBIJKAEDCM])\s*'(.*)")
# Checksums of the whole, which a part does not have.
_CHECKSUMS = frozenset({b"CHECKSUM", b"DATASUM", b"ZHECKSUM", b"ZDATASUM"})
_OF_DATA = re.compile(rb"NAXIS[1-9]\d*$|BSCALE$|BZERO$|BLANK$|GROUPS$|PCOUNT$|GCOUNT$")
# What tells that a header has a WCS, whose reference pixel is the first one's neighbour where it has none.
_WCS = re.compile(rb"(?:CTYPE|CRVAL|CDELT)([1-9])([A-Z]?)$")

Box = Sequence[tuple[int, int]]


def cards_of(text: bytes) -> list[bytes]:
    """Return the cards of a header up to END, 80 bytes each."""
    cards = [text[start : start + CARD_BYTES] for start in range(0, len(text), CARD_BYTES)]
    ends = (number for number, card in enumerate(cards) if card[:8] == b"END     ")
    return [card.ljust(CARD_BYTES) for card in cards[: next(ends, len(cards))]]


class WholeHeader:
    """The header of an image, from which those of any number of its parts are made: it is searched once.

    Args:
        cards: of the whole image.
    """

    def __init__(self, cards: Sequence[bytes]) -> None:
        self._cards = without_checksums(cards)
        self._places: dict[bytes, int] = {}
        self._versions: dict[int, set[str]] = {}
        for number, card in enumerate(self._cards):
            keyword = _keyword(card)
            self._places.setdefault(keyword, number)
            if match := _WCS.match(keyword):
                self._versions.setdefault(int(match[1]), set()).add(match[2].decode())

    def part(self, box: Box) -> list[bytes]:
        """Return the cards of a part of the image.

        Reference pixels move with the first pixel, and so do IRAF's physical coordinates (LTV); all else
        about the WCS, distortions included, refers to the reference pixels and stays.

        Args:
            box: for each axis, NAXIS1 first, the first pixel, counted from 0, and the end (exclusive).
        """
        kept = [*self._cards]
        for number, (start, end) in enumerate(box, 1):
            self._set(kept, f"NAXIS{number}", end - start)
            if start:
                for version in sorted(self._versions.get(number, ())):
                    self._move(kept, f"CRPIX{number}{version}", start, absent=0.0)
                self._move(kept, f"LTV{number}", start, absent=None)
        return kept

    def _move(self, kept: list[bytes], keyword: str, by: int, absent: float | None) -> None:
        """Lower a number; ``absent`` is what it is by default, None for nothing at all."""
        place = self._places.get(keyword.encode())
        value = _number(self._cards[place]) if place is not None else absent
        if value is not None:
            self._set(kept, keyword, value - by)

    def _set(self, kept: list[bytes], keyword: str, value: float) -> None:
        place = self._places.get(keyword.encode())
        card = _card(keyword, value, self._cards[place] if place is not None else None)
        if place is None:
            kept.append(card)
        else:
            kept[place] = card


def without_data(cards: Sequence[bytes]) -> list[bytes]:
    """Return the cards of a primary header whose data are left out."""
    kept = [card for card in cards if _keyword(card) not in _CHECKSUMS and not _OF_DATA.match(_keyword(card))]
    return with_number(kept, "NAXIS", 0)


def history(lines: Sequence[str]) -> list[bytes]:
    """Return HISTORY cards; lines that are too long for a card are wrapped."""
    room = CARD_BYTES - 8
    parts = (part for line in lines for part in ([line] if len(line) <= room else textwrap.wrap(line, room)))
    return [f"HISTORY {part}".encode("ascii", "replace").ljust(CARD_BYTES) for part in parts]


def encoded(cards: Sequence[bytes]) -> bytes:
    """Return a header with its END card and padding."""
    text = b"".join([*cards, b"END"])
    return text + b" " * (-len(text) % BLOCK_BYTES)


def padding(size: int) -> bytes:
    """Return the zeros that follow so many bytes of data."""
    return b"\0" * (-size % BLOCK_BYTES)


def number_of(cards: Sequence[bytes], keyword: str) -> float | None:
    """Return the value of a keyword that has a number, None where there is none."""
    found = _find(cards, keyword)
    return _number(cards[found]) if found is not None else None


def _number(card: bytes) -> float | None:
    match = _NUMBER.match(card[10:])
    return float(match[1].replace(b"D", b"E").replace(b"d", b"e")) if match else None


def _keyword(card: bytes) -> bytes:
    return card[:8].rstrip()


def _find(cards: Sequence[bytes], keyword: str) -> int | None:
    wanted = keyword.encode()
    return next((number for number, card in enumerate(cards) if _keyword(card) == wanted), None)


def without_checksums(cards: Sequence[bytes]) -> list[bytes]:
    """Return cards without the checksums of what has changed."""
    return [card for card in cards if _keyword(card) not in _CHECKSUMS]


def without(cards: Sequence[bytes], keyword: str) -> list[bytes]:
    """Return cards without those of a keyword."""
    return [card for card in cards if _keyword(card) != keyword.encode()]


def with_repeat(cards: list[bytes], keyword: str, count: int) -> list[bytes]:
    """Return cards where a column's format (TFORMn) has another repeat count (FITS 4.0, section 7.3.1)."""
    found = _find(cards, keyword)
    match = _FORMAT.match(cards[found][10:]) if found is not None else None
    if found is None or match is None:
        return cards
    card = f"{keyword:8}= '{f'{count}{match[1].decode()}':8}'".encode() + match[2].rstrip()
    return [*cards[:found], card[:CARD_BYTES].ljust(CARD_BYTES), *cards[found + 1 :]]


def with_number(cards: list[bytes], keyword: str, value: float) -> list[bytes]:
    """Return cards in which a keyword has a number; its comment stays, and it comes last where it was not."""
    found = _find(cards, keyword)
    if found is None:
        return [*cards, _card(keyword, value, None)]
    return [*cards[:found], _card(keyword, value, cards[found]), *cards[found + 1 :]]


def _card(keyword: str, value: float, before: bytes | None) -> bytes:
    """Return the card of a number, with the comment of the one that it takes the place of."""
    match = _NUMBER.match(before[10:]) if before is not None else None
    comment = b" " + match[2].rstrip() if match and match[2] else b""
    text = str(value) if isinstance(value, int) or not math.isfinite(value) else repr(value).upper()
    return (f"{keyword:8}= {text:>20}".encode() + comment)[:CARD_BYTES].ljust(CARD_BYTES)
