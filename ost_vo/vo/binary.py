"""PostgreSQL's text COPY stream as the rows of a VOTable with BINARY, for clients older than BINARY2.

Source: VOTable 1.4 section 5.3 (BINARY) and section 4.5 (VALUES, null).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Unpack

import pybase64
from lxml import etree

from ost_vo.faults import Fault
from ost_vo.vo import votable
from ost_vo.vo.bigendian import NULLS, Packer, array, ascii_text, scalar, stored, ucs2_text
from ost_vo.vo.columns import Column
from ost_vo.vo.copyrows import CopyRows, Row
from ost_vo.vo.votable import Envelope, ServiceDescriptor, Shape

_UNKNOWN = b"?"
_STREAM = b'<STREAM encoding="base64">'
_COUNT = struct.Struct(">i")
_CHARACTERS = {"char": (ascii_text, 1), "unicodeChar": (ucs2_text, 2)}


class Binary(CopyRows):
    """An encoder from text COPY to a VOTable document with BINARY.

    A null integer is the smallest number of its type, which the VALUES of its FIELD say; an unsignedByte
    is a short; a null string is empty; a null real number is NaN. Text is treated as in BINARY2.
    """

    content_type = votable.CONTENT_TYPE

    def __init__(
        self,
        limit: int | None = None,
        *,
        resources_after: Iterable[ServiceDescriptor] = (),
        **envelope: Unpack[Envelope],
    ) -> None:
        """Create an encoder for one result.

        Args:
            limit: the most rows to write, None for all; the query asks for one more, to see an overflow.
            resources_after: service descriptors that follow the result.
            envelope: the optional arguments of :func:`ost_vo.vo.votable.head`.
        """
        super().__init__(limit)
        self._envelope = envelope
        self._resources_after = tuple(resources_after)
        self._carry = b""

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
        """
        self._columns = [stored(column) for column in columns]
        self._packers = [_packer(column, votable.shape(column)) for column in self._columns]
        return _head(self._columns, self._envelope)

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the rest of the document.

        Args:
            overflowed: report an overflow that the encoder has not seen itself.
            error: report this fault, which cut the stream short.
        """
        status, message = votable.outcome(overflowed or self.overflowed, error)
        tail = votable.tail(status, message, data_format="BINARY2", resources_after=self._resources_after)
        return pybase64.b64encode(self._carry) + tail.replace(b"</BINARY2>", b"</BINARY>", 1)

    def _write(self, rows: list[Row]) -> bytes:
        parts = [self._carry]
        for row in rows:
            parts.extend(pack(cell) for pack, cell in zip(self._packers, row, strict=True))
        data = b"".join(parts)
        # base64 works on groups of three bytes; what is over waits in front of the next rows.
        whole = len(data) // 3 * 3
        self._carry = data[whole:]
        return pybase64.b64encode(data[:whole])


def _head(columns: Sequence[Column], envelope: Envelope) -> bytes:
    """Return the head of a BINARY2 document, made one of BINARY: it says how each FIELD spells null."""
    whole = votable.head(columns, data_format="BINARY2", **envelope) + votable.tail(data_format="BINARY2")
    root = etree.fromstring(whole, etree.XMLParser(huge_tree=True))
    for field, column in zip(root.iterfind(".//{*}FIELD"), columns, strict=True):
        if column.datatype in NULLS:
            etree.SubElement(field, _sibling(field, "VALUES"), null=str(NULLS[column.datatype]))
    for stream in root.iterfind(".//{*}STREAM"):
        stream.text = "\n"  # so that it is written with a closing tag
    for binary in root.iterfind(".//{*}BINARY2"):
        binary.tag = _sibling(binary, "BINARY")
    document = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return b"".join(document.partition(_STREAM)[:2])


def _sibling(element: etree._Element, name: str) -> str:
    """Return a name in the namespace of an element."""
    return f"{{{etree.QName(element).namespace}}}{name}"


def _packer(column: Column, shape: Shape) -> Packer:
    if column.datatype in _CHARACTERS:
        return _text_packer(column, shape)
    if not shape.array:
        return scalar(column.datatype, _UNKNOWN)
    pack = array(column.datatype, _UNKNOWN, shape.bound)
    if shape.variable:
        return lambda cell: _counted(pack(cell))
    filling = [scalar(column.datatype, _UNKNOWN)(None)] * (shape.bound or 0)
    return lambda cell: b"".join((pack(cell) + filling)[: shape.bound])


def _text_packer(column: Column, shape: Shape) -> Packer:
    encode, width = _CHARACTERS[column.datatype]
    if not shape.variable:
        size = width * (shape.bound or 0)
        return lambda cell: encode(cell, shape.bound).ljust(size, b"\0")

    def pack(cell: str | None) -> bytes:
        data = encode(cell, shape.bound)
        return _COUNT.pack(len(data) // width) + data

    return pack


def _counted(items: list[bytes]) -> bytes:
    return _COUNT.pack(len(items)) + b"".join(items)
