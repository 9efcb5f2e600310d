"""The HTTP API, as Markdown, from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markdown_cells import cell, table

from ost_vo.web.api import application
from ost_vo.web.api.paths import operations

_Schema = Mapping[str, Any]


def as_markdown() -> str:
    """Return a section for each operation."""
    document = operations(application.create())
    schemas = document.get("components", {}).get("schemas", {})
    return "\n\n".join(
        part
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for part in _section(f"{method.upper()} {path}", operation, schemas)
    )


def _section(title: str, operation: _Schema, schemas: _Schema) -> Iterator[str]:
    yield f"### {title}"
    yield operation["description"]
    rows = [
        _row(parameter["name"], parameter["in"], parameter, parameter["schema"], schemas)
        for parameter in operation.get("parameters", ())
    ]
    rows += _body(operation, schemas)
    if rows:
        yield table(("name", "in", "type", "meaning"), rows)
    answers = (
        f"{status}: {answer['description']}"
        for status, answer in operation["responses"].items()
        if status != "default"
    )
    yield "Answers: " + "; ".join(answers)


def _body(operation: _Schema, schemas: _Schema) -> Iterator[tuple[str, ...]]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        body = _resolved(content["schema"], schemas)
        needed = body.get("required", ())
        for name, schema in body.get("properties", {}).items():
            yield _row(name, "body", {"required": name in needed}, schema, schemas)


def _row(name: str, place: str, field: _Schema, schema: _Schema, schemas: _Schema) -> tuple[str, ...]:
    meaning = field.get("description") or schema.get("description") or ""
    return (
        f"`{name}`",
        f"{place}, needed" if field.get("required") else place,
        cell(_type(schema, schemas)),
        cell(meaning),
    )


def _type(schema: _Schema, schemas: _Schema) -> str:
    """Return the type in a few words: "list of string", "1 to 5", "one of a, b"."""
    schema = _resolved(schema, schemas)
    if "anyOf" in schema:
        kinds = dict.fromkeys(_type(kind, schemas) for kind in schema["anyOf"])
        return " or ".join(kinds)
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], schemas)}"
    kind = schema.get("format") or schema.get("type", "any")
    if "minimum" in schema and "maximum" in schema:
        return f"{kind}, {schema['minimum']:g} to {schema['maximum']:g}"
    return str(kind)


def _resolved(schema: _Schema, schemas: _Schema) -> _Schema:
    """Return a schema, or the one that it refers to."""
    reference = schema.get("$ref")
    return schemas[reference.rsplit("/", 1)[1]] if reference else schema
