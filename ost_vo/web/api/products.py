"""Data products: finding them, their lineage, and who may see them."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from ost_vo.faults import UsageFault
from ost_vo.services import products, publishing
from ost_vo.services.products import Filters
from ost_vo.store.listings import Spans
from ost_vo.vo.columns import Column
from ost_vo.web.api.callers import Accounts, ArchiveOf, Scoped, ScopeOf, User
from ost_vo.web.api.fields import (
    Body,
    Changed,
    Flag,
    Identifier,
    Lowered,
    Moment,
    Name,
    ProjectName,
    Published,
    Reason,
    Text,
)
from ost_vo.web.api.problems import refusals

router = APIRouter(prefix="/products", tags=["products"])

_Finite = Annotated[float, Field(allow_inf_nan=False)]
Identifiers = Annotated[list[Identifier], Field(min_length=1, max_length=publishing.MAX_PRODUCTS)]

# What each product is: the document gets it from the columns of ost.products.
_PRODUCT = {"$ref": "#/components/schemas/Product"}

# JSON types of the datatypes of VOTable; what is not here is a text.
_JSON_TYPES = {
    "boolean": "boolean",
    "unsignedByte": "integer",
    "short": "integer",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
}


class ProductQuery(Scoped):
    """Which products to list."""

    id: Annotated[list[Identifier], Field(max_length=products.MAX_PAGE)] = Field(
        [], description="Identifiers, as obs_publisher_did has them; several times for several."
    )
    of_project: ProjectName | None = Field(None, alias="project", description="Project that they are in.")
    creator: Name | None = Field(None, description="User who created them.")
    run: Text | None = Field(None, description="Run (directory) that they belong to.")
    level: int | None = Field(None, alias="privileges", ge=1, le=5, description="Their level.")
    is_valid: bool | None = Field(None, description="False for invalidated ones; both where left out.")
    obs_id: Text | None = Field(None, description="Identifier of the observation.")
    dataproduct_type: Text | None = Field(None, description="image, cube, spectrum and so on.")
    calib_level: int | None = Field(None, ge=0, le=4, description="0 is raw, 2 is calibrated.")
    target_name: Text | None = Field(None, description="Name of the target.")
    facility_name: Text | None = Field(None, description="Name of the observatory.")
    instrument_name: Text | None = Field(None, description="Name of the instrument.")
    telescope_name: Text | None = Field(None, description="Name of the telescope.")
    filter_name: Text | None = Field(None, description="Name of the filter.")
    exposure_type: Text | None = Field(None, description="bias, dark, flat, light or wave.")
    data_rights: Text | None = Field(None, description="public or proprietary.")
    t_min: _Finite | None = Field(None, description="They end then or later [MJD, UTC].")
    t_max: _Finite | None = Field(None, description="They begin then or earlier [MJD, UTC].")
    t_exptime_min: _Finite | None = Field(None, description="Shortest exposure [s].")
    t_exptime_max: _Finite | None = Field(None, description="Longest exposure [s].")
    s_ra: Annotated[_Finite, Field(ge=0, le=360)] | None = Field(
        None, description="Right ascension of the centre of a circle that they are in, ICRS [deg]."
    )
    s_dec: Annotated[_Finite, Field(ge=-90, le=90)] | None = Field(
        None, description="Its declination, ICRS [deg]."
    )
    radius: Annotated[_Finite, Field(gt=0, le=90)] = Field(0.5, description="Its radius [deg].")
    limit: int = Field(100, ge=1, le=products.MAX_PAGE, description="Products on a page.")
    cursor: Identifier | None = Field(None, description="`next` of the page before.")


class LineageQuery(Scoped):
    """Whose lineage to show."""

    id: Identifier = Field(description="Identifier of a product.")


class ProductPage(BaseModel):
    """Some products, in the order of their identifiers."""

    products: list[dict[str, Any]] = Field(
        json_schema_extra={"items": {"$ref": "#/components/schemas/Product"}}
    )
    next: str | None = Field(description="`cursor` of the next page; null on the last.")


class ListedLineage(BaseModel):
    """What a product was made from directly, and what was made from it, as far as the caller may see it."""

    identifier: str
    progenitors: list[str]
    derivations: list[str]


class Progenitors(Body):
    """What a product was made from."""

    identifier: Identifier
    progenitors: Annotated[list[Identifier], Field(max_length=publishing.MAX_PRODUCTS)]
    reason: Reason = ""


class Publication(Body):
    """Products to raise to a level."""

    identifiers: Identifiers
    privileges: Published
    reason: Reason = ""


class Withdrawal(Body):
    """Products to lower to a level."""

    identifiers: Identifiers
    privileges: Lowered = 2
    reason: Reason = ""


class Validity(Body):
    """Products to invalidate, or to make valid again."""

    identifiers: Identifiers
    is_valid: Flag
    reason: Reason = ""


class Release(Body):
    """From when on everybody sees products."""

    identifiers: Identifiers
    release_date: Moment | None = Field(description="With a time zone; null takes it back.")
    reason: Reason = ""


class Deletion(Body):
    """Products to delete."""

    identifiers: Identifiers
    reason: Reason = ""


@router.get("", response_model=ProductPage, responses=refusals(400, 401, 403))
def list_products(archive: ArchiveOf, context: ScopeOf, wanted: Annotated[ProductQuery, Query()]) -> Response:
    """List products, as ost.products has them: those that the caller's context covers."""
    if (wanted.s_ra is None) != (wanted.s_dec is None):
        raise UsageFault("A circle needs both s_ra and s_dec.", "Give both or neither.")
    filters = Filters(
        tuple(wanted.id),
        wanted.of_project,
        wanted.creator,
        wanted.run,
        wanted.level,
        wanted.is_valid,
        wanted.model_dump(include=set(products.COLUMNS), exclude_none=True),
        Spans(
            wanted.t_min,
            wanted.t_max,
            wanted.t_exptime_min,
            wanted.t_exptime_max,
            None
            if wanted.s_ra is None or wanted.s_dec is None
            else (wanted.s_ra, wanted.s_dec, wanted.radius),
        ),
    )
    page = products.page(archive, context, filters, wanted.cursor, wanted.limit)
    rows = [{name: json_value(value) for name, value in row.items()} for row in page.products]
    document = json.dumps({"products": rows, "next": page.cursor}, ensure_ascii=False)
    return Response(document, media_type="application/json")


@router.get("/lineage", responses=refusals(400, 401, 403, 404))
def get_lineage(
    archive: ArchiveOf, context: ScopeOf, wanted: Annotated[LineageQuery, Query()]
) -> ListedLineage:
    """Return what a product was made from directly, and what was made from it."""
    found = products.lineage(archive, context, wanted.id)
    return ListedLineage(
        identifier=found.identifier, progenitors=found.progenitors, derivations=found.derivations
    )


@router.put("/lineage", status_code=204, response_class=Response, responses=refusals(400, 401, 403, 404, 409))
def set_progenitors(actor: User, database: Accounts, wanted: Progenitors) -> None:
    """Say what a product was made from, in place of what was said before."""
    publishing.set_progenitors(database, actor, wanted.identifier, wanted.progenitors, wanted.reason)


@router.post("/publish", responses=refusals(400, 401, 403, 404))
def publish(actor: User, database: Accounts, wanted: Publication) -> Changed:
    """Raise products to a level, up to level 3 with everything that they were made from; all or none."""
    return Changed(
        changed=publishing.publish(database, actor, wanted.identifiers, wanted.privileges, wanted.reason)
    )


@router.post("/unpublish", responses=refusals(400, 401, 403, 404, 409))
def unpublish(actor: User, database: Accounts, wanted: Withdrawal) -> Changed:
    """Lower products to a level, 2 at the lowest; all or none."""
    return Changed(
        changed=publishing.unpublish(database, actor, wanted.identifiers, wanted.privileges, wanted.reason)
    )


@router.post("/validity", responses=refusals(400, 401, 403, 404))
def set_validity(actor: User, database: Accounts, wanted: Validity) -> Changed:
    """Invalidate products, or make them valid again; all or none."""
    return Changed(
        changed=publishing.update_is_valid(
            database, actor, wanted.identifiers, wanted.is_valid, wanted.reason
        )
    )


@router.post("/release", responses=refusals(400, 401, 403, 404))
def release(actor: User, database: Accounts, wanted: Release) -> Changed:
    """Say from when on everybody sees products; all or none."""
    return Changed(
        changed=publishing.release(database, actor, wanted.identifiers, wanted.release_date, wanted.reason)
    )


@router.post("/delete", responses=refusals(400, 401, 403, 404, 409))
def delete(actor: User, database: Accounts, wanted: Deletion) -> Changed:
    """Delete the records of products, whose files stay on disk; all or none."""
    return Changed(changed=publishing.delete(database, actor, wanted.identifiers, wanted.reason))


def schema(columns: tuple[Column, ...]) -> dict[str, Any]:
    """Return the JSON schema of a product, from the columns of ``ost.products``."""
    return {
        "type": "object",
        "title": "Product",
        "description": "A data product, with the columns of ost.products.",
        "properties": {column.name: _property(column) for column in columns},
        "required": [column.name for column in columns],
    }


def _property(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {"type": [_JSON_TYPES.get(column.datatype, "string"), "null"]}
    if column.xtype == "timestamp":
        described["format"] = "date-time"
    extra = {"description": column.description, "x-unit": column.unit, "x-ucd": column.ucd}
    return described | {key: value for key, value in extra.items() if value}


def json_value(value: object) -> object:
    """Return a value of a view as JSON has it: moments as DALI writes them, null for what is no number."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
