"""XISF, the format of PixInsight: an XML header at the head of the file, with the keywords of FITS in it.

Source: XISF 1.0 specification: monolithic files, core elements Image, Property and FITSKeyword.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from lxml import etree

from ingest import lineage, translation
from ingest.datafile import DataFile, Describe, Description, stored
from ingest.headers import Remark
from ingest.stream import Unreadable

_MAGIC = b"XISF0100"
_PREAMBLE_BYTES = 16  # magic, length of the header (little-endian, 4 bytes), reserved
MAX_HEADER_BYTES = 16 << 20
MAX_KEYWORDS = 5000
MAX_AXES = 8
_BITPIX = {"UInt8": 8, "UInt16": 16, "UInt32": 32, "UInt64": 64, "Float32": -32, "Float64": -64}
_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}$")
_STRUCTURE = re.compile(
    r"(SIMPLE|BITPIX|NAXIS\d*|EXTEND|XTENSION|CONTINUE|HIERARCH|[PG]COUNT|END|COMMENT|HISTORY|BZERO|BSCALE)$"
)
_INTEGER = re.compile(r"[+-]?\d{1,18}$")

_METRES_TO_MILLIMETRES = 1000.0


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _millimetres(text: str) -> float | None:
    value = _number(text)
    return None if value is None else value * _METRES_TO_MILLIMETRES


def _text(text: str) -> str:
    return text


# Properties that say what keywords say, for files that have no keyword for it.
_PROPERTIES: dict[str, tuple[str, Callable[[str], translation.Value | None]]] = {
    "Observation:Time:Start": ("DATE-OBS", _text),
    "Observation:Time:End": ("DATE-END", _text),
    "Observation:Object:Name": ("OBJECT", _text),
    "Observer:Name": ("OBSERVER", _text),
    "Instrument:ExposureTime": ("EXPTIME", _number),
    "Instrument:Camera:Name": ("INSTRUME", _text),
    "Instrument:Camera:Gain": ("EGAIN", _number),
    "Instrument:Camera:ISOSpeed": ("ISO", _number),
    "Instrument:Camera:XBinning": ("XBINNING", _number),
    "Instrument:Camera:YBinning": ("YBINNING", _number),
    "Instrument:Filter:Name": ("FILTER", _text),
    "Instrument:Sensor:Temperature": ("CCD-TEMP", _number),
    "Instrument:Sensor:XPixelSize": ("XPIXSZ", _number),
    "Instrument:Telescope:Name": ("TELESCOP", _text),
    "Instrument:Telescope:FocalLength": ("FOCALLEN", _millimetres),
    "XISF:CreatorApplication": ("SWCREATE", _text),
}


def read(file: DataFile) -> Describe:
    """Read the XML header.

    Raises:
        Unreadable: no XISF file, damaged, or truncated.
    """
    preamble = file.stream.read(_PREAMBLE_BYTES)
    if not preamble:
        raise Unreadable("The file is empty.")
    if not preamble.startswith(_MAGIC):
        raise Unreadable("Not an XISF file: it does not begin with XISF0100.")
    length = int.from_bytes(preamble[8:12], "little")
    if length > MAX_HEADER_BYTES:
        raise Unreadable(f"The XISF header has {length} bytes, more than {MAX_HEADER_BYTES >> 20} MiB.")
    raw = file.stream.read(length)
    if len(preamble) < _PREAMBLE_BYTES or len(raw) < length:
        raise Unreadable(f"Truncated: the XISF header needs {length} bytes, only {len(raw)} are there.")
    return partial(_describe, file, raw)


def _describe(file: DataFile, raw: bytes) -> Description:
    root = _parsed(raw.rstrip(b"\0"))
    images = root.findall("{*}Image")
    if not images:
        raise Unreadable("No data: the XISF header names no image.")
    image = images[0]
    _check_data(image, file.size)
    shape = _shape(image)
    cards = _of_properties(root) | _of_properties(image)
    keywords, comments, remarks = _of_keywords(image)
    if len(images) > 1:
        remarks.append(Remark("Image", f"{len(images)} images: the product is described by the first."))
    content = translation.Content("image", None, None, shape, _bitpix(image))
    metadata, others = translation.described(file, content, cards | keywords, comments)
    text, cut = stored(raw.rstrip(b"\0").decode("utf-8", "replace"))
    return Description(metadata, text, [*remarks, *others, *cut], list(_references(image)))


def _parsed(raw: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"The XISF header is no well-formed XML ({error}).") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("The XISF header has a document type, which XISF does not: it may hold entities.")
    if etree.QName(root).localname != "xisf":
        raise Unreadable(f"The XISF header's root element is {etree.QName(root).localname!r}, not 'xisf'.")
    return root


def _shape(image: etree._Element) -> tuple[int, int]:
    """Return width and height from 'width:height:channels'; colours are no axis."""
    lengths = (image.get("geometry") or "").split(":")
    if not 3 <= len(lengths) <= MAX_AXES or not all(_INTEGER.match(n) and int(n) > 0 for n in lengths):
        raise Unreadable(f"The image's geometry {':'.join(lengths)[:80]!r} is not 'width:height:channels'.")
    return int(lengths[0]), int(lengths[1])


def _bitpix(image: etree._Element) -> int:
    return _BITPIX.get(image.get("sampleFormat") or "", -32)


def _check_data(image: etree._Element, size: int) -> None:
    """Raise Unreadable where the pixels are not all in the file ('attachment:position:size')."""
    location = (image.get("location") or "").split(":")
    if location[0] != "attachment" or len(location) != 3 or not all(_INTEGER.match(n) for n in location[1:]):
        return
    end = int(location[1]) + int(location[2])
    if end > size:
        raise Unreadable(f"Truncated: the pixels reach to byte {end}, the file has {size}.")


def _of_properties(parent: etree._Element) -> dict[str, translation.Value | None]:
    cards: dict[str, translation.Value | None] = {}
    for element in (*parent.findall("{*}Property"), *parent.findall("{*}Metadata/{*}Property")):
        keyword, convert = _PROPERTIES.get(element.get("id") or "", ("", _text))
        text = element.get("value") or element.text
        if keyword and text and text.strip():
            cards[keyword] = convert(text.strip())
    return cards


def _of_keywords(
    image: etree._Element,
) -> tuple[dict[str, translation.Value | None], dict[str, str], list[Remark]]:
    """Return values and comments of the keywords, and a remark where there are too many."""
    elements = image.findall("{*}FITSKeyword")
    cards: dict[str, translation.Value | None] = {}
    comments = {}
    for element in elements[:MAX_KEYWORDS]:
        name = (element.get("name") or "").strip().upper()
        if _KEYWORD.match(name) and not _STRUCTURE.match(name) and name not in cards:
            cards[name] = _value((element.get("value") or "").strip())
            comments[name] = element.get("comment") or ""
    if len(elements) <= MAX_KEYWORDS:
        return cards, comments, []
    remark = Remark("FITSKeyword", f"More than {MAX_KEYWORDS} keywords: the rest is not read.")
    return cards, comments, [remark]


def _references(image: etree._Element) -> Iterator[str]:
    """Yield what the keywords name as progenitors; HISTORY has its text in the comment."""
    history = []
    for element in image.findall("{*}FITSKeyword")[:MAX_KEYWORDS]:
        name = (element.get("name") or "").strip().upper()
        if name == "HISTORY":
            history.append(element.get("comment") or element.get("value") or "")
        elif isinstance(value := _value((element.get("value") or "").strip()), str):
            yield from lineage.of_keyword(name, value)
    yield from lineage.of_history(history)


def _value(text: str) -> translation.Value | None:
    """Return the value that a card of FITS with this text has (FITS 4.0, section 4.2)."""
    if len(text) >= 2 and text.startswith("'") and text.endswith("'"):
        return text[1:-1].replace("''", "'").strip() or None
    if text in ("T", "F"):
        return text == "T"
    if _INTEGER.match(text):
        return int(text)
    number = _number(text)
    return number if number is not None else text or None
