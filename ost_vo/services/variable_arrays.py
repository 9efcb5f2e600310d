"""Columns of variable length of FITS tables: rows have descriptors of arrays in the heap behind the table.

Source: FITS 4.0 section 7.3.5 (variable-length arrays).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ost_vo.services.cut_pieces import Limits, check_size

_FORM = re.compile(r"[01]?[PQ]([LBIJKAEDCM])")
# Code of a type to that of numpy, big-endian. No reader knows bits of variable length.
_TYPES = {
    "L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8",
    "A": "S1", "E": ">f4", "D": ">f8", "C": ">c8", "M": ">c16",
}  # fmt: skip


class Heap:
    """The arrays of a table.

    Args:
        hdu: astropy's, of a table.
        plain: the file, not packed.

    Attributes:
        forms: name of each column of variable length to the code of the type of its elements.
    """

    def __init__(self, hdu: Any, plain: BinaryIO) -> None:
        found = ((str(column.name), _FORM.match(str(column.format))) for column in hdu.columns)
        self.forms = {name: form[1] for name, form in found if form}
        self._plain = plain
        table = int(hdu.header["NAXIS1"]) * int(hdu.header["NAXIS2"])
        gap = int(hdu.header.get("THEAP", table)) - table
        self._begin = int(hdu.fileinfo()["datLoc"]) + table + gap
        self._size = int(hdu.header.get("PCOUNT", 0)) - gap

    def array(self, name: str, descriptor: NDArray[Any]) -> NDArray[Any]:
        """Read the array that a descriptor tells of: number of elements, place in the heap [byte].

        Raises:
            ValueError: it is not in the heap.
            EOFError: the file ends before.
        """
        count, place = (int(number) for number in descriptor)
        kind = np.dtype(_TYPES[self.forms[name]])
        size = count * kind.itemsize
        if count < 0 or place < 0 or place + size > self._size:
            raise ValueError(f"an array of the column {name} is not where its descriptor says")
        raw = os.pread(self._plain.fileno(), size, self._begin + place)
        if len(raw) < size:
            raise EOFError(f"it ends within an array of the column {name}")
        return np.frombuffer(raw, kind)

    def repacked(
        self, rows: NDArray[Any], cuts: Mapping[str, slice], limits: Limits
    ) -> tuple[NDArray[Any], bytes]:
        """Return rows with new descriptors, and a heap that has their arrays and no others.

        Args:
            rows: some of the table's, with descriptors of its heap.
            cuts: name of a column to the elements of its arrays that are kept; of others, all are.
            limits: of the size.

        Raises:
            UsageFault: it becomes too large. Others are those of :meth:`array`.
        """
        packed, parts, size = rows.copy(), [], 0
        for name in self.forms:
            for number, descriptor in enumerate(rows[name]):
                limits.check_time()
                array = self.array(name, descriptor)
                kept = array[cuts[name]] if name in cuts else array
                packed[name][number] = (len(kept), size)
                parts.append(kept.tobytes())
                size += len(parts[-1])
                check_size(rows.nbytes + size, limits)
        return packed, b"".join(parts)
