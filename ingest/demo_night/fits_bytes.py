"""FITS files as bytes (FITS 4.0 section 3), the same ones every time."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

BLOCK = 2880


def plain_size(cards: Sequence[str], pixel_bytes: int) -> int:
    """Return the size of the file that `plain` makes [byte]."""
    return -(-(len(cards) + 1) * 80 // BLOCK) * BLOCK + -(-pixel_bytes // BLOCK) * BLOCK


def plain(cards: Sequence[str], pixels: NDArray) -> bytes:
    """Return a file of one unit. Unsigned 16-bit pixels need BZERO 32768 among the cards."""
    header = "".join([*cards, f"{'END':<80}"]).encode("ascii")
    stored = (pixels ^ np.uint16(0x8000)).view(np.int16) if pixels.dtype == np.uint16 else pixels
    data = stored.astype(stored.dtype.newbyteorder(">")).tobytes()
    return header + b" " * (-len(header) % BLOCK) + data + b"\0" * (-len(data) % BLOCK)


def gzipped(cards: Sequence[str], pixels: NDArray) -> bytes:
    """Return the same file packed by gzip, without the time of packing."""
    return gzip.compress(plain(cards, pixels), compresslevel=6, mtime=0)


def tile_compressed(cards: Sequence[str], pixels: NDArray[np.uint16]) -> bytes:
    """Return a file whose image is compressed by Rice's algorithm in tiles of a row (FITS 4.0 section 10)."""
    header = fits.Header.fromstring("".join(cards))
    buffer = BytesIO()
    image = fits.CompImageHDU(pixels, header, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(buffer)
    return buffer.getvalue()
