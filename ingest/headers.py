"""The header units of a FITS file: their cards, and where their data end (FITS 4.0, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from ingest.stream import Stream, Unreadable
from ost_vo.vo.wcscards import has_celestial_wcs, text_of, value_of

BLOCK_BYTES = 2880
CARD_BYTES = 80
MAX_UNIT_BYTES = 2 << 20  # of one header: 26,000 cards
MAX_HEADER_BYTES = 8 << 20  # of all units together: astropy needs a second for so many cards
MAX_UNITS = 1000
MAX_STORED_CHARACTERS = 1 << 20  # header text that the archive keeps of one product
_LONG_BYTES = 10 * BLOCK_BYTES  # of a header that is parsed only when it is needed
# Of the same keyword; tables of distortions have some dozens of cards of one name.
_MOST_ALIKE = 200
_COMMENTS = (b"HISTORY ", b"COMMENT ", b" " * 8)  # FITS 4.0, section 4.4.2.4
_MOST_AXES = 999  # FITS 4.0, section 4.4.1.1
_BITPIX = (8, 16, 32, 64, -32, -64)
# FITS 4.0, section 3.2: header bytes are ASCII 32 to 126. One byte stays one character, so cards keep
# their columns.
_PRINTABLE = bytes(code if 32 <= code <= 126 else ord("?") for code in range(256))


class Remark(NamedTuple):
    """Something in a file that is doubtful: the keyword that says it, and what is wrong with it."""

    keyword: str
    reason: str


@dataclass(frozen=True, eq=False)
class Unit:
    """One header and data unit.

    Attributes:
        index: its number, the primary one is 0.
        cards: the header's characters, 80 a card, up to and without END.
        parsed: the header, where it need not be parsed any more.
        data_bytes: size of its data, without padding.
    """

    index: int
    cards: str
    parsed: fits.Header | None
    data_bytes: int

    @cached_property
    def header(self) -> fits.Header:
        """The header without comments and history; that of the image which a tile-compressed one holds.

        Raises:
            Unreadable: the axes of a tile-compressed image make no sense.
        """
        if self.parsed is not None:
            return self.parsed
        header = fits.Header.fromstring(_with_values(self.cards))
        return _of_image(header) if _is_compressed_image(header) else header

    @cached_property
    def is_table(self) -> bool:
        """Whether the data are a table (and not a tile-compressed image in one)."""
        is_table = text_of(self.header, "XTENSION") in ("BINTABLE", "TABLE", "A3DTABLE")
        return is_table and value_of(self.header, "ZIMAGE") is not True

    @cached_property
    def has_celestial_wcs(self) -> bool:
        """Whether the header has a world coordinate system for the sky."""
        return has_celestial_wcs(self.header)

    @cached_property
    def is_groups(self) -> bool:
        """Whether the data are random groups (FITS 4.0, section 6)."""
        return self.index == 0 and _is_groups(self.header)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes in pixels, NAXIS1 first; empty where the unit has no pixels."""
        if self.is_table or self.is_groups or not self.data_bytes:
            return ()
        return tuple(self.header[f"NAXIS{n}"] for n in range(1, self.header["NAXIS"] + 1))

    @property
    def text(self) -> str:
        """The cards, one a line."""
        starts = range(0, len(self.cards), CARD_BYTES)
        return "\n".join(self.cards[start : start + CARD_BYTES].rstrip() for start in starts)


def read_units(stream: Stream, size: int) -> tuple[list[Unit], list[Remark]]:
    """Read all header units of a FITS file, passing over the data.

    Args:
        stream: the file, at its start.
        size: bytes of the file on disk.

    Returns:
        The units in order, at least one, and what is doubtful about the file's structure.

    Raises:
        Unreadable: not FITS, damaged, or truncated.
    """
    units: list[Unit] = []
    remarks: list[Remark] = []
    left = MAX_HEADER_BYTES
    while (raw := _read_header(stream, len(units), remarks, left)) is not None:
        left -= -(-len(raw) // BLOCK_BYTES) * BLOCK_BYTES
        unit = _unit(len(units), raw, stream, size, remarks)
        _pass_over_data(stream, unit, remarks)
        units.append(unit)
        if len(units) == MAX_UNITS:
            remarks.append(Remark("XTENSION", f"More than {MAX_UNITS} header units: the rest is not read."))
            break
    return units, remarks


def stored_texts(units: list[Unit]) -> tuple[list[tuple[int, str]], list[Remark]]:
    """Return (number of the unit, its cards one a line) as the archive keeps them, and a remark where cut."""
    texts: list[tuple[int, str]] = []
    left = MAX_STORED_CHARACTERS
    for unit in units:
        if left <= 0:
            break
        texts.append((unit.index, unit.text[:left]))
        left -= len(unit.text)
    if left >= 0:
        return texts, []
    return texts, [
        Remark("END", f"Only the first {MAX_STORED_CHARACTERS} characters of the headers are kept.")
    ]


def _read_header(stream: Stream, index: int, remarks: list[Remark], most: int) -> bytes | None:
    """Return the bytes of the next header up to END, or None where no further unit begins."""
    blocks: list[bytes] = []
    while True:
        block = stream.read(BLOCK_BYTES)
        if not blocks and not _begins_unit(block, index, remarks):
            return None
        if len(block) < BLOCK_BYTES and _end_of(block) is None:
            raise Unreadable(f"Truncated: the header of HDU {index} ends before its END card.")
        blocks.append(block)
        if len(blocks) * BLOCK_BYTES > MAX_UNIT_BYTES:
            raise Unreadable(f"The header of HDU {index} has no END card within {MAX_UNIT_BYTES >> 20} MiB.")
        if len(blocks) * BLOCK_BYTES > most:
            raise Unreadable(
                f"The header of HDU {index} has no END card within {MAX_HEADER_BYTES >> 20} MiB of headers."
            )
        if (end := _end_of(block)) is not None:
            blocks[-1] = block[:end]
            return b"".join(blocks)


def _begins_unit(block: bytes, index: int, remarks: list[Remark]) -> bool:
    if index == 0:
        if not block:
            raise Unreadable("The file is empty.")
        if not block.startswith(b"SIMPLE  ="):
            raise Unreadable("Not a FITS file: it does not begin with the keyword SIMPLE.")
        return True
    if block.startswith(b"XTENSION="):
        return True
    if block.strip(b"\0 "):
        remarks.append(Remark("XTENSION", f"Bytes that are no FITS extension follow HDU {index - 1}."))
    return False


def _end_of(block: bytes) -> int | None:
    """Return where in a block the END card begins, or None."""
    if b"END" not in block:
        return None
    for start in range(0, len(block) - 2, CARD_BYTES):
        card = block[start : start + CARD_BYTES]
        if card.startswith(b"END") and not card[3:].strip(b" \0"):
            return start
    return None


def _unit(index: int, raw: bytes, stream: Stream, size: int, remarks: list[Remark]) -> Unit:
    cards = raw.translate(_PRINTABLE)
    if raw != cards:
        reason = f"The header of HDU {index} has bytes that FITS does not allow, kept as '?'."
        remarks.append(Remark("XTENSION" if index else "SIMPLE", reason))
    text = cards.decode("ascii")
    unit = _long_unit(index, text) if len(text) > _LONG_BYTES else None
    if unit is None:
        header = fits.Header.fromstring(_with_values(text))
        image = _of_image(header) if _is_compressed_image(header) else header
        unit = Unit(index, text, image, _data_bytes(header, index))
    if not stream.is_packed and unit.data_bytes > size:
        raise Unreadable(_truncated(unit, f"the whole file has {size}"))
    return unit


def _long_unit(index: int, text: str) -> Unit | None:
    """Return a unit whose header is not parsed yet, as astropy takes its time over many cards.

    How much data there are stands at the beginning (FITS 4.0, section 4.4.1): a bad file is read no further.
    None where that is not all, as for random groups, which say what they are further on.

    Raises:
        Unreadable: the beginning is none of a header.
    """
    beginning = fits.Header.fromstring(text[:BLOCK_BYTES])
    if index == 0 and value_of(beginning, "NAXIS1") == 0:
        return None
    axes = value_of(beginning, "NAXIS")
    count = min(axes, _MOST_AXES) if isinstance(axes, int) else 0
    needed = ["BITPIX", "NAXIS", *(f"NAXIS{n}" for n in range(1, count + 1))]
    if index:
        needed += ["PCOUNT", "GCOUNT"]
    is_whole = "BITPIX" not in beginning or all(keyword in beginning for keyword in needed)
    return Unit(index, text, None, _data_bytes(beginning, index)) if is_whole else None


def _with_values(cards: str) -> str:
    """Return the cards without comments: stacks have thousands of lines of history, read elsewhere."""
    rows = np.frombuffer(cards.ljust(-(-len(cards) // CARD_BYTES) * CARD_BYTES).encode("ascii"), "u1")
    rows = rows.reshape(-1, CARD_BYTES)
    keywords = np.ascontiguousarray(rows[:, :8]).view("S8").ravel()
    wanted = ~np.isin(keywords, _COMMENTS)
    if len(cards) > _LONG_BYTES:
        wanted &= _counts(rows, keywords)
    return rows[wanted].tobytes().decode("ascii")


def _counts(rows: np.ndarray, keywords: np.ndarray) -> np.ndarray:
    """Return which cards of a long header count: those with a value, and of each keyword the first ones.

    A card without a value is a comment by any name (FITS 4.0, section 4.1.2.2). Cards that continue another
    go with it.
    """
    indicators = np.ascontiguousarray(rows[:, 8:10]).view("S2").ravel()
    continues, any_number = keywords == b"CONTINUE", keywords == b"HIERARCH"
    order = np.argsort(keywords, kind="stable")
    ordered = keywords[order]
    first = np.searchsorted(ordered, ordered)
    occurrence = np.empty(len(keywords), np.intp)
    occurrence[order] = np.arange(len(keywords)) - first
    counts = any_number | ((indicators == b"= ") & (occurrence < _MOST_ALIKE))
    begins = np.maximum.accumulate(np.where(continues, 0, np.arange(len(keywords))))
    counted: np.ndarray = counts[begins]
    return counted


def _data_bytes(header: fits.Header, index: int) -> int:
    """Return the size of a unit's data without padding (FITS 4.0, sections 4.4.1 and 6.1.1)."""
    if _integer(header, "BITPIX", index, None) not in _BITPIX:
        raise Unreadable(f"BITPIX of HDU {index} is {header['BITPIX']}, which FITS does not have.")
    axes = [
        _integer(header, f"NAXIS{n}", index, None)
        for n in range(1, _integer(header, "NAXIS", index, None) + 1)
    ]
    if not axes:
        return 0
    if _is_groups(header):
        axes = axes[1:]
    groups = _integer(header, "GCOUNT", index, 1)
    return abs(header["BITPIX"]) // 8 * groups * (_integer(header, "PCOUNT", index, 0) + prod(axes))


def _integer(header: fits.Header, keyword: str, index: int, default: int | None) -> int:
    try:
        value = header.get(keyword, default)
    except (fits.VerifyError, ValueError) as error:
        raise Unreadable(f"{keyword} of HDU {index} cannot be read.") from error
    if isinstance(value, bool) or not isinstance(value, int):
        what = "is missing" if value is None else f"is {str(value)!r}, not an integer"
        raise Unreadable(f"{keyword} of HDU {index} {what}.")
    if (value < 0 and keyword != "BITPIX") or abs(value) >= 1 << 62:
        raise Unreadable(f"{keyword} of HDU {index} is {value}, out of range.")
    return value


def _pass_over_data(stream: Stream, unit: Unit, remarks: list[Remark]) -> None:
    passed = stream.skip(unit.data_bytes)
    if passed < unit.data_bytes:
        raise Unreadable(_truncated(unit, f"only {passed} are there"))
    padding = -unit.data_bytes % BLOCK_BYTES
    if stream.skip(padding) < padding:
        remarks.append(
            Remark("NAXIS", f"The data of HDU {unit.index} lack their padding to {BLOCK_BYTES} bytes.")
        )


def _truncated(unit: Unit, found: str) -> str:
    return f"Truncated: the data of HDU {unit.index} need {unit.data_bytes} bytes, {found}."


def _is_compressed_image(header: fits.Header) -> bool:
    return value_of(header, "ZIMAGE") is True and isinstance(value_of(header, "ZNAXIS"), int)


def _is_groups(header: fits.Header) -> bool:
    return value_of(header, "GROUPS") is True and value_of(header, "NAXIS1") == 0


def _of_image(header: fits.Header) -> fits.Header:
    """Return the header of the image in a tile-compressed table (FITS 4.0, section 10.1)."""
    image = header.copy()
    for n in range(1, header["ZNAXIS"] + 1):
        image[f"NAXIS{n}"] = _integer(header, f"ZNAXIS{n}", 0, None)
    image["NAXIS"] = header["ZNAXIS"]
    if isinstance(value_of(header, "ZBITPIX"), int):
        image["BITPIX"] = header["ZBITPIX"]
    return image
