"""The header of a data product by itself, as text or JSON (DataLink's #detached-header)."""

from __future__ import annotations

import json

from astropy.io.fits import Card
from astropy.io.fits.verify import VerifyError

from ost_vo.access.context import Context
from ost_vo.faults import UsageFault
from ost_vo.services import datalink
from ost_vo.services.archive import Archive
from ost_vo.store import relations

TEXT, JSON = datalink.HEADER_TYPES
_FORMATS = {"text": TEXT, TEXT: TEXT, "json": JSON, JSON: JSON}

Value = str | int | float | bool | None


def header(archive: Archive, identifier: str, context: Context, wanted: str | None) -> tuple[str, str]:
    """Return the header of a data product, and its media type.

    As text: the cards as the file has them, one a line, each header unit under a line that begins with #. As
    JSON: a list of {"hdu", "cards": [{"keyword", "value", "comment"}]}; a card that is not FITS has its text
    as comment.

    Raises:
        NotFoundFault: there is no such product, or the caller may not see it.
        UsageFault: there is no such format.
        TransientFault: out of time or connections.
    """
    media_type = _FORMATS.get((wanted or TEXT).strip().lower())
    if media_type is None:
        raise UsageFault(f"There is no format {wanted!r} of headers.", "Give text or json.")
    found = datalink.product(archive, identifier, context)
    settings = archive.transaction_settings(context)
    with archive.database.connection() as connection:
        units = relations.headers(connection, settings, found.identifier)
    if media_type == TEXT:
        return "".join(f"# {found.path}, header unit {hdu}\n{text}\n" for hdu, text in units), media_type
    document = [{"hdu": hdu, "cards": [_card(line) for line in text.splitlines()]} for hdu, text in units]
    return json.dumps(document, ensure_ascii=False, allow_nan=False), media_type


def _card(line: str) -> dict[str, Value]:
    try:
        card = Card.fromstring(line)
        return {"keyword": card.keyword, "value": _value(card.value), "comment": card.comment}
    except (VerifyError, ValueError):
        return {"keyword": line[:8].rstrip(), "value": None, "comment": line[8:].strip()}


def _value(value: object) -> Value:
    if isinstance(value, bool | int | float | str):
        return value
    # A complex number, or none at all: FITS 4.0 section 4.2.5.
    return None if value is None or value.__class__.__name__ == "Undefined" else str(value)
