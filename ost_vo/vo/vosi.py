"""VOSI documents: capabilities, availability, tables.

Source: VOSI 1.1; VOResource 1.1 (capability, interface, securityMethod); TAPRegExt 1.0 (TableAccess);
VODataService 1.2 (ParamHTTP, tableset). Built with lxml, so that everything is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lxml import etree
from lxml.builder import ElementMaker

from ost_vo.vo.adql.words import RESERVED
from ost_vo.vo.columns import Column

CONTENT_TYPE = "text/xml"

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_CAPABILITIES = "http://www.ivoa.net/xml/VOSICapabilities/v1.0"
_AVAILABILITY = "http://www.ivoa.net/xml/VOSIAvailability/v1.0"
_TABLES = "http://www.ivoa.net/xml/VOSITables/v1.0"
_RESOURCE = "http://www.ivoa.net/xml/VOResource/v1.0"
_DATA_SERVICE = "http://www.ivoa.net/xml/VODataService/v1.1"
_TAP = "http://www.ivoa.net/xml/TAPRegExt/v1.0"
_SIA = "http://www.ivoa.net/xml/SIA/v1.1"

_TYPE = f"{{{_XSI}}}type"
# Elements of the extensions are unqualified (VOResource 1.1 section 2.1): only roots have a namespace.
_E = ElementMaker()


@dataclass(frozen=True, slots=True)
class Interface:
    """A way to call a service.

    Attributes:
        url: where.
        use: ``full`` for the URL of a document, ``base`` where parameters or paths follow.
        kind: ``vs:ParamHTTP`` or another xsi:type.
        role: ``std`` for the interface that the standard prescribes.
        version: of the standard, where the interface has one.
        query_types: HTTP methods that take parameters.
        result_type: media type of the answer.
        security: standardID of the way to log in; None for anonymous callers.
    """

    url: str
    use: str = "full"
    kind: str = "vs:ParamHTTP"
    role: str | None = "std"
    version: str | None = None
    query_types: tuple[str, ...] = ()
    result_type: str | None = None
    security: str | None = None


@dataclass(frozen=True, slots=True)
class Capability:
    """What a service can do: a standard and where to call it.

    Attributes:
        standard: IVOA identifier of the standard.
        interfaces: how to call it.
        kind: xsi:type of an extension, None for a plain capability.
        details: child elements that the extension adds, in the order of its schema.
    """

    standard: str
    interfaces: tuple[Interface, ...]
    kind: str | None = None
    details: tuple[etree._Element, ...] = ()


def capabilities(items: Iterable[Capability]) -> bytes:
    """Return a VOSI capabilities document."""
    root = etree.Element(
        f"{{{_CAPABILITIES}}}capabilities",
        nsmap={
            "vosi": _CAPABILITIES,
            "xsi": _XSI,
            "vr": _RESOURCE,
            "vs": _DATA_SERVICE,
            "tr": _TAP,
            "sia": _SIA,
        },
    )
    root.extend(capability_element(item) for item in items)
    return _serialised(root)


def capability_element(item: Capability) -> etree._Element:
    """Return the element of a capability, for a document that declares the prefixes of its types."""
    element = _E.capability(standardID=item.standard)
    if item.kind:
        element.set(_TYPE, item.kind)
    element.extend(_interface(interface) for interface in item.interfaces)
    element.extend(item.details)
    return element


def availability(available: bool, up_since: datetime | None = None, notes: Sequence[str] = ()) -> bytes:
    """Return a VOSI availability document; ``up_since`` is in UTC."""
    root = etree.Element(f"{{{_AVAILABILITY}}}availability", nsmap={"vosi": _AVAILABILITY, "xsi": _XSI})
    _add(root, _AVAILABILITY, "available", "true" if available else "false")
    if up_since:
        _add(root, _AVAILABILITY, "upSince", f"{up_since:%Y-%m-%dT%H:%M:%S}Z")
    for note in notes:
        _add(root, _AVAILABILITY, "note", note)
    return _serialised(root)


@dataclass(frozen=True, slots=True)
class TableDescription:
    """A table as VODataService describes it.

    Attributes:
        name: qualified, as queries write it.
        description, utype: of the table.
        columns: in order.
        keys: (target table, [(from column, target column)], description) of its foreign keys.
    """

    name: str
    description: str | None
    utype: str | None
    columns: Sequence[Column]
    keys: Sequence[tuple[str, Sequence[tuple[str, str]], str | None]]


def tableset(
    schemas: Iterable[tuple[str, str | None, str | None, Sequence[TableDescription]]], detail: str
) -> bytes:
    """Return the document of all tables.

    Args:
        schemas: name, description, utype and tables of each schema.
        detail: ``max`` with columns and keys, ``min`` without (VOSI 1.1 section 2.4.2).
    """
    root = etree.Element(f"{{{_TABLES}}}tableset", nsmap=_table_namespaces())
    root.set(_TYPE, "vs:TableSet")
    for name, description, utype, tables in schemas:
        schema = _E.schema(_E.name(name))
        _describe(schema, description, utype)
        schema.extend(_table("table", table, detail) for table in tables)
        root.append(schema)
    return _serialised(root)


def table(description: TableDescription) -> bytes:
    """Return the document of one table."""
    root = etree.Element(f"{{{_TABLES}}}table", nsmap=_table_namespaces())
    root.set(_TYPE, "vs:Table")
    root.extend(_table("table", description, "max"))
    return _serialised(root)


def element(name: str, *children: etree._Element | str, **attributes: str) -> etree._Element:
    """Return an element of a capability's details, without a namespace."""
    return _E(name, *children, **attributes)


def _interface(item: Interface) -> etree._Element:
    interface = etree.Element("interface")
    interface.set(_TYPE, item.kind)
    if item.role:
        interface.set("role", item.role)
    if item.version:
        interface.set("version", item.version)
    interface.append(_E.accessURL(item.url, use=item.use))
    if item.security:
        interface.append(_E.securityMethod(standardID=item.security))
    interface.extend(_E.queryType(method) for method in item.query_types)
    if item.result_type:
        interface.append(_E.resultType(item.result_type))
    return interface


def _table(tag: str, item: TableDescription, detail: str) -> etree._Element:
    element = _E(tag, _E.name(item.name))
    _describe(element, item.description, item.utype)
    if detail == "max":
        element.extend(_column(row) for row in item.columns)
        for target, pairs, description in item.keys:
            element.append(_foreign_key(target, pairs, description))
    return element


def _column(item: Column) -> etree._Element:
    # TAP 1.1 section 4.3: the name as queries must write it.
    name = f'"{item.name}"' if item.name.upper() in RESERVED else item.name
    column = _E.column(_E.name(name))
    if item.std:
        column.set("std", "true")
    for tag in ("description", "unit", "ucd", "utype"):
        if text := getattr(item, tag):
            column.append(_E(tag, text))
    data_type = _E.dataType(item.datatype)
    data_type.set(_TYPE, "vs:VOTableType")
    if item.arraysize:
        data_type.set("arraysize", item.arraysize)
    if item.xtype:
        data_type.set("extendedType", item.xtype)
    column.append(data_type)
    if item.indexed:
        column.append(_E.flag("indexed"))
    return column


def _foreign_key(target: str, pairs: Sequence[tuple[str, str]], description: str | None) -> etree._Element:
    key = _E.foreignKey(_E.targetTable(target))
    for source, column in pairs:
        key.append(_E.fkColumn(_E.fromColumn(source), _E.targetColumn(column)))
    if description:
        key.append(_E.description(description))
    return key


def _describe(element: etree._Element, description: str | None, utype: str | None) -> None:
    if description:
        element.append(_E.description(" ".join(description.split())))
    if utype:
        element.append(_E.utype(utype))


def _add(parent: etree._Element, namespace: str, tag: str, text: str) -> None:
    etree.SubElement(parent, f"{{{namespace}}}{tag}").text = text


def _table_namespaces() -> dict[str, str]:
    return {"vosi": _TABLES, "xsi": _XSI, "vs": _DATA_SERVICE}


def _serialised(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
