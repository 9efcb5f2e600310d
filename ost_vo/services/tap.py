"""TAP: from the parameters of a request to the result of its query.

Source: TAP 1.1 section 2; DALI 1.1 section 3.4.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from ost_vo.access.context import Context
from ost_vo.faults import UsageFault
from ost_vo.services import descriptors, formats, uploads
from ost_vo.services.archive import Archive
from ost_vo.services.contexts import base_url
from ost_vo.services.uploads import NOTHING, Uploads
from ost_vo.store.reader import Before
from ost_vo.store.results import AsyncResultStream, stream_async
from ost_vo.vo import adql
from ost_vo.vo.encoder import Encoder
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.votable import Info

LANGUAGES = ("ADQL", "ADQL-2.0", "ADQL-2.1")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A query that is ready to run.

    Attributes:
        translation: its SQL and the columns of its result.
        encoder: what writes the result, for one run.
        media_type: of the result.
    """

    translation: adql.Translation
    encoder: Encoder
    media_type: str


def prepare(
    archive: Archive, parameters: Parameters, context: Context, uploaded: Uploads = NOTHING
) -> Prepared:
    """Translate the query that parameters ask for, and choose the format of its result.

    Args:
        archive: the open archive.
        parameters: of the request.
        context: of the caller, whose URLs the result has.
        uploaded: the tables of its UPLOAD, which the query may name.

    Raises:
        UsageFault: a parameter or the query is wrong.
    """
    text = _checked(parameters)
    form, media_type = formats.choose(parameters.one("RESPONSEFORMAT", "FORMAT"))
    catalogue = archive.published.catalogue.with_tables(uploaded.tables)
    translation = adql.translate(text, catalogue, maxrec=maxrec(archive, parameters))
    form = formats.settled(form, translation.columns)
    services = descriptors.of_columns(base_url(archive, context), translation.columns)
    encoder = form.encoder(translation.limit, {"infos": (Info("QUERY", text),)}, services)
    return Prepared(translation, encoder, media_type)


async def query(archive: Archive, parameters: Parameters, context: Context) -> tuple[AsyncResultStream, str]:
    """Run a synchronous query.

    Returns:
        The chunks of the result, and its media type.

    Raises:
        UsageFault: a parameter or the query is wrong.
        TransientFault: out of time or connections.
    """
    try:
        with ExitStack() as documents:
            opened = uploads.opened(archive.settings, parameters)
            if parameters.all("UPLOAD"):
                uploaded = await asyncio.to_thread(documents.enter_context, opened)
            else:
                uploaded = NOTHING
            return await _stream(archive, prepare(archive, parameters, context, uploaded), context, uploaded)
    finally:
        uploads.discard(archive.settings, parameters)


async def _stream(
    archive: Archive, prepared: Prepared, context: Context, uploaded: Uploads
) -> tuple[AsyncResultStream, str]:
    settings = archive.settings
    work = {"statement_timeout": f"{settings.sync_seconds}s"}
    transfer = {"statement_timeout": f"{settings.transfer_seconds}s"}
    stream = await stream_async(
        archive.database.connection,
        prepared.translation.sql,
        prepared.translation.columns,
        prepared.encoder,
        {**transfer, **context.database_settings()},
        stall_seconds=settings.stall_seconds,
        work_seconds=settings.sync_seconds,
        before=loading(uploaded, work),
    )
    return stream, prepared.media_type


def loading(uploaded: Uploads, settings: dict[str, str]) -> Before | None:
    """Return what puts the uploads into the database before the query begins, with these settings."""
    return partial(uploaded.load, settings=settings) if uploaded.load else None


def maxrec(archive: Archive, parameters: Parameters) -> int:
    """Return how many rows a result may have, by MAXREC and by the limits of the archive."""
    wanted = parameters.count("MAXREC")
    if wanted is None:
        return archive.settings.default_maxrec
    return min(wanted, archive.settings.max_maxrec)


def _checked(parameters: Parameters) -> str:
    """Return the query, after a look at the parameters that say how to run it."""
    request = parameters.one("REQUEST")
    if request is not None and request.lower() != "doquery":
        raise UsageFault(f"REQUEST={request!r} is unknown.", "TAP 1.1 needs no REQUEST; TAP 1.0 has doQuery.")
    language = parameters.one("LANG")
    if language is not None and language.upper() not in LANGUAGES:
        raise UsageFault(f"LANG={language!r} is not supported.", f"Languages: {', '.join(LANGUAGES)}.")
    text = parameters.one("QUERY")
    if text is None:
        raise UsageFault(
            "The parameter QUERY is missing.", "Give an ADQL query, such as SELECT TOP 5 * FROM ivoa.obscore."
        )
    return text
