"""The values of FITS keywords, whatever a hostile header has in their place."""

from __future__ import annotations

import math
from typing import Any

from astropy.io import fits


def text(header: fits.Header, keyword: str) -> str:
    """Return a keyword's text without blanks around it, '' where it has none."""
    found = _value(header, keyword)
    return found.strip() if isinstance(found, str) else ""


def number(header: fits.Header, keyword: str) -> float | None:
    """Return a keyword's number, None where it has none that is finite."""
    found = _value(header, keyword)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and math.isfinite(found) else None


def _value(header: fits.Header, keyword: str) -> Any:
    try:
        return header.get(keyword)
    except (fits.VerifyError, ValueError):
        return None
