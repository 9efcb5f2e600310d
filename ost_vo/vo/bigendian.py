"""Values in the bytes that VOTable BINARY and FITS binary tables share: big-endian, without a mask of nulls.

Both formats mark a null integer by a value that the metadata names; here it is the smallest of its type,
and an unsignedByte, which has none to spare, is written as a short. A null real number is NaN.

Source: VOTable 1.4 section 5.3 (BINARY); FITS 4.0 section 7.3.3 (BINTABLE data).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace

from ost_vo.vo.columns import Column
from ost_vo.vo.copyrows import elements

# The value that stands for null, by datatype.
NULLS = {"short": -(2**15), "int": -(2**31), "long": -(2**63)}

_STRUCTS = {name: struct.Struct(f">{code}") for name, code in zip(NULLS, "hiq", strict=True)}
_REALS = {"float": struct.Struct(">f"), "double": struct.Struct(">d")}
# VOTable 1.4 section 2.1: a unicodeChar is a UCS-2 code unit.
_BEYOND_UCS2 = re.compile("[\U00010000-\U0010ffff]")

# From a cell of the COPY stream, None for null, to bytes.
Packer = Callable[[str | None], bytes]


def stored(column: Column) -> Column:
    """Return the column as it is written: unsignedByte becomes short."""
    return replace(column, datatype="short") if column.datatype == "unsignedByte" else column


def scalar(datatype: str, unknown: bytes) -> Packer:
    """Return what packs one number or truth value.

    Args:
        datatype: of a stored column, not of text.
        unknown: the byte of a truth value that is null.
    """
    if datatype == "boolean":
        truths = {"t": b"T", "f": b"F", None: unknown}
        return lambda cell: truths[cell]
    if datatype in _REALS:
        pack_real = _REALS[datatype].pack
        nan = pack_real(float("nan"))
        return lambda cell: nan if cell is None else pack_real(float(cell))
    pack = _STRUCTS[datatype].pack
    null = pack(NULLS[datatype])
    return lambda cell: null if cell is None else pack(int(cell))


def array(datatype: str, unknown: bytes, bound: int | None) -> Callable[[str | None], list[bytes]]:
    """Return what packs the elements of an array, of at most so many; a null array has none."""
    pack = scalar(datatype, unknown)
    return lambda cell: [] if cell is None else [pack(item) for item in elements(cell)[:bound]]


def ascii_text(cell: str | None, bound: int | None = None) -> bytes:
    """Return text of at most so many characters, with ``?`` for each outside ASCII; a null is empty."""
    return (cell or "")[:bound].encode("ascii", "replace")


def ucs2_text(cell: str | None, bound: int | None = None) -> bytes:
    """Return text of at most so many characters as UCS-2, with U+FFFD for what it does not have."""
    return _BEYOND_UCS2.sub("\ufffd", (cell or "")[:bound]).encode("utf-16-be")
