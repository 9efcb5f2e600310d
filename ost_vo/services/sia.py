"""SIA: from the parameters of a request to the images and cubes that it finds.

Source: SIA 2.0 sections 2.1 (parameters) and 3.1 (response); DALI 1.1 section 3.4.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache

from ost_vo.access.context import Context
from ost_vo.faults import FatalFault
from ost_vo.services import datalink, descriptors, formats, tap
from ost_vo.services.archive import Archive
from ost_vo.services.contexts import base_url
from ost_vo.store import observations
from ost_vo.store.results import AsyncResultStream, stream_async
from ost_vo.vo import coverage, sia
from ost_vo.vo.columns import Table
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.votable import Envelope, Info, Param, ServiceDescriptor

STANDARD_ID = "ivo://ivoa.net/std/SIA#query-2.0"


async def query(archive: Archive, parameters: Parameters, context: Context) -> tuple[AsyncResultStream, str]:
    """Search for images and cubes.

    With MAXREC=0 the result has no rows, and describes the parameters as PARAMs named ``INPUT:...`` too.

    Returns:
        The chunks of the result, and its media type.

    Raises:
        UsageFault: a parameter is wrong.
        TransientFault: out of time or connections.
    """
    form, media_type = formats.choose(parameters.one("RESPONSEFORMAT"))
    limit = tap.maxrec(archive, parameters)
    table = _obscore(archive) if archive.published.is_known else await asyncio.to_thread(_obscore, archive)
    conditions = sia.conditions(parameters, datalink.registry_part(archive))
    values, columns = sia.result_columns(table)
    circle, attempt = sia.cone(parameters), None
    if circle is not None and limit:
        attempt = observations.planned_search(
            columns, values, table.sql_name, sia.cone_conditions(), limit, coverage.numbers_of(circle)
        )
    settings = archive.settings
    envelope: Envelope = {
        "infos": (Info("standardID", STANDARD_ID.partition("#")[0]),),
        "params": () if limit else sia.inputs("INPUT:"),
        "table": {"name": "observations"},
    }
    base = base_url(archive, context)
    services = (_self_description(base), *descriptors.of_columns(base, columns))
    stream = await stream_async(
        archive.database.connection,
        observations.search(values, table.sql_name, conditions, limit),
        columns,
        form.encoder(limit, envelope, services),
        {"statement_timeout": f"{settings.transfer_seconds}s", **context.database_settings()},
        stall_seconds=settings.stall_seconds,
        work_seconds=settings.sync_seconds,
        attempt=attempt,
    )
    return stream, media_type


def _obscore(archive: Archive) -> Table:
    tables = archive.published.catalogue.find("obscore", "ivoa")
    if not tables:
        raise FatalFault("The table ivoa.obscore is not published.", "Import the resource descriptors.")
    return tables[0]


@lru_cache(maxsize=64)
def _self_description(base: str) -> ServiceDescriptor:
    params = (Param("standardID", STANDARD_ID), Param("accessURL", f"{base}/sia/query"))
    return ServiceDescriptor(None, params, sia.inputs(), "this", "Search for images and cubes (SIA 2.0)")
