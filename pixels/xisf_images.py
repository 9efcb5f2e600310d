"""The first image of an XISF file.

Source: XISF 1.0 specification, sections on data blocks, compression and byte shuffling, and pixel storage.
"""

from __future__ import annotations

import os
import re
import zlib
from typing import BinaryIO

import numpy as np
import zstandard
from lxml import etree
from numpy.typing import NDArray

from pixels.image import Image, NoPicture, Values

_MAX_HEADER_BYTES = 16 << 20
_MAX_BYTES = 1 << 30
_TYPES = {"UInt8": "u1", "UInt16": "u2", "UInt32": "u4", "Float32": "f4", "Float64": "f8"}
_FULL_SCALE = {"UInt8": 255.0, "UInt16": 65535.0}
_GEOMETRY = re.compile(r"([1-9]\d{0,6}):([1-9]\d{0,6}):([1-9]\d{0,2})")
_LOCATION = re.compile(r"attachment:(\d{1,15}):(\d{1,12})")
_COMPRESSION = re.compile(r"(zlib|zstd)(\+sh)?:(\d{1,12})(?::(\d{1,2}))?")


def first_image(file: BinaryIO) -> Image:
    """Return the first image of a file.

    Raises:
        NoPicture: its pixels are elsewhere, or stored in a way that is not read.
    """
    element = _element(file)
    size = _GEOMETRY.fullmatch(element.get("geometry") or "")
    sample = element.get("sampleFormat") or ""
    if size is None or sample not in _TYPES:
        raise NoPicture("The image of the XISF file has no two axes of real numbers.")
    columns, rows, planes = (int(length) for length in size.groups())
    order = ">" if element.get("byteOrder") == "big" else "<"
    kind = np.dtype(order + _TYPES[sample])
    needed = columns * rows * planes * kind.itemsize
    values = np.frombuffer(_block(file, element, needed), kind)
    is_planar = (element.get("pixelStorage") or "Planar") == "Planar"
    cube = values.reshape((planes, rows, columns) if is_planar else (rows, columns, planes))
    colours = min(planes, 3) if element.get("colorSpace") == "RGB" and planes >= 3 else 1
    return Image(
        colours,
        rows,
        columns,
        lambda plane, first, end: _rows(cube, is_planar, plane, first, end),
        is_colour=colours > 1,
        is_mosaic=planes == 1 and element.find("{*}ColorFilterArray") is not None,
        is_bottom_up=False,
        full_scale=_FULL_SCALE.get(sample),
    )


def _rows(cube: NDArray[np.generic], is_planar: bool, plane: int, first: int, end: int) -> Values:
    part = cube[plane, first:end] if is_planar else cube[first:end, :, plane]
    return np.asarray(part, np.float32)


def _element(file: BinaryIO) -> etree._Element:
    preamble = os.pread(file.fileno(), 16, 0)
    length = int.from_bytes(preamble[8:12], "little")
    if not preamble.startswith(b"XISF0100") or length > _MAX_HEADER_BYTES:
        raise NoPicture("Not an XISF file, or one with too large a header.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    root = etree.fromstring(os.pread(file.fileno(), length, 16).rstrip(b"\0"), parser)
    image = root.find("{*}Image")
    if image is None:
        raise NoPicture("The XISF file has no image.")
    return image


def _block(file: BinaryIO, element: etree._Element, needed: int) -> bytes:
    """Return the bytes of the pixels, unpacked."""
    place = _LOCATION.fullmatch(element.get("location") or "")
    if place is None or needed > _MAX_BYTES:
        raise NoPicture("The pixels of the XISF file are not attached to it, or too many.")
    stored = os.pread(file.fileno(), min(int(place[2]), _MAX_BYTES), int(place[1]))
    raw = _unpacked(stored, element.get("compression"), needed)
    if len(raw) < needed:
        raise EOFError("it ends before its last pixel")
    return raw[:needed]


def _unpacked(stored: bytes, compression: str | None, needed: int) -> bytes:
    if compression is None:
        return stored
    how = _COMPRESSION.fullmatch(compression)
    if how is None:
        raise NoPicture(f"Pixels packed as {compression[:40]!r} are not read.")
    if how[1] == "zlib":
        raw = zlib.decompressobj().decompress(stored, needed)
    else:
        raw = zstandard.ZstdDecompressor().decompress(stored, max_output_size=needed)
    return _unshuffled(raw, int(how[4] or 1)) if how[2] else raw


def _unshuffled(raw: bytes, size: int) -> bytes:
    """Return items whose first bytes were stored together, then their second bytes, and so on."""
    if size < 2:
        return raw
    whole = len(raw) // size * size
    items = np.frombuffer(raw[:whole], "u1").reshape(size, -1).T
    return items.tobytes() + raw[whole:]
