"""DataLink: what belongs to a data set, and where to get it.

Source: DataLink 1.1 sections 2 (parameters), 3 (response), 4 (service descriptors).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import quote

from ost_vo.access.context import Context
from ost_vo.faults import NotFoundFault, UsageFault
from ost_vo.services import tap
from ost_vo.services.archive import Archive
from ost_vo.services.contexts import base_url
from ost_vo.store import observations
from ost_vo.store.extents import extents
from ost_vo.store.observations import Product
from ost_vo.store.relations import CALIBRATED_WITH, Relation, relations
from ost_vo.vo import soda, votable
from ost_vo.vo.columns import Column
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.sia import canonical_identifier
from ost_vo.vo.votable import DATALINK_CONTENT_TYPE, Info, Param, ServiceDescriptor

STANDARD_ID = "ivo://ivoa.net/std/DataLink#links-1.1"
# Identifiers that one request is answered for; more are an overflow (section 2.1.1).
MAX_IDENTIFIERS = 10_000
# So many are looked up at a time, so that a small MAXREC costs little.
BATCH = 500
HEADER_TYPES = ("text/plain", "application/json")

# Section 3.2.
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

# Files that cutouts are made of; what was packed with compress is not read.
_FITS = re.compile(r"\.(?:(?:fits?|fts)(?:\.(?:gz|fz|bz2))?|fz)$", re.IGNORECASE)

_Row = tuple[object, ...]


def links(archive: Archive, parameters: Parameters, context: Context) -> tuple[bytes, str]:
    """Return the links of every ID, and the media type of the document.

    An ID that does not exist or that the caller may not see gets a row with an error message. The result ends
    between two IDs where MAXREC does not let the rows of the next one in.

    Raises:
        UsageFault: RESPONSEFORMAT or MAXREC is wrong.
        TransientFault: out of time or connections.
    """
    media_type = _media_type(parameters.one("RESPONSEFORMAT"))
    limit = parameters.count("MAXREC")
    limit = tap.maxrec(archive, parameters) if limit is not None else archive.settings.max_maxrec
    wanted = list(dict.fromkeys(identifier.strip() for identifier in parameters.all("ID")))
    rows, complete, cutouts = _rows(archive, wanted[:MAX_IDENTIFIERS], context, limit)
    is_whole = complete and len(wanted) <= MAX_IDENTIFIERS and (limit > 0 or not wanted)
    document = votable.document(
        COLUMNS,
        rows,
        status="OK" if is_whole else "OVERFLOW",
        infos=(Info("standardID", STANDARD_ID),),
        resources_after=(descriptor(base_url(archive, context)), *cutouts),
    )
    return document, media_type


def product(archive: Archive, identifier: str, context: Context) -> Product:
    """Return the data product with an identifier.

    Raises:
        NotFoundFault: there is none, or the caller may not see it.
        TransientFault: out of time or connections.
    """
    found = _products(archive, [identifier], context).get(identifier)
    if found is None:
        raise _unknown(identifier)
    return found


def descriptor(base: str, field: str | None = None) -> ServiceDescriptor:
    """Describe the links service (sections 4.3 and 4.4).

    Args:
        base: what the URLs of the archive begin with for this client.
        field: ID of the FIELD in the same document whose values the service takes; None in its own answer.
    """
    params = (
        Param("standardID", STANDARD_ID),
        Param("accessURL", f"{base}/datalink/links"),
        Param("contentType", DATALINK_CONTENT_TYPE),
    )
    inputs = (Param("ID", ucd="meta.id;meta.main", ref=field, description="Identifier of the data set"),)
    if field is not None:
        return ServiceDescriptor("datalink", params, inputs, None, "Links to the data")
    formats = Param("RESPONSEFORMAT", description="Format of the response", options=("votable",))
    return ServiceDescriptor(None, params, (*inputs, formats), "this", "Links to the data")


def is_cut(found: Product) -> bool:
    """Whether the service for cutouts can read a file: an image or a cube in FITS."""
    is_image = found.product_type in ("image", "cube") and found.missing_since is None
    return is_image and _FITS.search(found.path) is not None


def registry_part(archive: Archive) -> str:
    """Return what the identifiers of the archive's data sets have before their ``?``."""
    return f"ivo://{archive.settings.authority}/archive"


def _products(archive: Archive, identifiers: list[str], context: Context) -> dict[str, Product]:
    """Return the visible products by the identifiers as they were asked for."""
    stored = _stored(archive, identifiers)
    if not stored:
        return {}
    settings = archive.transaction_settings(context)
    with archive.database.connection() as connection:
        found = observations.by_identifier(connection, settings, list(stored.values()))
    return {given: found[name] for given, name in stored.items() if name in found}


def _stored(archive: Archive, identifiers: list[str]) -> dict[str, str]:
    """Return identifiers as the archive keeps them, by how they were asked for."""
    part = registry_part(archive)
    return {given: canonical_identifier(given, part) for given in identifiers if "\0" not in given}


def _relations(archive: Archive, found: dict[str, Product], context: Context) -> dict[str, list[Relation]]:
    """Return what belongs to products, by their identifiers as stored."""
    related: dict[str, list[Relation]] = {product.identifier: [] for product in found.values()}
    if related:
        with archive.database.connection() as connection:
            for relation in relations(connection, archive.transaction_settings(context), list(related)):
                related[relation.identifier].append(relation)
    return related


def _cutouts(
    archive: Archive, products: Iterable[Product], context: Context, base: str
) -> dict[str, ServiceDescriptor]:
    """Describe the cutouts of those products that they can be made of, by the products' identifiers."""
    wanted = [product.identifier for product in products if is_cut(product)]
    if not wanted:
        return {}
    with archive.database.connection() as connection:
        found = extents(connection, archive.transaction_settings(context), wanted)
    return {
        identifier: ServiceDescriptor(
            f"cutout-{sha256(identifier.encode()).hexdigest()[:16]}",
            (
                Param("standardID", soda.STANDARD_ID),
                Param("accessURL", f"{base}/soda/sync"),
                Param("contentType", soda.FITS),
            ),
            soda.inputs(identifier, extent),
            description="Cutouts",
        )
        for identifier, extent in found.items()
        if extent.circle is not None
    }


def _rows(
    archive: Archive, identifiers: list[str], context: Context, limit: int
) -> tuple[list[_Row], bool, list[ServiceDescriptor]]:
    """Return the rows up to the limit, whether those are all, and what they refer to."""
    rows: list[_Row] = []
    services: dict[str, ServiceDescriptor] = {}
    base = base_url(archive, context)
    for start in range(0, len(identifiers), BATCH):
        batch = identifiers[start : start + BATCH][: limit - len(rows) + 1]
        found = _products(archive, batch, context)
        related = _relations(archive, found, context)
        cutouts = _cutouts(archive, found.values(), context, base)
        for identifier in batch:
            product = found.get(identifier)
            more = _links_of(base, identifier, product, related[product.identifier] if product else [])
            service = cutouts.get(product.identifier) if product else None
            if product and service:
                more.append(_cutout_row(identifier, product, service))
            if len(rows) + len(more) > limit:
                return rows, False, list(services.values())
            rows += more
            if product and service:
                services[product.identifier] = service
    return rows, True, list(services.values())


def _cutout_row(identifier: str, found: Product, service: ServiceDescriptor) -> _Row:
    data = (f"Cutouts of {found.path}", "#cutout", soda.FITS, None, f"#{found.product_type}", None)
    return (identifier, None, service.id, None, *data, *_permission(found))


def _links_of(base: str, identifier: str, found: Product | None, related: list[Relation]) -> list[_Row]:
    if found is None:
        return [_error_row(identifier, _unknown(identifier))]
    if found.missing_since is not None:
        missing = NotFoundFault(
            f"The file has not been found on disk since {found.missing_since:%Y-%m-%d %H:%M} UTC."
        )
        return [_error_row(identifier, missing), *_headers_of(base, identifier, found)]
    return [
        _file_row(base, identifier, found, "#this"),
        *_headers_of(base, identifier, found),
        *(
            _file_row(base, identifier, relation.other, f"#{relation.semantics}", _why(relation))
            for relation in related
            if relation.other.missing_since is None
        ),
    ]


def _file_row(base: str, identifier: str, found: Product, semantics: str, why: str = "") -> _Row:
    url = f"{base}/files/{quote(found.path)}"
    kind = f"#{found.product_type}" if found.product_type else None
    data = (why + _description(found), semantics, found.media_type, found.file_size, kind)
    return (identifier, url, None, None, *data, None, *_permission(found))


def _headers_of(base: str, identifier: str, found: Product) -> list[_Row]:
    """Return the links to the header of a product, which is there when its file is not."""
    url = f"{base}/datalink/header?ID={quote(found.identifier, safe='')}"
    return [
        (
            identifier,
            f"{url}&RESPONSEFORMAT={quote(media_type, safe='')}",
            *(None, None, f"Header of {found.path}", "#detached-header", media_type, None, None, None),
            *_permission(found),
        )
        for media_type in HEADER_TYPES
    ]


def _permission(found: Product) -> tuple[str, bool]:
    """Return link_auth and link_authorized: what the caller does not see is not linked at all."""
    return ("false" if found.data_rights == "public" else "true", True)


def _why(relation: Relation) -> str:
    return "fits: " if relation.semantics in CALIBRATED_WITH else ""


def _error_row(identifier: str, fault: NotFoundFault) -> _Row:
    return (identifier, None, None, f"{fault.code}: {fault}", None, "#this", *[None] * 6)


def _unknown(identifier: str) -> NotFoundFault:
    return NotFoundFault(f"There is no data set {identifier!r}, or none that you may see.")


def _description(found: Product) -> str:
    """Say for people what a file is: ``light frame of M 67, filter V: 20260214/m67.fits``."""
    what = f"{found.exposure_type} frame" if found.exposure_type else found.product_type or "file"
    target = f" of {found.target}" if found.target else ""
    through = f", filter {found.filter}" if found.filter else ""
    return f"{'' if found.is_valid else 'invalidated: '}{what}{target}{through}: {found.path}"


def _media_type(wanted: str | None) -> str:
    """Return the media type to answer with (section 2.1.2).

    Raises:
        UsageFault: it is not that of a VOTable with TABLEDATA.
    """
    if wanted is None:
        return DATALINK_CONTENT_TYPE
    plain = "".join(wanted.lower().split()).replace('"', "")
    name, _, details = plain.partition(";")
    if name not in ("votable", votable.CONTENT_TYPE, "text/xml") or "serialization=binary" in details:
        raise UsageFault(
            f"There is no format {wanted!r} of links.", "Leave RESPONSEFORMAT out, or give votable."
        )
    return name if name == "text/xml" else DATALINK_CONTENT_TYPE
