"""The results of a job that makes cutouts: one file, or many in one tar, and a manifest of all."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ost_vo.faults import UsageFault
from ost_vo.services.cutout_orders import Order
from ost_vo.services.sources import Made
from ost_vo.vo import tar_layout
from ost_vo.vo.regions import Circle

OK, NO_OVERLAP, UNKNOWN, FAILED = "ok", "no overlap", "unknown", "failed"
MANIFEST = "manifest.csv"
HEADINGS = ("number", "row", "name", "ID", "ra", "dec", "radius", "file", "status", "reason")


@dataclass(slots=True)
class Entry:
    """What became of an order.

    Attributes:
        order: what was asked for.
        status: ok, no overlap, unknown (no data set that the caller may see), failed; '' before any of these.
        file: name of the cutout among the results.
        reason: why there is none.
    """

    order: Order
    status: str = ""
    file: str = ""
    reason: str = ""


def manifest(entries: Iterable[Entry]) -> bytes:
    """Return the manifest as CSV, in UTF-8: a line for each order, in the order of the orders."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADINGS)
    for number, entry in enumerate(entries, 1):
        order, region = entry.order, entry.order.selection.region
        place = (
            (region.longitude, region.latitude, region.radius) if isinstance(region, Circle) else ("",) * 3
        )
        found = (entry.file, entry.status, entry.reason)
        writer.writerow([number, order.row, order.name, order.identifier or "", *place, *found])
    return text.getvalue().encode()


class Archive:
    """A tar archive that is written as its files are made.

    Args:
        file: to write to.
        most: size of it at the most [byte].
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._most = most
        self._moment = int(time.time())

    def add(self, name: str, parts: Iterable[memoryview | bytes], size: int) -> None:
        """Write a file.

        Raises:
            UsageFault: the archive becomes too large.
        """
        if self._file.tell() + size > self._most:
            raise too_large(self._most)
        self._file.write(tar_layout.header(tar_layout.Entry(name, size, self._moment)))
        for part in parts:
            self._file.write(part)
        self._file.write(tar_layout.padding(size))

    def end(self) -> None:
        """Write what closes the archive."""
        self._file.write(tar_layout.END)


def write(path: Path, made: Made, most: int) -> None:
    """Write a single cutout.

    Raises:
        UsageFault: it is larger than ``most`` bytes.
    """
    if made.size > most:
        raise too_large(most)
    with path.open("wb") as file:
        file.writelines(made.parts)


def too_large(most: int) -> UsageFault:
    """Return the fault of results that are larger than a job may keep."""
    return UsageFault(
        f"The cutouts are larger than {most / 1e6:g} MB, the most that a job may keep.", "Ask for fewer."
    )
