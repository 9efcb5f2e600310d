"""VOResource records: taken apart and put together again.

Source: VOResource 1.1; VODataService 1.2 (coverage).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Protocol

import erfa
from lxml import etree

from ost_vo.vo import moc
from ost_vo.vo.moc import Interval

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
TYPE = f"{{{_XSI}}}type"

# Registries read prefixes in xsi:type, so every record declares those that its parts use.
NAMESPACES = {
    "ri": "http://www.ivoa.net/xml/RegistryInterface/v1.0",
    "vr": "http://www.ivoa.net/xml/VOResource/v1.0",
    "vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    "vg": "http://www.ivoa.net/xml/VORegistry/v1.0",
    "tr": "http://www.ivoa.net/xml/TAPRegExt/v1.0",
    "xsi": _XSI,
}
# What is in a record, in the order of the schemas; those of one record are some of these.
_ORDER = (
    "validationLevel",
    "title",
    "shortName",
    "identifier",
    "altIdentifier",
    "curation",
    "content",
    "rights",
    "capability",
    "full",
    "managedAuthority",
    "managingOrg",
    "facility",
    "instrument",
    "coverage",
    "tableset",
)

# A MOC of the size that VODataService has in mind for records [bytes], and intervals that a person can read.
_MOC_BYTES = 20_000
_INTERVALS = 50
_BANDS = 20
# Planck's constant and the speed of light, both exact (SI): a photon's energy is their product by its
# wavelength [J m].
_ENERGY = 6.62607015e-34 * 299_792_458


class Extent(Protocol):
    """What an archive covers: a MOC in ASCII, intervals in MJD (UTC), and of wavelength [m]."""

    @property
    def spatial(self) -> str: ...
    @property
    def temporal(self) -> Sequence[Interval]: ...
    @property
    def spectral(self) -> Sequence[Interval]: ...


def rebuilt(record: etree._Element) -> etree._Element:
    """Return a copy of a record with the namespaces of :data:`NAMESPACES`, without empty elements and dates.

    The dates of DaCHS are of its files: the registry has its own.
    """
    root = etree.Element(f"{{{NAMESPACES['ri']}}}Resource", nsmap=NAMESPACES)
    for name, value in record.attrib.items():
        if name != "updated":
            root.set(name, value)
    root.extend(deepcopy(child) for child in record)
    for date in list(root.iterfind("curation/date")):
        curation = date.getparent()
        if curation is not None:
            curation.remove(date)
    for child in list(root):
        if not len(child) and not (child.text or "").strip():
            root.remove(child)
    etree.cleanup_namespaces(root, keep_ns_prefixes=list(NAMESPACES))
    return in_lines(root)


def in_lines(record: etree._Element) -> etree._Element:
    """Return a record after each text in it has become one line; DaCHS breaks them."""
    for element in record.iter():
        if not len(element):
            element.text = " ".join((element.text or "").split())
    return record


def replace(record: etree._Element, tag: str, elements: Iterable[etree._Element]) -> None:
    """Put elements in place of those with a tag, where the schemas want them."""
    for old in list(record.iterfind(tag)):
        record.remove(old)
    rank = _ORDER.index(tag)
    place = sum(1 for child in record if _ORDER.index(str(child.tag)) < rank)
    for number, element in enumerate(elements):
        record.insert(place + number, element)


def coverage(extent: Extent, footprint: str) -> etree._Element:
    """Return the coverage of a resource.

    Args:
        extent: of its data.
        footprint: URL of the MOC in full.
    """
    element = etree.Element("coverage")
    _add(element, "spatial", moc.shortened(moc.parse(extent.spatial), _MOC_BYTES))
    for first, last in moc.merged(extent.temporal, _INTERVALS):
        # Outwards, to some seconds.
        begin = math.floor(_barycentric(first) * 10_000) / 10_000
        end = math.ceil(_barycentric(last) * 10_000) / 10_000
        _add(element, "temporal", f"{begin:.4f} {end:.4f}")
    for first, last in reversed(moc.merged(extent.spectral, _BANDS)):
        _add(element, "spectral", f"{_ENERGY / last:.4e} {_ENERGY / first:.4e}")
    _add(element, "footprint", footprint).set("ivo-id", "ivo://ivoa.net/std/moc")
    for band in _wavebands(extent.spectral):
        _add(element, "waveband", band)
    return element


def has_coverage(record: etree._Element, tag: str) -> bool:
    """Say whether a record tells of anything that is covered in an axis: spatial, temporal or spectral."""
    text = record.findtext(f"coverage/{tag}") or ""
    # A MOC without a cell has only its order, as in "10/".
    return any(not word.endswith("/") for word in text.split())


def _barycentric(mjd: float) -> float:
    """Return a date in TDB from one in UTC [d, MJD], to some milliseconds: light's way is not in it."""
    tai1, tai2 = erfa.utctai(2_400_000.5, mjd)
    tt1, tt2 = erfa.taitt(tai1, tai2)
    return float(tt1 - 2_400_000.5 + tt2)


# Where the bands of VODataService (messenger vocabulary) begin and end [m].
_BORDERS = {
    "UV": (1e-8, 3e-7),
    "Optical": (3e-7, 1e-6),
    "Infrared": (1e-6, 1e-4),
}


def _wavebands(spectral: Sequence[Interval]) -> list[str]:
    return [
        band
        for band, (low, high) in _BORDERS.items()
        if any(first < high and last > low for first, last in spectral)
    ]


def _add(parent: etree._Element, tag: str, text: str) -> etree._Element:
    child = etree.SubElement(parent, tag)
    child.text = text
    return child
