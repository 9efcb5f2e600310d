"""Giving the names of a changed table to what is in the archive already, from the words of the headers."""

from __future__ import annotations

from ingest import names
from ost_vo.settings import Settings
from ost_vo.store import renaming
from ost_vo.store.ingesting import open_connection, transaction
from ost_vo.store.renaming import NamedBand


def remap(settings: Settings) -> dict[str, int]:
    """Give every product the names that the table has now, all or none; no file is read.

    Bands follow the filters. A camera that was told by its frames stays, and so does the rest of a product.

    Returns:
        How many products got another telescope, observer, instrument and filter.

    Raises:
        UsageFault: the table of names cannot be used; nothing was done.
        TransientFault: the database does not answer.
    """
    table = names.read(settings.names)
    by_kind = {"telescope": table.telescope, "observer": table.observer, "instrument": table.instrument}
    changed = dict.fromkeys((*by_kind, "filter"), 0)
    with open_connection(settings) as connection, transaction(connection) as cursor:
        for kind, named in by_kind.items():
            for header in renaming.headers(cursor, kind):
                if name := named(header):
                    changed[kind] += renaming.rename(cursor, kind, header, name)
        for header in renaming.headers(cursor, "filter"):
            band = table.filters.band(header)
            found = NamedBand(band.name, band.em_min, band.em_max, band.remark)
            changed["filter"] += renaming.rename_filter(cursor, header, found)
    return changed
