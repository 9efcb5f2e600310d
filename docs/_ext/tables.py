"""The tables that ADQL can see, as Markdown, from the descriptors in `resdir/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lxml import etree
from markdown_cells import cell, table

_RESDIR = Path(__file__).resolve().parents[2] / "resdir"


def as_markdown() -> str:
    """Return a section for each table, `ivoa.obscore` first."""
    return "\n\n".join(_sections())


def _sections() -> Iterator[str]:
    for descriptor in sorted(_RESDIR.glob("*/q.rd"), key=lambda path: path.parent.name != "obscore"):
        resource = etree.parse(descriptor).getroot()
        for element in resource.iterfind("table[@adql='True']"):
            yield f"## {resource.get('schema')}.{element.get('id')}"
            yield " ".join(element.findtext("meta[@name='description']", "").split())
            yield table(
                ("column", "type", "unit", "UCD", "meaning"),
                [_row(column) for column in element.iterfind("column") if column.get("hidden") != "True"],
            )


def _row(column: etree._Element) -> tuple[str, ...]:
    # DaCHS' word for names that SQL reserves.
    name = column.get("name", "").removeprefix("quoted/")
    kind, unit, ucd = (column.get(attribute, "") for attribute in ("type", "unit", "ucd"))
    return f"`{name}`", kind, unit, f"`{ucd}`" if ucd else "", cell(column.get("description", ""))
