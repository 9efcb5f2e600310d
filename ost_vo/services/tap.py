"""TAP: from the parameters of a request to the result of its query.

Source: TAP 1.1 section 2; DALI 1.1 section 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from ost_vo.access.context import Context
from ost_vo.faults import UsageFault
from ost_vo.services import formats
from ost_vo.services.archive import Archive
from ost_vo.store.results import AsyncResultStream, Encoder, stream_async
from ost_vo.vo import adql
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


def prepare(archive: Archive, parameters: Parameters) -> Prepared:
    """Translate the query that parameters ask for, and choose the format of its result.

    Raises:
        UsageFault: a parameter or the query is wrong.
    """
    text = _checked(parameters)
    form, media_type = formats.choose(parameters.one("RESPONSEFORMAT", "FORMAT"))
    translation = adql.translate(text, archive.published.catalogue, maxrec=maxrec(archive, parameters))
    encoder = form.encoder(translation.limit, {"infos": (Info("QUERY", text),)}, ())
    return Prepared(translation, encoder, media_type)


async def query(archive: Archive, parameters: Parameters, context: Context) -> tuple[AsyncResultStream, str]:
    """Run a synchronous query.

    Returns:
        The chunks of the result, and its media type.

    Raises:
        UsageFault: a parameter or the query is wrong.
        TransientFault: out of time or connections.
    """
    prepared = prepare(archive, parameters)
    translation, seconds = prepared.translation, archive.settings.sync_seconds
    settings = {"statement_timeout": f"{seconds}s", **context.database_settings()}
    stream = await stream_async(
        archive.database.connection,
        translation.sql,
        translation.columns,
        prepared.encoder,
        settings,
        stall_seconds=archive.settings.stall_seconds,
    )
    return stream, prepared.media_type


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
    if parameters.all("UPLOAD"):
        raise UsageFault("This version takes no uploads.", "Leave UPLOAD out.")
    text = parameters.one("QUERY")
    if text is None:
        raise UsageFault(
            "The parameter QUERY is missing.", "Give an ADQL query, such as SELECT TOP 5 * FROM ivoa.obscore."
        )
    return text
