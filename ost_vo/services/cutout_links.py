"""The service descriptors of cutouts in a DataLink document: one for each data set, with what it covers.

They differ in a few values only, so that one is written for each kind of coverage and filled in for the rest.

Source: DataLink 1.1 section 4.1; SODA 1.0 section 4.3.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from ost_vo.vo import soda, votable
from ost_vo.vo.soda import MEDIA_TYPES, Extent, Kind
from ost_vo.vo.votable import Param, ServiceDescriptor

# Characters of the private use area stand for what is filled in.
_ID, _IDENTIFIER, _CIRCLE, _POLYGON = "\ue000", "\ue001", "\ue002", "\ue003"
_LIMITS = {"BAND": ("\ue004", "\ue005"), "TIME": ("\ue006", "\ue007")}
_HOLES = str.maketrans(dict.fromkeys([_ID, _IDENTIFIER, _CIRCLE, _POLYGON, *sum(_LIMITS.values(), ())], ""))


class CutoutDescriptors:
    """Descriptors of the cutouts of data sets.

    Args:
        base: what the URLs of the archive begin with for this client.
    """

    def __init__(self, base: str) -> None:
        self._base = base

    def id(self, identifier: str) -> str:
        """Return the ID of the descriptor of a data set, which its link names."""
        return f"cutout-{sha256(identifier.encode()).hexdigest()[:16]}"

    def text(self, identifier: str, extent: Extent, kind: Kind) -> str:
        """Return the descriptor of a data set, as an element."""
        limits = (extent.em_min, extent.em_max, extent.t_min, extent.t_max)
        known = (1.0 if value is not None else None for value in limits)
        covered = Extent((1.0,) * 3 if extent.circle else None, (1.0,) if extent.polygon else (), *known)
        template = _template(self._base, covered, kind)
        names = (mark for pair in _LIMITS.values() for mark in pair)
        values = {
            _ID: self.id(identifier),
            _IDENTIFIER: identifier.translate(_HOLES).replace("&", "&amp;").replace('"', "&quot;"),
            _CIRCLE: " ".join(map(repr, extent.circle or ())),
            _POLYGON: " ".join(map(repr, extent.polygon)),
            **{mark: repr(value) for mark, value in zip(names, limits, strict=True)},
        }
        for mark, value in values.items():
            template = template.replace(mark, value)
        return template


@lru_cache(maxsize=256)
def _template(base: str, covered: Extent, kind: Kind) -> str:
    """Return the descriptor for all that cover axes of the same kinds; the extent's numbers do not matter."""
    params = (
        Param("standardID", soda.STANDARD_ID),
        Param("accessURL", f"{base}/soda/sync"),
        Param("contentType", MEDIA_TYPES[kind]),
    )
    inputs = tuple(map(_with_holes, soda.inputs(_IDENTIFIER, covered, kind)))
    return votable.descriptor(ServiceDescriptor(_ID, params, inputs, description="Cutouts"))


def _with_holes(param: Param) -> Param:
    if param.name in ("CIRCLE", "POLYGON"):
        mark = _CIRCLE if param.name == "CIRCLE" else _POLYGON
        return replace(param, maximum=mark if param.maximum is not None else None)
    if param.name in _LIMITS:
        low, high = _LIMITS[param.name]
        return replace(
            param,
            minimum=low if param.minimum is not None else None,
            maximum=high if param.maximum is not None else None,
        )
    return param
