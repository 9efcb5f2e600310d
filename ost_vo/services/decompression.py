"""Tile-compressed FITS files as the FITS files that they were made from: ``.fz`` becomes ``.fits``.

The images are unpacked a strip at a time into a temporary file without a name, so that the answer has a
length and ranges, and memory stays small.

Source: FITS 4.0 section 10.1 (tiled images), 10.1.1 (keywords that keep the old header).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from ost_vo.faults import UsageFault
from ost_vo.services import cutouts
from ost_vo.services.cut_pieces import Limits
from ost_vo.services.files import Download
from ost_vo.services.images import Image, cards_in_file, shape_of
from ost_vo.vo import fitscards

MEDIA_TYPE = "image/fits"
_PACKED = re.compile(r"\.fz$", re.IGNORECASE)
_FITS_NAME = re.compile(r"\.(?:fits?|fts)$", re.IGNORECASE)
# Pixels that are unpacked at a time [byte].
_STRIP_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20


def is_packed(download: Download) -> bool:
    """Whether a file is one that this can unpack."""
    return _PACKED.search(download.product.path) is not None


def unpacked(download: Download, limits: Limits) -> Download:
    """Return the file unpacked, under its name without ``.fz``; what was given is closed.

    Args:
        download: of a tile-compressed file.
        limits: of its size, unpacked, and of the time.

    Raises:
        UsageFault: it is too large.
        TransientFault: out of time.
        FatalFault: it cannot be understood.
    """
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - its descriptor goes to the answer
    try:
        with (
            os.fdopen(os.dup(download.descriptor), "rb") as file,
            cutouts.units_of(file) as hdus,
            cutouts.understood(),
        ):
            for part in _parts(hdus, file, limits):
                if plain.tell() + len(part) > limits.size:
                    raise UsageFault(
                        f"Unpacked, the file is larger than {limits.size} bytes.", "Get it as it is."
                    )
                plain.write(part)
        plain.flush()
        descriptor = os.dup(plain.fileno())
    finally:
        plain.close()
        download.close()
    stem = _PACKED.sub("", download.stored_name)
    name = stem if _FITS_NAME.search(stem) else f"{stem}.fits"
    return replace(download, descriptor=descriptor, form=name, media_type=MEDIA_TYPE)


def _parts(hdus: Any, file: BinaryIO, limits: Limits) -> Iterator[bytes]:
    units = list(cutouts.units(hdus))
    for number, hdu in enumerate(units):
        limits.check_time()
        is_tiled = cutouts.is_image(hdu) and Image(hdu, file).is_tiled
        if is_tiled:
            yield from _image(Image(hdu, file), limits)
        elif not (number == 0 and _is_only_there_for(units, file)):
            yield from _as_it_is(hdu, file)


def _is_only_there_for(units: list[Any], file: BinaryIO) -> bool:
    """Whether the primary unit is the empty one that fpack has put before what was one."""
    if len(units) < 2 or shape_of(units[0]):
        return False
    return cutouts.is_image(units[1]) and Image(units[1], file).was_primary


def _image(image: Image, limits: Limits) -> Iterator[bytes]:
    cards = fitscards.without_checksums(image.cards)
    yield fitscards.encoded(cards)
    rest = [(0, length) for length in image.shape[:-1]]
    of_one = image.size([*rest, (0, 1)])
    step = max(1, _STRIP_BYTES // of_one)
    total = 0
    for first in range(0, image.shape[-1], step):
        limits.check_time()
        pixels = image.pixels([*rest, (first, min(first + step, image.shape[-1]))])
        total += pixels.nbytes
        yield pixels.tobytes()
    yield fitscards.padding(total)


def _as_it_is(hdu: Any, file: BinaryIO) -> Iterator[bytes]:
    where = hdu.fileinfo()
    yield fitscards.encoded(cards_in_file(hdu, file))
    offset, end = where["datLoc"], where["datLoc"] + where["datSpan"]
    while offset < end:
        chunk = os.pread(file.fileno(), min(_CHUNK_BYTES, end - offset), offset)
        if not chunk:
            raise EOFError("it ends before its last unit")
        offset += len(chunk)
        yield chunk
