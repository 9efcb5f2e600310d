"""What the API's own description says of its addresses."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import compile_path


def operations(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document as the endpoints alone make it."""
    return get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """Return the methods that there are for a path below the API (RFC 9110 section 10.2.1)."""
    methods: set[str] = set()
    for template, described in operations(app)["paths"].items():
        pattern, _, _ = compile_path(template)
        if pattern.match(path):
            methods |= {name.upper() for name in described}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set())) or ["GET", "HEAD"]
