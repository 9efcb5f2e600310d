"""The links of DataLink to the pictures of data products.

Source: DataLink 1.1 section 3.2.6 and the vocabulary http://www.ivoa.net/rdf/datalink/core.
"""

from __future__ import annotations

from urllib.parse import quote

from ost_vo.services.picture_store import MEDIA_TYPE, Kind, sizes
from ost_vo.settings import Settings
from ost_vo.store.observations import Product

_PATHS = {Kind.PREVIEW: "previews", Kind.THUMBNAIL: "thumbnails"}


def picture_links(settings: Settings, base: str, found: Product) -> list[tuple[object, ...]]:
    """Return the links to the pictures that there are of a product.

    Each has the cells of a row of links after the first, up to `content_qualifier`.

    Args:
        settings: of the archive.
        base: what the URLs of the archive begin with for this client.
        found: a product that the caller may see.
    """
    return [
        (
            f"{base}/{_PATHS[kind]}?ID={quote(found.identifier, safe='')}",
            *(None, None, f"{kind.title.capitalize()} of {found.path}", f"#{kind.title}"),
            *(MEDIA_TYPE, size, "#image"),
        )
        for kind, size in sizes(settings, found.sha256).items()
    ]
