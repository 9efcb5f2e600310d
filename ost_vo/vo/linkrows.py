"""The rows of a DataLink document, written fast: a request for a thousand data sets has tens of thousands.

Source: DataLink 1.1 section 3.2 (columns); VOTable 1.4 section 6 (TABLEDATA).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ost_vo.vo.columns import Column

COLUMNS = (
    Column("ID", "char", "*", ucd="meta.id;meta.main", description="Identifier that was asked for"),
    Column("access_url", "char", "*", ucd="meta.ref.url", description="Link to the data"),
    Column("service_def", "char", "*", ucd="meta.ref", description="Service that works on the data"),
    Column("error_message", "char", "*", ucd="meta.code.error", description="Why there is no link"),
    Column("description", "unicodeChar", "*", ucd="meta.note", description="What the link leads to"),
    Column("semantics", "char", "*", ucd="meta.code", description="What the link is to the data set"),
    Column("content_type", "char", "*", ucd="meta.code.mime", description="Media type of the content"),
    Column(
        "content_length", "long", ucd="phys.size;meta.file", unit="byte", description="Size of the content"
    ),
    Column("content_qualifier", "char", "*", description="Kind of data product"),
    Column(
        "local_semantics",
        "char",
        "*",
        ucd="meta.id.assoc",
        description="Same kind of link in other data sets",
    ),
    Column("link_auth", "char", "*", ucd="meta.code", description="Whether the link needs a login"),
    Column("link_authorized", "boolean", ucd="meta.code", description="Whether the caller may use the link"),
)

# All that XML 1.0 section 2.2 does not count as a character.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNICODE = tuple(column.datatype == "unicodeChar" for column in COLUMNS)
_BETWEEN = "</TD><TD>"
# Cells before those that are alike in many rows: the link and its description.
_OWN = 4


def rows(identifier: str, rest: Iterable[str]) -> str:
    """Return the rows of an identifier; each has its cell, and the others as :func:`cells` makes them."""
    begin, end = f"<TR><TD>{_cell(identifier, is_unicode=False)}{_BETWEEN}", "</TD></TR>\n"
    return "".join([f"{begin}{cells}{end}" for cells in rest])


def cells(values: Sequence[object]) -> str:
    """Return the cells after the first one, with what is between them.

    Args:
        values: texts, numbers, truth values, or None for null, of all columns but ID.
    """
    own, common = values[:_OWN], tuple(values[_OWN:])
    return _BETWEEN.join([*map(_cell, own, _UNICODE[1:]), _common(common)])


@lru_cache(maxsize=4096)
def _common(values: tuple[object, ...]) -> str:
    return _BETWEEN.join(map(_cell, values, _UNICODE[1 + _OWN :]))


def _cell(value: object, is_unicode: bool) -> str:
    if value is None:
        return ""
    if value.__class__ is not str:
        return str(value).lower()
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        text = _ILLEGAL.sub("\ufffd", text)
        text = text if is_unicode else text.encode("ascii", "replace").decode()
    if "&" in text or "<" in text or ">" in text or "\r" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return text
