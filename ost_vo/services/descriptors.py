"""Descriptions of services that work on data sets, for results that have identifiers: links and cutouts.

Source: DataLink 1.1 sections 4.2 to 4.4; SODA 1.0 section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from ost_vo.vo import soda, votable
from ost_vo.vo.columns import Column
from ost_vo.vo.votable import DATALINK_CONTENT_TYPE, Param, ServiceDescriptor

STANDARD_ID = "ivo://ivoa.net/std/DataLink#links-1.1"
_ID, _CUTOUTS_ID = "datalink", "soda"
# How columns of identifiers are told: as ObsCore has them, and as the archive's own tables do.
_UTYPE, _UCD = "obscore:curation.publisherdid", "meta.ref.ivoid;meta.main"


@lru_cache(maxsize=64)
def links(base: str, field: str | None = None, service_id: str | None = _ID) -> ServiceDescriptor:
    """Describe the links service.

    Args:
        base: what the URLs of the archive begin with for this client.
        field: ID of the FIELD in the same document whose values the service takes; None in its own answer.
        service_id: ID of the description beside such a FIELD.
    """
    params = (
        Param("standardID", STANDARD_ID),
        Param("accessURL", f"{base}/datalink/links"),
        Param("contentType", DATALINK_CONTENT_TYPE),
    )
    inputs = (Param("ID", ucd="meta.id;meta.main", ref=field, description="Identifier of the data set"),)
    if field is not None:
        return ServiceDescriptor(service_id, params, inputs, None, "Links to the data")
    formats = Param("RESPONSEFORMAT", description="Format of the response", options=("votable",))
    return ServiceDescriptor(None, params, (*inputs, formats), "this", "Links to the data")


@lru_cache(maxsize=64)
def cutouts(base: str, field: str, service_id: str | None) -> ServiceDescriptor:
    """Describe the service for cutouts beside a FIELD with identifiers; arguments are those of `links`."""
    params = (
        Param("standardID", soda.STANDARD_ID),
        Param("accessURL", f"{base}/soda/sync"),
        Param("contentType", soda.FITS),
    )
    identifier, *rest = soda.inputs()
    inputs = (replace(identifier, ref=field), *rest)
    return ServiceDescriptor(service_id, params, inputs, None, "Cutouts")


def of_columns(base: str, columns: Sequence[Column]) -> tuple[ServiceDescriptor, ...]:
    """Describe both services for a result; nothing where it has no column of identifiers."""
    return _of_columns(base, tuple(columns))


@lru_cache(maxsize=64)
def _of_columns(base: str, columns: tuple[Column, ...]) -> tuple[ServiceDescriptor, ...]:
    for number, column in enumerate(columns):
        if (column.utype or "").lower() == _UTYPE or (column.ucd or "").lower() == _UCD:
            ids = votable.field_ids(columns)
            links_id, cutouts_id = (None if name in ids else name for name in (_ID, _CUTOUTS_ID))
            return (links(base, ids[number], links_id), cutouts(base, ids[number], cutouts_id))
    return ()
