"""VOTable documents: what stands before, around and after the rows of a result.

Source: VOTable 1.4; DALI 1.1 section 4.4 (QUERY_STATUS, overflow and errors); DataLink 1.1 section 4
(service descriptors). Everything that enters a document is escaped here, and characters that XML 1.0 forbids
are replaced, so that the outcome is well-formed whatever the metadata and values hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TypedDict
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from ost_vo.faults import FatalFault, Fault
from ost_vo.vo.columns import COMPLEX, SQL_TYPES, STRINGS, Column

CONTENT_TYPE = "application/x-votable+xml"
DATALINK_CONTENT_TYPE = "application/x-votable+xml;content=datalink"

DataFormat = Literal["TABLEDATA", "BINARY2"]
Status = Literal["OK", "OVERFLOW", "ERROR"]

_NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"
_ROOT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<VOTABLE version="1.4" xmlns="{_NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    f'xsi:schemaLocation="{_NAMESPACE} {_NAMESPACE}">\n'
)
_OPENING = {"TABLEDATA": "<DATA><TABLEDATA>\n", "BINARY2": '<DATA><BINARY2><STREAM encoding="base64">'}
_CLOSING = {"TABLEDATA": "</TABLEDATA></DATA>", "BINARY2": "</STREAM></BINARY2></DATA>"}

# All that XML 1.0 section 2.2 does not count as a character.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_.-]")
_ARRAYSIZE = re.compile(r"((?:[1-9][0-9]*x)*)(\*|[1-9][0-9]*\*?)\Z")


@dataclass(frozen=True, slots=True)
class Info:
    """An INFO element (VOTable 1.4 section 4.6): a name, a value and perhaps text for people."""

    name: str
    value: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A LINK element of the result's resource (VOTable 1.4 section 3.5)."""

    href: str
    content_role: str | None = None
    content_type: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Param:
    """A PARAM element (VOTable 1.4 section 4.2), also an input of a service descriptor.

    Attributes:
        name, value: the value is text as TABLEDATA writes it; empty for an input without a default.
        datatype, arraysize, unit, ucd, utype, xtype, description: as for a column; ``char`` and
            ``unicodeChar`` get the arraysize ``*`` where none is given.
        ref: the ID of the FIELD whose values the input takes (DataLink 1.1 section 4.2).
        id: the ID of the element.
        minimum, maximum, options: the VALUES that an input accepts.
    """

    name: str
    value: str = ""
    datatype: str = "char"
    arraysize: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    xtype: str | None = None
    description: str | None = None
    ref: str | None = None
    id: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceDescriptor:
    """A resource that tells how to call a service (DataLink 1.1 section 4.1).

    Attributes:
        id: the ID that ``service_def`` of a DataLink row names; None for a descriptor that nothing refers to.
        params: accessURL, standardID, resourceIdentifier, contentType, exampleURL.
        inputs: the group ``inputParams``.
        name: ``this`` for the self-description of a service (DataLink 1.1 section 4.3).
        description: one line for people.
    """

    id: str | None
    params: tuple[Param, ...]
    inputs: tuple[Param, ...] = ()
    name: str | None = None
    description: str | None = None


class Envelope(TypedDict, total=False):
    """The optional arguments of :func:`head`, as an encoder keeps them until the first row is there."""

    infos: Iterable[Info]
    params: Sequence[Param]
    links: Iterable[Link]
    resources_before: Sequence[ServiceDescriptor]
    table: Mapping[str, str]
    description: str | None


@dataclass(frozen=True, slots=True)
class Shape:
    """How many elements a value of a column has in the database, where a complex number is two of them.

    Attributes:
        array: whether the value is an array or a string, not a scalar.
        variable: whether the number of elements differs from row to row.
        bound: number of elements where fixed, the most there may be where variable; None without a limit.
        parts: elements of the database that VOTable counts as one.
        sides: lengths of the dimensions but the last, in elements of VOTable; the first varies fastest.
    """

    array: bool
    variable: bool = False
    bound: int | None = None
    parts: int = 1
    sides: tuple[int, ...] = ()


def arraysize(column: Column | Param) -> str | None:
    """Return the arraysize to write: None for one element or character, as VOTable 1.4 section 2.2 has it."""
    size = column.arraysize or ("*" if column.datatype in STRINGS else None)
    return None if size == "1" else size


def shape(column: Column) -> Shape:
    """Return the shape of a column's values (VOTable 1.4 section 2.2).

    Raises:
        FatalFault: the datatype or the arraysize is unknown.
    """
    if column.datatype not in SQL_TYPES:
        raise FatalFault(
            f"Column {column.name} has the datatype {column.datatype}, which results cannot hold."
        )
    size, parts = arraysize(column), 2 if column.datatype in COMPLEX else 1
    if size is None:
        is_array = column.datatype in STRINGS or parts > 1
        return Shape(is_array, bound=parts if is_array else None, parts=parts)
    found = _ARRAYSIZE.match(size)
    if found is None:
        raise FatalFault(f"Column {column.name} has the arraysize {size}, which results cannot hold.")
    sides, digits = tuple(map(int, found[1].split("x")[:-1])), found[2].rstrip("*")
    bound = parts * math.prod(sides) * int(digits) if digits else None
    return Shape(True, found[2].endswith("*"), bound, parts, sides)


def field_ids(columns: Iterable[Column], taken: Iterable[str] = ()) -> list[str]:
    """Return one ID for each column, unique in its document and legal in XML.

    Args:
        columns: the columns of the result; a name that is a legal ID already is kept.
        taken: IDs that other elements of the document have.
    """
    seen = set(taken)
    ids = []
    for column in columns:
        stem = _NOT_IN_ID.sub("_", column.name) or "_"
        stem = stem if stem[0].isalpha() or stem[0] == "_" else f"_{stem}"
        name, number = stem, 1
        while name in seen:
            number += 1
            name = f"{stem}_{number}"
        seen.add(name)
        ids.append(name)
    return ids


def head(
    columns: Sequence[Column],
    *,
    data_format: DataFormat = "TABLEDATA",
    infos: Iterable[Info] = (),
    params: Sequence[Param] = (),
    links: Iterable[Link] = (),
    resources_before: Sequence[ServiceDescriptor] = (),
    table: Mapping[str, str] | None = None,
    description: str | None = None,
) -> bytes:
    """Return the document up to the first row, in UTF-8.

    Args:
        columns: the columns of the result, in order.
        data_format: how the rows that follow are written.
        infos: INFOs of the result's resource, besides QUERY_STATUS OK.
        params: PARAMs of the result's resource.
        links: LINKs of the result's resource.
        resources_before: service descriptors that precede the result.
        table: attributes of the TABLE element (``name``, ``utype``, ``ucd``, ``nrows``).
        description: text for people about the result.
    """
    lines = [
        _ROOT.rstrip("\n"),
        *(descriptor(service) for service in resources_before),
        '<RESOURCE type="results">',
        *_described(description),
        _info(Info("QUERY_STATUS", "OK")),
        *(_info(info) for info in infos),
        *(_param(param) for param in params),
        *(_link(link) for link in links),
        _open("TABLE", dict(table or {})),
        _fields(tuple(columns), frozenset(_ids(params, resources_before))),
    ]
    return ("\n".join(lines) + "\n" + _OPENING[data_format]).encode()


def tail(
    status: Status = "OK",
    message: str = "",
    *,
    data_format: DataFormat = "TABLEDATA",
    resources_after: Iterable[ServiceDescriptor] = (),
) -> bytes:
    """Return the document from after the last row on, in UTF-8.

    Args:
        status: OVERFLOW or ERROR add a second QUERY_STATUS after the table (DALI 1.1 section 4.4.1 and
            TAP 1.1 section 3.3), which overrules the OK before it.
        message: text for people that goes with that INFO.
        data_format: as given to :func:`head`.
        resources_after: service descriptors that follow the result.
    """
    lines = [
        f"{_CLOSING[data_format]}</TABLE>",
        *([_info(Info("QUERY_STATUS", status, message))] if status != "OK" else []),
        "</RESOURCE>",
        *(descriptor(service) for service in resources_after),
        "</VOTABLE>\n",
    ]
    return "\n".join(lines).encode()


def outcome(overflowed: bool, error: Fault | None) -> tuple[Status, str]:
    """Return the status and message with which a document of streamed rows ends.

    Args:
        overflowed: whether there are more rows than were written.
        error: the fault that cut the stream short; it outweighs an overflow.
    """
    if error is not None:
        return "ERROR", f"{error.code}: {error}"
    return ("OVERFLOW" if overflowed else "OK"), ""


def error_document(message: str, *, infos: Iterable[Info] = ()) -> bytes:
    """Return the document that reports a failure (DALI 1.1 section 4.4.1), in UTF-8.

    Args:
        message: what went wrong; DALI 1.1 section 4.2 lets it begin with the code of the fault.
        infos: further INFOs, as of the standard that the document follows.
    """
    status = Info("QUERY_STATUS", "ERROR", message)
    body = "\n".join(_info(info) for info in (status, *infos))
    return f'{_ROOT}<RESOURCE type="results">\n{body}\n</RESOURCE>\n</VOTABLE>\n'.encode()


def document(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Any]],
    *,
    status: Status = "OK",
    message: str = "",
    infos: Iterable[Info] = (),
    params: Sequence[Param] = (),
    links: Iterable[Link] = (),
    resources_before: Sequence[ServiceDescriptor] = (),
    resources_after: Iterable[ServiceDescriptor] = (),
    table: Mapping[str, str] | None = None,
    description: str | None = None,
) -> bytes:
    """Return a whole document with TABLEDATA, for small tables that are at hand as Python values.

    Args:
        columns: the columns, in order.
        rows: for each row one value a column: None for null, text, numbers, truth values, a datetime
            (with a time zone, or UTC), a sequence or numpy array for arrays.
        status, message, resources_after: as for :func:`tail`.
        infos, params, links, resources_before, table, description: as for :func:`head`.
    """
    parts = [
        head(
            columns,
            infos=infos,
            params=params,
            links=links,
            resources_before=resources_before,
            table=table,
            description=description,
        )
    ]
    parts.extend(_row(columns, row) for row in rows)
    parts.append(tail(status, message, resources_after=resources_after))
    return b"".join(parts)


def _row(columns: Sequence[Column], row: Sequence[Any]) -> bytes:
    cells = (
        f"<TD>{_escaped(_cell(value, column.datatype))}</TD>"
        for column, value in zip(columns, row, strict=True)
    )
    return f"<TR>{''.join(cells)}</TR>\n".encode()


def _cell(value: Any, datatype: str) -> str:
    """Return a value as TABLEDATA spells it (VOTable 1.4 section 6)."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _legal(value).encode("ascii", "replace").decode() if datatype == "char" else value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return _real(float(value), str(value))
    if isinstance(value, datetime):
        return _timestamp(value)
    if isinstance(value, np.ndarray | list | tuple):
        filler = "NaN" if datatype in ("float", "double") else "0"
        return " ".join(_cell(element, datatype) or filler for element in value)
    return str(value)


def _real(value: float, text: str) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return text


def _timestamp(moment: datetime) -> str:
    """Return a moment as DALI 1.1 section 3.1.2 writes it: UTC, without a time zone."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def _escaped(text: str) -> str:
    return escape(_legal(text), {"\r": "&#13;"})


def _open(tag: str, attributes: Mapping[str, str | None], end: str = ">") -> str:
    given = ((name, value) for name, value in attributes.items() if value is not None)
    written = (f" {name}={quoteattr(_legal(value))}" for name, value in given)
    return f"<{tag}{''.join(written)}{end}"


def _element(tag: str, attributes: Mapping[str, str | None], content: str) -> str:
    if not content:
        return _open(tag, attributes, "/>")
    return f"{_open(tag, attributes)}{content}</{tag}>"


def _described(description: str | None) -> list[str]:
    return [f"<DESCRIPTION>{_escaped(description)}</DESCRIPTION>"] if description else []


def _info(info: Info) -> str:
    return _element("INFO", {"name": info.name, "value": info.value}, _escaped(info.text))


def _link(link: Link) -> str:
    attributes = {
        "content-role": link.content_role,
        "content-type": link.content_type,
        "title": link.title,
        "href": link.href,
    }
    return _open("LINK", attributes, "/>")


def _metadata(item: Column | Param) -> dict[str, str | None]:
    """Return the attributes that FIELD and PARAM share."""
    return {
        "name": item.name,
        "datatype": item.datatype,
        "arraysize": arraysize(item),
        "unit": item.unit or None,
        "ucd": item.ucd or None,
        "utype": item.utype or None,
        "xtype": item.xtype or None,
    }


@lru_cache(maxsize=64)
def _fields(columns: tuple[Column, ...], taken: frozenset[str]) -> str:
    """Return the elements of columns, one a line; IDs as :func:`field_ids` has them."""
    return "\n".join(map(_field, columns, field_ids(columns, taken)))


@lru_cache(maxsize=4096)
def _field(column: Column, name: str) -> str:
    return _element("FIELD", {"ID": name, **_metadata(column)}, "".join(_described(column.description)))


def _param(param: Param) -> str:
    attributes = {"ID": param.id, "ref": param.ref, **_metadata(param), "value": param.value}
    return _element("PARAM", attributes, "".join([*_described(param.description), *_values(param)]))


def _values(param: Param) -> list[str]:
    """Return the VALUES element of an input (VOTable 1.4 section 4.5), if it has one."""
    parts = [_open("MIN", {"value": param.minimum}, "/>")] if param.minimum is not None else []
    if param.maximum is not None:
        parts.append(_open("MAX", {"value": param.maximum}, "/>"))
    parts.extend(_open("OPTION", {"value": option}, "/>") for option in param.options)
    return [f"<VALUES>{''.join(parts)}</VALUES>"] if parts else []


@lru_cache(maxsize=256)
def descriptor(service: ServiceDescriptor) -> str:
    """Return the element of a service descriptor."""
    attributes = {"type": "meta", "utype": "adhoc:service", "name": service.name, "ID": service.id}
    inputs = "".join(_param(param) for param in service.inputs)
    content = [
        *_described(service.description),
        *(_param(param) for param in service.params),
        *([f'<GROUP name="inputParams">{inputs}</GROUP>'] if inputs else []),
    ]
    return _element("RESOURCE", attributes, "\n".join(["", *content, ""]))


def _ids(params: Iterable[Param], services: Iterable[ServiceDescriptor]) -> set[str]:
    """Return the IDs that a document gives away besides those of its FIELDs."""
    named = [param.id for param in params]
    for service in services:
        named += [service.id, *(param.id for param in (*service.params, *service.inputs))]
    return {name for name in named if name}
