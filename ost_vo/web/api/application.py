"""The HTTP API as an application of its own, which the archive's mounts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.types import Message, Receive, Scope, Send

import ost_vo
from ost_vo.faults import Fault
from ost_vo.services.products import columns
from ost_vo.vo.columns import Column
from ost_vo.web.api import (
    administration,
    audit,
    holdings,
    jobs,
    me,
    overrides,
    people,
    problems,
    products,
    projects,
    runs,
    tags,
    targets,
)
from ost_vo.web.api.callers import archive_of
from ost_vo.web.api.conditions import Conditions
from ost_vo.web.api.paths import operations
from ost_vo.web.errors import fault_as_problem
from ost_vo.web.prefix import base_url

PREFIX = "/api/v1"
# Ten thousand identifiers of a hundred characters each, and room [bytes].
BODY_BYTES = 2 * 2**20

_ROUTERS = (
    me.router,
    projects.router,
    products.router,
    runs.router,
    tags.router,
    people.router,
    audit.router,
    targets.router,
    overrides.router,
    administration.router,
    holdings.router,
    jobs.router,
)
_ABOUT = """What may be seen and done here is what the archive's privileges allow: projects, levels and
contexts. Without a login, the API shows what everybody may see. Log in with a password (Basic), a token
(Bearer) or a session."""


def create() -> FastAPI:
    """Return the application; it takes its state from the one that it is mounted in."""
    app = FastAPI(
        title="OST archive",
        version=ost_vo.__version__,
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False},
        generate_unique_id_function=lambda route: route.name,
        exception_handlers={
            Fault: fault_as_problem,
            RequestValidationError: problems.of_validation,
            HTTPException: problems.of_status,
            Exception: fault_as_problem,
        },
    )
    app.add_middleware(Conditions)
    for router in _ROUTERS:
        app.include_router(router)

    @lru_cache(maxsize=4)
    def document(url: str, product_columns: tuple[Column, ...]) -> dict[str, Any]:
        return _document(app, url, product_columns)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi(request: Request) -> JSONResponse:
        return JSONResponse(document(f"{base_url(request)}{PREFIX}", columns(archive_of(request))))

    return app


class _Mounted:
    """The application as a part of the archive's: with its state, and with HEAD where there is GET."""

    def __init__(self) -> None:
        self._app = create()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._app.state = scope["app"].state
        if scope.get("method") == "HEAD":
            # The server leaves the body out (RFC 9110 section 9.3.2).
            scope = {**scope, "method": "GET"}
        await self._app(scope, _limited(receive), send)


def _limited(receive: Receive) -> Receive:
    """Return what gives out a body as far as it is not too large."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > BODY_BYTES:
            raise HTTPException(413, f"The request's body is larger than {BODY_BYTES} bytes.")
        return message

    return counted


def _document(app: FastAPI, url: str, product_columns: tuple[Column, ...]) -> dict[str, Any]:
    document = operations(app)
    document["servers"] = [{"url": url}]
    schemas = document["components"]["schemas"]
    schemas["Problem"] = problems.Problem.model_json_schema()
    schemas["Product"] = products.schema(product_columns)
    document["components"]["securitySchemes"] = {
        "password": {"type": "http", "scheme": "basic"},
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "ost_session"},
    }
    # One of them, or none: what an endpoint shows then, its refusals tell.
    document["security"] = [{"password": []}, {"token": []}, {"session": []}, {}]
    return document


routes = [Mount(PREFIX, app=_Mounted())]
