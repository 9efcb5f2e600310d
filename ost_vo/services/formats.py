"""The formats that results come in, by the names that RESPONSEFORMAT may have.

Source: DALI 1.1 section 3.4.3 (RESPONSEFORMAT); TAP 1.1 section 2.7.3; VOTable 1.4 section 8 (media types).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ost_vo.faults import UsageFault
from ost_vo.vo.binary import Binary
from ost_vo.vo.binary2 import Binary2, is_disputed
from ost_vo.vo.columns import Column
from ost_vo.vo.delimited import Csv, Tsv
from ost_vo.vo.encoder import Encoder
from ost_vo.vo.hypertext import HyperText
from ost_vo.vo.plaintext import PlainText
from ost_vo.vo.rowjson import RowJson
from ost_vo.vo.tabledata import TableData
from ost_vo.vo.votable import CONTENT_TYPE, Envelope, ServiceDescriptor


@dataclass(frozen=True, slots=True)
class Format:
    """A format of results.

    Attributes:
        media_type: what it is called where a client asks by a short name.
        aliases: short names.
        make: makes an encoder, from the arguments of :class:`ost_vo.vo.encoder.Encoder`.
        ivo_id: identifier of the serialisation in TAPRegExt, if it has one.
        equals: further media types that mean the same and come back as they were asked for.
    """

    media_type: str
    aliases: tuple[str, ...]
    make: Callable[..., Encoder]
    ivo_id: str | None = None
    equals: tuple[str, ...] = ()

    def encoder(
        self, limit: int | None, envelope: Envelope, resources_after: tuple[ServiceDescriptor, ...]
    ) -> Encoder:
        """Return an encoder for one result, of at most so many rows, and with what a VOTable says besides."""
        return self.make(limit, resources_after=resources_after, **envelope)


def _fits(limit: int | None, **arguments: Any) -> Encoder:
    from ost_vo.vo.fitstable import FitsTable  # astropy takes a while to import

    return FitsTable(limit, **arguments)


def _parquet(limit: int | None, **arguments: Any) -> Encoder:
    from ost_vo.vo.parquet import Parquet  # Arrow takes a while to import

    return Parquet(limit, **arguments)


FORMATS = (
    Format(CONTENT_TYPE, ("votable",), Binary2, equals=("text/xml", "application/xml")),
    Format(
        f"{CONTENT_TYPE};serialization=TABLEDATA",
        ("votable/td",),
        TableData,
        "ivo://ivoa.net/std/TAPRegExt#output-votable-td",
    ),
    Format(
        f"{CONTENT_TYPE};serialization=BINARY2",
        ("votable/b2",),
        Binary2,
        "ivo://ivoa.net/std/TAPRegExt#output-votable-binary2",
    ),
    Format(
        f"{CONTENT_TYPE};serialization=BINARY",
        ("votable/b",),
        Binary,
        "ivo://ivoa.net/std/TAPRegExt#output-votable-binary",
    ),
    Format("text/csv;header=present", ("csv",), Csv, equals=("text/csv",)),
    Format("text/tab-separated-values", ("tsv",), Tsv),
    Format("application/fits", ("fits",), _fits, equals=("image/fits",)),
    Format(
        "application/vnd.apache.parquet",
        ("parquet",),
        _parquet,
        equals=("application/parquet", "application/x-parquet"),
    ),
    Format("application/json", ("json",), RowJson),
    # Browsers guess at the encoding of text without a charset.
    Format("text/plain;charset=UTF-8", ("text", "txt"), PlainText, equals=("text/plain",)),
    Format("text/html;charset=UTF-8", ("html",), HyperText, equals=("text/html",)),
)


def choose(wanted: str | None, formats: tuple[Format, ...] = FORMATS) -> tuple[Format, str]:
    """Return a format and the Content-Type to answer with.

    Args:
        wanted: the value of RESPONSEFORMAT; None for the default, VOTable.
        formats: those to choose from.

    Raises:
        UsageFault: there is no such format.
    """
    if wanted is None:
        return formats[0], formats[0].media_type
    name = _plain(wanted)
    for item in formats:
        if name in item.aliases:
            return item, item.media_type
        if name in map(_plain, (item.media_type, *item.equals)):
            return item, "".join(wanted.split())
    known = ", ".join(alias for item in formats for alias in item.aliases)
    raise UsageFault(f"There is no format {wanted!r}.", f"Formats: {known}, or their media types.")


def settled(form: Format, columns: Iterable[Column]) -> Format:
    """Return the format for a result: a VOTable of no certain serialisation has one that readers agree on."""
    is_open = form is FORMATS[0] and any(map(is_disputed, columns))
    return FORMATS[1] if is_open else form


def _plain(name: str) -> str:
    """Compare media types without regard to case, blanks and quotes (RFC 9110 section 8.3.1)."""
    return "".join(name.split()).replace('"', "").lower()
