"""Which data sets cutouts are made of, and how."""

from __future__ import annotations

import re

from ost_vo.store.observations import Product
from ost_vo.vo.soda import Kind

# FITS files; what was packed with compress is not read.
_FITS = re.compile(r"\.(?:(?:fits?|fts)(?:\.(?:gz|fz|bz2))?|fz)$", re.IGNORECASE)
_SER = re.compile(r"\.ser$", re.IGNORECASE)


def kind_of(product: Product) -> Kind | None:
    """Return what is cut out of a data set; None for one that cutouts are not made of."""
    if product.missing_since is not None:
        return None
    if _SER.search(product.path):
        return "video"
    if not _FITS.search(product.path):
        return None
    if product.product_type == "spectrum":
        return "spectrum"
    return "image" if product.product_type in ("image", "cube") else None
