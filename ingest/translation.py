"""Formats that are not FITS, described by the one mapping that there is: in the keywords that FITS has."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, NoReturn

from astropy.io import fits

from ingest.datafile import DataFile
from ingest.headers import Remark, Unit
from ingest.keywords import MAX_TEXT
from ingest.mapping import Source, describe, title
from ost_vo.store.products import Metadata

Value = bool | int | float | str
_ROOM = (
    67  # characters of a card for value and comment, without what stands between (FITS 4.0, section 4.1.2)
)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file of such a format holds.

    Attributes:
        dataproduct_type, dataproduct_subtype, o_ucd: as ObsCore has them; None for the mapping's own.
        shape: lengths of the axes [pixels], the width first.
        bitpix: as in FITS: bits of a value, negative for floating point.
        frames: of a video; None for unknown, and for all else.
    """

    dataproduct_type: str | None
    dataproduct_subtype: str | None
    o_ucd: str | None
    shape: tuple[int, ...]
    bitpix: int
    frames: int | None = None


def described(
    file: DataFile,
    content: Content,
    cards: Mapping[str, Value | None],
    comments: Mapping[str, str] | None = None,
) -> tuple[Metadata, list[Remark]]:
    """Return the metadata of a file that says in other words what FITS keywords say.

    The calibration level is 0, "raw, in a format of its own" (ObsCore 1.1, section 4.2), and 2 for what the
    keywords say was reduced.

    Args:
        file: the file.
        content: what it holds.
        cards: keywords to values; None and numbers that are not finite are left out.
        comments: keywords to what stands beside their values, such as a unit.

    Returns:
        The metadata, and what is doubtful in the values.
    """
    metadata, remarks = describe(
        Source(file.path, [_unit(content, cards, comments or {})], _refuse, file.observatory)
    )
    metadata = replace(
        metadata,
        dataproduct_type=content.dataproduct_type or metadata.dataproduct_type,
        dataproduct_subtype=content.dataproduct_subtype or metadata.dataproduct_subtype,
        o_ucd=content.o_ucd or metadata.o_ucd,
        t_xel=content.frames,
        calib_level=metadata.calib_level if metadata.calib_level > 1 else 0,
    )
    return replace(metadata, obs_title=title(asdict(metadata))), remarks


def _unit(content: Content, cards: Mapping[str, Value | None], comments: Mapping[str, str]) -> Unit:
    header = fits.Header()
    header["BITPIX"], header["NAXIS"] = content.bitpix, len(content.shape)
    for number, length in enumerate(content.shape, 1):
        header[f"NAXIS{number}"] = length
    for keyword, value in cards.items():
        if value is not None and not (isinstance(value, float) and not math.isfinite(value)):
            known = _ascii(value) if isinstance(value, str) else value
            # astropy warns of comments that have no room.
            room = max(0, _ROOM - max(20, len(str(known)) + 2))
            header[keyword] = (known, _ascii(comments.get(keyword, ""))[:room])
    return Unit(0, "", header, math.prod(content.shape) * abs(content.bitpix) // 8)


def iso(moment: datetime) -> str:
    """Return a time as FITS writes it (FITS 4.0, section 9.1.1)."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def shown(text: str) -> str | None:
    """Return a name as the archive keeps it: with its accents, '?' for control characters; None for none."""
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_TEXT]) or None


def observed_by(metadata: Metadata, observer: str, file: DataFile) -> Metadata:
    """Return the metadata with an observer whose name may have accents, which FITS keywords cannot."""
    name = shown(observer)
    return replace(metadata, header_observer=name, observer=file.observatory.names.observer(name))


def listing(lines: Mapping[str, Any]) -> str:
    """Return what a binary header says as text, one field a line."""
    return "\n".join(f"{name} = {value}" for name, value in lines.items())


def _ascii(text: str) -> str:
    """Return a text as FITS can hold it (FITS 4.0, section 4.2.1): without accents, '?' for the rest."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "?" for c in plain)


def _refuse() -> NoReturn:
    raise OSError("only FITS has them")
