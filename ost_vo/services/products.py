"""Looking at data products: pages of ``ost.products``, and the lineage, in the caller's context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ost_vo.access.actor import OPERATOR
from ost_vo.access.context import Context
from ost_vo.faults import FatalFault, NotFoundFault, UsageFault
from ost_vo.services import projects
from ost_vo.services.archive import Archive
from ost_vo.store import listings
from ost_vo.store.listings import Spans
from ost_vo.vo import adql
from ost_vo.vo.columns import Column

# Rows of one page.
MAX_PAGE = 1000
# What else products can be chosen by: columns with few values, or with an index.
COLUMNS = (
    "obs_id",
    "dataproduct_type",
    "calib_level",
    "target_name",
    "facility_name",
    "instrument_name",
    "telescope_name",
    "filter_name",
    "exposure_type",
    "data_rights",
)
# Of a family: how far it goes each way, and the most products.
_GENERATIONS, _RELATIVES = 3, 60

_KEY = "obs_publisher_did"
# A user that there is none of: the largest number of the type of user_id.
_NOBODY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Filters:
    """What products must have to be listed; None and () leave it open.

    Attributes:
        identifiers: any of these as obs_publisher_did.
        project, creator, run: names.
        privileges: the level, 1 to 5.
        is_valid: False for invalidated ones.
        columns: values of further columns, of `COLUMNS`.
        spans: where times, exposures and positions lie.
    """

    identifiers: tuple[str, ...] = ()
    project: str | None = None
    creator: str | None = None
    run: str | None = None
    privileges: int | None = None
    is_valid: bool | None = None
    columns: Mapping[str, object] = field(default_factory=dict)
    spans: Spans = field(default_factory=Spans)


@dataclass(frozen=True, slots=True)
class Page:
    """Some products.

    Attributes:
        products: rows of ``ost.products``, column name to value, in the order of their identifiers.
        cursor: where the next page begins; None where there is none.
    """

    products: list[dict[str, Any]]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a product was made from directly, and what was made from it: as far as the caller may see it."""

    identifier: str
    progenitors: list[str]
    derivations: list[str]


@dataclass(frozen=True, slots=True)
class Family:
    """A product with what it descends from and what descends from it, as far as the caller may see it.

    Attributes:
        identifier: of the product.
        generations: identifier to how many steps it is away, below 0 for what the product was made from.
        links: pairs of what was made, and what from.
        names: identifier to the name of the file.
        is_cut: whether there is more.
    """

    identifier: str
    generations: dict[str, int]
    links: list[tuple[str, str]]
    names: dict[str, str]
    is_cut: bool


def columns(archive: Archive) -> tuple[Column, ...]:
    """Return the columns of ``ost.products``, as TAP_SCHEMA describes them.

    Raises:
        FatalFault: it is not published.
    """
    tables = archive.published.catalogue.find("products", "ost")
    if not tables:
        raise FatalFault("The table ost.products is not published.", "Import the resource descriptors.")
    return tables[0].columns


def page(archive: Archive, context: Context, filters: Filters, cursor: str | None, limit: int) -> Page:
    """Return a page of the products that the context covers.

    Args:
        archive: the open archive.
        context: who asks, in which scope.
        filters: what the products must have.
        cursor: of the page before; None for the first.
        limit: products on the page, at most 1000.

    Raises:
        UsageFault: the limit is none of 1 to 1000; there is no such filter.
        TransientFault: out of time or connections.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise UsageFault(f"A page cannot have {limit} products.", f"Ask for 1 to {MAX_PAGE}.")
    for name in filters.columns:
        if name not in COLUMNS:
            raise UsageFault(f"Products cannot be chosen by {name}.", f"Take one of {', '.join(COLUMNS)}.")
    names = [column.name for column in columns(archive)]
    with archive.database.connection() as connection:
        rows = listings.products(
            connection,
            archive.listing_settings(context),
            names,
            _equal(filters),
            spans=filters.spans,
            after=cursor,
            limit=limit + 1,
        )
    has_more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, rows[-1][_KEY] if has_more else None)


def lineage(archive: Archive, context: Context, identifier: str) -> Lineage:
    """Return the direct lineage of a product.

    Raises:
        NotFoundFault: there is no such product in the caller's scope.
        TransientFault: out of time or connections.
    """
    with archive.database.connection() as connection:
        found = listings.lineage(connection, archive.transaction_settings(context), identifier)
    if found is None:
        raise NotFoundFault(f"There is no data product {identifier}.", "Look it up in ost.products.")
    return Lineage(identifier, *found)


def family(archive: Archive, context: Context, identifier: str) -> Family:
    """Return the lineage of a product over three generations both ways, of at most 60 products.

    Raises:
        TransientFault: out of time or connections.
    """
    generations = {identifier: 0}
    links: set[tuple[str, str]] = set()
    is_cut = False
    settings = archive.transaction_settings(context)
    with archive.database.connection() as connection:
        for direction in (-1, 1):
            members = [identifier]
            for step in range(1, _GENERATIONS + 1):
                found = listings.links(connection, settings, members, direction > 0, _RELATIVES + 1)
                is_cut = is_cut or len(found) > _RELATIVES
                members = []
                for made, source in found:
                    relative = made if direction > 0 else source
                    if relative not in generations:
                        if len(generations) >= _RELATIVES:
                            is_cut = True
                            continue
                        generations[relative] = direction * step
                        members.append(relative)
                    links.add((made, source))
                if not members:
                    break
        names = listings.names(connection, settings, list(generations))
    return Family(identifier, generations, sorted(links), names, is_cut)


def chosen(archive: Archive, context: Context, query: str, limit: int) -> list[str]:
    """Return the identifiers that an ADQL query yields in its column obs_publisher_did.

    Args:
        archive: the open archive.
        context: in which the query runs.
        query: in ADQL.
        limit: the most that it may yield.

    Raises:
        UsageFault: the query is wrong, has no such column, or yields more.
        TransientFault: out of time or connections.
    """
    translation = adql.translate(query, archive.published.catalogue)
    if [column.name for column in translation.columns].count(_KEY) != 1:
        raise UsageFault(f"The query has no column {_KEY}.", f"Begin it with SELECT {_KEY} FROM.")
    with archive.database.connection() as connection:
        settings = archive.transaction_settings(context)
        found = listings.identifiers(connection, settings, translation.sql, limit + 1)
    if len(found) > limit:
        raise UsageFault(f"The query yields more than {limit} products.", "Narrow it.")
    return found


def operator_context(archive: Archive) -> Context:
    """Return the context in which the operator looks at products: level 2 of all projects, and above.

    Level 1 is its creator's alone. It is for those who are at the machine.
    """
    every = tuple(project.project_id for project in projects.listing(archive.accounts_database, OPERATOR))
    return Context(_NOBODY, every, every)


def _equal(filters: Filters) -> dict[str, object]:
    wanted = {
        _KEY: list(filters.identifiers) or None,
        "project": filters.project,
        "creator": filters.creator,
        "run_name": filters.run,
        "privileges": filters.privileges,
        "is_valid": None if filters.is_valid is None else int(filters.is_valid),
        **filters.columns,
    }
    return {column: value for column, value in wanted.items() if value is not None}
