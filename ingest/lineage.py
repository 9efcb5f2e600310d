"""What a file says it was made from: references to other files, by the habits of the programs that wrote it.

| program | where |
|---|---|
| IRAF imcombine and its like | IMCMB001, IMCMB002, ... |
| IRAF ccdproc | ZEROCOR, DARKCOR, FLATCOR, ...: "Zero level correction image is bias.fits with scale=..." |
| ESO pipelines | ESO PRO REC1 RAW1 NAME, ESO PRO REC1 CAL1 NAME, ... |
| THELI | ORIGIN of a frame that it split a raw one into: the name of that, where others name an institution |
| others | BIASFILE, DARKFILE, FLATFILE, PROGEN01, ... |
| PixInsight, AstroImageJ, Siril and others | HISTORY lines that say of files that they were used |

Headers are hostile: what is taken from one is bounded in number and length, and only ever compared.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ingest import formats
from ingest.headers import CARD_BYTES, Remark, Unit
from ost_vo.vo.wcscards import text_of

MAX_REFERENCES = 2000
MAX_REFERENCE_CHARACTERS = 255
_MUCH_TOO_LONG = 2 * MAX_REFERENCE_CHARACTERS
_MAX_HISTORY_CHARACTERS = 1 << 18
_MAX_TOKENS = 10_000  # of HISTORY that are looked at
_HISTORY_BYTES = 72
_FULL_VALUE = 68  # characters that fit into a card (FITS 4.0, section 4.2.1.1)

_NAMES = re.compile(
    r"(IMCMB\d{3}|PROGEN?\d{1,4}|PROG\d{4}|INFILE\d{0,2}|INPUT\d{1,3}|RAWFILE"
    r"|(MASTER|S)?(BIAS|DARK|FLAT|ZERO)(FILE|FIL|IM|IMG)|MBIAS|MDARK|MFLAT"
    r"|ESO PRO REC\d{1,3} (RAW|CAL)\d{1,4} NAME)$"
)
# An institution (FITS 4.0, section 4.4.2.1), unless it is the name of a data file.
_ORIGIN = "ORIGIN"
_STEPS = re.compile(r"(ZERO|DARK|FLAT|ILLUM|FRINGE|SKY|BIAS|ZER|DRK|FLT|ILL|FRG)COR$")
_STEP = re.compile(r"\b(?:image|file|frame) is (\S+)", re.IGNORECASE)
# What a line of HISTORY says of files that went into this one, and of those that did not.
_USED = re.compile(
    r"\b(from|with|using|by|of|inputs?|files?|frames?|images?|lights?|bias|darks?|flats?|offset|subtract\w*"
    r"|divid\w*|calibrat\w*|combin\w*|stack\w*|integrat\w*|averag\w*|median|mean|sum\w*|added)\b"
    r"|master|fileName",
    re.IGNORECASE,
)
_NOT_USED = re.compile(
    r"\b(sav(ed|ing)|written|writing|wrote|output|outfile|renamed|creat(ed|ing) file|index|catalog\w*|wcs"
    r"|solved|xyls|axy|log ?file|script|mask)\b|index-",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"\.[A-Za-z]")
# A name may have blanks only where quotation marks hold it together.
_TOKENS = re.compile(r"\"([^\"]{1,300})\"|'([^']{1,300})'|([^\s\"',;()=|]{1,300})")
# As in "masterDark.fileName:D:/dark.xisf"; one letter is a drive.
_LABEL = re.compile(r"[A-Za-z_][\w.]+:(?!//)")
_NOTHING = ("none", "n/a", "na", "null", "no", "yes", "unknown", "undefined", "not found", "t", "f", "-")


def of_units(units: Sequence[Unit]) -> Iterator[str]:
    """Yield what the header units of a FITS file name."""
    history: list[str] = []
    for unit in units:
        yield from _of_unit(unit, history)
        history.append("")
    yield from of_history(history)


def placed(reference: str, path: str, root: str) -> str:
    """Return a reference relative to the data root where it is an absolute path below that, or has '..'.

    Args:
        reference: as a file has it.
        path: of that file, relative to the data root.
        root: the data root, with a slash at its end.
    """
    if reference.startswith(root):
        return posixpath.normpath(reference[len(root) :])
    if ".." not in reference.split("/"):
        return reference.removeprefix("./")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(path), reference))
    return posixpath.basename(path) if path.startswith("..") else path


def chosen(references: Iterable[str]) -> tuple[list[str], list[Remark]]:
    """Return references as they are kept: bounded, each once, and a remark where some are left out."""
    found: dict[str, None] = {}
    too_long = 0
    for reference in references:
        if len(reference) > MAX_REFERENCE_CHARACTERS:
            too_long += 1
        elif len(found) < MAX_REFERENCES:
            found[reference] = None
        elif reference not in found:
            reason = f"More than {MAX_REFERENCES} progenitors: the rest is left out."
            return list(found), [Remark("LINEAGE", reason)]
    if not too_long:
        return list(found), []
    reason = f"{too_long} names of progenitors above {MAX_REFERENCE_CHARACTERS} characters: left out."
    return list(found), [Remark("LINEAGE", reason)]


def of_keyword(keyword: str, value: str) -> list[str]:
    """Return what a keyword names, nothing for one that does not name files."""
    if _NAMES.match(keyword):
        found = cleaned(value)
        return [found] if found else []
    if keyword == _ORIGIN:
        found = cleaned(value)
        return [found] if found and formats.is_data(found) else []
    if _STEPS.match(keyword) and (match := _STEP.search(value)):
        found = cleaned(match[1].rstrip(".,;"))
        # IRAF cuts what does not fit into the card, which then names another file or none.
        is_cut = len(value) >= _FULL_VALUE and not (found and formats.is_data(found))
        return [found] if found and not is_cut else []
    return []


def of_history(lines: Iterable[str]) -> Iterator[str]:
    """Yield what lines of HISTORY name; a line may go on in the next."""
    left = _MAX_TOKENS
    for statement in _statements(lines):
        # The cheapest first: most lines name no file at all.
        if _SUFFIX.search(statement) and _USED.search(statement) and not _NOT_USED.search(statement):
            for token in islice(_TOKENS.finditer(statement), left):
                left -= 1
                text = token[1] or token[2] or _LABEL.sub("", token[3], count=1)
                found = cleaned(text.rstrip(".,:"))
                if found and formats.is_data(found):
                    yield found


def cleaned(text: str) -> str | None:
    """Return a reference without quotation marks, image sections and backslashes; None where it is none.

    What is much too long for one is returned as it is, for `chosen` to leave out.
    """
    if len(text) > _MUCH_TOO_LONG:
        return text
    name = text.strip().strip("'\"").removeprefix("file://").replace("\\", "/")
    while name.endswith("]") and "[" in name:
        name = name[: name.rindex("[")].rstrip()
    last = name.rsplit("/", 1)[-1]
    if not any(c.isalnum() for c in last) or not name.isprintable() or name.lower() in _NOTHING:
        return None
    return name


def _of_unit(unit: Unit, history: list[str]) -> Iterator[str]:
    """Yield what the keywords of a unit name, and note its HISTORY."""
    seen: set[str] = set()
    for start in range(0, len(unit.cards), CARD_BYTES):
        card = unit.cards[start : start + CARD_BYTES]
        keyword = card[:8].rstrip()
        if keyword == "HISTORY":
            history.append(card[8:])
            continue
        if keyword == "HIERARCH":
            keyword = card[9:].split("=", 1)[0].strip()
        names_files = keyword == _ORIGIN or _NAMES.match(keyword) or _STEPS.match(keyword)
        if names_files and keyword not in seen:
            seen.add(keyword)
            yield from of_keyword(keyword, text_of(unit.header, keyword))


def _statements(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines, joined where one fills its card to the last column; nothing after a great many."""
    left = _MAX_HISTORY_CHARACTERS
    parts: list[str] = []
    for line in lines:
        parts.append(line.rstrip())
        left -= len(line)
        if left < 0:
            break
        if len(parts[-1]) < _HISTORY_BYTES:
            yield "".join(parts)
            parts = []
    yield "".join(parts)
