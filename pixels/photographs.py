"""Photographs: JPEG and TIFF as they are, of raw files the picture that the camera has put into them.

Source: TIFF 6.0 sections 8 and 22 (strips, JPEG); the previews of raw files as their cameras write them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from ingest.tiff import Directory, directories, is_tiff, read_at
from pixels.image import Image, NoPicture, Values

# The largest camera here has 61 million pixels.
_MAX_PIXELS = 200_000_000
_MAX_PREVIEW_BYTES = 64 << 20
_STRIPS, _JPEG, _ORIENTATION = (0x111, 0x117), (0x201, 0x202), 0x112
_START = b"\xff\xd8\xff"
# Modes of Pillow that hold more than the eye sees at once, and so are stretched.
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def opened(file: BinaryIO, side: int, *, is_raw: bool) -> Pillow.Image | Image:
    """Return a photograph: as a picture for the eye, or as an image where it holds more than that.

    Args:
        file: open for reading.
        side: how long the longer side should be at least, where the photograph is so large [pixels].
        is_raw: whether it holds what the sensor counted.

    Raises:
        NoPicture: a raw photograph without a picture in it.
        OSError: damaged.
    """
    Pillow.MAX_IMAGE_PIXELS = _MAX_PIXELS
    return _embedded(file, side) if is_raw else _decoded(Pillow.open(file), side)


def _decoded(picture: Any, side: int) -> Pillow.Image | Image:
    if picture.mode in _DEEP:
        return _deep(picture)
    picture.draft("RGB", (side, side))
    picture.thumbnail((side, side))
    return ImageOps.exif_transpose(picture).convert("L" if picture.mode in ("1", "L", "LA") else "RGB")


def _deep(picture: Any) -> Image:
    values = np.asarray(picture)

    def read(plane: int, first: int, end: int) -> Values:
        del plane
        return values[first:end].astype(np.float32)

    return Image(1, values.shape[0], values.shape[1], read, is_bottom_up=False, is_measured=False)


def _embedded(file: BinaryIO, side: int) -> Pillow.Image | Image:
    """Return the smallest picture in a raw file that is large enough, or else the largest of all."""
    found = []
    for raw, orientation in _candidates(file):
        # The sensor's own data may be a kind of JPEG, too, which nothing here reads.
        with suppress(UnidentifiedImageError):
            found.append((Pillow.open(io.BytesIO(raw)), orientation))
    found.sort(key=lambda entry: (max(entry[0].size) < side, abs(max(entry[0].size) - side)))
    for picture, orientation in found:
        with suppress(OSError):
            shown = _decoded(picture, side)
            return _turned(shown, orientation) if isinstance(shown, Pillow.Image) else shown
    raise NoPicture("The raw photograph has no picture in it that can be shown.")


def _turned(picture: Pillow.Image, orientation: int) -> Pillow.Image:
    """Return a picture upright (Exif 2.32, tag 274)."""
    turns = {3: Pillow.Transpose.ROTATE_180, 6: Pillow.Transpose.ROTATE_270, 8: Pillow.Transpose.ROTATE_90}
    return picture.transpose(turns[orientation]) if orientation in turns else picture


def _candidates(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield what may be JPEG pictures of a raw file, with the orientation that the file gives."""
    if not is_tiff(read_at(file, 0, 16)):
        raise NoPicture("Of raw photographs of this kind no picture is shown.")
    parts, _ = directories(file)
    orientation = int(next((n for part in parts if (n := part.number(_ORIENTATION))), 1))
    for part in parts:
        for offset, size in _places(part):
            if 0 < size <= _MAX_PREVIEW_BYTES and read_at(file, offset, 3) == _START:
                yield read_at(file, offset, size), orientation


def _places(part: Directory) -> Iterator[tuple[int, int]]:
    for offsets, sizes in (_JPEG, _STRIPS):
        starts, lengths = part.tags.get(offsets), part.tags.get(sizes)
        if isinstance(starts, tuple) and isinstance(lengths, tuple) and len(starts) == len(lengths) == 1:
            yield int(starts[0]), int(lengths[0])
