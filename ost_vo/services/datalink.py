"""DataLink: what belongs to a data set, and where to get it.

Source: DataLink 1.1 sections 2 (parameters), 3 (response), 4 (service descriptors).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from typing import TypeVar
from urllib.parse import quote

from ost_vo.access.context import Context
from ost_vo.faults import NotFoundFault, UsageFault
from ost_vo.services import descriptors, tap
from ost_vo.services.archive import Archive
from ost_vo.services.contexts import base_url
from ost_vo.services.cut_kinds import kind_of
from ost_vo.services.cutout_links import CutoutDescriptors
from ost_vo.services.picture_links import picture_links
from ost_vo.settings import Settings
from ost_vo.store import extents, observations
from ost_vo.store.calibrations import CALIBRATED_WITH
from ost_vo.store.observations import Product
from ost_vo.store.relations import DataSet, Relation, data_sets
from ost_vo.vo import linkrows, votable
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.sia import canonical_identifier
from ost_vo.vo.soda import MEDIA_TYPES, Extent, Kind
from ost_vo.vo.votable import DATALINK_CONTENT_TYPE, Info, ServiceDescriptor

# Identifiers that one request is answered for; more are an overflow (section 2.1.1).
MAX_IDENTIFIERS = 10_000
# So many are looked up at a time, so that a small MAXREC costs little.
BATCH = 1000
HEADER_TYPES = ("text/plain", "application/json")
_HEADER_FORMATS = [
    (media_type, f"&RESPONSEFORMAT={quote(media_type, safe='')}") for media_type in HEADER_TYPES
]

# What a link leads to: the cells of its row after the first.
_Row = tuple[object, ...]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a data set: the first columns of its row (section 3.2); None where there is nothing.

    Attributes:
        url: where it leads.
        service: which service of the document works on the data, in place of a URL.
        error: why there is no link.
        description: what it leads to.
        semantics: what that is to the data set, by the vocabulary's term with ``#``.
        media_type, size: of what it leads to [byte].
    """

    url: str | None
    service: str | None
    error: str | None
    description: str | None
    semantics: str
    media_type: str | None
    size: int | None


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
    writer = _writer(archive, context)
    complete = _write(archive, writer, wanted[:MAX_IDENTIFIERS], context, limit)
    is_whole = complete and len(wanted) <= MAX_IDENTIFIERS and (limit > 0 or not wanted)
    return writer.document(is_whole, descriptors.links(base_url(archive, context))), media_type


def links_of(archive: Archive, identifier: str, context: Context) -> list[Link]:
    """Return the links of one data set: the rows of its document.

    Raises:
        TransientFault: out of time or connections.
    """
    stored = _stored(archive, [identifier])
    with archive.database.connection() as connection:
        found = data_sets(connection, archive.transaction_settings(context), list(stored.values()))
    rows = _writer(archive, context).rows(identifier, found.get(stored.get(identifier, "")))
    return [Link(*row[: len(fields(Link))]) for row in rows]  # type: ignore[arg-type]


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


def product_and_extent(archive: Archive, identifier: str, context: Context) -> tuple[Product, Extent]:
    """Return the data product with an identifier and what it covers; faults are those of :func:`product`."""
    stored = _stored(archive, [identifier]).get(identifier)
    found = None
    if stored is not None:
        settings = archive.transaction_settings(context)
        with archive.database.connection() as connection:
            found = extents.product_and_extent(connection, settings, stored)
    if found is None:
        raise _unknown(identifier)
    return found


def cut_kind(found: DataSet) -> Kind | None:
    """Return what is offered to be cut out of a data set, None for nothing; images need a position."""
    kind = kind_of(found.product)
    is_known = found.extent.circle if kind == "image" else found.extent.em_min if kind == "spectrum" else True
    return kind if is_known is not None else None


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


def _write(archive: Archive, writer: _Writer, identifiers: list[str], context: Context, limit: int) -> bool:
    """Write the links of data sets up to a number of rows; return whether those are all."""
    for start in range(0, len(identifiers), BATCH):
        batch = identifiers[start : start + BATCH][: limit - writer.count + 1]
        stored = _stored(archive, batch)
        settings = archive.transaction_settings(context)
        with archive.database.connection() as connection:
            found = data_sets(connection, settings, list(stored.values()))
        for identifier in batch:
            if not writer.add(identifier, found.get(stored.get(identifier, "")), limit):
                return False
    return True


def _writer(archive: Archive, context: Context) -> _Writer:
    base = base_url(archive, context)
    return _Writer(base, archive.settings.documentation_url or f"{base}/", archive.settings)


class _Writer:
    """Writes the rows of a document, and the services that they refer to.

    Args:
        base: what the URLs of the archive begin with for this client.
        documentation: URL of the page about the data.
        settings: of the archive.

    Attributes:
        count: of the rows so far.
    """

    def __init__(self, base: str, documentation: str, settings: Settings) -> None:
        self.count = 0
        self._pictures = partial(picture_links, settings, base)
        self._base = base
        self._documentation = documentation
        self._rows: list[str] = []
        self._services: list[str] = []
        self._cutouts = CutoutDescriptors(base)
        # What is the same for many data sets, such as a calibration frame.
        self._related: dict[tuple[str, str], str] = {}

    def add(self, identifier: str, found: DataSet | None, limit: int) -> bool:
        """Write the links of a data set; return False, and write none, if there would be too many rows.

        Args:
            identifier: as it was asked for.
            found: the data set; None for an identifier of none that the caller may see.
            limit: the most rows of the document.
        """
        links = self._links(identifier, found, linkrows.cells, self._relation)
        kind = _cut_kind(found)
        if self.count + len(links) > limit:
            return False
        self.count += len(links)
        self._rows.append(linkrows.rows(identifier, links))
        if found and kind:
            self._services.append(self._cutouts.text(found.product.identifier, found.extent, kind))
        return True

    def document(self, is_whole: bool, service: ServiceDescriptor) -> bytes:
        """Return the document, with the description of the links service itself."""
        head, tail = _around(is_whole, service)
        end = tail.rindex(b"</VOTABLE>")
        services = "".join(f"{text}\n" for text in self._services)
        return b"".join([head, "".join(self._rows).encode(), tail[:end], services.encode(), tail[end:]])

    def rows(self, identifier: str, found: DataSet | None) -> list[_Row]:
        """Return the rows of a data set, as :meth:`add` writes them."""
        return self._links(identifier, found, lambda row: row, self._relation_row)

    def _links(
        self,
        identifier: str,
        found: DataSet | None,
        written: Callable[[_Row], T],
        related: Callable[[Relation], T],
    ) -> list[T]:
        """Return the links of a data set, each as one function makes it of its row, or one of a relation."""
        links = [written(row) for row in self._own(identifier, found)]
        if found is not None and found.product.missing_since is None:
            links += [related(one) for one in found.relations if one.other.missing_since is None]
            if kind := _cut_kind(found):
                links.append(written(self._cutout(found.product, kind)))
        return links

    def _own(self, identifier: str, found: DataSet | None) -> list[_Row]:
        """Return the links to the file and to what the archive has made of it."""
        if found is None:
            return [_error_row(_unknown(identifier))]
        product = found.product
        if product.missing_since is not None:
            missing = NotFoundFault(
                f"The file has not been found on disk since {product.missing_since:%Y-%m-%d %H:%M} UTC."
            )
            return [_error_row(missing), *_headers_of(self._base, product)]
        return [
            _file_row(self._base, product, "#this"),
            *_headers_of(self._base, product),
            *((*link, None, *_permission(product)) for link in self._pictures(product)),
            (self._documentation, None, None, "About the archive and its data", "#documentation",
             "text/html", None, None, None, "false", True),
        ]  # fmt: skip

    def _relation(self, relation: Relation) -> str:
        key = (relation.semantics, relation.other.identifier)
        known = self._related.get(key)
        if known is None:
            known = self._related[key] = linkrows.cells(self._relation_row(relation))
        return known

    def _relation_row(self, relation: Relation) -> _Row:
        return _file_row(self._base, relation.other, f"#{relation.semantics}", _why(relation))

    def _cutout(self, found: Product, kind: Kind) -> _Row:
        service, media_type = self._cutouts.id(found.identifier), MEDIA_TYPES[kind]
        qualifier = f"#{found.product_type}" if found.product_type else None
        data = (f"Cutouts of {found.path}", "#cutout", media_type, None, qualifier, None)
        return (None, service, None, *data, *_permission(found))


def _cut_kind(found: DataSet | None) -> Kind | None:
    """Return what is offered to be cut out of a data set whose file is there, None for nothing."""
    return cut_kind(found) if found is not None and found.product.missing_since is None else None


@lru_cache(maxsize=64)
def _around(is_whole: bool, service: ServiceDescriptor) -> tuple[bytes, bytes]:
    """Return what stands before and after the rows of a document."""
    head = votable.head(linkrows.COLUMNS, infos=(Info("standardID", descriptors.STANDARD_ID),))
    return head, votable.tail("OK" if is_whole else "OVERFLOW", resources_after=(service,))


def _file_row(base: str, found: Product, semantics: str, why: str = "") -> _Row:
    url = f"{base}/files/{quote(found.path)}"
    kind = f"#{found.product_type}" if found.product_type else None
    data = (why + _description(found), semantics, found.media_type, found.file_size, kind)
    return (url, None, None, *data, None, *_permission(found))


def _headers_of(base: str, found: Product) -> list[_Row]:
    """Return the links to the header of a product, which is there when its file is not."""
    url = f"{base}/datalink/header?ID={quote(found.identifier, safe='')}"
    return [
        (
            url + form,
            *(None, None, f"Header of {found.path}", "#detached-header", media_type, None, None, None),
            *_permission(found),
        )
        for media_type, form in _HEADER_FORMATS
    ]


def _permission(found: Product) -> tuple[str, bool]:
    """Return link_auth and link_authorized: what the caller does not see is not linked at all."""
    return ("false" if found.data_rights == "public" else "true", True)


def _why(relation: Relation) -> str:
    return "fits: " if relation.semantics in CALIBRATED_WITH else ""


def _error_row(fault: NotFoundFault) -> _Row:
    return (None, None, f"{fault.code}: {fault}", None, "#this", *[None] * 6)


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
