"""Results as a VOTable with BINARY, for clients older than BINARY2.

Source: VOTable 1.4 section 5.3 (BINARY) and section 4.5 (VALUES, null).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lxml import etree

from ost_vo.vo import votable
from ost_vo.vo.binary2 import Binary2
from ost_vo.vo.columns import Column
from ost_vo.vo.copybinary import NULLS, layout, stored
from ost_vo.vo.votable import Envelope, Status

_STREAM = b'<STREAM encoding="base64">'


class Binary(Binary2):
    """An encoder from binary COPY to a VOTable document with BINARY.

    A null integer is the smallest number of its type, which the VALUES of its FIELD say; an unsignedByte
    is a short; a null string is empty; a null real number is NaN. Text is treated as in BINARY2.
    """

    masked = False

    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row."""
        self._columns = stored(columns)
        self._layout = layout(self._columns, nulls=True)
        return _head(self._columns, self._envelope)

    def _ending(self, status: Status, message: str) -> Iterable[bytes]:
        return [part.replace(b"</BINARY2>", b"</BINARY>", 1) for part in super()._ending(status, message)]


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
