"""Tables that come with a query: the parameter UPLOAD, what a document says of its columns, VOTable's head.

Source: TAP 1.1 section 2.5 (UPLOAD); VOTable 1.1 to 1.5 section 4 (TABLE and FIELD). The rows are read by
``upload_rows``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Literal
from xml.parsers import expat

from ost_vo.faults import UsageFault
from ost_vo.vo.columns import COMPLEX, SQL_TYPES, STRINGS, Column, Table, sql_type

SCHEMA = "TAP_UPLOAD"
MAX_TABLES = 20
# PostgreSQL has room for 1600 columns, less where their rows get wide.
MAX_COLUMNS = 1000

Serialisation = Literal["TABLEDATA", "BINARY", "BINARY2"]

_SERIALISATIONS: dict[str, Serialisation] = {
    "TABLEDATA": "TABLEDATA",
    "BINARY": "BINARY",
    "BINARY2": "BINARY2",
}
_CHUNK = 64 * 1024
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z][A-Za-z0-9_]*)'
_ITEM = re.compile(rf"\s*({_NAME})\s*,\s*([A-Za-z][A-Za-z0-9+.-]*:\S+)\s*")
# A semicolon inside a URI is not followed by a name and another URI.
_BETWEEN = re.compile(rf";(?=\s*{_NAME}\s*,\s*[A-Za-z][A-Za-z0-9+.-]*:|\s*\Z)")
_DIMENSIONS = re.compile(r"(?:[0-9]+x)*(?:[0-9]+\*?|\*)")
_POSITION_NAMES = (("ra", "dec"), ("s_ra", "s_dec"), ("raj2000", "dej2000"), ("ra_icrs", "de_icrs"))
_MAIN = re.compile(r"\s*;\s*meta\.main\b", re.IGNORECASE)
_TIMESTAMPS = ("timestamp", "adql:timestamp")


@dataclass(frozen=True, slots=True)
class Source:
    """One item of UPLOAD.

    Attributes:
        name: of the table below TAP_UPLOAD, without quotes.
        uri: where it is: ``param:`` and the name of a part of the request, or an http(s) URL.
    """

    name: str
    uri: str


@dataclass
class Declared:
    """A column as a document declares it.

    Attributes:
        attributes: those of a FIELD: name, datatype, arraysize, unit, ucd, utype, xtype.
        description: text for people.
        null: the text that stands for no value, or None.
    """

    attributes: dict[str, str]
    description: str = ""
    null: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A FIELD of an uploaded table, as it is stored.

    Attributes:
        column: what queries see; ``sql_type`` is the type of the stored column.
        elements: number of elements of a stored value where fixed, 1 for a scalar, None where variable.
        null: the text that stands for no value (VALUES null), or None.
    """

    column: Column
    elements: int | None
    null: str | None = None

    @property
    def datatype(self) -> str:
        """The datatype of the column."""
        return self.column.datatype

    @property
    def is_array(self) -> bool:
        """Whether the stored column is an array of PostgreSQL."""
        return self.column.sql_type.endswith("[]")

    @property
    def is_timestamp(self) -> bool:
        """Whether the text is a moment, to be stored as such."""
        return self.column.sql_type == "timestamp with time zone"


@dataclass(frozen=True, slots=True)
class Head:
    """What a document says of its table, the first one of a VOTable.

    Attributes:
        fields: its columns in order, with names that differ from each other.
        serialisation: of a VOTable's rows; None where it has none, and for other formats.
        position: indices of longitude and latitude [deg] if it has a main position, else None.
        offset: where the element with the rows begins [bytes], in a document in UTF-8; None in others.
    """

    fields: tuple[Field, ...]
    serialisation: Serialisation | None
    position: tuple[int, int] | None
    offset: int | None = None


@dataclass(slots=True)
class Needs:
    """What the query wants of an uploaded table; the translator says it, the loading heeds it.

    Attributes:
        index: an index of the positions.
    """

    index: bool = False


@dataclass(frozen=True, slots=True)
class UploadedTable(Table):
    """An uploaded table that a query may name.

    Attributes:
        rows: how many rows it has; an estimate.
        row: the column, not among the columns, that tells rows apart.
        needs: what the query wants of it.
    """

    rows: int = 0
    row: str = ""
    needs: Needs = field(default_factory=Needs)


def sources(values: Iterable[str]) -> list[Source]:
    """Return the items of all values of UPLOAD (TAP 1.1 section 2.5).

    Raises:
        UsageFault: an item is not ``name,uri``, or a name comes twice.
    """
    found: dict[str, Source] = {}
    for value in values:
        for item in filter(str.strip, _BETWEEN.split(value)):
            source = _source(item)
            if source.name.lower() in found:
                raise UsageFault(f"UPLOAD names the table {source.name} twice.", "Give each another name.")
            found[source.name.lower()] = source
    if len(found) > MAX_TABLES:
        raise UsageFault(f"UPLOAD has more than {MAX_TABLES} tables.", "Upload fewer tables.")
    return list(found.values())


def _source(item: str) -> Source:
    matched = _ITEM.fullmatch(item)
    if matched is None:
        raise UsageFault(
            f"UPLOAD={item.strip()[:100]!r} is not a table name and a URI.",
            "Write UPLOAD=mytable,param:part or UPLOAD=mytable,https://host/table.vot; the name has no "
            "schema, and stands in double quotes if it is not a regular ADQL identifier.",
        )
    name, uri = matched.groups()
    return Source(name[1:-1].replace('""', '"') if name.startswith('"') else name, uri)


def read_head(file: BinaryIO, name: str) -> Head:
    """Read a VOTable as far as the rows of its first table.

    Args:
        file: the document, from its beginning.
        name: of the table, for messages.

    Raises:
        UsageFault: it is no VOTable, has no table, or a column that cannot be stored.
    """
    reader = _HeadReader(name)
    try:
        while not reader.done and (chunk := file.read(_CHUNK)):
            reader.parser.Parse(chunk)
        if not reader.done:
            reader.parser.Parse(b"", True)
    except _Found:
        reader.done = True
    except expat.ExpatError as error:
        raise not_well_formed(name, error) from None
    except ValueError as error:  # an encoding that expat does not know
        raise UsageFault(f"The table {name} cannot be read: {error}.", "Upload it in UTF-8.") from None
    if not reader.fields:
        raise UsageFault(f"The upload {name} holds no TABLE with FIELDs.", "Upload a VOTable with a table.")
    found = head(reader.fields, name)
    offset = reader.offset if reader.is_utf8 else None
    return replace(found, serialisation=reader.serialisation, offset=offset)


def head(declared: Sequence[Declared], name: str) -> Head:
    """Return the head of a table whose columns a document declares, in order.

    Raises:
        UsageFault: there are too many columns, or one that cannot be stored.
    """
    if len(declared) > MAX_COLUMNS:
        raise UsageFault(
            f"The table {name} has more than {MAX_COLUMNS} columns.", "Upload the columns that you need."
        )
    fields = _distinct(_field(item, number, name) for number, item in enumerate(declared, 1))
    return Head(fields, None, position_columns([item.column for item in fields]))


def not_well_formed(name: str, error: Exception) -> UsageFault:
    """Return the fault of a document that is no XML."""
    return UsageFault(f"The upload {name} is not well-formed XML: {error}.", "Upload a VOTable document.")


class _Found(Exception):
    """The head is complete."""


@dataclass
class _HeadReader:
    """Collects the FIELDs of the first table.

    Attributes:
        name: of the table, for messages.
        fields, serialisation: what was found.
        offset: where the element with the rows begins [bytes].
        is_utf8: whether the document does not say that it is in another encoding than UTF-8.
        done: whether the head is complete.
    """

    name: str
    fields: list[Declared] = field(default_factory=list)
    serialisation: Serialisation | None = None
    offset: int | None = None
    is_utf8: bool = True
    done: bool = False
    parser: Any = field(init=False)
    _path: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._entity
        self.parser.XmlDeclHandler = self._declaration

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = local(tag)
        if not self._path and tag != "VOTABLE":
            raise UsageFault(
                f"The upload {self.name} is no VOTable: its root element is {tag}.", "Upload a VOTable."
            )
        self._path.append(tag)
        if tag == "FIELD":
            self.fields.append(Declared(attributes))
        elif tag == "VALUES" and "FIELD" in self._path and attributes.get("null"):
            self.fields[-1].null = attributes["null"].strip()
        elif tag == "FITS":
            raise UsageFault(
                f"The table {self.name} keeps its rows in FITS.", "Write TABLEDATA, BINARY or BINARY2."
            )
        elif tag in _SERIALISATIONS and "DATA" in self._path:
            self.serialisation = _SERIALISATIONS[tag]
            self.offset = self.parser.CurrentByteIndex
            raise _Found

    def _end(self, tag: str) -> None:
        self._path.pop()
        if local(tag) == "TABLE" and self.fields:
            raise _Found

    def _text(self, text: str) -> None:
        if self._path[-2:] == ["FIELD", "DESCRIPTION"]:
            self.fields[-1].description += text

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        del version, standalone
        self.is_utf8 = (encoding or "utf-8").lower() in ("utf-8", "us-ascii")

    def _entity(self, *_: object) -> None:
        raise UsageFault(f"The upload {self.name} declares entities.", "Remove its DOCTYPE.")


def local(tag: str) -> str:
    """Return the name of an element without the prefix of its namespace."""
    return tag.rsplit(":", 1)[-1]


def _field(raw: Declared, number: int, table: str) -> Field:
    given = raw.attributes
    name = given.get("name", "").strip() or given.get("ID", "").strip() or f"column_{number}"
    datatype = given.get("datatype", "")
    if datatype not in SQL_TYPES:
        raise UsageFault(
            f"Column {name} of the table {table} has the datatype {datatype!r}.",
            f"VOTable has {', '.join(SQL_TYPES)}.",
        )
    elements, arraysize = _size(given.get("arraysize"), datatype, f"Column {name} of the table {table}")
    xtype = given.get("xtype") or None
    column = Column(
        name,
        datatype,
        arraysize,
        xtype,
        given.get("unit") or None,
        given.get("ucd") or None,
        given.get("utype") or None,
        " ".join(raw.description.split()) or None,
        _sql_type(datatype, arraysize, xtype),
    )
    return Field(column, elements, raw.null)


def _size(text: str | None, datatype: str, where: str) -> tuple[int | None, str | None]:
    """Return the number of elements of a stored value, and the arraysize without zeros in front."""
    text = (text or "1").strip().lower()
    if not _DIMENSIONS.fullmatch(text):
        raise UsageFault(f"{where} has the arraysize {text!r}.", "Write it as 3, *, 10* or 2x3.")
    *sides, last = text.split("x")
    variable, digits = last.endswith("*"), last.rstrip("*")
    lengths = [int(side) for side in (*sides, *([digits] if digits else []))]
    product = math.prod(lengths) * (2 if datatype in COMPLEX else 1)
    if not 0 < product < 2**24:
        raise UsageFault(f"{where} has the arraysize {text!r}.", "Arrays hold 1 to 16 million elements.")
    size = "x".join(map(str, lengths))
    if variable:
        return None, f"{size}*" if digits else "x".join([*map(str, lengths), "*"])
    single = "1" if datatype in STRINGS else None
    return product, single if size == "1" else size


def _sql_type(datatype: str, arraysize: str | None, xtype: str | None) -> str:
    if datatype in STRINGS and (xtype or "").lower() in _TIMESTAMPS:
        return "timestamp with time zone"
    return sql_type(datatype, arraysize)


def _distinct(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Give columns of equal names other names: ``name_2`` and so on.

    PostgreSQL looks at the first 63 bytes of a name only, so these have to differ.
    """
    seen: set[bytes] = set()
    renamed = []
    for item in fields:
        name, number = item.column.name, 1
        while name.encode()[:63] in seen:
            number += 1
            stem = item.column.name.encode()[:50].decode(errors="ignore")
            name = f"{stem}_{number}"
        seen.add(name.encode()[:63])
        renamed.append(_named(item, name))
    return tuple(renamed)


def _named(item: Field, name: str) -> Field:
    return item if name == item.column.name else replace(item, column=replace(item.column, name=name))


def position_columns(columns: list[Column]) -> tuple[int, int] | None:
    """Return the indices of the columns of the main position [deg]: by UCD, or else by their names."""
    for suffix in (";meta.main", ""):
        found = [_with_ucd(columns, f"pos.eq.{axis}{suffix}") for axis in ("ra", "dec")]
        if len(found[0]) == len(found[1]) == 1:
            return found[0][0], found[1][0]
    names = [item.name.lower() if _is_angle(item) else "" for item in columns]
    for pair in _POSITION_NAMES:
        if all(names.count(name) == 1 for name in pair):
            return names.index(pair[0]), names.index(pair[1])
    return None


def _with_ucd(columns: list[Column], ucd: str) -> list[int]:
    return [
        number
        for number, item in enumerate(columns)
        if _is_angle(item) and _MAIN.sub(";meta.main", (item.ucd or "").strip().lower()) == ucd
    ]


def _is_angle(column: Column) -> bool:
    """Tell whether a column is a number that may count degrees."""
    is_number = column.sql_type in ("real", "double precision", "smallint", "integer", "bigint")
    return is_number and (column.unit or "deg").strip().lower() in ("deg", "degree", "degrees")
